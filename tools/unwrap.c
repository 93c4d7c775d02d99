// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A volume's DEK, unwrapped by one of its recipients: they are asked in order, under one
 * deadline, each with the pins and the strict rules before and the digest and mac after it.
 */
#include <stdio.h>
#include <string.h>

#include "kcache.h"
#include "stop.h"
#include "unwrap.h"

int kc_resolve_key(struct kc_run *r, struct kc_kms *kms, const struct kc_header *h, const char *name,
		   char key[static KC_KEY_NAME_MAX])
{
	struct kc_key_info info;
	unsigned int i;
	int ret;

	for (i = 0; i < h->n_tokens && strcmp(h->tokens[i].binding.key, name); i++)
		;
	/* what is canonical needs no KMS to be told from others; one that is gone is named like this */
	if (i < h->n_tokens || kc_key_canonical(NULL, name)) {
		snprintf(key, KC_KEY_NAME_MAX, "%s", name);
		return 0;
	}
	ret = kc_kms_describe(kms, name, &info, &r->err);
	if (!ret)
		snprintf(key, KC_KEY_NAME_MAX, "%s", info.key);
	return ret;
}

void kc_unwrap_under(struct kc_unwrap *u, const char *key)
{
	unsigned int i;

	for (i = 0; i < u->h->n_tokens; i++)
		if (!key || !strcmp(u->h->tokens[i].binding.key, key))
			u->tokens[u->n++] = &u->h->tokens[i];
}

/* With one recipient. A DEK that does not hold is wiped at once. */
static int try_token(struct kc_run *r, struct kc_unwrap *u, const struct kc_token *t, struct kc_error *err)
{
	const uint8_t *dek = NULL;
	struct kc_binding b;
	int ret;

	ret = kc_pin_check(&r->conf, t, u->known, u->named && u->named[0] ? u->named : NULL, err);
	if (ret)
		return ret;
	ret = kc_header_binding(u->h, t, &b, err);
	if (ret)
		return ret;
	kc_verbose(r, "asking for key %s", b.key);
	ret = kc_kms_decrypt(u->kms, &b, t->wrapped, t->wrapped_len, &dek, err);
	if (!ret)
		ret = kc_header_verify_dek(u->h, t, dek, err);
	if (ret) {
		kc_kms_wipe(u->kms);
		return ret;
	}
	u->dek = dek;
	u->used = t;
	return 0;
}

/* Why one of several did not work: told when it happens, whatever becomes of the others. */
static void tell(const struct kc_run *r, const struct kc_unwrap *u, unsigned int i, const struct kc_error *e)
{
	const struct kc_token *t = u->tokens[i];

	kc_warn(r, "recipient %u of %u (token %d, key %s) is of no use: %s%s%s%s%s%s%s%s", i + 1, u->n, t->slot,
		t->binding.key, e->text, e->provider_error[0] || e->request_id[0] ? " [" : "",
		e->provider_error, e->provider_error[0] && e->request_id[0] ? ", " : "",
		e->request_id[0] ? "request " : "", e->request_id,
		e->provider_error[0] || e->request_id[0] ? "]; " : e->next[0] ? "; " : "", e->next);
}

int kc_unwrap(struct kc_run *r, struct kc_unwrap *u)
{
	struct kc_error *err = &r->err, chosen = { 0 };
	enum kc_answer all = KC_ANSWER_REFUSED;
	unsigned int i;

	u->dek = NULL;
	u->used = NULL;
	u->answer = KC_ANSWER_SILENT;
	for (i = 0; i < u->n; i++) {
		struct kc_error e = { 0 };

		if (kc_stop_check(err))
			return (int)err->code;
		kc_kms_share(u->kms, u->n - i + u->reserve);
		if (try_token(r, u, u->tokens[i], &e) == 0) {
			kc_kms_share(u->kms, 1);
			u->answer = KC_ANSWER_YES;
			return 0;
		}
		if (kc_stop_check(err))
			return (int)err->code;
		all = kc_answer_worse(all, kc_answer(&e));
		if (u->n > 1)
			tell(r, u, i, &e);
		if (chosen.code == KC_OK || (e.code == KC_KMS_RETRY && chosen.code != KC_KMS_RETRY))
			chosen = e;
	}
	kc_kms_share(u->kms, 1);
	if (!u->n)
		return kc_fail(err, KC_DEVICE, NULL, "it has no recipient");
	u->answer = all;
	kc_fail(err, chosen.code, chosen.next, "%.*s%s", u->n > 1 ? 80 : 0,
		"none of its recipients works (each is told above), among them: ", chosen.text);
	snprintf(err->provider_error, sizeof(err->provider_error), "%s", chosen.provider_error);
	snprintf(err->request_id, sizeof(err->request_id), "%s", chosen.request_id);
	return (int)chosen.code;
}
