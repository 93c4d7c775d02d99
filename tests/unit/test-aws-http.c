// SPDX-License-Identifier: GPL-2.0-or-later
/* What a request to AWS must not do, and what libcurl leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <curl/curl.h>

#include "http.h"
#include "kms-wire.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reads freed memory, on purpose: what is found there is what a later reader would find. */
static int freed_block_is_clear(void)
{
	volatile char *p;
	char text[201];
	int i, left = 0;

	if (aws_http_init())
		return 100;
	memset(text, 'Z', 200);
	text[200] = '\0';
	p = curl_easy_escape(NULL, text, 200);
	if (!p || p[100] != 'Z')
		return 101;
	curl_free((void *)p);
	/* the allocator keeps its own pointers in the first 16 bytes */
	for (i = 16; i < 200; i++)
		left += p[i] == 'Z';
	return left != 0;
}

static void libcurl_leaves_nothing_in_freed_memory(void **state)
{
	if (SANITIZED)
		skip();
	assert_int_equal(in_child(freed_block_is_clear), 0);
}

static int key_log_is_unset(void)
{
	setenv("SSLKEYLOGFILE", "/tmp/keylog", 1);
	return aws_http_init() ? 100 : getenv("SSLKEYLOGFILE") != NULL;
}

static void tls_secrets_are_logged_nowhere(void **state)
{
	assert_int_equal(in_child(key_log_is_unset), 0);
}

/* A request that gets as far as the network fails here with KH_UNREACHABLE: nobody listens on port 1. */
static enum kh_error sent(const char *id, const char *secret, const char *token, int64_t ms)
{
	static struct kh k;
	struct aws_signature sign = { .access_key = id, .secret = secret, .session_token = token,
				      .region = "eu-central-1", .service = "kms" };
	struct aws_http h = { .method = "POST", .url = "http://127.0.0.1:1/", .body = "{}", .body_len = 2, .sign = &sign,
			      .direct = true };

	memset(&k, 0, sizeof(k));
	k.deadline = kc_wire_now() + ms;
	assert_int_equal(aws_http(&k, &h), -1);
	assert_null(h.answer);
	return k.error;
}

static void credentials_cannot_make_a_header(void **state)
{
	assert_int_equal(sent("AKIA", "secret", NULL, 10000), KH_UNREACHABLE);
	assert_int_equal(sent("AKIA", "secret", "token==", 10000), KH_UNREACHABLE);
	assert_int_equal(sent("AKIA", "secret", "token\r\nX-Amz-Target: TrentService.Encrypt", 10000), KH_CREDENTIALS);
	assert_int_equal(sent("AKIA", "secret", "token\n", 10000), KH_CREDENTIALS);
	assert_int_equal(sent("AKIA\r\nX: y", "secret", NULL, 10000), KH_CREDENTIALS);
	assert_int_equal(sent("AKIA", "sec\nret", NULL, 10000), KH_CREDENTIALS);
	assert_int_equal(sent("", "secret", NULL, 10000), KH_CREDENTIALS);
	assert_int_equal(sent("AKIA", "", NULL, 10000), KH_CREDENTIALS);
}

static void after_the_deadline_nothing_is_sent(void **state)
{
	assert_int_equal(sent("AKIA", "secret", NULL, -1), KH_TIMEOUT);
}

static int set_up(void **state)
{
	(void)state;
	return aws_http_init();
}

static void only_http_is_spoken(void **state)
{
	static const char *const urls[] = { "file:///etc/hostname", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/", "dict://127.0.0.1/" };
	static struct kh k;
	size_t i;

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct aws_http h = { .method = "GET", .url = urls[i], .direct = true };

		memset(&k, 0, sizeof(k));
		k.deadline = kc_wire_now() + 5000;
		assert_int_equal(aws_http(&k, &h), -1);
		assert_non_null(strstr(k.text, "rotocol"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libcurl_leaves_nothing_in_freed_memory),
		cmocka_unit_test(tls_secrets_are_logged_nowhere),
		cmocka_unit_test(credentials_cannot_make_a_header),
		cmocka_unit_test(after_the_deadline_nothing_is_sent),
		cmocka_unit_test(only_http_is_spoken),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
