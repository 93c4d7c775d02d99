// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens to a local key in time: deletion, rotation, imported material that
 * expires. Dates come by being written into the database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "aead.h"
#include "keystore-fixture.h"

static const uint8_t own[KH_KEY_SIZE] = "thirty-two bytes of own material";

struct life {
	struct host *h;
	char key[KC_KEY_NAME_MAX];
	struct kc_binding b;
	uint8_t wrapped[KC_WRAPPED_MAX];
	size_t len;
};

static int generate(struct life *l, struct kc_error *err)
{
	struct kc_kms *kms = open_kms(l->h);
	int r;

	memset(err, 0, sizeof(*err));
	r = kc_kms_generate(kms, &l->b, l->wrapped, &l->len, err);
	kc_kms_close(kms);
	return r;
}

static int decrypt(struct life *l, struct kc_error *err)
{
	struct kc_kms *kms = open_kms(l->h);
	const uint8_t *dek;
	int r;

	memset(err, 0, sizeof(*err));
	r = kc_kms_decrypt(kms, &l->b, l->wrapped, l->len, &dek, err);
	kc_kms_close(kms);
	return r;
}

static int life_up(void **state, const char *arguments)
{
	struct life *l = calloc(1, sizeof(*l));

	host_up((void **)&l->h);
	new_key(l->h, l->key, arguments);
	volume_context(&l->b, l->key);
	*state = l;
	return 0;
}

static int key_up(void **state)
{
	struct kc_error err;

	life_up(state, "{'alias':'mine'}");
	ok_or_show(generate(*state, &err), &err, "generate");
	return 0;
}

static int external_up(void **state)
{
	return life_up(state, "{'origin':'EXTERNAL'}");
}

static int life_down(void **state)
{
	struct life *l = *state;

	host_down((void **)&l->h);
	free(l);
	return 0;
}

static void assert_state(struct life *l, enum kc_key_state state)
{
	struct kc_key_info info;
	struct kc_error err;

	ok_or_show(describe(l->h, l->key, &info, &err), &err, "describe");
	assert_int_equal(info.state, state);
}

static int64_t seconds(const char *date)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(date, "%Y-%m-%dT%H:%M:%SZ", &tm));
	return (int64_t)timegm(&tm);
}

static int64_t count(struct host *h, const char *query)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static bool in_database(struct host *h, const uint8_t *what, size_t size)
{
	uint8_t *db;
	size_t len;
	bool found;

	slurp(path_of(h, DB_FILE), &db, &len);
	found = memmem(db, len, what, size) != NULL;
	free(db);
	return found;
}

/* --- deletion ------------------------------------------------------------------------ */

static void a_deletion_waits_7_to_30_days(void **state)
{
	struct life *l = *state;
	struct json_object *answer;
	struct kc_error err;
	int64_t in;
	int days;

	for (days = 6; days <= 31; days++) {
		if (days < 7 || days > 30) {
			assert_int_equal(call(l->h, "ScheduleKeyDeletion", NULL, &err, "{'key':'%s','days':%d}", l->key,
					      days), KC_USAGE);
			assert_string_equal(err.provider_error, "ValidationException");
			continue;
		}
		if (days > 8 && days < 29)
			continue;
		ok_or_show(call(l->h, "ScheduleKeyDeletion", &answer, &err, "{'key':'%s','days':%d}", l->key, days),
			   &err, "schedule");
		in = seconds(text_of(answer, "deletion")) - time(NULL);
		assert_in_range(in, (int64_t)days * 86400 - 60, (int64_t)days * 86400);
		assert_string_equal(text_of(answer, "state"), "PendingDeletion");
		json_object_put(answer);
		do_call(l->h, "CancelKeyDeletion", "{'key':'%s'}", l->key);
	}
	ok_or_show(call(l->h, "ScheduleKeyDeletion", &answer, &err, "{'key':'%s'}", l->key), &err, "schedule");
	in = seconds(text_of(answer, "deletion")) - time(NULL);
	assert_in_range(in, 30 * 86400 - 60, 30 * 86400);
	json_object_put(answer);
	assert_int_equal(decrypt(l, &err), KC_KMS_REFUSED);
	assert_non_null(strstr(err.text, "is pending deletion, on 2"));
	assert_non_null(strstr(err.next, "kcache key cancel-deletion local:"));
}

