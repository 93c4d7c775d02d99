/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grant that a volume was attached by: its token is kept from attach to detach,
 * when the grant is given back. A grant token is no secret: it works for the grantee
 * alone.
 */
#ifndef KC_GRANT_H
#define KC_GRANT_H

#include "conf.h"
#include "error.h"

#define KC_GRANT_TOKEN_MAX 8192	/* characters, KMS's limit */

/** kc_grant_check() - may this be a grant token? KC_USAGE if not */
int kc_grant_check(const char *token, struct kc_error *err);

/**
 * kc_grant_remember() - keep the grant of a volume that is attached now
 * @uuid: of the volume
 * @key: canonical id of the key that the grant is of
 * @token: its token; NULL: there is none, what was kept before is forgotten
 *
 * Return: 0, or KC_PERM or KC_DEVICE.
 */
int kc_grant_remember(const struct kc_conf *c, const char *uuid, const char *key, const char *token,
		      struct kc_error *err);

/**
 * kc_grant_retire() - give the grant of a detached volume back, if there is one
 *
 * By a process of its own, which has ten seconds: nobody waits for the KMS, and
 * nothing fails if it does not answer; whoever made the grant can revoke it. The
 * grant is forgotten whatever comes of it.
 */
void kc_grant_retire(const struct kc_conf *c, const char *uuid);

#endif
