// SPDX-License-Identifier: GPL-2.0-or-later
/* The local keystore on disk: what is made, and what is refused. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "keystore-fixture.h"

/* --- what is made, and with which permissions ----------------------------------------------- */

static void assert_mode(const char *path, unsigned int mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, geteuid());
}

static void files_are_the_owners_alone(void **state)
{
	struct host *h = *state;

	struct kc_key_info info;

	umask(0);
	default_key(h, &info);
	assert_mode(h->state, 0700);
	assert_mode(path_of(h, KEY_FILE), 0600);
	assert_mode(path_of(h, DB_FILE), 0600);
	assert_false(exists(h, KEY_FILE ".new"));
	umask(022);
}

static void reading_makes_nothing(void **state)
{
	struct host *h = *state;
	struct json_object *answer;
	struct kc_key_info info;
	struct kc_error err;
	struct stat st;

	ok_or_show(admin(h, "ListKeys", NULL, NULL, &answer, &err), &err, "list");
	assert_int_equal(json_object_array_length(json_object_object_get(answer, "keys")), 0);
	json_object_put(answer);
	ok_or_show(admin(h, "ListAliases", NULL, NULL, &answer, &err), &err, "list");
	json_object_put(answer);
	assert_int_equal(describe(h, "alias/other", &info, &err), KC_KMS_REFUSED);
	assert_int_equal(admin(h, "EnableKey", "key", "alias/kcache", &answer, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "NotFoundException");
	assert_int_equal(stat(h->state, &st), -1);

	/* nor in a directory that is there (the known volumes lie in it) */
	mkdir(h->state, 0700);
	assert_int_equal(describe(h, "alias/other", &info, &err), KC_KMS_REFUSED);
	assert_false(exists(h, KEY_FILE));
	assert_false(exists(h, DB_FILE));
}

/* --- what is refused ------------------------------------------------------------------------ */

static void others_must_not_read_it(void **state)
{
	static const char *const files[] = { KEY_FILE, DB_FILE };
	struct host *h = *state;
	size_t i;

	chmod(h->state, 0750);
	refused(h, KC_PERM, "AccessDeniedException", "may be read by others");
	chmod(h->state, 0701);
	refused(h, KC_PERM, "AccessDeniedException", "may be read by others");
	chmod(h->state, 0700);
	for (i = 0; i < 2; i++) {
		chmod(path_of(h, files[i]), 0640);
		refused(h, KC_PERM, "AccessDeniedException", "may be read by others");
		chmod(path_of(h, files[i]), 0604);
		refused(h, KC_PERM, "AccessDeniedException", "may be read by others");
		chmod(path_of(h, files[i]), 0600);
	}
	spit(path_of(h, DB_FILE "-wal"), "", 0);
	chmod(path_of(h, DB_FILE "-wal"), 0644);
	refused(h, KC_PERM, "AccessDeniedException", "may be read by others");
}

static void it_must_not_be_somebody_elses(void **state)
{
	static const char *const files[] = { KEY_FILE, DB_FILE, "." };
	struct host *h = *state;
	size_t i;

	if (geteuid() != 0)
		skip();
	for (i = 0; i < 3; i++) {
		assert_int_equal(chown(path_of(h, files[i]), 65534, 0), 0);
		refused(h, KC_PERM, "AccessDeniedException", "owner 65534");
		assert_int_equal(chown(path_of(h, files[i]), 0, 0), 0);
	}
}

static void links_are_not_followed(void **state)
{
	static const char *const files[] = { KEY_FILE, DB_FILE };
	struct host *h = *state;
	char away[256];
	size_t i;

	for (i = 0; i < 2; i++) {
		snprintf(away, sizeof(away), "%s/away", h->dir);
		assert_int_equal(rename(path_of(h, files[i]), away), 0);
		assert_int_equal(symlink(away, path_of(h, files[i])), 0);
		refused(h, KC_PERM, "AccessDeniedException", "is not a regular file");
		assert_int_equal(rename(away, path_of(h, files[i])), 0);
	}
}

static void a_missing_root_key_is_never_made_anew(void **state)
{
	struct host *h = *state;
	struct json_object *answer;
	struct kc_error err;

	unlink(path_of(h, KEY_FILE));
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "keystore.key is missing");
	assert_int_equal(admin(h, "CreateKey", NULL, NULL, &answer, &err), KC_KMS_RETRY);
	assert_non_null(strstr(err.next, "restore keystore.key from the backup"));
	assert_false(exists(h, KEY_FILE));
}

static void the_root_key_of_another_keystore_is_refused(void **state)
{
	struct host *h = *state, *other;
	uint8_t *key;
	size_t len;

	keystore_up((void **)&other);
	slurp(path_of(other, KEY_FILE), &key, &len);
	spit(path_of(h, KEY_FILE), key, len);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is not the root key");
	free(key);
	host_down((void **)&other);
}