static void a_cancelled_deletion_leaves_the_key_disabled(void **state)
{
	struct life *l = *state;
	struct kc_error err;

	do_call(l->h, "ScheduleKeyDeletion", "{'key':'%s'}", l->key);
	do_call(l->h, "CancelKeyDeletion", "{'key':'%s'}", l->key);
	assert_state(l, KC_KEY_DISABLED);
	assert_int_equal(decrypt(l, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "DisabledException");
	do_call(l->h, "EnableKey", "{'key':'%s'}", l->key);
	ok_or_show(decrypt(l, &err), &err, "decrypt");
}

static void at_its_date_a_key_is_gone_with_all_that_is_its_own(void **state)
{
	struct life *l = *state;
	uint8_t sealed[KH_SEALED(KH_KEY_SIZE)];
	struct kc_key_info info;
	struct json_object *answer;
	struct kc_error err;
	struct stat st_wal;
	sqlite3_stmt *st;
	sqlite3 *db;

	do_call(l->h, "CreateGrant", "{'key':'%s','grantee':'h','operations':['Decrypt']}", l->key);
	do_call(l->h, "ScheduleKeyDeletion", "{'key':'%s','days':7}", l->key);
	assert_int_equal(sqlite3_open(path_of(l->h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT sealed FROM material", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	memcpy(sealed, sqlite3_column_blob(st, 0), sizeof(sealed));
	sqlite3_finalize(st);
	sqlite3_close(db);
	assert_true(in_database(l->h, sealed, sizeof(sealed)));

	sql(l->h, "UPDATE keys SET deletion = 86400");
	/* somebody who has it open too: the last to close it would write the log back anyway */
	assert_int_equal(sqlite3_open(path_of(l->h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT * FROM keys", NULL, NULL, NULL), SQLITE_OK);
	/* whatever is asked next, of whatever key */
	assert_int_equal(describe(l->h, "alias/other", &info, &err), KC_KMS_REFUSED);
	assert_false(in_database(l->h, sealed, sizeof(sealed)));
	assert_int_equal(stat(path_of(l->h, DB_FILE "-wal"), &st_wal), 0);
	assert_int_equal(st_wal.st_size, 0);
	sqlite3_close(db);
	assert_int_equal(count(l->h, "SELECT count(*) FROM keys"), 0);
	assert_int_equal(count(l->h, "SELECT count(*) FROM material"), 0);
	assert_int_equal(count(l->h, "SELECT count(*) FROM aliases"), 0);
	assert_int_equal(count(l->h, "SELECT count(*) FROM grants"), 0);
	assert_int_equal(decrypt(l, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "NotFoundException");
	assert_int_equal(call(l->h, "CancelKeyDeletion", NULL, &err, "{'key':'%s'}", l->key), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "NotFoundException");
	ok_or_show(call(l->h, "ListAliases", &answer, &err, "{}"), &err, "list");
	assert_int_equal(json_object_array_length(json_object_object_get(answer, "aliases")), 0);
	json_object_put(answer);
}

/* A helper that is open since before the date (a lease's) does not use the key after it. */
static void the_date_counts_for_who_has_the_keystore_open(void **state)
{
	struct life *l = *state;
	struct kc_error err = { 0 };
	struct kc_kms *kms = open_kms(l->h);
	const uint8_t *dek;

	ok_or_show(kc_kms_decrypt(kms, &l->b, l->wrapped, l->len, &dek, &err), &err, "decrypt");
	sql(l->h, "UPDATE keys SET deletion = 86400");
	assert_int_equal(kc_kms_decrypt(kms, &l->b, l->wrapped, l->len, &dek, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "NotFoundException");
	kc_kms_close(kms);
}

static void the_default_key_is_not_deleted(void **state)
{
	struct life *l = *state;
	struct kc_key_info info;
	struct kc_error err;

	default_key(l->h, &info);
	assert_int_equal(call(l->h, "ScheduleKeyDeletion", NULL, &err, "{'key':'%s'}", info.key), KC_USAGE);
	assert_non_null(strstr(err.text, "is the default key of this host"));
	assert_int_equal(call(l->h, "DeleteAlias", NULL, &err, "{'alias':'alias/kcache'}"), KC_USAGE);
	do_call(l->h, "UpdateAlias", "{'alias':'kcache','key':'%s'}", l->key);
	do_call(l->h, "ScheduleKeyDeletion", "{'key':'%s'}", info.key);
	default_key(l->h, &info);
	assert_string_equal(info.key, l->key);
}

/* --- rotation ------------------------------------------------------------------------ */

static int64_t version(struct life *l)
{
	struct kc_key_info info;
	struct kc_error err;

	ok_or_show(describe(l->h, l->key, &info, &err), &err, "describe");
	return info.version;
}

static void it_rotates_by_itself_when_it_wraps_after_the_date(void **state)
{
	uint8_t old[KC_WRAPPED_MAX];
	struct life *l = *state;
	struct json_object *answer;
	struct kc_error err;
	size_t old_len = l->len;
	int64_t in;

	memcpy(old, l->wrapped, old_len);
	do_call(l->h, "EnableKeyRotation", "{'key':'%s'}", l->key);
	ok_or_show(call(l->h, "GetKeyRotationStatus", &answer, &err, "{'key':'%s'}", l->key), &err, "status");
	assert_true(json_object_get_boolean(json_object_object_get(answer, "rotation")));
	assert_int_equal(json_object_get_int(json_object_object_get(answer, "days")), 365);
	in = seconds(text_of(answer, "next")) - time(NULL);
	assert_in_range(in, 365 * 86400 - 60, 365 * 86400);
	json_object_put(answer);
	ok_or_show(generate(l, &err), &err, "generate");
	assert_int_equal(version(l), 1);

	sql(l->h, "UPDATE keys SET rotation_next = 86400");
	ok_or_show(decrypt(l, &err), &err, "decrypt");
	assert_int_equal(version(l), 1);
	ok_or_show(generate(l, &err), &err, "generate");
	assert_int_equal(version(l), 2);
	assert_int_equal(l->wrapped[20], 2);
	ok_or_show(generate(l, &err), &err, "generate");
	assert_int_equal(version(l), 2);
	ok_or_show(decrypt(l, &err), &err, "decrypt new");
	memcpy(l->wrapped, old, old_len);
	ok_or_show(decrypt(l, &err), &err, "decrypt old");

	sql(l->h, "UPDATE keys SET rotation_next = 86400");
	do_call(l->h, "DisableKeyRotation", "{'key':'%s'}", l->key);
	ok_or_show(generate(l, &err), &err, "generate");
	assert_int_equal(version(l), 2);
}

static void rotation_has_90_to_2560_days(void **state)
{
	static const int days[] = { 0, 1, 89, 90, 2560, 2561 };
	struct life *l = *state;
	struct kc_error err;
	size_t i;

	for (i = 0; i < sizeof(days) / sizeof(days[0]); i++)
		assert_int_equal(call(l->h, "EnableKeyRotation", NULL, &err, "{'key':'%s','days':%d}", l->key, days[i]),
				 days[i] < 90 || days[i] > 2560 ? KC_USAGE : 0);
	/* on demand does not put off what comes by itself */
	do_call(l->h, "RotateKeyOnDemand", "{'key':'%s'}", l->key);
	assert_int_equal(count(l->h, "SELECT rotation_next > unixepoch() + 2559 * 86400 FROM keys"), 1);
}

/* --- imported material ------------------------------------------------------------------ */

static int import(struct life *l, const uint8_t *material, size_t len, const char *more, struct kc_error *err)
{
	char wrapped[1024], token[64];

	wrap_material(l->h, l->key, material, len, wrapped, token);
	return call(l->h, "ImportKeyMaterial", NULL, err, "{'key':'%s','material':'%s','import_token':'%s'%s}", l->key,
		    wrapped, token, more);
}

static void an_external_key_waits_for_its_material(void **state)
{
	struct life *l = *state;
	struct kc_error err;
	struct kh *k;

	assert_state(l, KC_KEY_PENDING_IMPORT);
	assert_int_equal(generate(l, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "KMSInvalidStateException");
	assert_non_null(strstr(err.text, "is pending import"));
	ok_or_show(import(l, own, sizeof(own), "", &err), &err, "import");
	assert_state(l, KC_KEY_ENABLED);
	ok_or_show(generate(l, &err), &err, "generate");
	ok_or_show(decrypt(l, &err), &err, "decrypt");
	/* it is the material, and it is not there in the clear */
	k = open_here(l->h);
	assert_int_equal(ks_material(k, l->key + 6, 1), 0);
	assert_memory_equal(k->secrets->kek, own, sizeof(own));
	close_here(k);
	assert_false(in_database(l->h, own, sizeof(own)));
}

static void material_that_was_deleted_comes_back_only_as_it_was(void **state)
{
	uint8_t other[KH_KEY_SIZE];
	struct life *l = *state;
	struct kc_error err;

	ok_or_show(import(l, own, sizeof(own), "", &err), &err, "import");
	ok_or_show(generate(l, &err), &err, "generate");
	do_call(l->h, "DeleteImportedKeyMaterial", "{'key':'%s'}", l->key);
	assert_state(l, KC_KEY_PENDING_IMPORT);
	assert_int_equal(decrypt(l, &err), KC_KMS_REFUSED);
	memcpy(other, own, sizeof(other));
	other[0] ^= 1;
	assert_int_equal(import(l, other, sizeof(other), "", &err), KC_USAGE);
	assert_string_equal(err.provider_error, "IncorrectKeyMaterialException");
	assert_state(l, KC_KEY_PENDING_IMPORT);
	ok_or_show(import(l, own, sizeof(own), "", &err), &err, "import again");
	ok_or_show(decrypt(l, &err), &err, "decrypt");
	/* also over what is there */
	assert_int_equal(import(l, other, sizeof(other), "", &err), KC_USAGE);
	ok_or_show(decrypt(l, &err), &err, "decrypt");
	do_call(l->h, "DisableKey", "{'key':'%s'}", l->key);
	ok_or_show(import(l, own, sizeof(own), "", &err), &err, "import");
	assert_state(l, KC_KEY_DISABLED);
}

static void material_expires(void **state)
{
	static const char *const bad[] = { "2001-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "tomorrow",
					   "2030-01-01T00:00:00", "2030-01-01" };
	char more[64], date[32];
	struct life *l = *state;
	struct kc_error err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(more, sizeof(more), ",'valid_to':'%s'", bad[i]);
		assert_int_equal(import(l, own, sizeof(own), more, &err), KC_USAGE);
	}
	ks_date(time(NULL) + 86400, date);
	snprintf(more, sizeof(more), ",'valid_to':'%s'", date);
	ok_or_show(import(l, own, sizeof(own), more, &err), &err, "import");
	ok_or_show(generate(l, &err), &err, "generate");
	sql(l->h, "UPDATE material SET valid_to = 86400");
	assert_int_equal(decrypt(l, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "KMSInvalidStateException");
	assert_state(l, KC_KEY_PENDING_IMPORT);
	assert_int_equal(count(l->h, "SELECT count(*) FROM material"), 0);
	ok_or_show(import(l, own, sizeof(own), "", &err), &err, "import");
	ok_or_show(decrypt(l, &err), &err, "decrypt");
}

static void only_32_bytes_under_the_last_token_are_taken(void **state)
{
	static const uint8_t zeros[64];
	char wrapped[1024], token[64], again[1024], newer[64];
	struct life *l = *state;
	struct kc_error err;

	assert_int_equal(import(l, own, 31, "", &err), KC_USAGE);
	assert_string_equal(err.provider_error, "InvalidCiphertextException");
	assert_int_equal(import(l, zeros, 33, "", &err), KC_USAGE);
	wrap_material(l->h, l->key, own, sizeof(own), wrapped, token);
	wrap_material(l->h, l->key, own, sizeof(own), again, newer);
	assert_int_equal(call(l->h, "ImportKeyMaterial", NULL, &err, "{'key':'%s','material':'%s','import_token':'%s'}",
			      l->key, wrapped, token), KC_USAGE);
	assert_string_equal(err.provider_error, "InvalidImportTokenException");
	assert_int_equal(call(l->h, "ImportKeyMaterial", NULL, &err, "{'key':'%s','material':'%s','import_token':'%s'}",
			      l->key, wrapped, newer), KC_USAGE);
	assert_string_equal(err.provider_error, "InvalidCiphertextException");
	do_call(l->h, "ImportKeyMaterial", "{'key':'%s','material':'%s','import_token':'%s'}", l->key, again, newer);
	/* once */
	assert_int_equal(call(l->h, "ImportKeyMaterial", NULL, &err, "{'key':'%s','material':'%s','import_token':'%s'}",
			      l->key, again, newer), KC_USAGE);
	assert_string_equal(err.provider_error, "InvalidImportTokenException");
	wrap_material(l->h, l->key, own, sizeof(own), again, newer);
	sql(l->h, "UPDATE imports SET valid_to = 86400");
	assert_int_equal(call(l->h, "ImportKeyMaterial", NULL, &err, "{'key':'%s','material':'%s','import_token':'%s'}",
			      l->key, again, newer), KC_USAGE);
	assert_int_equal(count(l->h, "SELECT count(*) FROM imports"), 0);
}

int main(void)
{
#define ON_KEY(fn) cmocka_unit_test_setup_teardown(fn, key_up, life_down)
#define ON_EXTERNAL(fn) cmocka_unit_test_setup_teardown(fn, external_up, life_down)
	const struct CMUnitTest tests[] = {
		ON_KEY(a_deletion_waits_7_to_30_days),
		ON_KEY(a_cancelled_deletion_leaves_the_key_disabled),
		ON_KEY(at_its_date_a_key_is_gone_with_all_that_is_its_own),
		ON_KEY(the_date_counts_for_who_has_the_keystore_open),
		ON_KEY(the_default_key_is_not_deleted),
		ON_KEY(it_rotates_by_itself_when_it_wraps_after_the_date),
		ON_KEY(rotation_has_90_to_2560_days),
		ON_EXTERNAL(an_external_key_waits_for_its_material),
		ON_EXTERNAL(material_that_was_deleted_comes_back_only_as_it_was),
		ON_EXTERNAL(material_expires),
		ON_EXTERNAL(only_32_bytes_under_the_last_token_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
