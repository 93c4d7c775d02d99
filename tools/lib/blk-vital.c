// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must not be made to wait: who would set the key again may need it for that.
 * The root filesystem and swap are, for every process; some folders are for ours.
 */
#include <libmount/libmount.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "blk-private.h"
#include "blk.h"

static bool is_on(dev_t top, dev_t dev)
{
	return top == dev || kc_blk_stands_on(top, dev);
}

bool kc_blk_fs_is_on(struct libmnt_fs *fs, dev_t dev)
{
	const char *source = mnt_fs_get_srcpath(fs);
	struct stat st;

	/* btrfs and others mount under a device number of their own */
	return is_on(mnt_fs_get_devno(fs), dev) ||
	       (source && *source == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode) && is_on(st.st_rdev, dev));
}

/* The filesystem that @path is on, or would be. */
static struct libmnt_fs *holds(struct libmnt_table *mounts, const char *path)
{
	char real[PATH_MAX], *copy = strdup(path), *slash;
	struct libmnt_fs *fs = NULL;

	while (copy && !realpath(copy, real)) {
		slash = strrchr(copy, '/');
		if (!slash) {
			free(copy);
			return NULL;
		}
		slash[slash == copy] = '\0';
	}
	if (copy)
		fs = mnt_table_find_mountpoint(mounts, real, MNT_ITER_BACKWARD);
	free(copy);
	return fs;
}

static bool is_swap(struct libmnt_table *mounts, struct libmnt_table *swaps, dev_t dev)
{
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs, *under;
	const char *source;
	struct stat st;
	bool yes = false;

	while (it && !yes && mnt_table_next_fs(swaps, it, &fs) == 0) {
		source = mnt_fs_get_srcpath(fs);
		if (!source || stat(source, &st))
			continue;
		if (S_ISBLK(st.st_mode)) {
			yes = is_on(st.st_rdev, dev);
		} else {
			under = holds(mounts, source);
			yes = under && kc_blk_fs_is_on(under, dev);
		}
	}
	mnt_free_iter(it);
	return yes;
}

static bool look(struct libmnt_table *mounts, struct libmnt_table *swaps, dev_t dev, const char *const needed[],
		 char *text, size_t size)
{
	struct libmnt_fs *fs = holds(mounts, "/");
	size_t i;

	if (fs && kc_blk_fs_is_on(fs, dev)) {
		snprintf(text, size, "the root filesystem");
		return true;
	}
	if (is_swap(mounts, swaps, dev)) {
		snprintf(text, size, "swap");
		return true;
	}
	for (i = 0; needed[i]; i++) {
		fs = holds(mounts, needed[i]);
		if (fs && kc_blk_fs_is_on(fs, dev)) {
			snprintf(text, size, "%s, where %s is", mnt_fs_get_target(fs), needed[i]);
			return true;
		}
	}
	return false;
}

bool kc_blk_vital(dev_t dev, const char *const needed[], char *text, size_t size)
{
	struct libmnt_table *mounts = mnt_new_table(), *swaps = mnt_new_table();
	bool vital = false;

	text[0] = '\0';
	/* no swap at all is a file without lines; a kernel without it has no file */
	if (mounts && swaps && mnt_table_parse_file(mounts, "/proc/self/mountinfo") == 0) {
		mnt_table_parse_swaps(swaps, NULL);
		vital = look(mounts, swaps, dev, needed, text, size);
	}
	mnt_unref_table(mounts);
	mnt_unref_table(swaps);
	return vital;
}
