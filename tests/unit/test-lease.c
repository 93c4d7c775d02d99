// SPDX-License-Identifier: GPL-2.0-or-later
/* The lease: what may be said of it, what an answer means, and what follows from a row of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lease.h"

static void policy(void **state)
{
	static const struct {
		enum kc_on_revoke had;
		uint32_t lease;
		const char *mode;
		uint32_t seconds;
		int ret;
		enum kc_on_revoke has;
		uint32_t then;
	} rows[] = {
		{ KC_REVOKE_KEEP, 0, NULL, 0, 0, KC_REVOKE_KEEP, 0 },
		{ KC_REVOKE_KEEP, 0, "fail", 0, 0, KC_REVOKE_FAIL, 300 },
		{ KC_REVOKE_KEEP, 0, "freeze", 60, 0, KC_REVOKE_FREEZE, 60 },
		{ KC_REVOKE_FAIL, 60, "freeze", 0, 0, KC_REVOKE_FREEZE, 60 },
		{ KC_REVOKE_FAIL, 60, NULL, 90, 0, KC_REVOKE_FAIL, 90 },
		{ KC_REVOKE_FREEZE, 60, "keep", 0, 0, KC_REVOKE_KEEP, 0 },
		{ KC_REVOKE_FAIL, 60, "fail", 5, 0, KC_REVOKE_FAIL, 5 },
		{ KC_REVOKE_FAIL, 60, "fail", UINT32_MAX, 0, KC_REVOKE_FAIL, UINT32_MAX },
		/* refused, and nothing is changed */
		{ KC_REVOKE_KEEP, 0, NULL, 60, KC_USAGE, KC_REVOKE_KEEP, 0 },
		{ KC_REVOKE_FAIL, 60, "keep", 60, KC_USAGE, KC_REVOKE_FAIL, 60 },
		{ KC_REVOKE_FAIL, 60, "fail", 4, KC_USAGE, KC_REVOKE_FAIL, 60 },
		{ KC_REVOKE_FAIL, 60, "Fail", 0, KC_USAGE, KC_REVOKE_FAIL, 60 },
		{ KC_REVOKE_FAIL, 60, "", 0, KC_USAGE, KC_REVOKE_FAIL, 60 },
		{ KC_REVOKE_FAIL, 60, "freez", 0, KC_USAGE, KC_REVOKE_FAIL, 60 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kc_token t = { .on_revoke = rows[i].had, .lease = rows[i].lease };
		struct kc_error err = { 0 };

		assert_int_equal(kc_lease_policy(&t, rows[i].mode, rows[i].seconds, &err), rows[i].ret);
		assert_int_equal(err.code, rows[i].ret);
		assert_int_equal(t.on_revoke, rows[i].has);
		assert_int_equal(t.lease, rows[i].then);
	}
}

