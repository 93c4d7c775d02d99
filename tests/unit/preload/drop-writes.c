// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LD_PRELOAD: a device that says it has written, and has not, or that fails.
 *
 * DROP_FILE is the file, DROP_FROM and DROP_TO the bytes that writes to it leave as they
 * are; with DROP_ERROR they return EIO instead.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool dropped(int fd, size_t len, off_t offset)
{
	const char *path = getenv("DROP_FILE"), *from = getenv("DROP_FROM"), *to = getenv("DROP_TO");
	struct stat a, b;

	if (!path || !from || !to || stat(path, &a) || fstat(fd, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return false;
	return offset < atoll(to) && offset + (off_t)len > atoll(from);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
	__typeof__(&pwrite) real = (__typeof__(&pwrite))dlsym(RTLD_NEXT, "pwrite");

	if (!dropped(fd, len, offset))
		return real(fd, p, len, offset);
	if (getenv("DROP_ERROR")) {
		errno = EIO;
		return -1;
	}
	return (ssize_t)len;
}

ssize_t write(int fd, const void *p, size_t len)
{
	__typeof__(&write) real = (__typeof__(&write))dlsym(RTLD_NEXT, "write");
	off_t offset = lseek(fd, 0, SEEK_CUR);

	if (offset < 0 || !dropped(fd, len, offset))
		return real(fd, p, len);
	if (getenv("DROP_ERROR")) {
		errno = EIO;
		return -1;
	}
	lseek(fd, (off_t)len, SEEK_CUR);
	return (ssize_t)len;
}

ssize_t pwrite64(int fd, const void *p, size_t len, off64_t offset)
{
	return pwrite(fd, p, len, offset);
}
