// SPDX-License-Identifier: GPL-2.0-or-later
/* The pkcs11 provider: AES keys in a token, used where they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <seccomp.h>

#include "token.h"

#define PREFIX "pkcs11:"

static struct kp state;

static struct kp *mine(struct kh *k)
{
	k->private = &state;
	return &state;
}

static bool pkcs11_claims(const char *key)
{
	return !strncmp(key, PREFIX, strlen(PREFIX));
}

/* A name that somebody typed: it may say where the PIN is. One of a disk may not. */
static int note_pin_source(struct kh *k, struct kp *p, const struct kp_name *n)
{
	const char *source = p11_kit_uri_get_pin_source(n->uri);

	if (!source)
		return 0;
	if (!strncmp(source, "file:", 5))
		source += 5;
	if (!strncmp(source, "//", 2))
		source += 2;
	if (source[0] == '/') {
		snprintf(p->pin_file, sizeof(p->pin_file), "%s", source);
		return 0;
	}
	kh_fail(k, KH_VALIDATION, "pin-source \"%.200s\" is not file:/PATH", source);
	return kh_next(k, "a PIN comes from a file, a credential of systemd, or a terminal");
}

static int pkcs11_describe(struct kh *k, const char *name, struct kc_key_info *info)
{
	struct kp_name n = { 0 };
	struct kp *p = mine(k);
	int r = kp_name_parse(k, name, &n);

	memset(info, 0, sizeof(*info));
	if (!r)
		r = note_pin_source(k, p, &n);
	if (!r)
		r = kp_load(k, p, &n);
	if (!r)
		r = kp_open(k, p, &n);
	if (!r && !kc_key_canonical("pkcs11", p->key.name))
		r = kh_fail(k, KH_INTERNAL, "the key has no canonical name");
	if (!r) {
		snprintf(info->provider, sizeof(info->provider), "pkcs11");
		memcpy(info->key, p->key.name, sizeof(info->key));
		info->state = KC_KEY_ENABLED;
		info->version = 1;
		snprintf(info->description, sizeof(info->description), "%.100s%s%s", p->key.label,
			 p->key.label[0] ? ", " : "",
			 p->key.extractable ? "may leave the token (CKA_EXTRACTABLE)" : "never leaves the token");
		for (char *s = info->description; *s; s++)
			if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
				*s = '?';
	}
	kp_name_free(&n);
	return r;
}

/* The key of a binding: of the last call, or opened now. */
static int reach(struct kh *k, struct kp *p, const struct kc_binding *b)
{
	struct kp_name n = { 0 };
	int r;

	if (p->open && !strcmp(p->key.name, b->key))
		return 0;
	r = kp_name_parse(k, b->key, &n);
	/* a disk tells nobody which library to load, or which file to read */
	if (!r && (p11_kit_uri_get_pin_source(n.uri) || p11_kit_uri_get_module_path(n.uri)))
		r = kh_fail(k, KH_VALIDATION, "\"%.200s\" is no canonical key id", b->key);
	if (!r)
		r = kp_load(k, p, &n);
	if (!r)
		r = kp_open(k, p, &n);
	if (!r && strcmp(p->key.name, b->key) != 0) {
		kp_close(p);
		kh_fail(k, KH_VALIDATION, "\"%.200s\" is no canonical key id, %.200s is", b->key, p->key.name);
		r = kh_next(k, "restore the header that was written for this volume");
	}
	kp_name_free(&n);
	return r;
}

/* A session that was lost is opened anew, once. */
static int again(struct kh *k, struct kp *p, const struct kc_binding *b)
{
	kp_close(p);
	return reach(k, p, b);
}

