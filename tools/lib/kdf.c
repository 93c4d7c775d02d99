// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HKDF-SHA256 (RFC 5869) and HMAC-SHA256 of OpenSSL, and the constants that
 * Documentation/on-disk-format.md gives them. Derived keys live in locked
 * memory; OpenSSL clears its own copies when a context is freed.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "kdf.h"

#define INFO_KEYSLOT "kcache keyslot v1"
#define INFO_LINEAGE "kcache lineage v1"
#define INFO_TOKEN "kcache token v1"
#define LINEAGE_MESSAGE "lineage"
#define LINEAGE_SIZE 16
#define SHA256_SIZE 32

static int openssl_failed(struct kc_error *err, const char *what)
{
	return kc_fail(err, KC_NOMEM, "check OpenSSL's installation and its FIPS settings",
		       "OpenSSL could not do %s", what);
}

static int hkdf(const uint8_t dek[static KC_DEK_SIZE], const char *info, uint8_t *out, size_t len,
		struct kc_error *err)
{
	/* RFC 5869: no salt is a salt of as many zero bytes as the hash has */
	uint8_t salt[SHA256_SIZE] = { 0 };
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (void *)(uintptr_t)"SHA256", 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)dek, KC_DEK_SIZE),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof(salt)),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
		OSSL_PARAM_END,
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : openssl_failed(err, "HKDF-SHA256");
}

/* HMAC-SHA256 of @data under HKDF(@dek, @info), the first @len bytes of it as hex. */
static int derived_mac(const uint8_t dek[static KC_DEK_SIZE], const char *info, const void *data,
		       size_t data_len, size_t len, char *out, struct kc_error *err)
{
	uint8_t mac[SHA256_SIZE];
	size_t mac_len = 0;
	uint8_t *key = kc_secret_alloc(SHA256_SIZE, err);
	int r;

	if (!key)
		return KC_NOMEM;
	r = hkdf(dek, info, key, SHA256_SIZE, err);
	if (!r && (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, SHA256_SIZE, data, data_len,
			      mac, sizeof(mac), &mac_len) || mac_len != sizeof(mac)))
		r = openssl_failed(err, "HMAC-SHA256");
	if (!r)
		kc_hex(mac, len, out);
	kc_secret_free(key, SHA256_SIZE);
	return r;
}

int kc_kdf_passphrase(const uint8_t dek[static KC_DEK_SIZE], char *out, struct kc_error *err)
{
	uint8_t *raw = kc_secret_alloc(KC_PASSPHRASE_LEN / 2, err);
	int r;

	if (!raw)
		return KC_NOMEM;
	r = hkdf(dek, INFO_KEYSLOT, raw, KC_PASSPHRASE_LEN / 2, err);
	if (!r)
		kc_hex(raw, KC_PASSPHRASE_LEN / 2, out);
	kc_secret_free(raw, KC_PASSPHRASE_LEN / 2);
	return r;
}

int kc_kdf_lineage(const uint8_t dek[static KC_DEK_SIZE], char out[static 33], struct kc_error *err)
{
	return derived_mac(dek, INFO_LINEAGE, LINEAGE_MESSAGE, strlen(LINEAGE_MESSAGE),
			   LINEAGE_SIZE, out, err);
}

int kc_kdf_mac(const uint8_t dek[static KC_DEK_SIZE], const struct kc_bytes *canon,
	       char out[static 65], struct kc_error *err)
{
	return derived_mac(dek, INFO_TOKEN, canon->data, canon->len, SHA256_SIZE, out, err);
}

/*
 * One of the costs that OWASP's cheat sheet on password storage calls equal: 2^15, 8, 3
 * takes 32 MiB, which a small host has to spare, and three times the work for that.
 */
#define SCRYPT_LOG_N 15
#define SCRYPT_R 8
#define SCRYPT_P 3
#define SCRYPT_MAX_LOG_N 20	/* 1 GiB: of a later kcache, at most */
#define SCRYPT_MAX_P 16

bool kc_scrypt_new(struct kc_scrypt *s)
{
	s->log_n = SCRYPT_LOG_N;
	s->r = SCRYPT_R;
	s->p = SCRYPT_P;
	return RAND_bytes(s->salt, sizeof(s->salt)) == 1;
}

int kc_scrypt(const struct kc_scrypt *s, const char *passphrase, size_t len, uint8_t out[static 32],
	      struct kc_error *err)
{
	uint64_t n = UINT64_C(1) << (s->log_n & 63);

	if (s->log_n < SCRYPT_LOG_N || s->log_n > SCRYPT_MAX_LOG_N || s->r != SCRYPT_R || !s->p ||
	    s->p > SCRYPT_MAX_P)
		return kc_fail(err, KC_TAMPERED, NULL, "scrypt with N = 2^%u, r = %u, p = %u is not what kcache does",
			       s->log_n, s->r, s->p);
	if (EVP_PBE_scrypt(passphrase, len, s->salt, sizeof(s->salt), n, s->r, s->p, 128 * s->r * (n + s->p + 2), out,
			   32) == 1)
		return 0;
	explicit_bzero(out, 32);
	return openssl_failed(err, "scrypt");
}