static void a_damaged_root_key_is_refused(void **state)
{
	struct host *h = *state;
	struct kc_key_info info;
	struct kc_error err = { 0 };
	struct kc_binding b;
	struct kc_kms *kms;
	uint8_t *key, wrapped[KC_WRAPPED_MAX];
	size_t len, n;

	default_key(h, &info);
	slurp(path_of(h, KEY_FILE), &key, &len);
	spit(path_of(h, KEY_FILE), key, len - 1);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "keystore.key is damaged");
	key[len] = 0;
	spit(path_of(h, KEY_FILE), key, len + 1);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "keystore.key is damaged");
	spit(path_of(h, KEY_FILE), "", 0);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "keystore.key is damaged");
	key[0] ^= 1;
	spit(path_of(h, KEY_FILE), key, len);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "keystore.key is damaged");
	key[0] ^= 1;

	/* one bit of the key itself: no key of the database opens, and no key is made with it */
	key[len - 1] ^= 1;
	spit(path_of(h, KEY_FILE), key, len);
	volume_context(&b, info.key);
	kms = open_kms(h);
	assert_int_equal(kc_kms_generate(kms, &b, wrapped, &n, &err), KC_KMS_RETRY);
	assert_string_equal(err.provider_error, "KeyUnavailableException");
	assert_non_null(strstr(err.text, "does not open with"));
	kc_kms_close(kms);
	free(key);
}

static void a_damaged_database_is_refused_or_still_right(void **state)
{
	struct host *h = *state;
	struct kc_key_info before, after;
	struct kc_error err;
	uint8_t *db;
	size_t len, at;
	int r, bad = 0, good = 0;

	default_key(h, &before);
	slurp(path_of(h, DB_FILE), &db, &len);
	spit(path_of(h, DB_FILE), "this is no database, and never was one", 38);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is damaged");
	spit(path_of(h, DB_FILE), db, len - 4096);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is damaged");
	for (at = 0; at < len; at += 997) {
		db[at] ^= 0xff;
		spit(path_of(h, DB_FILE), db, len);
		db[at] ^= 0xff;
		r = describe(h, before.key, &after, &err);
		if (!r) {
			good++;
			assert_string_equal(after.key, before.key);
		} else {
			bad++;
			/* 7 would say that the key is gone, 8 that somebody attacks */
			if (r != KC_KMS_RETRY)
				fail_msg("byte %zu: %d %s", at, r, err.text);
		}
	}
	/* a page's head, certainly */
	memset(db + 4096, 0, 100);
	spit(path_of(h, DB_FILE), db, len);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is damaged");
	assert_true(bad > 0);
	assert_true(good > 0);
	free(db);
}

/* All of it is checked at every use: damage is found while there is a backup, not when it is needed. */
static void damage_is_found_where_nobody_looks(void **state)
{
	struct host *h = *state;
	sqlite3_stmt *st;
	sqlite3 *db;
	uint8_t *data;
	size_t len;
	int page;

	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'aliases_key'",
					    -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	page = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	slurp(path_of(h, DB_FILE), &data, &len);
	memset(data + (page - 1) * 4096, 0xff, 4096);
	spit(path_of(h, DB_FILE), data, len);
	free(data);
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is damaged");
}

static void other_databases_are_refused(void **state)
{
	struct host *h = *state;

	sql(h, "PRAGMA user_version = 3");
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "has format 3, this kcache knows 2");
	sql(h, "PRAGMA user_version = 2; PRAGMA application_id = 5");
	refused(h, KC_KMS_RETRY, "KeyUnavailableException", "is not a keystore of kcache");
}

static void a_row_in_anothers_place_does_not_open(void **state)
{
	struct host *h = *state;
	uint8_t wrapped[KC_WRAPPED_MAX];
	struct json_object *answer;
	struct kc_key_info info;
	struct kc_error err;
	struct kc_binding b;
	struct kc_kms *kms;
	size_t n;

	default_key(h, &info);
	ok_or_show(admin(h, "CreateKey", NULL, NULL, &answer, &err), &err, "create");
	json_object_put(answer);
	/* both keys get the same material: whoever can write the file could weaken one by the other */
	sql(h, "UPDATE material SET sealed = (SELECT sealed FROM material ORDER BY key LIMIT 1)"
	       " WHERE key = (SELECT key FROM material ORDER BY key DESC LIMIT 1)");
	sql(h, "UPDATE aliases SET key = (SELECT key FROM material ORDER BY key DESC LIMIT 1)");
	default_key(h, &info);
	volume_context(&b, info.key);
	kms = open_kms(h);
	assert_int_equal(kc_kms_generate(kms, &b, wrapped, &n, &err), KC_KMS_RETRY);
	assert_string_equal(err.provider_error, "KeyUnavailableException");
	kc_kms_close(kms);
}

int main(void)
{
#define ON_HOST(fn) cmocka_unit_test_setup_teardown(fn, host_up, host_down)
#define ON_KEYSTORE(fn) cmocka_unit_test_setup_teardown(fn, keystore_up, host_down)
	const struct CMUnitTest tests[] = {
		ON_HOST(files_are_the_owners_alone),
		ON_HOST(reading_makes_nothing),
		ON_KEYSTORE(others_must_not_read_it),
		ON_KEYSTORE(it_must_not_be_somebody_elses),
		ON_KEYSTORE(links_are_not_followed),
		ON_KEYSTORE(a_missing_root_key_is_never_made_anew),
		ON_KEYSTORE(the_root_key_of_another_keystore_is_refused),
		ON_KEYSTORE(a_damaged_root_key_is_refused),
		ON_KEYSTORE(a_damaged_database_is_refused_or_still_right),
		ON_KEYSTORE(damage_is_found_where_nobody_looks),
		ON_KEYSTORE(other_databases_are_refused),
		ON_KEYSTORE(a_row_in_anothers_place_does_not_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
