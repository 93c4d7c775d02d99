// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache recipient: which KMS keys open a volume, one more, one less. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "kcache.h"
#include "recipient.h"
#include "stop.h"

int check_recipient(struct kc_run *r)
{
	if (!kc_given(r, OPT_KEY))
		return kc_fail(&r->err, KC_USAGE, NULL, "kcache %s needs --key; see kcache %s --help", r->verb->name,
			       r->verb->name);
	return 0;
}

/* --from, or every recipient but those under @other. */
static int choose(struct kc_change *c, struct kc_unwrap *u, const char *other, char from[static KC_KEY_NAME_MAX])
{
	struct kc_run *r = c->r;
	unsigned int i;
	int ret;

	*u = (struct kc_unwrap){ .kms = c->kms, .h = &c->h, .known = &c->known, .named = from };
	if (!kc_given(r, OPT_FROM)) {
		for (i = 0; i < c->h.n_tokens; i++)
			if (strcmp(c->h.tokens[i].binding.key, other))
				u->tokens[u->n++] = &c->h.tokens[i];
		return 0;
	}
	ret = kc_resolve_key(r, c->kms, &c->h, r->opt[OPT_FROM], from);
	if (ret)
		return ret;
	if (!strcmp(from, other))
		return kc_fail(&r->err, KC_USAGE, NULL, "--key and --from are the same key, %s", from);
	kc_unwrap_under(u, from);
	if (!u->n)
		return kc_fail(&r->err, KC_USAGE, "see kcache recipient list",
			       "the volume has no recipient under key %s", from);
	return 0;
}

