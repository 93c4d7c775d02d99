// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The audit trail: one JSON line and one journal entry an event.
 *
 * audit-file.c appends the line: one that could not be written whole (disk full)
 * is taken back, and one that a power cut left half is closed with a line feed
 * before the next. json-c writes the JSON: names on disks and in headers are other
 * people's, and must not forge a line.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <systemd/sd-journal.h>

#include "audit-file.h"
#include "audit.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 48	/* every member of an event is one */

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
	    add(o, "snapshot", e->snapshot) &&
	    add(o, "source-volume", e->source_volume) &&
	    add(o, "wrapped-by", e->wrapped_by) && add(o, "proven-by", e->proven_by) &&
	    add(o, "alias", e->alias) && add(o, "grant", e->grant) && add(o, "grantee", e->grantee) &&
	    add(o, "file", e->file) &&
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
static bool to_journal(const struct kc_conf *c, const struct kc_event *e, struct json_object *o)
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
	/* whose line this is: KCACHE_SEQ and KCACHE_CHAIN are an anchor of that file */
	if (json_object_object_get_ex(o, "chain", NULL))
		fields[n++] = format("KCACHE_AUDIT_FILE=%s", c->audit_file);
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

static void (*on_warning)(const struct kc_error *e, void *data);
static void *warning_data;

void kc_audit_on_warning(void (*fn)(const struct kc_error *e, void *data), void *data)
{
	on_warning = fn;
	warning_data = data;
}

/* A file has it already. */
static void anchor_by_command(const struct kc_conf *c, struct json_object *o, struct kc_error *err)
{
	struct json_object *seq = json_object_object_get(o, "seq");
	struct json_object *chain = json_object_object_get(o, "chain");
	char text[128];

	if (!seq || !chain || !c->audit_anchor || !kc_anchor_is_command(c->audit_anchor))
		return;
	snprintf(text, sizeof(text), "%" PRId64 " %s %s\n", json_object_get_int64(seq), json_object_get_string(chain),
		 json_object_get_string(json_object_object_get(o, "time")));
	kc_anchor_write(c->audit_anchor, text, err);
}

/* One event to where events go; @anchor is why its head was not anchored. */
static int record(const struct kc_conf *c, const struct kc_event *e, bool anchored, struct kc_error *anchor,
		  struct kc_error *err)
{
	struct json_object *o = event_json(e), *when;
	struct kc_error file = { 0 };
	bool journal;
	int r = 0;

	if (!o)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	when = json_object_object_get(o, "time");
	if (strcmp(c->audit_file, "none") != 0)
		r = kc_audit_append(c, o, anchored ? json_object_get_string(when) : NULL, anchor, &file);
	journal = to_journal(c, e, o);
	if (anchored)
		anchor_by_command(c, o, anchor);
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

int kc_audit(const struct kc_conf *c, const struct kc_event *e, struct kc_error *err)
{
	struct kc_error anchor = { 0 };
	int r = record(c, e, true, &anchor, err);

	if (anchor.code == KC_OK)
		return r;
	if (on_warning)
		on_warning(&anchor, warning_data);
	/* this one's own head is left for the next event to anchor */
	record(c, &(struct kc_event){ .event = "anchorAudit", .err = &anchor }, false, NULL, NULL);
	return r;
}
