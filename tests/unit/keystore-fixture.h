/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local keystore of a host in a temporary directory: its files, calls to it, its database. */
#ifndef KEYSTORE_FIXTURE_H
#define KEYSTORE_FIXTURE_H

#include <fcntl.h>

#include <json-c/json.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sqlite3.h>

#include "keystore.h"
#include "kms-fixture.h"
#include "kms-wire.h"

#define KEY_FILE "keystore.key"
#define DB_FILE "keystore.db"

static inline const char *path_of(struct host *h, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", h->state, name);
	return path;
}

static inline bool exists(struct host *h, const char *name)
{
	struct stat st;

	return !lstat(path_of(h, name), &st);
}

static inline void slurp(const char *path, uint8_t **data, size_t *len)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	*len = (size_t)ftell(f);
	*data = malloc(*len + 1);
	rewind(f);
	assert_int_equal(fread(*data, 1, *len, f), *len);
	fclose(f);
}

static inline void spit(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* One call in a helper of its own. */
static inline int describe(struct host *h, const char *key, struct kc_key_info *info, struct kc_error *err)
{
	struct kc_kms *kms;
	int r;

	memset(err, 0, sizeof(*err));
	r = start_kms(h, &kms, err);
	if (!r)
		r = kc_kms_describe(kms, key, info, err);
	kc_kms_close(kms);
	return r;
}

static inline void default_key(struct host *h, struct kc_key_info *info)
{
	struct kc_error err;

	ok_or_show(describe(h, "alias/kcache", info, &err), &err, "describe");
}

static inline void refused(struct host *h, int code, const char *name, const char *text)
{
	struct kc_key_info info;
	struct kc_error err;

	assert_int_equal(describe(h, "alias/kcache", &info, &err), code);
	if (strcmp(err.provider_error, name) || !strstr(err.text, text))
		fail_msg("[%s] %s", err.provider_error, err.text);
	assert_true(strlen(err.next) > 10);
}

static inline int keystore_up(void **state)
{
	struct kc_key_info info;

	host_up(state);
	default_key(*state, &info);
	return 0;
}

static inline int admin(struct host *h, const char *operation, const char *name, const char *value,
		 struct json_object **answer, struct kc_error *err)
{
	struct json_object *params = json_object_new_object();
	struct kc_kms *kms = open_kms(h);
	int r;

	memset(err, 0, sizeof(*err));
	if (name)
		json_object_object_add(params, name, json_object_new_string(value));
	r = kc_kms_admin(kms, "local", operation, params, answer, err);
	json_object_put(params);
	kc_kms_close(kms);
	return r;
}

static inline void sql(struct host *h, const char *statement)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The keystore in this process; k->secrets is what a helper has in its own. */
static inline struct kh *open_here(struct host *h)
{
	struct kh *k = calloc(1, sizeof(*k));
	struct kc_error err = { 0 };

	strcpy(k->state_dir, h->state);
	k->deadline = kc_wire_now() + 10000;
	umask(077);	/* as kc_harden_process() in the helper */
	k->secrets = kc_secret_alloc(sizeof(*k->secrets), &err);
	assert_non_null(k->secrets);
	assert_int_equal(ks_open(k, true), 0);
	return k;
}

static inline void close_here(struct kh *k)
{
	ks_close(k);
	kc_secret_free(k->secrets, sizeof(*k->secrets));
	free(k);
}


/*
 * Any operation in a helper of its own; @json: its arguments, with ' for ". What it
 * answers is put away if @answer is NULL.
 */
static inline int call(struct host *h, const char *operation, struct json_object **answer, struct kc_error *err,
		       const char *json, ...) __attribute__((format(printf, 5, 6)));

static inline int call(struct host *h, const char *operation, struct json_object **answer, struct kc_error *err,
		       const char *json, ...)
{
	struct json_object *params, *got = NULL;
	char text[2048], *p;
	struct kc_kms *kms;
	va_list ap;
	int r;

	va_start(ap, json);
	assert_true(vsnprintf(text, sizeof(text), json, ap) < (int)sizeof(text));
	va_end(ap);
	for (p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	params = json_tokener_parse(text);
	assert_non_null(params);
	memset(err, 0, sizeof(*err));
	kms = open_kms(h);
	r = kc_kms_admin(kms, "local", operation, params, &got, err);
	kc_kms_close(kms);
	json_object_put(params);
	if (answer)
		*answer = got;
	else
		json_object_put(got);
	return r;
}

/* One that succeeds, or the test ends. */
#define do_call(h, operation, ...) \
	do { \
		struct kc_error do_err; \
		ok_or_show(call(h, operation, NULL, &do_err, __VA_ARGS__), &do_err, operation); \
	} while (0)

static inline const char *text_of(struct json_object *o, const char *name)
{
	const char *s = json_object_get_string(json_object_object_get(o, name));

	return s ? s : "";
}

/* A new key with nothing but an id. */
static inline void new_key(struct host *h, char *key, const char *arguments)
{
	struct json_object *answer;
	struct kc_error err;

	ok_or_show(call(h, "CreateKey", &answer, &err, "%s", arguments), &err, "CreateKey");
	snprintf(key, KC_KEY_NAME_MAX, "%s", text_of(answer, "key"));
	json_object_put(answer);
}

/*
 * What an administrator does with his own material: asks for a public key and a token,
 * and wraps it. Both as base64.
 */
static inline void wrap_material(struct host *h, const char *key, const uint8_t *material, size_t len, char *wrapped,
				 char *token)
{
	uint8_t der[1024], out[512];
	const uint8_t *p = der;
	struct json_object *answer;
	struct kc_error err;
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *pkey;
	size_t n = sizeof(out);
	const char *b64;
	int der_len;

	ok_or_show(call(h, "GetParametersForImport", &answer, &err, "{'key':'%s'}", key), &err,
		   "GetParametersForImport");
	strcpy(token, text_of(answer, "import_token"));
	b64 = text_of(answer, "public_key");
	der_len = EVP_DecodeBlock(der, (const unsigned char *)b64, (int)strlen(b64));
	assert_true(der_len > 0);
	pkey = d2i_PUBKEY(NULL, &p, der_len);
	assert_non_null(pkey);
	assert_int_equal(EVP_PKEY_get_bits(pkey), 3072);
	ctx = EVP_PKEY_CTX_new(pkey, NULL);
	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &n, material, len), 1);
	EVP_EncodeBlock((unsigned char *)wrapped, out, (int)n);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	json_object_put(answer);
}

#endif
