// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening the keystore: its directory, its root key, its database.
 *
 * Opening is serialised by flock() on the directory, so that the root key and
 * the schema come to be once. The root key is always made before the database:
 * a database without one has lost it, and never gets a new one. After that,
 * SQLite's own locks do (WAL: readers never wait).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keystore-db.h"

/* true if the one text that @sql answers is @want */
static int answers(struct kh *k, const char *sql, const char *want)
{
	sqlite3_stmt *st;
	const char *got = NULL;
	int r = ks_query(k, &st, sql, "");

	if (!r)
		r = ks_row(k, st) < 0 ? -1 : 0;
	if (!r) {
		got = (const char *)sqlite3_column_text(st, 0);
		if (!got || strcmp(got, want))
			r = kh_fail(k, KH_UNAVAILABLE, "the keystore %s/" KS_DB " is damaged: %s",
				    k->state_dir, got ? got : "no answer to a check");
	}
	sqlite3_finalize(st);
	return r;
}

static int root_in_db(struct kh *k, const struct ks_root *root)
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT id FROM root", "");

	if (!r)
		r = ks_row(k, st) < 0 ? -1 : 0;
	if (!r && (sqlite3_column_bytes(st, 0) != KS_ROOT_ID ||
		   memcmp(sqlite3_column_blob(st, 0), root->id, KS_ROOT_ID)))
		r = kh_fail(k, KH_UNAVAILABLE, "%s/keystore.key is not the root key of " KS_DB " beside it",
			    k->state_dir);
	sqlite3_finalize(st);
	return r;
}

/* Settings of this connection, then: is this a whole keystore of ours? @version 0 if it has no schema yet. */
static int check_db(struct kh *k, int64_t *version)
{
	sqlite3 *db = k->keystore->db;
	int64_t app, tables;

	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	if (ks_exec(k, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
		       "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0") ||
	    ks_number(k, "PRAGMA user_version", version) || ks_number(k, "PRAGMA application_id", &app) ||
	    ks_number(k, "SELECT count(*) FROM sqlite_schema", &tables))
		return -1;
	if (!*version && !app && !tables)
		return 0;
	if (app != KS_APPLICATION || *version < 1)
		return kh_fail(k, KH_UNAVAILABLE, "%s/" KS_DB " is not a keystore of kcache", k->state_dir);
	if (*version > KS_SCHEMA) {
		kh_fail(k, KH_UNAVAILABLE, "the keystore %s/" KS_DB " has format %lld, this kcache knows %d",
			k->state_dir, (long long)*version, KS_SCHEMA);
		return kh_next(k, "update kcache");
	}
	return answers(k, "PRAGMA quick_check(1)", "ok");
}

/* SQLite syncs the directory for its journals, not for the database; ours may be new itself. */
static int sync_names(int dir)
{
	int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = parent < 0 || fsync(dir) || fsync(parent) ? -1 : 0;

	if (parent >= 0)
		close(parent);
	return r;
}

static int open_db(struct kh *k, int dir, const struct ks_root *root, bool create)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW;
	char path[PATH_MAX + sizeof("/" KS_DB)];
	int64_t version = 0;

	if (!realpath(k->state_dir, path))
		return kh_fail(k, KH_ACCESS_DENIED, "cannot open %s: %s", k->state_dir, strerror(errno));
	memcpy(path + strlen(path), "/" KS_DB, sizeof("/" KS_DB));
	k->keystore = calloc(1, sizeof(*k->keystore));
	if (!k->keystore)
		return kh_fail(k, KH_NO_MEMORY, "out of memory");
	if (sqlite3_open_v2(path, &k->keystore->db, flags | (create ? SQLITE_OPEN_CREATE : 0), "unix") !=
	    SQLITE_OK)
		return ks_failed(k, k->keystore->db);
	sqlite3_busy_timeout(k->keystore->db, kh_time_left(k));
	k->keystore->seal = root->seal;
	if (check_db(k, &version))
		return -1;
	if (!version && !create) {
		ks_close(k);
		return 0;
	}
	if (answers(k, "PRAGMA journal_mode = WAL", "wal"))
		return -1;
	/* before anything is changed in what may be another root key's */
	if (version && root_in_db(k, root))
		return -1;
	if (version < KS_SCHEMA && ks_migrate(k, version, root))
		return -1;
	if (!version && sync_names(dir))
		return kh_fail(k, KH_INTERNAL, "cannot write %s: %s", k->state_dir, strerror(errno));
	return ks_sweep(k);
}

