// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changing who may unwrap a volume's DEK. A new copy is written only after its KMS has opened
 * it and what came out is the volume's key; an old one goes only after that.
 *
 * The mac of a token covers its key and its wrapped DEK, and is made with the DEK. So the DEK
 * is unwrapped once, from the new copy: that is at the same time the proof that the copy is
 * good, and what shows that the old token, whose lease is copied, was not edited.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kcache.h"
#include "recipient.h"
#include "stop.h"

static int load(struct kc_change *c)
{
	struct kc_error *err = &c->r->err;
	int ret;

	kc_header_free(&c->h);
	ret = c->with_op ? kc_header_load_op(c->blk.fd, &c->h, err) : kc_header_load(c->blk.fd, &c->h, err);
	if (!ret && c->h.unfinished)
		ret = kc_fail(err, KC_DEVICE, "run kcache create on it again: it will be completed",
			      "its creation did not finish, there is no key on it yet");
	return ret;
}

/* "KCACHE-" or "CRYPT-LUKS2-", and the UUID as dm UUIDs have it: without dashes. */
static bool attached_as(const struct kc_change *c, const char *prefix)
{
	char text[64], name[160], *out;
	const char *p;

	out = text + snprintf(text, sizeof(text), "%s", prefix);
	for (p = c->h.layout.uuid; *p; p++)
		if (*p != '-')
			*out++ = *p;
	snprintf(out, 2, "-");
	return kc_blk_holder(&c->blk, text, name, sizeof(name));
}

int kc_change_open(struct kc_change *c, const char *device, bool write)
{
	struct kc_error *err = &c->r->err, busy = { 0 };
	struct kc_run *r = c->r;
	int ret;

	c->slot = -1;
	snprintf(r->device, sizeof(r->device), "%s", device);
	ret = kc_blk_open(r->device, &c->blk, err);
	if (!ret && write)
		ret = kc_blk_refuse_leg(&c->blk, err);
	if (ret)
		return ret;
	if (write && c->blk.read_only)
		return kc_fail(err, KC_DEVICE, NULL, "it is read-only");
	/* before it is read: nobody attaches or makes it anew meanwhile */
	if (write)
		kc_blk_claim(&c->blk, true, &busy);
	ret = load(c);
	if (ret)
		return ret;
	snprintf(r->volume, sizeof(r->volume), "%s", c->h.layout.uuid);
	/* what a killed operation has left on it is for the one who goes on with it */
	if (busy.code && !c->h.op && !attached_as(c, "KCACHE-") && !attached_as(c, "CRYPT-LUKS2-")) {
		*err = busy;
		return (int)busy.code;
	}
	kc_warn_damaged(r, &c->h);
	return kc_known_load(&r->conf, c->h.layout.uuid, &c->known, err);
}

void kc_change_close(struct kc_change *c)
{
	kc_kms_close(c->kms);
	kc_known_free(&c->known);
	kc_header_free(&c->h);
	kc_blk_close(&c->blk);
}

int kc_change_target(struct kc_run *r, struct kc_kms *kms, const char *name, struct kc_key_info *key)
{
	int ret = kc_kms_describe(kms, name, key, &r->err);

	if (!ret && key->state != KC_KEY_ENABLED)
		ret = kc_fail(&r->err, key->state == KC_KEY_UNAVAILABLE ? KC_KMS_RETRY : KC_KMS_REFUSED,
			      "enable it, or name another key", "key %s is in state %s", key->key,
			      kc_key_state_name(key->state));
	return ret;
}

unsigned int kc_count_under(const struct kc_header *h, const char *key, const struct kc_token **one)
{
	unsigned int i, n = 0;

	for (i = 0; i < h->n_tokens; i++) {
		if (strcmp(h->tokens[i].binding.key, key))
			continue;
		n++;
		if (one)
			*one = &h->tokens[i];
	}
	return n;
}

