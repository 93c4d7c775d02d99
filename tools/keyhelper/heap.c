// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The heap of a key helper: whoever frees a block, it is wiped. json-c, stdio and
 * the resolver hold copies of what they read and take no allocator, so the program
 * brings the C library's own free() and realloc(), which all libraries in it use
 * ("Replacing malloc" in the manual of glibc).
 *
 * Linked into the helpers' programs only, never into a test under a sanitizer,
 * which replaces the same functions.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void __libc_free(void *p);
void *__libc_malloc(size_t size);

void free(void *p)
{
	int e = errno;

	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
	errno = e;
}

/* Never in place: what is cut off, or left behind by a move, would stay as it was. */
void *realloc(void *p, size_t size)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *q;

	if (p && !size) {
		free(p);
		return NULL;
	}
	q = __libc_malloc(size);
	if (q && p) {
		memcpy(q, p, old < size ? old : size);
		free(p);
	}
	return q;
}
