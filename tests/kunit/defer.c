// SPDX-License-Identifier: GPL-2.0-only
/*
 * defer.c: reads that completed where nothing can be decrypted. Order, one kick a
 * batch, what a softirq takes on and what it passes on, and above all that every
 * bio ends exactly once with the right data.
 *
 * Moved edges: the kick of the softirq, which is counted and can be held back, so
 * that a batch can be collected; and, for the order, what a read is ended by.
 */
#include "fake.h"

#include <linux/kthread.h>

static atomic_t kicks;
static bool hold_kicks;
static struct kcache_bh *held_bh;

static void kick(struct kcache_bh *bh)
{
	atomic_inc(&kicks);
	if (hold_kicks)
		held_bh = bh;
	else
		kcache_bh_kick(bh);
}

/* In what order reads were ended, and by whom. */
static DEFINE_SPINLOCK(ended_lock);
static struct kcache_io *ended[128];
static unsigned int nr_ended, nr_by_worker;

static void finish(struct kcache_io *io, struct bio *bio, int r, bool worker)
{
	unsigned long flags;

	spin_lock_irqsave(&ended_lock, flags);
	if (nr_ended < ARRAY_SIZE(ended))
		ended[nr_ended] = io;
	nr_ended++;
	nr_by_worker += worker;
	spin_unlock_irqrestore(&ended_lock, flags);
	kcache_finish_read(io, bio, r, worker);
}

#define kcache_bh_kick(bh) kick(bh)
#define kcache_finish_read(io, bio, r, worker) finish(io, bio, r, worker)
#include "dm-kcache/defer.c"
#undef kcache_bh_kick

static int defer_init(struct kunit *test)
{
	atomic_set(&kicks, 0);
	hold_kicks = false;
	held_bh = NULL;
	nr_ended = 0;
	nr_by_worker = 0;
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	return rig_init(test);
}

/* The softirq's turn, outside of a test's own time. */
static void let_go(void)
{
	hold_kicks = false;
	if (held_bh)
		kcache_bh_kick(held_bh);
	held_bh = NULL;
}

static void defer_exit(struct kunit *test)
{
	let_go();
	rig_exit(test);
}

/* What the disk holds is the ciphertext of this. */
static u8 pattern(unsigned int i, unsigned int at)
{
	return i * 31 + at / 512;
}

struct batch {
	struct kcache_target *kc;
	struct fake_bio *fb[100];
	unsigned int nr;
	unsigned int bytes;
};

/* @nr reads of @bytes, answered with interrupts off. */
static struct batch *batch_new(struct kunit *test, unsigned int nr,
			       unsigned int bytes)
{
	struct batch *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct fake_bio *w;
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->kc = rig_plain("");
	b->nr = nr;
	b->bytes = bytes;
	for (i = 0; i < nr; i++) {
		w = rig_bio(b->kc, REQ_OP_WRITE, i * bytes / 512, bytes);
		for (j = 0; j < bytes; j++)
			w->buf[j] = pattern(i, j);
		KUNIT_ASSERT_EQ(test, rig_do(w), BLK_STS_OK);
	}
	rig.irqs_off = true;
	for (i = 0; i < nr; i++) {
		b->fb[i] = rig_bio(b->kc, REQ_OP_READ, i * bytes / 512, bytes);
		rig_map(b->fb[i]);
	}
	return b;
}

static void wait_all(struct kunit *test, struct batch *b)
{
	unsigned int i, j, wrong = 0;

	for (i = 0; i < b->nr; i++) {
		KUNIT_EXPECT_EQ_MSG(test, rig_wait(b->fb[i]), BLK_STS_OK,
				    "bio %u of %u", i, b->nr);
		for (j = 0; j < b->bytes; j++)
			wrong += b->fb[i]->buf[j] != pattern(i, j);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0U, "bytes that are not plaintext");
	KUNIT_EXPECT_EQ(test, nr_ended, b->nr);
	/* nobody comes a second time */
	schedule_timeout_uninterruptible(1);
	for (i = 0; i < b->nr; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&b->fb[i]->ended), 1);
	KUNIT_EXPECT_TRUE(test, llist_empty(&raw_cpu_ptr(&kcache_defer)->fresh));
	KUNIT_EXPECT_TRUE(test, llist_empty(&raw_cpu_ptr(&kcache_defer)->spilt));
}

static u64 deferred(struct kcache_target *kc)
{
	unsigned int cpu;
	u64 n = 0;

	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(kc->stats, cpu)->deferred_ios;
	return n;
}

static void one_read(struct kunit *test)
{
	struct batch *b = batch_new(test, 1, 4096);

	wait_all(test, b);
	KUNIT_EXPECT_EQ(test, atomic_read(&kicks), 1);
	KUNIT_EXPECT_EQ(test, deferred(b->kc), 1ULL);
}

static void a_batch_costs_one_kick_and_keeps_its_order(struct kunit *test)
{
	struct batch *b;
	unsigned int i;

	hold_kicks = true;
	b = batch_new(test, 12, 4096);
	KUNIT_EXPECT_EQ(test, atomic_read(&kicks), 1);
	KUNIT_EXPECT_EQ(test, nr_ended, 0U);
	let_go();
	wait_all(test, b);
	for (i = 0; i < b->nr; i++)
		KUNIT_EXPECT_PTR_EQ(test, ended[i], &b->fb[i]->io);
}

