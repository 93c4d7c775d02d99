// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The same volume seen twice: a path of a multipath device, a clone, a snapshot.
 * Attaching the wrong one corrupts data, so it is refused rather than guessed.
 */
#include <blkid/blkid.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-device.h>
#include <unistd.h>

#include "blk.h"

/* deeper stacks of devices do not exist; a loop in sysfs must not hang us */
#define STACK_MAX 16

static bool read_text(const char *path, char *buf, size_t size)
{
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	if (n < 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static bool read_devno(const char *path, dev_t *dev)
{
	unsigned int ma, mi;
	char line[32];

	if (!read_text(path, line, sizeof(line)) || sscanf(line, "%u:%u", &ma, &mi) != 2)
		return false;
	*dev = makedev(ma, mi);
	return true;
}

/* A loop device on a block device: sysfs has no slaves link for it. */
static bool loop_base(dev_t top, dev_t *base)
{
	char path[64], file[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/loop/backing_file", major(top), minor(top));
	if (!read_text(path, file, sizeof(file)) || stat(file, &st) || !S_ISBLK(st.st_mode))
		return false;
	*base = st.st_rdev;
	return true;
}

/* Does @top stand on @base, directly or further down? */
static bool stands_on(dev_t top, dev_t base, int depth)
{
	char path[400];
	struct dirent *e;
	bool found = false;
	dev_t below;
	DIR *d;

	if (!depth)
		return false;
	if (loop_base(top, &below) && (below == base || stands_on(below, base, depth - 1)))
		return true;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major(top), minor(top));
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves/%.255s/dev", major(top), minor(top),
			 e->d_name);
		found = read_devno(path, &below) && (below == base || stands_on(below, base, depth - 1));
	}
	closedir(d);
	return found;
}

static bool carries(const char *node, dev_t dev, const char *uuid)
{
	char *filter[] = { (char[]){ "crypto_LUKS" }, NULL };
	const char *value;
	bool same = false;
	struct stat st;
	blkid_probe p;
	int fd;

	fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	p = blkid_new_probe();
	if (p && fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev &&
	    blkid_probe_set_device(p, fd, 0, 0) == 0 && blkid_probe_enable_superblocks(p, 1) == 0 &&
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID) == 0 &&
	    blkid_probe_filter_superblocks_type(p, BLKID_FLTR_ONLYIN, filter) == 0 &&
	    blkid_do_safeprobe(p) == 0 && blkid_probe_lookup_value(p, "UUID", &value, NULL) == 0)
		same = strcasecmp(value, uuid) == 0;
	blkid_free_probe(p);
	close(fd);
	return same;
}

int kc_blk_refuse_twins(const struct kc_blk *b, const char *uuid, struct kc_error *err)
{
	char path[400], node[256];
	struct dirent *e;
	int ret = 0;
	dev_t dev;
	DIR *d;

	d = opendir("/sys/class/block");
	if (!d)
		return kc_fail(err, KC_DEVICE, "mount sysfs on /sys",
			       "cannot list block devices to look for another one with UUID %s", uuid);
	while (!ret && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/block/%.255s/dev", e->d_name);
		if (!read_devno(path, &dev) || (!b->is_file && dev == b->dev))
			continue;
		if (!b->is_file && (stands_on(dev, b->dev, STACK_MAX) || stands_on(b->dev, dev, STACK_MAX)))
			continue;
		kc_blk_name(dev, node, sizeof(node));
		if (carries(node, dev, uuid))
			ret = kc_fail(err, KC_BUSY, "take one of them away, or give the copy a UUID of its own",
				      "%s carries the same UUID %s: which one is meant cannot be told", node, uuid);
	}
	closedir(d);
	return ret;
}

/* The multipath device above @b, by its dm UUID. */
static bool mpath_holder(const struct kc_blk *b, char *name, size_t size)
{
	char path[400], uuid[160];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(b->dev), minor(b->dev));
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/block/%.255s/dm/uuid", e->d_name);
		if (!read_text(path, uuid, sizeof(uuid)) || strncmp(uuid, "mpath-", 6) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%.255s/dm/name", e->d_name);
		found = read_text(path, name, size);
	}
	closedir(d);
	return found;
}

int kc_blk_refuse_leg(const struct kc_blk *b, struct kc_error *err)
{
	const char *value = NULL;
	sd_device *sd = NULL;
	char name[160];
	bool leg;

	if (b->is_file)
		return 0;
	if (mpath_holder(b, name, sizeof(name)))
		return kc_fail(err, KC_BUSY, "use the multipath device",
			       "it is one path of the multipath device /dev/mapper/%s", name);
	/* multipathd has claimed the path, but its map may not be up yet */
	leg = sd_device_new_from_devnum(&sd, 'b', b->dev) >= 0 &&
	      sd_device_get_property_value(sd, "DM_MULTIPATH_DEVICE_PATH", &value) >= 0 && strcmp(value, "1") == 0;
	sd_device_unref(sd);
	if (leg)
		return kc_fail(err, KC_BUSY, "wait for multipathd, then use the multipath device",
			       "udev says that it is one path of a multipath device");
	return 0;
}
