/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is derived from a DEK: keyslot passphrase, token mac, lineage. OpenSSL does the work. */
#ifndef KC_KDF_H
#define KC_KDF_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "canon.h"
#include "secret.h"

/* HKDF-SHA256, empty salt, 64 bytes, as lower-case hex. */
#define KC_PASSPHRASE_LEN 128

/**
 * kc_kdf_passphrase() - the passphrase of keyslot 0 (info "kcache keyslot v1")
 * @out: KC_PASSPHRASE_LEN digits and a NUL, in memory of kc_secret_alloc()
 */
int kc_kdf_passphrase(const uint8_t dek[static KC_DEK_SIZE], char *out, struct kc_error *err);

/** kc_kdf_lineage() - first 16 bytes of HMAC-SHA256(HKDF(DEK, "kcache lineage v1"), "lineage"), hex */
int kc_kdf_lineage(const uint8_t dek[static KC_DEK_SIZE], char out[static 33], struct kc_error *err);

/** kc_kdf_mac() - HMAC-SHA256 under HKDF(DEK, "kcache token v1") over @canon, hex */
int kc_kdf_mac(const uint8_t dek[static KC_DEK_SIZE], const struct kc_bytes *canon, char out[static 65],
	       struct kc_error *err);

/** struct kc_scrypt - the cost of scrypt (RFC 7914), which stands beside what it protects */
struct kc_scrypt {
	uint8_t log_n;
	uint8_t r;
	uint8_t p;
	uint8_t salt[16];
};

/** kc_scrypt_new() - today's cost, and a new salt; false without randomness */
bool kc_scrypt_new(struct kc_scrypt *s);

/**
 * kc_scrypt() - from a passphrase to a key of 32 bytes
 *
 * Return: 0; KC_TAMPERED for a cost that kcache never wrote, which could only waste
 * memory; KC_NOMEM.
 */
int kc_scrypt(const struct kc_scrypt *s, const char *passphrase, size_t len, uint8_t out[static 32],
	      struct kc_error *err);

#endif
