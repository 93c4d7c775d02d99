// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache doctor: why does a volume not attach, or not work? Each step of the way is shown
 * with what was found there and what to do; without a name, what this host is to be asked.
 * Nothing is changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit.h"
#include "blk.h"
#include "canon.h"
#include "dm.h"
#include "examine.h"
#include "stop.h"

struct doctor {
	struct kc_run *r;
	struct json_object *list;
};

static const char *const results[] = {
	[KC_STEP_OK] = "ok", [KC_STEP_WARNING] = "warning", [KC_STEP_FAILED] = "failed",
};

static void show(enum kc_step_result result, const char *name, const struct kc_error *e, void *data)
{
	struct doctor *d = data;
	struct json_object *o;

	if (d->list) {
		o = kc_json_object();
		kc_json_str(o, "step", name);
		kc_json_str(o, "result", results[result]);
		kc_json_str(o, "text", e->text);
		kc_json_str(o, "next", e->next);
		kc_json_str(o, "provider_error", e->provider_error);
		kc_json_str(o, "request_id", e->request_id);
		kc_json_int(o, "exit_code", (int)e->code);
		kc_json_push(d->list, o);
		return;
	}
	printf("%-8s %-14s %s", results[result], name, e->text);
	if (e->provider_error[0])
		printf(" [%s%s%s]", e->provider_error, e->request_id[0] ? ", request " : "", e->request_id);
	if (e->next[0])
		printf("\n%-8s %-14s next: %s", "", "", e->next);
	putchar('\n');
	/* a KMS may take its time with the next one */
	fflush(stdout);
}

/* Which device is meant: a node or file, the name of what is attached, a UUID. */

struct want {
	const char *uuid;
	char node[256];
};

/* What is attached by this name or node, if anything is. */
static bool mapped(const char *name, struct kc_dm *d)
{
	static const char dir[] = "/dev/mapper/";
	bool found = false;

	if (!strncmp(name, dir, strlen(dir)))
		name += strlen(dir);
	return !strchr(name, '/') && kc_dm_get(name, d, &found, NULL) == 0 && found && d->below;
}

static int match(const char *node, const char *uuid, void *data)
{
	struct want *w = data;

	if (strcmp(uuid, w->uuid))
		return 0;
	snprintf(w->node, sizeof(w->node), "%s", node);
	return 1;
}

static int find(struct kc_steps *s, const char *name, char *device, size_t size)
{
	struct kc_error e = { 0 };
	struct want w = { .uuid = name };

	if (strchr(name, '/')) {
		snprintf(device, size, "%s", name);
		return 0;
	}
	if (kc_uuid_valid(name) && kc_blk_scan(match, &w, &e) == 0 && w.node[0]) {
		snprintf(device, size, "%s", w.node);
		return 0;
	}
	kc_fail(&e, KC_DEVICE, "name its device: kcache doctor DEVICE; kcache list has the UUIDs this host knows",
		"nothing of this name is attached, and no block device carries a volume with it as UUID");
	return kc_step_failed(s, "device", &e);
}

/* What an attached volume is like: key, lease, I/O, mount. */
static void attachment(struct kc_steps *s, const char *name)
{
	char key[16] = "", lease[24] = "", where[256];
	struct kc_error e = { 0 };
	struct kc_dm d;
	bool found;

	if (kc_dm_get(name, &d, &found, &e)) {
		kc_step_failed(s, "attachment", &e);
		return;
	}
	if (!found)
		return;
	if (!kc_dm_word(d.info, "key", key, sizeof(key))) {
		kc_step_warn(s, "attachment", "see dmsetup table", "its target is %s now, which does not tell about a key",
			     d.target[0] ? d.target : "none");
	} else if (!strcmp(key, "valid")) {
		if (kc_dm_word(d.info, "lease", lease, sizeof(lease)) && strcmp(lease, "-") && strcmp(lease, "none"))
			kc_step_ok(s, "attachment", "its key works, %s s of its lease are left", lease);
		else
			kc_step_ok(s, "attachment", "its key works");
	} else {
		kc_fail(&e, KC_KEY_GONE,
			kc_dm_ephemeral(&d) ? "its key was nowhere else and is gone for good: kcache detach" :
			"kcache resume, once the steps above are ok; or kcache detach, and attach again",
			"the key of /dev/mapper/%s is %s: I/O to it fails or waits", name, key);
		kc_step_failed(s, "attachment", &e);
	}
	if (d.suspended)
		kc_step_warn(s, "attachment", "kcache resume", "/dev/mapper/%s is suspended: I/O to it waits", name);
	if (kc_blk_mountpoint(d.dev, where, sizeof(where)))
		kc_step_ok(s, "mount", "it is mounted on %s", where);
}

static bool configuration(struct kc_steps *s)
{
	struct kc_error e = { 0 };
	struct kc_run *r = s->r;

	if (kc_conf_load(r->opt[OPT_CONFIG], &r->conf, &e)) {
		kc_step_failed(s, "configuration", &e);
		return false;
	}
	if (kc_given(r, OPT_TIMEOUT))
		r->conf.timeout = r->number[OPT_TIMEOUT];
	kc_step_ok(s, "configuration", "%zu key%s allowed, default key %s", r->conf.n_allow_keys,
		   r->conf.n_allow_keys == 1 ? " is" : "s are", r->conf.default_key);
	return true;
}

static void volume(struct kc_steps *s, const char *name)
{
	struct kc_run *r = s->r;
	struct kc_examined x;
	struct kc_dm d;

	if (mapped(name, &d)) {
		kc_blk_name(d.below, r->device, sizeof(r->device));
		if (kc_dm_ephemeral(&d)) {
			kc_step_ok(s, "place", "it is ephemeral: on %s, without a header, under a key that no KMS has", r->device);
			attachment(s, d.name);
			return;
		}
	} else if (find(s, name, r->device, sizeof(r->device))) {
		return;
	}
	kc_examine_volume(s, r->device, &x);
	snprintf(r->volume, sizeof(r->volume), "%s", x.uuid);
	if (x.attached[0])
		attachment(s, x.attached);
	if (x.uuid[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "checkVolume",
			.volume = x.uuid,
			.device = r->device,
			.key = x.key[0] ? x.key : NULL,
			.err = s->code ? &s->first : NULL,
		});
}

int cmd_doctor(struct kc_run *r)
{
	struct doctor d = { .r = r };
	struct kc_steps s = { .r = r, .tell = show, .data = &d };
	struct json_object *o;
	int ret = 0;

	kc_stop_install();
	if (kc_given(r, OPT_JSON))
		d.list = kc_json_array();
	if (configuration(&s)) {
		kc_examine_module(&s);
		if (r->n_arg) {
			volume(&s, r->arg[0]);
		} else {
			kc_examine_kernels(&s);
			kc_examine_host(&s);
		}
	}
	if (d.list) {
		o = kc_json_new();
		kc_json_str(o, "uuid", r->volume);
		kc_json_str(o, "device", r->device);
		kc_json_int(o, "exit_code", s.code);
		kc_json_put(o, "steps", d.list);
		ret = kc_json_print(r, o);
	}
	if (kc_stop_check(&r->err))
		return (int)r->err.code;
	if (s.code) {
		kc_error_clear(&r->err);
		r->err = s.first;
		return s.code;
	}
	return ret;
}
