// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A free() that wipes, for every library in this process: a symbol of the
 * program comes before the C library's. What a block really holds is asked of
 * the allocator, so also what lies beyond the size that was asked for goes.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "foreign.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#endif

/* The sanitizer's allocator is its own, and finds more if left alone. */
#ifndef SANITIZED

/* glibc's own names for what is replaced here */
extern void __libc_free(void *p);

void free(void *p)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

/* never in place or moved by the C library: that leaves the old block as it was */
void *realloc(void *p, size_t size)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *q;

	if (p && !size) {
		free(p);
		return NULL;
	}
	if (p && size <= old && size >= old / 2)
		return p;
	q = malloc(size);
	if (q && p) {
		memcpy(q, p, old < size ? old : size);
		free(p);
	}
	return q;
}

#endif

void __attribute__((noinline)) kh_wipe_stack(void)
{
	uint8_t below[65536];

	explicit_bzero(below, sizeof(below));
}
