// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local keystore as a whole: how its root key is sealed, a backup, and back.
 *
 * A backup is one file: "kcache-backup 1\n", scrypt's log2(N), r and p in a byte each,
 * 16 bytes of salt; then nonce, ciphertext and tag of AES-256-GCM, all that stands before
 * authenticated with it. What is encrypted are the root key's id and the root key, then
 * the database as it was at one moment. The key is made of a passphrase by the
 * command, and comes in the mapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aead.h"
#include "keystore-db.h"
#include "kms-wire.h"
#include "local.h"

#define BACKUP_MAX (64 << 20)
#define DB_NEW KS_DB ".new"
#define ROOT_LEN (KS_ROOT_ID + KH_KEY_SIZE)

static int answer_seal(struct kh *k, struct json_object *result)
{
	return !k->keystore || kc_wire_add_str(result, "sealed", ks_seal_name(k->keystore->seal)) ? 0 :
		kl_no_memory(k);
}

int kl_describe_store(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)args;
	return ks_open(k, false) ? -1 : answer_seal(k, result);
}

static int reseal(struct kh *k, struct json_object *result, bool none)
{
	if (ks_open(k, true) || ks_reseal(k, none))
		return -1;
	return answer_seal(k, result);
}

int kl_seal_store(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)args;
	if (ks_configured_seal(k) != KS_SEAL_NONE)
		return reseal(k, result, false);
	kh_fail(k, KH_VALIDATION, "kcache.conf does not say what to seal the keystore with");
	return kh_next(k, "set keystore_seal = file:/PATH or credential:NAME in it");
}

int kl_unseal_store(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)args;
	return reseal(k, result, true);
}

/* --- backup --------------------------------------------------------------------------- */

/* The database as it is at one moment, without what may be in its log only; sqlite3_free() it. */
static uint8_t *snapshot(struct kh *k, size_t *len)
{
	sqlite3_backup *b;
	sqlite3_int64 n = 0;
	uint8_t *bytes = NULL;
	sqlite3 *copy;
	bool ok = sqlite3_open(":memory:", &copy) == SQLITE_OK;

	b = ok ? sqlite3_backup_init(copy, "main", k->keystore->db, "main") : NULL;
	ok = b && sqlite3_backup_step(b, -1) == SQLITE_DONE;
	if (b && sqlite3_backup_finish(b) != SQLITE_OK)
		ok = false;
	if (ok)
		bytes = sqlite3_serialize(copy, "main", &n, 0);
	sqlite3_close(copy);
	*len = (size_t)n;
	if (!bytes)
		ks_failed(k, k->keystore->db);
	return bytes;
}

/* A new file, on the disk when this returns; nothing is left of one that could not be written. */
static int write_new(struct kh *k, const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t done = 0;
	ssize_t n;
	int r;

	if (fd < 0)
		return kh_fail(k, errno == EEXIST ? KH_ALREADY_EXISTS : KH_ACCESS_DENIED, "cannot create %s: %s", path,
			       strerror(errno));
	while (done < len && (n = write(fd, data + done, len - done)) > 0)
		done += (size_t)n;
	r = done < len || fsync(fd) ? -1 : 0;
	if (close(fd))
		r = -1;
	if (!r)
		return 0;
	kh_fail(k, KH_INTERNAL, "cannot write %s: %s", path, strerror(errno));
	unlink(path);
	return -1;
}

