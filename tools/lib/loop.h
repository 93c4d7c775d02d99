/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A loop device for a volume in a file, gone by itself when its last user closes it. */
#ifndef KC_LOOP_H
#define KC_LOOP_H

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

/**
 * kc_loop_setup() - put a loop device on a file
 * @fd: the file, open for what @read_only says
 * @dev: receives the loop device's number
 *
 * Return: a descriptor of the loop device, -1 on error. The loop device goes when
 * this is closed and nobody else has it open: keep it until something stands on it.
 */
int kc_loop_setup(int fd, bool read_only, dev_t *dev, struct kc_error *err);

/**
 * kc_loop_grow() - have a loop device see that its file is larger by now
 * @dev: a block device; nothing is done if it is no loop device
 *
 * A file that is smaller is left alone: what is beyond its end could not even be written any more.
 */
int kc_loop_grow(dev_t dev, struct kc_error *err);

#endif
