// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every operation on a local key in every state, and for both origins of key
 * material: what KMS's documentation says of each ("Key states of KMS keys").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "keystore-fixture.h"

/* how an operation ends */
enum end {
	OK,
	DISABLED,	/* DisabledException, 7 */
	PENDING,	/* KMSInvalidStateException, 7 */
	NOT_PENDING,	/* KMSInvalidStateException, 1: there is nothing to cancel */
	UNSUPPORTED,	/* UnsupportedOperationException, 1 */
};

static const struct {
	int code;
	const char *name;
} ends[] = {
	[OK] = { KC_OK, "" },
	[DISABLED] = { KC_KMS_REFUSED, "DisabledException" },
	[PENDING] = { KC_KMS_REFUSED, "KMSInvalidStateException" },
	[NOT_PENDING] = { KC_USAGE, "KMSInvalidStateException" },
	[UNSUPPORTED] = { KC_USAGE, "UnsupportedOperationException" },
};

/* a key of the keystore's own: enabled, disabled, pending deletion; an external one: also pending import */
enum { ENABLED, IS_DISABLED, DELETION, X_ENABLED, X_DISABLED, X_DELETION, X_IMPORT, N_STATES };

static const char *const state_names[] = { "Enabled", "Disabled", "PendingDeletion", "external Enabled",
					   "external Disabled", "external PendingDeletion", "PendingImport" };

#define ALL(x) { x, x, x, x, x, x, x }
#define USE { OK, DISABLED, PENDING, OK, DISABLED, PENDING, PENDING }

/* @arguments beside "key"; what starts with a capital letter and is no operation is a use of the key */
static const struct {
	const char *operation;
	const char *arguments;
	enum end ends[N_STATES];
} table[] = {
	{ "Use:Encrypt", "", USE },
	{ "Use:Decrypt", "", USE },
	{ "Use:Generate", "", USE },
	{ "Use:ReEncrypt", "", USE },
	{ "Use:Describe", "", ALL(OK) },
	{ "EnableKey", "", { OK, OK, PENDING, OK, OK, PENDING, PENDING } },
	{ "DisableKey", "", { OK, OK, PENDING, OK, OK, PENDING, PENDING } },
	{ "RotateKeyOnDemand", "", { OK, DISABLED, PENDING, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED } },
	{ "EnableKeyRotation", "", { OK, DISABLED, PENDING, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED } },
	{ "DisableKeyRotation", "", { OK, DISABLED, PENDING, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED } },
	{ "GetKeyRotationStatus", "", { OK, OK, PENDING, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED } },
	{ "ScheduleKeyDeletion", "", { OK, OK, PENDING, OK, OK, PENDING, OK } },
	{ "CancelKeyDeletion", "", { NOT_PENDING, DISABLED, OK, NOT_PENDING, DISABLED, OK, PENDING } },
	{ "CreateAlias", ",'alias':'one'", { OK, OK, PENDING, OK, OK, PENDING, OK } },
	{ "UpdateAlias", ",'alias':'other'", { OK, OK, PENDING, OK, OK, PENDING, OK } },
	{ "DeleteAlias", ",'alias':'own'", ALL(OK) },
	{ "CreateGrant", ",'grantee':'h','operations':['Decrypt']", USE },
	{ "ListGrants", "", ALL(OK) },
	{ "RevokeGrant", ",'grant_id':'GRANT'", ALL(OK) },
	{ "RetireGrant", ",'grant_id':'GRANT'", ALL(OK) },
	{ "GetKeyPolicy", "", ALL(OK) },
	{ "PutKeyPolicy", ",'policy':'{\\'Statement\\':{\\'Effect\\':\\'Allow\\',\\'Principal\\':\\'*\\',\\'Action\\':\\'kms:*\\'}}'",
	  ALL(OK) },
	{ "GetParametersForImport", "", { UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, OK, OK, PENDING, OK } },
	{ "ImportKeyMaterial", ",'material':'MATERIAL','import_token':'TOKEN'",
	  { UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, OK, OK, PENDING, OK } },
	{ "DeleteImportedKeyMaterial", "", { UNSUPPORTED, UNSUPPORTED, UNSUPPORTED, OK, OK, OK, OK } },
};

#define N_OPERATIONS (sizeof(table) / sizeof(table[0]))

/* what a key needs to have had, to be brought into any state with anything done to it */
struct prepared {
	char key[KC_KEY_NAME_MAX];
	char grant[KS_GRANT_ID + 1];
	char material[1024];
	char token[64];
	struct kc_binding b;
	uint8_t wrapped[KC_WRAPPED_MAX];
	size_t len;
};

static void prepare(struct host *h, struct prepared *p, int state)
{
	static const uint8_t material[KH_KEY_SIZE] = "thirty-two bytes of own material";
	struct kc_error err = { 0 };
	struct json_object *answer;
	struct kc_kms *kms;

	memset(p, 0, sizeof(*p));
	new_key(h, p->key, state >= X_ENABLED ? "{'origin':'EXTERNAL'}" : "{}");
	if (state >= X_ENABLED) {
		wrap_material(h, p->key, material, sizeof(material), p->material, p->token);
		do_call(h, "ImportKeyMaterial", "{'key':'%s','material':'%s','import_token':'%s'}", p->key, p->material,
			p->token);
		wrap_material(h, p->key, material, sizeof(material), p->material, p->token);
	}
	do_call(h, "CreateAlias", "{'key':'%s','alias':'own'}", p->key);
	ok_or_show(call(h, "CreateGrant", &answer, &err, "{'key':'%s','grantee':'h','operations':['Decrypt']}", p->key),
		   &err, "CreateGrant");
	snprintf(p->grant, sizeof(p->grant), "%s", text_of(answer, "grant_id"));
	json_object_put(answer);
	volume_context(&p->b, p->key);
	kms = open_kms(h);
	ok_or_show(kc_kms_generate(kms, &p->b, p->wrapped, &p->len, &err), &err, "generate");
	kc_kms_close(kms);
	if (state == IS_DISABLED || state == X_DISABLED)
		do_call(h, "DisableKey", "{'key':'%s'}", p->key);
	if (state == DELETION || state == X_DELETION)
		do_call(h, "ScheduleKeyDeletion", "{'key':'%s'}", p->key);
	if (state == X_IMPORT)
		do_call(h, "DeleteImportedKeyMaterial", "{'key':'%s'}", p->key);
}

