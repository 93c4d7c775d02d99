// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a device and its plain facts. Nothing here writes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkzoned.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blk.h"

static int block_facts(struct kc_blk *b, struct kc_error *err)
{
	int ro = 0, ssz = 0;
	uint32_t zone = 0;

	if (ioctl(b->fd, BLKGETSIZE64, &b->size) || ioctl(b->fd, BLKSSZGET, &ssz) || ioctl(b->fd, BLKROGET, &ro))
		return kc_fail(err, KC_DEVICE, NULL, "cannot ask for its size: %s", strerror(errno));
	b->sector_size = (unsigned int)ssz;
	b->read_only = ro != 0;
	/* 0 sectors: not zoned; kernels without zone support do not know the question */
	b->zoned = ioctl(b->fd, BLKGETZONESZ, &zone) == 0 && zone != 0;
	return 0;
}

int kc_blk_open(const char *path, struct kc_blk *b, struct kc_error *err)
{
	struct stat st;

	memset(b, 0, sizeof(*b));
	b->path = path;
	b->claim_fd = -1;
	/* O_NONBLOCK: a drive without a medium, or a FIFO, must not hang us */
	b->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (b->fd < 0 && (errno == EACCES || errno == EPERM))
		return kc_fail(err, KC_PERM, "run it as root", "cannot open it: %s", strerror(errno));
	if (b->fd < 0)
		return kc_fail(err, KC_DEVICE, errno == ENOENT ? "lsblk lists the devices of this host" : NULL,
			       "cannot open it: %s", strerror(errno));
	if (fstat(b->fd, &st))
		return kc_fail(err, KC_DEVICE, NULL, "cannot stat it: %s", strerror(errno));
	if (S_ISBLK(st.st_mode)) {
		b->dev = st.st_rdev;
		return block_facts(b, err);
	}
	if (!S_ISREG(st.st_mode))
		return kc_fail(err, KC_DEVICE, NULL, "it is neither a block device nor a file");
	b->is_file = true;
	b->size = (uint64_t)st.st_size;
	b->sector_size = 512;
	b->read_only = access(path, W_OK) != 0;
	return 0;
}

void kc_blk_close(struct kc_blk *b)
{
	kc_blk_release(b);
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

/* The loop device that has @b's file behind it, if there is one. */
static bool behind_loop(const struct kc_blk *b, char *loop, size_t size)
{
	struct loop_info64 info;
	struct stat st;
	struct dirent *e;
	bool found = false;
	DIR *d;

	if (fstat(b->fd, &st))
		return false;
	d = opendir("/sys/block");
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		int fd;

		if (strncmp(e->d_name, "loop", 4) != 0)
			continue;
		snprintf(loop, size, "/dev/%s", e->d_name);
		fd = open(loop, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		found = ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == st.st_dev &&
			info.lo_inode == st.st_ino;
		close(fd);
	}
	closedir(d);
	return found;
}

static int busy(const struct kc_blk *b, struct kc_error *err)
{
	char users[512];

	if (kc_blk_users(b->dev, users, sizeof(users)))
		return kc_fail(err, KC_BUSY, "release it first", "it is in use: %s", users);
	return kc_fail(err, KC_BUSY, "release it first", "it is in use");
}

int kc_blk_claim(struct kc_blk *b, bool writable, struct kc_error *err)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | (b->is_file ? 0 : O_EXCL);
	char path[64], loop[280];
	struct stat st;

	if (writable && b->read_only)
		return kc_fail(err, KC_DEVICE, NULL, "it is read-only");
	if (b->is_file && behind_loop(b, loop, sizeof(loop)))
		return kc_fail(err, KC_BUSY, "use the loop device, or detach it first",
			       "it is in use: %s stands on it", loop);

	/* through the descriptor that we have: whatever the path names by now */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", b->fd);
	b->claim_fd = open(path, flags);
	if (b->claim_fd < 0 && errno == EBUSY)
		return busy(b, err);
	if (b->claim_fd < 0 && errno == EROFS)
		return kc_fail(err, KC_DEVICE, NULL, "it is read-only");
	if (b->claim_fd < 0)
		return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NULL,
			       "cannot open it exclusively: %s", strerror(errno));
	if (fstat(b->claim_fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev != b->dev)
		return kc_fail(err, KC_DEVICE, "try again", "it changed while it was being opened");
	return 0;
}

void kc_blk_release(struct kc_blk *b)
{
	if (b->claim_fd >= 0)
		close(b->claim_fd);
	b->claim_fd = -1;
}
