// SPDX-License-Identifier: GPL-2.0-only
/*
 * status.c against golden text: what "dmsetup status" and "dmsetup table" print,
 * and what IMA measures. Programs and policies parse these. Nothing of a key is
 * ever in them.
 */
#include "fake.h"

static const char *status_of(struct kunit *test, struct kcache_target *kc,
			     status_type_t type)
{
	char *text = kunit_kzalloc(test, 512, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);
	fake_target_type->status(kc->ti, type, 0, text, 512);
	return text;
}

/* The driver's name is the machine's. */
static const char *info(struct kunit *test, const char *before,
			struct kcache_target *kc, const char *after)
{
	char *text = kunit_kzalloc(test, 512, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);
	snprintf(text, 512, "%s driver:%s %s", before, kc->key->driver, after);
	return text;
}

#define NO_COUNTS \
	"read_bytes:0 write_bytes:0 inline:0 deferred:0 fanned_out:0 errors:0"

static void info_of_a_new_target(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");

	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:valid lease:-", kc, NO_COUNTS));
}

static void info_of_leases_and_states(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("1 lease:3600");

	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:valid lease:3600", kc, NO_COUNTS));
	clock_advance(SECONDS(600) - 1);
	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:valid lease:3001", kc, NO_COUNTS));
	clock_advance(SECONDS(3000) + 1);
	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:expired lease:0", kc, NO_COUNTS));
	kcache_key_wipe(kc->key->md);
	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:wiped lease:0", kc, NO_COUNTS));
}

static void info_of_a_wiped_key_without_a_lease(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");

	kcache_key_wipe(kc->key->md);
	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:wiped lease:-", kc, NO_COUNTS));
}

static void info_counts(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct kcache_stats *s;
	unsigned int cpu;

	rig_do(rig_bio(kc, REQ_OP_WRITE, 0, 4096));
	rig_do(rig_bio(kc, REQ_OP_WRITE, 8, 512));
	rig_do(rig_bio(kc, REQ_OP_READ, 0, 4096));
	rig.irqs_off = true;
	rig_do(rig_bio(kc, REQ_OP_READ, 0, 1024));
	rig.irqs_off = false;
	kcache_key_wipe(kc->key->md);
	rig_do(rig_bio(kc, REQ_OP_READ, 0, 4096));
	/* what a large bio on several CPUs counts */
	this_cpu_inc(kc->stats->fanned_ios);
	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_INFO),
			   info(test, "key:wiped lease:-", kc,
				"read_bytes:5120 write_bytes:4608 inline:3 deferred:1 fanned_out:1 errors:1"));

	/* of every CPU, beyond 32 bits */
	for_each_possible_cpu(cpu) {
		s = per_cpu_ptr(kc->stats, cpu);
		memset(s, 0, sizeof(*s));
		s->read_bytes = 10000000000ULL;
	}
	KUNIT_EXPECT_NOT_NULL(test, strstr(status_of(test, kc, STATUSTYPE_INFO),
					   num_possible_cpus() == 1 ?
					   " read_bytes:10000000000 " :
					   "0000000000 "));
}

struct golden {
	const char *line;
	const char *table;
	const char *ima;
};

#define IMA(a, b, c, d, e, f, g, more) \
	"target_name=kcache,target_version=0.2.0,allow_discards=" a \
	",same_cpu_crypt=" b ",high_priority=" c ",submit_from_crypt_cpus=" d \
	",no_read_workqueue=" e ",no_write_workqueue=" f \
	",iv_large_sectors=" g more \
	",key_size=64,key_parts=1,key_extra_size=0,key_mac_size=0;"

