/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The helper's side of the messages of kms-wire.h. */
#ifndef KH_SERVE_H
#define KH_SERVE_H

#include "provider.h"

/** kh_add_info() - the members of "key info" (kms.h, kc_kms_admin()); false without memory */
bool kh_add_info(struct json_object *o, const struct kc_key_info *info);

#endif
