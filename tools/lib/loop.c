// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blk.h"
#include "loop.h"
#include "sysfs.h"

static int failed(struct kc_error *err, const char *doing)
{
	int e = errno;

	kc_fail(err, e == EACCES || e == EPERM ? KC_PERM : KC_DEVICE,
		e == EACCES || e == EPERM ? "run it as root" : "as root: modprobe loop",
		"it is a file, and a loop device for it cannot be had (%s): %s", doing, strerror(e));
	return -1;
}

int kc_loop_setup(int fd, bool read_only, dev_t *dev, struct kc_error *err)
{
	struct loop_config config = {
		.fd = (unsigned int)fd,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0),
	};
	int control, loop, n, tries;
	struct stat st;
	char path[32], link[48];

	/* for people who look with losetup; the kernel itself goes by the descriptor */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, (char *)config.info.lo_file_name, LO_NAME_SIZE - 1) < 0)
		config.info.lo_file_name[0] = '\0';

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return failed(err, "/dev/loop-control");
	/* another process may take the free one first: ask again */
	for (tries = 0; tries < 16; tries++) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		if (n < 0)
			break;
		snprintf(path, sizeof(path), "/dev/loop%d", n);
		loop = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (loop < 0)
			break;
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0 && fstat(loop, &st) == 0) {
			close(control);
			*dev = st.st_rdev;
			return loop;
		}
		close(loop);
		if (errno != EBUSY)
			break;
	}
	failed(err, "LOOP_CONFIGURE");
	close(control);
	return -1;
}

/* Bytes of the file behind @dev; 0 if that cannot be told, because it was removed for instance. */
static uint64_t file_size(dev_t dev)
{
	char file[PATH_MAX];
	struct stat st;

	if (!kc_sysfs_attr(dev, "loop/backing_file", file, sizeof(file)) || stat(file, &st) || !S_ISREG(st.st_mode))
		return 0;
	return (uint64_t)st.st_size;
}

int kc_loop_grow(dev_t dev, struct kc_error *err)
{
	uint64_t size;
	char node[64];
	int fd, e = 0;

	if (major(dev) != LOOP_MAJOR)
		return 0;
	kc_blk_name(dev, node, sizeof(node));
	fd = open(node, O_RDONLY | O_CLOEXEC);
	/* an offset or a limit is taken into account by the kernel */
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) ||
	    (file_size(dev) > size && ioctl(fd, LOOP_SET_CAPACITY, 0)))
		e = errno;
	if (fd >= 0)
		close(fd);
	if (!e)
		return 0;
	return kc_fail(err, e == EACCES || e == EPERM ? KC_PERM : KC_DEVICE, NULL,
		       "cannot have %s take over the size of its file: %s", node, strerror(e));
}
