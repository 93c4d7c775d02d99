// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache rewrap: the DEK of a volume, or of all volumes of this host, wrapped under another
 * KMS key, or under the newest material of the same. No data is copied, and the DEK stays:
 * this moves a volume to another key, region or provider, and revokes nothing.
 *
 * The new copy is written and opened by its KMS before the old one goes. A run that was
 * interrupted leaves both, of one date; the next one proves the new one and removes the old.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit.h"
#include "kcache.h"
#include "lease.h"
#include "recipient.h"
#include "stop.h"

int check_rewrap(struct kc_run *r)
{
	bool all = kc_given(r, OPT_ALL);

	if (kc_given(r, OPT_LEASE) || kc_given(r, OPT_ON_REVOKE)) {
		if (r->n_arg != 1 || all || kc_given(r, OPT_KEY) || kc_given(r, OPT_FROM) || kc_given(r, OPT_TO))
			return kc_fail(&r->err, KC_USAGE, NULL,
				       "it is kcache rewrap DEVICE [--on-revoke MODE] [--lease SECONDS], without keys");
		return kc_lease_check(r->opt[OPT_ON_REVOKE], r->number[OPT_LEASE], &r->err);
	}

	if (all && (!kc_given(r, OPT_FROM) || !kc_given(r, OPT_TO) || kc_given(r, OPT_KEY)))
		return kc_fail(&r->err, KC_USAGE, NULL, "with --all it is kcache rewrap --all --from KEY --to KEY");
	if (!all && (r->n_arg != 1 || !kc_given(r, OPT_KEY) || kc_given(r, OPT_TO)))
		return kc_fail(&r->err, KC_USAGE, NULL, "it is kcache rewrap DEVICE --key KEY, or kcache rewrap --all");
	return 0;
}

/**
 * struct task - what is to be done to a volume
 * @c: c.key is the target
 * @from: canonical id of the key whose copy goes; empty until it is chosen
 * @named: from was named for this very volume: it need not be pinned
 * @unchanged: there was nothing to do
 */
struct task {
	struct kc_change c;
	char from[KC_KEY_NAME_MAX];
	bool named;
	bool unchanged;
};

static int no_alias(struct kc_run *r, const char *name)
{
	return kc_fail(&r->err, KC_USAGE, "name it by its canonical id",
		       "a dry run asks no KMS what key %s is", name);
}

/* As DescribeKey would tell it, where no KMS is to be asked. */
static int target_untold(struct kc_run *r, const char *name, struct kc_key_info *key)
{
	if (!kc_key_canonical(NULL, name))
		return no_alias(r, name);
	memset(key, 0, sizeof(*key));
	kc_key_provider(name, key->provider);
	snprintf(key->key, sizeof(key->key), "%s", name);
	return 0;
}

/* Whose copy goes, where the command line does not say: there must be no choice. */
static int choose_source(struct task *k)
{
	const char *to = k->c.key.key;
	const struct kc_header *h = &k->c.h;
	const struct kc_token *other = NULL, *new = NULL;
	unsigned int i, others = 0;

	for (i = 0; i < h->n_tokens; i++) {
		if (!strcmp(h->tokens[i].binding.key, to))
			continue;
		others++;
		other = &h->tokens[i];
	}
	/* of one date: the other one was to go when an earlier run was interrupted */
	for (i = 0; i < h->n_tokens && other; i++)
		if (!strcmp(h->tokens[i].binding.key, to) && !strcmp(h->tokens[i].created, other->created))
			new = &h->tokens[i];
	if (others > 1 || (others && h->n_tokens > 1 && !new))
		return kc_fail(&k->c.r->err, KC_USAGE, "say whose with --from; see kcache recipient list",
			       "it has %u recipients, and the copy of one is to be replaced", h->n_tokens);
	snprintf(k->from, sizeof(k->from), "%s", others ? other->binding.key : to);
	return 0;
}

