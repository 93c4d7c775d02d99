// SPDX-License-Identifier: GPL-2.0-only
/*
 * bounce.c: what the stash takes and gives, its limits, its shrinker, how densely
 * a write is packed, and that an allocation which fails leaves nothing behind.
 *
 * Moved edges: the page allocator, which is counted and can fail after some
 * allocations or for chunks only, and the allocation of a segment array.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "fake.h"

/* Pages that the module has from the page allocator, stash included. */
static atomic_t pages_out;
static atomic_t allocations;
/* Allocations that still succeed; -1 for all. */
static int pages_left = -1;
static bool no_chunks;
static bool no_arrays;

static struct page *alloc_counted(gfp_t gfp, unsigned int order)
{
	struct page *page;

	if ((order && no_chunks) || !pages_left)
		return NULL;
	page = alloc_pages(gfp, order);
	if (page) {
		atomic_add(1 << order, &pages_out);
		atomic_inc(&allocations);
		if (pages_left > 0)
			pages_left--;
	}
	return page;
}

static void free_counted(struct page *page, unsigned int order)
{
	atomic_sub(1 << order, &pages_out);
	__free_pages(page, order);
}

static void *array_or_none(size_t n, size_t size, gfp_t gfp)
{
	return no_arrays ? NULL : kmalloc_array(n, size, gfp);
}

#define alloc_pages(gfp, order) alloc_counted(gfp, order)
#define __free_pages(page, order) free_counted(page, order)
#define kmalloc_array(n, size, gfp) array_or_none(n, size, gfp)
#include "dm-kcache/bounce.c"

static unsigned long stashed(void)
{
	struct shrink_control sc = { };
	unsigned long n = count_stash(NULL, &sc);

	return n == SHRINK_EMPTY ? 0 : n;
}

static unsigned long scan(unsigned long want)
{
	struct shrink_control sc = { .nr_to_scan = want };

	return scan_stash(NULL, &sc);
}

/*
 * An empty stash, and the test on one CPU: so that what it gives back is what it
 * finds.
 */
static int bounce_init(struct kunit *test)
{
	pages_left = -1;
	no_chunks = false;
	no_arrays = false;
	scan(ULONG_MAX);
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	return rig_init(test);
}

/* What is out is in the stash, to the page, whatever the test did. */
static void bounce_exit(struct kunit *test)
{
	pages_left = -1;
	rig_exit(test);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&pages_out), (int)stashed(),
			    "pages are lost");
	scan(ULONG_MAX);
	KUNIT_EXPECT_EQ(test, stashed(), 0UL);
	KUNIT_EXPECT_EQ(test, atomic_read(&pages_out), 0);
}

static void try(struct kunit *test, struct kcache_segs *segs, unsigned int bytes)
{
	KUNIT_ASSERT_TRUE_MSG(test, kcache_bounce_try(segs, bytes), "%u bytes",
			      bytes);
}

static unsigned int bytes_of(const struct kcache_segs *segs)
{
	unsigned int i, bytes = 0;

	for (i = 0; i < segs->nr; i++)
		bytes += segs->bv[i].bv_len;
	return bytes;
}

/* ---- packing ---- */

static const unsigned int some_bytes[] = {
	512, 4096 - 512, 4096, 4096 + 512, 8192, 12288, 12288 + 512, 16384,
	65536 - 512, 65536, 65536 + 512, 65536 + 12288, 65536 + 16384, 131072,
	131072 + 4096, 262144 + 8192 + 512, 1048576,
};

/*
 * From offset 0 of pages of their own, every segment but the last as large as the
 * memory behind it: no gap that the block layer would have to split at.
 */
static void dense_from_offset_0(struct kunit *test)
{
	unsigned int i, j, room;
	struct kcache_segs segs;
	struct page *page;

	for (i = 0; i < ARRAY_SIZE(some_bytes); i++) {
		try(test, &segs, some_bytes[i]);
		KUNIT_EXPECT_EQ(test, bytes_of(&segs), some_bytes[i]);
		KUNIT_EXPECT_FALSE(test, segs.reserve);
		for (j = 0; j < segs.nr; j++) {
			page = segs.bv[j].bv_page;
			room = PAGE_SIZE << compound_order(page);
			KUNIT_EXPECT_EQ(test, segs.bv[j].bv_offset, 0U);
			KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
			if (j < segs.nr - 1)
				KUNIT_EXPECT_EQ(test, segs.bv[j].bv_len, room);
			else
				KUNIT_EXPECT_LE(test, segs.bv[j].bv_len, room);
		}
		kcache_bounce_free(NULL, &segs);
	}
}

