// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache suspend: I/O to the volume waits, and its key is wiped. A filesystem on it is
 * frozen and written out first, so that what lies on the device is whole.
 */
#include <string.h>
#include <sys/mman.h>

#include "audit.h"
#include "kcache.h"
#include "live.h"
#include "stop.h"

static int suspend(struct kc_run *r, const struct kc_dm *d, bool valid)
{
	int ret = 0;

	/*
	 * Without its key nothing can be written out, and a flush would fail what waits for
	 * the key (on_expiry:freeze): noflush keeps it.
	 */
	if (!d->suspended)
		ret = kc_dm_suspend(d->name, valid, &r->err);
	if (ret)
		return kc_stopped() ? kc_stop_check(&r->err) : ret;
	ret = kc_dm_message(d->name, "key wipe", NULL, &r->err);
	if (ret && !d->suspended)
		kc_dm_resume(d->name, NULL);
	return ret;
}

int cmd_suspend(struct kc_run *r)
{
	char state[16];
	struct kc_dm d;
	bool valid;
	int ret;

	ret = kc_live_get(r, &d);
	if (ret)
		return ret;
	kc_dm_key_state(&d, state);
	valid = strcmp(state, "valid") == 0;
	if (kc_dm_ephemeral(&d))
		return kc_fail(&r->err, KC_DEVICE, "detach it",
			       "it is an ephemeral volume: its key is nowhere else and could not come back");
	if (d.suspended && !valid)
		return kc_fail(&r->err, KC_BUSY, NULL, "it is suspended already, and its key is %s", state);
	ret = kc_live_refuse_vital(r, &d, "suspending it");
	if (ret)
		return ret;

	/* between the two steps nothing of ours may have to be read, least of all from this volume */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		kc_verbose(r, "cannot lock this process into memory");
	kc_stop_install();
	ret = suspend(r, &d, valid);
	kc_audit_event(r, &(struct kc_event){
		.event = "suspendVolume",
		.volume = d.volume,
		.device = r->device,
		.name = d.name,
		.err = ret ? &r->err : NULL,
	});
	return ret ? ret : kc_live_print(r);
}
