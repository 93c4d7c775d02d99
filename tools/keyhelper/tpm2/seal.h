/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A secret sealed by a TPM 2.0 under the values of its PCRs, in two plain calls.
 *
 * Each call talks to the TPM by a connection of its own and leaves nothing in
 * it: no object, no session. The bus shows no secret (parameter encryption), and
 * no library keeps one (Esys is finalized, and free() wipes, see heap.c).
 */
#ifndef KT_SEAL_H
#define KT_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provider.h"

#define KT_PCRS 24		/* what a PC's TPM has */
#define KT_SECRET_MAX 96	/* bytes of a secret; a TPM takes up to 128 */
#define KT_BLOB_MAX 4096
#define KT_TCTI "device:/dev/tpmrm0"	/* the kernel's resource manager */
#define KT_VALUE_MAX 64		/* bytes of a PCR: SHA-512 */

/** struct kt_pcrs - what a secret is sealed to; no PCR: to this TPM alone */
struct kt_pcrs {
	uint16_t bank;		/* TPM_ALG_ID */
	uint32_t mask;		/* bit n for PCR n */
};

/** struct kt_values - of the PCRs of a mask, in ascending order */
struct kt_values {
	size_t n;
	uint8_t v[KT_PCRS][KT_VALUE_MAX];
};

/**
 * kt_pcrs_parse() - "pcrs=7+15", "bank=sha1,pcrs=7", "pcrs=none", "" for none
 *
 * Return: false for anything else: an unknown or repeated word, a PCR twice.
 */
bool kt_pcrs_parse(const char *s, struct kt_pcrs *p);

/** kt_pcrs_format() - the one canonical spelling: PCRs ascending, the bank only if it is not sha256 */
void kt_pcrs_format(const struct kt_pcrs *p, char *out, size_t size);

/** kt_pcr_name() - what a PCR measures, in a word or two; NULL for one with no fixed use */
const char *kt_pcr_name(int pcr);

size_t kt_bank_size(uint16_t bank);		/* bytes of a value; 0 for no bank */
const char *kt_bank_name(uint16_t bank);

/**
 * kt_prepare() - before the sandbox: open the kernel's TPM device, if there is one
 *
 * It belongs to group tss, and no capability is left later that would help.
 */
void kt_prepare(void);

/**
 * kt_seal() - seal @len bytes to the PCRs as they are now
 * @k: failures and the deadline
 * @tcti: "device:PATH", "swtpm:host=ADDRESS,port=N", "swtpm:path=SOCKET"; NULL for KT_TCTI
 * @len: 1 to KT_SECRET_MAX
 * @blob: KT_BLOB_MAX bytes; says which TPM sealed it and what the PCRs were
 *
 * Return: 0, or -1 after kh_fail().
 */
int kt_seal(struct kh *k, const char *tcti, const struct kt_pcrs *p, const uint8_t *secret, size_t len,
	    uint8_t *blob, size_t *blob_len);

/**
 * kt_unseal() - the reverse, to exactly @len bytes
 *
 * A PCR that differs is named. @secret is zeroed on failure.
 */
int kt_unseal(struct kh *k, const char *tcti, const struct kt_pcrs *p, const uint8_t *blob, size_t blob_len,
	      uint8_t *secret, size_t len);

/** kt_describe() - who made the TPM, and whether it has these PCRs */
int kt_describe(struct kh *k, const char *tcti, const struct kt_pcrs *p, char *out, size_t size);

#endif