static int print_change(struct kc_change *c, const char *key)
{
	struct json_object *o;

	if (!kc_given(c->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_str(o, "uuid", c->h.layout.uuid);
	kc_json_str(o, "device", c->r->device);
	kc_json_str(o, "key", key);
	kc_json_str(o, "wrapped_by", c->wrapped_by);
	kc_json_str(o, "proven_by", c->proven_by);
	kc_json_int(o, "recipients", (int)c->h.n_tokens);
	return kc_json_print(c->r, o);
}

static int add(struct kc_change *c)
{
	struct kc_run *r = c->r;
	struct kc_error *err = &r->err;
	char from[KC_KEY_NAME_MAX] = "";
	struct kc_unwrap u;
	struct kc_token t;
	int ret;

	ret = kc_change_open(c, r->arg[0], true);
	if (!ret)
		ret = kc_kms_open(&r->conf, &c->kms, err);
	if (!ret)
		ret = kc_change_target(r, c->kms, r->opt[OPT_KEY], &c->key);
	if (ret)
		return ret;
	if (kc_count_under(&c->h, c->key.key, NULL))
		return kc_fail(err, KC_BUSY, "kcache rewrap wraps it anew", "key %s is a recipient already", c->key.key);
	/* told before a KMS is asked; the writing itself decides */
	if (c->h.n_tokens >= KC_RECIPIENTS_MAX)
		return kc_fail(err, KC_USAGE, "remove a recipient first",
			       "the volume has %u recipients already, the most there can be", c->h.n_tokens);
	ret = choose(c, &u, c->key.key, from);
	if (!ret)
		ret = kc_change_wrap(c, NULL, &u, &t);
	/* the last point at which nothing has been written */
	if (!ret)
		ret = kc_stop_check(err);
	if (ret)
		return ret;
	kc_change_remember(c, &t, NULL);
	ret = kc_header_add_token(r->device, &t, err);
	return ret ? ret : kc_change_written(c, &t);
}

/* Nobody is asked whether what stays opens the volume. */
static int drop_unproven(struct kc_change *c, const char *key)
{
	struct kc_error *err = &c->r->err;
	const struct kc_token *t;
	struct kc_token old;
	int ret = kc_stop_check(err);

	while (!ret && kc_count_under(&c->h, key, &t)) {
		old = *t;
		ret = kc_header_remove_token(c->r->device, &old, err);
		kc_header_free(&c->h);
		if (!ret)
			ret = kc_header_load(c->blk.fd, &c->h, err);
	}
	if (!ret)
		kc_change_remember(c, NULL, key);
	return ret;
}

static int take_out(struct kc_change *c, char key[static KC_KEY_NAME_MAX])
{
	struct kc_run *r = c->r;
	struct kc_error *err = &r->err;
	char from[KC_KEY_NAME_MAX] = "";
	struct kc_token stays;
	struct kc_unwrap u;
	int ret;

	ret = kc_change_open(c, r->arg[0], true);
	if (!ret)
		ret = kc_kms_open(&r->conf, &c->kms, err);
	if (!ret)
		ret = kc_resolve_key(r, c->kms, &c->h, r->opt[OPT_KEY], key);
	if (ret)
		return ret;
	if (!kc_count_under(&c->h, key, NULL))
		return kc_fail(err, KC_USAGE, "see kcache recipient list",
			       "the volume has no recipient under key %s", key);
	if (kc_count_under(&c->h, key, NULL) == c->h.n_tokens)
		return kc_fail(err, KC_BUSY, "add another one first: kcache recipient add, or kcache rewrap",
			       "key %s is its only recipient: without it nobody opens the volume", key);
	if (kc_given(r, OPT_FORCE))
		return drop_unproven(c, key);
	ret = choose(c, &u, key, from);
	if (!ret && kc_change_prove(c, &u)) {
		size_t n = strlen(err->next);

		ret = (int)err->code;
		if (!kc_stopped())
			snprintf(err->next + n, sizeof(err->next) - n, "%stake it out unproven with --force",
				 n ? "; or " : "");
	}
	if (!ret)
		ret = kc_stop_check(err);
	if (ret)
		return ret;
	stays = *u.used;
	kc_change_remember(c, &stays, NULL);
	ret = kc_change_drop(c, key, &stays);
	if (!ret)
		kc_change_remember(c, NULL, key);
	return ret;
}

int cmd_recipient_add(struct kc_run *r)
{
	struct kc_change c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } };
	int ret;

	kc_stop_install();
	ret = add(&c);
	if (c.key.key[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "addRecipient",
			.volume = c.h.layout.uuid,
			.device = r->device,
			.key = c.key.key,
			.request_id = c.proven_by ? c.request_id : NULL,
			.wrapped_by = c.wrapped_by,
			.proven_by = c.proven_by,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_change(&c, c.key.key);
	if (!ret)
		kc_say(r, "key %s opens the volume too; it was asked for it, and the answer was right", c.key.key);
	kc_change_close(&c);
	return ret;
}

int cmd_recipient_remove(struct kc_run *r)
{
	struct kc_change c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } };
	char key[KC_KEY_NAME_MAX] = "";
	int ret;

	kc_stop_install();
	ret = take_out(&c, key);
	if (key[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "removeRecipient",
			.volume = c.h.layout.uuid,
			.device = r->device,
			.key = key,
			.request_id = c.proven_by ? c.request_id : NULL,
			.proven_by = c.proven_by,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_change(&c, key);
	if (!ret)
		kc_say(r, "key %s is no recipient any more\nthis revokes nothing: older copies of the header, and whoever has seen the volume key, still open it",
		       key);
	kc_change_close(&c);
	return ret;
}

static int print_list(struct kc_change *c)
{
	struct json_object *o, *list;
	struct kc_run *r = c->r;
	unsigned int i;

	if (!kc_given(r, OPT_JSON) && !kc_given(r, OPT_NO_HEADINGS))
		printf("%-5s %-8s %-20s %-6s %s\n", "TOKEN", "PROVIDER", "CREATED", "PINNED", "KEY");
	list = kc_json_array();
	for (i = 0; i < c->h.n_tokens; i++) {
		const struct kc_token *t = &c->h.tokens[i];
		bool pinned = kc_pin_check(&r->conf, t, &c->known, NULL, NULL) == 0;

		if (!kc_given(r, OPT_JSON)) {
			printf("%-5d %-8s %-20s %-6s %s\n", t->slot, t->binding.provider, t->created,
			       pinned ? "yes" : "no", t->binding.key);
			continue;
		}
		o = kc_json_object();
		kc_json_int(o, "token", t->slot);
		kc_json_str(o, "provider", t->binding.provider);
		kc_json_str(o, "key", t->binding.key);
		kc_json_u64(o, "generation", t->binding.context.generation);
		kc_json_str(o, "created", t->created);
		kc_json_u64(o, "lease", t->lease);
		kc_json_str(o, "on_revoke", kc_on_revoke_name(t->on_revoke));
		kc_json_bool(o, "pinned", pinned);
		kc_json_push(list, o);
	}
	if (!kc_given(r, OPT_JSON)) {
		kc_json_drop(list);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "uuid", c->h.layout.uuid);
	kc_json_str(o, "device", r->device);
	kc_json_put(o, "recipients", list);
	return kc_json_print(r, o);
}

int cmd_recipient_list(struct kc_run *r)
{
	struct kc_change c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } };
	int ret = kc_change_open(&c, r->arg[0], false);

	if (!ret)
		ret = print_list(&c);
	kc_change_close(&c);
	return ret;
}
