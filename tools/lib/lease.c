// SPDX-License-Identifier: GPL-2.0-or-later
/* What an answer of the KMS does to an attached volume: decided here, without a clock or a device. */
#include <string.h>

#include "lease.h"

int kc_lease_check(const char *mode, uint32_t seconds, struct kc_error *err)
{
	enum kc_on_revoke v;

	if (mode && !kc_on_revoke_parse(mode, &v))
		return kc_fail(err, KC_USAGE, NULL, "--on-revoke is keep, fail or freeze, not `%s'", mode);
	if (mode && v == KC_REVOKE_KEEP && seconds)
		return kc_fail(err, KC_USAGE, "leave --lease out, or use --on-revoke fail or freeze",
			       "with --on-revoke keep there is no lease");
	if (seconds && seconds < KC_LEASE_MIN)
		return kc_fail(err, KC_USAGE, NULL, "--lease is %d seconds or more, not %u", KC_LEASE_MIN, seconds);
	return 0;
}

int kc_lease_policy(struct kc_token *t, const char *mode, uint32_t seconds, struct kc_error *err)
{
	enum kc_on_revoke v = t->on_revoke;
	int ret = kc_lease_check(mode, seconds, err);

	if (ret)
		return ret;
	if (mode)
		kc_on_revoke_parse(mode, &v);
	if (v == KC_REVOKE_KEEP && seconds)
		return kc_fail(err, KC_USAGE, "say what the end of the lease does, with --on-revoke fail or freeze",
			       "with on_revoke keep there is no lease");
	t->on_revoke = v;
	if (v == KC_REVOKE_KEEP)
		t->lease = 0;
	else if (seconds)
		t->lease = seconds;
	else if (!t->lease)
		t->lease = KC_LEASE_DEFAULT;
	return 0;
}

/*
 * By name, not by exit code alone: a TPM whose PCRs have moved on since the attach, or a token
 * whose PIN is locked, refuses too, but that is not what the owner of the key has said.
 */
enum kc_answer kc_answer(const struct kc_error *e)
{
	if (e->code == KC_OK)
		return KC_ANSWER_YES;
	if (e->code != KC_KMS_REFUSED)
		return KC_ANSWER_SILENT;
	if (!strcmp(e->provider_error, "AccessDeniedException"))
		return KC_ANSWER_DENIED;
	if (!strcmp(e->provider_error, "DisabledException") || !strcmp(e->provider_error, "KMSInvalidStateException") ||
	    !strcmp(e->provider_error, "NotFoundException"))
		return KC_ANSWER_REFUSED;
	return KC_ANSWER_SILENT;
}

enum kc_answer kc_answer_worse(enum kc_answer a, enum kc_answer b)
{
	return a > b ? a : b;
}

const char *kc_answer_name(enum kc_answer a)
{
	static const char *const names[] = { "granted", "refused", "denied", "silent" };

	return (size_t)a < sizeof(names) / sizeof(names[0]) ? names[a] : "unknown";
}

/*
 * A denial counts when it comes twice; silence between the two makes neither stronger nor weaker:
 * a KMS that throttles us must not keep us from ever hearing it.
 */
static bool said_no(struct kc_lease *l, enum kc_answer a)
{
	bool twice = l->denied;

	l->denied = a == KC_ANSWER_DENIED;
	return a == KC_ANSWER_REFUSED || twice;
}

enum kc_lease_act kc_lease_step(struct kc_lease *l, enum kc_answer a, bool valid, bool suspended)
{
	if (!valid && suspended)
		return KC_LEASE_WAIT;
	/* a filesystem that has met errors is not helped by a key that comes back */
	if (!valid && l->mode == KC_REVOKE_FAIL)
		return KC_LEASE_END;
	switch (a) {
	case KC_ANSWER_YES:
		l->denied = l->told = false;
		if (valid)
			return l->mode == KC_REVOKE_KEEP ? KC_LEASE_WAIT : KC_LEASE_RENEW;
		return l->mode == KC_REVOKE_FREEZE ? KC_LEASE_SET : KC_LEASE_WAIT;
	case KC_ANSWER_REFUSED:
	case KC_ANSWER_DENIED:
		if (!said_no(l, a))
			return KC_LEASE_AGAIN;
		/* a key that is away is not wiped again; one that somebody has set since is */
		if (l->mode == KC_REVOKE_KEEP ? l->told : !valid)
			return KC_LEASE_WAIT;
		l->told = true;
		return KC_LEASE_REVOKE;
	case KC_ANSWER_SILENT:
		break;
	}
	return KC_LEASE_WAIT;
}

uint32_t kc_lease_left(uint32_t lease, int64_t asked_ms)
{
	int64_t gone = asked_ms < 0 ? 0 : (asked_ms + 999) / 1000;

	return gone >= lease ? 0 : (uint32_t)(lease - gone);
}

int64_t kc_lease_pause(int64_t every_ms, int64_t took_ms)
{
	if (took_ms < 0)
		took_ms = 0;
	return every_ms - (took_ms < every_ms / 2 ? took_ms : every_ms / 2);
}