/* New and old under one key, or the new one and whatever is under the old key: an earlier run. */
static int complete(struct task *k)
{
	struct kc_change *c = &k->c;
	struct kc_unwrap u = { .kms = c->kms, .h = &c->h, .known = &c->known, .named = c->key.key };
	struct kc_token stays;
	int ret;

	kc_unwrap_under(&u, c->key.key);
	ret = kc_change_prove(c, &u);
	if (!ret)
		ret = kc_stop_check(&c->r->err);
	if (ret)
		return ret;
	stays = *u.used;
	kc_change_remember(c, &stays, NULL);
	return kc_change_drop(c, k->from, &stays);
}

static int replace(struct task *k)
{
	struct kc_change *c = &k->c;
	struct kc_error *err = &c->r->err;
	struct kc_unwrap u = { .kms = c->kms, .h = &c->h, .known = &c->known,
			       .named = k->named || !strcmp(k->from, c->key.key) ? k->from : NULL };
	const struct kc_token *t = NULL;
	struct kc_token old, new;
	unsigned int i;
	bool both;
	int ret;

	kc_count_under(&c->h, k->from, &t);
	old = *t;
	/* the one that goes is asked first; where it is of no use, the others */
	u.tokens[u.n++] = t;
	for (i = 0; i < c->h.n_tokens; i++)
		if (&c->h.tokens[i] != t)
			u.tokens[u.n++] = &c->h.tokens[i];
	ret = kc_change_wrap(c, t, &u, &new);
	/* the last point at which nothing has been written */
	if (!ret)
		ret = kc_stop_check(err);
	if (ret)
		return ret;
	kc_change_remember(c, &new, NULL);
	ret = kc_header_replace_token(c->r->device, &new, &old, &both, err);
	if (!ret)
		ret = kc_change_written(c, &new);
	return ret ? ret : kc_change_drop(c, k->from, &new);
}

static int rewrap(struct task *k)
{
	struct kc_change *c = &k->c;
	struct kc_run *r = c->r;
	unsigned int under_from, under_to;
	bool same;
	int ret;

	if (!k->from[0]) {
		ret = choose_source(k);
		if (ret)
			return ret;
	}
	same = !strcmp(k->from, c->key.key);
	under_from = kc_count_under(&c->h, k->from, NULL);
	under_to = kc_count_under(&c->h, c->key.key, NULL);
	if (!under_from && !under_to)
		return kc_fail(&r->err, KC_USAGE, "see kcache recipient list",
			       "the volume has no recipient under key %s", k->from);
	k->unchanged = !under_from;
	if (kc_given(r, OPT_DRY_RUN))
		return 0;
	ret = 0;
	if (under_from && (same ? under_to > 1 : under_to > 0))
		ret = complete(k);
	if (!ret && kc_count_under(&c->h, k->from, NULL))
		ret = replace(k);
	if (!ret && !same)
		kc_change_remember(c, NULL, k->from);
	kc_kms_wipe(c->kms);
	c->dek = NULL;
	return ret;
}

static void audit(struct task *k, int ret)
{
	struct kc_change *c = &k->c;

	if (k->unchanged || !c->key.key[0] || !c->h.layout.uuid[0] || kc_given(c->r, OPT_DRY_RUN))
		return;
	kc_audit_event(c->r, &(struct kc_event){
		.event = "rewrapVolume",
		.volume = c->h.layout.uuid,
		.device = c->r->device,
		.key = c->key.key,
		.source_key = k->from[0] ? k->from : NULL,
		.request_id = c->proven_by ? c->request_id : NULL,
		.wrapped_by = c->wrapped_by,
		.proven_by = c->proven_by,
		.err = ret ? &c->r->err : NULL,
	});
}

/* One device, named on the command line. */

static int one(struct task *k)
{
	struct kc_change *c = &k->c;
	struct kc_run *r = c->r;
	bool dry = kc_given(r, OPT_DRY_RUN);
	int ret;

	ret = kc_change_open(c, r->arg[0], !dry);
	if (!ret && dry)
		ret = target_untold(r, r->opt[OPT_KEY], &c->key);
	if (!ret && !dry)
		ret = kc_kms_open(&r->conf, &c->kms, &r->err);
	if (!ret && !dry)
		ret = kc_change_target(r, c->kms, r->opt[OPT_KEY], &c->key);
	if (!ret && kc_given(r, OPT_FROM)) {
		k->named = true;
		if (dry && !kc_key_canonical(NULL, r->opt[OPT_FROM]))
			return no_alias(r, r->opt[OPT_FROM]);
		ret = kc_resolve_key(r, c->kms, &c->h, r->opt[OPT_FROM], k->from);
	}
	return ret ? ret : rewrap(k);
}

