// SPDX-License-Identifier: GPL-2.0-only
/*
 * fan.c: a large bio in pieces. Whatever its size and its segments, the result is
 * that of one piece, and whoever waits for it is told once.
 */
#include "fake.h"

struct fanned {
	struct completion done;
	atomic_t calls;
	int result;
};

/* the bio that is under way; one at a time */
static struct fanned fanned;

static void fan_done(struct kcache_io *io, struct bio *bio, int r, bool worker)
{
	fanned.result = r;
	atomic_inc(&fanned.calls);
	complete(&fanned.done);
}

static int fan(struct kunit *test, struct layout *l)
{
	init_completion(&fanned.done);
	atomic_set(&fanned.calls, 0);
	KUNIT_ASSERT_TRUE(test, kcache_fan_out(&l->fb->io, &l->fb->bio,
					       fan_done));
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&fanned.done, 30 * HZ),
			0UL);
	/* whoever would be second has time to come */
	schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fanned.calls), 1);
	return fanned.result;
}

static const unsigned int sizes[] = {
	128 * 1024, 128 * 1024 + 4096, 196 * 1024, 256 * 1024 - 4096,
	1024 * 1024,
};

static u64 fanned_ios(struct kcache_target *kc)
{
	unsigned int cpu;
	u64 n = 0;

	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(kc->stats, cpu)->fanned_ios;
	return n;
}

static void reads(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 sector_size:4096");
	struct layout *l = layout_new(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		layout_make(l, kc, sizes[i], false);
		KUNIT_EXPECT_EQ(test, fan(test, l), 0);
		layout_reference(l, kc);
		KUNIT_EXPECT_TRUE_MSG(test, layout_in_place(l), "%u bytes",
				      sizes[i]);
	}
	KUNIT_EXPECT_EQ(test, fanned_ios(kc), (u64)ARRAY_SIZE(sizes));
}

static void writes(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct layout *l = layout_new(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		layout_make(l, kc, sizes[i], true);
		KUNIT_ASSERT_TRUE(test, kcache_bounce_try(&l->fb->io.segs,
							  sizes[i]));
		KUNIT_EXPECT_EQ(test, fan(test, l), 0);
		layout_reference(l, kc);
		KUNIT_EXPECT_TRUE_MSG(test, layout_packed(l, &l->fb->io.segs),
				      "%u bytes", sizes[i]);
		kcache_bounce_free(kc->reserve, &l->fb->io.segs);
	}
}

static void odd_number_of_sectors(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct layout *l = layout_new(test);

	layout_make(l, kc, 128 * 1024 + 7 * 512, false);
	KUNIT_EXPECT_EQ(test, fan(test, l), 0);
	layout_reference(l, kc);
	KUNIT_EXPECT_TRUE(test, layout_in_place(l));
}

static void without_a_key_it_fails_once(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct layout *l = layout_new(test);

	kcache_key_wipe(kc->key->md);
	layout_make(l, kc, 512 * 1024, false);
	KUNIT_EXPECT_EQ(test, fan(test, l), -ENOKEY);
}

static void driver_that_answers_later(struct kunit *test)
{
	struct layout *l = layout_new(test);
	struct kcache_target *kc;

	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	kc = rig_plain("1 sector_size:4096");
	layout_make(l, kc, 256 * 1024, false);
	KUNIT_EXPECT_EQ(test, fan(test, l), 0);
	layout_reference(l, kc);
	KUNIT_EXPECT_TRUE(test, layout_in_place(l));
}

static struct kunit_case fan_cases[] = {
	KUNIT_CASE(reads),
	KUNIT_CASE(writes),
	KUNIT_CASE(odd_number_of_sectors),
	KUNIT_CASE(without_a_key_it_fails_once),
	KUNIT_CASE(driver_that_answers_later),
	{ }
};

struct kunit_suite kcache_fan_suite = {
	.name = "kcache-fan",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = fan_cases,
};
