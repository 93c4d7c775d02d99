// SPDX-License-Identifier: GPL-2.0-only
/*
 * crypt.c: data units of a range through a cipher. The vectors of IEEE 1619, the
 * limits on how far a data unit may be scattered, the borders of a chunk, and a
 * key that goes away between two of them. Random layouts: layout.c.
 */
#include "fake.h"
#include "ieee1619.h"

#include <linux/kthread.h>

#include "dm-kcache/crypt.c"

/* ---- IEEE 1619 ---- */


static void range_of(struct kcache_range *range, struct fake_bio *fb,
		     u64 sector, bool encrypt)
{
	*range = (struct kcache_range) {
		.bio = &fb->bio,
		.iter = fb->bio.bi_iter,
		.encrypt = encrypt,
	};
	range->iter.bi_sector = sector;
}

static void vectors(struct kunit *test, bool worker)
{
	const struct ieee1619_vector *v;
	struct kcache_target *kc;
	struct kcache_range range;
	struct fake_bio *fb;
	unsigned int i, j;

	kc = rig_plain("");
	for (i = 0; i < ARRAY_SIZE(ieee1619_vectors); i++) {
		v = &ieee1619_vectors[i];
		fb = rig_bio(kc, REQ_OP_READ, 0, 512);
		for (j = 0; j < 512; j++)
			fb->buf[j] = j;
		range_of(&range, fb, v->sequence_number, true);
		KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, worker), 0);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(fb->buf, v->ciphertext, 512),
				    0, "vector %u, encryption", v->vector);
		range_of(&range, fb, v->sequence_number, false);
		KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, worker), 0);
		for (j = 0; j < 512; j++)
			if (fb->buf[j] != (u8)j)
				break;
		KUNIT_EXPECT_EQ_MSG(test, j, 512U, "vector %u, decryption",
				    v->vector);
	}
}

static void ieee_1619_vectors(struct kunit *test)
{
	vectors(test, false);
}

static void ieee_1619_vectors_in_a_worker(struct kunit *test)
{
	vectors(test, true);
}

static void ieee_1619_vectors_with_a_driver_that_answers_later(struct kunit *test)
{
	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	vectors(test, true);
}

/* Two vectors as one bio: units 0xff and 0x100, of which we know the first. */
static void ieee_1619_vector_in_the_middle_of_a_bio(struct kunit *test)
{
	const struct ieee1619_vector *v = &ieee1619_vectors[0];
	struct kcache_target *kc = rig_plain("");
	struct kcache_range range;
	struct fake_bio *fb;
	unsigned int j;

	fb = rig_bio(kc, REQ_OP_READ, 0, 4096);
	for (j = 0; j < 4096; j++)
		fb->buf[j] = j;
	range_of(&range, fb, v->sequence_number - 3, true);
	KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, false), 0);
	KUNIT_EXPECT_EQ(test, memcmp(fb->buf + 3 * 512, v->ciphertext, 512), 0);
	/* its neighbours have other IVs */
	KUNIT_EXPECT_NE(test, memcmp(fb->buf + 2 * 512, v->ciphertext, 512), 0);
	KUNIT_EXPECT_NE(test, memcmp(fb->buf + 4 * 512, v->ciphertext, 512), 0);
}

/* ---- scattered data units ---- */

/*
 * One data unit of 4096 bytes in @n pieces, each in a page of its own. Bytes are
 * the unit's, in @unit.
 */
static struct fake_bio *scattered(struct kunit *test, struct kcache_target *kc,
				  unsigned int n, u8 *unit)
{
	struct fake_bio *fb = rig_bio(kc, REQ_OP_READ, 0, n * PAGE_SIZE);
	unsigned int i, len, at = 0, left = 4096;

	rig_random(unit, 4096);
	for (i = 0; i < n; i++) {
		/* multiples of the cipher's block, as unequal as can be */
		len = i == n - 1 ? left : round_down(left / (n - i), 16);
		if (i % 2 && len > 32 && i < n - 1)
			len -= 16;
		fb->bv[i].bv_offset = n > 1 ? 16 * (i + 1) : 0;
		fb->bv[i].bv_len = len;
		memcpy(fb->buf + i * PAGE_SIZE + fb->bv[i].bv_offset, unit + at,
		       len);
		at += len;
		left -= len;
	}
	KUNIT_ASSERT_EQ(test, left, 0U);
	rig_set_segments(fb, fb->bv, n);
	return fb;
}

static void compare_scattered(struct kunit *test, struct fake_bio *fb,
			      unsigned int n, const u8 *want)
{
	unsigned int i, at = 0;

	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ_MSG(test, memcmp(fb->buf + i * PAGE_SIZE +
						 fb->bv[i].bv_offset, want + at,
						 fb->bv[i].bv_len), 0,
				    "piece %u of %u", i, n);
		at += fb->bv[i].bv_len;
	}
}

