/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AES-256-GCM by OpenSSL, with a random nonce: nonce || ciphertext || tag. */
#ifndef KH_AEAD_H
#define KH_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define KH_NONCE 12
#define KH_TAG 16
#define KH_SEALED(n) (KH_NONCE + (n) + KH_TAG)

/**
 * kh_seal() - encrypt and authenticate @len bytes to KH_SEALED(@len) bytes
 * @key: 32 bytes
 *
 * 96-bit random nonces are safe for 2^32 messages under one key (SP 800-38D, 8.3).
 *
 * Return: 0, or -1 (no memory, no randomness), @out being zeroed.
 */
int kh_seal(const uint8_t *key, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, uint8_t *out);

/** kh_unseal() - the reverse, to @len bytes; -1 and @out zeroed if anything was altered */
int kh_unseal(const uint8_t *key, const uint8_t *aad, size_t aad_len, const uint8_t *in, uint8_t *out, size_t len);

/** kh_uuid() - a random (version 4) UUID: 36 characters and a NUL; -1 without randomness */
int kh_uuid(char out[static 37]);

#endif
