// SPDX-License-Identifier: GPL-2.0-only
/*
 * park.c: bios that find no key, and every way out of that state. Seen from
 * outside: .map, .end_io, the messages and suspends of device-mapper.
 */
#include "fake.h"

#define FREEZE "2 lease:60 on_expiry:freeze"

static struct kcache_target *frozen(struct kunit *test)
{
	struct kcache_target *kc = rig_plain(FREEZE);

	clock_advance(SECONDS(60));
	KUNIT_EXPECT_EQ(test, kc->key->state, KCACHE_KEY_EXPIRED);
	return kc;
}

static bool waits(struct fake_bio *fb)
{
	/* whatever would end it has time to */
	schedule_timeout_uninterruptible(2);
	return !atomic_read(&fb->ended);
}

static void give_key_back(struct kunit *test, struct kcache_target *kc)
{
	struct key *key = rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));

	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
	rig_forget(key);
}

static void message(struct kunit *test, struct kcache_target *kc, char *word)
{
	char *argv[] = { word };

	KUNIT_EXPECT_EQ(test, fake_target_type->message(kc->ti, 1, argv, NULL,
							0), 0);
}

static void what_waits_starts_over_with_the_key(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *w, *r;
	u8 want[512];

	w = rig_bio(kc, REQ_OP_WRITE | REQ_POLLED, 8, 64 * 1024);
	rig_random(w->buf, 64 * 1024);
	memcpy(want, w->buf, 512);
	rig_map(w);
	KUNIT_EXPECT_EQ(test, w->mapped, DM_MAPIO_SUBMITTED);
	KUNIT_EXPECT_TRUE(test, waits(w));
	KUNIT_EXPECT_EQ(test, rig.submitted, 0U);
	give_key_back(test, kc);
	KUNIT_EXPECT_EQ(test, rig_wait(w), BLK_STS_OK);
	/* whoever polls would spin until the key is back */
	KUNIT_EXPECT_FALSE(test, w->polled);
	reference_crypt(rig_dek, 8, want, 512, true);
	KUNIT_EXPECT_EQ(test, memcmp(rig.disk + ((RIG_START + 8) << 9), want,
				     512), 0);
	r = rig_bio(kc, REQ_OP_READ, 8, 64 * 1024);
	KUNIT_EXPECT_EQ(test, rig_do(r), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(r->buf, w->buf, 64 * 1024), 0);
}

/* The key goes between the device's being asked and its answer. */
static void a_read_that_lost_its_key_asks_the_device_anew(struct kunit *test)
{
	struct kcache_target *kc = rig_plain(FREEZE);
	struct fake_bio *w, *r;

	w = rig_bio(kc, REQ_OP_WRITE, 0, 8192);
	rig_random(w->buf, 8192);
	KUNIT_EXPECT_EQ(test, rig_do(w), BLK_STS_OK);
	rig.hold = true;
	r = rig_bio(kc, REQ_OP_READ, 0, 8192);
	rig_map(r);
	clock_advance(SECONDS(60));
	rig.hold = false;
	rig_answer();
	KUNIT_EXPECT_TRUE(test, waits(r));
	KUNIT_EXPECT_EQ(test, rig.submitted, 2U);
	give_key_back(test, kc);
	KUNIT_EXPECT_EQ(test, rig_wait(r), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, rig.submitted, 3U);
	KUNIT_EXPECT_EQ(test, memcmp(r->buf, w->buf, 8192), 0);
}

static void without_freeze_nothing_waits(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("2 lease:60 on_expiry:fail");

	clock_advance(SECONDS(60));
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 512)),
			BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE, 0, 512)),
			BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig.submitted, 0U);
}

/* What comes while the key is away, and what loses it on the way. */
static void readahead_and_nowait_never_wait(struct kunit *test)
{
	struct kcache_target *kc = rig_plain(FREEZE);
	struct fake_bio *ahead = rig_bio(kc, REQ_OP_READ | REQ_RAHEAD, 0, 512);
	struct fake_bio *nowait = rig_bio(kc, REQ_OP_READ | REQ_NOWAIT, 0, 512);

	rig.hold = true;
	rig_map(ahead);
	rig_map(nowait);
	clock_advance(SECONDS(60));
	rig.hold = false;
	rig_answer();
	KUNIT_EXPECT_EQ(test, rig_wait(ahead), BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_wait(nowait), BLK_STS_AGAIN);

	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ | REQ_RAHEAD, 0,
					     512)), BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ | REQ_NOWAIT, 0,
					     512)), BLK_STS_AGAIN);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE | REQ_NOWAIT, 0,
					     512)), BLK_STS_AGAIN);
	/* nobody has lost anything */
	KUNIT_EXPECT_EQ(test, rig_errors(kc), 0ULL);
	message(test, kc, "fail_frozen");
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ | REQ_RAHEAD, 0,
					     512)), BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_errors(kc), 1ULL);
}

