// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Appending to the audit file. <audit_file>.head says where the chain ends, and how
 * long the file was then: so the end of the file need not be read, and the chain
 * goes on in a new file after somebody has moved the old one away. Its lock is what
 * writers wait for: unlike the log it is never rotated.
 *
 * The order is line, head, anchor, each on the disk before the next. After a power cut
 * the file may be one line ahead of the head, and then the file is right; a file that
 * is behind its head has lost lines, and then the head is: the next line says what it
 * follows, and the gap is there for kcache audit verify to find.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <json-c/json.h>
#include <systemd/sd-journal.h>

#include "audit-file.h"
#include "kms-wire.h"

#define NEXT_FILE "see that its directory exists, is on a disk with room and is writable, or set \"audit_file\" in kcache.conf"
#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
/* longer than any line of ours */
#define TAIL_MAX 65536
/* the head, written in place: always as long, and less than a sector */
#define HEAD_FORMAT "kcache-audit 1 %015" PRIu64 " %s %020" PRIu64 " %020" PRIu64 "\n"
#define HEAD_LEN (15 + 15 + 1 + KC_CHAIN_HEX + 1 + 20 + 1 + 20 + 1)
#define HEAD_SEQ 15
#define HEAD_CHAIN (HEAD_SEQ + 15 + 1)
#define HEAD_SIZE (HEAD_CHAIN + KC_CHAIN_HEX + 1)
#define HEAD_INODE (HEAD_SIZE + 20 + 1)

/**
 * struct head - what <audit_file>.head says
 * @chain: of the line that was written last; seq 0 if nothing is known of one
 * @size, @inode: of the file when that line had been written
 */
struct head {
	struct kc_chain chain;
	uint64_t size;
	uint64_t inode;
};

/**
 * struct place - where the next line goes
 * @dir, @fd, @head_fd: the folder, the audit file, its head
 * @st: of the audit file
 * @head: as it was
 * @before: what the next line follows
 * @previous: that is not the line above it in the file, and has to be named
 * @closed: the file ends with a line feed
 */
struct place {
	const char *path;
	int dir, fd, head_fd;
	struct stat st;
	struct head head;
	struct kc_chain before;
	bool previous;
	bool closed;
};

static int log_error(const char *what, const char *path, struct kc_error *err)
{
	return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NEXT_FILE,
		       "cannot write the %s %s: %s", what, path, strerror(errno));
}

static int file_error(const char *path, struct kc_error *err)
{
	return log_error("audit file", path, err);
}

int kc_log_open(const char *what, int dir, const char *name, const char *path, int flags, int *fd,
		struct kc_error *err)
{
	struct stat st;

	*fd = openat(dir, name, O_RDWR | O_CREAT | O_DSYNC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | flags,
		     0600);
	if (*fd < 0 || fstat(*fd, &st))
		return log_error(what, path, err);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return kc_fail(err, KC_PERM, "move it away, or give it to this user with mode 0600",
			       "the %s %s is not a file that only uid %u may write", what, path,
			       (unsigned int)geteuid());
	return 0;
}

int kc_log_append(int fd, const char *line, size_t len, int64_t size, bool closed)
{
	ssize_t n;

	if (closed) {
		line++;
		len--;
	}
	n = write(fd, line, len);
	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = ENOSPC;
	if (n > 0) {
		int e = errno;

		if (ftruncate(fd, size))
			e = errno;
		errno = e;
	}
	return -1;
}

/* The directory of @path, made if it is not there; its file descriptor, or -1. */
static int open_dir(const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int fd;

	*base = slash ? slash + 1 : path;
	dir = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (!dir)
		return -1;
	fd = -1;
	if (!mkdir(dir, 0700) || errno == EEXIST)
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	return fd;
}

