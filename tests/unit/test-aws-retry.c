// SPDX-License-Identifier: GPL-2.0-or-later
/* When a request to AWS is sent again, by a clock that only sleeping moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "aws.h"

static int64_t now;
static int64_t waits[64];
static unsigned int n_waits;
static int64_t limits[64];
static unsigned int n_limits;

static int64_t fake_now(void)
{
	return now;
}

static void fake_pause(int64_t ms)
{
	assert_true(n_waits < 64);
	waits[n_waits++] = ms;
	now += ms;
}

/* The longest that chance can give: below the limit. */
static int64_t longest(int64_t limit)
{
	assert_true(n_limits < 64);
	limits[n_limits++] = limit;
	return limit - 1;
}

static int64_t shortest(int64_t limit)
{
	(void)limit;
	return 0;
}

static struct aws_retry start(int64_t deadline, bool grants)
{
	now = 1000000;
	n_waits = 0;
	n_limits = 0;
	return (struct aws_retry){
		.now = fake_now, .pause = fake_pause, .below = longest, .deadline = now + deadline, .grants = grants,
	};
}

/* What all providers' table says must not be sent again. */
static void what_is_final_is_asked_once(void **state)
{
	int e;

	for (e = KH_OK; e < KH_N_ERRORS; e++) {
		struct aws_retry r = start(60000, true);
		bool fresh = true;

		if (kh_error_retry((enum kh_error)e) != KH_RETRY_NEVER)
			continue;
		assert_false(aws_retry(&r, (enum kh_error)e, &fresh));
		assert_false(fresh);
		assert_int_equal(n_waits, 0);
	}
}

static void the_limit_doubles_up_to_20_seconds(void **state)
{
	struct aws_retry r = start(1000000, false);
	static const int64_t want[] = { 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000, 20000 };
	bool fresh;
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(aws_retry(&r, KH_THROTTLED, &fresh));
		assert_int_equal(limits[i], want[i]);
		assert_int_equal(waits[i], want[i] - 1);
		assert_false(fresh);
	}
}

static void all_of_the_time_is_used_and_no_more(void **state)
{
	struct aws_retry r = start(60000, false);
	bool fresh;

	while (aws_retry(&r, KH_UNREACHABLE, &fresh))
		assert_true(now <= r.deadline - 1000);
	/* the last try came one second before the end */
	assert_int_equal(now, r.deadline - 1000);
	now = r.deadline + 1;
	assert_false(aws_retry(&r, KH_TIMEOUT, &fresh));
}

static void chance_may_be_no_wait_at_all(void **state)
{
	struct aws_retry r = start(60000, false);
	bool fresh;
	int i;

	r.below = shortest;
	for (i = 0; i < 10; i++)
		assert_true(aws_retry(&r, KH_INTERNAL, &fresh));
	assert_int_equal(now, 1000000);
}

static void new_credentials_are_fetched_once(void **state)
{
	struct aws_retry r = start(60000, true);
	bool fresh;

	assert_true(aws_retry(&r, KH_CREDENTIALS, &fresh));
	assert_true(fresh);
	assert_int_equal(n_waits, 0);
	assert_false(aws_retry(&r, KH_CREDENTIALS, &fresh));
	assert_false(fresh);
}

static void a_refusal_is_final_after_30_seconds(void **state)
{
	struct aws_retry r = start(600000, true);
	bool fresh;

	while (aws_retry(&r, KH_DENIED, &fresh))
		assert_true(now <= 1000000 + 30000);
	assert_int_equal(now, 1000000 + 30000 - 1000);
}

static void the_30_seconds_begin_with_the_first_refusal(void **state)
{
	struct aws_retry r = start(600000, true);
	bool fresh;

	now += 200000;
	assert_true(aws_retry(&r, KH_DENIED, &fresh));
	assert_true(now >= 1200000 && now < 1230000);
}

static void administration_does_not_wait_for_a_grant(void **state)
{
	struct aws_retry r = start(60000, false);
	bool fresh;

	assert_false(aws_retry(&r, KH_DENIED, &fresh));
	assert_int_equal(n_waits, 0);
}

static void a_short_deadline_is_kept(void **state)
{
	struct aws_retry r = start(900, true);
	bool fresh;

	assert_false(aws_retry(&r, KH_THROTTLED, &fresh));
	assert_int_equal(n_waits, 0);
}

/* The clock that is used, and chance: not always the same, never beyond the limit. */
static void the_real_clock_and_chance(void **state)
{
	struct aws_retry r;
	int64_t v, first = 0;
	bool differ = false;
	int i;

	aws_retry_start(&r, INT64_MAX, false);
	for (i = 0; i < 1000; i++) {
		v = r.below(20000);
		assert_true(v >= 0 && v < 20000);
		differ = differ || (i && v != first);
		first = v;
	}
	assert_true(differ);
	assert_int_equal(r.below(0), 0);
	v = r.now();
	r.pause(20);
	assert_true(r.now() - v >= 20 && r.now() - v < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_final_is_asked_once),
		cmocka_unit_test(the_limit_doubles_up_to_20_seconds),
		cmocka_unit_test(all_of_the_time_is_used_and_no_more),
		cmocka_unit_test(chance_may_be_no_wait_at_all),
		cmocka_unit_test(new_credentials_are_fetched_once),
		cmocka_unit_test(a_refusal_is_final_after_30_seconds),
		cmocka_unit_test(the_30_seconds_begin_with_the_first_refusal),
		cmocka_unit_test(administration_does_not_wait_for_a_grant),
		cmocka_unit_test(a_short_deadline_is_kept),
		cmocka_unit_test(the_real_clock_and_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
