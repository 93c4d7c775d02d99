// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache clone: a bit copy of a volume becomes a volume of its own. It gets a UUID of its own,
 * and each recipient's copy of the DEK is wrapped anew for the context that goes with it; the
 * DEK stays, as the lineage tells, and so does the data.
 *
 * Every new copy has been opened by its KMS before the first byte is written. The header then
 * changes at once (header-identity.c): an interruption leaves the bit copy as it was, or the
 * clone, and the same command can be run on either.
 *
 * With --new-dek the clone gets a DEK of its own, and its data are encrypted anew (newdek.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "kcache.h"
#include "newdek.h"
#include "op.h"
#include "recipient.h"
#include "stop.h"

/**
 * struct clone - one clone on its way
 * @c: the copy, as it is
 * @key: the one recipient it is to have, of --key
 * @as: its layout to be
 * @t, @n: its recipients to be
 * @wrapped_by: how the copy for each was made
 * @to: its header to be
 * @written: the device has been written to
 * @resumed: an earlier run of --new-dek had begun
 */
struct clone {
	struct kc_change c;
	struct kc_key_info key;
	struct kc_layout as;
	struct kc_token t[KC_RECIPIENTS_MAX];
	const char *wrapped_by[KC_RECIPIENTS_MAX];
	unsigned int n;
	struct kc_header to;
	bool written;
	bool resumed;
};

static int take(struct clone *k)
{
	struct kc_run *r = k->c.r;
	bool dry = kc_given(r, OPT_DRY_RUN);
	int ret;

	k->c.with_op = kc_given(r, OPT_NEW_DEK);
	ret = kc_change_open(&k->c, r->arg[0], !dry);
	if (!ret && k->c.h.op && !dry)
		ret = kc_newdek_tidy(&k->c);
	/* one that is attached keeps its name: I/O goes to it under the old one */
	if (!ret && k->c.blk.claim_fd < 0)
		ret = kc_blk_claim(&k->c.blk, !dry, &r->err);
	return ret;
}

static int ask(struct clone *k)
{
	struct kc_run *r = k->c.r;
	char question[512];

	/* to go on with what was agreed to needs no other word */
	if (kc_given(r, OPT_DRY_RUN) || kc_given(r, OPT_FORCE) || k->c.h.op)
		return 0;
	snprintf(question, sizeof(question),
		 "%.250s is to be a copy of volume %s: it gets a UUID and recipients of its own%s. The original must not be treated so.",
		 r->device, k->c.h.layout.uuid,
		 kc_given(r, OPT_NEW_DEK) ? ", and all data on it are encrypted anew" : "");
	if (kc_ask_yes(r, question))
		return 0;
	return kc_fail(&r->err, KC_PERM, "type YES at the question, or use --force in a script",
		       "it was not made a clone, as nobody has agreed to that");
}

/* A copy of the DEK for k->c.key, bound to the new identity, made from recipient @from where that can be. */
static int wrap(struct clone *k, const struct kc_token *from)
{
	struct kc_change *c = &k->c;
	struct kc_unwrap u = { .kms = c->kms, .h = &c->h, .known = &c->known,
			       .named = k->key.key[0] ? k->key.key : NULL };
	unsigned int i;
	int ret;

	ret = kc_stop_check(&c->r->err);
	if (ret)
		return ret;
	u.tokens[u.n++] = from;
	for (i = 0; i < c->h.n_tokens; i++)
		if (&c->h.tokens[i] != from)
			u.tokens[u.n++] = &c->h.tokens[i];
	ret = kc_change_wrap(c, from, &u, &k->t[k->n]);
	if (!ret)
		k->wrapped_by[k->n++] = c->wrapped_by;
	return ret;
}

static int wrap_each(struct clone *k)
{
	struct kc_change *c = &k->c;
	struct kc_error *err = &c->r->err;
	char also[sizeof(err->next)];
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < c->h.n_tokens; i++) {
		const struct kc_binding *b = &c->h.tokens[i].binding;

		snprintf(c->key.provider, sizeof(c->key.provider), "%s", b->provider);
		snprintf(c->key.key, sizeof(c->key.key), "%s", b->key);
		ret = wrap(k, &c->h.tokens[i]);
	}
	if (ret == KC_KMS_REFUSED || ret == KC_KMS_RETRY) {
		snprintf(also, sizeof(also), "%.200s%sor let the clone have one recipient only, with --key", err->next,
			 err->next[0] ? "; " : "");
		memcpy(err->next, also, sizeof(also));
	}
	return ret;
}

