// SPDX-License-Identifier: GPL-2.0-or-later
/* Credentials of the environment. */
#include "creds-private.h"

enum aws_found aws_creds_env(struct kh *k, struct aws_creds *c)
{
	const char *id = aws_env("AWS_ACCESS_KEY_ID"), *secret = aws_env("AWS_SECRET_ACCESS_KEY");

	if (!id && !secret)
		return AWS_NONE;
	if (!id || !secret) {
		kh_fail(k, KH_CREDENTIALS, "the environment has %s without %s", id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
			id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
		return kh_next(k, "set both, or none");
	}
	return aws_creds_set(k, c, id, secret, aws_env("AWS_SESSION_TOKEN"), 0, "the environment");
}
