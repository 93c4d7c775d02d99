// SPDX-License-Identifier: GPL-2.0-only
/*
 * cipher.c: which driver is chosen, one that answers later included, the check
 * value, and that every transformation is freed again.
 *
 * Moved edge: the crypto API's allocation of a transformation, which is counted
 * (rig.ciphers), can fail (rig.cipher_error) and can be told to give a certain
 * algorithm (rig.cipher), for the sake of drivers that this machine does not have.
 */
#include <crypto/skcipher.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>

#include "fake.h"

static char *driver = "";
module_param(driver, charp, 0);
MODULE_PARM_DESC(driver, "the driver that has to be chosen on this machine");

static struct crypto_skcipher *alloc_counted(const char *name, u32 type, u32 mask)
{
	struct crypto_skcipher *tfm;

	if (rig.cipher_error)
		return ERR_PTR(rig.cipher_error);
	if (rig.cipher) {
		/* a machine whose only driver answers later */
		if (mask & CRYPTO_ALG_ASYNC)
			return ERR_PTR(-ENOENT);
		name = rig.cipher;
		mask = 0;
	}
	tfm = crypto_alloc_skcipher(name, type, mask);
	/* what tests have asked for stays registered, and comes before what it wraps */
	if (!IS_ERR(tfm) && !rig.cipher &&
	    strstarts(crypto_skcipher_driver_name(tfm), "cryptd(xts(ecb(")) {
		crypto_free_skcipher(tfm);
		tfm = crypto_alloc_skcipher(name, type,
					    mask | CRYPTO_ALG_ASYNC);
	}
	if (!IS_ERR(tfm))
		atomic_inc(&rig.ciphers);
	return tfm;
}

static void free_counted(struct crypto_skcipher *tfm)
{
	atomic_dec(&rig.ciphers);
	crypto_free_skcipher(tfm);
}

#define crypto_alloc_skcipher(name, type, mask) alloc_counted(name, type, mask)
#define crypto_free_skcipher(tfm) free_counted(tfm)
#include "dm-kcache/cipher.c"

/* One block of zeros under the highest IV; computed with OpenSSL. */
static const u8 check_of_dek[KCACHE_CHECK_SIZE] = {
	0x96, 0x4f, 0x92, 0xe6, 0xf3, 0x35, 0x12, 0xb1,
	0xd1, 0xb9, 0x45, 0xa2, 0x11, 0xc3, 0xdb, 0x44,
};

static void driver_is_the_one_of_this_machine(struct kunit *test)
{
	struct kcache_cipher *cipher = kcache_cipher_new(rig_dek);

	KUNIT_ASSERT_FALSE(test, IS_ERR(cipher));
	kunit_info(test, "driver %s", kcache_cipher_driver(cipher));
	if (*driver)
		KUNIT_EXPECT_STREQ(test, kcache_cipher_driver(cipher), driver);
	KUNIT_EXPECT_FALSE(test, cipher->async);
	KUNIT_EXPECT_EQ(test, kcache_cipher_slow(cipher),
			strstarts(kcache_cipher_driver(cipher), "xts(ecb("));
	kcache_cipher_free(cipher);
}

static void one_transformation_is_kept(struct kunit *test)
{
	struct kcache_cipher *cipher = kcache_cipher_new(rig_dek);

	KUNIT_ASSERT_FALSE(test, IS_ERR(cipher));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	kcache_cipher_free(cipher);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
}

