// SPDX-License-Identifier: GPL-2.0-or-later
/* The local keystore on disk: what it refuses, what it survives, what is not in it. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <sqlite3.h>

#include "aead.h"
#include "keystore.h"
#include "kms-fixture.h"
#include "kms-wire.h"

#define KEY_FILE "keystore.key"
#define DB_FILE "keystore.db"

static const char *path_of(struct host *h, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", h->state, name);
	return path;
}

static bool exists(struct host *h, const char *name)
{
	struct stat st;

	return !lstat(path_of(h, name), &st);
}

static void slurp(const char *path, uint8_t **data, size_t *len)
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

static void spit(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* One call in a helper of its own. */
static int describe(struct host *h, const char *key, struct kc_key_info *info, struct kc_error *err)
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

static void default_key(struct host *h, struct kc_key_info *info)
{
	struct kc_error err;

	ok_or_show(describe(h, "alias/kcache", info, &err), &err, "describe");
}

static void refused(struct host *h, int code, const char *name, const char *text)
{
	struct kc_key_info info;
	struct kc_error err;

	assert_int_equal(describe(h, "alias/kcache", &info, &err), code);
	if (strcmp(err.provider_error, name) || !strstr(err.text, text))
		fail_msg("[%s] %s", err.provider_error, err.text);
	assert_true(strlen(err.next) > 10);
}

static int keystore_up(void **state)
{
	struct kc_key_info info;

	host_up(state);
	default_key(*state, &info);
	return 0;
}

static int admin(struct host *h, const char *operation, const char *name, const char *value,
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

static void sql(struct host *h, const char *statement)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
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

/* --- what is not in the files --------------------------------------------------------------- */

static bool in_files(const char *dir, const uint8_t *secret, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;
	char path[512];
	uint8_t *data;
	size_t len;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_type != DT_REG)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		slurp(path, &data, &len);
		if (memmem(data, len, secret, size))
			found = true;
		free(data);
	}
	closedir(d);
	return found;
}

/* The keystore in this process; k->secrets is what a helper has in its own. */
static struct kh *open_here(struct host *h)
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

static void close_here(struct kh *k)
{
	ks_close(k);
	kc_secret_free(k->secrets, sizeof(*k->secrets));
	free(k);
}

