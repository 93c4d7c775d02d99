// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tpm2 provider: a key is "sealed by this TPM to these PCRs".
 *
 * A TPM binds no context: what is sealed is DEK || SHA-256(canonical binding),
 * and the hash is compared after unsealing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <seccomp.h>

#include "seal.h"

#define PREFIX "tpm2:"
#define PLAIN (KC_DEK_SIZE + KH_HASH)

_Static_assert(PLAIN <= KT_SECRET_MAX && PLAIN <= sizeof(((struct kh_secrets *)0)->plain),
	       "a DEK and a hash are one secret");
_Static_assert(KT_BLOB_MAX <= KC_WRAPPED_MAX, "a blob is a wrapped DEK");

static bool tpm2_claims(const char *key)
{
	return !strncmp(key, PREFIX, strlen(PREFIX));
}

static int parse(struct kh *k, const char *key, struct kt_pcrs *p)
{
	if (kt_pcrs_parse(key + strlen(PREFIX), p))
		return 0;
	kh_fail(k, KH_VALIDATION, "\"%s\" is no name of a TPM key", key);
	return kh_next(k, "name the PCRs that it is to be sealed to: tpm2:pcrs=7+15, or tpm2:pcrs=none");
}

static const char *canonical(const struct kt_pcrs *p, char *out, size_t size)
{
	char pcrs[96];

	kt_pcrs_format(p, pcrs, sizeof(pcrs));
	snprintf(out, size, PREFIX "%s", pcrs);
	return out;
}

/* The key of a binding has one spelling: it is part of what is authenticated. */
static int bound(struct kh *k, const struct kc_binding *b, struct kt_pcrs *p)
{
	char again[KC_KEY_NAME_MAX];

	if (parse(k, b->key, p))
		return -1;
	if (!strcmp(canonical(p, again, sizeof(again)), b->key))
		return 0;
	kh_fail(k, KH_VALIDATION, "\"%s\" is no canonical key id, %s is", b->key, again);
	return kh_next(k, "restore the header that was written for this volume");
}

static int tpm2_describe(struct kh *k, const char *name, struct kc_key_info *info)
{
	struct kt_pcrs p;

	memset(info, 0, sizeof(*info));
	if (parse(k, name, &p) ||
	    kt_describe(k, kh_setting(k, "tpm2_tcti"), &p, info->description, sizeof(info->description)))
		return -1;
	snprintf(info->provider, sizeof(info->provider), "tpm2");
	canonical(&p, info->key, sizeof(info->key));
	info->state = KC_KEY_ENABLED;
	info->version = 1;
	return 0;
}

static int tpm2_encrypt(struct kh *k, const struct kc_binding *b, const uint8_t *dek, uint8_t *wrapped, size_t *len)
{
	uint8_t *plain = k->secrets->plain;
	struct kt_pcrs p;
	int r;

	if (bound(k, b, &p))
		return -1;
	memcpy(plain, dek, KC_DEK_SIZE);
	r = kh_binding_hash(k, b, plain + KC_DEK_SIZE);
	if (!r)
		r = kt_seal(k, kh_setting(k, "tpm2_tcti"), &p, plain, PLAIN, wrapped, len);
	explicit_bzero(plain, PLAIN);
	return r;
}

static int tpm2_generate(struct kh *k, const struct kc_binding *b, uint8_t *wrapped, size_t *len)
{
	int r = kh_new_dek(k);

	if (!r)
		r = tpm2_encrypt(k, b, k->secrets->dek, wrapped, len);
	explicit_bzero(k->secrets->dek, KC_DEK_SIZE);
	return r;
}

static int tpm2_decrypt(struct kh *k, const struct kc_binding *b, const uint8_t *wrapped, size_t len, uint8_t *dek)
{
	uint8_t hash[KH_HASH], *plain = k->secrets->plain;
	struct kt_pcrs p;
	int r;

	if (bound(k, b, &p) || kh_binding_hash(k, b, hash))
		return -1;
	r = kt_unseal(k, kh_setting(k, "tpm2_tcti"), &p, wrapped, len, plain, PLAIN);
	if (!r && CRYPTO_memcmp(plain + KC_DEK_SIZE, hash, KH_HASH) != 0)
		r = kh_fail(k, KH_INVALID_CIPHERTEXT, "the key that the TPM unsealed is not this volume's");
	if (!r)
		memcpy(dek, plain, KC_DEK_SIZE);
	explicit_bzero(plain, PLAIN);
	return r;
}

/* Also to other PCRs, or to the same ones with the values of now. */
static int tpm2_re_encrypt(struct kh *k, const struct kc_binding *from, const uint8_t *old, size_t old_len,
			   const struct kc_binding *to, uint8_t *wrapped, size_t *len)
{
	uint8_t *dek = k->secrets->dek;
	int r = tpm2_decrypt(k, from, old, old_len, dek);

	if (!r)
		r = tpm2_encrypt(k, to, dek, wrapped, len);
	explicit_bzero(dek, KC_DEK_SIZE);
	return r;
}

static int tpm2_prepare(struct kh *k)
{
	(void)k;
	/* tpm2-tss would tell the terminal what we say better */
	setenv("TSS2_LOG", "all+none", 1);
	kt_prepare();
	return 0;
}

static void tpm2_close(struct kh *k)
{
	(void)k;
}

/* A device needs nothing; a software TPM of a VM or a test is behind a socket. */
static const int syscalls[] = { SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(getsockopt), -1 };

static const struct kh_provider tpm2 = {
	.name = "tpm2",
	.prepare = tpm2_prepare,
	.syscalls = syscalls,
	.claims = tpm2_claims,
	.describe = tpm2_describe,
	.generate = tpm2_generate,
	.encrypt = tpm2_encrypt,
	.decrypt = tpm2_decrypt,
	.re_encrypt = tpm2_re_encrypt,
	.close = tpm2_close,
};

const struct kh_provider *const kh_provider = &tpm2;
