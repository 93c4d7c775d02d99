// SPDX-License-Identifier: GPL-2.0-or-later
/* Credentials and region of the environment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "creds.h"

static char *secret_copy(const char *s)
{
	size_t size = strlen(s) + 1;
	char *p = kc_secret_alloc(size, NULL);

	if (p)
		memcpy(p, s, size);
	return p;
}

static struct aws_creds kept;

int aws_creds_get(struct kh *k, bool fresh, struct aws_creds *out)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
	const char *token = getenv("AWS_SESSION_TOKEN");

	(void)fresh;
	if (!kept.secret) {
		if (!id || !*id || !secret || !*secret)
			return kh_fail(k, KH_CREDENTIALS, "there are no AWS credentials: tried the environment");
		snprintf(kept.access_key, sizeof(kept.access_key), "%s", id);
		kept.secret = secret_copy(secret);
		kept.session_token = token && *token ? secret_copy(token) : NULL;
		kept.source = "the environment";
		if (!kept.secret)
			return kh_fail(k, KH_NO_MEMORY, "out of memory");
	}
	*out = kept;
	return 0;
}

const char *aws_region(struct kh *k)
{
	const char *r = getenv("AWS_REGION");

	(void)k;
	if (!r || !*r)
		r = getenv("AWS_DEFAULT_REGION");
	return r && *r ? r : NULL;
}

void aws_creds_close(void)
{
	if (kept.secret)
		kc_secret_free(kept.secret, strlen(kept.secret) + 1);
	if (kept.session_token)
		kc_secret_free(kept.session_token, strlen(kept.session_token) + 1);
	memset(&kept, 0, sizeof(kept));
}
