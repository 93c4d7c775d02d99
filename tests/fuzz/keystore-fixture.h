/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A key helper's state with a real keystore under it, which is put back to what it
 * was whenever an input has changed it.
 */
#ifndef KC_FUZZ_KEYSTORE_FIXTURE_H
#define KC_FUZZ_KEYSTORE_FIXTURE_H

#include "provider.h"

/**
 * keystore_up() - a keystore with one key, local:alias/kcache, in fuzz_dir()
 * @k: opened on it, without a deadline
 * @key: receives the key's canonical id, KC_KEY_NAME_MAX bytes
 */
void keystore_up(struct kh *k, char *key);

/** keystore_reset() - as keystore_up() left it; @k is ready for the next input */
void keystore_reset(struct kh *k);

#endif
