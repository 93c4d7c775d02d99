// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random segment layouts against a naive reference that encrypts a linear copy
 * one data unit at a time: both directions, in place and into packed bounce
 * pages, with data units that cross segments and ranges that cross chunks. Around
 * the segments nothing may change, and of a write not even the segments.
 */
#include "fake.h"

#include <linux/vmalloc.h>

static void free_pool(struct kunit_resource *res)
{
	free_pages((unsigned long)res->data, LAYOUT_ORDER);
}

static int keep_pool(struct kunit_resource *res, void *pool)
{
	res->data = pool;
	return 0;
}

struct layout *layout_new(struct kunit *test)
{
	struct layout *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->pool = (u8 *)__get_free_pages(GFP_KERNEL, LAYOUT_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, l->pool);
	kunit_alloc_resource(test, keep_pool, free_pool, GFP_KERNEL, l->pool);
	l->before = kunit_kmalloc(test, LAYOUT_BYTES, GFP_KERNEL);
	l->linear = kunit_kmalloc(test, LAYOUT_BYTES, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, l->before);
	KUNIT_ASSERT_NOT_NULL(test, l->linear);
	rig_random(l->pool, LAYOUT_BYTES);
	return l;
}

/* Segments until they hold @bytes; l->pool has room for as much in gaps. */
void layout_make(struct layout *l, struct kcache_target *kc, unsigned int bytes,
		 bool encrypt)
{
	unsigned int style = rig_below(4), len, at = 0, left = bytes;
	struct bio_vec *bv;

	l->nr = 0;
	while (left) {
		KUNIT_ASSERT_LT(rig.test, l->nr, LAYOUT_SEGS);
		switch (style) {
		case 0: /* whole pages, as most are */
			at = round_up(at, PAGE_SIZE);
			len = PAGE_SIZE;
			break;
		case 1: /* sectors apart */
			at += 512 * rig_below(3);
			len = 512;
			break;
		case 2: /* several pages in one */
			at += 512 * rig_below(9);
			len = 512 * (1 + rig_below(64));
			break;
		default:
			at += 512 * rig_below(4);
			len = 512 * (1 + rig_below(12));
		}
		/* a bio has so many segments and no more */
		if (l->nr > LAYOUT_SEGS - 64)
			len = 16 * PAGE_SIZE;
		len = min(len, left);
		KUNIT_ASSERT_LE(rig.test, at + len, (unsigned int)LAYOUT_BYTES);
		bv = &l->bv[l->nr++];
		bv->bv_page = virt_to_page(l->pool + round_down(at, PAGE_SIZE));
		bv->bv_offset = at % PAGE_SIZE;
		bv->bv_len = len;
		memcpy(l->linear + bytes - left, l->pool + at, len);
		at += len;
		left -= len;
	}
	memcpy(l->before, l->pool, LAYOUT_BYTES);
	l->bytes = bytes;
	l->encrypt = encrypt;
	/* anywhere, beyond 32 bits too, at the beginning of a data unit */
	l->sector = (u64)rig_below(U32_MAX) << rig_below(8);
	l->sector &= ~(u64)(kc->sector_size / SECTOR_SIZE - 1);

	l->fb = rig_bio(kc, encrypt ? REQ_OP_WRITE : REQ_OP_READ, 0, 0);
	rig_set_segments(l->fb, l->bv, l->nr);
	l->fb->io.kc = kc;
	l->fb->io.iter = l->fb->bio.bi_iter;
	l->fb->io.iter.bi_sector = l->sector;
}

void layout_reference(struct layout *l, struct kcache_target *kc)
{
	unsigned int at, size = kc->sector_size;
	u64 sector = l->sector;

	for (at = 0; at < l->bytes; at += size) {
		reference_crypt(rig_dek, test_bit(KCACHE_IV_LARGE_SECTORS,
						  &kc->flags) ?
				div_u64(sector, size / SECTOR_SIZE) : sector,
				l->linear + at, size, l->encrypt);
		sector += size / SECTOR_SIZE;
	}
}

/* The segments hold what the reference has, and around them nothing changed. */
bool layout_in_place(struct layout *l)
{
	unsigned int i, at, from = 0;

	for (i = 0; i < l->nr; i++) {
		at = (u8 *)page_address(l->bv[i].bv_page) - l->pool +
		     l->bv[i].bv_offset;
		memcpy(l->before + at, l->linear + from, l->bv[i].bv_len);
		from += l->bv[i].bv_len;
	}
	return !memcmp(l->pool, l->before, LAYOUT_BYTES);
}

/* The bounce pages hold it, and the source is as it was. */
bool layout_packed(struct layout *l, const struct kcache_segs *segs)
{
	unsigned int i, from = 0;

	for (i = 0; i < segs->nr; i++) {
		if (memcmp(page_address(segs->bv[i].bv_page) +
			   segs->bv[i].bv_offset, l->linear + from,
			   segs->bv[i].bv_len))
			return false;
		from += segs->bv[i].bv_len;
	}
	return from == l->bytes && !memcmp(l->pool, l->before, LAYOUT_BYTES);
}

