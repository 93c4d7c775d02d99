// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The COW store. What lands in it is ciphertext, and of no use when the snapshot is gone:
 * a file without a name goes by itself, with its last user.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "kcache.h"
#include "dm-snap.h"
#include "loop.h"
#include "snap-cow.h"

#define MIB (UINT64_C(1) << 20)
#define NEXT_ELSEWHERE "name another place with --cow, or another size with --cow-size"
/* what a snapshot of a small volume gets at least */
#define BYTES_MIN (64 * MIB)

static int on_itself(struct kc_run *r, const char *path)
{
	return kc_fail(&r->err, KC_BUSY, "name a place with --cow that is not on it",
		       "what it overwrites would be kept on the volume itself: %s", path);
}

static int open_device(struct kc_cow *c, struct kc_run *r, const struct kc_dm *d, const char *path)
{
	struct kc_error *err = &r->err;
	struct kc_blk blk;
	char found[512];
	int ret;

	ret = kc_blk_open(path, &blk, err);
	if (!ret && (kc_blk_lies_on(blk.dev, d->dev) || kc_blk_lies_on(blk.dev, d->below)))
		ret = on_itself(r, path);
	if (!ret)
		ret = kc_blk_claim(&blk, true, err);
	if (!ret)
		ret = kc_blk_blank(&blk, found, sizeof(found), err);
	if (!ret && found[0] && !kc_given(r, OPT_FORCE))
		ret = kc_fail(err, KC_BUSY, "check that it is the right one, then use --force",
			      "the COW device %s is not blank: %s", path, found);
	if (!ret) {
		c->dev = blk.dev;
		c->bytes = blk.size;
		c->fd = dup(blk.fd);
	}
	kc_blk_close(&blk);
	return ret;
}

/* A file without a name in @folder. */
static int nameless(const char *folder)
{
	char path[4096];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* not every file system has them */
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) ||
	    (size_t)snprintf(path, sizeof(path), "%s/.kcache-cow.XXXXXX", folder) >= sizeof(path))
		return fd;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* All of its room now: a store that cannot grow any more is a snapshot lost, later. */
static int reserve(int fd, uint64_t bytes)
{
	struct statvfs v;

	if (!fallocate(fd, 0, 0, (off_t)bytes))
		return 0;
	if (errno != EOPNOTSUPP)
		return -1;
	if (fstatvfs(fd, &v))
		return -1;
	if ((uint64_t)v.f_bavail * v.f_frsize < bytes) {
		errno = ENOSPC;
		return -1;
	}
	return ftruncate(fd, (off_t)bytes);
}

/*
 * Can the file be written past the page cache? Tried, not asked: on an overlay file system over
 * one that cannot, the loop device says yes, and fails with the first write.
 */
static bool takes_direct(int fd)
{
	void *block = aligned_alloc(4096, 4096);
	char path[32];
	bool ok;
	int direct;

	if (!block)
		return false;
	memset(block, 0, 4096);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ok = direct >= 0 && pwrite(direct, block, 4096, 0) == 4096;
	if (direct >= 0)
		close(direct);
	free(block);
	return ok;
}

static uint64_t size_of_file(const struct kc_run *r, uint64_t volume)
{
	const uint64_t chunk = KC_DM_SNAP_CHUNK * 512;
	const uint64_t all = (volume + chunk - 1) / chunk * chunk;
	uint64_t bytes = kc_given(r, OPT_COW_SIZE) ? r->number[OPT_COW_SIZE] * MIB : volume / 5;

	if (!kc_given(r, OPT_COW_SIZE) && bytes < BYTES_MIN)
		bytes = BYTES_MIN;
	bytes = (bytes + chunk - 1) / chunk * chunk;
	/* each chunk is kept once */
	return bytes < all ? bytes : all;
}

static int open_file(struct kc_cow *c, struct kc_run *r, const struct kc_dm *d, uint64_t volume, const char *folder)
{
	struct kc_error *err = &r->err;
	struct stat st;
	char size[24];
	int fd, ret = 0;

	fd = nameless(folder);
	if (fd < 0 || fstat(fd, &st))
		ret = kc_fail(err, errno == EACCES || errno == EROFS ? KC_PERM : KC_DEVICE, NEXT_ELSEWHERE,
			      "cannot make a temporary file in %s: %s", folder, strerror(errno));
	else if (kc_blk_lies_on(st.st_dev, d->dev))
		ret = on_itself(r, folder);
	c->bytes = size_of_file(r, volume);
	if (!ret && reserve(fd, c->bytes))
		ret = kc_fail(err, KC_DEVICE, NEXT_ELSEWHERE, "no room for a COW store of %s in %s: %s",
			      kc_size_text(c->bytes, size), folder, strerror(errno));
	if (!ret) {
		c->fd = kc_loop_setup(fd, false, &c->dev, err);
		ret = c->fd < 0 ? (int)err->code : 0;
	}
	/* past the page cache: the store is written once and hardly read */
	if (!ret && (!takes_direct(fd) || ioctl(c->fd, LOOP_SET_DIRECT_IO, 1UL)))
		kc_verbose(r, "the COW store goes through the page cache");
	if (fd >= 0)
		close(fd);
	return ret;
}

int kc_cow_open(struct kc_cow *c, struct kc_run *r, const struct kc_dm *d, uint64_t bytes, const char *folder)
{
	const char *where = kc_given(r, OPT_COW) ? r->opt[OPT_COW] : folder;
	struct stat st;

	*c = (struct kc_cow){ .fd = -1 };
	if (stat(where, &st))
		return kc_fail(&r->err, KC_DEVICE, NEXT_ELSEWHERE, "there is no %s: %s", where, strerror(errno));
	if (S_ISBLK(st.st_mode) && kc_given(r, OPT_COW_SIZE))
		return kc_fail(&r->err, KC_USAGE, NULL, "a device is a COW store of its own size; leave --cow-size out");
	if (S_ISBLK(st.st_mode))
		return open_device(c, r, d, where);
	if (!S_ISDIR(st.st_mode))
		return kc_fail(&r->err, KC_DEVICE, NEXT_ELSEWHERE, "%s is neither a block device nor a folder", where);
	return open_file(c, r, d, bytes, where);
}

void kc_cow_close(struct kc_cow *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

int kc_cow_hold(dev_t dev)
{
	struct loop_info64 info;
	char node[256];
	struct stat st;
	int fd;

	if (!dev)
		return -1;
	kc_blk_name(dev, node, sizeof(node));
	fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev &&
	    (ioctl(fd, LOOP_GET_STATUS64, &info) || !(info.lo_flags & LO_FLAGS_AUTOCLEAR)))
		return fd;
	close(fd);
	return -1;
}

void kc_cow_blank(int fd)
{
	uint64_t size, range[2] = { 0 };

	if (fd < 0)
		return;
	if (ioctl(fd, BLKGETSIZE64, &size) == 0) {
		/* where kc_blk_blank() looks */
		range[1] = size < MIB ? size : MIB;
		ioctl(fd, BLKZEROOUT, range);
		range[0] = size - range[1];
		ioctl(fd, BLKZEROOUT, range);
	}
	close(fd);
}
