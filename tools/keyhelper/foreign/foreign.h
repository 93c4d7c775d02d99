/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For key helpers in which libraries of somebody else handle plaintext keys
 * (tpm2-tss, PKCS#11 modules) and leave them where they were.
 */
#ifndef KH_FOREIGN_H
#define KH_FOREIGN_H

/** kh_wipe_stack() - what calls that have returned left on the stack */
void kh_wipe_stack(void);

#endif