static void no_key_is_in_the_files(void **state)
{
	struct host *h = *state;
	struct kh *k = open_here(h);
	uint8_t kek[KH_KEY_SIZE], root[KH_KEY_SIZE], wrapped[KC_WRAPPED_MAX], dek[KC_DEK_SIZE];
	struct kc_error err = { 0 };
	struct kc_binding b;
	const uint8_t *p;
	struct kc_kms *kms;
	struct ks_key key;
	char log[128];
	size_t n;

	assert_int_equal(ks_create(k, "alias/searched", "", false, &key), 0);
	assert_int_equal(ks_material(k, key.id, 1), 0);
	memcpy(kek, k->secrets->kek, sizeof(kek));
	memcpy(root, k->secrets->root, sizeof(root));

	kms = open_kms(h);
	volume_context(&b, "");
	snprintf(b.key, sizeof(b.key), "local:%s", key.id);
	ok_or_show(kc_kms_generate(kms, &b, wrapped, &n, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(kms, &b, wrapped, n, &p, &err), &err, "decrypt");
	memcpy(dek, p, sizeof(dek));

	/* the search finds what is there: the root key, in its own file alone */
	assert_true(in_files(h->state, root, sizeof(root)));
	assert_true(exists(h, DB_FILE "-wal"));
	assert_false(in_files(h->state, kek, sizeof(kek)));
	assert_false(in_files(h->state, dek, 32));
	snprintf(log, sizeof(log), "%s/log", h->dir);
	assert_false(in_files(log, dek, 32));
	kc_kms_close(kms);
	ks_close(k);
	assert_false(exists(h, DB_FILE "-wal"));
	assert_false(in_files(h->state, kek, sizeof(kek)));
	assert_false(in_files(h->state, dek, 32));
	unlink(path_of(h, KEY_FILE));
	assert_false(in_files(h->state, root, sizeof(root)));
	close_here(k);
}

static void every_key_has_material_of_its_own(void **state)
{
	struct kh *k = open_here(*state);
	uint8_t first[KH_KEY_SIZE];
	struct ks_key a, b;

	assert_int_equal(ks_create(k, NULL, "", false, &a), 0);
	assert_int_equal(ks_create(k, NULL, "", false, &b), 0);
	assert_int_equal(ks_rotate(k, &a), 0);
	assert_int_equal(ks_material(k, a.id, 1), 0);
	memcpy(first, k->secrets->kek, sizeof(first));
	assert_int_equal(ks_material(k, a.id, 2), 0);
	assert_memory_not_equal(first, k->secrets->kek, sizeof(first));
	assert_int_equal(ks_material(k, b.id, 1), 0);
	assert_memory_not_equal(first, k->secrets->kek, sizeof(first));
	assert_memory_not_equal(first, k->secrets->root, sizeof(first));
	close_here(k);
}

/* Whoever has the key material can open a wrapped DEK with what the document says, and nothing else. */
static void a_wrapped_dek_has_the_documented_form(void **state)
{
	uint8_t wrapped[KC_WRAPPED_MAX], aad[512], dek[KC_DEK_SIZE];
	struct kh *k = open_here(*state);
	struct kc_bytes canon = { 0 };
	struct kc_error err = { 0 };
	struct kc_kms *kms = open_kms(*state);
	const uint8_t *expected;
	struct kc_binding b;
	struct ks_key key;
	size_t len;

	assert_int_equal(ks_create(k, NULL, "", false, &key), 0);
	volume_context(&b, "");
	snprintf(b.key, sizeof(b.key), "local:%s", key.id);
	ok_or_show(kc_kms_generate(kms, &b, wrapped, &len, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(kms, &b, wrapped, len, &expected, &err), &err, "decrypt");

	assert_int_equal(len, 1 + 16 + 4 + 12 + KC_DEK_SIZE + 16);
	assert_int_equal(wrapped[0], 1);
	assert_int_equal(kc_canon_binding(&b, &canon, &err), 0);
	memcpy(aad, wrapped, 21);
	memcpy(aad + 21, canon.data, canon.len);
	assert_int_equal(ks_material(k, key.id, 1), 0);
	assert_int_equal(kh_unseal(k->secrets->kek, aad, 21 + canon.len, wrapped + 21, dek, sizeof(dek)), 0);
	assert_memory_equal(dek, expected, sizeof(dek));
	kc_bytes_free(&canon);
	kc_kms_close(kms);
	close_here(k);
}

/* --- keys ----------------------------------------------------------------------------------- */

static void rotation_keeps_what_older_material_wrapped(void **state)
{
	struct host *h = *state;
	uint8_t old[KC_WRAPPED_MAX], new[KC_WRAPPED_MAX];
	struct kc_error err = { 0 };
	struct json_object *answer;
	struct kc_key_info info;
	struct kc_binding b;
	struct kc_kms *kms;
	const uint8_t *dek;
	size_t old_len, new_len;

	default_key(h, &info);
	volume_context(&b, info.key);
	kms = open_kms(h);
	ok_or_show(kc_kms_generate(kms, &b, old, &old_len, &err), &err, "generate");
	ok_or_show(admin(h, "RotateKeyOnDemand", "key", info.key, &answer, &err), &err, "rotate");
	assert_int_equal(json_object_get_int(json_object_object_get(answer, "version")), 2);
	json_object_put(answer);
	ok_or_show(kc_kms_decrypt(kms, &b, old, old_len, &dek, &err), &err, "decrypt old");
	ok_or_show(kc_kms_generate(kms, &b, new, &new_len, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(kms, &b, new, new_len, &dek, &err), &err, "decrypt new");
	/* the version of the material is in the open, and authenticated */
	assert_int_equal(old[20], 1);
	assert_int_equal(new[20], 2);
	new[20] = 1;
	assert_int_equal(kc_kms_decrypt(kms, &b, new, new_len, &dek, &err), KC_TAMPERED);
	kc_error_clear(&err);
	new[20] = 3;
	assert_int_equal(kc_kms_decrypt(kms, &b, new, new_len, &dek, &err), KC_TAMPERED);
	kc_kms_close(kms);

	ok_or_show(admin(h, "DisableKey", "key", info.key, &answer, &err), &err, "disable");
	json_object_put(answer);
	assert_int_equal(admin(h, "RotateKeyOnDemand", "key", info.key, &answer, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "DisabledException");
}

static void aliases_follow_the_rules(void **state)
{
	static const char *const good[] = { "a", "alias/b", "local:alias/c", "A-z_0/9", "alias/x/y" };
	static const char *const bad[] = { "a b", "alias/", "local:alias/", "ümlaut", "a'b", "a:b", "a\"" };
	struct host *h = *state;
	struct json_object *answer;
	struct kc_error err;
	char longest[300];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ok_or_show(admin(h, "CreateKey", "alias", good[i], &answer, &err), &err, good[i]);
		json_object_put(answer);
	}
	assert_int_equal(admin(h, "CreateKey", "alias", "alias/a", &answer, &err), KC_BUSY);
	assert_string_equal(err.provider_error, "AlreadyExistsException");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (admin(h, "CreateKey", "alias", bad[i], &answer, &err) != KC_USAGE)
			fail_msg("alias \"%s\" is not refused", bad[i]);
	memset(longest, 'x', sizeof(longest));
	longest[250] = '\0';
	ok_or_show(admin(h, "CreateKey", "alias", longest, &answer, &err), &err, "250");
	json_object_put(answer);
	longest[250] = 'x';
	longest[251] = '\0';
	assert_int_equal(admin(h, "CreateKey", "alias", longest, &answer, &err), KC_USAGE);
}

static void a_list_is_whole_over_all_its_pages(void **state)
{
	struct host *h = *state;
	struct json_object *answer, *params, *seen = json_object_new_object(), *list, *key;
	struct kc_error err = { 0 };
	struct kc_kms *kms = open_kms(h);
	const char *next;
	char alias[32];
	size_t i, all = 0;
	int pages = 0;

	for (i = 0; i < 2 * KS_PAGE + 3; i++) {
		params = json_object_new_object();
		snprintf(alias, sizeof(alias), "n%zu", i);
		json_object_object_add(params, "alias", json_object_new_string(alias));
		ok_or_show(kc_kms_admin(kms, "local", "CreateKey", params, &answer, &err), &err, "create");
		json_object_put(params);
		json_object_put(answer);
	}
	params = json_object_new_object();
	do {
		ok_or_show(kc_kms_admin(kms, "local", "ListKeys", params, &answer, &err), &err, "list");
		list = json_object_object_get(answer, "keys");
		for (i = 0; i < json_object_array_length(list); i++, all++) {
			key = json_object_object_get(json_object_array_get_idx(list, i), "key");
			json_object_object_add(seen, json_object_get_string(key), NULL);
		}
		next = json_object_get_string(json_object_object_get(answer, "next"));
		if (next)
			json_object_object_add(params, "marker", json_object_new_string(next));
		pages++;
		if (!next) {
			json_object_put(answer);
			break;
		}
		json_object_put(answer);
	} while (pages < 10);
	assert_int_equal(pages, 3);
	assert_int_equal(all, 2 * KS_PAGE + 3);
	assert_int_equal(json_object_object_length(seen), all);
	json_object_put(params);
	json_object_put(seen);
	kc_kms_close(kms);
}

/* --- several at once, and power cuts -------------------------------------------------------- */

static void a_locked_keystore_is_waited_for_until_the_deadline(void **state)
{
	struct host *h = *state;
	struct timespec a, b;
	sqlite3 *db;
	int dir;

	h->conf.timeout = 3;
	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; PRAGMA user_version = 2",
				      NULL, NULL, NULL), SQLITE_OK);
	clock_gettime(CLOCK_MONOTONIC, &a);
	refused(h, KC_KMS_RETRY, "DependencyTimeoutException", "stayed locked");
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_in_range(b.tv_sec - a.tv_sec, 2, 4);
	sqlite3_close(db);

	dir = open(h->state, O_RDONLY);
	flock(dir, LOCK_EX);
	refused(h, KC_KMS_RETRY, "DependencyTimeoutException", "stayed locked");
	close(dir);
}

/* Runs @fn in @n processes at once; each writes what it got to a pipe that is returned. */
static int crowd(struct host *h, int n, void (*fn)(struct host *h, int out), pid_t *pids)
{
	int out[2], i;

	assert_int_equal(pipe(out), 0);
	for (i = 0; i < n; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			close(out[0]);
			fn(h, out[1]);
			_exit(0);
		}
	}
	close(out[1]);
	return out[0];
}

