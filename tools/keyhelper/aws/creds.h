/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where AWS credentials and the region come from: the first of these that is
 * configured, in the order of AWS's own SDKs. One that is configured and fails is
 * the answer: the next one would be another identity.
 *
 *   1. the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   2. a web identity: AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME
 *   3. a profile (AWS_PROFILE, or "default"): keys, a role of another profile or source, a
 *	credential_process (creds-profile.c; which files: creds-files.c)
 *   4. a container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
 *   5. the instance metadata service, version 2 only
 *
 * Left out: SSO (it needs a browser), and MFA codes (nobody is there to type one);
 * a profile with one is refused by name.
 */
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
 * aws_creds_prepare() - before the sandbox and before any input
 *
 * Starts the process that may run a credential_process (creds-broker.c); it ends
 * with the first aws_creds_get() that needs none.
 */
int aws_creds_prepare(void);

/**
 * aws_creds_get() - the host's credentials; they stay the module's own until the next call
 * @fresh: those from before were refused: fetch them anew
 *
 * Those that end within five minutes are fetched anew, too; where that fails, they
 * are good until they end.
 *
 * Return: 0, or -1 after kh_fail() with KH_CREDENTIALS (there are none, or whoever has
 * them refuses), KH_UNREACHABLE or KH_TIMEOUT.
 */
int aws_creds_get(struct kh *k, bool fresh, struct aws_creds *out);

/** aws_region() - AWS_REGION, AWS_DEFAULT_REGION or the profile's; NULL if there is none */
const char *aws_region(struct kh *k);

/** aws_creds_close() - wipe what is kept, end what was started */
void aws_creds_close(void);

#endif
