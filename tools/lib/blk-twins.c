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
#include "dm-snap.h"
#include "sysfs.h"

/* deeper stacks of devices do not exist; a loop in sysfs must not hang us */
#define STACK_MAX 16

/* A loop device on a block device: sysfs has no slaves link for it. */
static bool loop_base(dev_t top, dev_t *base)
{
	char file[PATH_MAX];
	struct stat st;

	if (!kc_sysfs_attr(top, "loop/backing_file", file, sizeof(file)) || stat(file, &st) || !S_ISBLK(st.st_mode))
		return false;
	*base = st.st_rdev;
	return true;
}

static bool stands_on(dev_t top, dev_t base, int depth)
{
	struct dirent *e;
	bool found = false;
	dev_t below;
	DIR *d;

	if (!depth)
		return false;
	if (loop_base(top, &below) && (below == base || stands_on(below, base, depth - 1)))
		return true;
	d = kc_sysfs_dir(top, "slaves");
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		found = kc_sysfs_slave(top, e->d_name, &below) && (below == base || stands_on(below, base, depth - 1));
	}
	closedir(d);
	return found;
}

bool kc_blk_stands_on(dev_t top, dev_t base)
{
	return stands_on(top, base, STACK_MAX);
}

/**
 * struct other - a block device of this host
 * @name: the kernel's, "dm-5"
 * @ours: the plaintext of an attached volume, or what is under it while a snapshot is taken
 * @held: a read would wait: suspended, or a volume whose I/O waits for its key
 */
struct other {
	dev_t dev;
	char name[64];
	bool ours;
	bool held;
};

struct others {
	struct other *all;
	size_t n;
	bool any_held;
};

static void look_at_mapped(struct other *o)
{
	char text[KC_DM_UUID_MAX];

	o->held = kc_sysfs_attr(o->dev, "dm/suspended", text, sizeof(text)) && strcmp(text, "1") == 0;
	o->ours = kc_sysfs_attr(o->dev, "dm/uuid", text, sizeof(text)) &&
		  (strncmp(text, KC_DM_UUID_PREFIX, strlen(KC_DM_UUID_PREFIX)) == 0 ||
		   strncmp(text, KC_DM_SNAP_PREFIX, strlen(KC_DM_SNAP_PREFIX)) == 0);
	if (o->ours && !o->held)
		o->held = kc_dm_keyless(o->dev);
}

/* All there are, in one pass and without opening any. */
static int list_others(struct others *l, struct kc_error *err)
{
	unsigned int ma, mi;
	struct dirent *e;
	size_t room = 0;
	int ret = 0;
	DIR *d;

	d = opendir("/sys/dev/block");
	if (!d)
		return kc_fail(err, KC_DEVICE, "mount sysfs on /sys",
			       "cannot list block devices to look for another one with the volume's UUID");
	while (!ret && (e = readdir(d))) {
		char link[256];
		struct other *o;
		ssize_t n;

		if (sscanf(e->d_name, "%u:%u", &ma, &mi) != 2)
			continue;
		n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (l->n == room) {
			room = room ? room * 2 : 64;
			o = reallocarray(l->all, room, sizeof(*o));
			if (!o) {
				ret = kc_fail(err, KC_NOMEM, NULL, "out of memory for a list of block devices");
				break;
			}
			l->all = o;
		}
		o = &l->all[l->n++];
		memset(o, 0, sizeof(*o));
		o->dev = makedev(ma, mi);
		snprintf(o->name, sizeof(o->name), "%.63s", strrchr(link, '/') ? strrchr(link, '/') + 1 : link);
		if (strncmp(o->name, "dm-", 3) == 0)
			look_at_mapped(o);
		l->any_held |= o->held;
	}
	closedir(d);
	return ret;
}

/* One that cannot be read now is no reason to hang until it can. */
static bool would_wait(const struct others *l, const struct other *o)
{
	size_t i;

	if (o->held)
		return true;
	for (i = 0; l->any_held && i < l->n; i++)
		if (l->all[i].held && kc_blk_stands_on(o->dev, l->all[i].dev))
			return true;
	return false;
}

/* Opens a device for reading; -1 if there is nothing to read. */
static int open_other(const struct other *o)
{
	char size[32], node[256];
	struct stat st;
	int fd;

	/* not by opening it: a drive would look for its medium */
	if (!kc_sysfs_attr(o->dev, "size", size, sizeof(size)) || strcmp(size, "0") == 0)
		return -1;
	snprintf(node, sizeof(node), "/dev/%s", o->name);
	fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		/* its node has another name than the kernel's */
		kc_blk_name(o->dev, node, sizeof(node));
		fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd >= 0 && (fstat(fd, &st) || !S_ISBLK(st.st_mode) || st.st_rdev != o->dev)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/*
 * Could a LUKS header with @uuid begin at @offset? No parsing: a header that has the
 * UUID has its text there, in lower case, as every volume of ours has. It spares
 * nearly every device of a host libblkid's look at the ten places where a header's
 * second copy may lie.
 */
static bool mentions(int fd, off_t offset, const char *uuid)
{
	char block[4096];
	ssize_t n = pread(fd, block, sizeof(block), offset);

	return n > 0 && memmem(block, (size_t)n, uuid, strlen(uuid));
}

/* The UUID of the LUKS header on @fd, and whether it says that it is ours. */
static bool luks_uuid(int fd, char *uuid, size_t size, bool *ours)
{
	char *filter[] = { (char[]){ "crypto_LUKS" }, NULL };
	blkid_probe p = blkid_new_probe();
	const char *value;
	bool found = false;

	if (p && blkid_probe_set_device(p, fd, 0, 0) == 0 && blkid_probe_enable_superblocks(p, 1) == 0 &&
	    /* the subsystem counts as a label */
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL) == 0 &&
	    blkid_probe_filter_superblocks_type(p, BLKID_FLTR_ONLYIN, filter) == 0 &&
	    /* not blkid_do_safeprobe(): since util-linux 2.42 it takes no second header for one */
	    blkid_do_probe(p) == 0 && blkid_probe_lookup_value(p, "UUID", &value, NULL) == 0) {
		found = true;
		snprintf(uuid, size, "%s", value);
		*ours = blkid_probe_lookup_value(p, "SUBSYSTEM", &value, NULL) == 0 && strcmp(value, "kcache") == 0;
	}
	blkid_free_probe(p);
	return found;
}

