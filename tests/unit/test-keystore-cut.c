// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The power goes in the middle of every call that changes the keystore. SQLite's
 * file layer is wrapped: after each write, sync, truncation and removal the files are
 * rebuilt as a power cut could have left them (what was not synced there or not, the last
 * write whole or half), and opened: the keystore holds what it held before the call, or
 * after it, and nothing else. Once the call has returned it is what it is after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "keystore-db.h"
#include "keystore-fixture.h"

#define STATES_MAX 4096

/* --- a file layer that is watched ---------------------------------------------------------- */

struct watched {
	sqlite3_file base;
	sqlite3_file *real;
	const char *name;	/* of the file in the folder, NULL for others */
};

static sqlite3_vfs watching, *real_vfs;
static void (*at_point)(const char *file, int64_t torn_at);
static void (*at_sync)(const char *file);
static bool armed;

#define REAL(f) (((struct watched *)(f))->real)

static void point(sqlite3_file *f, int64_t torn_at)
{
	struct watched *w = (struct watched *)f;

	if (armed && w->name)
		at_point(w->name, torn_at);
}

static int w_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int w_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int w_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int rc = REAL(f)->pMethods->xWrite(REAL(f), p, n, at);

	point(f, at + n / 2);
	return rc;
}

static int w_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = REAL(f)->pMethods->xTruncate(REAL(f), size);

	point(f, -1);
	return rc;
}

static int w_sync(sqlite3_file *f, int flags)
{
	int rc = REAL(f)->pMethods->xSync(REAL(f), flags);

	if (armed && ((struct watched *)f)->name)
		at_sync(((struct watched *)f)->name);
	point(f, -1);
	return rc;
}

static int w_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int w_lock(sqlite3_file *f, int how)
{
	return REAL(f)->pMethods->xLock(REAL(f), how);
}

static int w_unlock(sqlite3_file *f, int how)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), how);
}

static int w_reserved(sqlite3_file *f, int *out)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int w_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int w_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int w_device(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int w_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, p);
}

static int w_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void w_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int w_shm_unmap(sqlite3_file *f, int del)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), del);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, .xClose = w_close, .xRead = w_read, .xWrite = w_write, .xTruncate = w_truncate,
	.xSync = w_sync, .xFileSize = w_size, .xLock = w_lock, .xUnlock = w_unlock,
	.xCheckReservedLock = w_reserved, .xFileControl = w_control, .xSectorSize = w_sector,
	.xDeviceCharacteristics = w_device, .xShmMap = w_shm_map, .xShmLock = w_shm_lock,
	.xShmBarrier = w_shm_barrier, .xShmUnmap = w_shm_unmap,
};

static int v_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct watched *w = (struct watched *)f;
	int rc;

	(void)v;
	w->real = (sqlite3_file *)(w + 1);
	w->name = path && strstr(path, "/state/") ? strrchr(path, '/') + 1 : NULL;
	rc = real_vfs->xOpen(real_vfs, path, w->real, flags, out);
	w->base.pMethods = w->real->pMethods ? &methods : NULL;
	return rc;
}

static int v_delete(sqlite3_vfs *v, const char *path, int sync)
{
	int rc = real_vfs->xDelete(real_vfs, path, sync);

	(void)v;
	if (armed && strstr(path, "/state/"))
		at_point(strrchr(path, '/') + 1, -1);
	return rc;
}

/* Under the name that ks_open() asks for. */
static void watch(void)
{
	if (real_vfs)
		return;
	real_vfs = sqlite3_vfs_find("unix");
	assert_non_null(real_vfs);
	watching = *real_vfs;
	watching.szOsFile = (int)sizeof(struct watched) + real_vfs->szOsFile;
	watching.xOpen = v_open;
	watching.xDelete = v_delete;
	assert_int_equal(sqlite3_vfs_register(&watching, 1), SQLITE_OK);
}

/* --- the states that a power cut leaves ------------------------------------------------------ */

static struct host *host;
static char *seen[STATES_MAX];	/* what each of them held, or why it could not be opened */
static size_t n_seen;

static void copy(const char *from, const char *to, int64_t torn_at)
{
	uint8_t *data;
	struct stat st;
	size_t len;

	unlink(to);
	if (stat(from, &st))
		return;
	slurp(from, &data, &len);
	/* the rest of the last write never came: what was there before is not known, so it is noise */
	if (torn_at >= 0 && (size_t)torn_at < len)
		memset(data + torn_at, 0x5a, len - (size_t)torn_at < 512 ? len - (size_t)torn_at : 512);
	spit(to, data, len);
	free(data);
}

static void in(char *out, const char *folder, const char *file)
{
	snprintf(out, 300, "%s/%s/%s", host->dir, folder, file);
}

