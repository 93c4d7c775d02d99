// SPDX-License-Identifier: GPL-2.0-or-later
/* The line that shows how far something is: numbers that a person can believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "progress.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void shows(const struct kc_progress *p, uint64_t done, uint64_t ms, const char *want)
{
	char text[160];

	kc_progress_text(p, done, ms, text, sizeof(text));
	assert_string_equal(text, want);
}

static void the_rest_takes_as_long_as_it_did_so_far(void **state)
{
	const struct kc_progress p = { .total = 4 * GIB };

	shows(&p, 1 * GIB, 10000, "Progress:  25.0%, ETA 00m30s, 1.0 GiB done, speed 102.4 MiB/s");
	shows(&p, 4 * GIB, 40000, "Progress: 100.0%, ETA 00m00s, 4.0 GiB done, speed 102.4 MiB/s");
}

static void what_an_earlier_run_did_is_no_speed(void **state)
{
	const struct kc_progress p = { .total = 4 * GIB, .before = 2 * GIB };

	shows(&p, 3 * GIB, 10000, "Progress:  75.0%, ETA 00m10s, 3.0 GiB done, speed 102.4 MiB/s");
}

static void without_a_speed_there_is_no_time_left(void **state)
{
	const struct kc_progress p = { .total = 4 * GIB, .before = 2 * GIB };

	shows(&p, 2 * GIB, 10000, "Progress:  50.0%, ETA --, 2.0 GiB done, speed 0 B/s");
	shows(&p, 2 * GIB, 0, "Progress:  50.0%, ETA --, 2.0 GiB done, speed 0 B/s");
}

static void hours_and_days(void **state)
{
	const struct kc_progress p = { .total = 1024 * GIB };

	shows(&p, 1 * GIB, 20000, "Progress:   0.1%, ETA 05h41m00s, 1.0 GiB done, speed 51.2 MiB/s");
	shows(&p, 1 * MIB, 1000, "Progress:   0.0%, ETA 12 days, 1.0 MiB done, speed 1.0 MiB/s");
}

static void nothing_to_do_is_done(void **state)
{
	const struct kc_progress p = { 0 };

	shows(&p, 0, 5, "Progress: 100.0%, ETA --, 0 B done, speed 0 B/s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rest_takes_as_long_as_it_did_so_far),
		cmocka_unit_test(what_an_earlier_run_did_is_no_speed),
		cmocka_unit_test(without_a_speed_there_is_no_time_left),
		cmocka_unit_test(hours_and_days),
		cmocka_unit_test(nothing_to_do_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
