// SPDX-License-Identifier: GPL-2.0-or-later
/* The helper's own cryptography, all of it OpenSSL's. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "aead.h"

int kh_seal(const uint8_t *key, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t *ct = out + KH_NONCE, *tag = ct + len;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	bool ok = ctx && RAND_bytes(out, KH_NONCE) == 1 &&
		EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, out) == 1 &&
		EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
		EVP_EncryptUpdate(ctx, ct, &n, in, (int)len) == 1 && n == (int)len &&
		EVP_EncryptFinal_ex(ctx, tag, &n) == 1 && !n &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KH_TAG, tag) == 1;

	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		explicit_bzero(out, KH_SEALED(len));
	return ok ? 0 : -1;
}

int kh_unseal(const uint8_t *key, const uint8_t *aad, size_t aad_len, const uint8_t *in, uint8_t *out, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[KH_TAG], none[KH_TAG];
	int n;
	bool ok;

	memcpy(tag, in + KH_NONCE + len, KH_TAG);
	ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, in) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KH_TAG, tag) == 1 &&
		EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
		EVP_DecryptUpdate(ctx, out, &n, in + KH_NONCE, (int)len) == 1 && n == (int)len &&
		EVP_DecryptFinal_ex(ctx, none, &n) == 1 && !n;

	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		explicit_bzero(out, len);
	return ok ? 0 : -1;
}

int kh_uuid(char out[static 37])
{
	uint8_t b[16];

	if (RAND_bytes(b, sizeof(b)) != 1)
		return -1;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
		 b[14], b[15]);
	return 0;
}
