// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PKCS#11's return values. Modules disagree about most of them (what does not
 * decrypt is 0x5 here and 0x40 there), so only those say something by
 * themselves that are about the device, the session or the PIN.
 */
#include <stdio.h>

#include "token.h"

#define DEVICE "check that the token is there and its service runs, then try again"

static const struct {
	CK_RV rv;
	const char *name;
	enum kh_error error;	/* KH_OK: what the call was about decides */
	bool lost;
	const char *text;
	const char *next;
} values[] = {
	{ CKR_HOST_MEMORY, "CKR_HOST_MEMORY", KH_NO_MEMORY, false, "out of memory", NULL },
	{ CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", KH_THROTTLED, false, "the token has no memory left", NULL },
	{ CKR_SESSION_COUNT, "CKR_SESSION_COUNT", KH_THROTTLED, false, "the token has no session left", NULL },
	{ CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", KH_UNREACHABLE, true, "the slot is gone", DEVICE },
	{ CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", KH_UNREACHABLE, true, "the token does not work", DEVICE },
	{ CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", KH_UNREACHABLE, true, "the token was removed", DEVICE },
	{ CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", KH_UNREACHABLE, true, "the token is not there", DEVICE },
	{ CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", KH_UNREACHABLE, false, "the token is not known to its module", DEVICE },
	{ CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", KH_UNREACHABLE, true, "the session was closed", DEVICE },
	{ CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", KH_UNREACHABLE, true, "the session is gone", DEVICE },
	{ CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", KH_UNREACHABLE, true, "the session was logged out", DEVICE },
	{ CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", KH_UNREACHABLE, true, "the key's handle is gone", DEVICE },
	{ CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", KH_UNREACHABLE, true, "the key's handle is gone", DEVICE },
	{ CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", KH_UNREACHABLE, false, "the module is not ready", DEVICE },
	{ CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", KH_CREDENTIALS, false, "the token refuses the PIN",
	  "correct the PIN in its file; it was tried once" },
	{ CKR_PIN_INVALID, "CKR_PIN_INVALID", KH_CREDENTIALS, false, "that can be no PIN of the token", "correct the PIN in its file" },
	{ CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", KH_CREDENTIALS, false, "that can be no PIN of the token",
	  "correct the PIN in its file" },
	{ CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", KH_CREDENTIALS, false, "the PIN has expired", "set a new PIN" },
	{ CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", KH_CREDENTIALS, false, "the token has no PIN yet",
	  "have its security officer set one" },
	{ CKR_PIN_LOCKED, "CKR_PIN_LOCKED", KH_LOCKED, false, "the token's PIN is locked", NULL },
	{ CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", KH_OK, false, NULL, NULL },
	{ CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", KH_OK, false, NULL, NULL },
	{ CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD", KH_OK, false, NULL, NULL },
	{ CKR_DATA_INVALID, "CKR_DATA_INVALID", KH_OK, false, NULL, NULL },
	{ CKR_DATA_LEN_RANGE, "CKR_DATA_LEN_RANGE", KH_OK, false, NULL, NULL },
	{ CKR_ENCRYPTED_DATA_INVALID, "CKR_ENCRYPTED_DATA_INVALID", KH_OK, false, NULL, NULL },
	{ CKR_ENCRYPTED_DATA_LEN_RANGE, "CKR_ENCRYPTED_DATA_LEN_RANGE", KH_OK, false, NULL, NULL },
	{ CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", KH_OK, false, NULL, NULL },
	{ CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", KH_OK, false, NULL, NULL },
	{ CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", KH_OK, false, NULL, NULL },
	{ CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT", KH_OK, false, NULL, NULL },
	{ CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", KH_OK, false, NULL, NULL },
	{ CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", KH_OK, false, NULL, NULL },
	{ CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", KH_OK, false, NULL, NULL },
	{ CKR_WRAPPED_KEY_INVALID, "CKR_WRAPPED_KEY_INVALID", KH_OK, false, NULL, NULL },
	{ CKR_WRAPPED_KEY_LEN_RANGE, "CKR_WRAPPED_KEY_LEN_RANGE", KH_OK, false, NULL, NULL },
};

#define N_VALUES (sizeof(values) / sizeof(values[0]))

const char *kp_rv_name(CK_RV rv, char buf[static 32])
{
	size_t i;

	for (i = 0; i < N_VALUES; i++)
		if (values[i].rv == rv)
			return values[i].name;
	snprintf(buf, 32, "CKR_0x%lx", rv);
	return buf;
}

bool kp_rv_lost(CK_RV rv)
{
	size_t i;

	for (i = 0; i < N_VALUES; i++)
		if (values[i].rv == rv)
			return values[i].lost;
	return false;
}

int kp_rv_fail(struct kh *k, CK_RV rv, enum kh_error otherwise, const char *what)
{
	char buf[32];
	size_t i;

	for (i = 0; i < N_VALUES; i++) {
		if (values[i].rv != rv || values[i].error == KH_OK)
			continue;
		kh_fail(k, values[i].error, "cannot %s: %s", what, values[i].text);
		if (values[i].next)
			kh_next(k, "%s", values[i].next);
		return kh_name(k, "%s", values[i].name);
	}
	kh_fail(k, otherwise, "cannot %s", what);
	return kh_name(k, "%s", kp_rv_name(rv, buf));
}
