// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local provider: KMS's semantics on a keystore of this host.
 *
 * A wrapped DEK is
 *
 *	offset	bytes
 *	0	1	format, 1
 *	1	16	id of the key
 *	17	4	version of its material, big endian
 *	21	12	nonce
 *	33	64	ciphertext
 *	97	16	tag
 *
 * AES-256-GCM; what is authenticated beside the DEK are the first 21 bytes,
 * then the canonical binding (kc_canon_binding()).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <seccomp.h>

#include "aead.h"
#include "canon.h"
#include "local.h"

#define MANAGED_DESCRIPTION "Default key of kcache on this host"

#define BLOB_FORMAT 1
#define BLOB_ID 1
#define BLOB_VERSION 17
#define BLOB_HEAD 21
#define BLOB_LEN (BLOB_HEAD + KH_SEALED(KC_DEK_SIZE))

static bool local_claims(const char *key)
{
	return !strncmp(key, KL_PREFIX, strlen(KL_PREFIX)) || !strncmp(key, KL_ALIAS, strlen(KL_ALIAS));
}

bool kl_valid_alias(const char *s)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-";
	size_t len = strlen(s), prefix = strlen(KL_ALIAS);

	return len > prefix && len < KS_ALIAS_MAX && !strncmp(s, KL_ALIAS, prefix) &&
		strspn(s + prefix, set) == len - prefix;
}

/* The part of a key's name that the keystore knows; NULL and a failure for no name of ours. */
static const char *bare_name(struct kh *k, const char *key)
{
	const char *s = !strncmp(key, KL_PREFIX, strlen(KL_PREFIX)) ? key + strlen(KL_PREFIX) : key;

	if (kl_valid_alias(s) || (s != key && kc_uuid_valid(s)))
		return s;
	kh_fail(k, KH_VALIDATION, "\"%s\" is no name of a local key", key);
	return NULL;
}

int kl_resolve(struct kh *k, const char *key, char id[static KC_UUID_LEN + 1])
{
	const char *s = bare_name(k, key);

	if (!s)
		return -1;
	if (kl_valid_alias(s))
		return ks_alias(k, s, id);
	memcpy(id, s, KC_UUID_LEN + 1);
	return 0;
}

void kl_info(const struct ks_key *key, struct kc_key_info *info)
{
	memset(info, 0, sizeof(*info));
	snprintf(info->provider, sizeof(info->provider), "local");
	snprintf(info->key, sizeof(info->key), KL_PREFIX "%s", key->id);
	info->state = key->state;
	info->version = key->version;
	if (key->deletion)
		ks_date(key->deletion, info->deletion);
	memcpy(info->created, key->created, sizeof(info->created));
	memcpy(info->description, key->description, sizeof(info->description));
}

/* The managed key is made where it is not there; looked for first, so that nobody waits to be the one who may write. */
static int find_or_make(struct kh *k, const char *name, bool managed, struct ks_key *key)
{
	char id[KC_UUID_LEN + 1];
	int r = managed ? ks_find_alias(k, KL_MANAGED, id) : 0;

	if (r < 0)
		return r;
	if (!managed || r)
		return kl_resolve(k, name, id) ? -1 : ks_get(k, id, key);
	r = ks_begin(k, true);
	return r ? r : ks_end(k, ks_managed(k, KL_MANAGED, MANAGED_DESCRIPTION, key));
}

static int local_describe(struct kh *k, const char *name, struct kc_key_info *info)
{
	const char *s = bare_name(k, name);
	struct ks_key key;
	bool managed;

	if (!s)
		return -1;
	managed = !strcmp(s, KL_MANAGED);
	if (ks_open(k, managed) || find_or_make(k, name, managed, &key) ||
	    kl_check(k, &key, "DescribeKey", NULL))
		return -1;
	kl_info(&key, info);
	return 0;
}

