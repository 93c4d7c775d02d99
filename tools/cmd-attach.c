// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache attach: header, pins, KMS, keyring, table, in this order. Nothing is
 * written to the device, and after a failure nothing is mapped and no key is left.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "blk.h"
#include "dm.h"
#include "grant.h"
#include "header.h"
#include "kcache.h"
#include "keyring.h"
#include "kms.h"
#include "loop.h"
#include "pins.h"
#include "stop.h"
#include "unwrap.h"

/**
 * struct attach - one attach on its way
 * @name: the mapped device to be
 * @named: canonical id of the key given with --key; empty without
 * @used: the token whose DEK was good
 * @dek: in the key helper's mapping; NULL until unwrapped and verified
 */
struct attach {
	struct kc_run *r;
	const char *name;
	struct kc_blk blk;
	struct kc_header h;
	struct kc_known known;
	struct kc_kms *kms;
	char named[KC_KEY_NAME_MAX];
	const struct kc_token *used;
	const uint8_t *dek;
};

int check_attach(struct kc_run *r)
{
	int ret = kc_dm_check_name(r->arg[1], &r->err);

	if (!ret && kc_given(r, OPT_GRANT_TOKEN))
		ret = kc_grant_check(r->opt[OPT_GRANT_TOKEN], &r->err);
	return ret;
}

/* The device: ours alone, writable as asked, no path of a multipath device. */
static int take_device(struct attach *a)
{
	struct kc_error *err = &a->r->err;
	bool exists;
	int ret;

	/*
	 * Where device-mapper is out of reach nothing of this name is mapped: what is
	 * wrong with the volume is told first, and map() says what is missing here.
	 */
	if (kc_dm_exists(a->name, &exists, NULL) == 0 && exists)
		return kc_fail(err, KC_BUSY, "choose another name, or detach it",
			       "a mapped device of this name exists already");
	ret = kc_blk_open(a->r->device, &a->blk, err);
	if (ret)
		return ret;
	ret = kc_blk_refuse_leg(&a->blk, err);
	if (ret)
		return ret;
	if (a->blk.zoned)
		return kc_fail(err, KC_DEVICE, NULL, "zoned devices are not supported");
	if (a->blk.read_only && !kc_given(a->r, OPT_READONLY))
		return kc_fail(err, KC_DEVICE, "attach it with --readonly", "it is read-only");
	/* a device is claimed for reading; a file's descriptor is what its loop device writes through */
	return kc_blk_claim(&a->blk, a->blk.is_file && !kc_given(a->r, OPT_READONLY), err);
}

static int read_header(struct attach *a)
{
	struct kc_error *err = &a->r->err;
	int ret;

	ret = kc_header_load(a->blk.fd, &a->h, err);
	if (ret)
		return ret;
	if (a->h.unfinished)
		return kc_fail(err, KC_DEVICE, "run kcache create on it again: it will be completed",
			       "its creation did not finish, there is no key on it yet");
	kc_warn_damaged(a->r, &a->h);
	ret = kc_blk_refuse_twins(&a->blk, a->h.layout.uuid, a->h.area, err);
	if (ret)
		return ret;
	return kc_known_load(&a->r->conf, a->h.layout.uuid, &a->known, err);
}

/* With --key, that recipient is asked and no other; it may be named by an alias. */
static int unwrap(struct attach *a)
{
	const char *given = a->r->opt[OPT_KEY];
	struct kc_unwrap u = { .kms = a->kms, .h = &a->h, .known = &a->known, .named = a->named };
	int ret;

	if (given) {
		ret = kc_resolve_key(a->r, a->kms, &a->h, given, a->named);
		if (ret)
			return ret;
	}
	kc_unwrap_under(&u, given ? a->named : NULL);
	if (given && !u.n)
		return kc_fail(&a->r->err, KC_TAMPERED, "see kcache recipient list",
			       "the volume has no recipient under key %s", a->named);
	ret = kc_unwrap(a->r, &u);
	a->dek = u.dek;
	a->used = u.used;
	return ret;
}