static void proven(struct kc_change *c, const uint8_t *dek)
{
	c->dek = dek;
	c->proven_by = "Decrypt";
	snprintf(c->request_id, sizeof(c->request_id), "%s", kc_kms_request_id(c->kms));
}

int kc_change_prove(struct kc_change *c, struct kc_unwrap *u)
{
	int ret = kc_unwrap(c->r, u);

	if (!ret) {
		proven(c, u->dek);
		c->slot = u->used->slot;
	}
	return ret;
}

/* "arn:aws:kms:eu-central-1:": where a key of AWS is. */
static size_t place_len(const char *key)
{
	const char *p = key;
	int i;

	for (i = 0; i < 4 && p; i++)
		p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL;
	return p ? (size_t)(p - key) : strlen(key);
}

/*
 * May one KMS wrap anew from the one key to the other? Inside a provider, and for AWS inside a
 * region, or between the replicas of one multi-region key ("mrk-" and the same digits).
 */
static bool one_service(const struct kc_binding *a, const struct kc_binding *b)
{
	const char *x, *y;
	size_t n;

	if (strcmp(a->provider, b->provider))
		return false;
	if (strcmp(a->provider, "aws"))
		return true;
	n = place_len(a->key);
	if (n == place_len(b->key) && !strncmp(a->key, b->key, n))
		return true;
	x = strstr(a->key, ":key/mrk-");
	y = strstr(b->key, ":key/mrk-");
	return x && y && !strcmp(x, y);
}

/*
 * ReEncrypt, where that is possible. *@done stays false, with 0, where it is not, and where the
 * old key does not work any more but another recipient may.
 */
static int re_encrypt(struct kc_change *c, const struct kc_token *from, struct kc_token *t, bool others, bool *done)
{
	struct kc_error e = { 0 };
	struct kc_run *r = c->r;
	struct kc_binding b;
	int ret;

	ret = kc_header_binding(&c->h, from, &b, &r->err);
	if (ret || !one_service(&b, &t->binding))
		return ret;
	kc_kms_share(c->kms, 2);
	ret = kc_kms_re_encrypt(c->kms, &b, from->wrapped, from->wrapped_len, &t->binding, t->wrapped,
				&t->wrapped_len, &e);
	kc_kms_share(c->kms, 1);
	if (!ret) {
		*done = true;
		c->wrapped_by = "ReEncrypt";
		return 0;
	}
	if (!strcmp(e.provider_error, "UnsupportedOperationException"))
		return 0;
	if (others && !kc_stopped()) {
		kc_warn(r, "its recipient under key %s is of no use, another one is asked: %s", b.key, e.text);
		return 0;
	}
	r->err = e;
	return ret;
}

/* Now; but not what another recipient has: two of one date are a rewrap that did not finish. */
static void own_date(const struct kc_header *h, char text[static 32])
{
	time_t t = time(NULL);
	unsigned int i;
	struct tm tm;

	do {
		gmtime_r(&t, &tm);
		strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
		t++;
		for (i = 0; i < h->n_tokens && strcmp(h->tokens[i].created, text); i++)
			;
	} while (i < h->n_tokens);
}

static int wrap(struct kc_change *c, const struct kc_token *from, struct kc_unwrap *u, struct kc_token *t,
		const struct kc_token **like)
{
	bool done = false;
	int ret = 0;

	*like = from;
	if (from) {
		/* a key that this host does not accept is not asked, by no operation */
		ret = kc_pin_check(&c->r->conf, from, &c->known, u->named, &c->r->err);
		if (!ret)
			ret = re_encrypt(c, from, t, u->n > 1, &done);
	}
	if (ret || done)
		return ret;
	u->reserve = 1;
	ret = kc_unwrap(c->r, u);
	if (ret)
		return ret;
	if (!from)
		*like = u->used;
	c->wrapped_by = "Encrypt";
	return kc_kms_encrypt(c->kms, &t->binding, u->dek, t->wrapped, &t->wrapped_len, &c->r->err);
}

