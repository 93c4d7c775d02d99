// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's functions for dm-kcache/table.c and status.c that the C library
 * does not have, or has with another meaning.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kernel-shim.h"

/* lib/kstrtox.c: one '+', digits, one line feed, and nothing else; no wrapping around. */
int kstrtou64(const char *s, unsigned int base, u64 *res)
{
	u64 v = 0;

	if (base != 10)
		__builtin_trap();
	if (*s == '+')
		s++;
	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (u64)(*s - '0'), &v))
			return -ERANGE;
	if (*s == '\n')
		s++;
	if (*s)
		return -EINVAL;
	*res = v;
	return 0;
}

int kstrtouint(const char *s, unsigned int base, unsigned int *res)
{
	u64 v;
	int r = kstrtou64(s, base, &v);

	if (r)
		return r;
	if (v != (unsigned int)v)
		return -ERANGE;
	*res = (unsigned int)v;
	return 0;
}

/* As snprintf(), but returns what has been written. */
int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!size)
		return 0;
	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n < 0 ? 0 : (size_t)n >= size ? (int)size - 1 : n;
}
