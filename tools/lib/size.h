/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes as people write them: "4096", "512M", "2TiB". */
#ifndef KC_SIZE_H
#define KC_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * kc_parse_size() - bytes, or so many K, M, G, T, P or E of them, each 1024 of the one before
 *
 * "K" and "KiB" are the same. No sign, no blank, no fraction; "KB", which may be 1000, is refused.
 *
 * Return: false if it is no such size, is 0, or does not fit.
 */
bool kc_parse_size(const char *text, uint64_t *bytes);

#endif
