// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of keys. An ARN comes from a disk that anyone may have written and decides
 * which host gets a signed request, so it is read by a fixed grammar:
 *
 *	arn:PARTITION:kms:REGION:ACCOUNT:key/UUID
 *	arn:PARTITION:kms:REGION:ACCOUNT:key/mrk-32 HEX DIGITS
 *	arn:PARTITION:kms:REGION:ACCOUNT:alias/NAME
 *
 * and its region must be one of its partition.
 */
#include <stdio.h>
#include <string.h>

#include "aws.h"
#include "creds.h"
#include "strict.h"

#define REGION_RE "[a-z]{2}(-[a-z]+)+-[0-9]{1,2}"
#define ID_RE "(" KC_UUID_RE "|mrk-[0-9a-f]{32})"
#define ALIAS_RE "alias/[a-zA-Z0-9/_-]{1,250}"

bool aws_claims(const char *name)
{
	return !strncmp(name, "arn:", 4) || !strncmp(name, "aws:", 4);
}

bool aws_region_valid(const char *region)
{
	return strlen(region) < sizeof(((struct aws_key *)0)->region) && kc_matches("^" REGION_RE "$", region);
}

/* The next part of @s up to ':', moved past; false if there is none or it does not fit. */
static bool part(const char **s, char *out, size_t size)
{
	size_t n = strcspn(*s, ":");

	if ((*s)[n] != ':' || n >= size)
		return false;
	memcpy(out, *s, n);
	out[n] = '\0';
	*s += n + 1;
	return true;
}

bool aws_arn_parse(const char *arn, struct aws_key *out)
{
	const char *s = arn + 4;
	char service[8];

	memset(out, 0, sizeof(*out));
	if (strlen(arn) >= KC_KEY_NAME_MAX || strncmp(arn, "arn:", 4) ||
	    !part(&s, out->partition, sizeof(out->partition)) || !part(&s, service, sizeof(service)) ||
	    !part(&s, out->region, sizeof(out->region)) || !part(&s, out->account, sizeof(out->account)) ||
	    strlen(s) >= sizeof(out->resource))
		return false;
	snprintf(out->resource, sizeof(out->resource), "%s", s);
	return !strcmp(service, "kms") && aws_region_valid(out->region) &&
		!strcmp(aws_partition(out->region), out->partition) && kc_matches("^[0-9]{12}$", out->account) &&
		kc_matches("^(key/" ID_RE "|" ALIAS_RE ")$", s);
}

static int bad_name(struct kh *k, const char *name)
{
	kh_fail(k, KH_VALIDATION, "\"%s\" is no name of a key of AWS KMS", name);
	return kh_next(k, "name it arn:aws:kms:REGION:ACCOUNT:key/ID, the same with alias/NAME, aws:alias/NAME or aws:ID");
}

int aws_key_parse(struct kh *k, const char *name, struct aws_key *out)
{
	const char *region;

	if (!strncmp(name, "arn:", 4))
		return aws_arn_parse(name, out) ? 0 : bad_name(k, name);
	memset(out, 0, sizeof(*out));
	if (strncmp(name, "aws:", 4))
		return bad_name(k, name);
	name += 4;
	if (kc_matches("^" ALIAS_RE "$", name))
		snprintf(out->resource, sizeof(out->resource), "%s", name);
	else if (kc_matches("^" ID_RE "$", name))
		snprintf(out->resource, sizeof(out->resource), "key/%s", name);
	else
		return bad_name(k, name - 4);
	region = aws_region(k);
	if (!region) {
		kh_fail(k, KH_VALIDATION, "aws:%s names no region, and none is configured", name);
		return kh_next(k, "use the key's ARN, or set AWS_REGION");
	}
	if (!aws_region_valid(region)) {
		kh_fail(k, KH_VALIDATION, "the configured region \"%.60s\" is no name of a region", region);
		return kh_next(k, "correct AWS_REGION, AWS_DEFAULT_REGION or the profile's region");
	}
	snprintf(out->region, sizeof(out->region), "%s", region);
	snprintf(out->partition, sizeof(out->partition), "%s", aws_partition(region));
	return 0;
}

bool aws_key_is_alias(const struct aws_key *key)
{
	return !strncmp(key->resource, "alias/", 6);
}

const char *aws_key_id(const struct aws_key *key, char out[static KC_KEY_NAME_MAX])
{
	if (key->account[0])
		snprintf(out, KC_KEY_NAME_MAX, "arn:%s:kms:%s:%s:%s", key->partition, key->region, key->account,
			 key->resource);
	else
		snprintf(out, KC_KEY_NAME_MAX, "%s", key->resource + (aws_key_is_alias(key) ? 0 : 4));
	return out;
}

bool aws_key_replicas(const struct aws_key *a, const struct aws_key *b)
{
	return !strcmp(a->partition, b->partition) && !strcmp(a->account, b->account) &&
		!strcmp(a->resource, b->resource) &&
		(!strcmp(a->region, b->region) || !strncmp(a->resource, "key/mrk-", 8));
}
