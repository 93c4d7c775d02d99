// SPDX-License-Identifier: GPL-2.0-or-later
/* Key material of one's own, imported into AWS KMS. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "kms-wire.h"
#include "serve.h"

#define IMPORT_TOKEN_MAX 8193	/* base64 of KMS's limit, with a NUL */

int admin_delete_material(struct kh *k, struct json_object *args, struct json_object *result)
{
	return admin_change(k, args, result, "DeleteImportedKeyMaterial");
}

int admin_import_parameters(struct kh *k, struct json_object *args, struct json_object *result)
{
	char until[32];
	struct admin a;
	int r = admin_begin(&a, k, args, "GetParametersForImport");

	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_add_str(&a, "WrappingAlgorithm", "RSAES_OAEP_SHA_256");
	if (!r)
		r = admin_add_str(&a, "WrappingKeySpec", "RSA_4096");
	if (!r)
		r = admin_ask(&a);
	if (!r)
		r = admin_answer_str(&a, result, "public_key", aws_string(a.answer, "PublicKey"));
	if (!r)
		r = admin_answer_str(&a, result, "import_token", aws_string(a.answer, "ImportToken"));
	if (!r) {
		aws_time(a.answer, "ParametersValidTo", until);
		r = admin_answer_str(&a, result, "valid_to", until);
	}
	return admin_end(&a, r);
}

/* "2026-11-21T10:00:00Z" as seconds since the epoch, 0 for anything else. */
static int64_t epoch(const char *s)
{
	struct tm tm = { 0 };
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);

	return rest && !*rest ? (int64_t)timegm(&tm) : 0;
}

int admin_import_material(struct kh *k, struct json_object *args, struct json_object *result)
{
	char token[IMPORT_TOKEN_MAX], material[1025], until[32] = "";
	struct admin a;
	int r = admin_begin(&a, k, args, "ImportKeyMaterial");

	if (!r)
		r = admin_required(k, args, "import_token", token, sizeof(token));
	if (!r)
		r = admin_required(k, args, "material", material, sizeof(material));
	if (!r)
		r = admin_optional(k, args, "valid_to", until, sizeof(until));
	if (!r && *until && epoch(until) <= 0)
		r = kh_fail(k, KH_VALIDATION, "valid_to is \"%s\", not a time like 2026-11-21T10:00:00Z", until);
	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_add_str(&a, "ImportToken", token);
	if (!r)
		r = admin_add_str(&a, "EncryptedKeyMaterial", material);
	if (!r)
		r = admin_add_str(&a, "ExpirationModel", *until ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE");
	if (!r && *until)
		r = admin_add_int(&a, "ValidTo", epoch(until));
	if (!r)
		r = admin_ask(&a);
	if (!r)
		r = admin_answer_info(k, &a.key, a.name, result);
	return admin_end(&a, r);
}
