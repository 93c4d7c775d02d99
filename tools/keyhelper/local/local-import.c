// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Own key material (BYOK) for the local provider: a public key to wrap it under,
 * RSAES_OAEP_SHA_256 as KMS calls it, and the import of what was wrapped. The
 * private key is kept sealed for a day, or until the import.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "kms-wire.h"
#include "local.h"

#define RSA_BITS 3072
#define PRIVATE_MAX 4096

static int no_crypto(struct kh *k)
{
	return kh_fail(k, KH_INTERNAL, "cannot make a wrapping key");
}

int kl_import_parameters(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	int64_t valid_to = ks_now() + KS_DAY;
	uint8_t token[KS_TOKEN];
	uint8_t *public = NULL, *private = NULL;
	EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS);
	int public_len = pkey ? i2d_PUBKEY(pkey, &public) : 0;
	int private_len = pkey ? i2d_PrivateKey(pkey, &private) : 0;
	char date[32];
	int r;

	(void)args;
	ks_date(valid_to, date);
	if (public_len <= 0 || private_len <= 0 || RAND_bytes(token, sizeof(token)) != 1)
		r = no_crypto(k);
	else if (!kc_wire_add_blob(result, "public_key", public, (size_t)public_len) ||
		 !kc_wire_add_blob(result, "import_token", token, sizeof(token)) ||
		 !kc_wire_add_str(result, "valid_to", date))
		r = kl_no_memory(k);
	else
		r = ks_set_import(k, key->id, token, private, (size_t)private_len, valid_to);
	OPENSSL_clear_free(private, private_len > 0 ? (size_t)private_len : 0);
	OPENSSL_free(public);
	EVP_PKEY_free(pkey);
	return r;
}

/* To k->secrets->kek, exactly 32 bytes. */
static bool unwrap(struct kh *k, EVP_PKEY *pkey, const uint8_t *wrapped, size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	uint8_t plain[RSA_BITS / 8];
	size_t n = sizeof(plain);
	bool ok = ctx && EVP_PKEY_decrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_decrypt(ctx, plain, &n, wrapped, len) == 1 && n == KH_KEY_SIZE;

	if (ok)
		memcpy(k->secrets->kek, plain, KH_KEY_SIZE);
	explicit_bzero(plain, sizeof(plain));
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* An optional date, RFC 3339 in UTC, that is to come. */
static int read_expiry(struct kh *k, struct json_object *args, int64_t *valid_to)
{
	char text[32];
	struct tm tm = { 0 };
	const char *end;

	*valid_to = 0;
	if (kl_optional(k, args, "valid_to", text, sizeof(text)))
		return -1;
	if (!*text)
		return 0;
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	*valid_to = end && !*end ? (int64_t)timegm(&tm) : 0;
	if (*valid_to > ks_now() && *valid_to <= ks_now() + (int64_t)365 * KS_DAY)
		return 0;
	kh_fail(k, KH_VALIDATION, "%s is no time within the next 365 days", text);
	return kh_next(k, "give it in UTC, as 2030-01-31T12:00:00Z");
}

static int bad_import(struct kh *k, const char *name, const char *what, const struct ks_key *key)
{
	kh_fail(k, KH_VALIDATION, "%s local:%s", what, key->id);
	kh_name(k, "%s", name);
	return kh_next(k, "ask for a new public key and token: kcache key import-parameters local:%s", key->id);
}

static int import_with(struct kh *k, const struct ks_key *key, const uint8_t *private, size_t private_len,
		       const uint8_t *wrapped, size_t len, int64_t expiry)
{
	const uint8_t *p = private;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)private_len);
	bool ok = pkey && unwrap(k, pkey, wrapped, len);

	EVP_PKEY_free(pkey);
	if (!ok)
		return bad_import(k, "InvalidCiphertextException",
				  "the material is not 32 bytes, wrapped with RSAES_OAEP_SHA_256 under the public key of", key);
	return ks_import(k, key->id, expiry);
}

int kl_import(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	uint8_t token[KS_TOKEN], given[KS_TOKEN], wrapped[RSA_BITS / 8], private[PRIVATE_MAX];
	size_t token_len, len, private_len = 0;
	int64_t valid_to, expiry;
	int r;

	if (!kc_wire_blob(args, "material", wrapped, sizeof(wrapped), &len) ||
	    !kc_wire_blob(args, "import_token", given, sizeof(given), &token_len))
		return kh_fail(k, KH_VALIDATION, "the key material or the import token is missing, or no base64");
	if (read_expiry(k, args, &expiry))
		return -1;
	r = ks_get_import(k, key->id, token, private, sizeof(private), &private_len, &valid_to);
	if (!r && (token_len != KS_TOKEN || memcmp(token, given, KS_TOKEN)))
		r = bad_import(k, "InvalidImportTokenException", "the import token is not the last one for", key);
	else if (!r && valid_to <= ks_now())
		r = bad_import(k, "ExpiredImportTokenException", "the import token has expired for", key);
	if (!r)
		r = import_with(k, key, private, private_len, wrapped, len, expiry);
	explicit_bzero(private, sizeof(private));
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	if (!r && key->state == KC_KEY_PENDING_IMPORT)
		r = ks_set_state(k, key->id, KC_KEY_ENABLED);
	return r ? r : kl_answer_key(k, key, result);
}

int kl_forget_material(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	(void)args;
	return ks_forget_material(k, key->id) ? -1 : kl_answer_key(k, key, result);
}
