/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TPM's response codes as failures of a request. */
#ifndef KT_RC_H
#define KT_RC_H

#include <tss2/tss2_common.h>

#include "transport.h"

/** kt_rc_base() - a code of the TPM's own without which handle, session or parameter it means; 0 for another layer's */
TSS2_RC kt_rc_base(TSS2_RC rc);

/**
 * kt_rc_fail() - record a failure
 * @t: the connection, which knows more about one that broke
 * @what: what was being done, "seal a key"
 *
 * Return: -1
 */
int kt_rc_fail(struct kh *k, const struct kt_transport *t, TSS2_RC rc, const char *what);

#endif
