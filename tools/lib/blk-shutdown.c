// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a filesystem whose device has lost its key. Left alone it would go on from
 * the page cache, and find out with each write by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk-private.h"
#include "blk.h"

/* XFS's, which ext4, f2fs and others have taken over; linux/fs.h has it since 6.19 only */
#define FS_SHUTDOWN _IOR('X', 125, __u32)
#define NO_LOG_FLUSH 2U

#define FILESYSTEMS_MAX 64

static int shut_down(struct libmnt_fs *fs)
{
	__u32 how = NO_LOG_FLUSH;
	int fd = open(mnt_fs_get_target(fs), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int e = 0;

	if (fd < 0)
		return errno;
	/* what is mounted over it must not be shut down in its place */
	if (fstat(fd, &st) || st.st_dev != mnt_fs_get_devno(fs))
		e = ESTALE;
	else if (ioctl(fd, FS_SHUTDOWN, &how))
		e = errno;
	close(fd);
	return e;
}

void kc_blk_shutdown(dev_t dev, void (*told)(const char *mountpoint, int e, void *data), void *data)
{
	struct libmnt_table *mounts = mnt_new_table();
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	dev_t done[FILESYSTEMS_MAX];
	struct libmnt_fs *fs;
	size_t n = 0, i;
	int e;

	if (!mounts || !it || mnt_table_parse_file(mounts, "/proc/self/mountinfo"))
		goto out;
	while (mnt_table_next_fs(mounts, it, &fs) == 0) {
		if (!kc_blk_fs_is_on(fs, dev))
			continue;
		/* one filesystem, mounted in several places */
		for (i = 0; i < n && done[i] != mnt_fs_get_devno(fs); i++)
			;
		if (i < n)
			continue;
		e = shut_down(fs);
		told(mnt_fs_get_target(fs), e, data);
		if (!e && n < FILESYSTEMS_MAX)
			done[n++] = mnt_fs_get_devno(fs);
	}
out:
	mnt_free_iter(it);
	mnt_unref_table(mounts);
}
