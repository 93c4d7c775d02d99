// SPDX-License-Identifier: GPL-2.0-or-later
/* A keystore of an older kcache: its keys are kept, and unwrap what they wrapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "keystore-fixture.h"

/* keystore.key of data/keystore-v1.sql, and a DEK that its key alias/prod wrapped then */
#define PROD "local:f6765d80-ec9d-4ba4-9bf9-09575a0e8dcd"
static const char root_key[] =
	"a2NhY2hlLXJvb3Qta2V5IDEKyWzRwR9aR1R09wA5BjoxMYHmKAkDgm5N0WftqZ252dyMHR4aIsY5fKIV/buORRPJ";
static const char wrapped_dek[] =
	"AfZ2XYDsnUukm/kJV1oOjc0AAAABCHCA+zT7J8PLCH3ngz6FQ11zBGtucGn/egM0n0ErP9AvZBFKP+NDfE/iKfrnbx6tMI7Vom"
	"+QkdzuTSj6rvU2jMNnQYWdOvt2hS56hUd4D3s+VHG3NN0uyMRPFHo=";
static const char volume[] = "037cc575-77c0-40bf-bd5a-cac492567994";
static const char layout[] = "a9909c0c10ffe1c127b2af435fb666572851b1fd09de837018244a193feec0be";

static size_t decoded(const char *b64, uint8_t *out)
{
	size_t len = strlen(b64);
	int n = EVP_DecodeBlock(out, (const unsigned char *)b64, (int)len);

	assert_true(n > 0);
	return (size_t)n - (b64[len - 1] == '=') - (b64[len - 2] == '=');
}

static int old_up(void **state)
{
	uint8_t *text, key[128];
	struct host *h;
	size_t len;

	host_up(state);
	h = *state;
	mkdir(h->state, 0700);
	spit(path_of(h, KEY_FILE), key, decoded(root_key, key));
	slurp(KC_TESTDIR "/data/keystore-v1.sql", &text, &len);
	text[len] = '\0';
	spit(path_of(h, DB_FILE), "", 0);
	sql(h, (char *)text);
	free(text);
	return 0;
}

static int64_t version(struct host *h)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	int64_t v;

	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

static void prod_still_unwraps(struct host *h)
{
	uint8_t wrapped[KC_WRAPPED_MAX];
	struct kc_error err = { 0 };
	struct kc_kms *kms = open_kms(h);
	struct kc_binding b;
	const uint8_t *dek;
	size_t n = decoded(wrapped_dek, wrapped);

	volume_context(&b, PROD);
	strcpy(b.context.id, volume);
	strcpy(b.context.layout, layout);
	ok_or_show(kc_kms_decrypt(kms, &b, wrapped, n, &dek, &err), &err, "decrypt");
	kc_kms_close(kms);
}

static void its_keys_are_kept(void **state)
{
	struct host *h = *state;
	struct kc_key_info info;
	struct kc_error err;

	assert_int_equal(version(h), 1);
	prod_still_unwraps(h);
	assert_int_equal(version(h), KS_SCHEMA);
	ok_or_show(describe(h, "alias/prod", &info, &err), &err, "describe");
	assert_string_equal(info.key, PROD);
	assert_string_equal(info.description, "of version 1");
	assert_string_equal(info.created, "2026-11-24T23:24:47Z");
	assert_int_equal(info.state, KC_KEY_ENABLED);
	ok_or_show(describe(h, "alias/off", &info, &err), &err, "describe");
	assert_int_equal(info.state, KC_KEY_DISABLED);
}

static void its_keys_have_all_that_new_ones_have(void **state)
{
	struct host *h = *state;

	do_call(h, "RotateKeyOnDemand", "{'key':'" PROD "'}");
	do_call(h, "EnableKeyRotation", "{'key':'" PROD "'}");
	do_call(h, "CreateGrant", "{'key':'" PROD "','grantee':'h','operations':['Decrypt']}");
	do_call(h, "ScheduleKeyDeletion", "{'key':'" PROD "'}");
	do_call(h, "CancelKeyDeletion", "{'key':'" PROD "'}");
	do_call(h, "EnableKey", "{'key':'" PROD "'}");
	prod_still_unwraps(h);
}

/* Old and new grow to the same schema, and to that of a new one. */
static void it_is_then_as_a_new_one(void **state)
{
	struct host *h = *state, *other;
	char cmd[512];

	prod_still_unwraps(h);
	keystore_up((void **)&other);
	snprintf(cmd, sizeof(cmd), "[ \"$(sqlite3 %s/" DB_FILE " .schema)\" = \"$(sqlite3 %s/" DB_FILE " .schema)\" ]",
		 h->state, other->state);
	assert_int_equal(system(cmd), 0);
	host_down((void **)&other);
}

static void many_at_once_migrate_it_once(void **state)
{
	struct host *h = *state;
	int i, status;

	h->conf.audit_file = (char *)"none";
	for (i = 0; i < 12; i++)
		if (!fork()) {
			prod_still_unwraps(h);
			_exit(0);
		}
	for (i = 0; i < 12; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(version(h), KS_SCHEMA);
}

static void a_foreign_root_key_changes_nothing(void **state)
{
	struct host *h = *state, *other;
	uint8_t *key;
	size_t len;

	keystore_up((void **)&other);
	slurp(path_of(other, KEY_FILE), &key, &len);
	spit(path_of(h, KEY_FILE), key, len);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is not the root key");
	assert_int_equal(version(h), 1);
	free(key);
	host_down((void **)&other);
}

int main(void)
{
#define ON_OLD(fn) cmocka_unit_test_setup_teardown(fn, old_up, host_down)
	const struct CMUnitTest tests[] = {
		ON_OLD(its_keys_are_kept),
		ON_OLD(its_keys_have_all_that_new_ones_have),
		ON_OLD(it_is_then_as_a_new_one),
		ON_OLD(many_at_once_migrate_it_once),
		ON_OLD(a_foreign_root_key_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