static void a_unit_in_pieces_up_to_the_limit(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 sector_size:4096");
	u8 *unit = kunit_kzalloc(test, 4096, GFP_KERNEL);
	struct kcache_range range;
	struct fake_bio *fb;
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, unit);
	for (n = 1; n <= KCACHE_UNIT_FRAGS; n++) {
		fb = scattered(test, kc, n, unit);
		range_of(&range, fb, 80, false);
		KUNIT_EXPECT_EQ_MSG(test, kcache_crypt_range(kc, &range, false),
				    0, "%u pieces", n);
		KUNIT_EXPECT_EQ(test, range.iter.bi_size, 0U);
		reference_crypt(rig_dek, 80, unit, 4096, false);
		compare_scattered(test, fb, n, unit);
	}
}

static void a_unit_in_more_pieces_is_an_error(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 sector_size:4096");
	u8 *unit = kunit_kzalloc(test, 4096, GFP_KERNEL);
	struct kcache_range range;
	struct fake_bio *fb;
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, unit);
	for (n = KCACHE_UNIT_FRAGS + 1; n <= KCACHE_UNIT_FRAGS + 3; n++) {
		fb = scattered(test, kc, n, unit);
		range_of(&range, fb, 80, false);
		KUNIT_EXPECT_EQ_MSG(test, kcache_crypt_range(kc, &range, false),
				    -EIO, "%u pieces", n);
		/* and nothing was written */
		compare_scattered(test, fb, n, unit);
	}
}

/* A write that begins with such a unit, and @more whole pages behind it. */
static struct fake_bio *refused_write(struct kcache_target *kc,
				      unsigned int more)
{
	unsigned int i, n = KCACHE_UNIT_FRAGS + 1;
	struct fake_bio *fb = rig_bio(kc, REQ_OP_WRITE, 0,
				      (n + more) * PAGE_SIZE);

	for (i = 0; i < n - 1; i++)
		fb->bv[i].bv_len = 16;
	fb->bv[i].bv_len = 4096 - 16 * i;
	rig_set_segments(fb, fb->bv, n + more);
	return fb;
}

/* Whoever encrypts it, the submitter, a worker or several CPUs. */
static void a_write_that_cannot_be_encrypted_ends_once(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 sector_size:4096");
	unsigned long flags;
	struct fake_bio *fb;

	fb = refused_write(kc, 0);
	KUNIT_EXPECT_EQ(test, rig_do(fb), BLK_STS_IOERR);

	fb = refused_write(kc, 0);
	local_irq_save(flags);
	rig_map(fb);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, rig_wait(fb), BLK_STS_IOERR);

	fb = refused_write(kc, KCACHE_FAN_BYTES / PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, rig_do(fb), BLK_STS_IOERR);

	KUNIT_EXPECT_EQ_MSG(test, rig.submitted, 0U, "the device got some");
}

/* ---- chunks, and the key between them ---- */

/* A range that ends before, at and behind the border of a chunk. */
static void borders_of_a_chunk(struct kunit *test)
{
	static const int around[] = { -512, 0, 512, KCACHE_CHUNK - 512,
				      KCACHE_CHUNK, KCACHE_CHUNK + 512 };
	struct kcache_target *kc = rig_plain("");
	struct kcache_range range;
	struct fake_bio *fb;
	unsigned int i, j, bytes;
	u8 *want;

	want = kunit_kzalloc(test, 3 * KCACHE_CHUNK, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, want);
	for (i = 0; i < ARRAY_SIZE(around); i++) {
		bytes = KCACHE_CHUNK + around[i];
		fb = rig_bio(kc, REQ_OP_READ, 0, bytes);
		rig_random(fb->buf, bytes);
		memcpy(want, fb->buf, bytes);
		range_of(&range, fb, 1000, true);
		KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, false), 0);
		for (j = 0; j < bytes; j += 512)
			reference_crypt(rig_dek, 1000 + j / 512, want + j, 512,
					true);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(fb->buf, want, bytes), 0,
				    "%u bytes", bytes);
	}
}

static void without_a_key_nothing_is_touched(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct kcache_range range;
	struct fake_bio *fb;
	unsigned int worker;

	kcache_key_wipe(kc->key->md);
	for (worker = 0; worker < 2; worker++) {
		fb = rig_bio(kc, REQ_OP_READ, 0, 8192);
		memset(fb->buf, 0x5a, 8192);
		range_of(&range, fb, 0, false);
		KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, worker),
				-ENOKEY);
		KUNIT_EXPECT_EQ(test, range.iter.bi_size, 8192U);
		KUNIT_EXPECT_PTR_EQ(test, memchr_inv(fb->buf, 0x5a, 8192), NULL);
	}
}

static void a_driver_that_answers_later_without_a_key(struct kunit *test)
{
	struct kcache_target *kc;
	struct kcache_range range;
	struct fake_bio *fb;

	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	kc = rig_plain("");
	KUNIT_EXPECT_TRUE(test, kc->key->async);
	KUNIT_EXPECT_FALSE(test, kcache_can_crypt_here(kc->key, 512));
	kcache_key_wipe(kc->key->md);
	fb = rig_bio(kc, REQ_OP_READ, 0, 512);
	range_of(&range, fb, 0, false);
	KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, true), -ENOKEY);
}

