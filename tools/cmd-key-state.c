// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key enable, disable, rotate, schedule-deletion, cancel-deletion: the state of a key. */
#include "key.h"

static int change(struct key_verb *v, const char *operation, struct json_object *args)
{
	struct json_object *info = NULL;
	int ret = key_call(v, operation, args, &info);

	return ret ? ret : key_changed(v, info);
}

static int enable(struct key_verb *v)
{
	return change(v, "EnableKey", key_args(v));
}

static int disable(struct key_verb *v)
{
	return change(v, "DisableKey", key_args(v));
}

static int schedule_deletion(struct key_verb *v)
{
	struct json_object *args = key_args(v);

	if (kc_given(v->r, OPT_DAYS))
		kc_json_int(args, "days", (int)v->r->number[OPT_DAYS]);
	return change(v, "ScheduleKeyDeletion", args);
}

static int cancel_deletion(struct key_verb *v)
{
	return change(v, "CancelKeyDeletion", key_args(v));
}

static int rotate(struct key_verb *v)
{
	struct json_object *args = key_args(v), *info = NULL;
	struct kc_run *r = v->r;
	int ret;

	if (kc_given(r, OPT_NEVER)) {
		ret = key_call(v, "DisableKeyRotation", args, NULL);
		return ret ? ret : key_done(v, NULL, NULL, "%s is no more rotated by itself", r->arg[0]);
	}
	if (kc_given(r, OPT_YEARLY) || kc_given(r, OPT_DAYS)) {
		uint32_t days = kc_given(r, OPT_DAYS) ? r->number[OPT_DAYS] : 365;

		kc_json_int(args, "days", (int)days);
		ret = key_call(v, "EnableKeyRotation", args, NULL);
		return ret ? ret : key_done(v, NULL, NULL, "%s gets new material every %u days", r->arg[0], days);
	}
	ret = key_call(v, "RotateKeyOnDemand", args, &info);
	if (ret)
		return ret;
	if (!kc_given(r, OPT_JSON)) {
		kc_say(r, "kcache: %s has new material; what the old wrapped is still unwrapped", key_text(info, "key"));
		kc_json_drop(info);
		return 0;
	}
	return key_changed(v, info);
}

/* "rotate" without a schedule is now; with one, one of them. */
int check_key_rotate(struct kc_run *r)
{
	if (kc_given(r, OPT_YEARLY) + kc_given(r, OPT_DAYS) + kc_given(r, OPT_NEVER) > 1)
		return kc_fail(&r->err, KC_USAGE, "give one of them", "--yearly, --days and --never exclude one another");
	return check_key_days(r);
}

/* The numbers that a provider takes are its own; this is what fits them all. */
int check_key_days(struct kc_run *r)
{
	if (kc_given(r, OPT_DAYS) && r->number[OPT_DAYS] > 3650)
		return kc_fail(&r->err, KC_USAGE, NULL, "--days %u is more than ten years", r->number[OPT_DAYS]);
	return 0;
}

int cmd_key_enable(struct kc_run *r)
{
	return key_run(r, enable);
}

int cmd_key_disable(struct kc_run *r)
{
	return key_run(r, disable);
}

int cmd_key_rotate(struct kc_run *r)
{
	return key_run(r, rotate);
}

int cmd_key_schedule_deletion(struct kc_run *r)
{
	return key_run(r, schedule_deletion);
}

int cmd_key_cancel_deletion(struct kc_run *r)
{
	return key_run(r, cancel_deletion);
}