static void say(int out, const char *key)
{
	char line[KC_UUID_LEN + 8];

	memset(line, ' ', sizeof(line));
	memcpy(line, key, strlen(key));
	line[sizeof(line) - 1] = '\n';
	if (write(out, line, sizeof(line)) != sizeof(line))
		_exit(1);
}

static void use_default(struct host *h, int out)
{
	struct kc_key_info info;
	struct kc_error err;

	if (describe(h, "alias/kcache", &info, &err)) {
		fprintf(stderr, "%d %s [%s]\n", err.code, err.text, err.provider_error);
		_exit(1);
	}
	say(out, info.key);
}

static void all_at_once_get_one_default_key(void **state)
{
	struct host *h = *state;
	char line[KC_UUID_LEN + 8], first[sizeof(line)];
	pid_t pids[24];
	int round, out, n, status, i;

	for (round = 0; round < 4; round++) {
		snprintf(h->state, sizeof(h->state), "%s/state%d", h->dir, round);
		out = crowd(h, 24, use_default, pids);
		for (n = 0; read(out, line, sizeof(line)) == sizeof(line); n++) {
			if (!n)
				memcpy(first, line, sizeof(line));
			assert_memory_equal(first, line, sizeof(line));
		}
		close(out);
		for (i = 0; i < 24; i++) {
			waitpid(pids[i], &status, 0);
			assert_int_equal(status, 0);
		}
		assert_int_equal(n, 24);
	}
}

