/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A time that somebody typed: --since WHEN. */
#ifndef KC_WHEN_H
#define KC_WHEN_H

#include <time.h>

#include "error.h"

#define KC_WHEN_LEN 24	/* 2026-11-25T02:40:00.123Z, as events have it */

/**
 * kc_when() - a time, as the audit log writes it: UTC, to be compared as text
 * @text: 2026-11-25T02:40:00Z, with an offset or a fraction too; 2026-11-25, today or
 *	yesterday: from midnight on, local time; 90s, 30m, 2h, 3d, 1w: so long before @now
 *
 * Return: 0, or KC_USAGE for anything else.
 */
int kc_when(const char *text, time_t now, char out[static KC_WHEN_LEN + 1], struct kc_error *err);

#endif