/* The key of a binding, and its material of @version (0: the newest), which may be used now. */
static int use(struct kh *k, const struct kc_binding *b, const char *operation, unsigned int version,
	       struct ks_key *key)
{
	int r;

	if (ks_open(k, false) || ks_begin(k, false))
		return -1;
	r = ks_get(k, b->key + strlen(KL_PREFIX), key);
	if (!r)
		r = kl_check_grant_token(k, key);
	if (!r)
		r = kl_check(k, key, operation, b);
	if (!r)
		r = ks_material(k, key->id, version ? version : key->version);
	return ks_end(k, r);
}

/* The same for what wraps: a key that is to rotate by itself does so here, lazily, at its first use after the date. */
static int use_newest(struct kh *k, const struct kc_binding *b, const char *operation, struct ks_key *key)
{
	unsigned int version;

	if (use(k, b, operation, 0, key))
		return -1;
	version = key->version;
	if (ks_rotate_if_due(k, key))
		return -1;
	return key->version == version ? 0 : use(k, b, operation, 0, key);
}

/* The id's 16 bytes. */
static void id_bytes(const char *id, uint8_t out[static 16])
{
	unsigned int byte;
	int i;

	for (i = 0; i < 16; i++) {
		if (*id == '-')
			id++;
		sscanf(id, "%2x", &byte);
		out[i] = (uint8_t)byte;
		id += 2;
	}
}

static int blob_aad(struct kh *k, const uint8_t *head, const struct kc_binding *b, struct kc_bytes *aad)
{
	struct kc_bytes canon = { 0 };
	struct kc_error err = { 0 };
	int r = kc_canon_binding(b, &canon, &err);

	memset(aad, 0, sizeof(*aad));
	if (!r) {
		aad->data = malloc(BLOB_HEAD + canon.len);
		if (!aad->data)
			r = kc_fail(&err, KC_NOMEM, NULL, "out of memory");
	}
	if (!r) {
		memcpy(aad->data, head, BLOB_HEAD);
		memcpy(aad->data + BLOB_HEAD, canon.data, canon.len);
		aad->len = BLOB_HEAD + canon.len;
	}
	kc_bytes_free(&canon);
	return r ? kh_fail(k, r == KC_NOMEM ? KH_NO_MEMORY : KH_VALIDATION, "%s", err.text) : 0;
}

static int wrap(struct kh *k, const struct kc_binding *b, const char *operation, const uint8_t *dek,
		uint8_t *wrapped, size_t *len)
{
	struct kc_bytes aad = { 0 };
	struct ks_key key;
	int r = use_newest(k, b, operation, &key);

	if (r)
		return r;
	wrapped[0] = BLOB_FORMAT;
	id_bytes(key.id, wrapped + BLOB_ID);
	wrapped[BLOB_VERSION] = (uint8_t)(key.version >> 24);
	wrapped[BLOB_VERSION + 1] = (uint8_t)(key.version >> 16);
	wrapped[BLOB_VERSION + 2] = (uint8_t)(key.version >> 8);
	wrapped[BLOB_VERSION + 3] = (uint8_t)key.version;
	r = blob_aad(k, wrapped, b, &aad);
	if (!r && kh_seal(k->secrets->kek, aad.data, aad.len, dek, KC_DEK_SIZE, wrapped + BLOB_HEAD))
		r = kh_fail(k, KH_INTERNAL, "cannot wrap a key");
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	kc_bytes_free(&aad);
	*len = BLOB_LEN;
	return r;
}

static int local_encrypt(struct kh *k, const struct kc_binding *b, const uint8_t *dek, uint8_t *wrapped,
			 size_t *len)
{
	return wrap(k, b, "Encrypt", dek, wrapped, len);
}

