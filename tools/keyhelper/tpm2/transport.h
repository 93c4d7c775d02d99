/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way to a TPM: a TCTI of our own, which keeps the deadline. */
#ifndef KT_TRANSPORT_H
#define KT_TRANSPORT_H

#include <tss2/tss2_tcti.h>

#include "provider.h"

/**
 * struct kt_transport - one connection
 * @common: first: what tpm2-tss sees
 * @fd: the device or the socket, nonblocking
 * @borrowed: @fd is the one of kt_prepare(), which stays open
 * @late: the deadline passed while the TPM was silent
 * @broken: errno of what went wrong, for the message
 * @buf, @len: the answer, as far as it has come
 */
struct kt_transport {
	TSS2_TCTI_CONTEXT_COMMON_V1 common;
	struct kh *k;
	int fd;
	bool borrowed;
	bool late;
	int broken;
	uint8_t buf[TPM2_MAX_RESPONSE_SIZE];
	size_t len;
};

/** kt_connect() - 0, or -1 after kh_fail() */
int kt_connect(struct kh *k, const char *tcti, struct kt_transport *t);
void kt_disconnect(struct kt_transport *t);

#endif
