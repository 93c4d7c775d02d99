// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What AWS, or whatever answers in its place, may say, and what becomes of it: a
 * table, row by row, in each of the forms that an answer has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "aws.h"

#define ARN "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

static const struct row {
	long status;
	const char *name;
	const char *message;
	enum kh_error want;
	enum kc_exit code;
} rows[] = {
	{ 400, "DisabledException", ARN " is disabled.", KH_DISABLED, KC_KMS_REFUSED },
	{ 400, "DisabledException", NULL, KH_DISABLED, KC_KMS_REFUSED },
	{ 400, "DisabledException", ARN " is pending deletion.", KH_PENDING_DELETION, KC_KMS_REFUSED },
	{ 400, "KMSInvalidStateException", ARN " is pending deletion.", KH_PENDING_DELETION, KC_KMS_REFUSED },
	{ 400, "KMSInvalidStateException", ARN " is pending replica deletion.", KH_PENDING_DELETION, KC_KMS_REFUSED },
	{ 400, "KMSInvalidStateException", ARN " is pending import.", KH_PENDING_IMPORT, KC_KMS_REFUSED },
	{ 400, "KMSInvalidStateException", ARN " is disabled.", KH_DISABLED, KC_KMS_REFUSED },
	{ 400, "KMSInvalidStateException", ARN " is unavailable.", KH_KEY_STORE, KC_KMS_RETRY },
	{ 400, "KMSInvalidStateException", NULL, KH_KEY_STATE, KC_KMS_RETRY },
	{ 400, "NotFoundException", "Key '" ARN "' does not exist", KH_NOT_FOUND, KC_KMS_REFUSED },
	{ 400, "AccessDeniedException", NULL, KH_DENIED, KC_KMS_REFUSED },
	{ 400, "IncorrectKeyException", NULL, KH_INCORRECT_KEY, KC_TAMPERED },
	{ 400, "InvalidCiphertextException", NULL, KH_INVALID_CIPHERTEXT, KC_TAMPERED },
	{ 400, "InvalidGrantTokenException", NULL, KH_INVALID_GRANT, KC_USAGE },
	{ 400, "InvalidKeyUsageException", NULL, KH_INVALID_USAGE, KC_USAGE },
	{ 400, "ValidationException", "1 validation error detected", KH_VALIDATION, KC_USAGE },
	{ 400, "AlreadyExistsException", NULL, KH_ALREADY_EXISTS, KC_BUSY },
	{ 500, "KeyUnavailableException", NULL, KH_UNAVAILABLE, KC_KMS_RETRY },
	{ 500, "KMSInternalException", NULL, KH_INTERNAL, KC_KMS_RETRY },
	{ 503, "DependencyTimeoutException", NULL, KH_INTERNAL, KC_KMS_RETRY },
	{ 400, "ThrottlingException", "Rate exceeded", KH_THROTTLED, KC_KMS_RETRY },
	{ 400, "LimitExceededException", NULL, KH_THROTTLED, KC_KMS_RETRY },
	{ 400, "CustomKeyStoreInvalidStateException", NULL, KH_KEY_STORE, KC_KMS_RETRY },
	{ 400, "UnrecognizedClientException", "The security token included in the request is invalid.", KH_CREDENTIALS,
	  KC_PERM },
	{ 400, "ExpiredTokenException", NULL, KH_CREDENTIALS, KC_PERM },
	{ 400, "IncompleteSignatureException", NULL, KH_CREDENTIALS, KC_PERM },
	{ 400, "InvalidSignatureException", "Signature expired: 20261124T000000Z is now earlier than 20261124T003000Z",
	  KH_CREDENTIALS, KC_PERM },
	{ 403, "SignatureDoesNotMatch", NULL, KH_CREDENTIALS, KC_PERM },
	{ 400, "OfALaterVersionException", NULL, KH_INTERNAL, KC_KMS_RETRY },
};

static const struct aws_call call = { .operation = "Decrypt", .region = "eu-central-1", .key = ARN };

static struct kh k;

static void answer(struct aws_http *h, long status, const char *headers, char *body)
{
	memset(h, 0, sizeof(*h));
	h->status = status;
	h->answer = body;
	h->answer_len = strlen(body);
	h->answer_headers = (char *)headers;
	h->answer_headers_len = strlen(headers);
}

