// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache check: would every volume that this host knows attach now? For each its KMS is
 * asked for the DEK, which is verified and wiped; nothing is changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "blk.h"
#include "examine.h"
#include "pins.h"
#include "stop.h"

/**
 * struct row - a volume
 * @node: its device; empty for a known volume whose device is not here
 * @result: "ok", "warning", "failed", "absent"; NULL for what was not come to
 * @why: failure and warnings, with their next steps
 * @warnings: JSON, with --json
 * @code: what failed would exit with
 */
struct row {
	char node[256];
	struct kc_examined x;
	const char *result;
	char why[1536];
	struct json_object *warnings;
	int code;
};

struct check {
	struct kc_run *r;
	struct row *row;
	size_t n;
	struct row *now;
	struct json_object *host_warnings;
};

static struct row *new_row(struct check *k, const char *node, const char *uuid)
{
	struct row *more = realloc(k->row, (k->n + 1) * sizeof(*more));

	if (!more) {
		kc_fail(&k->r->err, KC_NOMEM, NULL, "out of memory");
		return NULL;
	}
	k->row = more;
	more += k->n++;
	memset(more, 0, sizeof(*more));
	snprintf(more->node, sizeof(more->node), "%s", node);
	snprintf(more->x.uuid, sizeof(more->x.uuid), "%s", uuid);
	return more;
}

static void append(char *text, size_t size, const struct kc_error *e)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s%s%s%s%s%s", used ? "; " : "", e->text,
		 e->provider_error[0] ? " [" : "", e->provider_error, e->provider_error[0] ? "]" : "",
		 e->next[0] ? "; " : "", e->next);
}

static void tell_volume(enum kc_step_result result, const char *name, const struct kc_error *e, void *data)
{
	struct check *k = data;
	struct row *row = k->now;

	kc_verbose(k->r, "%s: %s: %s", row->node, name, e->text);
	if (result == KC_STEP_OK)
		return;
	append(row->why, sizeof(row->why), e);
	if (result == KC_STEP_WARNING && row->warnings) {
		struct json_object *w = kc_json_object();

		kc_json_str(w, "step", name);
		kc_json_str(w, "text", e->text);
		kc_json_str(w, "next", e->next);
		kc_json_push(row->warnings, w);
	}
	if (!row->result || result == KC_STEP_FAILED)
		row->result = result == KC_STEP_FAILED ? "failed" : "warning";
}

/* What is wrong with the host concerns all volumes: on stderr, and in the JSON. */
static void tell_host(enum kc_step_result result, const char *name, const struct kc_error *e, void *data)
{
	struct check *k = data;
	struct json_object *w;

	kc_verbose(k->r, "%s: %s", name, e->text);
	if (result == KC_STEP_OK)
		return;
	/* a failure is the error that the command ends with, unless a volume has one */
	if (result == KC_STEP_WARNING)
		kc_warn(k->r, "%s%s%s", e->text, e->next[0] ? "; " : "", e->next);
	if (!k->host_warnings)
		return;
	w = kc_json_object();
	kc_json_str(w, "step", name);
	kc_json_str(w, "text", e->text);
	kc_json_str(w, "next", e->next);
	kc_json_push(k->host_warnings, w);
}

static void examine(struct check *k, struct row *row)
{
	struct kc_steps s = { .r = k->r, .tell = tell_volume, .data = k };
	char known[sizeof(row->x.uuid)];
	struct kc_run *r = k->r;

	memcpy(known, row->x.uuid, sizeof(known));
	k->now = row;
	if (kc_given(r, OPT_JSON))
		row->warnings = kc_json_array();
	row->code = kc_examine_volume(&s, row->node, &row->x);
	if (!row->x.uuid[0])
		memcpy(row->x.uuid, known, sizeof(known));
	if (!row->result)
		row->result = "ok";
	if (row->code)
		row->result = "failed";
	if (row->x.uuid[0] && !kc_stopped())
		kc_audit_event(r, &(struct kc_event){
			.event = "checkVolume",
			.volume = row->x.uuid,
			.device = row->node,
			.key = row->x.key[0] ? row->x.key : NULL,
			.err = row->code ? &s.first : NULL,
		});
}

/* The block devices of known volumes, and the known volumes without one. */

struct seen {
	struct check *k;
	struct row *all;
	size_t n;
};

static int see(const char *node, const char *uuid, void *data)
{
	return new_row(data, node, uuid) ? 0 : KC_NOMEM;
}

static int want(const struct kc_known *known, void *data)
{
	struct seen *s = data;
	bool here = false;
	struct row *row;
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->all[i].x.uuid, known->uuid))
			continue;
		here = true;
		if (!new_row(s->k, s->all[i].node, known->uuid))
			return KC_NOMEM;
	}
	if (here)
		return 0;
	row = new_row(s->k, "", known->uuid);
	if (!row)
		return KC_NOMEM;
	row->result = "absent";
	snprintf(row->why, sizeof(row->why),
		 "its device is not here; if it is gone for good, remove volumes/%s.json from the state directory",
		 known->uuid);
	return 0;
}

