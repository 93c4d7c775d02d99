// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of AWS keys: what is one, what KMS is told, and that nothing else gets to choose a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws.h"

#define ID "1234abcd-12ab-34cd-56ef-1234567890ab"
#define MRK "mrk-1234abcd12ab34cd56ef1234567890ab"
#define ARN "arn:aws:kms:eu-central-1:111122223333:"

static struct kh k;

static int set_up(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	setenv("AWS_REGION", "eu-west-3", 1);
	unsetenv("AWS_DEFAULT_REGION");
	return 0;
}

static void arns_are_read_by_their_grammar(void **state)
{
	static const struct { const char *arn, *partition, *region, *resource; } good[] = {
		{ ARN "key/" ID, "aws", "eu-central-1", "key/" ID },
		{ ARN "key/" MRK, "aws", "eu-central-1", "key/" MRK },
		{ ARN "alias/a/b_c-D9", "aws", "eu-central-1", "alias/a/b_c-D9" },
		{ "arn:aws-cn:kms:cn-north-1:111122223333:key/" ID, "aws-cn", "cn-north-1", "key/" ID },
		{ "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/" ID, "aws-us-gov", "us-gov-west-1", "key/" ID },
		{ "arn:aws-iso:kms:us-iso-east-1:111122223333:key/" ID, "aws-iso", "us-iso-east-1", "key/" ID },
		{ "arn:aws-iso-b:kms:us-isob-east-1:111122223333:key/" ID, "aws-iso-b", "us-isob-east-1", "key/" ID },
		{ "arn:aws:kms:ap-southeast-7:111122223333:key/" ID, "aws", "ap-southeast-7", "key/" ID },
	};
	struct aws_key key;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!aws_arn_parse(good[i].arn, &key))
			fail_msg("refused: %s", good[i].arn);
		assert_string_equal(key.partition, good[i].partition);
		assert_string_equal(key.region, good[i].region);
		assert_string_equal(key.account, "111122223333");
		assert_string_equal(key.resource, good[i].resource);
	}
}

static void nothing_else_is_an_arn(void **state)
{
	static const char *const bad[] = {
		"", "arn:", "arn:aws:kms", ARN, ARN "key/", ARN "alias/", ARN "alias/a b", ARN "alias/a:b",
		ARN "key/" ID "/x", ARN "key/" ID ":1", ARN "key/1234ABCD-12ab-34cd-56ef-1234567890ab",
		ARN "key/mrk-1234", ARN "grant/" ID, ARN "key/" ID "\n",
		"arn:aws:s3:eu-central-1:111122223333:key/" ID,
		"arn:aws:kms::111122223333:key/" ID,
		"arn:aws:kms:evil.example.com:111122223333:key/" ID,
		"arn:aws:kms:eu-central-1.evil-1:111122223333:key/" ID,
		"arn:aws:kms:eu-central-1@evil-1:111122223333:key/" ID,
		"arn:aws:kms:eu-central-1/:111122223333:key/" ID,
		"arn:aws:kms:eu-central-123:111122223333:key/" ID,
		"arn:aws:kms:EU-central-1:111122223333:key/" ID,
		"arn:aws:kms:eu-central-1:11112222333:key/" ID,
		"arn:aws:kms:eu-central-1:1111222233334:key/" ID,
		"arn:aws:kms:eu-central-1:11112222333x:key/" ID,
		"arn:AWS:kms:eu-central-1:111122223333:key/" ID,
		"arn:evil:kms:eu-central-1:111122223333:key/" ID,
		/* a region of another partition */
		"arn:aws:kms:cn-north-1:111122223333:key/" ID,
		"arn:aws:kms:us-gov-west-1:111122223333:key/" ID,
		"arn:aws-cn:kms:eu-central-1:111122223333:key/" ID,
		"arn:aws-us-gov:kms:us-east-1:111122223333:key/" ID,
		"arn:aws-iso:kms:us-isob-east-1:111122223333:key/" ID,
	};
	struct aws_key key;
	char longer[700];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (aws_arn_parse(bad[i], &key))
			fail_msg("accepted: %s", bad[i]);
	snprintf(longer, sizeof(longer), ARN "alias/%0250d", 1);
	assert_true(aws_arn_parse(longer, &key));
	snprintf(longer, sizeof(longer), ARN "alias/%0251d", 1);
	assert_false(aws_arn_parse(longer, &key));
}

