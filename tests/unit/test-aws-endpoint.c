// SPDX-License-Identifier: GPL-2.0-or-later
/* Which host a request goes to: of a region's partition, or the one that the environment names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws.h"

static struct kh k;

static int set_up(void **state)
{
	static const char *const names[] = { "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL", "AWS_USE_FIPS_ENDPOINT",
					     "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	memset(&k, 0, sizeof(k));
	return 0;
}

static void expect(const char *service, const char *region, const char *want)
{
	char url[300];

	kh_forget(&k);
	if (aws_endpoint(&k, service, region, url, sizeof(url)))
		fail_msg("refused: %s", k.text);
	assert_string_equal(url, want);
}

static void expect_refused(const char *region, const char *word)
{
	char url[300];

	kh_forget(&k);
	if (!aws_endpoint(&k, "kms", region, url, sizeof(url)))
		fail_msg("accepted: %s", url);
	assert_int_equal(k.error, KH_VALIDATION);
	assert_non_null(strstr(k.text, word));
	assert_true(k.next[0]);
}

static void each_partition_has_its_domain(void **state)
{
	expect("kms", "eu-central-1", "https://kms.eu-central-1.amazonaws.com/");
	expect("sts", "eu-central-1", "https://sts.eu-central-1.amazonaws.com/");
	expect("kms", "cn-north-1", "https://kms.cn-north-1.amazonaws.com.cn/");
	expect("kms", "us-gov-west-1", "https://kms.us-gov-west-1.amazonaws.com/");
	expect("kms", "us-iso-east-1", "https://kms.us-iso-east-1.c2s.ic.gov/");
	expect("kms", "us-isob-east-1", "https://kms.us-isob-east-1.sc2s.sgov.gov/");
	expect("kms", "eu-isoe-west-1", "https://kms.eu-isoe-west-1.cloud.adc-e.uk/");
	expect("kms", "us-isof-south-1", "https://kms.us-isof-south-1.csp.hci.ic.gov/");
}

static void fips_where_there_is_one(void **state)
{
	setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
	expect("kms", "us-east-1", "https://kms-fips.us-east-1.amazonaws.com/");
	expect("kms", "us-gov-west-1", "https://kms-fips.us-gov-west-1.amazonaws.com/");
	expect_refused("cn-north-1", "FIPS");
	setenv("AWS_USE_FIPS_ENDPOINT", "false", 1);
	expect("kms", "us-east-1", "https://kms.us-east-1.amazonaws.com/");
}

static void the_environment_names_another(void **state)
{
	setenv("AWS_ENDPOINT_URL", "https://all.example.com", 1);
	expect("kms", "eu-central-1", "https://all.example.com");
	setenv("AWS_ENDPOINT_URL_KMS", "https://vpce-1.kms.eu-central-1.vpce.amazonaws.com:8443/", 1);
	expect("kms", "eu-central-1", "https://vpce-1.kms.eu-central-1.vpce.amazonaws.com:8443/");
	expect("sts", "eu-central-1", "https://all.example.com");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	expect("kms", "eu-central-1", "https://kms.eu-central-1.amazonaws.com/");
}

static void without_tls_on_this_machine_only(void **state)
{
	static const char *const here[] = { "http://127.0.0.1:5952", "http://127.8.9.1/", "http://localhost:1",
					    "http://[::1]:5952", "http://LOCALHOST/" };
	static const char *const elsewhere[] = { "http://192.0.2.1", "http://kms.example.com/", "http://[2001:db8::1]/",
						 "http://localhost.example.com/", "http://0.0.0.0/", "http://128.0.0.1",
						 "http://127.0.0.1.example.com/" };
	size_t i;

	for (i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		setenv("AWS_ENDPOINT_URL_KMS", here[i], 1);
		expect("kms", "eu-central-1", here[i]);
	}
	for (i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		setenv("AWS_ENDPOINT_URL_KMS", elsewhere[i], 1);
		expect_refused("eu-central-1", "without TLS");
	}
}

static void an_endpoint_is_a_host_and_a_port(void **state)
{
	static const char *const bad[] = {
		"ftp://x", "file:///etc/passwd", "x", "https://", "https://user:pw@example.com/", "https://a/b",
		"https://a?b", "https://a#b", "https://a b", "HTTPS://a", "https://a\n", "https://a:123456",
		"http://127.0.0.1@example.com/", "http://127.0.0.1:80@example.com/", "http://example.com#@127.0.0.1/",
		"http://example.com\\@127.0.0.1/", "unix:///x", "https://[::1", "https:///x",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("AWS_ENDPOINT_URL_KMS", bad[i], 1);
		expect_refused("eu-central-1", "AWS_ENDPOINT_URL_KMS");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_partition_has_its_domain, set_up),
		cmocka_unit_test_setup(fips_where_there_is_one, set_up),
		cmocka_unit_test_setup(the_environment_names_another, set_up),
		cmocka_unit_test_setup(without_tls_on_this_machine_only, set_up),
		cmocka_unit_test_setup(an_endpoint_is_a_host_and_a_port, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
