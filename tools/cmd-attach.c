// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache attach: header, pins, KMS, keyring, table, in this order. Nothing is
 * written to the device, and after a failure nothing is mapped and no key is left.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "grant.h"
#include "kcache.h"
#include "kms.h"
#include "open.h"
#include "pins.h"
#include "stop.h"

/** struct attach - one attach on its way; @name is the mapped device to be */
struct attach {
	struct kc_run *r;
	const char *name;
	struct kc_volume v;
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
	ret = kc_blk_open(a->r->device, &a->v.blk, err);
	if (ret)
		return ret;
	ret = kc_blk_refuse_leg(&a->v.blk, err);
	if (ret)
		return ret;
	if (a->v.blk.zoned)
		return kc_fail(err, KC_DEVICE, NULL, "zoned devices are not supported");
	if (a->v.blk.read_only && !kc_given(a->r, OPT_READONLY))
		return kc_fail(err, KC_DEVICE, "attach it with --readonly", "it is read-only");
	/* a device is claimed for reading; a file's descriptor is what its loop device writes through */
	return kc_blk_claim(&a->v.blk, a->v.blk.is_file && !kc_given(a->r, OPT_READONLY), err);
}

static int read_header(struct attach *a)
{
	const struct kc_header *h = &a->v.h;
	int ret;

	ret = kc_volume_header(a->r, &a->v);
	return ret ? ret : kc_blk_refuse_twins(&a->v.blk, h->layout.uuid, h->area, &a->r->err);
}

/* From the DEK to the mapped device. The key is in the kernel for this long and no longer. */
static int map(struct attach *a)
{
	struct kc_dm_options o = {
		.read_only = kc_given(a->r, OPT_READONLY),
		.discards = kc_given(a->r, OPT_DISCARDS),
	};
	const struct kc_token *t = a->v.used;
	struct kc_error *err = &a->r->err;
	struct kc_keyring key = { 0 };
	int ret, loop;
	dev_t below;

	ret = kc_stop_check(err);
	if (ret)
		return ret;
	if (t->on_revoke != KC_REVOKE_KEEP) {
		o.lease = t->lease;
		o.freeze = t->on_revoke == KC_REVOKE_FREEZE;
	}
	ret = kc_map_below(&a->v.blk, o.read_only, &below, &loop, err);
	if (ret)
		return ret;
	ret = kc_volume_key(&a->v, &key, err);
	if (!ret)
		ret = kc_map(a->name, &a->v.blk, below, &a->v.h.layout, &key, &o, err);
	if (loop >= 0)
		close(loop);
	return ret;
}

static void remember(struct attach *a)
{
	struct kc_error err = { 0 };

	if (kc_known_save(&a->r->conf, &a->v.h, a->v.used, &err))
		kc_warn(a->r, "it is attached, but this host could not remember it: %s", err.text);
	kc_error_clear(&err);
	if (kc_grant_remember(&a->r->conf, a->v.h.layout.uuid, a->v.used->binding.key, a->r->opt[OPT_GRANT_TOKEN], &err))
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
	kc_json_str(o, "uuid", a->v.h.layout.uuid);
	kc_json_str(o, "device", a->r->device);
	kc_json_str(o, "key", a->v.used->binding.key);
	kc_json_u64(o, "generation", a->v.used->binding.context.generation);
	kc_json_u64(o, "lease", a->v.used->lease);
	kc_json_str(o, "on_revoke", kc_on_revoke_name(a->v.used->on_revoke));
	kc_json_bool(o, "read_only", kc_given(a->r, OPT_READONLY));
	kc_json_int(o, "damaged_copy", a->v.h.damaged_copy);
	return kc_json_print(a->r, o);
}

/* A lease that nobody renews ends; and of a rewrap --lease that was cut off, each recipient would say another. */
static void tell_lease(struct attach *a)
{
	const struct kc_token *t = a->v.used;
	unsigned int i;

	for (i = 0; i < a->v.h.n_tokens; i++)
		if (a->v.h.tokens[i].lease != t->lease || a->v.h.tokens[i].on_revoke != t->on_revoke)
			break;
	if (i < a->v.h.n_tokens)
		kc_warn(a->r, "its recipients do not agree on lease and on_revoke, those of token %d are in force; run kcache rewrap %s --on-revoke MODE again",
			t->slot, a->r->device);
	if (t->lease && t->on_revoke != KC_REVOKE_KEEP)
		kc_say(a->r, "reads and writes %s in %u seconds unless its lease is renewed\nnext: kcache lease %s",
		       t->on_revoke == KC_REVOKE_FREEZE ? "wait" : "fail", t->lease, a->name);
}

static int attach(struct attach *a)
{
	int ret;

	ret = take_device(a);
	if (!ret)
		ret = read_header(a);
	if (!ret)
		ret = kc_volume_unwrap(a->r, &a->v);
	if (!ret)
		ret = map(a);
	if (ret && kc_stopped())
		ret = kc_stop_check(&a->r->err);
	return ret;
}

int cmd_attach(struct kc_run *r)
{
	struct attach a = { .r = r, .name = r->arg[1], .v = KC_VOLUME_INIT };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	snprintf(r->volume, sizeof(r->volume), "%s", r->arg[1]);
	kc_stop_install();
	ret = attach(&a);
	if (!ret)
		remember(&a);
	/* a device that is no volume at all is a slip of the keyboard, not an event */
	if (a.v.h.layout.uuid[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "attachVolume",
			.volume = a.v.h.layout.uuid,
			.device = r->device,
			.name = a.name,
			.key = a.v.used ? a.v.used->binding.key : NULL,
			.request_id = a.v.used ? kc_kms_request_id(a.v.kms) : NULL,
			.err = ret ? &r->err : NULL,
		});
	if (!ret && a.v.used)
		ret = print_result(&a);
	if (!ret && a.v.used)
		tell_lease(&a);
	kc_volume_free(&a.v);
	return ret;
}