/* All rows of all tables as one text, by sqlite3's own quoting. */
static char *contents(struct kh *k)
{
	static const char *const tables[] = {
		"SELECT quote(id) || quote(state) || quote(version) || quote(created) || quote(description) ||"
		" quote(external) || quote(deletion) || quote(rotation_days) || quote(rotation_next) || quote(imported) ||"
		" quote(policy) FROM keys ORDER BY id",
		"SELECT quote(key) || quote(version) || quote(sealed) || quote(valid_to) FROM material ORDER BY key, version",
		"SELECT quote(name) || quote(key) FROM aliases ORDER BY name",
		"SELECT quote(id) || quote(key) || quote(token) || quote(grantee) FROM grants ORDER BY id",
		"SELECT quote(key) || quote(token) || quote(sealed) FROM imports ORDER BY key",
	};
	char *text = strdup(""), *more;
	sqlite3_stmt *st;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		assert_int_equal(sqlite3_prepare_v2(k->keystore->db, tables[i], -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW) {
			assert_true(asprintf(&more, "%s%s\n", text, sqlite3_column_text(st, 0)) > 0);
			free(text);
			text = more;
		}
		sqlite3_finalize(st);
	}
	return text;
}

static struct kh *handle(const char *folder)
{
	struct kh *k = calloc(1, sizeof(*k));
	struct kc_error err = { 0 };

	snprintf(k->state_dir, sizeof(k->state_dir), "%s/%s", host->dir, folder);
	k->deadline = kc_wire_now() + 30000;
	k->secrets = kc_secret_alloc(sizeof(*k->secrets), &err);
	assert_non_null(k->secrets);
	return k;
}

static void let_go(struct kh *k)
{
	ks_close(k);
	kc_secret_free(k->secrets, sizeof(*k->secrets));
	free(k);
}

/* What is found in the folder "cut" after the power is back. */
static char *found(void)
{
	struct kh *k = handle("cut");
	char *text = NULL;

	if (ks_open(k, false))
		assert_true(asprintf(&text, "not opened: %s", k->text) > 0);
	else if (!k->keystore)
		text = strdup("no keystore");
	else
		text = contents(k);
	let_go(k);
	return text;
}

/* Each file as it is now, or as it was when it was last synced. */
static void rebuild(int synced, const char *torn, int64_t torn_at)
{
	static const char *const files[] = { KEY_FILE, DB_FILE, DB_FILE "-wal" };
	char from[300], to[300];
	int i;

	for (i = 0; i < 3; i++) {
		in(from, i && synced & 1 << (i - 1) ? "synced" : "state", files[i]);
		in(to, "cut", files[i]);
		copy(from, to, torn && !strcmp(torn, files[i]) ? torn_at : -1);
	}
	in(to, "cut", DB_FILE "-shm");
	unlink(to);
}

static void remember(void)
{
	assert_true(n_seen < STATES_MAX);
	seen[n_seen++] = found();
}

static void cut_here(const char *file, int64_t torn_at)
{
	int synced;

	armed = false;
	for (synced = 0; synced < 4; synced++) {
		rebuild(synced, NULL, -1);
		remember();
	}
	if (torn_at >= 0) {
		rebuild(0, file, torn_at);
		remember();
	}
	armed = true;
}

static void synced_here(const char *file)
{
	char from[300], to[300];

	in(from, "state", file);
	in(to, "synced", file);
	copy(from, to, -1);
}

/* --- the calls --------------------------------------------------------------------------------- */

