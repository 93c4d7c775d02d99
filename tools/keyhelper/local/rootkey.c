// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keystore.key, the root key: one file, so that it can be sealed (TPM,
 * systemd credential) or kept elsewhere without touching the database.
 *
 * Format 1: "kcache-root-key 1\n", then 16 bytes of id, which the database
 * remembers, then 32 bytes of key. A sealed form is another format.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "keystore.h"

#define NAME "keystore.key"
#define NEW_NAME "keystore.key.new"

static const char magic[] = "kcache-root-key 1\n";

#define MAGIC_LEN (sizeof(magic) - 1)
#define FILE_LEN (MAGIC_LEN + KS_ROOT_ID + KH_KEY_SIZE)

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

/* Straight from the file to the secret's own pages: read() of one buffer would leave a copy. */
static int read_parts(int fd, char *head, struct ks_root *root, uint8_t *key)
{
	char more;

	if (read(fd, head, MAGIC_LEN) != (ssize_t)MAGIC_LEN ||
	    read(fd, root->id, KS_ROOT_ID) != KS_ROOT_ID ||
	    read(fd, key, KH_KEY_SIZE) != KH_KEY_SIZE || read(fd, &more, 1) != 0)
		return -1;
	return memcmp(head, magic, MAGIC_LEN) ? -1 : 0;
}

int ks_root_load(struct kh *k, int dir, struct ks_root *root)
{
	int fd = openat(dir, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char head[MAGIC_LEN];
	int r;

	if (fd < 0)
		return kh_fail(k, KH_ACCESS_DENIED, "cannot read %s/" NAME ": %s", k->state_dir,
			       strerror(errno));
	r = read_parts(fd, head, root, k->secrets->root);
	close(fd);
	if (r)
		return kh_fail(k, KH_UNAVAILABLE, "%s/" NAME " is damaged: it is no root key of %zu bytes",
			       k->state_dir, FILE_LEN);
	return 0;
}

static int write_parts(int fd, const uint8_t *id, const uint8_t *key)
{
	if (write(fd, magic, MAGIC_LEN) != (ssize_t)MAGIC_LEN || write(fd, id, KS_ROOT_ID) != KS_ROOT_ID ||
	    write(fd, key, KH_KEY_SIZE) != KH_KEY_SIZE)
		return -1;
	return fsync(fd);
}

int ks_root_create(struct kh *k, int dir)
{
	uint8_t id[KS_ROOT_ID];
	int fd, r;

	if (RAND_bytes(id, sizeof(id)) != 1 || RAND_priv_bytes(k->secrets->root, KH_KEY_SIZE) != 1)
		return kh_fail(k, KH_INTERNAL, "no random numbers for the root key");
	/* the directory is locked: a file that is there was left by a process that died */
	unlinkat(dir, NEW_NAME, 0);
	fd = openat(dir, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -1 : write_parts(fd, id, k->secrets->root);
	if (fd >= 0 && close(fd))
		r = -1;
	/* never over an existing key, whatever came of the lock */
	if (!r)
		r = renameat2(dir, NEW_NAME, dir, NAME, RENAME_NOREPLACE);
	if (!r)
		r = fsync(dir);
	if (r) {
		kh_fail(k, errno == ENOSPC || errno == EIO ? KH_INTERNAL : KH_ACCESS_DENIED,
			"cannot create %s/" NAME ": %s", k->state_dir, strerror(errno));
		unlinkat(dir, NEW_NAME, 0);
	}
	return r;
}
