// SPDX-License-Identifier: GPL-2.0-or-later
/* What providers that hand the DEK to a device have in common. */
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "canon.h"
#include "provider.h"

int kh_binding_hash(struct kh *k, const struct kc_binding *b, uint8_t out[static KH_HASH])
{
	struct kc_bytes canon = { 0 };
	struct kc_error err = { 0 };
	size_t len = KH_HASH;
	int r = kc_canon_binding(b, &canon, &err);

	if (r)
		return kh_fail(k, r == KC_NOMEM ? KH_NO_MEMORY : KH_VALIDATION, "%s", err.text);
	if (EVP_Q_digest(NULL, "SHA256", NULL, canon.data, canon.len, out, &len) != 1)
		r = kh_fail(k, KH_INTERNAL, "OpenSSL could not do SHA-256");
	kc_bytes_free(&canon);
	return r;
}

int kh_new_dek(struct kh *k)
{
	uint8_t *dek = k->secrets->dek;

	/* XTS needs two different keys; a generator that gives equal ones is broken, not unlucky */
	if (RAND_priv_bytes(dek, KC_DEK_SIZE) == 1 && memcmp(dek, dek + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2) != 0)
		return 0;
	return kh_fail(k, KH_INTERNAL, "no random numbers for a data key");
}

void __attribute__((noinline)) kh_wipe_stack(void)
{
	uint8_t below[65536];

	explicit_bzero(below, sizeof(below));
}
