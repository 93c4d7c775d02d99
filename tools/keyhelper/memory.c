// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An allocator that wipes what is freed, for the libraries that take one (OpenSSL,
 * curl). They clear what they know to be secret; this clears also what they do not
 * know (a buffer that an answer was read into), by the size that the block really has.
 * What takes no allocator (json-c, the C library itself): heap.c.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "provider.h"

void *kh_wiping_malloc(size_t size)
{
	return malloc(size);
}

void *kh_wiping_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void kh_wiping_free(void *p)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *kh_wiping_realloc(void *p, size_t size)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *q;

	/* never realloc(): it may leave the old block behind as it was */
	q = malloc(size);
	if (q && p) {
		memcpy(q, p, old < size ? old : size);
		kh_wiping_free(p);
	}
	return q;
}

char *kh_wiping_strdup(const char *s)
{
	return strdup(s);
}

static void ossl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	kh_wiping_free(p);
}

static void *ossl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return kh_wiping_malloc(size);
}

static void *ossl_realloc(void *p, size_t size, const char *file, int line)
{
	if (size)
		return kh_wiping_realloc(p, size);
	ossl_free(p, file, line);
	return NULL;
}

int kh_memory_init(void)
{
	if (CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free) != 1)
		return -1;
	/* for what OpenSSL itself asks secure memory for: the random generators' state */
	return CRYPTO_secure_malloc_init(32768, 32) ? 0 : -1;
}
