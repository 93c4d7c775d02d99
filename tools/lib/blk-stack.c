// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lies below: for whoever must not write to a volume while he writes about it. Two
 * devices with the same bytes are another question (blk-twins.c): a file in a file system
 * on a device is not that device, but writing to it is writing to the device.
 */
#include <dirent.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blk.h"
#include "sysfs.h"

/* deeper stacks do not exist; a loop in sysfs must not hang us */
#define STACK_MAX 16

/* btrfs and others mount under a number of their own: their device is the mount's source. */
static bool mounted_from(dev_t anonymous, dev_t *dev)
{
	struct libmnt_table *t = mnt_new_table();
	struct libmnt_fs *fs = NULL;
	const char *source = NULL;
	struct stat st;
	bool found;

	if (t && mnt_table_parse_file(t, "/proc/self/mountinfo") == 0)
		fs = mnt_table_find_devno(t, anonymous, MNT_ITER_BACKWARD);
	if (fs)
		source = mnt_fs_get_srcpath(fs);
	found = source && *source == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode);
	if (found)
		*dev = st.st_rdev;
	mnt_unref_table(t);
	return found;
}

static bool lies_on(dev_t top, dev_t base, int depth)
{
	char file[PATH_MAX], number[16];
	bool found = false;
	struct dirent *e;
	struct stat st;
	dev_t below;
	DIR *d;

	if (top == base)
		return true;
	if (!depth)
		return false;
	if (!major(top))
		return mounted_from(top, &below) && lies_on(below, base, depth - 1);

	if (kc_sysfs_attr(top, "loop/backing_file", file, sizeof(file)) && stat(file, &st) == 0 &&
	    lies_on(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, base, depth - 1))
		return true;
	if (kc_sysfs_attr(top, "partition", number, sizeof(number)) &&
	    kc_sysfs_attr_devno(top, "../dev", &below) && lies_on(below, base, depth - 1))
		return true;
	d = kc_sysfs_dir(top, "slaves");
	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		found = kc_sysfs_slave(top, e->d_name, &below) && lies_on(below, base, depth - 1);
	}
	if (d)
		closedir(d);
	return found;
}

bool kc_blk_lies_on(dev_t top, dev_t base)
{
	return lies_on(top, base, STACK_MAX);
}
