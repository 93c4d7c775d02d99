// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a TPM's answer means for a key. Only a policy that fails, and a blob that
 * does not load, say something about the key; the caller knows about those.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "rc.h"

#define NEXT_FULL "have the program that fills the TPM end, or use device:/dev/tpmrm0, which has room for all"

static const struct {
	TSS2_RC base;
	enum kh_error error;
	const char *name;
	const char *text;
	const char *next;
} codes[] = {
	{ TPM2_RC_INITIALIZE, KH_UNREACHABLE, "TPM_RC_INITIALIZE", "the TPM was not started by the firmware",
	  "switch the TPM on in the firmware" },
	{ TPM2_RC_FAILURE, KH_UNREACHABLE, "TPM_RC_FAILURE", "the TPM is in failure mode", "power the host off and on" },
	{ TPM2_RC_REBOOT, KH_UNREACHABLE, "TPM_RC_REBOOT", "the TPM wants a reboot", "reboot" },
	{ TPM2_RC_UPGRADE, KH_UNREACHABLE, "TPM_RC_UPGRADE", "the TPM's firmware is being upgraded", NULL },
	{ TPM2_RC_HIERARCHY, KH_UNREACHABLE, "TPM_RC_HIERARCHY", "the TPM's owner hierarchy is disabled",
	  "enable it in the firmware" },
	{ TPM2_RC_LOCKOUT, KH_LOCKED, "TPM_RC_LOCKOUT", "the TPM is locked: too many wrong authorisations",
	  "wait for its recovery time, or: tpm2_dictionarylockout --clear-lockout" },
	{ TPM2_RC_AUTH_FAIL, KH_CREDENTIALS, "TPM_RC_AUTH_FAIL", "the TPM's owner hierarchy or storage key has a password",
	  "persist a storage key without one: tpm2_createprimary -C o -P ..., tpm2_evictcontrol ... 0x81000001" },
	{ TPM2_RC_BAD_AUTH, KH_CREDENTIALS, "TPM_RC_BAD_AUTH", "the TPM's owner hierarchy or storage key has a password",
	  "persist a storage key without one: tpm2_createprimary -C o -P ..., tpm2_evictcontrol ... 0x81000001" },
	{ TPM2_RC_OBJECT_MEMORY, KH_INTERNAL, "TPM_RC_OBJECT_MEMORY", "the TPM is full of other programs' objects", NEXT_FULL },
	{ TPM2_RC_SESSION_MEMORY, KH_INTERNAL, "TPM_RC_SESSION_MEMORY", "the TPM is full of other programs' sessions", NEXT_FULL },
	{ TPM2_RC_SESSION_HANDLES, KH_INTERNAL, "TPM_RC_SESSION_HANDLES", "the TPM has no session left", NEXT_FULL },
	{ TPM2_RC_MEMORY, KH_INTERNAL, "TPM_RC_MEMORY", "the TPM has no memory left", NEXT_FULL },
	{ TPM2_RC_RETRY, KH_THROTTLED, "TPM_RC_RETRY", "the TPM is busy", NULL },
	{ TPM2_RC_YIELDED, KH_THROTTLED, "TPM_RC_YIELDED", "the TPM is busy", NULL },
	{ TPM2_RC_TESTING, KH_THROTTLED, "TPM_RC_TESTING", "the TPM is testing itself", NULL },
	{ TPM2_RC_CANCELED, KH_THROTTLED, "TPM_RC_CANCELED", "the TPM was told to stop", NULL },
	{ TPM2_RC_NV_RATE, KH_THROTTLED, "TPM_RC_NV_RATE", "the TPM spares its memory", NULL },
	{ TPM2_RC_INTEGRITY, KH_INVALID_CIPHERTEXT, "TPM_RC_INTEGRITY", "the sealed key was altered", NULL },
	{ TPM2_RC_POLICY_FAIL, KH_POLICY, "TPM_RC_POLICY_FAIL", "the TPM's PCRs are not what the key was sealed to", NULL },
	{ TPM2_RC_PCR_CHANGED, KH_THROTTLED, "TPM_RC_PCR_CHANGED", "a PCR of the TPM was changed at this moment", NULL },
};

TSS2_RC kt_rc_base(TSS2_RC rc)
{
	if (rc & TSS2_RC_LAYER_MASK)
		return 0;
	return (rc & TPM2_RC_FMT1) ? (rc & (TPM2_RC_FMT1 | 0x3f)) : rc;
}

static int broken(struct kh *k, const struct kt_transport *t, const char *what)
{
	if (t->late)
		return kh_fail(k, KH_TIMEOUT, "cannot %s: the TPM did not answer in time", what);
	kh_fail(k, KH_UNREACHABLE, "cannot %s: the TPM is gone: %s", what, strerror(t->broken));
	return kh_next(k, "check the TPM, then try again");
}

int kt_rc_fail(struct kh *k, const struct kt_transport *t, TSS2_RC rc, const char *what)
{
	TSS2_RC base = kt_rc_base(rc);
	size_t i;

	if (t->late || t->broken)
		return broken(k, t, what);
	if (!base) {
		/* a library's: what came back was no answer, or not from the TPM that was asked */
		if ((rc & ~TSS2_RC_LAYER_MASK) == TSS2_BASE_RC_MEMORY)
			return kh_fail(k, KH_NO_MEMORY, "cannot %s: out of memory", what);
		kh_fail(k, KH_GARBAGE, "cannot %s: the TPM gave no valid answer (0x%x)", what, rc);
		return kh_next(k, "check that nothing stands between this host and its TPM");
	}
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].base != base)
			continue;
		kh_fail(k, codes[i].error, "cannot %s: %s", what, codes[i].text);
		if (codes[i].next)
			kh_next(k, "%s", codes[i].next);
		return kh_name(k, "%s", codes[i].name);
	}
	kh_fail(k, KH_INTERNAL, "cannot %s: the TPM answered with code 0x%x", what, rc);
	kh_next(k, "tpm2_rc_decode 0x%x says what that is", rc);
	return kh_name(k, "TPM_RC_0x%x", rc);
}