/* The name of a new file is on the disk, too. */
static int sync_dir(struct kh *k, const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd, r;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 || fsync(fd) ? kh_fail(k, KH_INTERNAL, "cannot write %s: %s", dir, strerror(errno)) : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static int file_argument(struct kh *k, struct json_object *args, char out[static PATH_MAX])
{
	if (kc_wire_str(args, "file", out, PATH_MAX) && *out == '/')
		return 0;
	return kh_fail(k, KH_VALIDATION, "the file of a backup is not an absolute path");
}

static int write_backup(struct kh *k, const char *path, const struct ks_root *root, const uint8_t *head)
{
	struct kc_error err = { 0 };
	size_t db_len = 0, len;
	uint8_t *db = snapshot(k, &db_len), *plain = NULL, *file = NULL;
	int r = -1;

	len = ROOT_LEN + db_len;
	if (db && len < BACKUP_MAX) {
		plain = kc_secret_alloc(len, &err);
		file = malloc(KL_BACKUP_HEAD + KH_SEALED(len));
	}
	if (plain && file) {
		memcpy(plain, root->id, KS_ROOT_ID);
		memcpy(plain + KS_ROOT_ID, k->secrets->root, KH_KEY_SIZE);
		memcpy(plain + ROOT_LEN, db, db_len);
		memcpy(file, head, KL_BACKUP_HEAD);
		r = kh_seal(k->secrets->dek, head, KL_BACKUP_HEAD, plain, len, file + KL_BACKUP_HEAD) ?
			kh_fail(k, KH_INTERNAL, "cannot encrypt the backup") :
			write_new(k, path, file, KL_BACKUP_HEAD + KH_SEALED(len));
		if (!r)
			r = sync_dir(k, path);
	} else if (db) {
		kh_fail(k, KH_NO_MEMORY, "out of memory for a backup of %zu bytes", len);
	}
	free(file);
	kc_secret_free(plain, len);
	sqlite3_free(db);
	return r;
}

int kl_backup_store(struct kh *k, struct json_object *args, struct json_object *result)
{
	uint8_t head[KL_BACKUP_HEAD];
	char path[PATH_MAX];
	struct ks_root root;
	size_t len;
	int dir, r;

	(void)result;
	if (file_argument(k, args, path))
		return -1;
	if (!kc_wire_blob(args, "header", head, sizeof(head), &len) || len != sizeof(head))
		return kh_fail(k, KH_VALIDATION, "the header of the backup is missing");
	if (ks_open(k, false))
		return -1;
	dir = ks_lock(k, false);
	if (dir < 0)
		return -1;
	if (!k->keystore)
		r = kh_fail(k, KH_NOT_FOUND, "there is no keystore in %s", k->state_dir);
	else
		r = ks_root_load(k, dir, &root) ? -1 : write_backup(k, path, &root, head);
	close(dir);
	return r;
}

/* --- restore -------------------------------------------------------------------------- */

/* The whole file; free() it. */
static uint8_t *read_backup(struct kh *k, const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint8_t *data = NULL;
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		kh_fail(k, KH_ACCESS_DENIED, "cannot read %s: %s", path, fd < 0 ? strerror(errno) : "it is no file");
	} else if (st.st_size <= (off_t)(KL_BACKUP_HEAD + KH_SEALED(ROOT_LEN)) || st.st_size > BACKUP_MAX) {
		kh_fail(k, KH_VALIDATION, "%s is no backup of a keystore", path);
	} else {
		*len = (size_t)st.st_size;
		data = malloc(*len);
		while (data && done < *len && (n = read(fd, data + done, *len - done)) > 0)
			done += (size_t)n;
		if (!data || done < *len) {
			kh_fail(k, data ? KH_INTERNAL : KH_NO_MEMORY, "cannot read %s: %s", path, strerror(errno));
			free(data);
			data = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return data;
}

/*
 * The root key first, as ks_open() does it: one without a database protects nothing,
 * and is replaced when this is done again after a power cut.
 */
static int put_back(struct kh *k, int dir, const uint8_t *plain, size_t len)
{
	struct ks_root root = { .seal = ks_configured_seal(k) };
	char path[PATH_MAX + sizeof("/" DB_NEW)];
	bool key, db;
	int r;

	if (ks_check_file(k, dir, "keystore.key", &key) || ks_check_file(k, dir, KS_DB, &db))
		return -1;
	if (db) {
		kh_fail(k, KH_ALREADY_EXISTS, "there is a keystore in %s", k->state_dir);
		return kh_next(k, "move its keystore.db and keystore.key away first, and keep them");
	}
	/* a log without its database is another one's */
	unlinkat(dir, KS_DB "-wal", 0);
	unlinkat(dir, KS_DB "-shm", 0);
	unlinkat(dir, DB_NEW, 0);
	memcpy(root.id, plain, KS_ROOT_ID);
	memcpy(k->secrets->root, plain + KS_ROOT_ID, KH_KEY_SIZE);
	if (ks_root_write(k, dir, &root, key))
		return -1;
	snprintf(path, sizeof(path), "%s/" DB_NEW, k->state_dir);
	r = write_new(k, path, plain + ROOT_LEN, len - ROOT_LEN);
	if (!r && (renameat2(dir, DB_NEW, dir, KS_DB, RENAME_NOREPLACE) || fsync(dir)))
		r = kh_fail(k, KH_INTERNAL, "cannot write %s/" KS_DB ": %s", k->state_dir, strerror(errno));
	return r;
}

int kl_restore_store(struct kh *k, struct json_object *args, struct json_object *result)
{
	uint8_t *file, *plain = NULL;
	struct kc_error err = { 0 };
	char path[PATH_MAX];
	size_t len = 0, n;
	int dir, r = -1;

	(void)result;
	if (file_argument(k, args, path))
		return -1;
	file = read_backup(k, path, &len);
	if (!file)
		return -1;
	n = len - KL_BACKUP_HEAD - KH_SEALED(0);
	plain = kc_secret_alloc(n, &err);
	if (!plain) {
		kh_fail(k, KH_NO_MEMORY, "%s", err.text);
	} else if (kh_unseal(k->secrets->dek, file, KL_BACKUP_HEAD, file + KL_BACKUP_HEAD, plain, n)) {
		kh_fail(k, KH_CREDENTIALS, "%s does not open with this passphrase, or it was altered", path);
		kh_next(k, "give the passphrase that it was made with");
	} else {
		dir = ks_lock(k, true);
		r = dir < 0 ? -1 : put_back(k, dir, plain, n);
		if (dir >= 0)
			close(dir);
		/* is it one? */
		if (!r)
			r = ks_open(k, false);
	}
	kc_secret_free(plain, n);
	free(file);
	return r;
}