static int operation(struct kh *k, const char *name, const char *json)
{
	struct json_object *args, *result = json_object_new_object();
	const struct kh_admin_op *op;
	char text[1024];
	int r = -1;
	char *p;

	snprintf(text, sizeof(text), "%s", json);
	for (p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	args = json_tokener_parse(text);
	assert_non_null(args);
	k->operation = name;
	if (!strcmp(name, "CreateGrant")) {
		r = kh_provider->create_grant(k, args, result);
	} else {
		for (op = kh_provider->admin; op->name && strcmp(op->name, name); op++)
			;
		assert_non_null(op->name);
		r = op->fn(k, args, result);
	}
	json_object_put(args);
	json_object_put(result);
	return r;
}

static void forget(void)
{
	while (n_seen)
		free(seen[--n_seen]);
}

/*
 * @name on a keystore that @before has made, with the power cut at each of its points.
 * @opening: opening it is what changes it; then it is always what it is after
 */
static void cut_in(const char *name, const char *json, bool opening)
{
	char path[300], *old, *new;
	struct kh *k = handle("state");
	size_t i, n_old = 0, n_new = 0;

	in(path, "synced", DB_FILE "-wal");
	unlink(path);
	synced_here(DB_FILE);
	if (!opening)
		assert_int_equal(ks_open(k, false), 0);
	old = opening ? strdup("never") : contents(k);
	armed = true;
	if (opening ? ks_open(k, false) : operation(k, name, json))
		fail_msg("%s: %s", name, k->text);
	/* it has returned: what was promised is there without what was not synced */
	cut_here(NULL, -1);
	armed = false;
	new = contents(k);
	assert_string_not_equal(old, new);
	for (i = 0; i < n_seen; i++) {
		if (!strcmp(seen[i], old))
			n_old++;
		else if (!strcmp(seen[i], new))
			n_new++;
		else
			fail_msg("%s, state %zu of %zu: %.300s\nbefore: %.300s\nafter: %.300s", name, i, n_seen, seen[i],
				 old, new);
		if (i + 4 >= n_seen && strcmp(seen[i], new))
			fail_msg("%s had returned, and was lost", name);
	}
	assert_true(n_seen >= 20 && n_new >= 4 && (opening || n_old >= 4));
	print_message("# %s: %zu states, %zu as before, %zu as after\n", name, n_seen, n_old, n_new);
	armed = true;	/* also while the log is written back at the end: all of that is "after" */
	forget();
	let_go(k);
	armed = false;
	for (i = 0; i < n_seen; i++)
		assert_string_equal(seen[i], new);
	forget();
	free(old);
	free(new);
}

static int cut_up(void **state)
{
	char path[300];

	watch();
	at_point = cut_here;
	at_sync = synced_here;
	host_up(state);
	host = *state;
	umask(077);
	in(path, "cut", "");
	mkdir(path, 0700);
	in(path, "synced", "");
	mkdir(path, 0700);
	return 0;
}

static void every_change_is_whole_or_not_at_all(void **state)
{
	static const char *const rows[][2] = {
		{ "CreateKey", "{'alias':'new','description':'text'}" },
		{ "CreateKey", "{'origin':'EXTERNAL'}" },
		{ "DisableKey", "{'key':'alias/a'}" },
		{ "EnableKey", "{'key':'alias/a'}" },
		{ "RotateKeyOnDemand", "{'key':'alias/a'}" },
		{ "EnableKeyRotation", "{'key':'alias/a'}" },
		{ "DisableKeyRotation", "{'key':'alias/a'}" },
		{ "CreateAlias", "{'key':'alias/a','alias':'other'}" },
		{ "UpdateAlias", "{'key':'alias/b','alias':'other'}" },
		{ "DeleteAlias", "{'alias':'other'}" },
		{ "CreateGrant", "{'key':'alias/a','grantee':'h','operations':['Decrypt']}" },
		{ "PutKeyPolicy", "{'key':'alias/a','policy':'{\\'Statement\\':{\\'Effect\\':\\'Allow\\',"
				  "\\'Principal\\':\\'*\\',\\'Action\\':\\'kms:*\\'}}'}" },
		{ "GetParametersForImport", "{'key':'alias/x'}" },
		{ "ScheduleKeyDeletion", "{'key':'alias/a'}" },
		{ "CancelKeyDeletion", "{'key':'alias/a'}" },
	};
	size_t i;

	do_call(*state, "CreateKey", "{'alias':'a'}");
	do_call(*state, "CreateKey", "{'alias':'b'}");
	do_call(*state, "CreateKey", "{'alias':'x','origin':'EXTERNAL'}");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cut_in(rows[i][0], rows[i][1], false);
}

static void a_key_whose_date_has_come_goes_whole(void **state)
{
	do_call(*state, "CreateKey", "{'alias':'a'}");
	do_call(*state, "CreateKey", "{'alias':'b'}");
	do_call(*state, "CreateGrant", "{'key':'alias/a','grantee':'h','operations':['Decrypt']}");
	do_call(*state, "ScheduleKeyDeletion", "{'key':'alias/a'}");
	sql(*state, "UPDATE keys SET deletion = 86400 WHERE deletion IS NOT NULL");
	cut_in("the deletion itself", NULL, true);
}

static void imported_material_comes_and_goes_whole(void **state)
{
	static const uint8_t material[KH_KEY_SIZE] = "thirty-two bytes of own material";
	char key[KC_KEY_NAME_MAX], wrapped[1024], token[64], json[2048];
	struct host *h = *state;

	new_key(h, key, "{'origin':'EXTERNAL'}");
	wrap_material(h, key, material, sizeof(material), wrapped, token);
	snprintf(json, sizeof(json), "{'key':'%.60s','material':'%.600s','import_token':'%.60s'}", key, wrapped, token);
	cut_in("ImportKeyMaterial", json, false);
	snprintf(json, sizeof(json), "{'key':'%.60s'}", key);
	cut_in("DeleteImportedKeyMaterial", json, false);
}

static void an_old_keystore_is_migrated_whole(void **state)
{
	static const char root_key[] =
		"a2NhY2hlLXJvb3Qta2V5IDEKyWzRwR9aR1R09wA5BjoxMYHmKAkDgm5N0WftqZ252dyMHR4aIsY5fKIV/buORRPJ";
	uint8_t *text, key[128];
	struct host *h = *state;
	size_t len;

	mkdir(h->state, 0700);
	assert_int_equal(EVP_DecodeBlock(key, (const unsigned char *)root_key, (int)strlen(root_key)), 66);
	spit(path_of(h, KEY_FILE), key, 66);
	slurp(KC_TESTDIR "/data/keystore-v1.sql", &text, &len);
	text[len] = '\0';
	spit(path_of(h, DB_FILE), "", 0);
	sql(h, (char *)text);
	free(text);
	cut_in("the migration", NULL, true);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, cut_up, host_down)
	const struct CMUnitTest tests[] = {
		T(every_change_is_whole_or_not_at_all),
		T(a_key_whose_date_has_come_goes_whole),
		T(imported_material_comes_and_goes_whole),
		T(an_old_keystore_is_migrated_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
