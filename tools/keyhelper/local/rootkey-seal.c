// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the root key is sealed with: a passphrase in a file that lies elsewhere
 * (keystore_seal = file:/PATH), or in a credential that systemd hands to a service
 * (keystore_seal = credential:NAME). One line feed at its end does not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kdf.h"
#include "keystore.h"

#define FILE_PREFIX "file:"
#define CREDENTIAL_PREFIX "credential:"
#define PASSPHRASE_MAX 1024

enum ks_seal ks_configured_seal(const struct kh *k)
{
	const char *s = kh_setting(k, "keystore_seal");

	if (!s)
		return KS_SEAL_NONE;
	return strncmp(s, FILE_PREFIX, strlen(FILE_PREFIX)) ? KS_SEAL_CREDENTIAL : KS_SEAL_FILE;
}

const char *ks_seal_name(enum ks_seal seal)
{
	static const char *const names[] = {
		[KS_SEAL_NONE] = "none", [KS_SEAL_FILE] = "file", [KS_SEAL_CREDENTIAL] = "credential",
	};

	return names[seal];
}

static int seal_path(struct kh *k, char out[static PATH_MAX])
{
	const char *s = kh_setting(k, "keystore_seal"), *dir = getenv("CREDENTIALS_DIRECTORY");

	if (ks_configured_seal(k) == KS_SEAL_FILE) {
		snprintf(out, PATH_MAX, "%s", s + strlen(FILE_PREFIX));
		return 0;
	}
	if (!dir || *dir != '/') {
		kh_fail(k, KH_CREDENTIALS, "the keystore is sealed with %s, and there are no credentials here", s);
		return kh_next(k, "run it in a service with LoadCredential= or LoadCredentialEncrypted=, or with systemd-run -p");
	}
	snprintf(out, PATH_MAX, "%s/%s", dir, s + strlen(CREDENTIAL_PREFIX));
	return 0;
}

/* Whoever can read it can unseal, so it is guarded as keystore.key is; systemd guards its credentials itself. */
static int check_owner(struct kh *k, int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return kh_fail(k, KH_CREDENTIALS, "%s is not a regular file", path);
	if (ks_configured_seal(k) == KS_SEAL_CREDENTIAL ||
	    ((st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 077)))
		return 0;
	kh_fail(k, KH_CREDENTIALS, "%s may be read by others (owner %u, mode %04o)", path, (unsigned int)st.st_uid,
		(unsigned int)(st.st_mode & 07777));
	return kh_next(k, "chmod 600 %s, and if it was read, seal with another", path);
}

static int read_passphrase(struct kh *k, char *out, size_t *len)
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd;

	if (seal_path(k, path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && check_owner(k, fd, path)) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		n = read(fd, out, PASSPHRASE_MAX + 1);
	if (n < 0)
		kh_fail(k, KH_CREDENTIALS, "cannot read %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return kh_next(k, "put there what the keystore is sealed with");
	*len = (size_t)n;
	if (n && out[n - 1] == '\n')
		(*len)--;
	if (*len && n <= PASSPHRASE_MAX)
		return 0;
	kh_fail(k, KH_CREDENTIALS, "%s is empty, or has more than %d bytes", path, PASSPHRASE_MAX);
	return kh_next(k, "make one: openssl rand -base64 -out %s 32", path);
}

int ks_seal_key(struct kh *k, const struct kc_scrypt *s)
{
	struct kc_error err = { 0 };
	char *passphrase = kc_secret_alloc(PASSPHRASE_MAX + 1, &err);
	size_t len = 0;
	int r = passphrase ? read_passphrase(k, passphrase, &len) : kh_fail(k, KH_NO_MEMORY, "%s", err.text);

	if (!r && kc_scrypt(s, passphrase, len, k->secrets->kek, &err))
		r = kh_fail(k, err.code == KC_NOMEM ? KH_NO_MEMORY : KH_UNAVAILABLE, "%s/keystore.key: %s", k->state_dir,
			    err.text);
	kc_secret_free(passphrase, PASSPHRASE_MAX + 1);
	return r;
}
