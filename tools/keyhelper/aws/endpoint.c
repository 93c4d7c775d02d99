// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which host is asked. It is made of a region that passed its grammar and of the
 * domain of that region's partition; another one only by the environment of who
 * runs the command, and then with a certificate for its name.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws.h"
#include "strict.h"

/* The first whose prefix fits; a partition without FIPS endpoints has no "fips". */
static const struct {
	const char *prefix;
	const char *partition;
	const char *domain;
	bool fips;
} partitions[] = {
	{ "cn-", "aws-cn", "amazonaws.com.cn", false },
	{ "us-gov-", "aws-us-gov", "amazonaws.com", true },
	{ "us-iso-", "aws-iso", "c2s.ic.gov", true },
	{ "us-isob-", "aws-iso-b", "sc2s.sgov.gov", true },
	{ "eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", true },
	{ "us-isof-", "aws-iso-f", "csp.hci.ic.gov", true },
	{ "", "aws", "amazonaws.com", true },
};

static size_t partition_of(const char *region)
{
	size_t i = 0;

	while (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)))
		i++;
	return i;
}

const char *aws_partition(const char *region)
{
	return partitions[partition_of(region)].partition;
}

/* The host that somebody asked for, or NULL. @name receives the variable. */
static const char *configured(const char *service, char *name, size_t size)
{
	const char *ignore = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), *url;
	char *p;

	if (ignore && !strcasecmp(ignore, "true"))
		return NULL;
	snprintf(name, size, "AWS_ENDPOINT_URL_%s", service);
	for (p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	url = getenv(name);
	if (url && *url)
		return url;
	snprintf(name, size, "AWS_ENDPOINT_URL");
	url = getenv(name);
	return url && *url ? url : NULL;
}

int aws_endpoint(struct kh *k, const char *service, const char *region, char *url, size_t size)
{
	const char *fips = getenv("AWS_USE_FIPS_ENDPOINT"), *given;
	size_t i = partition_of(region);
	char name[64];

	given = configured(service, name, sizeof(name));
	if (given) {
		/* a host and a port, nothing that could be a password, a path or a query */
		if (strlen(given) >= size ||
		    !kc_matches("^https?://([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?/?$", given)) {
			kh_fail(k, KH_VALIDATION, "%s is not https://HOST[:PORT]", name);
			return kh_next(k, "correct %s", name);
		}
		if (!strncmp(given, "http:", 5) && !aws_http_loopback(given)) {
			kh_fail(k, KH_VALIDATION, "%s is %s, without TLS, and not on this machine", name, given);
			return kh_next(k, "use https:// in %s", name);
		}
		snprintf(url, size, "%s", given);
		return 0;
	}
	if (fips && !strcasecmp(fips, "true")) {
		if (!partitions[i].fips) {
			kh_fail(k, KH_VALIDATION, "region %s has no FIPS endpoints", region);
			return kh_next(k, "unset AWS_USE_FIPS_ENDPOINT, or use a key of another region");
		}
		snprintf(url, size, "https://%s-fips.%s.%s/", service, region, partitions[i].domain);
		return 0;
	}
	snprintf(url, size, "https://%s.%s.%s/", service, region, partitions[i].domain);
	return 0;
}
