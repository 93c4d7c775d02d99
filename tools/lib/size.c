// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes as people write them, and nothing else. */
#include <stddef.h>
#include <string.h>

#include "size.h"

bool kc_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KkMmGgTtPpEe";
	const char *unit;
	uint64_t n = 0;
	long i;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*bytes = n;
	if (!n || !*text)
		return n != 0;
	unit = strchr(units, *text);
	if (!unit || (text[1] && strcmp(text + 1, "iB") != 0))
		return false;
	for (i = (unit - units) / 2; i >= 0; i--) {
		if (n > UINT64_MAX / 1024)
			return false;
		n *= 1024;
	}
	*bytes = n;
	return true;
}