/* 64 KiB in the softirq, in order; all others in the worker, in order too. */
static void what_is_beyond_the_budget_goes_to_the_worker(struct kunit *test)
{
	unsigned int i, fits = KCACHE_BH_BYTES / 4096;
	struct batch *b;

	hold_kicks = true;
	b = batch_new(test, 40, 4096);
	let_go();
	wait_all(test, b);
	/* less, where somebody else wanted the CPU */
	KUNIT_EXPECT_LE(test, nr_ended - nr_by_worker, fits);
	KUNIT_EXPECT_GE(test, nr_by_worker, 40 - fits);
	for (i = 0; i < b->nr; i++)
		KUNIT_EXPECT_PTR_EQ(test, ended[i], &b->fb[i]->io);
}

/* One that does not fit does not keep smaller ones from fitting. */
static void budget_by_bytes(struct kunit *test)
{
	struct batch *b;

	hold_kicks = true;
	b = batch_new(test, 10, 24 * 1024);
	let_go();
	wait_all(test, b);
	KUNIT_EXPECT_LE(test, nr_ended - nr_by_worker, 2U);
}

static void a_large_read_goes_alone(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	unsigned int bytes = KCACHE_SOFTIRQ_BYTES + 512;
	struct fake_bio *w, *r;

	w = rig_bio(kc, REQ_OP_WRITE, 0, bytes);
	rig_random(w->buf, bytes);
	KUNIT_ASSERT_EQ(test, rig_do(w), BLK_STS_OK);
	rig.irqs_off = true;
	r = rig_bio(kc, REQ_OP_READ, 0, bytes);
	KUNIT_EXPECT_EQ(test, rig_do(r), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(r->buf, w->buf, bytes), 0);
	/* past the list: a worker of its own, that ends it by itself */
	KUNIT_EXPECT_EQ(test, atomic_read(&kicks), 0);
	KUNIT_EXPECT_EQ(test, nr_ended, 0U);
	KUNIT_EXPECT_EQ(test, deferred(kc), 1ULL);
}

static void a_driver_that_answers_later_goes_alone(struct kunit *test)
{
	struct kcache_target *kc;
	struct fake_bio *w, *r;

	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	kc = rig_plain("");
	w = rig_bio(kc, REQ_OP_WRITE, 0, 4096);
	rig_random(w->buf, 4096);
	KUNIT_ASSERT_EQ(test, rig_do(w), BLK_STS_OK);
	r = rig_bio(kc, REQ_OP_READ, 0, 4096);
	KUNIT_EXPECT_EQ(test, rig_do(r), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(r->buf, w->buf, 4096), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&kicks), 0);
}

/* Bios that come while a batch is drained make the next one. */
static void batch_after_batch(struct kunit *test)
{
	struct batch *b = batch_new(test, 100, 512);

	wait_all(test, b);
	KUNIT_EXPECT_EQ(test, deferred(b->kc), 100ULL);
	KUNIT_EXPECT_GT(test, atomic_read(&kicks), 0);
	KUNIT_EXPECT_LE(test, atomic_read(&kicks), 100);
}

/* The key goes while they wait: each fails, once, and stays ciphertext. */
static void a_wipe_while_they_wait(struct kunit *test)
{
	struct batch *b;
	unsigned int i;

	hold_kicks = true;
	b = batch_new(test, 30, 4096);
	kcache_key_wipe(b->kc->key->md);
	let_go();
	for (i = 0; i < b->nr; i++) {
		KUNIT_EXPECT_EQ(test, rig_wait(b->fb[i]), BLK_STS_IOERR);
		KUNIT_EXPECT_EQ(test, memcmp(b->fb[i]->buf, rig.disk +
					     ((RIG_START + i * 8) << 9), 4096), 0);
	}
	KUNIT_EXPECT_EQ(test, nr_ended, b->nr);
}

/* An error of the device is passed on where it comes. */
static void device_errors_are_not_deferred(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct fake_bio *r = rig_bio(kc, REQ_OP_READ, 0, 4096);

	rig.irqs_off = true;
	rig.device_error = BLK_STS_MEDIUM;
	KUNIT_EXPECT_EQ(test, rig_do(r), BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, atomic_read(&kicks), 0);
}

/* Several targets share a CPU's list; one of them going must not matter. */
static void two_targets_in_one_batch(struct kunit *test)
{
	struct kcache_target *other;
	struct fake_bio *r;
	struct batch *b;

	other = rig_plain("");
	hold_kicks = true;
	b = batch_new(test, 5, 4096);
	r = rig_bio(other, REQ_OP_READ, 8, 4096);
	rig_map(r);
	kcache_key_wipe(other->key->md);
	let_go();
	KUNIT_EXPECT_EQ(test, rig_wait(r), BLK_STS_IOERR);
	b->nr = 5;
	KUNIT_EXPECT_EQ(test, rig_wait(b->fb[4]), BLK_STS_OK);
	/* waited for by hand */
	complete(&b->fb[4]->done);
	nr_ended--;
	wait_all(test, b);
}

static struct kunit_case defer_cases[] = {
	KUNIT_CASE(one_read),
	KUNIT_CASE(a_batch_costs_one_kick_and_keeps_its_order),
	KUNIT_CASE(what_is_beyond_the_budget_goes_to_the_worker),
	KUNIT_CASE(budget_by_bytes),
	KUNIT_CASE(a_large_read_goes_alone),
	KUNIT_CASE(a_driver_that_answers_later_goes_alone),
	KUNIT_CASE(batch_after_batch),
	KUNIT_CASE(a_wipe_while_they_wait),
	KUNIT_CASE(device_errors_are_not_deferred),
	KUNIT_CASE(two_targets_in_one_batch),
	{ }
};

struct kunit_suite kcache_defer_suite = {
	.name = "kcache-defer",
	.suite_init = rig_begin,
	.init = defer_init,
	.exit = defer_exit,
	.test_cases = defer_cases,
};
