/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An attached volume that a verb is about to change: found, named, and ours. */
#ifndef KC_LIVE_H
#define KC_LIVE_H

#include "dm.h"
#include "open.h"

struct kc_run;

/**
 * kc_live_get() - the volume that is attached as @r->arg[0]
 *
 * Sets @r->volume and @r->device. KC_DEVICE where there is none, or where somebody has put another
 * target in the place of ours.
 */
int kc_live_get(struct kc_run *r, struct kc_dm *d);

/** kc_live_refuse_vital() - KC_BUSY, without --force, if this host could not go on while I/O to it waits */
int kc_live_refuse_vital(struct kc_run *r, const struct kc_dm *d, const char *doing);

/**
 * kc_live_header() - the header on the device below @d, which device-mapper holds, as it is now
 *
 * KC_TAMPERED if it is another volume's.
 */
int kc_live_header(struct kc_run *r, const struct kc_dm *d, struct kc_volume *v);

/** kc_live_set_key() - give the kernel @v's DEK, which is wiped here; it takes no key but the one that @d had */
int kc_live_set_key(struct kc_run *r, const struct kc_dm *d, struct kc_volume *v);

/** kc_live_print() - with --json: name, uuid, device, state and key state as they are now */
int kc_live_print(struct kc_run *r);

#endif
