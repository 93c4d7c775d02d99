/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The header area of a device as plain bytes: read, written so that it is known to be on the
 * medium, and destroyed. What the bytes mean is libcryptsetup's business (header.h).
 */
#ifndef KC_AREA_H
#define KC_AREA_H

#include <stddef.h>
#include <stdint.h>

#include "blk.h"

/** KC_AREA_MAX - the most that a LUKS2 header has: two copies of 4 MiB, 128 MiB of keyslots */
#define KC_AREA_MAX (136U << 20)

/** kc_area_read() - exactly @len bytes at @at; KC_DEVICE where they cannot be read */
int kc_area_read(int fd, uint64_t at, uint8_t *buf, size_t len, struct kc_error *err);

/**
 * kc_area_write() - @len bytes at @at, flushed, then read back around the page cache
 * @b: claimed for writing
 * @at: a multiple of 4096, as @len is unless it ends with the device
 *
 * When it returns 0 the medium has them, so that what is written next comes after them.
 */
int kc_area_write(const struct kc_blk *b, uint64_t at, const uint8_t *buf, size_t len, struct kc_error *err);

/**
 * kc_area_random() - as kc_area_write(), with random bytes, which no device can leave out
 */
int kc_area_random(const struct kc_blk *b, uint64_t from, uint64_t to, struct kc_error *err);

/**
 * kc_area_erase() - random bytes, then zeros, each read back as kc_area_write() does
 *
 * A place that cannot be written does not keep the rest: it is told when all is done.
 */
int kc_area_erase(const struct kc_blk *b, uint64_t from, uint64_t to, struct kc_error *err);

#endif
