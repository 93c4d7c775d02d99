// SPDX-License-Identifier: GPL-2.0-or-later
/* What verbs on attached volumes share. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blk.h"
#include "kcache.h"
#include "kms.h"
#include "live.h"
#include "stop.h"

int kc_live_get(struct kc_run *r, struct kc_dm *d)
{
	bool found;
	int ret;

	snprintf(r->volume, sizeof(r->volume), "%s", r->arg[0]);
	ret = kc_dm_get(r->arg[0], d, &found, &r->err);
	if (ret)
		return ret;
	if (!found)
		return kc_fail(&r->err, KC_DEVICE, "see kcache list", "no volume of this name is attached");
	if (d->below)
		kc_blk_name(d->below, r->device, sizeof(r->device));
	if (strcmp(d->target, "kcache") != 0)
		return kc_fail(&r->err, KC_DEVICE, "see dmsetup table", "its table has target `%s', not kcache",
			       d->target);
	return 0;
}

int kc_live_refuse_vital(struct kc_run *r, const struct kc_dm *d, const char *doing)
{
	/* what a resume reads before I/O can go on */
	const char *const needed[] = { "/usr", "/etc", r->conf.helper, r->conf.state_dir,
				       strcmp(r->conf.audit_file, "none") ? r->conf.audit_file : NULL, NULL };
	char what[512];

	if (kc_given(r, OPT_FORCE) || !kc_blk_vital(d->dev, needed, what, sizeof(what)))
		return 0;
	return kc_fail(&r->err, KC_BUSY, "use --force if something outside of it resumes it",
		       "%s would bring this host to a halt: it carries %s", doing, what);
}

int kc_live_header(struct kc_run *r, const struct kc_dm *d, struct kc_volume *v)
{
	int ret;

	ret = kc_blk_open(r->device, &v->blk, &r->err);
	if (!ret)
		ret = kc_volume_header(r, v);
	if (ret || strcmp(v->h.layout.uuid, d->volume) == 0)
		return ret;
	return kc_fail(&r->err, KC_TAMPERED, "put the volume's own device, or its header, back; or detach it",
		       "the device below carries another volume now, %s instead of %s", v->h.layout.uuid, d->volume);
}

int kc_live_set_key(struct kc_run *r, const struct kc_dm *d, struct kc_volume *v)
{
	char message[KC_KEY_DESC_MAX + 32];
	struct kc_keyring key = { 0 };
	struct kc_error why = { 0 };
	int e, ret;

	ret = kc_stop_check(&r->err);
	if (!ret)
		ret = kc_volume_key(v, &key, &r->err);
	if (ret)
		return ret;
	snprintf(message, sizeof(message), "key set :%d:logon:%s", KC_DEK_SIZE, key.desc);
	ret = kc_dm_message(d->name, message, &e, &why);
	if (kc_keyring_drop(&key, &r->err)) {
		kc_dm_message(d->name, "key wipe", NULL, NULL);
		return (int)r->err.code;
	}
	if (ret && e == EKEYREJECTED)
		return kc_fail(&r->err, KC_TAMPERED, "detach it, and see kcache dump which volume this is",
			       "the header below opens to another key than the volume was attached with");
	if (ret)
		return kc_fail(&r->err, why.code == KC_DEVICE ? KC_KEY_GONE : why.code, why.next,
			       "its key cannot be set again: %s", why.text);
	return 0;
}

int kc_live_print(struct kc_run *r)
{
	struct json_object *o;
	char state[16];
	struct kc_dm d;
	bool found;
	int ret;

	if (!kc_given(r, OPT_JSON))
		return 0;
	ret = kc_dm_get(r->arg[0], &d, &found, &r->err);
	if (ret || !found)
		return ret;
	kc_dm_key_state(&d, state);
	o = kc_json_new();
	kc_json_str(o, "name", d.name);
	kc_json_str(o, "uuid", d.volume);
	kc_json_str(o, "device", r->device);
	kc_json_str(o, "state", d.suspended ? "suspended" : "attached");
	kc_json_str(o, "key_state", state);
	return kc_json_print(r, o);
}
