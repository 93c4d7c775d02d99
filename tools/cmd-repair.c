// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache repair: a damaged copy of the header is written anew from the good one. The verbs that
 * read never write, and only warn; this one writes, and nothing but that copy. Works on a
 * volume that is attached, too.
 */
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "kcache.h"
#include "recipient.h"
#include "stop.h"

static const char *nth(int copy)
{
	return copy == 1 ? "first" : "second";
}

static int repair(struct kc_change *c)
{
	struct kc_run *r = c->r;
	char uuid[KC_UUID_LEN + 1];
	bool ours;
	int ret;

	ret = kc_change_open(c, r->arg[0], !kc_given(r, OPT_DRY_RUN));
	if (ret == KC_DEVICE && c->blk.fd >= 0 && !c->h.layout.uuid[0] && !kc_header_identity(c->blk.fd, uuid, &ours))
		snprintf(r->err.next, sizeof(r->err.next),
			 "if it is a volume whose header is lost, put it back with kcache header restore");
	if (ret || !c->h.damaged_copy || kc_given(r, OPT_DRY_RUN))
		return ret;
	/* the last point at which nothing has been written */
	ret = kc_stop_check(&r->err);
	return ret ? ret : kc_header_repair(r->device, &c->h, &r->err);
}

static int print_result(struct kc_change *c)
{
	struct json_object *o;

	if (!kc_given(c->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_str(o, "uuid", c->h.layout.uuid);
	kc_json_str(o, "device", c->r->device);
	kc_json_int(o, "damaged_copy", c->h.damaged_copy);
	kc_json_bool(o, "repaired", c->h.damaged_copy && !kc_given(c->r, OPT_DRY_RUN));
	kc_json_bool(o, "dry_run", kc_given(c->r, OPT_DRY_RUN));
	return kc_json_print(c->r, o);
}

static void tell(struct kc_change *c)
{
	int bad = c->h.damaged_copy;

	if (!bad)
		kc_say(c->r, "there is nothing to do: both copies of the header are good");
	else if (kc_given(c->r, OPT_DRY_RUN))
		kc_say(c->r, "the %s copy of the header would be written anew from the %s one; nothing was changed", nth(bad),
		       nth(3 - bad));
	else
		kc_say(c->r, "the %s copy of the header was damaged, and has been written anew from the %s one\nsomething has damaged it: look at the device (dmesg, smartctl), and make a backup with kcache header backup",
		       nth(bad), nth(3 - bad));
}

int cmd_repair(struct kc_run *r)
{
	struct kc_change c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } };
	int ret;

	kc_stop_install();
	ret = repair(&c);
	if (c.h.damaged_copy && !kc_given(r, OPT_DRY_RUN))
		kc_audit_event(r, &(struct kc_event){
			.event = "repairHeader",
			.volume = c.h.layout.uuid,
			.device = r->device,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(&c);
	if (!ret)
		tell(&c);
	kc_change_close(&c);
	return ret;
}