static void judge(const struct row *row, const char *headers, char *body, const char *form)
{
	struct aws_http h;
	struct aws_error e;

	answer(&h, row->status, headers, body);
	aws_error_parse(&h, &e);
	memset(&k, 0, sizeof(k));
	assert_int_equal(aws_error_fail(&k, &call, "a test", &e), -1);
	if (k.error != row->want || kh_error_exit(k.error) != row->code || strcmp(k.name, row->name))
		fail_msg("%s, %s: error %d, exit %d, name %s", row->name, form, k.error, kh_error_exit(k.error), k.name);
	assert_string_equal(k.request_id, "1a2b-3c");
	assert_true(k.text[0] && k.next[0]);
}

static void each_row_in_each_form(void **state)
{
	static const char id[] = "HTTP/1.1 400 Bad Request\r\nx-amzn-RequestId: 1a2b-3c\r\n\r\n";
	static const char *const messages[] = { "message", "Message" };
	char body[1024], headers[512], message[600];
	size_t i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		for (j = 0; j < 2; j++) {
			message[0] = '\0';
			if (r->message)
				snprintf(message, sizeof(message), ",\"%s\":\"%s\"", messages[j], r->message);
			snprintf(body, sizeof(body), "{\"__type\":\"%s\"%s}", r->name, message);
			judge(r, id, body, "plain");
			snprintf(body, sizeof(body), "{\"__type\":\"com.amazonaws.kms#%s\"%s}", r->name, message);
			judge(r, id, body, "with a namespace");
			snprintf(body, sizeof(body), " { \"__type\" : \"%s:http://internal.amazon.com/\"%s }\n", r->name,
				 message);
			judge(r, id, body, "with an address");
		}
		snprintf(body, sizeof(body), "<?xml version=\"1.0\"?><ErrorResponse><Error><Code>%s</Code><Message>%s</Message>"
			 "</Error><RequestId>1a2b-3c</RequestId></ErrorResponse>", r->name, r->message ? r->message : "");
		judge(r, "HTTP/1.1 403\r\n", body, "XML");
		if (!r->message) {
			snprintf(headers, sizeof(headers), "HTTP/1.1 400\r\nX-Amzn-Requestid: 1a2b-3c\r\n"
				 "x-amzn-ErrorType: %s:http://x/\r\n\r\n", r->name);
			body[0] = '\0';
			judge(r, headers, body, "a header alone");
		}
	}
}

static enum kh_error kind_of(long status, const char *text, bool cut)
{
	char body[2048];
	struct aws_http h;
	struct aws_error e;

	snprintf(body, sizeof(body), "%s", text);
	answer(&h, status, "HTTP/1.1 500\r\n\r\n", body);
	h.cut = cut;
	aws_error_parse(&h, &e);
	memset(&k, 0, sizeof(k));
	aws_error_fail(&k, &call, NULL, &e);
	assert_true(k.text[0] && k.next[0] && k.name[0]);
	return k.error;
}

/* None of these may look like an authoritative answer about a key. */
static void what_is_not_kms_says_nothing_about_a_key(void **state)
{
	static const char *const bodies[] = {
		"", " ", "null", "[]", "\"DisabledException\"", "{", "{\"__type\":", "{\"__type\":\"DisabledException\"",
		"{\"__type\":\"DisabledException\"} x", "{\"__type\":{\"a\":\"DisabledException\"}}", "{\"__type\":\"\"}",
		"{\"__type\":\"Disabled Exception\"}", "<html><body>DisabledException</body></html>",
		"<!DOCTYPE html><title>403 Forbidden</title>", "DisabledException", "<Code>", "<Code></Code>",
		"<Code>Disabled\nException</Code>", "{'__type':'DisabledException'}",
		"{\"__type\":\"DisabledException\\u0000x\"}", "\xff\xfe", "{\"__type\":\"\xff\"}",
	};
	static const long statuses[] = { 200, 301, 400, 403, 404, 407, 413 };
	size_t i, j;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		for (j = 0; j < sizeof(statuses) / sizeof(statuses[0]); j++)
			if (kind_of(statuses[j], bodies[i], false) != KH_GARBAGE)
				fail_msg("status %ld, \"%s\": error %d", statuses[j], bodies[i], k.error);
		assert_int_equal(kind_of(500, bodies[i], false), KH_INTERNAL);
		assert_int_equal(kind_of(503, bodies[i], false), KH_INTERNAL);
		assert_int_equal(kind_of(429, bodies[i], false), KH_THROTTLED);
	}
	assert_int_equal(kind_of(400, "{\"__type\":\"DisabledException\"}", true), KH_GARBAGE);
	assert_int_equal(kind_of(400, "{\"__type\":\"DisabledException\"}", false), KH_DISABLED);
}

