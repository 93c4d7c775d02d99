// SPDX-License-Identifier: GPL-2.0-or-later
/* The steps of attach that other verbs take as well. */
#include <string.h>
#include <unistd.h>

#include "kcache.h"
#include "kms.h"
#include "loop.h"
#include "open.h"
#include "stop.h"

int kc_volume_header(struct kc_run *r, struct kc_volume *v)
{
	int ret;

	ret = kc_header_load(v->blk.fd, &v->h, &r->err);
	if (ret)
		return ret;
	if (v->h.unfinished)
		return kc_fail(&r->err, KC_DEVICE, "run kcache create on it again: it will be completed",
			       "its creation did not finish, there is no key on it yet");
	kc_warn_damaged(r, &v->h);
	return kc_known_load(&r->conf, v->h.layout.uuid, &v->known, &r->err);
}

int kc_volume_unwrap(struct kc_run *r, struct kc_volume *v)
{
	const char *given = r->opt[OPT_KEY];
	struct kc_unwrap u = { .h = &v->h, .known = &v->known, .named = v->named };
	int ret;

	ret = kc_kms_open(&r->conf, &v->kms, &r->err);
	if (ret)
		return ret;
	kc_kms_use_grant(v->kms, r->opt[OPT_GRANT_TOKEN]);
	if (given) {
		ret = kc_resolve_key(r, v->kms, &v->h, given, v->named);
		if (ret)
			return ret;
	}
	u.kms = v->kms;
	kc_unwrap_under(&u, given ? v->named : NULL);
	if (given && !u.n)
		return kc_fail(&r->err, KC_TAMPERED, "see kcache recipient list",
			       "the volume has no recipient under key %s", v->named);
	ret = kc_unwrap(r, &u);
	v->dek = u.dek;
	v->used = u.used;
	v->answer = u.answer;
	return ret;
}

int kc_volume_key(struct kc_volume *v, struct kc_keyring *key, struct kc_error *err)
{
	int ret;

	ret = kc_keyring_add(key, v->h.layout.uuid, v->dek, err);
	kc_kms_wipe(v->kms);
	v->dek = NULL;
	return ret;
}

void kc_volume_free(struct kc_volume *v)
{
	kc_kms_close(v->kms);
	kc_known_free(&v->known);
	kc_header_free(&v->h);
	kc_blk_close(&v->blk);
}

int kc_map_below(const struct kc_blk *blk, bool read_only, dev_t *below, int *loop, struct kc_error *err)
{
	*below = blk->dev;
	*loop = -1;
	if (!blk->is_file)
		return 0;
	*loop = kc_loop_setup(blk->claim_fd, read_only, below, err);
	return *loop < 0 ? (int)err->code : 0;
}

int kc_map(const char *name, struct kc_blk *blk, dev_t below, const struct kc_layout *l, struct kc_keyring *key,
	   const struct kc_dm_options *o, struct kc_error *err)
{
	struct kc_error dropped = { 0 };
	int ret;

	/* device-mapper claims the device itself: two exclusive owners cannot be */
	kc_blk_release(blk);
	ret = kc_dm_create(name, l, below, blk->size, key->desc, o, err);
	if (kc_keyring_drop(key, &dropped) && !ret) {
		kc_dm_remove(name, false, NULL);
		*err = dropped;
		ret = (int)err->code;
	}
	if (!ret && kc_stopped()) {
		kc_dm_remove(name, false, NULL);
		ret = kc_stop_check(err);
	}
	return ret;
}