static void nothing_to_free_is_fine(struct kunit *test)
{
	kcache_cipher_free(NULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
}

static void check_value_is_the_documented_one(struct kunit *test)
{
	struct kcache_cipher *cipher = kcache_cipher_new(rig_dek);
	u8 check[KCACHE_CHECK_SIZE] = { };

	KUNIT_ASSERT_FALSE(test, IS_ERR(cipher));
	KUNIT_EXPECT_EQ(test, kcache_cipher_check(cipher, check), 0);
	KUNIT_EXPECT_EQ(test, memcmp(check, check_of_dek, sizeof(check)), 0);
	kcache_cipher_free(cipher);
}

static void check_value_tells_every_bit_of_a_key(struct kunit *test)
{
	u8 raw[KCACHE_KEY_SIZE], check[KCACHE_CHECK_SIZE];
	struct kcache_cipher *cipher;
	unsigned int i;

	for (i = 0; i < KCACHE_KEY_SIZE; i++) {
		memcpy(raw, rig_dek, sizeof(raw));
		raw[i] ^= 1 << (i % 8);
		cipher = kcache_cipher_new(raw);
		KUNIT_ASSERT_FALSE(test, IS_ERR(cipher));
		KUNIT_EXPECT_EQ(test, kcache_cipher_check(cipher, check), 0);
		KUNIT_EXPECT_NE(test,
				memcmp(check, check_of_dek, sizeof(check)), 0);
		kcache_cipher_free(cipher);
	}
}

static void driver_that_answers_later_is_known_as_such(struct kunit *test)
{
	u8 check[KCACHE_CHECK_SIZE] = { };
	struct kcache_cipher *cipher;

	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	cipher = kcache_cipher_new(rig_dek);
	KUNIT_ASSERT_FALSE(test, IS_ERR(cipher));
	KUNIT_EXPECT_STREQ(test, kcache_cipher_driver(cipher), rig.cipher);
	KUNIT_EXPECT_TRUE(test, cipher->async);
	KUNIT_EXPECT_EQ(test, kcache_cipher_check(cipher, check), 0);
	KUNIT_EXPECT_EQ(test, memcmp(check, check_of_dek, sizeof(check)), 0);
	kcache_cipher_free(cipher);
}

static int free_in_thread(void *data)
{
	struct kcache_cipher *cipher = data;

	kcache_cipher_free(cipher);
	return 0;
}

/* A worker in the middle of it holds the schedule. */
static void freeing_waits_for_workers_inside(struct kunit *test)
{
	struct task_struct *task;
	struct kcache_cipher *cipher;

	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	cipher = kcache_cipher_new(rig_dek);
	KUNIT_ASSERT_FALSE(test, IS_ERR(cipher));
	refcount_inc(&cipher->users);
	task = kthread_create(free_in_thread, cipher, "kunit-free");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	/* it is past its own reference, and waits for the other */
	while (refcount_read(&cipher->users) > 1)
		schedule_timeout_uninterruptible(1);
	schedule_timeout_uninterruptible(2);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	kcache_cipher_put(cipher);
	kthread_stop(task);
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
}

static void refusals_of_the_crypto_api_are_passed_on(struct kunit *test)
{
	static const u8 equal_halves[KCACHE_KEY_SIZE];

	rig.cipher_error = -ENOENT;
	KUNIT_EXPECT_EQ(test, PTR_ERR(kcache_cipher_new(rig_dek)), -ENOENT);
	rig.cipher_error = -ENOMEM;
	KUNIT_EXPECT_EQ(test, PTR_ERR(kcache_cipher_new(equal_halves)), -ENOMEM);
}

static struct kunit_case cipher_cases[] = {
	KUNIT_CASE(driver_is_the_one_of_this_machine),
	KUNIT_CASE(one_transformation_is_kept),
	KUNIT_CASE(nothing_to_free_is_fine),
	KUNIT_CASE(check_value_is_the_documented_one),
	KUNIT_CASE(check_value_tells_every_bit_of_a_key),
	KUNIT_CASE(driver_that_answers_later_is_known_as_such),
	KUNIT_CASE(freeing_waits_for_workers_inside),
	KUNIT_CASE(refusals_of_the_crypto_api_are_passed_on),
	{ }
};

struct kunit_suite kcache_cipher_suite = {
	.name = "kcache-cipher",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = cipher_cases,
};