/* A file that has just been made is there after a power cut. */
static void sync_dir(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static void format_head(const struct head *h, char text[static HEAD_LEN + 1])
{
	snprintf(text, HEAD_LEN + 1, HEAD_FORMAT, h->chain.seq, h->chain.value, h->size, h->inode);
}

/* One that is not as format_head() writes it says nothing. */
static void read_head(int fd, struct head *h)
{
	char text[HEAD_LEN + 1] = "", same[HEAD_LEN + 1];

	memset(h, 0, sizeof(*h));
	if (pread(fd, text, HEAD_LEN, 0) != HEAD_LEN)
		return;
	h->chain.seq = strtoull(text + HEAD_SEQ, NULL, 10);
	h->size = strtoull(text + HEAD_SIZE, NULL, 10);
	h->inode = strtoull(text + HEAD_INODE, NULL, 10);
	memcpy(h->chain.value, text + HEAD_CHAIN, KC_CHAIN_HEX);
	format_head(h, same);
	if (memcmp(text, same, HEAD_LEN) != 0 || !kc_chain_valid(h->chain.value))
		memset(h, 0, sizeof(*h));
}

static int open_head(struct place *p, const char *base, struct kc_error *err)
{
	char *name, *path;
	int r;

	if (asprintf(&name, "%s.head", base) < 0)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	if (asprintf(&path, "%s.head", p->path) < 0) {
		free(name);
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	}
	r = kc_log_open("audit file's head", p->dir, name, path, 0, &p->head_fd, err);
	if (!r && flock(p->head_fd, LOCK_EX))
		r = file_error(path, err);
	free(path);
	free(name);
	return r;
}

/* Open both under the lock. What was the log while we waited for it may have been moved away since. */
static int open_both(struct place *p, const char *base, struct kc_error *err)
{
	struct stat now;
	int r, tries;

	r = kc_log_open("audit file", p->dir, base, p->path, O_APPEND, &p->fd, err);
	if (!r)
		r = open_head(p, base, err);
	for (tries = 0; !r; tries++) {
		if (fstat(p->fd, &p->st))
			return file_error(p->path, err);
		if (!fstatat(p->dir, base, &now, AT_SYMLINK_NOFOLLOW) && now.st_dev == p->st.st_dev &&
		    now.st_ino == p->st.st_ino)
			return 0;
		if (tries == 100)
			return kc_fail(err, KC_DEVICE, NULL, "the audit file %s is moved away all the time", p->path);
		close(p->fd);
		p->fd = -1;
		r = kc_log_open("audit file", p->dir, base, p->path, O_APPEND, &p->fd, err);
	}
	return r;
}

/* The place of the last line in the file that has one; seq 0 if there is none. */
static int read_tail(struct place *p, struct kc_chain *tail)
{
	off_t from = p->st.st_size > TAIL_MAX ? p->st.st_size - TAIL_MAX : 0;
	char *text = malloc(TAIL_MAX), *start = text;
	ssize_t n = text ? pread(p->fd, text, TAIL_MAX, from) : -1;

	tail->seq = 0;
	if (n > 0) {
		p->closed = text[n - 1] == '\n';
		if (from)	/* in the middle of a line */
			start = memchr(text, '\n', (size_t)n);
		if (!start || !kc_chain_tail(start, (size_t)(text + n - start), tail))
			tail->seq = 0;
	}
	free(text);
	return n < 0 ? -1 : 0;
}

/* What the next line follows. */
static int find_place(struct place *p)
{
	struct kc_chain tail = { 0 };
	struct kc_chain *known = &p->head.chain;

	p->closed = true;
	read_head(p->head_fd, &p->head);
	if (known->seq && p->head.size == (uint64_t)p->st.st_size && p->head.inode == p->st.st_ino && p->st.st_size) {
		p->before = *known;
		return 0;
	}
	if (p->st.st_size && read_tail(p, &tail))
		return -1;
	if (tail.seq > known->seq || (tail.seq && tail.seq == known->seq && !strcmp(tail.value, known->value))) {
		p->before = tail;
		return 0;
	}
	p->previous = true;
	p->before = *known;
	if (!known->seq)
		memcpy(p->before.value, KC_CHAIN_BEGIN, sizeof(KC_CHAIN_BEGIN));
	return 0;
}

static void write_head(struct place *p, const struct kc_chain *c, size_t written)
{
	struct head h = { .chain = *c, .size = (uint64_t)p->st.st_size + written, .inode = p->st.st_ino };
	char text[HEAD_LEN + 1];

	format_head(&h, text);
	/* where this fails the file is ahead of its head, and the next writer reads it */
	if (pwrite(p->head_fd, text, HEAD_LEN, 0) != HEAD_LEN)
		sd_journal_print(LOG_WARNING, "cannot write the head of the audit file %s: %s", p->path,
				 strerror(errno));
	if (!p->st.st_size)
		sync_dir(p->dir);
}

/* The line, between line feeds; @c is its place. NULL: out of memory. */
static char *make_line(const struct place *p, struct json_object *o, struct kc_chain *c)
{
	const char *body;
	size_t len = 0;
	char *line;

	c->seq = p->before.seq + 1;
	if ((p->previous && !kc_wire_add_str(o, "previous", p->before.value)) ||
	    !kc_wire_add_int(o, "seq", (int64_t)c->seq))
		return NULL;
	body = json_object_to_json_string_length(o, PLAIN, &len);
	if (!body || !kc_chain_value(p->before.value, body, len - 1, c->value) ||
	    asprintf(&line, "\n%.*s,\"chain\":\"%s\"}\n", (int)len - 1, body, c->value) < 0)
		return NULL;
	if (kc_wire_add_str(o, "chain", c->value))
		return line;
	free(line);
	return NULL;
}

static int append(struct place *p, struct json_object *o, struct kc_chain *c, struct kc_error *err)
{
	size_t len;
	char *line;
	int r = 0;

	if (find_place(p))
		return file_error(p->path, err);
	line = make_line(p, o, c);
	if (!line)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a line of the audit file");
	len = strlen(line);
	if (kc_log_append(p->fd, line, len, p->st.st_size, p->closed))
		r = file_error(p->path, err);
	else
		write_head(p, c, p->closed ? len - 1 : len);
	free(line);
	return r;
}

int kc_audit_append(const struct kc_conf *c, struct json_object *o, const char *when, struct kc_error *anchor,
		    struct kc_error *err)
{
	struct place p = { .path = c->audit_file, .fd = -1, .head_fd = -1 };
	struct kc_chain chain = { 0 };
	const char *base;
	char text[128];
	int r;

	p.dir = open_dir(p.path, &base);
	if (p.dir < 0)
		return file_error(p.path, err);
	r = open_both(&p, base, err);
	if (!r)
		r = append(&p, o, &chain, err);
	if (r) {
		json_object_object_del(o, "previous");
		json_object_object_del(o, "seq");
		json_object_object_del(o, "chain");
	} else if (when && c->audit_anchor && !kc_anchor_is_command(c->audit_anchor)) {
		/* under the lock, so that its lines are in their order */
		snprintf(text, sizeof(text), "%" PRIu64 " %s %s\n", chain.seq, chain.value, when);
		kc_anchor_write(c->audit_anchor, text, anchor);
	}
	if (p.fd >= 0)
		close(p.fd);
	if (p.head_fd >= 0)
		close(p.head_fd);	/* and the lock with it */
	close(p.dir);
	return r;
}
