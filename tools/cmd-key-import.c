// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache key import, import-parameters, forget: own key material (BYOK). The
 * material is read from a file or standard input into locked memory, and leaves
 * this process wrapped under the public key that the KMS gave for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "key.h"
#include "kms-wire.h"
#include "secret.h"

#define MATERIAL_LEN 32
#define WRAPPED_MAX 1024	/* RSA-4096 is 512 */

/* Up to @max + 1 bytes of a file or standard input: one more than there may be. */
static int read_file(struct kc_run *r, const char *path, uint8_t *out, size_t max, size_t *len)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	ssize_t n = 0;

	*len = 0;
	if (fd < 0)
		return kc_fail(&r->err, KC_USAGE, NULL, "cannot open %s: %s", path, strerror(errno));
	while (*len <= max && (n = read(fd, out + *len, max + 1 - *len)) > 0)
		*len += (size_t)n;
	if (n < 0)
		kc_fail(&r->err, KC_USAGE, NULL, "cannot read %s: %s", path, strerror(errno));
	if (fd != STDIN_FILENO)
		close(fd);
	return n < 0 ? KC_USAGE : 0;
}

/* RSAES_OAEP_SHA_256, as KMS calls it. */
static bool wrap(const uint8_t *der, size_t der_len, const uint8_t *material, uint8_t *out, size_t *len)
{
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)der_len);
	EVP_PKEY_CTX *ctx = pkey && EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) >= 2048 ?
		EVP_PKEY_CTX_new(pkey, NULL) : NULL;
	bool ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_encrypt(ctx, out, len, material, MATERIAL_LEN) == 1;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/* The material of the file, wrapped here under a key that is asked for now; adds to @args. */
static int wrap_here(struct key_verb *v, struct json_object *args)
{
	uint8_t der[2048], out[WRAPPED_MAX];
	size_t len = 0, der_len, out_len = sizeof(out);
	struct json_object *parameters = NULL;
	struct kc_run *r = v->r;
	uint8_t *material = kc_secret_alloc(MATERIAL_LEN + 1, &r->err);
	int ret = material ? read_file(r, r->arg[1], material, MATERIAL_LEN, &len) : KC_NOMEM;

	if (!ret && len != MATERIAL_LEN)
		ret = kc_fail(&r->err, KC_USAGE, "make some: openssl rand -out FILE 32",
			      "%s has %s%zu bytes, key material has exactly %d", r->arg[1],
			      len > MATERIAL_LEN ? "at least " : "", len, MATERIAL_LEN);
	if (!ret)
		ret = key_call(v, "GetParametersForImport", key_args(v), &parameters);
	if (!ret && (!kc_wire_blob(parameters, "public_key", der, sizeof(der), &der_len) ||
		     !wrap(der, der_len, material, out, &out_len) ||
		     !kc_wire_add_blob(args, "material", out, out_len)))
		ret = kc_fail(&r->err, KC_KMS_RETRY, NULL, "the KMS gave no RSA key to wrap the material under");
	kc_secret_free(material, MATERIAL_LEN + 1);
	if (!ret)
		kc_json_str(args, "import_token", key_text(parameters, "import_token"));
	kc_json_drop(parameters);
	return ret;
}

/* What was wrapped elsewhere, under the key that the token goes with. */
static int wrapped_elsewhere(struct key_verb *v, struct json_object *args)
{
	uint8_t wrapped[WRAPPED_MAX + 1];
	struct kc_run *r = v->r;
	size_t len;
	int ret = read_file(r, r->arg[1], wrapped, WRAPPED_MAX, &len);

	if (ret)
		return ret;
	if (!len || len > WRAPPED_MAX)
		return kc_fail(&r->err, KC_USAGE, NULL, "%s is no wrapped key material: it has %zu bytes or more",
			       r->arg[1], len);
	kc_json_str(args, "import_token", r->opt[OPT_IMPORT_TOKEN]);
	return kc_wire_add_blob(args, "material", wrapped, len) ? 0 : kc_fail(&r->err, KC_NOMEM, NULL, "out of memory");
}

static int import(struct key_verb *v)
{
	struct json_object *args = key_args(v), *info = NULL;
	struct kc_run *r = v->r;
	int ret = kc_given(r, OPT_IMPORT_TOKEN) ? wrapped_elsewhere(v, args) : wrap_here(v, args);

	if (ret) {
		kc_json_drop(args);
		return ret;
	}
	if (kc_given(r, OPT_VALID_TO))
		kc_json_str(args, "valid_to", r->opt[OPT_VALID_TO]);
	ret = key_call(v, "ImportKeyMaterial", args, &info);
	return ret ? ret : key_changed(v, info);
}

static int import_parameters(struct key_verb *v)
{
	struct json_object *answer = NULL, *o;
	struct kc_run *r = v->r;
	int ret = key_call(v, "GetParametersForImport", key_args(v), &answer);

	if (ret)
		return ret;
	if (kc_given(r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "key", r->arg[0]);
		kc_json_str(o, "wrapping", "RSAES_OAEP_SHA_256");
		kc_json_str(o, "public_key", key_text(answer, "public_key"));
		kc_json_str(o, "import_token", key_text(answer, "import_token"));
		kc_json_str(o, "valid_to", key_text(answer, "valid_to"));
		ret = kc_json_print(r, o);
	} else {
		printf("Public key:   %s\nImport token: %s\nValid to:     %s\n", key_text(answer, "public_key"),
		       key_text(answer, "import_token"), key_text(answer, "valid_to"));
	}
	kc_json_drop(answer);
	return ret;
}

static int forget(struct key_verb *v)
{
	struct json_object *info = NULL;
	int ret = key_call(v, "DeleteImportedKeyMaterial", key_args(v), &info);

	return ret ? ret : key_changed(v, info);
}

int cmd_key_import(struct kc_run *r)
{
	return key_run(r, import);
}

int cmd_key_import_parameters(struct kc_run *r)
{
	return key_run(r, import_parameters);
}

int cmd_key_forget(struct kc_run *r)
{
	return key_run(r, forget);
}