static void texts_of_others_are_printable(void **state)
{
	assert_int_equal(kind_of(400, "{\"__type\":\"ValidationException\",\"message\":\"a\\u001b[31m\\nb\\u0007\"}", false),
			 KH_VALIDATION);
	assert_null(strpbrk(k.text, "\033\n\007"));
}

static void a_refusal_names_who_what_and_for_which_volume(void **state)
{
	struct kc_binding b = { .context = { .id = "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11", .generation = 7 } };
	struct aws_call c = call;
	struct aws_error e = { .status = 400, .name = "AccessDeniedException",
		.message = "User: arn:aws:sts::111122223333:assumed-role/host/i-1 is not authorized to perform: kms:Decrypt" };

	c.context = &b;
	memset(&k, 0, sizeof(k));
	aws_error_fail(&k, &c, "the environment", &e);
	assert_non_null(strstr(k.text, "kms:Decrypt on " ARN " to arn:aws:sts::111122223333:assumed-role/host/i-1"));
	assert_non_null(strstr(k.text, "kcache:id 3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11, kcache:generation 7"));
	assert_non_null(strstr(k.next, "kms:Decrypt"));
	e.message[0] = '\0';
	memset(&k, 0, sizeof(k));
	aws_error_fail(&k, &c, "the environment", &e);
	assert_non_null(strstr(k.text, "to the credentials from the environment"));
}

static void a_missing_key_names_region_and_arn(void **state)
{
	assert_int_equal(kind_of(400, "{\"__type\":\"NotFoundException\"}", false), KH_NOT_FOUND);
	assert_non_null(strstr(k.text, "region eu-central-1"));
	assert_non_null(strstr(k.next, "eu-central-1"));
	assert_non_null(strstr(k.next, ARN));
}

static void a_wrong_clock_is_told(void **state)
{
	char headers[128], body[] = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired\"}", date[64];
	time_t then = time(NULL) - 3600;
	struct aws_http h;
	struct aws_error e;
	struct tm tm;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &tm));
	snprintf(headers, sizeof(headers), "HTTP/1.1 400\r\nDate: %s\r\n\r\n", date);
	answer(&h, 400, headers, body);
	aws_error_parse(&h, &e);
	assert_true(e.skew >= 3600 && e.skew < 3660);
	memset(&k, 0, sizeof(k));
	aws_error_fail(&k, &call, NULL, &e);
	assert_int_equal(k.error, KH_CREDENTIALS);
	assert_non_null(strstr(k.next, "clock"));
	assert_non_null(strstr(k.next, "ahead"));
}

static void headers_are_found_whatever_their_case(void **state)
{
	struct aws_http h = { .answer_headers = (char *)"HTTP/1.1 200 OK\r\nA: 1\r\nx-AMZN-requestid:  abc \r\nAB:2\r\nlast: x",
			      .answer_headers_len = 0 };
	char v[8];

	h.answer_headers_len = strlen(h.answer_headers);
	assert_true(aws_http_header(&h, "X-Amzn-RequestId", v, sizeof(v)));
	assert_string_equal(v, "abc");
	assert_true(aws_http_header(&h, "ab", v, sizeof(v)));
	assert_string_equal(v, "2");
	assert_true(aws_http_header(&h, "x-amzn-requestid", v, 3));
	assert_string_equal(v, "ab");
	/* a line that has no end was cut */
	assert_false(aws_http_header(&h, "last", v, sizeof(v)));
	assert_false(aws_http_header(&h, "b", v, sizeof(v)));
	h.answer_headers_len = 0;
	assert_false(aws_http_header(&h, "A", v, sizeof(v)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_in_each_form),
		cmocka_unit_test(what_is_not_kms_says_nothing_about_a_key),
		cmocka_unit_test(texts_of_others_are_printable),
		cmocka_unit_test(a_refusal_names_who_what_and_for_which_volume),
		cmocka_unit_test(a_missing_key_names_region_and_arn),
		cmocka_unit_test(a_wrong_clock_is_told),
		cmocka_unit_test(headers_are_found_whatever_their_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
