// SPDX-License-Identifier: GPL-2.0-or-later
/* The one error shape: the first cause is the one told, whatever follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "error.h"

static void fail_returns_its_code(void **state)
{
	struct kc_error err = { 0 };

	assert_int_equal(kc_fail(&err, KC_BUSY, NULL, "%s is in use", "/dev/vdb"), KC_BUSY);
	assert_int_equal(err.code, KC_BUSY);
	assert_string_equal(err.text, "/dev/vdb is in use");
	assert_string_equal(err.next, "");
}

static void first_cause_is_kept(void **state)
{
	struct kc_error err = { 0 };

	kc_fail(&err, KC_TAMPERED, "restore the header", "the mac does not hold");
	kc_fail(&err, KC_DEVICE, "check the device", "attach failed");
	assert_int_equal(err.code, KC_TAMPERED);
	assert_string_equal(err.text, "the mac does not hold");
	assert_string_equal(err.next, "restore the header");
}

static void an_overlong_sentence_is_cut_not_overrun(void **state)
{
	struct kc_error err = { 0 };
	char longer[2 * sizeof(err.text)];

	for (size_t i = 0; i < sizeof(longer) - 1; i++)
		longer[i] = 'x';
	longer[sizeof(longer) - 1] = '\0';
	kc_fail(&err, KC_USAGE, longer, "%s", longer);
	assert_in_range(__builtin_strlen(err.text), 1, sizeof(err.text) - 1);
	assert_in_range(__builtin_strlen(err.next), 1, sizeof(err.next) - 1);
}

static void nobody_listening_is_fine(void **state)
{
	assert_int_equal(kc_fail(NULL, KC_NOMEM, NULL, "out of memory"), KC_NOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_returns_its_code),
		cmocka_unit_test(first_cause_is_kept),
		cmocka_unit_test(an_overlong_sentence_is_cut_not_overrun),
		cmocka_unit_test(nobody_listening_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
