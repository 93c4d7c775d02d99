/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The key schedules of AES-256 as drivers keep them: 15 round keys in a row. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_SIZE 240

/** schedule_encrypt() - KeyExpansion() of FIPS 197 */
void schedule_encrypt(const uint8_t key[static 32], uint8_t enc[static SCHEDULE_SIZE]);

/**
 * schedule_decrypt() - that of the equivalent inverse cipher (FIPS 197, 5.3.5)
 *
 * In the order of use, which is how aesni and lib/crypto/aes.c of the kernel keep
 * it: the last round key first, InvMixColumns() applied to all but first and last.
 */
void schedule_decrypt(const uint8_t enc[static SCHEDULE_SIZE], uint8_t dec[static SCHEDULE_SIZE]);

#endif