/* ---- a wipe while it is in use ---- */

struct encryptor {
	struct kcache_target *kc;
	struct fake_bio *fb;
	struct completion inside;
	struct completion left;
	unsigned int rounds;
	int result;
};

/* Encrypts the same bio until the key is gone. */
static int use_key(void *data)
{
	struct encryptor *user = data;
	struct kcache_range range;

	do {
		range_of(&range, user->fb, 0, true);
		user->result = kcache_crypt_range(user->kc, &range, true);
		if (!user->rounds++)
			complete(&user->inside);
		cond_resched();
	} while (!user->result && !kthread_should_stop());
	complete(&user->left);
	return 0;
}

static void wipe_in_use(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct task_struct *task;
	struct encryptor user = {
		.kc = kc,
		.fb = rig_bio(kc, REQ_OP_READ, 0, 16 * KCACHE_CHUNK),
	};

	init_completion(&user.inside);
	init_completion(&user.left);
	task = kthread_create(use_key, &user, "kunit-use");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&user.inside);
	kcache_key_wipe(kc->key->md);
	/* it has waited for whoever was inside: the schedule is gone */
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
	KUNIT_EXPECT_EQ(test, kc->key->state, KCACHE_KEY_WIPED);
	/* it ends by itself, not because it is told to stop */
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&user.left, 30 * HZ),
			0UL);
	kthread_stop(task);
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, user.result, -ENOKEY);
	KUNIT_EXPECT_GT(test, user.rounds, 0U);
}

static void wipe_in_use_takes_effect(struct kunit *test)
{
	wipe_in_use(test);
}

static void wipe_in_use_with_a_driver_that_answers_later(struct kunit *test)
{
	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	wipe_in_use(test);
}

/*
 * Wiped and set again, over and over, while another thread encrypts: what it
 * encrypted with success is right, whichever of the schedules it had.
 */
static void set_in_use_never_mixes_schedules(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct kcache_range range;
	struct task_struct *task;
	struct fake_bio *fb;
	struct encryptor user = {
		.kc = kc,
		.fb = rig_bio(kc, REQ_OP_READ, 0, 4 * KCACHE_CHUNK),
	};
	unsigned int i;
	u8 want[512];

	rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	init_completion(&user.inside);
	init_completion(&user.left);
	task = kthread_create(use_key, &user, "kunit-use");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&user.inside);
	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
		fb = rig_bio(kc, REQ_OP_READ, 0, 512);
		memset(want, i, sizeof(want));
		memset(fb->buf, i, sizeof(want));
		range_of(&range, fb, i, true);
		KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, false), 0);
		reference_crypt(rig_dek, i, want, sizeof(want), true);
		KUNIT_EXPECT_EQ(test, memcmp(fb->buf, want, sizeof(want)), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	kthread_stop(task);
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, user.result, 0);
}

/* ---- what a failure is told as ---- */

static void failures_are_counted_and_told(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct fake_bio *fb = rig_bio(kc, REQ_OP_READ, 0, 512);

	fb->io.kc = kc;
	fb->io.iter = fb->bio.bi_iter;
	KUNIT_EXPECT_EQ(test, kcache_fail(&fb->io, &fb->bio, -ENOKEY),
			BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, kcache_fail(&fb->io, &fb->bio, -EIO),
			BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, kcache_fail(&fb->io, &fb->bio, -ENOMEM),
			BLK_STS_RESOURCE);
	KUNIT_EXPECT_EQ(test, rig_errors(kc), 3ULL);
}

static struct kunit_case crypt_cases[] = {
	KUNIT_CASE(ieee_1619_vectors),
	KUNIT_CASE(ieee_1619_vectors_in_a_worker),
	KUNIT_CASE(ieee_1619_vectors_with_a_driver_that_answers_later),
	KUNIT_CASE(ieee_1619_vector_in_the_middle_of_a_bio),
	KUNIT_CASE(a_unit_in_pieces_up_to_the_limit),
	KUNIT_CASE(a_unit_in_more_pieces_is_an_error),
	KUNIT_CASE(a_write_that_cannot_be_encrypted_ends_once),
	KUNIT_CASE(borders_of_a_chunk),
	KUNIT_CASE(without_a_key_nothing_is_touched),
	KUNIT_CASE(a_driver_that_answers_later_without_a_key),
	KUNIT_CASE(wipe_in_use_takes_effect),
	KUNIT_CASE(wipe_in_use_with_a_driver_that_answers_later),
	KUNIT_CASE(set_in_use_never_mixes_schedules),
	KUNIT_CASE(failures_are_counted_and_told),
	{ }
};

struct kunit_suite kcache_crypt_suite = {
	.name = "kcache-crypt",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = crypt_cases,
};
