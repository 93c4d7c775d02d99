// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * OpenSSL's allocator, wiping. OpenSSL clears what it knows to be secret; this
 * clears also what it does not know, by the size that the block really has.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "provider.h"

static void wiping_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *wiping_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void *wiping_realloc(void *p, size_t size, const char *file, int line)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *q;

	if (!size) {
		wiping_free(p, file, line);
		return NULL;
	}
	/* never realloc(): it may leave the old block behind as it was */
	q = malloc(size);
	if (q && p) {
		memcpy(q, p, old < size ? old : size);
		wiping_free(p, file, line);
	}
	return q;
}

int kh_memory_init(void)
{
	if (CRYPTO_set_mem_functions(wiping_malloc, wiping_realloc, wiping_free) != 1)
		return -1;
	/* for what OpenSSL itself asks secure memory for: the random generators' state */
	return CRYPTO_secure_malloc_init(32768, 32) ? 0 : -1;
}
