/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes in files, for the tests of the header and of the token plugin. */
#ifndef KC_TEST_VOLUME_H
#define KC_TEST_VOLUME_H

#include <stdint.h>

#include "header.h"

#define VOLUME_UUID "6b636163-6865-4a11-8bad-000000000001"
#define VOLUME_KEY "local:11111111-2222-4333-8444-555555555555"
#define VOLUME_SIZE (24 << 20)

/* not secret, and not wrapped under any key: the tests play the KMS */
extern const uint8_t volume_dek[KC_DEK_SIZE];

/** volume_dir() - an empty directory, removed by volume_dir_remove() */
const char *volume_dir(void);
void volume_dir_remove(void);

/** volume_blank() - a sparse file of zeroes, its path until the directory goes; free() it */
char *volume_blank(const char *name, uint64_t size);

/** volume_token() - an unsealed token for a layout */
void volume_token(struct kc_token *t, const struct kc_layout *l);

/** volume_create() - a whole volume in a new file, as kcache create makes it */
char *volume_create(const char *name);

/** volume_copy() - a copy of a volume, to be edited; sparse */
char *volume_copy(const char *path, const char *name);

/** volume_hash() - hex SHA-256 of the whole file */
void volume_hash(const char *path, char hex[static 65]);

#endif