static const struct golden goldens[] = {
	{
		"aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64",
		"aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64",
		IMA("n", "n", "n", "n", "n", "n", "n",
		    ",cipher_string=aes-xts-plain64"),
	}, {
		"aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64 0",
		"aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64",
		IMA("n", "n", "n", "n", "n", "n", "n",
		    ",cipher_string=aes-xts-plain64"),
	}, {
		"aes-xts-plain64 :64:logon:kc:dek 8 /dev/disk 64 1 sector_size:512",
		"aes-xts-plain64 :64:logon:kc:dek 8 /dev/disk 64",
		IMA("n", "n", "n", "n", "n", "n", "n",
		    ",cipher_string=aes-xts-plain64"),
	}, {
		"capi:xts(aes)-plain64 :64:user:kc:dek 0 /dev/disk 64 2 iv_large_sectors sector_size:4096",
		"capi:xts(aes)-plain64 :64:user:kc:dek 0 /dev/disk 64 2 sector_size:4096 iv_large_sectors",
		IMA("n", "n", "n", "n", "n", "n", "y",
		    ",sector_size=4096,cipher_string=capi:xts(aes)-plain64"),
	}, {
		"aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64 9 on_expiry:freeze no_write_workqueue lease:60 no_read_workqueue submit_from_crypt_cpus high_priority same_cpu_crypt allow_discards sector_size:1024",
		"aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64 9 allow_discards same_cpu_crypt high_priority submit_from_crypt_cpus no_read_workqueue no_write_workqueue sector_size:1024 lease:60 on_expiry:freeze",
		IMA("y", "y", "y", "y", "y", "y", "n",
		    ",sector_size=1024,cipher_string=aes-xts-plain64"),
	}, {
		"aes-xts-plain64 :64:logon:kc:dek 18446744073709551608 /dev/disk 64 2 lease:4294967295 on_expiry:fail",
		"aes-xts-plain64 :64:logon:kc:dek 18446744073709551608 /dev/disk 64 2 lease:4294967295 on_expiry:fail",
		IMA("n", "n", "n", "n", "n", "n", "n",
		    ",cipher_string=aes-xts-plain64"),
	},
};

static void table_and_ima_of_golden_lines(struct kunit *test)
{
	struct kcache_target *kc;
	unsigned int i;

	rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	rig_key("user", "kc:dek", rig_dek, sizeof(rig_dek));
	for (i = 0; i < ARRAY_SIZE(goldens); i++) {
		kc = rig_target(rig_md("golden"), goldens[i].line);
		KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_TABLE),
				   goldens[i].table);
		KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_IMA),
				   goldens[i].ima);
		rig_drop(kc);
		/* what it prints, loads, and prints itself */
		kc = rig_target(rig_md("golden"), goldens[i].table);
		KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_TABLE),
				   goldens[i].table);
		rig_drop(kc);
	}
}

/* A table does not change when the key goes: it loads again later. */
static void table_of_a_wiped_key(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");

	kcache_key_wipe(kc->key->md);
	KUNIT_EXPECT_STREQ(test, status_of(test, kc, STATUSTYPE_TABLE),
			   RIG_LINE_PLAIN);
}

static void a_small_buffer_is_not_overrun(struct kunit *test)
{
	static const status_type_t types[] = {
		STATUSTYPE_INFO, STATUSTYPE_TABLE, STATUSTYPE_IMA,
	};
	struct kcache_target *kc = rig_plain("2 lease:60 sector_size:4096");
	char *text = kunit_kzalloc(test, 256, GFP_KERNEL);
	unsigned int i, size;

	KUNIT_ASSERT_NOT_NULL(test, text);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (size = 1; size < 200; size++) {
			memset(text, 0x7f, 256);
			fake_target_type->status(kc->ti, types[i], 0, text, size);
			KUNIT_ASSERT_LT(test, strnlen(text, 256), (size_t)size);
			KUNIT_ASSERT_PTR_EQ(test, memchr_inv(text + size, 0x7f,
							     256 - size), NULL);
		}
	}
}

static struct kunit_case status_cases[] = {
	KUNIT_CASE(info_of_a_new_target),
	KUNIT_CASE(info_of_leases_and_states),
	KUNIT_CASE(info_of_a_wiped_key_without_a_lease),
	KUNIT_CASE(info_counts),
	KUNIT_CASE(table_and_ima_of_golden_lines),
	KUNIT_CASE(table_of_a_wiped_key),
	KUNIT_CASE(a_small_buffer_is_not_overrun),
	{ }
};

struct kunit_suite kcache_status_suite = {
	.name = "kcache-status",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = status_cases,
};