static int local_generate(struct kh *k, const struct kc_binding *b, uint8_t *wrapped, size_t *len)
{
	uint8_t *dek = k->secrets->dek;
	int r;

	/* XTS needs two different keys; a generator that gives equal ones is broken, not unlucky */
	if (RAND_priv_bytes(dek, KC_DEK_SIZE) != 1 || !memcmp(dek, dek + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2))
		r = kh_fail(k, KH_INTERNAL, "no random numbers for a data key");
	else
		r = wrap(k, b, "GenerateDataKeyWithoutPlaintext", dek, wrapped, len);
	explicit_bzero(dek, KC_DEK_SIZE);
	return r;
}

/* The version of the material that wrapped it; 0 if the key did not. */
static unsigned int blob_version(const struct kc_binding *b, const uint8_t *wrapped, size_t len)
{
	uint8_t id[16];

	if (len != BLOB_LEN || wrapped[0] != BLOB_FORMAT)
		return 0;
	id_bytes(b->key + strlen(KL_PREFIX), id);
	if (memcmp(wrapped + BLOB_ID, id, sizeof(id)))
		return 0;
	return (unsigned int)wrapped[BLOB_VERSION] << 24 | (unsigned int)wrapped[BLOB_VERSION + 1] << 16 |
	       (unsigned int)wrapped[BLOB_VERSION + 2] << 8 | wrapped[BLOB_VERSION + 3];
}

static int unwrap(struct kh *k, const struct kc_binding *b, const char *operation, const uint8_t *wrapped,
		  size_t len, uint8_t *dek)
{
	unsigned int version = blob_version(b, wrapped, len);
	struct kc_bytes aad = { 0 };
	struct ks_key key;
	int r = use(k, b, operation, version, &key);

	if (!r && (len != BLOB_LEN || wrapped[0] != BLOB_FORMAT))
		r = kh_fail(k, KH_INVALID_CIPHERTEXT, "the wrapped key was not made by %s", b->key);
	if (!r && !version)
		r = kh_fail(k, KH_INCORRECT_KEY, "the wrapped key was made by another key than %s", b->key);
	if (!r)
		r = blob_aad(k, wrapped, b, &aad);
	if (!r && kh_unseal(k->secrets->kek, aad.data, aad.len, wrapped + BLOB_HEAD, dek, KC_DEK_SIZE))
		r = kh_fail(k, KH_INVALID_CIPHERTEXT, "the wrapped key does not open under %s for this volume",
			    b->key);
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	kc_bytes_free(&aad);
	return r;
}

static int local_decrypt(struct kh *k, const struct kc_binding *b, const uint8_t *wrapped, size_t len,
			 uint8_t *dek)
{
	return unwrap(k, b, "Decrypt", wrapped, len, dek);
}

static int local_re_encrypt(struct kh *k, const struct kc_binding *from, const uint8_t *old, size_t old_len,
			    const struct kc_binding *to, uint8_t *wrapped, size_t *len)
{
	uint8_t *dek = k->secrets->dek;
	int r = unwrap(k, from, "ReEncryptFrom", old, old_len, dek);

	if (!r)
		r = wrap(k, to, "ReEncryptTo", dek, wrapped, len);
	explicit_bzero(dek, KC_DEK_SIZE);
	return r;
}

static void local_close(struct kh *k)
{
	ks_close(k);
	explicit_bzero(k->secrets->root, KH_KEY_SIZE);
}

/* who asks, for key policies; what renameat2() without flags is in glibc */
static const int syscalls[] = { SCMP_SYS(getgroups), SCMP_SYS(renameat), -1 };

static const struct kh_provider local = {
	.name = "local",
	.claims = local_claims,
	.describe = local_describe,
	.generate = local_generate,
	.encrypt = local_encrypt,
	.decrypt = local_decrypt,
	.re_encrypt = local_re_encrypt,
	.syscalls = syscalls,
	.list_aliases = kl_list_aliases,
	.create_grant = kl_on_key,
	.retire_grant = kl_retire_grant,
	.admin = kl_admin,
	.close = local_close,
};

const struct kh_provider *const kh_provider = &local;