int kc_change_wrap(struct kc_change *c, const struct kc_token *from, struct kc_unwrap *u, struct kc_token *t)
{
	struct kc_error *err = &c->r->err;
	const struct kc_token *like;
	const uint8_t *dek;
	int ret;

	memset(t, 0, sizeof(*t));
	t->slot = -1;
	t->has_keyslot = c->h.tokens[0].has_keyslot;
	ret = kc_header_binding(&c->h, from ? from : &c->h.tokens[0], &t->binding, err);
	if (ret)
		return ret;
	snprintf(t->binding.provider, sizeof(t->binding.provider), "%s", c->key.provider);
	snprintf(t->binding.key, sizeof(t->binding.key), "%s", c->key.key);
	if (c->as) {
		memcpy(t->binding.context.id, c->as->uuid, sizeof(t->binding.context.id));
		ret = kc_canon_layout(c->as, t->binding.context.layout, err);
		if (ret)
			return ret;
	}

	ret = wrap(c, from, u, t, &like);
	if (!ret)
		ret = kc_kms_decrypt(c->kms, &t->binding, t->wrapped, t->wrapped_len, &dek, err);
	/* what is copied from a token gets a new mac only if it has a good one */
	if (!ret)
		ret = kc_header_verify_dek(&c->h, like, dek, err);
	if (!ret) {
		t->lease = like->lease;
		t->on_revoke = like->on_revoke;
		if (from)
			memcpy(t->created, from->created, sizeof(t->created));
		else
			own_date(&c->h, t->created);
		ret = kc_header_seal_token(t, c->as ? c->as : &c->h.layout, c->h.flags, dek, err);
	}
	/* there is no header yet that a clone's token could be checked against */
	if (!ret && !c->as)
		ret = kc_header_verify_dek(&c->h, t, dek, err);
	if (ret)
		kc_kms_wipe(c->kms);
	else
		proven(c, dek);
	return ret;
}

int kc_change_written(struct kc_change *c, const struct kc_token *t)
{
	struct kc_error *err = &c->r->err;
	unsigned int i;
	int ret;

	ret = load(c);
	if (ret)
		return ret;
	for (i = 0; i < c->h.n_tokens; i++)
		if (!strcmp(c->h.tokens[i].mac, t->mac) && !strcmp(c->h.tokens[i].binding.key, t->binding.key))
			break;
	if (i == c->h.n_tokens)
		return kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			       "the copy under key %s is not on it", t->binding.key);
	c->slot = c->h.tokens[i].slot;
	return kc_header_verify_dek(&c->h, &c->h.tokens[i], c->dek, err);
}

void kc_change_remember(struct kc_change *c, const struct kc_token *stays, const char *gone)
{
	struct kc_error err = { 0 };

	if (stays && kc_known_save(&c->r->conf, &c->h, stays, &err))
		kc_warn(c->r, "this host could not remember its key: %s", err.text);
	kc_error_clear(&err);
	if (gone && kc_known_forget(&c->r->conf, c->h.layout.uuid, gone, &err))
		kc_warn(c->r, "this host could not forget its old key: %s", err.text);
}

int kc_change_drop(struct kc_change *c, const char *key, const struct kc_token *stays)
{
	struct kc_token old;
	unsigned int i;
	int ret;

	for (;;) {
		for (i = 0; i < c->h.n_tokens; i++)
			if (!strcmp(c->h.tokens[i].binding.key, key) && strcmp(c->h.tokens[i].mac, stays->mac))
				break;
		if (i == c->h.n_tokens)
			return 0;
		old = c->h.tokens[i];
		ret = kc_header_remove_token(c->r->device, &old, &c->r->err);
		if (!ret)
			ret = kc_change_written(c, stays);
		if (ret)
			return ret;
	}
}