/* From the DEK to the mapped device. The key is in the kernel for this long and no longer. */
static int map(struct attach *a)
{
	struct kc_dm_options o = {
		.read_only = kc_given(a->r, OPT_READONLY),
		.discards = kc_given(a->r, OPT_DISCARDS),
	};
	struct kc_error *err = &a->r->err;
	struct kc_keyring key = { 0 };
	struct kc_error dropped = { 0 };
	dev_t dev = a->blk.dev;
	int ret, loop = -1;

	if (kc_stop_check(err))
		return (int)err->code;
	if (a->blk.is_file) {
		loop = kc_loop_setup(a->blk.claim_fd, o.read_only, &dev, err);
		if (loop < 0)
			return (int)err->code;
	}
	ret = kc_keyring_add(&key, a->h.layout.uuid, a->dek, err);
	kc_kms_wipe(a->kms);
	a->dek = NULL;
	if (ret)
		goto out;
	/* device-mapper claims the device itself: two exclusive owners cannot be */
	kc_blk_release(&a->blk);
	ret = kc_dm_create(a->name, &a->h.layout, dev, a->blk.size, key.desc, &o, err);
	if (kc_keyring_drop(&key, &dropped) && !ret) {
		kc_dm_remove(a->name, false, NULL);
		*err = dropped;
		ret = (int)err->code;
	}
	if (!ret && kc_stopped()) {
		kc_dm_remove(a->name, false, NULL);
		ret = kc_stop_check(err);
	}
out:
	/* the mapped device keeps the loop device; without one it goes now */
	if (loop >= 0)
		close(loop);
	return ret;
}

static void remember(struct attach *a)
{
	struct kc_error err = { 0 };

	if (kc_known_save(&a->r->conf, &a->h, a->used, &err))
		kc_warn(a->r, "it is attached, but this host could not remember it: %s", err.text);
	kc_error_clear(&err);
	if (kc_grant_remember(&a->r->conf, a->h.layout.uuid, a->used->binding.key, a->r->opt[OPT_GRANT_TOKEN], &err))
		kc_warn(a->r, "it is attached, but this host could not remember its grant: %s", err.text);
}

static int print_result(struct attach *a)
{
	struct json_object *o;
	char node[KC_DM_NAME_MAX + 16];

	snprintf(node, sizeof(node), "/dev/mapper/%s", a->name);
	if (!kc_given(a->r, OPT_JSON)) {
		puts(node);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "name", a->name);
	kc_json_str(o, "path", node);
	kc_json_str(o, "uuid", a->h.layout.uuid);
	kc_json_str(o, "device", a->r->device);
	kc_json_str(o, "key", a->used->binding.key);
	kc_json_u64(o, "generation", a->used->binding.context.generation);
	kc_json_bool(o, "read_only", kc_given(a->r, OPT_READONLY));
	kc_json_int(o, "damaged_copy", a->h.damaged_copy);
	return kc_json_print(a->r, o);
}

static int attach(struct attach *a)
{
	int ret;

	ret = take_device(a);
	if (!ret)
		ret = read_header(a);
	if (!ret)
		ret = kc_kms_open(&a->r->conf, &a->kms, &a->r->err);
	if (!ret) {
		kc_kms_use_grant(a->kms, a->r->opt[OPT_GRANT_TOKEN]);
		ret = unwrap(a);
	}
	if (!ret)
		ret = map(a);
	if (ret && kc_stopped())
		ret = kc_stop_check(&a->r->err);
	return ret;
}

int cmd_attach(struct kc_run *r)
{
	struct attach a = { .r = r, .name = r->arg[1], .blk = { .fd = -1, .claim_fd = -1 } };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	snprintf(r->volume, sizeof(r->volume), "%s", r->arg[1]);
	kc_stop_install();
	ret = attach(&a);
	if (!ret)
		remember(&a);
	/* a device that is no volume at all is a slip of the keyboard, not an event */
	if (a.h.layout.uuid[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "attachVolume",
			.volume = a.h.layout.uuid,
			.device = r->device,
			.name = a.name,
			.key = a.used ? a.used->binding.key : NULL,
			.request_id = a.used ? kc_kms_request_id(a.kms) : NULL,
			.err = ret ? &r->err : NULL,
		});
	if (!ret && a.used)
		ret = print_result(&a);
	kc_kms_close(a.kms);
	kc_known_free(&a.known);
	kc_header_free(&a.h);
	kc_blk_close(&a.blk);
	return ret;
}