static void answers(void **state)
{
	static const struct {
		enum kc_exit code;
		const char *name;
		enum kc_answer answer;
	} rows[] = {
		{ KC_OK, "", KC_ANSWER_YES },
		{ KC_KMS_REFUSED, "DisabledException", KC_ANSWER_REFUSED },
		{ KC_KMS_REFUSED, "KMSInvalidStateException", KC_ANSWER_REFUSED },
		{ KC_KMS_REFUSED, "NotFoundException", KC_ANSWER_REFUSED },
		{ KC_KMS_REFUSED, "AccessDeniedException", KC_ANSWER_DENIED },
		/* not the owner of the key */
		{ KC_KMS_REFUSED, "PolicyException", KC_ANSWER_SILENT },
		{ KC_KMS_REFUSED, "LockedException", KC_ANSWER_SILENT },
		{ KC_KMS_REFUSED, "", KC_ANSWER_SILENT },
		/* the same names with another meaning */
		{ KC_KMS_RETRY, "KMSInvalidStateException", KC_ANSWER_SILENT },
		{ KC_PERM, "AccessDeniedException", KC_ANSWER_SILENT },
		{ KC_PERM, "UnrecognizedClientException", KC_ANSWER_SILENT },
		{ KC_KMS_RETRY, "ThrottlingException", KC_ANSWER_SILENT },
		{ KC_KMS_RETRY, "ConnectionError", KC_ANSWER_SILENT },
		{ KC_KMS_RETRY, "DependencyTimeoutException", KC_ANSWER_SILENT },
		{ KC_TAMPERED, "InvalidCiphertextException", KC_ANSWER_SILENT },
		{ KC_TAMPERED, "IncorrectKeyException", KC_ANSWER_SILENT },
		{ KC_DEVICE, "", KC_ANSWER_SILENT },
		{ KC_USAGE, "InvalidGrantTokenException", KC_ANSWER_SILENT },
		{ KC_NOMEM, "LimitExceededException", KC_ANSWER_SILENT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kc_error e = { .code = rows[i].code };

		snprintf(e.provider_error, sizeof(e.provider_error), "%s", rows[i].name);
		if (kc_answer(&e) != rows[i].answer)
			fail_msg("%d %s is taken for %s", rows[i].code, rows[i].name, kc_answer_name(kc_answer(&e)));
	}
}

static void of_several(void **state)
{
	assert_int_equal(kc_answer_worse(KC_ANSWER_REFUSED, KC_ANSWER_REFUSED), KC_ANSWER_REFUSED);
	assert_int_equal(kc_answer_worse(KC_ANSWER_REFUSED, KC_ANSWER_DENIED), KC_ANSWER_DENIED);
	assert_int_equal(kc_answer_worse(KC_ANSWER_SILENT, KC_ANSWER_REFUSED), KC_ANSWER_SILENT);
	assert_int_equal(kc_answer_worse(KC_ANSWER_DENIED, KC_ANSWER_SILENT), KC_ANSWER_SILENT);
}

/*
 * A row of answers, a letter each: y yes, n refused, d denied, s silent; Y N D S without a key in the kernel,
 * capital and followed by ! suspended as well. What follows: = wait, + renew, k set the key, ? again, x revoke, . end.
 */
static void rows(void **state)
{
	static const struct {
		enum kc_on_revoke mode;
		const char *answers;
		const char *acts;
	} row[] = {
		{ KC_REVOKE_FAIL, "yyyy", "++++" },
		{ KC_REVOKE_FAIL, "ssssssss", "========" },	/* silence revokes nothing, however long */
		{ KC_REVOKE_FAIL, "ysysy", "+=+=+" },
		{ KC_REVOKE_FAIL, "n", "x" },
		{ KC_REVOKE_FAIL, "sn", "=x" },
		{ KC_REVOKE_FAIL, "dd", "?x" },
		{ KC_REVOKE_FAIL, "dyd", "?+?" },		/* one denial is not enough */
		{ KC_REVOKE_FAIL, "dydyd", "?+?+?" },
		{ KC_REVOKE_FAIL, "dsd", "?=x" },		/* silence in between is no grant */
		{ KC_REVOKE_FAIL, "dn", "?x" },
		{ KC_REVOKE_FAIL, "nNYS", "x..." },		/* nothing comes back */
		{ KC_REVOKE_FAIL, "sS", "=." },			/* the lease has run out */
		{ KC_REVOKE_FAIL, "nn", "xx" },			/* the wipe did not work: again */
		{ KC_REVOKE_FAIL, "yY!N!y", "+==+" },		/* kcache suspend, kcache resume */
		{ KC_REVOKE_FREEZE, "yyn", "++x" },
		{ KC_REVOKE_FREEZE, "nNNSNYy", "x====k+" },
		{ KC_REVOKE_FREEZE, "nDDY", "x?=k" },
		{ KC_REVOKE_FREEZE, "sSSY", "===k" },
		{ KC_REVOKE_FREEZE, "nNyn", "x=+x" },		/* refused, granted, refused */
		{ KC_REVOKE_FREEZE, "nn", "xx" },		/* somebody has set it meanwhile */
		{ KC_REVOKE_FREEZE, "yY!Y!S!Y", "+===k" },
		{ KC_REVOKE_KEEP, "yys", "===" },
		{ KC_REVOKE_KEEP, "nnnynn", "x===x=" },		/* told once */
		{ KC_REVOKE_KEEP, "dddsd", "?x===" },
		{ KC_REVOKE_KEEP, "Y", "=" },
	};
	static const char acts[] = { [KC_LEASE_RENEW] = '+', [KC_LEASE_SET] = 'k', [KC_LEASE_AGAIN] = '?',
				     [KC_LEASE_WAIT] = '=', [KC_LEASE_REVOKE] = 'x', [KC_LEASE_END] = '.' };

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct kc_lease l = { .mode = row[i].mode };
		char got[16] = "";
		size_t n = 0;

		for (const char *p = row[i].answers; *p; p++) {
			bool valid = *p & 0x20, suspended = p[1] == '!';
			enum kc_answer a;

			a = (*p | 0x20) == 'y' ? KC_ANSWER_YES : (*p | 0x20) == 'n' ? KC_ANSWER_REFUSED :
			    (*p | 0x20) == 'd' ? KC_ANSWER_DENIED : KC_ANSWER_SILENT;
			got[n++] = acts[kc_lease_step(&l, a, valid, suspended)];
			p += suspended;
		}
		if (strcmp(got, row[i].acts))
			fail_msg("%s, %s: %s, not %s", kc_on_revoke_name(row[i].mode), row[i].answers, got, row[i].acts);
	}
}

static void left(void **state)
{
	assert_int_equal(kc_lease_left(60, 0), 60);
	assert_int_equal(kc_lease_left(60, 1), 59);
	assert_int_equal(kc_lease_left(60, 1000), 59);
	assert_int_equal(kc_lease_left(60, 1001), 58);
	assert_int_equal(kc_lease_left(60, 59000), 1);
	assert_int_equal(kc_lease_left(60, 59001), 0);
	assert_int_equal(kc_lease_left(60, INT64_C(1) << 40), 0);
	assert_int_equal(kc_lease_left(60, -5), 60);
	assert_int_equal(kc_lease_left(UINT32_MAX, 0), UINT32_MAX);
}

static void pauses(void **state)
{
	assert_int_equal(kc_lease_pause(2000, 0), 2000);
	assert_int_equal(kc_lease_pause(2000, 300), 1700);
	assert_int_equal(kc_lease_pause(2000, 999), 1001);
	assert_int_equal(kc_lease_pause(2000, 1000), 1000);
	assert_int_equal(kc_lease_pause(2000, 5000), 1000);
	assert_int_equal(kc_lease_pause(2000, -1), 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy),
		cmocka_unit_test(answers),
		cmocka_unit_test(of_several),
		cmocka_unit_test(rows),
		cmocka_unit_test(left),
		cmocka_unit_test(pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
