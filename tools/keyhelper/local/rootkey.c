// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keystore.key, the root key: one file, so that it can be sealed or kept
 * elsewhere without touching the database.
 *
 * Format 1: "kcache-root-key 1\n", 16 bytes of id, which the database remembers,
 * 32 bytes of key. Format 2 is sealed: "kcache-root-key 2\n", the id, scrypt's
 * log2(N), r and p in a byte each, 16 bytes of salt, then nonce, ciphertext and tag of
 * AES-256-GCM under what scrypt makes of a passphrase (rootkey-seal.c), all that
 * stands before being authenticated with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "aead.h"
#include "kdf.h"
#include "keystore.h"

#define NAME "keystore.key"
#define NEW_NAME "keystore.key.new"

static const char magic[] = "kcache-root-key ";

#define MAGIC_LEN (sizeof(magic) - 1)
#define HEAD_LEN (MAGIC_LEN + 2)	/* the digit of the format, and a line feed */
#define PLAIN_LEN (HEAD_LEN + KS_ROOT_ID + KH_KEY_SIZE)
#define COST_LEN 19
#define AAD_LEN (HEAD_LEN + KS_ROOT_ID + COST_LEN)
#define SEALED_LEN (AAD_LEN + KH_SEALED(KH_KEY_SIZE))

int ks_check_file(struct kh *k, int dir, const char *name, bool *present)
{
	struct stat st;

	*present = false;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0;
		return kh_fail(k, KH_ACCESS_DENIED, "cannot look at %s/%s: %s", k->state_dir, name,
			       strerror(errno));
	}
	*present = true;
	if (!S_ISREG(st.st_mode))
		return kh_fail(k, KH_ACCESS_DENIED, "%s/%s is not a regular file", k->state_dir, name);
	if (st.st_uid != geteuid() || (st.st_mode & 077)) {
		kh_fail(k, KH_ACCESS_DENIED, "%s/%s may be read by others than uid %u (owner %u, mode %04o)",
			k->state_dir, name, (unsigned int)geteuid(), (unsigned int)st.st_uid,
			(unsigned int)(st.st_mode & 07777));
		return kh_next(k, "run it as its owner, or correct it: chown %u %s/%s; chmod 600 %s/%s",
			       (unsigned int)geteuid(), k->state_dir, name, k->state_dir, name);
	}
	return 0;
}

static int damaged(struct kh *k)
{
	return kh_fail(k, KH_UNAVAILABLE, "%s/" NAME " is damaged: it is no root key of %zu or %zu bytes",
		       k->state_dir, PLAIN_LEN, SEALED_LEN);
}

static void get_cost(const uint8_t *p, struct kc_scrypt *s)
{
	s->log_n = p[0];
	s->r = p[1];
	s->p = p[2];
	memcpy(s->salt, p + 3, sizeof(s->salt));
}

/* @rest: what comes after the PLAIN_LEN bytes that are in @head, @root and k->secrets->root. */
static int unseal(struct kh *k, const uint8_t *head, struct ks_root *root, const uint8_t *rest)
{
	uint8_t file[SEALED_LEN];
	struct kc_scrypt s;
	int r;

	memcpy(file, head, HEAD_LEN);
	memcpy(file + HEAD_LEN, root->id, KS_ROOT_ID);
	memcpy(file + HEAD_LEN + KS_ROOT_ID, k->secrets->root, KH_KEY_SIZE);
	memcpy(file + PLAIN_LEN, rest, SEALED_LEN - PLAIN_LEN);
	root->seal = ks_configured_seal(k);
	if (root->seal == KS_SEAL_NONE) {
		kh_fail(k, KH_CREDENTIALS, "%s/" NAME " is sealed, and kcache.conf does not say with what", k->state_dir);
		return kh_next(k, "set keystore_seal in kcache.conf");
	}
	get_cost(file + HEAD_LEN + KS_ROOT_ID, &s);
	if (ks_seal_key(k, &s))
		return -1;
	r = kh_unseal(k->secrets->kek, file, AAD_LEN, file + AAD_LEN, k->secrets->root, KH_KEY_SIZE);
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	if (!r)
		return 0;
	kh_fail(k, KH_CREDENTIALS, "%s/" NAME " does not open with %s", k->state_dir,
		kh_setting(k, "keystore_seal"));
	return kh_next(k, "put there what it was sealed with, or restore the keystore from a backup");
}