/* One for each 64 KiB begun, if what is left there is worth a chunk. */
static void as_few_segments_as_can_be(struct kunit *test)
{
	static const struct {
		unsigned int bytes, segs;
	} want[] = {
		{ 512, 1 }, { 4096, 1 }, { 4608, 2 }, { 8192, 2 }, { 12288, 3 },
		/* more than 3 pages: a chunk */
		{ 12800, 1 }, { 16384, 1 }, { 65536, 1 },
		{ 65536 + 4096, 2 }, { 65536 + 12288, 4 }, { 65536 + 12800, 2 },
		{ 131072, 2 }, { 1048576, 16 },
	};
	struct kcache_segs segs;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		try(test, &segs, want[i].bytes);
		KUNIT_EXPECT_EQ_MSG(test, segs.nr, want[i].segs, "%u bytes",
				    want[i].bytes);
		/* few find room in the bio's own data */
		KUNIT_EXPECT_EQ(test, segs.bv == segs.inl,
				segs.nr <= KCACHE_INLINE_SEGS);
		kcache_bounce_free(NULL, &segs);
	}
}

static void where_there_are_no_chunks_pages_do(struct kunit *test)
{
	struct kcache_segs segs;

	no_chunks = true;
	try(test, &segs, 131072 + 512);
	KUNIT_EXPECT_EQ(test, segs.nr, 33U);
	KUNIT_EXPECT_EQ(test, bytes_of(&segs), 131072U + 512);
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ(test, stashed(), 33UL);
}

/* ---- recycling ---- */

static void pages_are_used_again(struct kunit *test)
{
	struct kcache_segs segs;
	struct page *first;
	int before;

	try(test, &segs, 4096);
	first = segs.bv[0].bv_page;
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ(test, stashed(), 1UL);
	before = atomic_read(&allocations);
	try(test, &segs, 512);
	KUNIT_EXPECT_PTR_EQ(test, segs.bv[0].bv_page, first);
	KUNIT_EXPECT_EQ(test, stashed(), 0UL);
	kcache_bounce_free(NULL, &segs);

	try(test, &segs, 65536);
	first = segs.bv[0].bv_page;
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ(test, stashed(), 17UL);
	try(test, &segs, 32768);
	KUNIT_EXPECT_PTR_EQ(test, segs.bv[0].bv_page, first);
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ(test, atomic_read(&allocations), before + 1);
}

/* A network disk may hold on to a page, to send it once more. */
static void a_page_that_somebody_holds_is_not_used_again(struct kunit *test)
{
	struct kcache_segs segs;
	struct page *page, *chunk;

	try(test, &segs, 4096);
	page = segs.bv[0].bv_page;
	get_page(page);
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ_MSG(test, stashed(), 0UL,
			    "a page is in the stash that somebody still sends");
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	try(test, &segs, 4096);
	KUNIT_EXPECT_PTR_NE(test, segs.bv[0].bv_page, page);
	kcache_bounce_free(NULL, &segs);
	put_page(page);

	try(test, &segs, 65536);
	chunk = segs.bv[0].bv_page;
	/* a reference to any page of it counts */
	get_page(chunk + 3);
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ(test, stashed(), 1UL);
	KUNIT_EXPECT_EQ(test, page_ref_count(chunk), 1);
	put_page(chunk + 3);
}

static void the_stash_has_limits(struct kunit *test)
{
	struct kcache_segs *segs;
	unsigned int i;

	segs = kunit_kcalloc(test, KCACHE_STASH_PAGES + 5, sizeof(*segs),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, segs);
	for (i = 0; i < KCACHE_STASH_PAGES + 5; i++)
		try(test, &segs[i], 4096);
	for (i = 0; i < KCACHE_STASH_PAGES + 5; i++)
		kcache_bounce_free(NULL, &segs[i]);
	KUNIT_EXPECT_EQ(test, stashed(), (unsigned long)KCACHE_STASH_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&pages_out), KCACHE_STASH_PAGES);

	for (i = 0; i < KCACHE_STASH_CHUNKS + 3; i++)
		try(test, &segs[i], 65536);
	for (i = 0; i < KCACHE_STASH_CHUNKS + 3; i++)
		kcache_bounce_free(NULL, &segs[i]);
	KUNIT_EXPECT_EQ(test, stashed(), (unsigned long)KCACHE_STASH_PAGES +
			KCACHE_STASH_CHUNKS * KCACHE_CHUNK_PAGES);
	KUNIT_EXPECT_EQ(test, (unsigned long)atomic_read(&pages_out), stashed());
}