static int print_one(struct task *k)
{
	struct kc_change *c = &k->c;
	struct json_object *o;

	if (!kc_given(c->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_str(o, "uuid", c->h.layout.uuid);
	kc_json_str(o, "device", c->r->device);
	kc_json_str(o, "from", k->from);
	kc_json_str(o, "to", c->key.key);
	kc_json_bool(o, "changed", !k->unchanged && !kc_given(c->r, OPT_DRY_RUN));
	kc_json_bool(o, "dry_run", kc_given(c->r, OPT_DRY_RUN));
	kc_json_str(o, "wrapped_by", c->wrapped_by);
	kc_json_str(o, "proven_by", c->proven_by);
	kc_json_u64(o, "generation", c->h.tokens[0].binding.context.generation);
	return kc_json_print(c->r, o);
}

static void tell_one(struct task *k)
{
	struct kc_change *c = &k->c;

	if (k->unchanged)
		kc_say(c->r, "there is nothing to do: the volume is under key %s, and not under %s", c->key.key, k->from);
	else if (kc_given(c->r, OPT_DRY_RUN))
		kc_say(c->r, "the volume would go from key %s to %s; nothing was changed, no KMS was asked", k->from,
		       c->key.key);
	else
		kc_say(c->r, "the volume is under key %s, which has opened it\nits data key is the same one: rewrapping revokes nothing, and an older copy of the header still opens under %s",
		       c->key.key, strcmp(k->from, c->key.key) ? k->from : "the key's older material");
}

static int rewrap_one(struct kc_run *r)
{
	struct task k = { .c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } } };
	int ret = one(&k);

	audit(&k, ret);
	if (!ret)
		ret = print_one(&k);
	if (!ret)
		tell_one(&k);
	kc_change_close(&k.c);
	return ret;
}

/* All volumes of this host. */

/**
 * struct row - a line of the report
 * @node: the device; empty for a known volume whose device is not here
 * @result: "done", "pending" (by a dry run), "skipped" or "failed"; NULL for what was not come to
 * @why: of what is not done
 * @code: what failed would exit with
 */
struct row {
	char node[256];
	char uuid[64];
	const char *result;
	char why[640];
	int code;
	const char *wrapped_by;
};

struct all {
	struct kc_run *r;
	struct kc_key_info to;
	char from[KC_KEY_NAME_MAX];
	struct row *row;
	size_t n;
};

static struct row *new_row(struct all *a, const char *node, const char *uuid)
{
	struct row *more = realloc(a->row, (a->n + 1) * sizeof(*more));