static void create_for_ever(struct host *h, int out)
{
	for (;;) {
		struct json_object *answer, *v;
		struct kc_error err = { 0 };
		struct kc_kms *kms;

		if (start_kms(h, &kms, &err) ||
		    kc_kms_admin(kms, "local", "CreateKey", NULL, &answer, &err)) {
			fprintf(stderr, "%d %s [%s]\n", err.code, err.text, err.provider_error);
			_exit(1);
		}
		json_object_object_get_ex(answer, "key", &v);
		say(out, json_object_get_string(v));
		json_object_put(answer);
		kc_kms_close(kms);
	}
}

static void nap_us(long us)
{
	const struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

static void no_key_is_lost_when_processes_are_killed(void **state)
{
	struct host *h = *state;
	char line[KC_UUID_LEN + 8];
	struct kc_error err = { 0 };
	struct kc_key_info info;
	struct kc_kms *kms;
	int round, out, i, status, n = 0;
	pid_t pids[6];

	h->conf.audit_file = (char *)"none";
	for (round = 0; round < 12; round++) {
		out = crowd(h, 6, create_for_ever, pids);
		/* the first of them has begun */
		assert_int_equal(read(out, line, sizeof(line)), sizeof(line));
		nap_us(3000 * round + 700);
		for (i = 0; i < 6; i++)
			kill(pids[i], SIGKILL);
		for (i = 0; i < 6; i++) {
			waitpid(pids[i], &status, 0);
			assert_true(WIFSIGNALED(status));
		}
		kms = open_kms(h);
		do {
			n++;
			line[KC_UUID_LEN + 6] = '\0';
			ok_or_show(kc_kms_describe(kms, line, &info, &err), &err, line);
		} while (read(out, line, sizeof(line)) == sizeof(line));
		kc_kms_close(kms);
		close(out);
	}
	assert_true(n >= 12);
}

static void a_keystore_killed_while_it_is_made_is_made_by_the_next(void **state)
{
	struct host *h = *state;
	struct kc_key_info info;
	struct kc_error err;
	pid_t pid;
	int round, fd[2];
	char c;

	h->conf.audit_file = (char *)"none";
	for (round = 0; round < 60; round++) {
		snprintf(h->state, sizeof(h->state), "%s/state%d", h->dir, round);
		assert_int_equal(pipe(fd), 0);
		pid = fork();
		if (!pid) {
			struct kc_kms *kms;

			memset(&err, 0, sizeof(err));
			if (start_kms(h, &kms, &err) || write(fd[1], "x", 1) != 1)
				_exit(1);
			kc_kms_describe(kms, "alias/kcache", &info, &err);
			pause();
		}
		assert_int_equal(read(fd[0], &c, 1), 1);
		nap_us(150 * round);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd[0]);
		close(fd[1]);
		if (describe(h, "alias/kcache", &info, &err))
			fail_msg("after a kill at %d us: %s", 150 * round, err.text);
		assert_false(exists(h, KEY_FILE ".new"));
	}
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
		ON_HOST(no_key_is_in_the_files),
		ON_HOST(every_key_has_material_of_its_own),
		ON_HOST(a_wrapped_dek_has_the_documented_form),
		ON_KEYSTORE(rotation_keeps_what_older_material_wrapped),
		ON_HOST(aliases_follow_the_rules),
		ON_HOST(a_list_is_whole_over_all_its_pages),
		ON_KEYSTORE(a_locked_keystore_is_waited_for_until_the_deadline),
		ON_HOST(all_at_once_get_one_default_key),
		ON_HOST(no_key_is_lost_when_processes_are_killed),
		ON_HOST(a_keystore_killed_while_it_is_made_is_made_by_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