static void what_is_canonical_is_an_arn_of_a_key(void **state)
{
	struct aws_key key;

	assert_true(kc_key_canonical("aws", ARN "key/" ID) && aws_arn_parse(ARN "key/" ID, &key));
	assert_false(aws_key_is_alias(&key));
	assert_false(kc_key_canonical("aws", ARN "alias/x"));
	assert_true(aws_arn_parse(ARN "alias/x", &key) && aws_key_is_alias(&key));
}

static void short_names_are_in_the_configured_region(void **state)
{
	static const struct { const char *name, *resource, *id; } names[] = {
		{ "aws:alias/kcache", "alias/kcache", "alias/kcache" },
		{ "aws:" ID, "key/" ID, ID },
		{ "aws:" MRK, "key/" MRK, MRK },
	};
	struct aws_key key;
	char id[KC_KEY_NAME_MAX];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(aws_key_parse(&k, names[i].name, &key), 0);
		assert_string_equal(key.region, "eu-west-3");
		assert_string_equal(key.resource, names[i].resource);
		assert_string_equal(aws_key_id(&key, id), names[i].id);
	}
	assert_int_equal(aws_key_parse(&k, ARN "key/" ID, &key), 0);
	assert_string_equal(key.region, "eu-central-1");
	assert_string_equal(aws_key_id(&key, id), ARN "key/" ID);
}

static void a_region_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "evil.com/x", "eu-central-1.evil.com", "", "eu", "x@y", "eu-central-1 " };
	struct aws_key key;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		kh_forget(&k);
		setenv("AWS_REGION", bad[i], 1);
		assert_int_equal(aws_key_parse(&k, "aws:alias/x", &key), -1);
		assert_int_equal(k.error, KH_VALIDATION);
		assert_non_null(strstr(k.next, "AWS_REGION"));
	}
}

static void other_names_are_refused_with_the_forms_that_there_are(void **state)
{
	static const char *const bad[] = { "aws:", "aws:x", "aws:alias/", "aws:alias/a b", "aws:key/" ID, "local:alias/x",
					   "arn:aws:kms:x:y:z", "aws:alias/x?y" };
	struct aws_key key;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		kh_forget(&k);
		assert_int_equal(aws_key_parse(&k, bad[i], &key), -1);
		assert_int_equal(k.error, KH_VALIDATION);
		assert_non_null(strstr(k.next, "aws:alias/NAME"));
	}
}

static void replicas_are_of_one_multi_region_key(void **state)
{
	struct aws_key a, b;

	aws_arn_parse(ARN "key/" MRK, &a);
	aws_arn_parse("arn:aws:kms:us-east-1:111122223333:key/" MRK, &b);
	assert_true(aws_key_replicas(&a, &b));
	aws_arn_parse("arn:aws:kms:us-east-1:111122223334:key/" MRK, &b);
	assert_false(aws_key_replicas(&a, &b));
	aws_arn_parse(ARN "key/" ID, &a);
	assert_true(aws_key_replicas(&a, &a));
	aws_arn_parse("arn:aws:kms:us-east-1:111122223333:key/" ID, &b);
	assert_false(aws_key_replicas(&a, &b));
}

static void base64_has_one_text_for_one_value(void **state)
{
	static const char *const bad[] = { "", "Q", "QQ", "QQ=", "QR==", "QUJ=", "QUJD\n", "QQ==QQ==", "Q===", "=QQ=",
					   "QU!D", "QU D", "QQ==x" };
	uint8_t out[8];
	size_t i;

	assert_int_equal(aws_base64("QUJD", out, 3), 3);
	assert_memory_equal(out, "ABC", 3);
	assert_int_equal(aws_base64("QUI=", out, 3), 2);
	assert_int_equal(aws_base64("QQ==", out, 1), 1);
	assert_int_equal(aws_base64("+/+/", out, 3), 3);
	assert_memory_equal(out, "\xfb\xff\xbf", 3);
	assert_int_equal(aws_base64("QUJD", out, 2), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (aws_base64(bad[i], out, sizeof(out)))
			fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arns_are_read_by_their_grammar),
		cmocka_unit_test(nothing_else_is_an_arn),
		cmocka_unit_test(what_is_canonical_is_an_arn_of_a_key),
		cmocka_unit_test_setup(short_names_are_in_the_configured_region, set_up),
		cmocka_unit_test_setup(a_region_that_is_none_is_refused, set_up),
		cmocka_unit_test_setup(other_names_are_refused_with_the_forms_that_there_are, set_up),
		cmocka_unit_test(replicas_are_of_one_multi_region_key),
		cmocka_unit_test(base64_has_one_text_for_one_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
