/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that look at mounts share. */
#ifndef KC_BLK_PRIVATE_H
#define KC_BLK_PRIVATE_H

#include <stdbool.h>
#include <sys/types.h>

struct libmnt_fs;

/** kc_blk_fs_is_on() - does a mounted filesystem stand on @dev, directly or further down? */
bool kc_blk_fs_is_on(struct libmnt_fs *fs, dev_t dev);

#endif