/* Nothing of them needs a key. */
static void flushes_and_discards_pass(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *fb;

	fb = rig_bio(kc, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
	KUNIT_EXPECT_EQ(test, rig_do(fb), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, rig.submitted, 1U);
}

static void fail_frozen_fails_what_waits_and_what_comes(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *fb = rig_bio(kc, REQ_OP_READ, 0, 512);

	rig_map(fb);
	KUNIT_EXPECT_TRUE(test, waits(fb));
	message(test, kc, "fail_frozen");
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 512)),
			BLK_STS_IOERR);
	/* until the key is set; from then on it freezes again */
	give_key_back(test, kc);
	clock_advance(SECONDS(60));
	fb = rig_bio(kc, REQ_OP_READ, 0, 512);
	rig_map(fb);
	KUNIT_EXPECT_TRUE(test, waits(fb));
	message(test, kc, "FAIL_FROZEN");
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_IOERR);
}

static void a_flushing_suspend_fails_what_waits(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *fb = rig_bio(kc, REQ_OP_WRITE, 0, 512);

	rig_map(fb);
	fake_target_type->presuspend(kc->ti);
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 512)),
			BLK_STS_IOERR);
}

static void a_noflush_suspend_pushes_back(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *fb = rig_bio(kc, REQ_OP_WRITE, 0, 512);

	rig_map(fb);
	rig.noflush = true;
	fake_target_type->presuspend(kc->ti);
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_DM_REQUEUE);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 512)),
			BLK_STS_DM_REQUEUE);
	/* what a suspend has decided stays while it lasts */
	give_key_back(test, kc);
	kcache_key_wipe(kc->key->md);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 512)),
			BLK_STS_DM_REQUEUE);
}

static void a_suspend_that_is_called_off(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *fb = rig_bio(kc, REQ_OP_READ, 0, 512);

	fake_target_type->presuspend(kc->ti);
	fake_target_type->presuspend_undo(kc->ti);
	rig_map(fb);
	KUNIT_EXPECT_TRUE(test, waits(fb));
	message(test, kc, "fail_frozen");
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_IOERR);
}

static void resume_without_a_key_is_refused(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);

	fake_target_type->presuspend(kc->ti);
	KUNIT_EXPECT_EQ(test, fake_target_type->preresume(kc->ti), -EAGAIN);
	give_key_back(test, kc);
	KUNIT_EXPECT_EQ(test, fake_target_type->preresume(kc->ti), 0);
	fake_target_type->resume(kc->ti);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 512)),
			BLK_STS_OK);
}

/* One wipe, or one key that is set, reaches every segment of the device. */
static void every_target_of_the_object_is_released(struct kunit *test)
{
	struct kcache_target *a, *b;
	struct fake_bio *fa, *fb;
	struct fake_md *md;

	md = rig_md("one");
	rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	a = rig_target(md, RIG_LINE_PLAIN " " FREEZE);
	b = rig_target(md, RIG_LINE_PLAIN " " FREEZE);
	kcache_key_wipe(md_of(md));
	fa = rig_bio(a, REQ_OP_READ, 0, 512);
	fb = rig_bio(b, REQ_OP_READ, 0, 512);
	rig_map(fa);
	rig_map(fb);
	KUNIT_EXPECT_TRUE(test, waits(fa));
	KUNIT_EXPECT_TRUE(test, waits(fb));
	KUNIT_EXPECT_EQ(test, kcache_key_set(a, "logon", "kc:dek"), 0);
	KUNIT_EXPECT_EQ(test, rig_wait(fa), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_OK);
}

/* A worker has to manage with the reserve, so what may wait is no larger. */
static void a_write_that_may_wait_fits_the_reserve(struct kunit *test)
{
	struct kcache_target *kc = frozen(test);
	struct fake_bio *fb = rig_bio(kc, REQ_OP_WRITE, 0,
				      KCACHE_RESERVE_BYTES + 8192);

	rig_map(fb);
	KUNIT_EXPECT_EQ(test, fb->accepted,
			(unsigned int)KCACHE_RESERVE_BYTES >> SECTOR_SHIFT);
	message(test, kc, "fail_frozen");
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_IOERR);
}

static struct kunit_case park_cases[] = {
	KUNIT_CASE(what_waits_starts_over_with_the_key),
	KUNIT_CASE(a_read_that_lost_its_key_asks_the_device_anew),
	KUNIT_CASE(without_freeze_nothing_waits),
	KUNIT_CASE(readahead_and_nowait_never_wait),
	KUNIT_CASE(flushes_and_discards_pass),
	KUNIT_CASE(fail_frozen_fails_what_waits_and_what_comes),
	KUNIT_CASE(a_flushing_suspend_fails_what_waits),
	KUNIT_CASE(a_noflush_suspend_pushes_back),
	KUNIT_CASE(a_suspend_that_is_called_off),
	KUNIT_CASE(resume_without_a_key_is_refused),
	KUNIT_CASE(every_target_of_the_object_is_released),
	KUNIT_CASE(a_write_that_may_wait_fits_the_reserve),
	{ }
};

struct kunit_suite kcache_park_suite = {
	.name = "kcache-park",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = park_cases,
};
