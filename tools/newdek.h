/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kcache clone --new-dek: the data of a bit copy under a DEK of its own, encrypted anew in place. */
#ifndef KC_NEWDEK_H
#define KC_NEWDEK_H

#include "recipient.h"

/**
 * kc_newdek_begin() - make the new DEK, and write the operation into the header
 * @c: claimed; c->h is read anew, with the operation
 * @only: the one key that is to be a recipient of the clone, or NULL for those of the original
 *
 * Until it returns 0 the volume is what it was.
 */
int kc_newdek_begin(struct kc_change *c, const struct kc_key_info *only);

/**
 * kc_newdek_run() - encrypt all data anew, from where an earlier run stopped, then write the new header
 * @named: a key that need not be pinned, or NULL
 *
 * After an error, and after a signal, nothing is mapped and no key is left, and it can be run again.
 */
int kc_newdek_run(struct kc_change *c, const char *named);

/** kc_newdek_tidy() - remove what a run that was killed has left mapped; c->h has the operation */
int kc_newdek_tidy(struct kc_change *c);

#endif
