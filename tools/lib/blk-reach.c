// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How far does what is on a device reach, so that cutting it off there does no harm?
 * libblkid says what it is. How large, it says only in releases later than some that
 * kcache is built with: the few formats for which it matters are read here.
 */
#include <blkid/blkid.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "blk.h"

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* struct ext4_super_block: s_blocks_count_lo, s_log_block_size, s_feature_incompat, s_blocks_count_hi */
static uint64_t ext_end(const uint8_t *sb)
{
	uint64_t blocks = le32(sb + 0x04);

	if (le32(sb + 0x60) & 0x80)	/* 64BIT */
		blocks |= (uint64_t)le32(sb + 0x150) << 32;
	return le32(sb + 0x18) > 6 ? UINT64_MAX : blocks << (10 + le32(sb + 0x18));
}

/* struct xfs_dsb: sb_blocksize, sb_dblocks */
static uint64_t xfs_end(const uint8_t *sb)
{
	return ((uint64_t)be32(sb + 8) << 32 | be32(sb + 12)) * be32(sb + 4);
}

/* union swap_header: last_page, in the kernel's own byte order and pages */
static uint64_t swap_end(const uint8_t *sb)
{
	uint32_t last;

	memcpy(&last, sb + 4, sizeof(last));
	return ((uint64_t)last + 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static const struct {
	const char *type;	/* libblkid's */
	off_t at;
	uint64_t (*end)(const uint8_t *sb);
} formats[] = {
	{ "ext2", 1024, ext_end },
	{ "ext3", 1024, ext_end },
	{ "ext4", 1024, ext_end },
	{ "xfs", 0, xfs_end },
	{ "swap", 1024, swap_end },
};

static int end_of(int fd, const char *type, uint64_t *end, struct kc_error *err)
{
	uint8_t sb[1024];
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i].type, type) != 0)
			continue;
		if (pread(fd, sb, sizeof(sb), formats[i].at) != (ssize_t)sizeof(sb))
			return kc_fail(err, KC_DEVICE, NULL, "cannot read its %s superblock: %s", type,
				       strerror(errno));
		*end = formats[i].end(sb);
	}
	return 0;
}

static int probe(int fd, char *what, size_t size, uint64_t *end, struct kc_error *err)
{
	blkid_probe p = blkid_new_probe();
	const char *type;
	int r, ret = 0;

	if (!p || blkid_probe_set_device(p, fd, 0, 0) || blkid_probe_enable_superblocks(p, 1) ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE) || blkid_probe_enable_partitions(p, 1)) {
		blkid_free_probe(p);
		return kc_fail(err, KC_NOMEM, NULL, "libblkid cannot look at it");
	}
	r = blkid_do_safeprobe(p);
	if (r == 0 && blkid_probe_lookup_value(p, "TYPE", &type, NULL) == 0) {
		snprintf(what, size, "%s", type);
		ret = end_of(fd, type, end, err);
	} else if (r != 1) {
		/* a partition table; or signatures of more than one thing; or it cannot be read */
		snprintf(what, size, "%s", r == 0 ? "partition table" : r == -2 ? "more than one signature" :
						    "something that cannot be read");
	}
	blkid_free_probe(p);
	return ret;
}

int kc_blk_reach(const char *node, dev_t dev, char *what, size_t size, uint64_t *end, struct kc_error *err)
{
	struct statvfs fs;
	char where[4096];
	uint64_t live;
	int fd, ret;

	what[0] = '\0';
	*end = UINT64_MAX;
	fd = open(node, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NULL,
			       "cannot read what is on it: %s", strerror(errno));
	ret = probe(fd, what, size, end, err);
	close(fd);
	/* a mounted filesystem knows better than its superblock, which it may not have written yet */
	if (!ret && *end != UINT64_MAX && kc_blk_mountpoint(dev, where, sizeof(where)) && statvfs(where, &fs) == 0) {
		live = (uint64_t)fs.f_blocks * fs.f_frsize;
		if (live > *end)
			*end = live;
	}
	if (!ret && !what[0])
		kc_blk_users(dev, what, size);
	return ret;
}
