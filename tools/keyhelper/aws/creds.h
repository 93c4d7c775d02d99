/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where AWS credentials and the region come from. */
#ifndef KH_AWS_CREDS_H
#define KH_AWS_CREDS_H

#include <stdbool.h>
#include <stdint.h>

#include "provider.h"

/**
 * struct aws_creds - credentials
 * @access_key: its id, no secret
 * @secret: in memory of kc_secret_alloc()
 * @session_token: in memory of kc_secret_alloc(), NULL for none
 * @expires: seconds since the epoch, 0 for never
 * @source: where they come from, for messages
 */
struct aws_creds {
	char access_key[128];
	char *secret;
	char *session_token;
	int64_t expires;
	const char *source;
};

/**
 * aws_creds_get() - the host's credentials; they stay the module's own
 * @fresh: those from before were refused: fetch them anew
 *
 * Return: 0, or -1 after kh_fail() with KH_CREDENTIALS or KH_UNREACHABLE.
 */
int aws_creds_get(struct kh *k, bool fresh, struct aws_creds *out);

/** aws_region() - the configured region, NULL if there is none */
const char *aws_region(struct kh *k);

/** aws_creds_close() - wipe what is kept */
void aws_creds_close(void);

#endif
