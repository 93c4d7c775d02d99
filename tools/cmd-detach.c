// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache detach: the mapped device goes, and with its last reference the key in the kernel.
 * Needs no KMS; the grant of attach, if there was one, is given back by a process that
 * nobody waits for.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "blk.h"
#include "dm.h"
#include "grant.h"
#include "kcache.h"
#include "snap-live.h"

int check_name(struct kc_run *r)
{
	static const char dir[] = "/dev/mapper/";

	if (!r->n_arg)
		return 0;
	/* what attach prints is taken as well */
	if (strncmp(r->arg[0], dir, strlen(dir)) == 0)
		r->arg[0] += strlen(dir);
	return kc_dm_check_name(r->arg[0], &r->err);
}

static int in_use(struct kc_run *r, const struct kc_dm *d)
{
	static const char next[] = "unmount or close it first, or use --lazy";
	char users[512];

	if (kc_blk_users(d->dev, users, sizeof(users)))
		return kc_fail(&r->err, KC_BUSY, next, "it is in use: %s", users);
	return kc_fail(&r->err, KC_BUSY, next, "it is open %d times", d->opens);
}

/*
 * What a snapshot that was killed has left under it. One that is under way has the volume
 * open, which is then in use.
 */
static void clear_left(struct kc_run *r, const struct kc_dm *d)
{
	struct kc_error err = { 0 };
	int lock;

	if (!d->origin)
		return;
	lock = kc_snap_lock(d->name, &err);
	if (lock >= 0 && kc_snap_clear(d->volume, d->name, &err))
		kc_verbose(r, "what is left of a snapshot goes with it: %s", err.text);
	if (lock >= 0)
		close(lock);
}

static int detach(struct kc_run *r, const struct kc_dm *d)
{
	bool lazy = kc_given(r, OPT_LAZY);
	char users[512];
	int ret;

	/* an open that nobody can be named for may be udev looking at it: the removal below waits for that */
	if (d->opens && !lazy && kc_blk_users(d->dev, users, sizeof(users)))
		return in_use(r, d);
	ret = kc_dm_remove(d->name, lazy, &r->err);
	if (ret == KC_BUSY) {
		kc_error_clear(&r->err);
		ret = in_use(r, d);
	}
	return ret;
}

/*
 * The configuration says where audit events go and nothing more here: one that
 * cannot be read must not keep a volume attached.
 */
static void audit(struct kc_run *r, const struct kc_dm *d, bool ephemeral, int ret)
{
	struct kc_error err = { 0 };

	if (kc_conf_load(r->opt[OPT_CONFIG], &r->conf, &err)) {
		kc_warn(r, "the audit event detachVolume was not written: %s", err.text);
		return;
	}
	kc_audit_event(r, &(struct kc_event){
		.event = "detachVolume",
		.kind = ephemeral ? "ephemeral" : NULL,
		.volume = d->volume,
		.device = r->device,
		.name = d->name,
		.err = ret ? &r->err : NULL,
	});
}

static int print_result(struct kc_run *r, const char *volume, bool was_there, bool pending)
{
	struct json_object *o;

	if (!kc_given(r, OPT_JSON)) {
		if (pending)
			kc_say(r, "kcache: %s: will be detached when its last user goes", r->arg[0]);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "name", r->arg[0]);
	kc_json_str(o, "uuid", volume);
	kc_json_bool(o, "was_attached", was_there);
	kc_json_bool(o, "pending", pending);
	return kc_json_print(r, o);
}

int cmd_detach(struct kc_run *r)
{
	struct kc_error left = { 0 };
	struct kc_dm d, after;
	bool found, still, ephemeral;
	int ret;

	snprintf(r->volume, sizeof(r->volume), "%s", r->arg[0]);
	ret = kc_dm_find(r->arg[0], &d, &found, &r->err);
	if (ret)
		return ret;
	if (!found) {
		kc_verbose(r, "it is not attached");
		ret = kc_snap_clear(NULL, r->arg[0], &r->err);
		return ret ? ret : print_result(r, NULL, false, false);
	}
	if (d.below)
		kc_blk_name(d.below, r->device, sizeof(r->device));
	/* for the record alone: a table that cannot be read is no obstacle */
	ephemeral = kc_dm_get(r->arg[0], &after, &still, NULL) == 0 && still && kc_dm_ephemeral(&after);
	clear_left(r, &d);
	ret = detach(r, &d);
	audit(r, &d, ephemeral, ret);
	if (ret)
		return ret;
	if (kc_dm_find(r->arg[0], &after, &still, NULL))
		still = false;
	if (!still && kc_snap_clear(d.volume, d.name, &left))
		kc_warn(r, "it is detached, but something of a snapshot is left: %s", left.text);
	/* r->conf was loaded for the audit, or could not be */
	if (!still && r->conf.state_dir)
		kc_grant_retire(&r->conf, d.volume);
	return print_result(r, d.volume, true, still && after.deferred);
}