static struct kcache_target *target_of_size(unsigned int size, bool large)
{
	char options[RIG_LINE];

	snprintf(options, sizeof(options), "%d sector_size:%u%s", 1 + large,
		 size, large ? " iv_large_sectors" : "");
	return rig_plain(options);
}

/* @count layouts for each sector size. */
static void compare(struct kunit *test, unsigned int count, bool packed,
		    bool encrypt, bool worker)
{
	struct layout *l = layout_new(test);
	struct kcache_range range;
	struct kcache_target *kc;
	unsigned int size, i, bytes;

	for (size = 512; size <= 4096; size *= 2) {
		kc = target_of_size(size, rig_below(2));
		for (i = 0; i < count; i++) {
			/* small ones, and up to three chunks */
			bytes = size * (1 + rig_below(i % 2 ? 5 :
						      48 * 1024 / size));
			layout_make(l, kc, bytes, encrypt);
			if (packed)
				KUNIT_ASSERT_TRUE(test, kcache_bounce_try(&l->fb->io.segs,
									  bytes));
			kcache_io_range(&l->fb->io, &l->fb->bio, &range);
			range.encrypt = encrypt;
			range.dst = packed ? l->fb->io.segs.bv : NULL;
			KUNIT_EXPECT_EQ(test, kcache_crypt_range(kc, &range, worker), 0);
			layout_reference(l, kc);
			KUNIT_EXPECT_TRUE_MSG(test, packed ?
					      layout_packed(l, &l->fb->io.segs) :
					      layout_in_place(l),
					      "layout %u of %u bytes in %u segments, units of %u",
					      i, bytes, l->nr, size);
			if (packed)
				kcache_bounce_free(kc->reserve, &l->fb->io.segs);
		}
	}
}

static void encrypted_into_bounce_pages(struct kunit *test)
{
	compare(test, 30, true, true, false);
}

static void encrypted_into_bounce_pages_by_a_worker(struct kunit *test)
{
	compare(test, 8, true, true, true);
}

static void decrypted_in_place(struct kunit *test)
{
	compare(test, 30, false, false, false);
}

static void decrypted_in_place_by_a_worker(struct kunit *test)
{
	compare(test, 8, false, false, true);
}

/* Neither is what the module does, both are what crypt.c can do. */
static void encrypted_in_place(struct kunit *test)
{
	compare(test, 8, false, true, false);
}

static void decrypted_into_bounce_pages(struct kunit *test)
{
	compare(test, 8, true, false, false);
}

static void driver_that_answers_later_encrypts(struct kunit *test)
{
	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	compare(test, 4, true, true, true);
}

static void driver_that_answers_later_decrypts(struct kunit *test)
{
	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	compare(test, 4, false, false, true);
}

/* The whole way: .map, the device, .end_io; what lies on the disk, what comes back. */
static void there_and_back(struct kunit *test)
{
	struct layout *l = layout_new(test);
	struct kcache_target *kc;
	unsigned int size, i, bytes;
	struct fake_bio *back;

	for (size = 512; size <= 4096; size *= 2) {
		kc = target_of_size(size, rig_below(2));
		for (i = 0; i < 8; i++) {
			bytes = size * (1 + rig_below(64 * 1024 / size));
			layout_make(l, kc, bytes, true);
			l->sector = size / SECTOR_SIZE * rig_below(100);
			l->fb->bio.bi_iter.bi_sector = l->sector;
			KUNIT_EXPECT_EQ(test, rig_do(l->fb), BLK_STS_OK);

			back = rig_bio(kc, REQ_OP_READ, l->sector, bytes);
			KUNIT_EXPECT_EQ(test, rig_do(back), BLK_STS_OK);
			KUNIT_EXPECT_EQ(test, memcmp(back->buf, l->linear, bytes), 0);

			layout_reference(l, kc);
			KUNIT_EXPECT_EQ(test, memcmp(rig.disk +
						     ((RIG_START + l->sector) << 9),
						     l->linear, bytes), 0);
			KUNIT_EXPECT_EQ(test, memcmp(l->pool, l->before,
						     LAYOUT_BYTES), 0);
		}
	}
}

static struct kunit_case layout_cases[] = {
	KUNIT_CASE(encrypted_into_bounce_pages),
	KUNIT_CASE(encrypted_into_bounce_pages_by_a_worker),
	KUNIT_CASE(decrypted_in_place),
	KUNIT_CASE(decrypted_in_place_by_a_worker),
	KUNIT_CASE(encrypted_in_place),
	KUNIT_CASE(decrypted_into_bounce_pages),
	KUNIT_CASE(driver_that_answers_later_encrypts),
	KUNIT_CASE(driver_that_answers_later_decrypts),
	KUNIT_CASE(there_and_back),
	{ }
};

struct kunit_suite kcache_layout_suite = {
	.name = "kcache-layout",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = layout_cases,
};
