// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The one table of provider errors: KMS's name, whether to try again, our exit
 * code, and what to do.
 * Only the 7s are an authoritative answer about a key (design: they may revoke
 * an attached volume); a keystore that cannot be read says nothing about one.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kms-wire.h"
#include "provider.h"

static const struct {
	const char *name;
	enum kh_retry retry;
	enum kc_exit code;
	const char *next;
} faults[] = {
	[KH_OK] = { "", KH_RETRY_NEVER, KC_OK, "" },
	[KH_VALIDATION] = { "ValidationException", KH_RETRY_NEVER, KC_USAGE,
			    "name a key as local:alias/NAME or local:UUID; kcache key list shows what there is" },
	[KH_UNSUPPORTED] = { "UnsupportedOperationException", KH_RETRY_NEVER, KC_USAGE,
			     "this kcache was built without it: use a local: key, or install a newer one" },
	[KH_NOT_FOUND] = { "NotFoundException", KH_RETRY_NEVER, KC_KMS_REFUSED,
			   "kcache key list shows what there is; a lost keystore comes back from a backup only" },
	[KH_DISABLED] = { "DisabledException", KH_RETRY_NEVER, KC_KMS_REFUSED, "enable it: kcache key enable KEY" },
	[KH_PENDING_DELETION] = { "KMSInvalidStateException", KH_RETRY_NEVER, KC_KMS_REFUSED,
				  "before its date: kcache key cancel-deletion KEY, then kcache key enable KEY" },
	[KH_PENDING_IMPORT] = { "KMSInvalidStateException", KH_RETRY_NEVER, KC_KMS_REFUSED,
				"import its key material (again): kcache key import KEY" },
	[KH_DENIED] = { "AccessDeniedException", KH_RETRY_SHORT, KC_KMS_REFUSED,
			"have the key's policy or a grant allow it" },
	[KH_POLICY] = { "PolicyException", KH_RETRY_NEVER, KC_KMS_REFUSED,
			"start what the key was sealed to, or attach by another recipient and rewrap" },
	[KH_LOCKED] = { "LockedException", KH_RETRY_NEVER, KC_KMS_REFUSED,
			"have the PIN reset by the device's security officer" },
	[KH_INVALID_CIPHERTEXT] = { "InvalidCiphertextException", KH_RETRY_NEVER, KC_TAMPERED,
				    "the header was altered or belongs to another volume: restore the one written for this volume" },
	[KH_INCORRECT_KEY] = { "IncorrectKeyException", KH_RETRY_NEVER, KC_TAMPERED,
			       "the token was altered: restore the header that was written for this volume" },
	[KH_ALREADY_EXISTS] = { "AlreadyExistsException", KH_RETRY_NEVER, KC_BUSY, "choose another name" },
	[KH_INVALID_USAGE] = { "InvalidKeyUsageException", KH_RETRY_NEVER, KC_USAGE,
			       "use a symmetric key that encrypts and decrypts" },
	[KH_INVALID_GRANT] = { "InvalidGrantTokenException", KH_RETRY_NEVER, KC_USAGE,
			       "ask whoever made the grant for its token" },
	[KH_ACCESS_DENIED] = { "AccessDeniedException", KH_RETRY_NEVER, KC_PERM,
			       "run it as the owner of the keystore, usually root" },
	[KH_CREDENTIALS] = { "UnrecognizedClientException", KH_RETRY_ONCE, KC_PERM,
			     "give this host valid credentials" },
	[KH_UNAVAILABLE] = { "KeyUnavailableException", KH_RETRY, KC_KMS_RETRY,
			     "restore keystore.db and keystore.key together from one backup" },
	[KH_KEY_STATE] = { "KMSInvalidStateException", KH_RETRY, KC_KMS_RETRY,
			   "kcache key describe KEY shows its state" },
	[KH_KEY_STORE] = { "KMSInvalidStateException", KH_RETRY, KC_KMS_RETRY,
			   "connect the key's custom key store again" },
	[KH_THROTTLED] = { "ThrottlingException", KH_RETRY, KC_KMS_RETRY, "try again, with fewer hosts at once" },
	[KH_UNREACHABLE] = { "ConnectionError", KH_RETRY, KC_KMS_RETRY, "check the way to it, then try again" },
	[KH_GARBAGE] = { "InvalidResponseException", KH_RETRY, KC_KMS_RETRY,
			 "check that what answers there is the KMS, and no proxy" },
	[KH_TIMEOUT] = { "DependencyTimeoutException", KH_RETRY, KC_KMS_RETRY,
			 "try again, or raise \"timeout\" in kcache.conf" },
	[KH_INTERNAL] = { "KMSInternalException", KH_RETRY, KC_KMS_RETRY,
			  "try again; look at the kernel log if it stays" },
	[KH_NO_MEMORY] = { "LimitExceededException", KH_RETRY_NEVER, KC_NOMEM, "free some memory and try again" },
};

#undef kh_fail	/* what clang's analyzer sees elsewhere */
#undef kh_next
#undef kh_name
int kh_fail(struct kh *k, enum kh_error e, const char *fmt, ...)
{
	va_list ap;

	if (k->error != KH_OK)
		return -1;
	k->error = e;
	snprintf(k->name, sizeof(k->name), "%s", faults[e].name);
	va_start(ap, fmt);
	vsnprintf(k->text, sizeof(k->text), fmt, ap);
	va_end(ap);
	snprintf(k->next, sizeof(k->next), "%s", faults[e].next);
	return -1;
}

int kh_next(struct kh *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->next, sizeof(k->next), fmt, ap);
	va_end(ap);
	return -1;
}

int kh_name(struct kh *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->name, sizeof(k->name), fmt, ap);
	va_end(ap);
	return -1;
}

void kh_forget(struct kh *k)
{
	k->error = KH_OK;
	k->name[0] = '\0';
	k->text[0] = '\0';
	k->next[0] = '\0';
}

const char *kh_error_name(enum kh_error e)
{
	return faults[e].name;
}

enum kc_exit kh_error_exit(enum kh_error e)
{
	return faults[e].code;
}

enum kh_retry kh_error_retry(enum kh_error e)
{
	return faults[e].retry;
}

int kh_time_left(const struct kh *k)
{
	int64_t left = k->deadline - kc_wire_now();

	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