static int use(struct host *h, const char *how, struct prepared *p, struct kc_error *err)
{
	static const uint8_t own[KC_DEK_SIZE] = "a data key that was made by somebody else, and is sixty-four b.";
	struct kc_kms *kms = open_kms(h);
	uint8_t out[KC_WRAPPED_MAX];
	struct kc_key_info info;
	const uint8_t *dek;
	size_t len;
	int r;

	memset(err, 0, sizeof(*err));
	if (!strcmp(how, "Encrypt"))
		r = kc_kms_encrypt(kms, &p->b, own, out, &len, err);
	else if (!strcmp(how, "Decrypt"))
		r = kc_kms_decrypt(kms, &p->b, p->wrapped, p->len, &dek, err);
	else if (!strcmp(how, "Generate"))
		r = kc_kms_generate(kms, &p->b, out, &len, err);
	else if (!strcmp(how, "ReEncrypt"))
		r = kc_kms_re_encrypt(kms, &p->b, p->wrapped, p->len, &p->b, out, &len, err);
	else
		r = kc_kms_describe(kms, p->key, &info, err);
	kc_kms_close(kms);
	return r;
}

/* GRANT, MATERIAL and TOKEN in @from become this key's. */
static void fill_in(const char *from, const struct prepared *p, char *out, size_t size)
{
	const struct {
		const char *word, *value;
	} words[] = { { "GRANT", p->grant }, { "MATERIAL", p->material }, { "TOKEN", p->token } };
	size_t i, n = 0;

	while (*from) {
		for (i = 0; i < 3 && strncmp(from, words[i].word, strlen(words[i].word)); i++)
			;
		if (i < 3) {
			n += (size_t)snprintf(out + n, size - n, "%s", words[i].value);
			from += strlen(words[i].word);
		} else {
			out[n++] = *from++;
		}
		assert_true(n < size - 1);
	}
	out[n] = '\0';
}

/* One operation on the key, which is as prepare() left it. */
static void cell(struct host *h, struct prepared *p, size_t i, int state)
{
	const char *operation = table[i].operation;
	char arguments[1024];
	struct kc_error err;
	int r;

	fill_in(table[i].arguments, p, arguments, sizeof(arguments));
	if (!strncmp(operation, "Use:", 4))
		r = use(h, operation + 4, p, &err);
	else if (!strcmp(operation, "DeleteAlias"))
		r = call(h, operation, NULL, &err, "{%s}", arguments + 1);
	else
		r = call(h, operation, NULL, &err, "{'key':'%s'%s}", p->key, arguments);
	if (r != ends[table[i].ends[state]].code || strcmp(err.provider_error, ends[table[i].ends[state]].name))
		fail_msg("%s of a key that is %s: exit %d [%s] %s", operation, state_names[state], r,
			 err.provider_error, err.text);
	if (r)
		assert_true(strlen(err.next) > 10);
}

/* All operations in one state, each on the same keystore: its files are put back. */
static void column(int state)
{
	uint8_t *db;
	struct prepared p;
	struct host *h;
	size_t i, len;

	host_up((void **)&h);
	h->conf.audit_file = (char *)"none";
	new_key(h, p.key, "{'alias':'other'}");
	prepare(h, &p, state);
	slurp(path_of(h, DB_FILE), &db, &len);
	for (i = 0; i < N_OPERATIONS; i++) {
		cell(h, &p, i, state);
		assert_false(exists(h, DB_FILE "-wal"));
		spit(path_of(h, DB_FILE), db, len);
	}
	free(db);
	host_down((void **)&h);
}

static void operations_on_an_enabled_key(void **state)
{
	(void)state;
	column(ENABLED);
}

static void operations_on_a_disabled_key(void **state)
{
	(void)state;
	column(IS_DISABLED);
}

static void operations_on_a_key_that_is_pending_deletion(void **state)
{
	(void)state;
	column(DELETION);
}

static void operations_on_an_external_key(void **state)
{
	(void)state;
	column(X_ENABLED);
}

static void operations_on_a_disabled_external_key(void **state)
{
	(void)state;
	column(X_DISABLED);
}

static void operations_on_an_external_key_that_is_pending_deletion(void **state)
{
	(void)state;
	column(X_DELETION);
}

static void operations_on_a_key_that_is_pending_import(void **state)
{
	(void)state;
	column(X_IMPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_on_an_enabled_key),
		cmocka_unit_test(operations_on_a_disabled_key),
		cmocka_unit_test(operations_on_a_key_that_is_pending_deletion),
		cmocka_unit_test(operations_on_an_external_key),
		cmocka_unit_test(operations_on_a_disabled_external_key),
		cmocka_unit_test(operations_on_an_external_key_that_is_pending_deletion),
		cmocka_unit_test(operations_on_a_key_that_is_pending_import),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
