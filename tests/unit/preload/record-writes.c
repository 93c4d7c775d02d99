// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LD_PRELOAD: records what a program writes to one file, in order, so that a
 * test can rebuild the file as a power cut would have left it.
 *
 * RECORD_FILE is the file or device, RECORD_LOG the log: for each write a line
 * "write OFFSET LENGTH" and the bytes; for each fsync() a line "sync". One
 * process and thread writes at a time.
 *
 * RECORD_PAUSE=N instead: says "paused after write N" on stderr once N writes are
 * done, and waits there for whoever cuts the power, or sends a signal that is handled.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static bool watched(int fd)
{
	const char *path = getenv("RECORD_FILE");
	struct stat a, b;

	if (!path || stat(path, &a) || fstat(fd, &b))
		return false;
	if (S_ISBLK(a.st_mode))
		return S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void append(const void *p, size_t len)
{
	const char *path = getenv("RECORD_LOG");
	int fd;

	if (getenv("RECORD_PAUSE"))
		return;
	fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	if (fd < 0 || REAL(write)(fd, p, len) != (ssize_t)len)
		abort();
	close(fd);
}

static void record(long long offset, const void *p, ssize_t len)
{
	const char *pause_at = getenv("RECORD_PAUSE");
	sigset_t all, before;
	static int done;
	char line[64];

	if (len <= 0)
		return;
	if (pause_at && ++done == atoi(pause_at)) {
		sigfillset(&all);
		/* none between the words and the wait for it */
		sigprocmask(SIG_SETMASK, &all, &before);
		fprintf(stderr, "paused after write %d\n", done);
		sigsuspend(&before);
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	append(line, (size_t)snprintf(line, sizeof(line), "write %lld %zd\n", offset, len));
	append(p, (size_t)len);
}

ssize_t write(int fd, const void *p, size_t len)
{
	bool w = watched(fd);
	long long offset = w ? (long long)lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t n = REAL(write)(fd, p, len);

	if (w)
		record(offset, p, n);
	return n;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
	ssize_t n = REAL(pwrite)(fd, p, len, offset);

	if (watched(fd))
		record(offset, p, n);
	return n;
}

ssize_t pwrite64(int fd, const void *p, size_t len, off64_t offset)
{
	return pwrite(fd, p, len, offset);
}

/* What is not taken apart here must not pass unseen. */
ssize_t writev(int fd, const struct iovec *v, int n)
{
	if (watched(fd))
		abort();
	return REAL(writev)(fd, v, n);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t offset)
{
	if (watched(fd))
		abort();
	return REAL(pwritev)(fd, v, n, offset);
}

int ftruncate(int fd, off_t len)
{
	if (watched(fd) && !getenv("RECORD_PAUSE"))
		abort();
	return REAL(ftruncate)(fd, len);
}

/* A hole reads as zeros: as if they had been written. */
int fallocate(int fd, int mode, off_t offset, off_t len)
{
	const bool w = watched(fd);
	int ret = REAL(fallocate)(fd, mode, offset, len);
	void *zeros;

	if (!w || ret)
		return ret;
	zeros = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ? calloc(1, (size_t)len) : NULL;
	if (!zeros)
		abort();
	record(offset, zeros, len);
	free(zeros);
	return 0;
}

static void synced(int fd)
{
	if (watched(fd))
		append("sync\n", 5);
}

int fsync(int fd)
{
	synced(fd);
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	synced(fd);
	return REAL(fdatasync)(fd);
}
