// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache rewrap DEVICE --on-revoke MODE --lease SECONDS: another lease in every token of a
 * volume. They stand under the mac, which is made with the DEK: one recipient unwraps it, and
 * every token has to hold before any of them is written anew.
 *
 * A run that was interrupted leaves tokens that say the old and tokens that say the new; each
 * of them holds, and the next run goes on where it ended.
 */
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "kcache.h"
#include "lease.h"
#include "recipient.h"
#include "stop.h"

/**
 * struct reseal - on its way
 * @want: has the lease and on_revoke that all are to have
 * @changed: how many tokens said something else
 */
struct reseal {
	struct kc_change c;
	struct kc_token want;
	unsigned int changed;
};

static bool says(const struct kc_token *t, const struct kc_token *want)
{
	return t->lease == want->lease && t->on_revoke == want->on_revoke;
}

static const struct kc_token *next(const struct reseal *s)
{
	unsigned int i;

	for (i = 0; i < s->c.h.n_tokens; i++)
		if (!says(&s->c.h.tokens[i], &s->want))
			return &s->c.h.tokens[i];
	return NULL;
}

/* The same copy of the DEK that says the new already: where an earlier run ended. */
static const struct kc_token *done_before(const struct reseal *s, const struct kc_token *t)
{
	const struct kc_token *o;
	unsigned int i;

	for (i = 0; i < s->c.h.n_tokens; i++) {
		o = &s->c.h.tokens[i];
		if (says(o, &s->want) && !strcmp(o->binding.key, t->binding.key) && o->wrapped_len == t->wrapped_len &&
		    !memcmp(o->wrapped, t->wrapped, t->wrapped_len))
			return o;
	}
	return NULL;
}

static int unwrap(struct reseal *s)
{
	struct kc_change *c = &s->c;
	struct kc_unwrap u = { .h = &c->h, .known = &c->known };
	unsigned int i;
	int ret;

	ret = kc_kms_open(&c->r->conf, &c->kms, &c->r->err);
	if (ret)
		return ret;
	u.kms = c->kms;
	kc_unwrap_under(&u, NULL);
	ret = kc_change_prove(c, &u);
	for (i = 0; !ret && i < c->h.n_tokens; i++)
		ret = kc_header_verify_dek(&c->h, &c->h.tokens[i], c->dek, &c->r->err);
	/* the last point at which nothing has been written */
	return ret ? ret : kc_stop_check(&c->r->err);
}

static int one(struct reseal *s, const struct kc_token *t)
{
	struct kc_change *c = &s->c;
	struct kc_error *err = &c->r->err;
	struct kc_token old = *t, new = *t;
	const struct kc_token *before = done_before(s, t);
	bool both = true;
	int ret = 0;

	if (before) {
		new = *before;
	} else {
		new.slot = -1;
		new.lease = s->want.lease;
		new.on_revoke = s->want.on_revoke;
		ret = kc_header_seal_token(&new, &c->h.layout, c->h.flags, c->dek, err);
		if (!ret)
			ret = kc_header_replace_token(c->r->device, &new, &old, &both, err);
		if (!ret)
			ret = kc_change_written(c, &new);
	}
	if (!ret && both)
		ret = kc_header_remove_token(c->r->device, &old, err);
	return ret ? ret : kc_change_written(c, &new);
}

static int reseal(struct reseal *s)
{
	struct kc_change *c = &s->c;
	struct kc_run *r = c->r;
	const struct kc_token *t;
	unsigned int i;
	int ret;

	ret = kc_change_open(c, r->arg[0], !kc_given(r, OPT_DRY_RUN));
	if (ret)
		return ret;
	s->want = c->h.tokens[0];
	ret = kc_lease_policy(&s->want, r->opt[OPT_ON_REVOKE], r->number[OPT_LEASE], &r->err);
	for (i = 0; i < c->h.n_tokens; i++)
		s->changed += !says(&c->h.tokens[i], &s->want);
	if (ret || kc_given(r, OPT_DRY_RUN) || !s->changed)
		return ret;
	ret = unwrap(s);
	while (!ret && (t = next(s)) != NULL)
		ret = one(s, t);
	kc_kms_wipe(c->kms);
	c->dek = NULL;
	return ret;
}

static int print_result(struct reseal *s)
{
	struct kc_change *c = &s->c;
	struct json_object *o;

	if (!kc_given(c->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_str(o, "uuid", c->h.layout.uuid);
	kc_json_str(o, "device", c->r->device);
	kc_json_u64(o, "lease", s->want.lease);
	kc_json_str(o, "on_revoke", kc_on_revoke_name(s->want.on_revoke));
	kc_json_bool(o, "changed", s->changed && !kc_given(c->r, OPT_DRY_RUN));
	kc_json_bool(o, "dry_run", kc_given(c->r, OPT_DRY_RUN));
	return kc_json_print(c->r, o);
}

static void tell(const struct reseal *s)
{
	const struct kc_run *r = s->c.r;
	char lease[48] = "no lease";

	if (s->want.lease)
		snprintf(lease, sizeof(lease), "a lease of %u seconds", s->want.lease);
	if (!s->changed)
		kc_say(r, "there is nothing to do: it has on_revoke %s and %s", kc_on_revoke_name(s->want.on_revoke), lease);
	else if (kc_given(r, OPT_DRY_RUN))
		kc_say(r, "it would have on_revoke %s and %s; nothing was changed, no KMS was asked",
		       kc_on_revoke_name(s->want.on_revoke), lease);
	else
		kc_say(r, "it has on_revoke %s and %s, in force when it is attached next; an older copy of the header says what it said before",
		       kc_on_revoke_name(s->want.on_revoke), lease);
}

int kc_reseal(struct kc_run *r)
{
	struct reseal s = { .c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } } };
	int ret = reseal(&s);

	if (s.changed && !kc_given(r, OPT_DRY_RUN))
		kc_audit_event(r, &(struct kc_event){
			.event = "modifyVolume",
			.kind = kc_on_revoke_name(s.want.on_revoke),
			.volume = s.c.h.layout.uuid,
			.device = r->device,
			.request_id = s.c.proven_by ? s.c.request_id : NULL,
			.proven_by = s.c.proven_by,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(&s);
	if (!ret)
		tell(&s);
	kc_change_close(&s.c);
	return ret;
}
