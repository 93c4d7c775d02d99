// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache audit list: events from the audit file, a line each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "kcache.h"
#include "token.h"
#include "when.h"

#define NEXT_FILE "see audit_file in kcache.conf(5)"

/**
 * struct query - what is asked for
 * @since: as an event's time; empty for all
 * @volume: a UUID; empty for all
 * @events: where they are wanted as JSON
 * @not_read: lines that are no events
 */
struct query {
	struct kc_run *r;
	char since[KC_WHEN_LEN + 1];
	char volume[37];
	struct json_object *events;
	unsigned long not_read;
};

int check_audit_list(struct kc_run *r)
{
	char when[KC_WHEN_LEN + 1];

	return kc_given(r, OPT_SINCE) ? kc_when(r->opt[OPT_SINCE], time(NULL), when, &r->err) : 0;
}

static const char *text_of(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_string(v) : NULL;
}

/* Names on disks are other people's: nothing in them is for a terminal to obey. */
static void print_cell(struct json_object *o, const char *name, int width)
{
	const char *text = text_of(o, name), *s;
	int n = 0;

	for (s = text && *text ? text : "-"; *s; s++, n++)
		putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
	printf("%*s", n < width ? width - n + 1 : 1, "");
}

static void print_event(struct json_object *o)
{
	char by[160];

	print_cell(o, "time", KC_WHEN_LEN);
	print_cell(o, "event", 20);
	print_cell(o, "volume", KC_UUID_LEN);
	print_cell(o, "key", 42);
	print_cell(o, "result", 9);
	snprintf(by, sizeof(by), "%.64s/%.64s", text_of(o, "host") ? text_of(o, "host") : "-",
		 text_of(o, "user") ? text_of(o, "user") : "-");
	printf("%-20s ", by);
	print_cell(o, "cause", 0);
	putchar('\n');
}

static bool wanted(const struct query *q, struct json_object *o)
{
	const char *when = text_of(o, "time"), *volume = text_of(o, "volume");

	/* one whose time cannot be read is not hidden */
	if (q->since[0] && when && strlen(when) == KC_WHEN_LEN && strcmp(when, q->since) < 0)
		return false;
	return !q->volume[0] || (volume && !strcmp(volume, q->volume));
}

static void take_line(struct query *q, const char *line)
{
	enum json_tokener_error e;
	struct json_object *o = json_tokener_parse_verbose(line, &e);

	if (!o || !json_object_is_type(o, json_type_object)) {
		q->not_read++;
		json_object_put(o);
	} else if (!wanted(q, o)) {
		json_object_put(o);
	} else if (q->events) {
		kc_json_push(q->events, o);
	} else {
		print_event(o);
		json_object_put(o);
	}
}

static int read_file(struct query *q)
{
	const char *path = q->r->conf.audit_file;
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!f)
		return kc_fail(&q->r->err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NEXT_FILE,
			       "cannot read the audit file %s: %s", path, strerror(errno));
	while (getline(&line, &size, f) > 0)
		take_line(q, line);
	if (ferror(f))
		ret = kc_fail(&q->r->err, KC_DEVICE, NEXT_FILE, "cannot read the audit file %s: %s", path, strerror(errno));
	free(line);
	fclose(f);
	return ret;
}

static int print_json(struct query *q)
{
	struct json_object *o = kc_json_new();

	kc_json_put(o, "events", q->events);
	return kc_json_print(q->r, o);
}

int cmd_audit_list(struct kc_run *r)
{
	struct query q = { .r = r };
	int ret = 0;

	if (!strcmp(r->conf.audit_file, "none"))
		return kc_fail(&r->err, KC_USAGE, "journalctl SYSLOG_IDENTIFIER=kcache has the events",
			       "audit_file is \"none\": there is no audit file");
	if (kc_given(r, OPT_SINCE))
		ret = kc_when(r->opt[OPT_SINCE], time(NULL), q.since, &r->err);
	if (!ret && kc_given(r, OPT_VOLUME))
		ret = kc_volume_id(r, r->opt[OPT_VOLUME], q.volume);
	if (ret)
		return ret;
	r->device[0] = '\0';
	if (kc_given(r, OPT_JSON))
		q.events = kc_json_array();
	else if (!kc_given(r, OPT_NO_HEADINGS))
		printf("%-24s %-20s %-36s %-42s %-9s %-20s %s\n", "TIME", "EVENT", "VOLUME", "KEY", "RESULT", "HOST/USER",
		       "CAUSE");
	ret = read_file(&q);
	if (q.not_read)
		kc_warn(r, "%lu lines of %s are no events; kcache audit verify says which", q.not_read, r->conf.audit_file);
	if (ret)
		kc_json_drop(q.events);
	else if (q.events)
		ret = print_json(&q);
	return ret;
}
