/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is derived from a DEK: keyslot passphrase, token mac, lineage. OpenSSL does the work. */
#ifndef KC_KDF_H
#define KC_KDF_H

#include <stddef.h>
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

#endif
