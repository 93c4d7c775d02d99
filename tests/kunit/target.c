// SPDX-License-Identifier: GPL-2.0-only
/*
 * target.c: what the constructor does besides parsing, which bios .map refuses,
 * messages, and the limits that are announced.
 *
 * Moved edge: the module's own init and exit, which main.c calls.
 */
#include <linux/module.h>

#include "fake.h"

#undef module_init
#undef module_exit
#define module_init(fn) int kunit_target_init(void) { return fn(); }
#define module_exit(fn) void kunit_target_exit(void) { fn(); }
#include "dm-kcache/target.c"

static void ctr_sets_the_target_up(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc;

	rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	kc = rig_target(md, RIG_LINE_PLAIN " 3 sector_size:2048 iv_large_sectors allow_discards");
	KUNIT_EXPECT_EQ(test, kc->iv_shift, 2U);
	KUNIT_EXPECT_EQ(test, kc->start, 64ULL);
	KUNIT_EXPECT_EQ(test, kc->ti->num_flush_bios, 1U);
	KUNIT_EXPECT_EQ(test, kc->ti->num_discard_bios, 1U);
	KUNIT_EXPECT_EQ(test, kc->ti->num_secure_erase_bios, 0U);
	KUNIT_EXPECT_EQ(test, kc->ti->num_write_zeroes_bios, 0U);
	KUNIT_EXPECT_EQ(test, kc->ti->per_io_data_size,
			(unsigned int)sizeof(struct kcache_io));
	KUNIT_EXPECT_TRUE(test, kc->ti->limit_swap_bios);
	KUNIT_EXPECT_TRUE(test, kc->ti->accounts_remapped_io);
	KUNIT_EXPECT_STREQ(test, (const char *)md->audit, "ctr");
	KUNIT_EXPECT_EQ(test, md->audit_result, 1);
	rig_drop(kc);
	KUNIT_EXPECT_STREQ(test, (const char *)md->audit, "dtr");

	kc = rig_target(md, RIG_LINE_PLAIN " 1 sector_size:2048");
	KUNIT_EXPECT_EQ(test, kc->iv_shift, 0U);
	KUNIT_EXPECT_EQ(test, kc->ti->num_discard_bios, 0U);
}

static void ctr_refuses_and_leaves_nothing(struct kunit *test)
{
	static const struct {
		const char *line, *error;
		int r;
	} list[] = {
		{ "aes-cbc-plain64 :64:logon:kc:dek 0 /dev/disk 64",
		  "Unsupported cipher: want aes-xts-plain64 or capi:xts(aes)-plain64",
		  -EINVAL },
		{ "aes-xts-plain64 :64:logon:kc:dek 0 /dev/none 64",
		  "Device lookup failed", -ENODEV },
		{ "aes-xts-plain64 :64:logon:kc:dek 0 /dev/zoned 64",
		  "Zoned devices are not supported", -EOPNOTSUPP },
		{ "aes-xts-plain64 :64:logon:kc:none 0 /dev/disk 64",
		  "Key is not in a keyring of this process", -ENOKEY },
	};
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc;
	unsigned int i;
	char *error;

	rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		/* this kernel has no zones to know of */
		if (list[i].r == -EOPNOTSUPP && !IS_ENABLED(CONFIG_BLK_DEV_ZONED))
			continue;
		KUNIT_EXPECT_EQ(test, rig_try(md, list[i].line, &kc, &error),
				list[i].r);
		KUNIT_EXPECT_STREQ(test, (const char *)error, list[i].error);
		KUNIT_EXPECT_STREQ(test, (const char *)md->audit, "ctr");
		KUNIT_EXPECT_EQ(test, md->audit_result, 0);
	}
}

/* Nothing of them reaches the device, and no part of them is encrypted. */
static void misaligned_bios_are_refused(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 sector_size:4096");
	unsigned int i;

	for (i = 1; i < 8; i++) {
		KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, i, 4096)),
				BLK_STS_IOERR);
		KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE, 8 + i,
						     4096)), BLK_STS_IOERR);
		KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE, 0,
						     i * 512)), BLK_STS_IOERR);
	}
	KUNIT_EXPECT_EQ(test, rig.submitted, 0U);
}

