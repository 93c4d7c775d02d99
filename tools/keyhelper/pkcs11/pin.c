// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the PIN comes from: the file that the key's name says, the one of
 * kcache.conf, systemd's credential, or who sits at the terminal (asked by the
 * command, which hands it over in the shared mapping).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kms-wire.h"
#include "token.h"

#define CREDENTIAL "kcache.pkcs11-pin"

static int denied(struct kh *k, const char *file, const char *why)
{
	kh_fail(k, KH_ACCESS_DENIED, "the PIN file %.300s %s", file, why);
	return kh_next(k, "make it a file of root's own, mode 0600, that holds the PIN alone");
}

/* As much as the file has, less one newline at the end. */
static int read_pin(struct kh *k, const char *file, int fd)
{
	char *pin = k->secrets->pin;
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(k->secrets->pin)) {
		n = read(fd, pin + len, sizeof(k->secrets->pin) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return denied(k, file, strerror(errno));
		if (!n)
			break;
		len += (size_t)n;
	}
	if (len && pin[len - 1] == '\n')
		len--;
	if (!len || len == sizeof(k->secrets->pin) || memchr(pin, '\n', len) || memchr(pin, '\0', len)) {
		explicit_bzero(pin, sizeof(k->secrets->pin));
		return denied(k, file, "does not hold a PIN alone");
	}
	pin[len] = '\0';
	k->secrets->pin_len = len;
	return 0;
}

static int pin_of_file(struct kh *k, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	if (fd < 0) {
		kh_fail(k, errno == EACCES ? KH_ACCESS_DENIED : KH_CREDENTIALS, "cannot open the PIN file %.300s: %s", file,
			strerror(errno));
		return kh_next(k, "write the PIN into it, mode 0600, or correct pkcs11_pin_file in kcache.conf");
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		r = denied(k, file, "is no file");
	else if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IRWXG | S_IRWXO)))
		r = denied(k, file, "can be read by others");
	else
		r = read_pin(k, file, fd);
	close(fd);
	return r;
}

int kp_pin(struct kh *k, const struct kp *p)
{
	const char *setting = kh_setting(k, "pkcs11_pin_file"), *dir = getenv("CREDENTIALS_DIRECTORY");
	char credential[PATH_MAX] = "";

	if (k->secrets->pin_len)
		return 0;
	if (p->pin_file[0])
		return pin_of_file(k, p->pin_file);
	if (setting)
		return pin_of_file(k, setting);
	if (dir && dir[0] == '/')
		snprintf(credential, sizeof(credential), "%.3900s/" CREDENTIAL, dir);
	if (credential[0] && !access(credential, F_OK))
		return pin_of_file(k, credential);
	kh_fail(k, KH_CREDENTIALS, "the token wants a PIN, and there is none");
	kh_next(k, "set pkcs11_pin_file in kcache.conf, or give systemd credential " CREDENTIAL);
	return kh_name(k, KC_WIRE_PIN_REQUIRED);
}