static bool carries(int fd, const char *uuid)
{
	char found[64];
	bool ours;

	return luks_uuid(fd, found, sizeof(found), &ours) && strcasecmp(found, uuid) == 0;
}

/* Cheapest first: there may be thousands of devices, and hardly ever a twin. */
static bool is_twin(const struct kc_blk *b, dev_t dev, int fd, const char *uuid, uint64_t area)
{
	/* a block at a time, not what comes after it */
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return (mentions(fd, 0, uuid) || mentions(fd, (off_t)area, uuid)) && carries(fd, uuid) &&
	       (b->is_file || (!kc_blk_stands_on(dev, b->dev) && !kc_blk_stands_on(b->dev, dev)));
}

int kc_blk_refuse_twins(const struct kc_blk *b, const char *uuid, uint64_t area, struct kc_error *err)
{
	struct others l = { 0 };
	char node[256];
	size_t i;
	int ret, fd;

	ret = list_others(&l, err);
	for (i = 0; !ret && i < l.n; i++) {
		const struct other *o = &l.all[i];

		if (o->ours || (!b->is_file && o->dev == b->dev) || would_wait(&l, o))
			continue;
		fd = open_other(o);
		if (fd < 0)
			continue;
		if (is_twin(b, o->dev, fd, uuid, area)) {
			kc_blk_name(o->dev, node, sizeof(node));
			ret = kc_fail(err, KC_BUSY, "take one of them away, or make a volume of its own of the copy with kcache clone",
				      "%s carries the same UUID %s: which one is meant cannot be told", node, uuid);
		}
		close(fd);
	}
	free(l.all);
	return ret;
}

bool kc_blk_holder(const struct kc_blk *b, const char *prefix, char *name, size_t size)
{
	char path[400], uuid[160];
	struct dirent *e;
	bool found = false;
	DIR *d;

	d = kc_sysfs_dir(b->dev, "holders");
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/block/%.255s/dm/uuid", e->d_name);
		if (!kc_sysfs_line(path, uuid, sizeof(uuid)) || strncmp(uuid, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%.255s/dm/name", e->d_name);
		found = kc_sysfs_line(path, name, size);
	}
	closedir(d);
	return found;
}

/* Does something other than the volume itself stand on @dev? */
static bool is_part(dev_t dev)
{
	static const char *const volumes[] = { KC_DM_UUID_PREFIX, KC_DM_SNAP_PREFIX, "CRYPT-LUKS2-" };
	char path[400], uuid[160];
	bool part = false;
	struct dirent *e;
	size_t i;
	DIR *d;

	d = kc_sysfs_dir(dev, "holders");
	while (d && !part && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		part = true;
		snprintf(path, sizeof(path), "/sys/block/%.255s/dm/uuid", e->d_name);
		for (i = 0; i < sizeof(volumes) / sizeof(volumes[0]); i++)
			if (kc_sysfs_line(path, uuid, sizeof(uuid)) && !strncmp(uuid, volumes[i], strlen(volumes[i])))
				part = false;
	}
	if (d)
		closedir(d);
	return part;
}

int kc_blk_scan(int (*fn)(const char *node, const char *uuid, void *data), void *data, struct kc_error *err)
{
	char node[256], uuid[64];
	struct others l = { 0 };
	int ret, fd, stop = 0;
	bool ours = false;
	size_t i;

	ret = list_others(&l, err);
	for (i = 0; !ret && !stop && i < l.n; i++) {
		const struct other *o = &l.all[i];

		if (o->ours || would_wait(&l, o) || is_part(o->dev))
			continue;
		fd = open_other(o);
		if (fd < 0)
			continue;
		if (luks_uuid(fd, uuid, sizeof(uuid), &ours) && ours) {
			kc_blk_name(o->dev, node, sizeof(node));
			stop = fn(node, uuid, data);
		}
		close(fd);
	}
	free(l.all);
	return ret;
}

int kc_blk_refuse_leg(const struct kc_blk *b, struct kc_error *err)
{
	const char *value = NULL;
	sd_device *sd = NULL;
	char name[160];
	bool leg;

	if (b->is_file)
		return 0;
	if (kc_blk_holder(b, "mpath-", name, sizeof(name)))
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
