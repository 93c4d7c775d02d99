// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The one table of provider errors: KMS's name, our exit code, and what to do.
 * Only the 7s are an authoritative answer about a key (design: they may revoke
 * an attached volume); a keystore that cannot be read says nothing about one.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kms-wire.h"
#include "provider.h"

static const struct {
	const char *name;
	enum kc_exit code;
	const char *next;
} faults[] = {
	[KH_OK] = { "", KC_OK, "" },
	[KH_VALIDATION] = { "ValidationException", KC_USAGE,
			    "name a key as local:alias/NAME or local:UUID; kcache key list shows what there is" },
	[KH_UNSUPPORTED] = { "UnsupportedOperationException", KC_USAGE,
			     "this kcache was built without it: use a local: key, or install a newer one" },
	[KH_NOT_FOUND] = { "NotFoundException", KC_KMS_REFUSED,
			   "kcache key list shows what there is; a lost keystore comes back from a backup only" },
	[KH_DISABLED] = { "DisabledException", KC_KMS_REFUSED, "enable it: kcache key enable KEY" },
	[KH_INVALID_CIPHERTEXT] = { "InvalidCiphertextException", KC_TAMPERED,
				    "the header was altered or belongs to another volume: restore the one written for this volume" },
	[KH_INCORRECT_KEY] = { "IncorrectKeyException", KC_TAMPERED,
			       "the token was altered: restore the header that was written for this volume" },
	[KH_ALREADY_EXISTS] = { "AlreadyExistsException", KC_BUSY, "choose another name" },
	[KH_ACCESS_DENIED] = { "AccessDeniedException", KC_PERM, "run it as the owner of the keystore, usually root" },
	[KH_UNAVAILABLE] = { "KeyUnavailableException", KC_KMS_RETRY,
			     "restore keystore.db and keystore.key together from one backup" },
	[KH_TIMEOUT] = { "DependencyTimeoutException", KC_KMS_RETRY,
			 "try again, or raise \"timeout\" in kcache.conf" },
	[KH_INTERNAL] = { "KMSInternalException", KC_KMS_RETRY, "try again; look at the kernel log if it stays" },
	[KH_NO_MEMORY] = { "LimitExceededException", KC_NOMEM, "free some memory and try again" },
};

int kh_fail(struct kh *k, enum kh_error e, const char *fmt, ...)
{
	va_list ap;

	if (k->error != KH_OK)
		return -1;
	k->error = e;
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

const char *kh_error_name(enum kh_error e)
{
	return faults[e].name;
}

enum kc_exit kh_error_exit(enum kh_error e)
{
	return faults[e].code;
}

int kh_time_left(const struct kh *k)
{
	int64_t left = k->deadline - kc_wire_now();

	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
