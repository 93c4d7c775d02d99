/* SPDX-License-Identifier: GPL-2.0-or-later */
/* create --ephemeral, apart from what it shares with create. */
#ifndef KC_EPHEMERAL_H
#define KC_EPHEMERAL_H

struct kc_run;

/** kc_check_ephemeral() - the part of check_create() that is about --ephemeral, given or not */
int kc_check_ephemeral(struct kc_run *r);

/** kc_create_ephemeral() - a handler, with @r->device set */
int kc_create_ephemeral(struct kc_run *r);

#endif
