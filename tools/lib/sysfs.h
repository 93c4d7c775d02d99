/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says of itself in small files. */
#ifndef KC_SYSFS_H
#define KC_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** kc_sysfs_line() - the first line of a file, without its line feed, cut to fit; false if there is none */
bool kc_sysfs_line(const char *path, char *buf, size_t size);

/** kc_sysfs_devno() - "major:minor"; false if there is no such file, or something else in it */
bool kc_sysfs_devno(const char *path, dev_t *dev);

#endif
