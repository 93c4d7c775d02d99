// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-kcache-kunit.ko: KUnit suites for the module.
 *
 * How it is made. Every source of the module is compiled into this one as it is,
 * with its edges moved (seams.h): to device-mapper, to the clock, to whoever
 * listens to events. A suite that has to see what is static includes its source
 * (tests/kunit/key.c includes dm-kcache/key.c); other sources are linked. No
 * symbol is exported for the tests' sake, and nothing in the module knows of
 * them. The target type is captured, not registered.
 *
 * Keys come from a keyring of the test's thread, through the module's own
 * keyring.c; ciphers from the kernel's crypto API.
 *
 * The plan is printed when the first suite begins. Linux 6.1 numbers the results
 * of a module and says nowhere how many there are to be.
 */
#include <linux/module.h>

#include "fake.h"

#define SUITES \
	&kcache_table_suite, &kcache_cipher_suite, &kcache_iv_suite, \
	&kcache_crypt_suite, &kcache_layout_suite, &kcache_key_suite, \
	&kcache_lease_suite, &kcache_bounce_suite, &kcache_defer_suite, \
	&kcache_fan_suite, &kcache_park_suite, &kcache_status_suite, \
	&kcache_target_suite

static struct kunit_suite *const plan[] = { SUITES };

/* The module is set up, once. */
static bool ready;

kunit_test_suites(SUITES);

int rig_begin(struct kunit_suite *suite)
{
	int r;

	if (ready)
		return 0;
	pr_info("KTAP version 1\n");
	pr_info("1..%zu\n", ARRAY_SIZE(plan));
	r = kunit_target_init();
	ready = !r;
	return r;
}

static int kunit_main_init(void)
{
	return 0;
}

static void kunit_main_exit(void)
{
	if (ready)
		kunit_target_exit();
}

module_init(kunit_main_init);
module_exit(kunit_main_exit);
