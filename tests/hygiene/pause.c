// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LD_PRELOAD: stops a program in the middle of an attach, where a key is on its
 * way, for whoever kills it there. PAUSE_AT says where, PAUSE_FILE is made when it
 * is reached:
 *
 *	unwrapped	in the key helper, the DEK has just been decrypted
 *	verified	in kcache, before the DEK goes into the kernel's keyring
 *	keyring		in kcache, the DEK is there and the table is about to be loaded
 *	loaded		in kcache, the kernel has just loaded the table
 *
 * With KNOWN_KEY set, a key that is asked of the kernel's random numbers (create
 * --ephemeral) is one that the search knows (run.sh). It is computed where it goes to, so
 * that this is no place where it is found.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <keyutils.h>
#include <linux/dm-ioctl.h>
#include <openssl/evp.h>

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static void pause_at(const char *where)
{
	/* the key helper's filter lets it do this, and no pause() */
	const struct timespec second = { .tv_sec = 1 };
	const char *want = getenv("PAUSE_AT"), *file = getenv("PAUSE_FILE");

	if (!want || !file || strcmp(want, where))
		return;
	if (open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0)
		abort();
	for (;;)
		nanosleep(&second, NULL);
}

/* The second one: the first opens the key that the DEK is wrapped under. */
int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *len)
{
	int r = REAL(EVP_DecryptFinal_ex)(ctx, out, len);
	static int done;

	if (++done == 2)
		pause_at("unwrapped");
	return r;
}

key_serial_t add_key(const char *type, const char *desc, const void *payload, size_t len, key_serial_t ring)
{
	pause_at("verified");
	return REAL(add_key)(type, desc, payload, len, ring);
}

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	uint8_t *p = buf;
	uint32_t x = 1;
	size_t i;

	if (!getenv("KNOWN_KEY") || len != 64)
		return REAL(getrandom)(buf, len, flags);
	for (i = 0; i < len; i++) {
		x = x * 1103515245 + 12345;
		p[i] = (uint8_t)(x >> 16);
	}
	return (ssize_t)len;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == DM_TABLE_LOAD)
		pause_at("keyring");
	r = REAL(ioctl)(fd, request, arg);
	if (request == DM_TABLE_LOAD)
		pause_at("loaded");
	return r;
}
