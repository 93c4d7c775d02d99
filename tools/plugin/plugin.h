/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libcryptsetup calls in a token plugin, ABI 1.0 (libcryptsetup.h, "External token"). */
#ifndef KC_PLUGIN_H
#define KC_PLUGIN_H

#include <stddef.h>

struct crypt_device;

/**
 * cryptsetup_token_open() - the passphrase of keyslot 0, unwrapped by the token's KMS
 *
 * Return: 0; -EAGAIN if the KMS cannot be reached for now; -EPERM if it or a rule
 * refuses; -ENOENT if there is no such token; -ENOMEM; -EINVAL. The reason is
 * logged as an error of @cd.
 */
int cryptsetup_token_open(struct crypt_device *cd, int token, char **buffer, size_t *buffer_len,
			  void *usrptr);
void cryptsetup_token_buffer_free(void *buffer, size_t buffer_len);
int cryptsetup_token_validate(struct crypt_device *cd, const char *json);
void cryptsetup_token_dump(struct crypt_device *cd, const char *json);
const char *cryptsetup_token_version(void);

#endif
