/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DEK's way into the kernel: a logon key in the process keyring, for the
 * moment in which the target reads it. Never the session or user keyring, where
 * other processes would find it.
 */
#ifndef KC_KEYRING_H
#define KC_KEYRING_H

#include <stdint.h>

#include "secret.h"
#include "token.h"

/* "kcache:<uuid>:<16 hex digits>" and a NUL */
#define KC_KEY_DESC_MAX (7 + KC_UUID_LEN + 1 + 16 + 1)

/**
 * struct kc_keyring - the key while it is there
 * @serial: 0 for none
 * @desc: its description; the nonce keeps two attachments of one UUID apart
 */
struct kc_keyring {
	int32_t serial;
	char desc[KC_KEY_DESC_MAX];
};

/**
 * kc_keyring_add() - put a DEK there, with a timeout before anybody can use it
 *
 * Return: 0; KC_NOMEM over the key quota; KC_DEVICE where the kernel has no logon keys.
 */
int kc_keyring_add(struct kc_keyring *k, const char *uuid, const uint8_t dek[static KC_DEK_SIZE],
		   struct kc_error *err);

/** kc_keyring_drop() - revoke (the payload is freed at once) and unlink; nothing to do if there is none */
int kc_keyring_drop(struct kc_keyring *k, struct kc_error *err);

#endif