/* An interrupt in the middle of it finds the stash busy: nobody waits. */
static void a_busy_stash_is_passed_by(struct kunit *test)
{
	struct kcache_segs segs;
	struct kcache_stash *s;

	try(test, &segs, 4096);
	kcache_bounce_free(NULL, &segs);
	s = get_cpu_ptr(kcache_stash);
	KUNIT_EXPECT_TRUE(test, stash_enter(s));
	KUNIT_EXPECT_TRUE(test, kcache_bounce_try(&segs, 4096));
	KUNIT_EXPECT_EQ(test, atomic_read(&pages_out), 2);
	kcache_bounce_free(NULL, &segs);
	KUNIT_EXPECT_EQ(test, atomic_read(&pages_out), 1);
	stash_leave(s);
	put_cpu_ptr(kcache_stash);
	KUNIT_EXPECT_EQ(test, stashed(), 1UL);
}

/* ---- the shrinker ---- */

static void fill(struct kunit *test, unsigned int pages, unsigned int chunks)
{
	struct kcache_segs *segs;
	unsigned int i;

	segs = kunit_kcalloc(test, pages + chunks, sizeof(*segs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, segs);
	for (i = 0; i < pages + chunks; i++)
		try(test, &segs[i], i < pages ? 4096 : 65536);
	for (i = 0; i < pages + chunks; i++)
		kcache_bounce_free(NULL, &segs[i]);
}

static void the_shrinker_counts_pages(struct kunit *test)
{
	struct shrink_control sc = { };

	KUNIT_EXPECT_EQ(test, count_stash(NULL, &sc), SHRINK_EMPTY);
	fill(test, 7, 2);
	KUNIT_EXPECT_EQ(test, count_stash(NULL, &sc), 7UL + 32);
}

static void the_shrinker_frees_what_it_is_asked_for(struct kunit *test)
{
	fill(test, 40, 0);
	KUNIT_EXPECT_EQ(test, scan(10), 10UL);
	KUNIT_EXPECT_EQ(test, stashed(), 30UL);
	KUNIT_EXPECT_EQ(test, atomic_read(&pages_out), 30);
	KUNIT_EXPECT_EQ(test, scan(0), 0UL);
	KUNIT_EXPECT_EQ(test, scan(100), 30UL);
	KUNIT_EXPECT_EQ(test, scan(1), 0UL);
}

/* A chunk goes whole, and first: it is what others cannot get. */
static void the_shrinker_frees_chunks_first(struct kunit *test)
{
	fill(test, 5, 2);
	KUNIT_EXPECT_EQ(test, scan(1), 16UL);
	KUNIT_EXPECT_EQ(test, stashed(), 21UL);
	KUNIT_EXPECT_EQ(test, scan(17), 17UL);
	KUNIT_EXPECT_EQ(test, stashed(), 4UL);
}

static void a_cpu_that_goes_offline_leaves_nothing(struct kunit *test)
{
	fill(test, 9, 3);
	KUNIT_EXPECT_EQ(test, cpu_dead(raw_smp_processor_id()), 0);
	KUNIT_EXPECT_EQ(test, stashed(), 0UL);
	KUNIT_EXPECT_EQ(test, atomic_read(&pages_out), 0);
}

/* ---- failures ---- */

/* Every page of a write in turn is the one that cannot be had. */
static void no_memory_leaves_nothing_held(struct kunit *test)
{
	struct kcache_segs segs;
	unsigned int i;

	no_chunks = true;
	for (i = 0; i < 20; i++) {
		pages_left = i;
		KUNIT_EXPECT_FALSE(test, kcache_bounce_try(&segs, 20 * 4096));
		pages_left = -1;
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&pages_out),
				    (int)stashed(), "after %u pages", i);
		scan(ULONG_MAX);
	}
	pages_left = 0;
	KUNIT_EXPECT_FALSE(test, kcache_bounce_try(&segs, 512));
	pages_left = -1;
	KUNIT_EXPECT_TRUE(test, kcache_bounce_try(&segs, 20 * 4096));
	kcache_bounce_free(NULL, &segs);
}

static void no_segment_array_leaves_nothing_held(struct kunit *test)
{
	struct kcache_segs segs;

	no_chunks = true;
	no_arrays = true;
	KUNIT_EXPECT_FALSE(test, kcache_bounce_try(&segs, 5 * 4096));
	KUNIT_EXPECT_EQ(test, stashed(), 5UL);
	/* few enough need none */
	KUNIT_EXPECT_TRUE(test, kcache_bounce_try(&segs, 4 * 4096));
	kcache_bounce_free(NULL, &segs);
}