	if (!more) {
		kc_fail(&a->r->err, KC_NOMEM, NULL, "out of memory");
		return NULL;
	}
	a->row = more;
	more += a->n++;
	memset(more, 0, sizeof(*more));
	snprintf(more->node, sizeof(more->node), "%s", node);
	snprintf(more->uuid, sizeof(more->uuid), "%s", uuid);
	return more;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (stat(a, &x) || stat(b, &y))
		return false;
	if (S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int found(const char *node, const char *uuid, void *data)
{
	struct all *a = data;
	size_t i;

	for (i = 0; i < a->n; i++)
		if (same_file(a->row[i].node, node))
			return 0;
	return new_row(a, node, uuid) ? 0 : KC_NOMEM;
}

/* A volume that was opened with the old key, and whose device was not seen: its key is needed still. */
static int missing(const struct kc_known *known, void *data)
{
	struct all *a = data;
	struct row *row;
	size_t i;

	for (i = 0; i < a->n; i++)
		if (!strcmp(a->row[i].uuid, known->uuid))
			return 0;
	for (i = 0; i < known->n_keys && strcmp(known->keys[i], a->from); i++)
		;
	if (i == known->n_keys)
		return 0;
	row = new_row(a, "", known->uuid);
	if (!row)
		return KC_NOMEM;
	row->result = "failed";
	row->code = KC_DEVICE;
	snprintf(row->why, sizeof(row->why),
		 "its device is not here, and this host knows it under that key; bring it back, or, if it is gone for good, remove volumes/%s.json from the state directory",
		 known->uuid);
	return 0;
}

static void skip(struct row *row, const char *why)
{
	row->result = "skipped";
	snprintf(row->why, sizeof(row->why), "%s", why);
}

/* Is it one of ours to move? Whoever can write a disk must not have a DEK of theirs moved under a good key. */
static bool ours(struct task *k, struct row *row)
{
	struct kc_change *c = &k->c;
	struct kc_error e = { 0 };
	const struct kc_token *t = NULL;

	if (!kc_count_under(&c->h, k->from, &t)) {
		skip(row, kc_count_under(&c->h, c->key.key, NULL) ? "it is under the new key already" :
								    "it has no recipient under that key");
		k->unchanged = true;
		/* an earlier run may have ended just before that */
		if (!kc_given(c->r, OPT_DRY_RUN) && kc_count_under(&c->h, c->key.key, NULL))
			kc_change_remember(c, NULL, k->from);
		return false;
	}
	if (kc_pin_check(&c->r->conf, t, &c->known, NULL, &e) && !c->known.uuid[0]) {
		skip(row, "this host neither knows it nor pins that key");
		return false;
	}
	return true;
}

static int move(struct all *a, struct row *row)
{
	struct task k = { .c = { .r = a->r, .blk = { .fd = -1, .claim_fd = -1 }, .key = a->to } };
	struct kc_run *r = a->r;
	bool dry = kc_given(r, OPT_DRY_RUN);
	int ret;

	snprintf(k.from, sizeof(k.from), "%s", a->from);
	ret = kc_change_open(&k.c, row->node, !dry);
	snprintf(row->uuid, sizeof(row->uuid), "%s", k.c.h.layout.uuid);
	if (!ret && ours(&k, row)) {
		if (!dry)
			ret = kc_kms_open(&r->conf, &k.c.kms, &r->err);
		if (!ret)
			ret = rewrap(&k);
		audit(&k, ret);
		if (!ret)
			row->result = dry ? "pending" : "done";
		row->wrapped_by = k.c.wrapped_by;
	}
	kc_change_close(&k.c);
	return ret;
}

/* The error of one volume is a line of the report, and does not keep the others. */
static void move_and_tell(struct all *a, size_t i, size_t n)
{
	struct row *row = &a->row[i];
	struct kc_run *r = a->r;

	if (move(a, row)) {
		row->result = "failed";
		row->code = (int)r->err.code;
		snprintf(row->why, sizeof(row->why), "%.400s%s%.200s", r->err.text, r->err.next[0] ? "; " : "",
			 r->err.next);
		kc_error_clear(&r->err);
	}
	r->volume[0] = '\0';
	r->device[0] = '\0';
	kc_say(r, "[%zu/%zu] %s: %s%s%s", i + 1, n, row->node, row->result, row->why[0] ? ": " : "", row->why);
}

static size_t count(const struct all *a, const char *result)
{
	size_t i, n = 0;

	for (i = 0; i < a->n; i++)
		n += a->row[i].result && !strcmp(a->row[i].result, result);
	return n;
}

static int print_all(struct all *a)
{
	struct json_object *o, *list;
	struct kc_run *r = a->r;
	size_t i;

	if (!kc_given(r, OPT_JSON)) {
		for (i = 0; i < a->n; i++)
			printf("%-8s %-36s %s%s%s\n", a->row[i].result ? a->row[i].result : "not done",
			       a->row[i].uuid[0] ? a->row[i].uuid : "-", a->row[i].node[0] ? a->row[i].node : "-",
			       a->row[i].why[0] ? "  " : "", a->row[i].why);
		return 0;
	}
	o = kc_json_new();
	list = kc_json_array();
	kc_json_str(o, "from", a->from);
	kc_json_str(o, "to", a->to.key);
	kc_json_bool(o, "dry_run", kc_given(r, OPT_DRY_RUN));
	kc_json_int(o, "done", (int)count(a, "done"));
	kc_json_int(o, "pending", (int)count(a, "pending"));
	kc_json_int(o, "skipped", (int)count(a, "skipped"));
	kc_json_int(o, "failed", (int)count(a, "failed"));
	for (i = 0; i < a->n; i++) {
		struct json_object *row = kc_json_object();

		kc_json_str(row, "uuid", a->row[i].uuid);
		kc_json_str(row, "device", a->row[i].node);
		kc_json_str(row, "result", a->row[i].result ? a->row[i].result : "not done");
		kc_json_int(row, "exit_code", a->row[i].code);
		kc_json_str(row, "reason", a->row[i].why);
		kc_json_str(row, "wrapped_by", a->row[i].wrapped_by);
		kc_json_push(list, row);
	}
	kc_json_put(o, "volumes", list);
	return kc_json_print(r, o);
}

/* 6 if any may be tried again, else the first failure's. */
static int verdict(struct all *a)
{
	struct kc_run *r = a->r;
	int code = 0;
	size_t i;

	for (i = 0; i < a->n; i++)
		if (a->row[i].code && (!code || a->row[i].code == KC_KMS_RETRY))
			code = a->row[i].code;
	if (kc_stop_check(&r->err))
		return (int)r->err.code;
	if (!code)
		return 0;
	return kc_fail(&r->err, (enum kc_exit)code, "correct what is said above, then run it again: what is done is passed over",
		       "%zu of %zu volumes were not moved to key %s", count(a, "failed"), a->n, a->to.key);
}

static int keys(struct all *a)
{
	struct kc_run *r = a->r;
	struct kc_kms *kms = NULL;
	struct kc_header none = { 0 };
	int ret;

	if (kc_given(r, OPT_DRY_RUN)) {
		ret = target_untold(r, r->opt[OPT_TO], &a->to);
		if (!ret && !kc_key_canonical(NULL, r->opt[OPT_FROM]))
			ret = no_alias(r, r->opt[OPT_FROM]);
		snprintf(a->from, sizeof(a->from), "%s", r->opt[OPT_FROM]);
	} else {
		ret = kc_kms_open(&r->conf, &kms, &r->err);
		if (!ret)
			ret = kc_change_target(r, kms, r->opt[OPT_TO], &a->to);
		if (!ret)
			ret = kc_resolve_key(r, kms, &none, r->opt[OPT_FROM], a->from);
		kc_kms_close(kms);
	}
	if (!ret && !strcmp(a->from, a->to.key))
		ret = kc_fail(&r->err, KC_USAGE, "kcache rewrap DEVICE --key KEY wraps a volume under its key anew",
			      "--from and --to are the same key, %s", a->from);
	return ret;
}

static int rewrap_all(struct kc_run *r)
{
	struct kc_error unread = { 0 };
	struct all a = { .r = r };
	size_t i, devices;
	int ret, printed;

	ret = keys(&a);
	for (i = 0; !ret && i < (size_t)r->n_arg; i++)
		ret = new_row(&a, r->arg[i], "") ? 0 : KC_NOMEM;
	if (!ret)
		ret = kc_blk_scan(found, &a, &r->err);
	devices = a.n;
	for (i = 0; !ret && i < devices && !kc_stopped(); i++)
		move_and_tell(&a, i, devices);
	if (!ret && !kc_stopped() && kc_known_each(&r->conf, missing, &a, &unread))
		kc_warn(r, "not every volume that this host knows could be looked for: %s", unread.text);
	if (!ret) {
		printed = print_all(&a);
		ret = verdict(&a);
		ret = ret ? ret : printed;
	}
	free(a.row);
	return ret;
}

int cmd_rewrap(struct kc_run *r)
{
	kc_stop_install();
	if (kc_given(r, OPT_LEASE) || kc_given(r, OPT_ON_REVOKE))
		return kc_reseal(r);
	return kc_given(r, OPT_ALL) ? rewrap_all(r) : rewrap_one(r);
}
