/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For key helpers in which libraries handle plaintext keys that have no wiping
 * allocator of their own (tpm2-tss, PKCS#11 modules): free() and realloc() of
 * the whole process wipe.
 */
#ifndef KH_FOREIGN_H
#define KH_FOREIGN_H

/** kh_wipe_stack() - what calls that have returned left on the stack */
void kh_wipe_stack(void);

#endif
