// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A profile: a role that somebody else's credentials assume (another profile's, or a
 * source's that is named), keys of its own, or a program that prints some. And the
 * region, which may stand there too.
 */
#include <string.h>

#include "aws.h"
#include "creds-private.h"

#define CHAIN_MAX 5	/* roles in a row */

static const char *profile_name(void)
{
	const char *name = aws_env("AWS_PROFILE");

	return name ? name : "default";
}

static enum aws_found resolve(struct kh *k, const struct aws_files *f, const char *name, int depth,
			      struct aws_creds *c);

static int refuse(struct kh *k, const char *name, const char *why, const char *next)
{
	kh_fail(k, KH_CREDENTIALS, "AWS profile \"%s\" %s", name, why);
	return kh_next(k, "%s", next);
}

/* access keys that stand in the file */
static enum aws_found own_keys(struct kh *k, const struct aws_files *f, const char *name, struct aws_creds *c)
{
	const char *id = aws_files_get(f, name, "aws_access_key_id");
	const char *secret = aws_files_get(f, name, "aws_secret_access_key");

	if (!id && !secret)
		return AWS_NONE;
	if (!id || !secret)
		return refuse(k, name, "has one of aws_access_key_id and aws_secret_access_key", "write both, or none");
	return aws_creds_set(k, c, id, secret, aws_files_get(f, name, "aws_session_token"), 0, "profile \"%s\"", name);
}

static enum aws_found by_source(struct kh *k, const char *source, struct aws_creds *c)
{
	if (!strcmp(source, "Environment"))
		return aws_creds_env(k, c);
	if (!strcmp(source, "EcsContainer"))
		return aws_creds_container(k, c);
	if (!strcmp(source, "Ec2InstanceMetadata"))
		return aws_creds_imds(k, c);
	return AWS_NONE;
}

/* Whoever is to assume the role of profile @name. */
static int assumer(struct kh *k, const struct aws_files *f, const char *name, int depth, struct aws_creds *c)
{
	const char *profile = aws_files_get(f, name, "source_profile");
	const char *source = aws_files_get(f, name, "credential_source");
	enum aws_found r = AWS_NONE;

	if (!profile == !source)
		return refuse(k, name, "has a role_arn, but not one of source_profile and credential_source",
			      "say there whose credentials assume the role");
	if (depth == CHAIN_MAX)
		return refuse(k, name, "is at the end of too many source_profile", "look for profiles that lead back to themselves");
	if (source)
		r = by_source(k, source, c);
	else if (!strcmp(profile, name))
		r = own_keys(k, f, name, c);
	else if (aws_files_have(f, profile))
		r = resolve(k, f, profile, depth + 1, c);
	if (r != AWS_NONE)
		return r;
	kh_fail(k, KH_CREDENTIALS, "AWS profile \"%s\" has %s \"%s\", which has no credentials", name,
		source ? "the credential_source" : "the source_profile", source ? source : profile);
	return kh_next(k, "correct it: a profile, or Environment, EcsContainer, Ec2InstanceMetadata");
}

static enum aws_found role(struct kh *k, const struct aws_files *f, const char *name, int depth, struct aws_creds *c)
{
	const struct aws_role a = {
		.arn = aws_files_get(f, name, "role_arn"),
		.session = aws_files_get(f, name, "role_session_name"),
		.external_id = aws_files_get(f, name, "external_id"),
		.duration = aws_files_get(f, name, "duration_seconds"),
		.region = aws_files_get(f, name, "region"),
		.by = name,
	};
	const char *token = aws_files_get(f, name, "web_identity_token_file");

	if (aws_files_get(f, name, "mfa_serial"))
		return refuse(k, name, "needs an MFA code, and nobody is there to type one",
			      "use a role that needs none");
	if (token)
		return aws_sts_web(k, &a, token, c);
	return assumer(k, f, name, depth, c) || aws_sts_assume(k, &a, c) ? AWS_FAILED : AWS_FOUND;
}

static enum aws_found resolve(struct kh *k, const struct aws_files *f, const char *name, int depth,
			      struct aws_creds *c)
{
	enum aws_found r;

	if (aws_files_get(f, name, "role_arn"))
		return role(k, f, name, depth, c);
	r = own_keys(k, f, name, c);
	if (r != AWS_NONE)
		return r;
	if (aws_files_get(f, name, "credential_process"))
		return aws_process_run(k, f, name, c);
	if (aws_files_get(f, name, "sso_session") || aws_files_get(f, name, "sso_start_url"))
		return refuse(k, name, "is one of SSO, which needs a browser: kcache does without it",
			      "use a role, keys or a credential_process: aws configure export-credentials prints some");
	return AWS_NONE;
}

enum aws_found aws_creds_profile(struct kh *k, struct aws_creds *c)
{
	char config[PATH_MAX], credentials[PATH_MAX];
	const char *name = profile_name();
	enum aws_found r = AWS_NONE;
	struct aws_files f;

	if (strlen(name) >= AWS_PROFILE_MAX)
		return kh_fail(k, KH_CREDENTIALS, "AWS_PROFILE is longer than a profile's name");
	aws_files_paths(k, config, credentials);
	if (aws_files_load(k, config, credentials, &f))
		return AWS_FAILED;
	if (aws_files_have(&f, name)) {
		r = resolve(k, &f, name, 0, c);
	} else if (aws_env("AWS_PROFILE")) {
		kh_fail(k, KH_CREDENTIALS, "there is no AWS profile \"%s\" in %s%s%s", name, config,
			*credentials ? " or " : "", credentials);
		r = kh_next(k, "correct AWS_PROFILE");
	}
	aws_files_free(&f);
	/* whoever was to assume a role that could not be assumed */
	if (r != AWS_FOUND)
		aws_creds_wipe(c);
	return r;
}

const char *aws_region(struct kh *k)
{
	char config[PATH_MAX], credentials[PATH_MAX];
	const char *region = aws_env("AWS_REGION");
	static char kept[64];
	struct aws_files f;

	if (!region)
		region = aws_env("AWS_DEFAULT_REGION");
	if (region || *kept)
		return region ? region : kept;
	aws_files_paths(k, config, credentials);
	if (aws_files_load(k, config, credentials, &f))
		return NULL;
	region = aws_files_get(&f, profile_name(), "region");
	if (region && strlen(region) < sizeof(kept))
		memcpy(kept, region, strlen(region) + 1);
	aws_files_free(&f);
	return *kept ? kept : NULL;
}
