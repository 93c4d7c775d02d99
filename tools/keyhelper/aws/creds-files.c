// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which files hold profiles. The command runs for people, who have the files of the
 * AWS command line, and at boot, where nobody has a home directory:
 *
 *	config		AWS_CONFIG_FILE, or aws_config_file of kcache.conf, or ~/.aws/config
 *			where it is there, or /etc/kcache/aws
 *	credentials	AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "creds-private.h"

#define AWS_CONFIG_DEFAULT "/etc/kcache/aws"

/* @name in the home directory, "" without one. */
static void at_home(const char *name, char out[static PATH_MAX])
{
	const char *home = aws_env("HOME");

	if (!home || *home != '/' || snprintf(out, PATH_MAX, "%s/.aws/%s", home, name) >= PATH_MAX)
		*out = '\0';
}

static bool given(const char *path, char out[static PATH_MAX])
{
	return path && snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
}

void aws_files_paths(const struct kh *k, char config[static PATH_MAX], char credentials[static PATH_MAX])
{
	if (!given(aws_env("AWS_CONFIG_FILE"), config) && !given(kh_setting(k, "aws_config_file"), config)) {
		at_home("config", config);
		if (!*config || access(config, F_OK))
			snprintf(config, PATH_MAX, "%s", AWS_CONFIG_DEFAULT);
	}
	if (!given(aws_env("AWS_SHARED_CREDENTIALS_FILE"), credentials))
		at_home("credentials", credentials);
}

int aws_files_load(struct kh *k, const char *config, const char *credentials, struct aws_files *f)
{
	memset(f, 0, sizeof(*f));
	if (aws_ini_load(k, credentials, true, &f->credentials))
		return -1;
	if (!aws_ini_load(k, config, false, &f->config))
		return 0;
	aws_files_free(f);
	return -1;
}

const char *aws_files_get(const struct aws_files *f, const char *profile, const char *key)
{
	const char *v = aws_ini_get(&f->credentials, profile, key);

	if (!v || !*v)
		v = aws_ini_get(&f->config, profile, key);
	return v && *v ? v : NULL;
}

bool aws_files_have(const struct aws_files *f, const char *profile)
{
	return aws_ini_get(&f->credentials, profile, NULL) || aws_ini_get(&f->config, profile, NULL);
}

void aws_files_free(struct aws_files *f)
{
	aws_ini_free(&f->credentials);
	aws_ini_free(&f->config);
}