static int pkcs11_encrypt(struct kh *k, const struct kc_binding *b, const uint8_t *dek, uint8_t *wrapped, size_t *len)
{
	uint8_t *plain = k->secrets->plain;
	struct kp *p = mine(k);
	CK_RV rv;

	if (reach(k, p, b) || kh_binding_hash(k, b, plain + KC_DEK_SIZE))
		return -1;
	memcpy(plain, dek, KC_DEK_SIZE);
	rv = kp_wrap(k, p, wrapped, len);
	if (kp_rv_lost(rv)) {
		if (again(k, p, b))
			return -1;
		rv = kp_wrap(k, p, wrapped, len);
	}
	explicit_bzero(plain, sizeof(k->secrets->plain));
	kh_wipe_stack();
	return rv == CKR_OK ? 0 : kp_rv_fail(k, rv, KH_INVALID_USAGE, "wrap a key with this key of the token");
}

static int pkcs11_generate(struct kh *k, const struct kc_binding *b, uint8_t *wrapped, size_t *len)
{
	int r = kh_new_dek(k);

	if (!r)
		r = pkcs11_encrypt(k, b, k->secrets->dek, wrapped, len);
	explicit_bzero(k->secrets->dek, KC_DEK_SIZE);
	return r;
}

static int pkcs11_decrypt(struct kh *k, const struct kc_binding *b, const uint8_t *wrapped, size_t len, uint8_t *dek)
{
	uint8_t *plain = k->secrets->plain, hash[KH_HASH];
	struct kp *p = mine(k);
	CK_RV rv;
	int r = 0;

	if (reach(k, p, b) || kh_binding_hash(k, b, hash))
		return -1;
	memcpy(plain + KC_DEK_SIZE, hash, KH_HASH);
	rv = kp_unwrap(k, p, wrapped, len);
	if (kp_rv_lost(rv)) {
		if (again(k, p, b))
			return -1;
		rv = kp_unwrap(k, p, wrapped, len);
	}
	/* key and login are good, so it is what was to be unwrapped */
	if (rv != CKR_OK)
		r = kp_rv_fail(k, rv, KH_INVALID_CIPHERTEXT, "unwrap the key: it was altered, or is not this volume's");
	else if (CRYPTO_memcmp(plain + KC_DEK_SIZE, hash, KH_HASH) != 0)
		r = kh_fail(k, KH_INVALID_CIPHERTEXT, "the key that the token unwrapped is not this volume's");
	if (!r)
		memcpy(dek, plain, KC_DEK_SIZE);
	explicit_bzero(plain, sizeof(k->secrets->plain));
	explicit_bzero(k->secrets->scratch, sizeof(k->secrets->scratch));
	kh_wipe_stack();
	return r;
}

static int pkcs11_re_encrypt(struct kh *k, const struct kc_binding *from, const uint8_t *old, size_t old_len,
			     const struct kc_binding *to, uint8_t *wrapped, size_t *len)
{
	uint8_t *dek = k->secrets->dek;
	int r = pkcs11_decrypt(k, from, old, old_len, dek);

	if (!r)
		r = pkcs11_encrypt(k, to, dek, wrapped, len);
	explicit_bzero(dek, KC_DEK_SIZE);
	return r;
}

static int list_keys(struct kh *k, struct json_object *args, struct json_object *result)
{
	mine(k);
	return kp_list(k, args, result);
}

static void pkcs11_close(struct kh *k)
{
	kp_unload(mine(k));
}

static const struct kh_admin_op admin[] = { { "ListKeys", list_keys }, { NULL, NULL } };

/* Network HSMs and smart-card daemons are behind sockets; what a resolver does with bind() is harmless. */
static const int syscalls[] = { SCMP_SYS(connect), SCMP_SYS(bind), -1 };

static const struct kh_provider pkcs11 = {
	.name = "pkcs11",
	.syscalls = syscalls,
	.foreign_code = true,
	.claims = pkcs11_claims,
	.describe = pkcs11_describe,
	.generate = pkcs11_generate,
	.encrypt = pkcs11_encrypt,
	.decrypt = pkcs11_decrypt,
	.re_encrypt = pkcs11_re_encrypt,
	.admin = admin,
	.close = pkcs11_close,
};

const struct kh_provider *const kh_provider = &pkcs11;