static void write_zeroes_are_refused(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");

	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE_ZEROES, 0, 4096)),
			BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig.submitted, 0U);
}

static void device_errors_are_passed_on(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");

	rig.device_error = BLK_STS_NOSPC;
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE, 0, 4096)),
			BLK_STS_NOSPC);
	rig.device_error = BLK_STS_MEDIUM;
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_READ, 0, 4096)),
			BLK_STS_MEDIUM);
}

/* The device's queue would split it, and it must not wait. */
static void a_large_write_that_must_not_wait(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");

	rig.queue->limits.max_sectors = 64;
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE | REQ_NOWAIT, 0,
					     32768 + 512)), BLK_STS_AGAIN);
	KUNIT_EXPECT_EQ(test, rig_do(rig_bio(kc, REQ_OP_WRITE | REQ_NOWAIT, 0,
					     32768)), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, rig.submitted, 1U);
}

static int message(struct kcache_target *kc, const char *text)
{
	char line[RIG_LINE], *argv[8];
	int argc;

	strscpy(line, text, sizeof(line));
	argc = rig_split(line, argv, ARRAY_SIZE(argv));
	return kcache_message(kc->ti, argc, argv, NULL, 0);
}

static void messages(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 lease:60");

	KUNIT_EXPECT_EQ(test, message(kc, "lease 30"), 0);
	KUNIT_EXPECT_EQ(test, kcache_key_seconds_left(kc->key), 30L);
	KUNIT_EXPECT_EQ(test, message(kc, "lease 0"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "lease x"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "lease"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "key"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "key wipe now"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "key set"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "key set 00112233"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "nonsense"), -EINVAL);
	KUNIT_EXPECT_EQ(test, message(kc, "fail_frozen"), 0);
	KUNIT_EXPECT_TRUE(test, kcache_key_valid(kc->key));
	KUNIT_EXPECT_EQ(test, message(kc, "KEY WIPE"), 0);
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(kc->key));
	KUNIT_EXPECT_EQ(test, message(kc, "lease 30"), -ENOKEY);
	KUNIT_EXPECT_EQ(test, message(kc, "key set :64:logon:kc:dek"), -ENOKEY);
	rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	KUNIT_EXPECT_EQ(test, message(kc, "key set :64:logon:kc:dek"), 0);
	KUNIT_EXPECT_TRUE(test, kcache_key_valid(kc->key));
}

static void limits(struct kunit *test)
{
	struct queue_limits *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	struct kcache_target *kc = rig_plain("1 sector_size:4096");

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->logical_block_size = 512;
	l->physical_block_size = 512;
	l->io_min = 512;
	fake_target_type->io_hints(kc->ti, l);
	KUNIT_EXPECT_EQ(test, l->logical_block_size, 4096U);
	KUNIT_EXPECT_EQ(test, l->physical_block_size, 4096U);
	KUNIT_EXPECT_EQ(test, l->io_min, 4096U);
	KUNIT_EXPECT_EQ(test, l->dma_alignment, 4095U);
	/* a device that wants more keeps it */
	l->physical_block_size = 8192;
	l->io_min = 65536;
	fake_target_type->io_hints(kc->ti, l);
	KUNIT_EXPECT_EQ(test, l->physical_block_size, 8192U);
	KUNIT_EXPECT_EQ(test, l->io_min, 65536U);
}

static struct kunit_case target_cases[] = {
	KUNIT_CASE(ctr_sets_the_target_up),
	KUNIT_CASE(ctr_refuses_and_leaves_nothing),
	KUNIT_CASE(misaligned_bios_are_refused),
	KUNIT_CASE(write_zeroes_are_refused),
	KUNIT_CASE(device_errors_are_passed_on),
	KUNIT_CASE(a_large_write_that_must_not_wait),
	KUNIT_CASE(messages),
	KUNIT_CASE(limits),
	{ }
};

struct kunit_suite kcache_target_suite = {
	.name = "kcache-target",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = target_cases,
};
