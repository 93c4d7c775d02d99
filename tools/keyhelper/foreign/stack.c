// SPDX-License-Identifier: GPL-2.0-or-later
/* What a library of somebody else left on the stack; heap.c has what it left in the heap. */
#include <stdint.h>
#include <string.h>

#include "foreign.h"

void __attribute__((noinline)) kh_wipe_stack(void)
{
	uint8_t below[65536];

	explicit_bzero(below, sizeof(below));
}
