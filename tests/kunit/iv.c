// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which IV a data unit gets: for every sector size, with and without
 * iv_large_sectors, with iv_offset, and wherever the target lies in the mapped
 * device and on the disk. dm-crypt's rule, written down once more here:
 *
 *	IV = (iv_offset + sector in the target) [>> log2(sector_size / 512)]
 *
 * Written and read through .map and .end_io, so that the constructor's part in it
 * is covered as well. The golden values were computed with OpenSSL.
 */
#include "fake.h"

/* The first block of a data unit of zeros under rig_dek. */
static const struct golden {
	u64 iv;
	u8 block[16];
} goldens[] = {
	{ 0x0ULL, {
		0x73, 0x8d, 0x64, 0xa3, 0xf5, 0x7a, 0xea, 0x1a,
		0x4a, 0x18, 0xe3, 0x13, 0x53, 0xf6, 0x54, 0x1d,
	} },
	{ 0x1ULL, {
		0xd3, 0xce, 0x98, 0xca, 0xb1, 0x2e, 0xf3, 0xde,
		0x78, 0x99, 0x7b, 0x57, 0x6e, 0x67, 0x3f, 0xc3,
	} },
	{ 0x7ULL, {
		0x41, 0x3c, 0xb9, 0x0b, 0xbc, 0x12, 0xfc, 0x79,
		0xe0, 0x95, 0xf7, 0x80, 0x98, 0x20, 0x8d, 0x79,
	} },
	{ 0x8ULL, {
		0xd8, 0xd1, 0xfb, 0x31, 0x24, 0xc4, 0x06, 0xbc,
		0x5e, 0xe5, 0xf4, 0x42, 0x17, 0x74, 0xd6, 0x1a,
	} },
	{ 0x3fULL, {
		0x4f, 0x64, 0xf6, 0xe3, 0x69, 0x63, 0xd5, 0xb7,
		0xb2, 0xe8, 0x58, 0x00, 0x0f, 0x15, 0x58, 0x73,
	} },
	{ 0x1234567898ULL, {
		0x37, 0xf0, 0xbe, 0x78, 0xa2, 0x4f, 0x88, 0xf7,
		0x2f, 0xc3, 0x47, 0x80, 0xc4, 0x9e, 0x88, 0xee,
	} },
};

static u64 iv_of(u64 sector, u64 iv_offset, unsigned int size, bool large)
{
	u64 n = sector + iv_offset;

	return large ? div_u64(n, size / SECTOR_SIZE) : n;
}

static struct kcache_target *target(struct kunit *test, unsigned int size,
				    bool large, u64 iv_offset)
{
	struct kcache_target *kc;
	char line[RIG_LINE];
	struct key *key;

	snprintf(line, sizeof(line),
		 "aes-xts-plain64 :64:logon:kc:dek %llu /dev/disk %u %s sector_size:%u%s",
		 iv_offset, RIG_START, large ? "2" : "1", size,
		 large ? " iv_large_sectors" : "");
	key = rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	kc = rig_target(rig_md("iv"), line);
	rig_forget(key);
	return kc;
}

/* One bio of units; what lies on the disk then, unit by unit. */
static void write_and_compare(struct kunit *test, struct kcache_target *kc,
			      u64 sector, unsigned int units, u64 iv_offset,
			      bool large)
{
	unsigned int i, size = kc->sector_size, sectors = size / SECTOR_SIZE;
	struct fake_bio *w, *r;
	u8 *disk, *want;

	want = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, want);
	w = rig_bio(kc, REQ_OP_WRITE, sector, units * size);
	rig_random(w->buf, units * size);
	KUNIT_EXPECT_EQ(test, rig_do(w), BLK_STS_OK);

	for (i = 0; i < units; i++) {
		disk = rig.disk + ((RIG_START + sector + i * sectors) << 9);
		memcpy(want, w->buf + i * size, size);
		reference_crypt(rig_dek, iv_of(sector + i * sectors, iv_offset,
					       size, large), want, size, true);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(disk, want, size), 0,
				    "unit %u at sector %llu, size %u, iv_offset %llu, large %d",
				    i, sector, size, iv_offset, large);
	}

	r = rig_bio(kc, REQ_OP_READ, sector, units * size);
	KUNIT_EXPECT_EQ(test, rig_do(r), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(r->buf, w->buf, units * size), 0);
}

static void every_size(struct kunit *test, bool large)
{
	/* beyond 32 bits, and where adding the sector carries into them */
	static const u64 offsets[] = { 0, 8, 0x123456780, 0xfffffff8 };
	unsigned int size, i, sectors;
	struct kcache_target *kc;

	for (size = 512; size <= 4096; size *= 2) {
		for (i = 0; i < ARRAY_SIZE(offsets); i++) {
			sectors = size / SECTOR_SIZE;
			kc = target(test, size, large, offsets[i]);
			write_and_compare(test, kc, 0, 3, offsets[i], large);
			write_and_compare(test, kc, sectors, 1, offsets[i],
					  large);
			write_and_compare(test, kc, 255 * sectors, 5,
					  offsets[i], large);
			rig_drop(kc);
		}
	}
}

static void counted_in_512_byte_sectors(struct kunit *test)
{
	every_size(test, false);
}

static void counted_in_data_units(struct kunit *test)
{
	every_size(test, true);
}

static void place_in_the_mapped_device_is_no_matter(struct kunit *test)
{
	struct kcache_target *kc = target(test, 4096, false, 0);

	kc->ti->begin = 1024;
	write_and_compare(test, kc, 16, 4, 0, false);
}

static void golden_values(struct kunit *test)
{
	unsigned int size, i, large;
	struct kcache_target *kc;
	struct fake_bio *w;
	u64 sector, offset;
	u8 *disk;

	for (size = 512; size <= 4096; size *= 2) {
		for (large = 0; large < 2; large++) {
			for (i = 0; i < ARRAY_SIZE(goldens); i++) {
				sector = goldens[i].iv;
				if (large)
					sector *= size / SECTOR_SIZE;
				/* not at the beginning of a data unit */
				if (sector % (size / SECTOR_SIZE))
					continue;
				offset = sector >= 1024 ? sector - 64 : 0;
				kc = target(test, size, large, offset);
				w = rig_bio(kc, REQ_OP_WRITE, sector - offset,
					    size);
				memset(w->buf, 0, size);
				KUNIT_EXPECT_EQ(test, rig_do(w), BLK_STS_OK);
				disk = rig.disk + ((RIG_START + sector -
						    offset) << 9);
				KUNIT_EXPECT_EQ_MSG(test, memcmp(disk,
								 goldens[i].block, 16),
						    0, "IV %llu, size %u, large %u",
						    goldens[i].iv, size, large);
				rig_drop(kc);
			}
		}
	}
}

static struct kunit_case iv_cases[] = {
	KUNIT_CASE(counted_in_512_byte_sectors),
	KUNIT_CASE(counted_in_data_units),
	KUNIT_CASE(place_in_the_mapped_device_is_no_matter),
	KUNIT_CASE(golden_values),
	{ }
};

struct kunit_suite kcache_iv_suite = {
	.name = "kcache-iv",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = iv_cases,
};