static int wrap_under_one(struct clone *k)
{
	struct kc_change *c = &k->c;
	const struct kc_token *from = &c->h.tokens[0];
	int ret;

	ret = kc_change_target(c->r, c->kms, c->r->opt[OPT_KEY], &k->key);
	if (ret)
		return ret;
	kc_count_under(&c->h, k->key.key, &from);
	c->key = k->key;
	return wrap(k, from);
}

static int plan(struct clone *k)
{
	struct kc_change *c = &k->c;
	struct kc_run *r = c->r;
	int ret;

	k->as = c->h.layout;
	ret = kc_new_uuid(k->as.uuid, &r->err);
	if (ret)
		return ret;
	c->as = &k->as;
	ret = kc_kms_open(&r->conf, &c->kms, &r->err);
	if (!ret)
		ret = kc_given(r, OPT_KEY) ? wrap_under_one(k) : wrap_each(k);
	return ret ? ret : kc_header_identity_plan(c->blk.fd, &c->h, k->as.uuid, k->t, k->n, &k->to, &r->err);
}

/* As attach will find them. */
static int prove(struct clone *k, const struct kc_header *h)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < h->n_tokens; i++)
		ret = kc_header_verify_dek(h, &h->tokens[i], k->c.dek, &k->c.r->err);
	return ret;
}

/*
 * Before it is written: whenever the power goes, this host accepts what is there. Of a clone
 * that has not come to be nothing is kept, unless the power goes.
 */
static int remember(struct clone *k)
{
	struct kc_run *r = k->c.r;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < k->to.n_tokens; i++)
		ret = kc_known_save(&r->conf, &k->to, &k->to.tokens[i], &r->err);
	return ret;
}