static int list(struct check *k)
{
	struct check all = { .r = k->r };
	struct seen s = { .k = k };
	struct kc_run *r = k->r;
	int i, ret = 0;

	for (i = 0; !ret && i < r->n_arg; i++)
		ret = new_row(k, r->arg[i], "") ? 0 : KC_NOMEM;
	if (ret || r->n_arg)
		return ret;
	ret = kc_blk_scan(see, &all, &r->err);
	s.all = all.row;
	s.n = all.n;
	if (!ret)
		ret = kc_known_each(&r->conf, want, &s, &r->err);
	free(all.row);
	return ret;
}

static const char *or_dash(const char *s)
{
	return *s ? s : "-";
}

static size_t count(const struct check *k, const char *result)
{
	size_t i, n = 0;

	for (i = 0; i < k->n; i++)
		n += k->row[i].result && !strcmp(k->row[i].result, result);
	return n;
}

static void print_text(const struct check *k)
{
	size_t i;

	if (!kc_given(k->r, OPT_NO_HEADINGS) && k->n)
		printf("%-36s %-20s %-8s %-42s %s\n", "VOLUME", "DEVICE", "RESULT", "KEY", "WHY");
	for (i = 0; i < k->n; i++) {
		const struct row *row = &k->row[i];

		printf("%-36s %-20s %-8s %-42s %s\n", or_dash(row->x.uuid), or_dash(row->node),
		       row->result ? row->result : "-", or_dash(row->x.key), or_dash(row->why));
	}
}

static int print_json(struct check *k)
{
	struct json_object *o = kc_json_new(), *rows = kc_json_array();
	size_t i;

	kc_json_int(o, "ok", (int)count(k, "ok"));
	kc_json_int(o, "warning", (int)count(k, "warning"));
	kc_json_int(o, "failed", (int)count(k, "failed"));
	kc_json_int(o, "absent", (int)count(k, "absent"));
	for (i = 0; i < k->n; i++) {
		struct row *row = &k->row[i];
		struct json_object *v = kc_json_object();

		kc_json_str(v, "uuid", row->x.uuid);
		kc_json_str(v, "device", row->node);
		kc_json_str(v, "name", row->x.attached);
		kc_json_str(v, "result", row->result);
		kc_json_int(v, "exit_code", row->code);
		kc_json_str(v, "key", row->x.key);
		kc_json_str(v, "reason", row->why);
		kc_json_put(v, "warnings", row->warnings ? row->warnings : kc_json_array());
		row->warnings = NULL;
		kc_json_push(rows, v);
	}
	kc_json_put(o, "volumes", rows);
	kc_json_put(o, "host", k->host_warnings);
	k->host_warnings = NULL;
	return kc_json_print(k->r, o);
}

/* 6 if any may be tried again, else the first volume's; the host's where no volume fails. */
static int verdict(struct check *k, const struct kc_steps *host)
{
	struct kc_run *r = k->r;
	int code = 0;
	size_t i;

	for (i = 0; i < k->n; i++)
		if (k->row[i].code && (!code || k->row[i].code == KC_KMS_RETRY))
			code = k->row[i].code;
	if (kc_stop_check(&r->err))
		return (int)r->err.code;
	if (code && host->code)
		kc_warn(r, "%s; %s", host->first.text, host->first.next);
	if (code)
		return kc_fail(&r->err, (enum kc_exit)code, "kcache doctor DEVICE shows one step by step",
			       "%zu of %zu volumes would not attach now", count(k, "failed"), k->n);
	if (host->code && k->n) {
		r->err = host->first;
		return host->code;
	}
	return 0;
}

int cmd_check(struct kc_run *r)
{
	struct check k = { .r = r };
	struct kc_steps host = { .r = r, .tell = tell_host, .data = &k };
	struct kc_error unread = { 0 };
	int ret, printed;
	size_t i;

	kc_stop_install();
	if (kc_given(r, OPT_JSON))
		k.host_warnings = kc_json_array();
	ret = list(&k);
	/* one volume's file that cannot be read does not hide the others */
	if (ret && k.n) {
		unread = r->err;
		kc_error_clear(&r->err);
		ret = 0;
	}
	if (!ret) {
		kc_examine_module(&host);
		kc_examine_kernels(&host);
		for (i = 0; i < k.n && !kc_stopped(); i++)
			if (!k.row[i].result)
				examine(&k, &k.row[i]);
		printed = kc_given(r, OPT_JSON) ? print_json(&k) : (print_text(&k), 0);
		ret = verdict(&k, &host);
		ret = ret ? ret : printed;
	}
	if (!ret && unread.code) {
		r->err = unread;
		ret = (int)unread.code;
	}
	for (i = 0; i < k.n; i++)
		kc_json_drop(k.row[i].warnings);
	kc_json_drop(k.host_warnings);
	free(k.row);
	return ret;
}
