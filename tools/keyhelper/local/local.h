/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the two files of the local provider: use of keys, and their administration. */
#ifndef KH_LOCAL_H
#define KH_LOCAL_H

#include "keystore.h"

#define KL_PREFIX "local:"
#define KL_ALIAS "alias/"

/** kl_valid_alias() - "alias/NAME" by KMS's rules */
bool kl_valid_alias(const char *s);

/** kl_resolve() - from any name to the id of a key; the keystore is open, or there is none */
int kl_resolve(struct kh *k, const char *key, char id[static KC_UUID_LEN + 1]);

void kl_info(const struct ks_key *key, struct kc_key_info *info);

int kl_list_aliases(struct kh *k, struct json_object *args, struct json_object *result);
extern const struct kh_admin_op kl_admin[];

#endif