static int read_back(struct clone *k)
{
	struct kc_header h = { 0 };
	struct kc_run *r = k->c.r;
	int ret;

	ret = kc_header_load(k->c.blk.fd, &h, &r->err);
	if (!ret && (strcmp(h.json, k->to.json) || strcmp(h.layout.uuid, k->as.uuid) || h.damaged_copy))
		ret = kc_fail(&r->err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the header reads back differently from what was written");
	if (!ret)
		ret = prove(k, &h);
	kc_header_free(&h);
	return ret;
}

static int write_header(struct clone *k)
{
	struct kc_run *r = k->c.r;
	int ret;

	ret = remember(k);
	/* the last point at which nothing has been written */
	if (!ret)
		ret = kc_stop_check(&r->err);
	if (ret) {
		kc_known_remove(&r->conf, k->as.uuid, NULL);
		return ret;
	}
	k->written = true;
	ret = kc_header_identity_write(&k->c.blk, &k->c.h, &k->to, &r->err);
	return ret ? ret : read_back(k);
}

/* A DEK of its own; or going on with that. */
static int encrypt_anew(struct clone *k)
{
	struct kc_change *c = &k->c;
	struct kc_run *r = c->r;
	int ret;

	k->resumed = c->h.op;
	ret = kc_kms_open(&r->conf, &c->kms, &r->err);
	if (!ret && kc_given(r, OPT_KEY))
		ret = kc_change_target(r, c->kms, r->opt[OPT_KEY], &k->key);
	if (!ret && !c->h.op)
		ret = kc_newdek_begin(c, kc_given(r, OPT_KEY) ? &k->key : NULL);
	if (!c->h.op)
		return ret;
	k->written = true;
	k->n = c->h.op->n;
	memcpy(k->t, c->h.op->t, sizeof(k->t));
	memcpy(k->as.uuid, k->t[0].binding.context.id, sizeof(k->as.uuid));
	return ret ? ret : kc_newdek_run(c, kc_given(r, OPT_KEY) ? k->key.key : NULL);
}

static int clone(struct clone *k)
{
	struct kc_run *r = k->c.r;
	int ret;

	ret = take(k);
	if (!ret)
		ret = ask(k);
	if (ret || kc_given(r, OPT_DRY_RUN))
		return ret;
	if (kc_given(r, OPT_NEW_DEK))
		return encrypt_anew(k);
	ret = plan(k);
	if (!ret)
		ret = prove(k, &k->to);
	if (!ret)
		ret = write_header(k);
	kc_kms_wipe(k->c.kms);
	k->c.dek = NULL;
	return ret;
}

static int print_result(struct clone *k)
{
	bool dry = kc_given(k->c.r, OPT_DRY_RUN);
	const struct kc_token *t0;
	struct kc_run *r = k->c.r;
	struct json_object *o, *list;
	unsigned int i;

	if (!kc_given(r, OPT_JSON)) {
		if (!dry)
			puts(k->as.uuid);
		return 0;
	}
	o = kc_json_new();
	list = kc_json_array();
	kc_json_str(o, "uuid", dry ? NULL : k->as.uuid);
	kc_json_str(o, "source_uuid", k->c.h.layout.uuid);
	kc_json_str(o, "device", r->device);
	t0 = k->n ? &k->t[0] : k->c.h.tokens;
	kc_json_str(o, "lineage", t0->lineage);
	kc_json_u64(o, "generation", t0->binding.context.generation);
	kc_json_bool(o, "new_dek", kc_given(r, OPT_NEW_DEK));
	kc_json_bool(o, "resumed", k->resumed);
	kc_json_bool(o, "dry_run", dry);
	for (i = 0; i < k->n; i++) {
		struct json_object *t = kc_json_object();

		kc_json_str(t, "key", k->t[i].binding.key);
		kc_json_str(t, "wrapped_by", k->wrapped_by[i]);
		kc_json_push(list, t);
	}
	kc_json_put(o, "recipients", list);
	return kc_json_print(r, o);
}

static void tell(struct clone *k)
{
	struct kc_run *r = k->c.r;
	const char *source = k->c.h.layout.uuid;

	if (kc_given(r, OPT_DRY_RUN)) {
		kc_say(r, "%s would become a volume of its own; nothing was changed, no KMS was asked", r->device);
		return;
	}
	if (kc_given(r, OPT_NEW_DEK)) {
		kc_say(r, "%s is volume %s now, a clone of %s with a data key of its own\nnext: kcache attach %s NAME",
		       r->device, k->as.uuid, source, r->device);
		return;
	}
	if (k->key.key[0] && (k->c.h.n_tokens > 1 || strcmp(k->c.h.tokens[0].binding.key, k->key.key)))
		kc_warn(r, "the clone is under a key of its own, but its data key is that of volume %s: who has had the one can read the other; --new-dek gives it one of its own",
			source);
	kc_say(r, "%s is volume %s now, a clone of %s with the same data key\nnext: kcache attach %s NAME", r->device,
	       k->as.uuid, source, r->device);
}

int cmd_clone(struct kc_run *r)
{
	struct clone *k;
	int ret;

	/* several wrapped copies: more than a stack should carry */
	k = calloc(1, sizeof(*k));
	if (!k)
		return kc_fail(&r->err, KC_NOMEM, NULL, "out of memory");
	k->c.r = r;
	k->c.blk.fd = k->c.blk.claim_fd = -1;
	kc_stop_install();
	ret = clone(k);
	if (ret && k->written && !r->err.next[0])
		snprintf(r->err.next, sizeof(r->err.next), "it has been written to; run the same command again");
	/* refusals before a KMS was asked are answers, not events */
	if (k->as.uuid[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "createVolume",
			.kind = "clone",
			.volume = k->as.uuid,
			.device = r->device,
			.key = k->n ? k->t[0].binding.key : NULL,
			.source_volume = k->c.h.layout.uuid,
			.request_id = k->c.proven_by ? k->c.request_id : NULL,
			.wrapped_by = k->c.wrapped_by,
			.proven_by = k->c.proven_by,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(k);
	if (!ret)
		tell(k);
	kc_header_free(&k->to);
	kc_change_close(&k->c);
	free(k);
	return ret;
}