/* The directory, made with @create; -1 is a failure unless k->error is KH_OK: not there. */
static int open_dir(struct kh *k, bool create)
{
	int path = open(k->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), dir = -1;
	struct stat st;

	if (path < 0 && errno == ENOENT) {
		if (!create)
			return -1;
		if (mkdir(k->state_dir, 0700) && errno != EEXIST) {
			kh_fail(k, KH_ACCESS_DENIED, "cannot create %s: %s", k->state_dir, strerror(errno));
			return -1;
		}
		path = open(k->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	/* whose it is comes first: it explains why it cannot be opened */
	if (path >= 0 && !fstat(path, &st) && (st.st_uid != geteuid() || (st.st_mode & 077))) {
		kh_fail(k, KH_ACCESS_DENIED, "%s may be read by others than uid %u (owner %u, mode %04o)",
			k->state_dir, (unsigned int)geteuid(), (unsigned int)st.st_uid,
			(unsigned int)(st.st_mode & 07777));
		kh_next(k, "run it as its owner, or correct it: chown %u %s; chmod 700 %s",
			(unsigned int)geteuid(), k->state_dir, k->state_dir);
	} else {
		if (path >= 0)
			dir = openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			kh_fail(k, KH_ACCESS_DENIED, "cannot open %s: %s", k->state_dir, strerror(errno));
	}
	if (path >= 0)
		close(path);
	return dir;
}

static int lock_dir(struct kh *k, int dir)
{
	const struct timespec nap = { .tv_nsec = 5000000 };

	while (flock(dir, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return kh_fail(k, KH_INTERNAL, "cannot lock %s: %s", k->state_dir, strerror(errno));
		if (!kh_time_left(k))
			return kh_fail(k, KH_TIMEOUT, "the keystore in %s stayed locked by another process",
				       k->state_dir);
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int open_locked(struct kh *k, int dir, bool create)
{
	bool key, db, other;
	struct ks_root root;

	if (ks_check_file(k, dir, "keystore.key", &key) || ks_check_file(k, dir, KS_DB, &db) ||
	    ks_check_file(k, dir, KS_DB "-wal", &other) || ks_check_file(k, dir, KS_DB "-shm", &other))
		return -1;
	if (db && !key) {
		kh_fail(k, KH_UNAVAILABLE, "%s/keystore.key is missing: without it no key in " KS_DB
			" can be used", k->state_dir);
		return kh_next(k, "restore keystore.key from the backup that was made with this " KS_DB);
	}
	if (!db && !create)
		return 0;
	if (!key && ks_root_create(k, dir))
		return -1;
	if (ks_root_load(k, dir, &root))
		return -1;
	return open_db(k, dir, &root, create);
}

int ks_open(struct kh *k, bool create)
{
	int dir, r;

	if (k->keystore)
		return 0;
	dir = open_dir(k, create);
	if (dir < 0)
		return k->error == KH_OK ? 0 : -1;
	r = lock_dir(k, dir);
	if (!r)
		r = open_locked(k, dir, create);
	close(dir);
	if (r)
		ks_close(k);
	return r;
}

int ks_lock(struct kh *k, bool create)
{
	int dir = open_dir(k, create);

	if (dir >= 0 && lock_dir(k, dir)) {
		close(dir);
		dir = -1;
	}
	if (dir < 0 && k->error == KH_OK)
		kh_fail(k, KH_NOT_FOUND, "there is no keystore in %s", k->state_dir);
	return dir;
}

int ks_reseal(struct kh *k, bool none)
{
	struct ks_root root;
	int dir = ks_lock(k, false), r;

	if (dir < 0)
		return -1;
	/* read again: somebody else may have been here since it was opened */
	r = ks_root_load(k, dir, &root);
	root.seal = none ? KS_SEAL_NONE : ks_configured_seal(k);
	if (!r)
		r = ks_root_write(k, dir, &root, true);
	if (!r)
		k->keystore->seal = root.seal;
	close(dir);
	return r;
}

void ks_close(struct kh *k)
{
	if (!k->keystore)
		return;
	sqlite3_close(k->keystore->db);
	free(k->keystore);
	k->keystore = NULL;
}
