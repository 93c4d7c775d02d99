// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The audit trail: one JSON line and one journal entry an event.
 *
 * The file is appended to under flock(), so that a line that could not be
 * written whole (disk full) is taken back, and one that a power cut left half
 * is closed with a line feed before the next. json-c writes the JSON: names on
 * disks and in headers are other people's, and must not forge a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <systemd/sd-journal.h>

#include "audit.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define NEXT_FILE "see that its directory exists, is on a disk with room and is writable, or set \"audit_file\" in kcache.conf"
#define FIELDS_MAX 24

static void utc_now(char *out, size_t size)
{
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, size - n, ".%03ldZ", t.tv_nsec / 1000000);
}

static void user_name(char *out, size_t size)
{
	char buf[1024];
	struct passwd pw, *found = NULL;

	if (!getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) && found)
		snprintf(out, size, "%s", pw.pw_name);
	else
		snprintf(out, size, "%u", (unsigned int)getuid());
}

static bool add(struct json_object *o, const char *name, const char *value)
{
	struct json_object *v;

	if (!value || !*value)
		return true;
	v = json_object_new_string(value);
	if (v && !json_object_object_add(o, name, v))
		return true;
	json_object_put(v);
	return false;
}

static bool add_int(struct json_object *o, const char *name, int64_t value)
{
	struct json_object *v = json_object_new_int64(value);

	if (v && !json_object_object_add(o, name, v))
		return true;
	json_object_put(v);
	return false;
}

/* The event as JSON; NULL when out of memory. EBS's names where it has one. */
static struct json_object *event_json(const struct kc_event *e)
{
	struct json_object *o = json_object_new_object();
	char when[40], host[65] = "", user[64];
	const struct kc_error *x = e->err;

	utc_now(when, sizeof(when));
	gethostname(host, sizeof(host) - 1);
	user_name(user, sizeof(user));
	if (o && add(o, "time", when) && add(o, "event", e->event) &&
	    add(o, "result", x ? "failed" : "succeeded") &&
	    add(o, "cause", x ? x->text : NULL) && add(o, "error", x ? x->provider_error : NULL) &&
	    (!x || add_int(o, "exit-code", x->code)) &&
	    add(o, "kind", e->kind) && add(o, "volume", e->volume) && add(o, "device", e->device) && add(o, "name", e->name) &&
	    add(o, "key", e->key) && add(o, "source-key", e->source_key) &&
	    add(o, "wrapped-by", e->wrapped_by) && add(o, "proven-by", e->proven_by) &&
	    add(o, "request-id", e->request_id) &&
	    add(o, "host", host) && add(o, "user", user) && add_int(o, "uid", getuid()) &&
	    add_int(o, "pid", getpid()))
		return o;
	json_object_put(o);
	return NULL;
}

static char *__attribute__((format(printf, 1, 2))) format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

/* "request-id" as the journal spells it: KCACHE_REQUEST_ID. */
static char *journal_field(const char *name, const char *value)
{
	char *field = format("KCACHE_%s=%s", name, value), *p;

	for (p = field; p && *p != '='; p++) {
		if (*p == '-')
			*p = '_';
		else if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	}
	return field;
}

/* true only if a journal is there and took it: sd-journal is silent about a missing one */
static bool to_journal(const struct kc_event *e, struct json_object *o)
{
	char *fields[FIELDS_MAX] = { NULL };
	struct iovec iov[FIELDS_MAX];
	size_t n = 0, i;
	bool ok = true;

	if (access(JOURNAL_SOCKET, F_OK))
		return false;
	fields[n++] = format("MESSAGE=%s %s%s%s%s%s", e->event, e->err ? "failed" : "succeeded",
			     e->volume ? " for volume " : "", e->volume ? e->volume : "",
			     e->err ? ": " : "", e->err ? e->err->text : "");
	fields[n++] = format("PRIORITY=%d", e->err ? LOG_WARNING : LOG_INFO);
	fields[n++] = format("SYSLOG_IDENTIFIER=kcache");
	json_object_object_foreach(o, name, value)
		if (n < FIELDS_MAX)
			fields[n++] = journal_field(name, json_object_get_string(value));
	for (i = 0; i < n; i++) {
		ok = ok && fields[i];
		if (ok)
			iov[i] = (struct iovec){ .iov_base = fields[i], .iov_len = strlen(fields[i]) };
	}
	ok = ok && !sd_journal_sendv(iov, (int)n);
	for (i = 0; i < n; i++)
		free(fields[i]);
	return ok;
}

static int file_error(const char *path, struct kc_error *err)
{
	return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NEXT_FILE,
		       "cannot write the audit file %s: %s", path, strerror(errno));
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

static int append_line(int fd, const char *line, size_t len)
{
	struct stat st;
	char last = '\n';
	ssize_t n;

	if (flock(fd, LOCK_EX) || fstat(fd, &st))
		return -1;
	if (st.st_size && pread(fd, &last, 1, st.st_size - 1) != 1)
		return -1;
	/* @line begins with a line feed, for the case that the last one has none */
	if (last == '\n') {
		line++;
		len--;
	}
	n = write(fd, line, len);
	if (n == (ssize_t)len)
		return fsync(fd);
	if (n >= 0)
		errno = ENOSPC;
	if (n > 0) {
		int e = errno;

		if (ftruncate(fd, st.st_size))
			e = errno;
		errno = e;
	}
	return -1;
}

static int to_file(const char *path, struct json_object *o, struct kc_error *err)
{
	const char *base;
	struct stat st;
	int dir, fd, r = 0;
	char *line;

	dir = open_dir(path, &base);
	if (dir < 0)
		return file_error(path, err);
	fd = openat(dir, base, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
		    0600);
	line = format("\n%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								JSON_C_TO_STRING_NOSLASHESCAPE));
	if (fd < 0 || !line || fstat(fd, &st)) {
		r = file_error(path, err);
	} else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH))) {
		r = kc_fail(err, KC_PERM, "move it away, or give it to this user with mode 0600",
			    "the audit file %s is not a file that only uid %u may write", path,
			    (unsigned int)geteuid());
	} else if (append_line(fd, line, strlen(line))) {
		r = file_error(path, err);
	}
	free(line);
	if (fd >= 0)
		close(fd);	/* and the lock with it */
	close(dir);
	return r;
}

int kc_audit(const struct kc_conf *c, const struct kc_event *e, struct kc_error *err)
{
	struct json_object *o = event_json(e);
	struct kc_error file = { 0 };
	bool journal;
	int r = 0;

	if (!o)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	if (strcmp(c->audit_file, "none"))
		r = to_file(c->audit_file, o, &file);
	journal = to_journal(e, o);
	json_object_put(o);
	if (!r)
		return 0;
	if (journal) {
		sd_journal_print(LOG_ERR, "%s (%s)", file.text, file.next);
		return 0;
	}
	if (err && err->code == KC_OK)
		*err = file;
	return r;
}