static void chunks_that_run_out_in_the_middle(struct kunit *test)
{
	struct kcache_segs segs;

	pages_left = 2;
	/* two chunks, then nothing at all */
	KUNIT_EXPECT_FALSE(test, kcache_bounce_try(&segs, 3 * 65536));
	KUNIT_EXPECT_EQ(test, stashed(), 32UL);
	/* what is stashed serves without the page allocator */
	KUNIT_EXPECT_TRUE(test, kcache_bounce_try(&segs, 2 * 65536));
	KUNIT_EXPECT_EQ(test, segs.nr, 2U);
	kcache_bounce_free(NULL, &segs);
}

/* ---- the reserve ---- */

static void the_reserve_carries_the_largest_write(struct kunit *test)
{
	struct kcache_reserve *r = kcache_reserve_create("kunit");
	struct kcache_segs segs;

	KUNIT_ASSERT_NOT_NULL(test, r);
	pages_left = 0;
	kcache_bounce_wait(r, &segs, KCACHE_RESERVE_BYTES);
	KUNIT_EXPECT_TRUE(test, segs.reserve);
	KUNIT_EXPECT_EQ(test, segs.nr, (unsigned int)BIO_MAX_VECS);
	KUNIT_EXPECT_EQ(test, bytes_of(&segs), (unsigned int)KCACHE_RESERVE_BYTES);
	kcache_bounce_free(r, &segs);
	/* and not into the stash: the reserve is the target's */
	KUNIT_EXPECT_EQ(test, stashed(), 0UL);
	kcache_bounce_wait(r, &segs, 4096 + 512);
	KUNIT_EXPECT_EQ(test, segs.nr, 2U);
	KUNIT_EXPECT_EQ(test, segs.bv[1].bv_len, 512U);
	kcache_bounce_free(r, &segs);
	kcache_reserve_destroy(r);
	kcache_reserve_destroy(NULL);
}

/* A write that finds no memory waits in a worker, and is right in the end. */
static void a_write_without_memory_goes_by_the_reserve(struct kunit *test)
{
	struct kcache_target *kc = rig_plain("");
	struct fake_bio *w, *r;

	w = rig_bio(kc, REQ_OP_WRITE, 0, 64 * 1024);
	rig_random(w->buf, 64 * 1024);
	pages_left = 0;
	rig_map(w);
	KUNIT_EXPECT_EQ(test, w->mapped, DM_MAPIO_SUBMITTED);
	KUNIT_EXPECT_EQ(test, rig_wait(w), BLK_STS_OK);
	r = rig_bio(kc, REQ_OP_READ, 0, 64 * 1024);
	KUNIT_EXPECT_EQ(test, rig_do(r), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(r->buf, w->buf, 64 * 1024), 0);

	/* who must not wait is told so */
	w = rig_bio(kc, REQ_OP_WRITE | REQ_NOWAIT, 0, 4096);
	KUNIT_EXPECT_EQ(test, rig_do(w), BLK_STS_AGAIN);
}

static struct kunit_case bounce_cases[] = {
	KUNIT_CASE(dense_from_offset_0),
	KUNIT_CASE(as_few_segments_as_can_be),
	KUNIT_CASE(where_there_are_no_chunks_pages_do),
	KUNIT_CASE(pages_are_used_again),
	KUNIT_CASE(a_page_that_somebody_holds_is_not_used_again),
	KUNIT_CASE(the_stash_has_limits),
	KUNIT_CASE(a_busy_stash_is_passed_by),
	KUNIT_CASE(the_shrinker_counts_pages),
	KUNIT_CASE(the_shrinker_frees_what_it_is_asked_for),
	KUNIT_CASE(the_shrinker_frees_chunks_first),
	KUNIT_CASE(a_cpu_that_goes_offline_leaves_nothing),
	KUNIT_CASE(no_memory_leaves_nothing_held),
	KUNIT_CASE(no_segment_array_leaves_nothing_held),
	KUNIT_CASE(chunks_that_run_out_in_the_middle),
	KUNIT_CASE(the_reserve_carries_the_largest_write),
	KUNIT_CASE(a_write_without_memory_goes_by_the_reserve),
	{ }
};

struct kunit_suite kcache_bounce_suite = {
	.name = "kcache-bounce",
	.suite_init = rig_begin,
	.init = bounce_init,
	.exit = bounce_exit,
	.test_cases = bounce_cases,
};
