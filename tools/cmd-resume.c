// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache resume: the key comes back, by way of the KMS and with all that attach checks,
 * and I/O goes on. For a suspended volume, and for one whose key was wiped or whose
 * lease ran out. If it fails the volume is as it was.
 */
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "kcache.h"
#include "kms.h"
#include "live.h"
#include "open.h"
#include "stop.h"

static int resume(struct kc_run *r, const struct kc_dm *d, bool valid, struct kc_volume *v)
{
	int ret = 0;

	if (!valid) {
		ret = kc_live_header(r, d, v);
		if (!ret)
			ret = kc_volume_unwrap(r, v);
		if (!ret)
			ret = kc_live_set_key(r, d, v);
	}
	if (ret)
		return kc_stopped() ? kc_stop_check(&r->err) : ret;
	if (d->suspended)
		ret = kc_dm_resume(d->name, &r->err);
	if (ret && !valid)
		kc_dm_message(d->name, "key wipe", NULL, NULL);
	return ret;
}

static void remember(struct kc_run *r, const struct kc_volume *v)
{
	struct kc_error err = { 0 };

	if (v->used && kc_known_save(&r->conf, &v->h, v->used, &err))
		kc_warn(r, "it goes on, but this host could not remember it: %s", err.text);
}

int cmd_resume(struct kc_run *r)
{
	struct kc_volume v = KC_VOLUME_INIT;
	char state[16];
	struct kc_dm d;
	bool valid;
	int ret;

	ret = kc_live_get(r, &d);
	if (ret)
		return ret;
	kc_dm_key_state(&d, state);
	valid = strcmp(state, "valid") == 0;
	if (valid && !d.suspended)
		return kc_fail(&r->err, KC_BUSY, NULL, "it is not suspended, and its key is valid");
	if (!valid && kc_dm_ephemeral(&d))
		return kc_fail(&r->err, KC_KEY_GONE, "detach it",
			       "it is an ephemeral volume: its key was nowhere else and is gone for good");
	kc_stop_install();
	ret = resume(r, &d, valid, &v);
	if (!ret)
		remember(r, &v);
	kc_audit_event(r, &(struct kc_event){
		.event = "resumeVolume",
		.volume = d.volume,
		.device = r->device,
		.name = d.name,
		.key = v.used ? v.used->binding.key : NULL,
		.request_id = v.used ? kc_kms_request_id(v.kms) : NULL,
		.err = ret ? &r->err : NULL,
	});
	if (!ret)
		ret = kc_live_print(r);
	kc_volume_free(&v);
	return ret;
}
