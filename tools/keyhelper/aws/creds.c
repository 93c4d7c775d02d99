// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The chain of sources, and what is kept of the one that had credentials: they are
 * asked for with every request, and fetched again before they end.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "creds-private.h"

#define REFRESH 300	/* seconds before the end; temporary ones are good for 900 at least */
#define AGAIN 30	/* seconds until the next try to refresh what is still good */

static enum aws_found (*const sources[])(struct kh *k, struct aws_creds *c) = {
	aws_creds_env, aws_creds_web, aws_creds_profile, aws_creds_container, aws_creds_imds,
};

static struct {
	struct aws_creds creds;
	char source[512];
	int64_t tried;	/* to refresh them, and it failed */
} kept;

const char *aws_env(const char *name)
{
	const char *s = getenv(name);

	return s && *s ? s : NULL;
}

bool aws_env_true(const char *name)
{
	const char *s = getenv(name);

	return s && !strcasecmp(s, "true");
}

/* What can stand in a header: no blanks, no control characters, nothing that is not ASCII. */
static bool plain(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static char *copy(const char *s)
{
	size_t size = strlen(s) + 1;
	char *p = kc_secret_alloc(size, NULL);

	if (p)
		memcpy(p, s, size);
	return p;
}

static void drop(char **s)
{
	if (*s)
		kc_secret_free(*s, strlen(*s) + 1);
	*s = NULL;
}

void aws_creds_wipe(struct aws_creds *c)
{
	drop(&c->secret);
	drop(&c->session_token);
	memset(c, 0, sizeof(*c));
}

int aws_creds_set(struct kh *k, struct aws_creds *c, const char *id, const char *secret, const char *token,
		  int64_t expires, const char *source, ...)
{
	struct aws_creds n = { .expires = expires, .source = kept.source };
	char shown[sizeof(kept.source)];
	va_list ap;

	va_start(ap, source);
	vsnprintf(shown, sizeof(shown), source, ap);
	va_end(ap);
	if (!*id || strlen(id) >= sizeof(n.access_key) || !plain(id) || !*secret || !plain(secret) ||
	    (token && !plain(token))) {
		kh_fail(k, KH_CREDENTIALS, "the AWS credentials of %s have blanks or strange characters in them, or are empty",
			shown);
		return kh_next(k, "correct them; none was sent anywhere");
	}
	memcpy(n.access_key, id, strlen(id) + 1);
	n.secret = copy(secret);
	if (token && *token)
		n.session_token = copy(token);
	if (!n.secret || (token && *token && !n.session_token)) {
		aws_creds_wipe(&n);
		return kh_fail(k, KH_NO_MEMORY, "out of memory for credentials");
	}
	aws_creds_wipe(c);
	memcpy(kept.source, shown, sizeof(shown));
	*c = n;
	return 0;
}

/* The first source that is configured. */
static int ask(struct kh *k, struct aws_creds *c)
{
	char config[PATH_MAX], credentials[PATH_MAX];
	enum aws_found r = AWS_NONE;
	size_t i;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]) && r == AWS_NONE; i++)
		r = sources[i](k, c);
	aws_process_dismiss();
	if (r != AWS_NONE)
		return r;
	aws_files_paths(k, config, credentials);
	kh_fail(k, KH_CREDENTIALS,
		"there are no AWS credentials: none in the environment, no web identity, no profile \"%s\" in %s%s%s, "
		"no container's, and the instance metadata service is switched off",
		aws_env("AWS_PROFILE") ? aws_env("AWS_PROFILE") : "default", config,
		*credentials ? " or " : "", credentials);
	return kh_next(k, "give this host a role, or write a profile into the file that aws_config_file in kcache.conf names");
}

static bool ends_within(const struct aws_creds *c, int64_t seconds)
{
	return c->expires && c->expires - time(NULL) <= seconds;
}

int aws_creds_get(struct kh *k, bool fresh, struct aws_creds *out)
{
	struct aws_creds n = { 0 };
	char source[sizeof(kept.source)];
	bool have = kept.creds.secret && !fresh && !ends_within(&kept.creds, 0);

	if (have && (!ends_within(&kept.creds, REFRESH) || time(NULL) - kept.tried < AGAIN)) {
		*out = kept.creds;
		return 0;
	}
	memcpy(source, kept.source, sizeof(source));
	if (!ask(k, &n)) {
		aws_creds_wipe(&kept.creds);
		kept.creds = n;
		kept.tried = 0;
		*out = kept.creds;
		return 0;
	}
	memcpy(kept.source, source, sizeof(source));
	if (!have)
		return -1;
	/* the old ones are good for some minutes: what failed may come back by then */
	kh_forget(k);
	kept.tried = time(NULL);
	*out = kept.creds;
	return 0;
}

int aws_creds_prepare(void)
{
	return aws_process_start();
}

void aws_creds_close(void)
{
	aws_creds_wipe(&kept.creds);
	memset(&kept, 0, sizeof(kept));
	aws_imds_close();
	aws_process_close();
}
