// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads what may hold credentials (files, what a program prints) into pages for
 * secrets, without stdio's buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "creds-private.h"

#define TEXT_MAX 65536

void aws_text_free(struct aws_text *t)
{
	kc_secret_free(t->data, t->size);
	memset(t, 0, sizeof(*t));
}


/* Wait for a pipe: a program may take as long as the command has. */
static int readable(struct kh *k, int fd, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, kh_time_left(k));
	while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : kh_fail(k, KH_TIMEOUT, "%s did not come to an end in time", what);
}

/* All of it into @t, or -1. */
static int fill(struct kh *k, int fd, const char *what, struct aws_text *t)
{
	ssize_t n = 1;

	while (n && t->len <= TEXT_MAX) {
		if (readable(k, fd, what))
			return -1;
		n = read(fd, t->data + t->len, t->size - t->len);
		if (n < 0 && errno != EINTR)
			return kh_fail(k, KH_CREDENTIALS, "cannot read %s: %s", what, strerror(errno));
		t->len += n > 0 ? (size_t)n : 0;
	}
	if (t->len > TEXT_MAX)
		return kh_fail(k, KH_CREDENTIALS, "%s is longer than %d bytes", what, TEXT_MAX);
	if (memchr(t->data, '\0', t->len))
		return kh_fail(k, KH_CREDENTIALS, "there is a NUL byte in %s", what);
	t->data[t->len] = '\0';
	return 0;
}

int aws_text_read(struct kh *k, int fd, const char *what, struct aws_text *t)
{
	memset(t, 0, sizeof(*t));
	t->size = TEXT_MAX + 1;
	t->data = kc_secret_alloc(t->size, NULL);
	if (!t->data)
		return kh_fail(k, KH_NO_MEMORY, "out of memory for %s", what);
	if (!fill(k, fd, what, t))
		return 0;
	aws_text_free(t);
	return -1;
}

static int check(struct kh *k, int fd, const char *path, bool config)
{
	struct stat st;

	if (fstat(fd, &st))
		return kh_fail(k, KH_CREDENTIALS, "cannot examine %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kh_fail(k, KH_CREDENTIALS, "%s is not a regular file", path);
	if (!config)
		return 0;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		kh_fail(k, KH_CREDENTIALS, "%s belongs to user %u, who could have any program run", path, st.st_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		kh_fail(k, KH_CREDENTIALS, "%s may be written by others (mode %04o), who could have any program run",
			path, st.st_mode & 07777);
	else
		return 0;
	return kh_next(k, "chown it to root and chmod it go-w");
}

int aws_text_file(struct kh *k, const char *path, bool config, struct aws_text *t)
{
	/* O_NONBLOCK: a fifo must not hang us before it is refused */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

	memset(t, 0, sizeof(*t));
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 1;
	if (fd < 0)
		return kh_fail(k, KH_CREDENTIALS, "cannot open %s: %s", path, strerror(errno));
	r = check(k, fd, path, config);
	if (!r)
		r = aws_text_read(k, fd, path, t);
	close(fd);
	return r;
}

int aws_text_line(struct kh *k, struct aws_text *t, const char *what)
{
	size_t i;

	while (t->len && strchr(" \t\r\n", t->data[t->len - 1]))
		t->data[--t->len] = '\0';
	for (i = 0; i < t->len && (unsigned char)t->data[i] >= ' ' && t->data[i] != 0x7f; i++)
		;
	return t->len && i == t->len ? 0 : kh_fail(k, KH_CREDENTIALS, "%s is not one line of text", what);
}