int ks_root_load(struct kh *k, int dir, struct ks_root *root)
{
	int fd = openat(dir, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t head[HEAD_LEN], rest[SEALED_LEN - PLAIN_LEN + 1];
	/* one read, straight to the secret's own pages: read() of one buffer would leave a copy */
	const struct iovec parts[] = {
		{ head, HEAD_LEN }, { root->id, KS_ROOT_ID }, { k->secrets->root, KH_KEY_SIZE }, { rest, sizeof(rest) },
	};
	ssize_t n;

	if (fd < 0)
		return kh_fail(k, KH_ACCESS_DENIED, "cannot read %s/" NAME ": %s", k->state_dir,
			       strerror(errno));
	root->seal = KS_SEAL_NONE;
	n = readv(fd, parts, 4);
	close(fd);
	if (n < (ssize_t)PLAIN_LEN || memcmp(head, magic, MAGIC_LEN) || head[HEAD_LEN - 1] != '\n')
		return damaged(k);
	if (head[MAGIC_LEN] == '1' && n == (ssize_t)PLAIN_LEN)
		return 0;
	if (head[MAGIC_LEN] == '2' && n == (ssize_t)SEALED_LEN)
		return unseal(k, head, root, rest);
	return damaged(k);
}

static int write_plain(int fd, const uint8_t *id, const uint8_t *key)
{
	char head[HEAD_LEN + 1];

	snprintf(head, sizeof(head), "%s1\n", magic);
	return write(fd, head, HEAD_LEN) == (ssize_t)HEAD_LEN && write(fd, id, KS_ROOT_ID) == KS_ROOT_ID &&
		write(fd, key, KH_KEY_SIZE) == KH_KEY_SIZE && !fsync(fd) ? 0 : -1;
}

static int write_sealed(struct kh *k, int fd, const uint8_t *id)
{
	uint8_t file[SEALED_LEN], *cost = file + HEAD_LEN + KS_ROOT_ID;
	char head[HEAD_LEN + 1];
	struct kc_scrypt s;
	int r;

	if (!kc_scrypt_new(&s))
		return kh_fail(k, KH_INTERNAL, "no random numbers to seal the root key");
	snprintf(head, sizeof(head), "%s2\n", magic);
	memcpy(file, head, HEAD_LEN);
	memcpy(file + HEAD_LEN, id, KS_ROOT_ID);
	cost[0] = s.log_n;
	cost[1] = s.r;
	cost[2] = s.p;
	memcpy(cost + 3, s.salt, sizeof(s.salt));
	if (ks_seal_key(k, &s))
		return -1;
	r = kh_seal(k->secrets->kek, file, AAD_LEN, k->secrets->root, KH_KEY_SIZE, file + AAD_LEN);
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	if (r)
		return kh_fail(k, KH_INTERNAL, "cannot seal the root key");
	return write(fd, file, SEALED_LEN) == (ssize_t)SEALED_LEN && !fsync(fd) ? 0 : -1;
}

/*
 * The blocks of a file that was replaced are free, not empty. Zeros go where the key
 * was; a filesystem that copies on write, or a disk that moves blocks, keeps it all
 * the same, which local-keystore.md says.
 */
static void wipe(int fd)
{
	static const uint8_t zeros[SEALED_LEN];

	if (fd < 0)
		return;
	if (pwrite(fd, zeros, sizeof(zeros), 0) == (ssize_t)sizeof(zeros))
		fsync(fd);
	close(fd);
}

int ks_root_write(struct kh *k, int dir, const struct ks_root *root, bool replace)
{
	int fd, old = -1, r;

	/* the directory is locked: a file that is there was left by a process that died */
	unlinkat(dir, NEW_NAME, 0);
	fd = openat(dir, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		r = -1;
	else if (root->seal == KS_SEAL_NONE)
		r = write_plain(fd, root->id, k->secrets->root);
	else
		r = write_sealed(k, fd, root->id);
	if (fd >= 0 && close(fd))
		r = -1;
	if (!r && replace)
		old = openat(dir, NAME, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	/* never over an existing key unasked, whatever came of the lock */
	if (!r)
		r = renameat2(dir, NEW_NAME, dir, NAME, replace ? 0 : RENAME_NOREPLACE);
	if (!r)
		r = fsync(dir);
	if (r) {
		kh_fail(k, errno == ENOSPC || errno == EIO ? KH_INTERNAL : KH_ACCESS_DENIED,
			"cannot create %s/" NAME ": %s", k->state_dir, strerror(errno));
		unlinkat(dir, NEW_NAME, 0);
		if (old >= 0)
			close(old);
		return -1;
	}
	wipe(old);
	return 0;
}

int ks_root_create(struct kh *k, int dir)
{
	struct ks_root root = { .seal = ks_configured_seal(k) };

	if (RAND_bytes(root.id, sizeof(root.id)) != 1 || RAND_priv_bytes(k->secrets->root, KH_KEY_SIZE) != 1)
		return kh_fail(k, KH_INTERNAL, "no random numbers for the root key");
	return ks_root_write(k, dir, &root, false);
}
