// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounce pages: where the ciphertext of a write lies while the device takes it.
 * It cannot be written over the data, which belongs to whoever wrote it.
 *
 * Packed from offset 0 into as few segments as can be had, whatever the segments
 * of the source look like: gaps, or more segments than the device's queue takes,
 * would make the block layer split the bio.
 *
 * Three places they come from.
 *  - The stash: pages and 64 KiB chunks that earlier writes gave back, per CPU
 *    and for the whole module. Kernels that clear memory when it is allocated
 *    spend about as much on a fresh page as AES on its contents; and ciphertext
 *    needs no clearing. A shrinker gives the stash back, and so does a CPU that
 *    goes offline.
 *  - The page allocator, without waiting.
 *  - A target's reserve, by waiting. Only workers do: earlier bios of a submitter
 *    may lie on its list unsubmitted, and the reserve may be in them.
 *
 * Locking: a bit per CPU's stash that is tried, never waited for, because pages
 * come back in interrupts; only who gives memory back waits, for a few
 * instructions of another CPU.
 */
#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "dm-kcache.h"

/*
 * Take what is there: no reclaim by the caller, no emergency reserves (which
 * are for getting memory freed, not for a stash of pages), no complaint.
 */
#define KCACHE_GFP_TRY \
	(GFP_NOWAIT | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN)

/* 64 KiB: larger pieces cost the page allocator more than they save. */
#define KCACHE_CHUNK_ORDER 4
#define KCACHE_CHUNK_PAGES 16U

/* From here on one segment is worth the part of a chunk that is not used. */
#define KCACHE_CHUNK_MIN_PAGES 4

/* Per CPU: 1 MiB in pages and 1 MiB in chunks at the most. */
#define KCACHE_STASH_PAGES 256
#define KCACHE_STASH_CHUNKS 16

/**
 * struct kcache_stash - what one CPU keeps
 * @busy: bit 0 guards the rest
 * @nr_pages: pages in @page
 * @nr_chunks: chunks in @chunk
 * @page: single pages
 * @chunk: compound pages of KCACHE_CHUNK_ORDER
 */
struct kcache_stash {
	unsigned long busy;
	unsigned int nr_pages;
	unsigned int nr_chunks;
	struct page *page[KCACHE_STASH_PAGES];
	struct page *chunk[KCACHE_STASH_CHUNKS];
};

static struct kcache_stash __percpu *kcache_stash;
static struct shrinker *kcache_shrinker;
static int kcache_hotplug_state;

static_assert(1 << KCACHE_CHUNK_ORDER == KCACHE_CHUNK_PAGES);

/* ---- the stash ---- */

/*
 * Whoever finds the stash busy goes to the page allocator: nobody waits, so that
 * an interrupt may come in the middle. Preemption is off lest a stash stays busy
 * for long.
 */
static __always_inline bool stash_enter(struct kcache_stash *s)
{
	return likely(!test_and_set_bit_lock(0, &s->busy));
}

static __always_inline void stash_leave(struct kcache_stash *s)
{
	clear_bit_unlock(0, &s->busy);
}

static __always_inline struct page *get_page_try(void)
{
	struct kcache_stash *s = get_cpu_ptr(kcache_stash);
	struct page *page = NULL;

	if (stash_enter(s)) {
		if (likely(s->nr_pages))
			page = s->page[--s->nr_pages];
		stash_leave(s);
	}
	put_cpu_ptr(kcache_stash);
	return likely(page) ? page : alloc_pages(KCACHE_GFP_TRY, 0);
}

static struct page *get_chunk_try(void)
{
	struct kcache_stash *s = get_cpu_ptr(kcache_stash);
	struct page *chunk = NULL;

	if (stash_enter(s)) {
		if (likely(s->nr_chunks))
			chunk = s->chunk[--s->nr_chunks];
		stash_leave(s);
	}
	put_cpu_ptr(kcache_stash);
	return likely(chunk) ? chunk :
			       alloc_pages(KCACHE_GFP_TRY | __GFP_COMP,
					   KCACHE_CHUNK_ORDER);
}

/*
 * Network disks may hold on to a page after they have said that it is written,
 * to send it once more: such a page is theirs and not used again.
 */
static __always_inline void put_bounce(struct page *page)
{
	bool chunk = PageHead(page);
	struct kcache_stash *s;

	if (likely(page_ref_count(page) == 1)) {
		s = get_cpu_ptr(kcache_stash);
		if (stash_enter(s)) {
			if (!chunk && s->nr_pages < KCACHE_STASH_PAGES) {
				s->page[s->nr_pages++] = page;
				page = NULL;
			} else if (chunk && s->nr_chunks < KCACHE_STASH_CHUNKS) {
				s->chunk[s->nr_chunks++] = page;
				page = NULL;
			}
			stash_leave(s);
		}
		put_cpu_ptr(kcache_stash);
	}
	if (unlikely(page))
		__free_pages(page, chunk ? KCACHE_CHUNK_ORDER : 0);
}

/* Free up to @want pages of any CPU's stash; returns how many. */
static unsigned long drain(struct kcache_stash *s, unsigned long want)
{
	unsigned long freed = 0;
	struct page *page;
	bool chunk;

	while (freed < want) {
		preempt_disable();
		while (!stash_enter(s))
			cpu_relax();
		chunk = s->nr_chunks;
		if (chunk)
			page = s->chunk[--s->nr_chunks];
		else if (s->nr_pages)
			page = s->page[--s->nr_pages];
		else
			page = NULL;
		stash_leave(s);
		preempt_enable();
		if (!page)
			break;
		__free_pages(page, chunk ? KCACHE_CHUNK_ORDER : 0);
		freed += chunk ? KCACHE_CHUNK_PAGES : 1;
	}
	return freed;
}

static unsigned long count_stash(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	unsigned long n = 0;
	struct kcache_stash *s;
	int cpu;

	for_each_possible_cpu(cpu) {
		s = per_cpu_ptr(kcache_stash, cpu);
		n += READ_ONCE(s->nr_pages) +
		     READ_ONCE(s->nr_chunks) * KCACHE_CHUNK_PAGES;
	}
	return n ?: SHRINK_EMPTY;
}

static unsigned long scan_stash(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	unsigned long freed = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		if (freed >= sc->nr_to_scan)
			break;
		freed += drain(per_cpu_ptr(kcache_stash, cpu),
			       sc->nr_to_scan - freed);
	}
	return freed;
}

static int cpu_dead(unsigned int cpu)
{
	drain(per_cpu_ptr(kcache_stash, cpu), ULONG_MAX);
	return 0;
}

/**
 * kcache_bounce_init() - set up the stash
 *
 * Context: Module load.
 * Return: 0 or a negative errno.
 */
int __init kcache_bounce_init(void)
{
	int r;

	kcache_stash = alloc_percpu(struct kcache_stash);
	if (!kcache_stash)
		return -ENOMEM;

	r = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "dm/kcache:dead",
				      NULL, cpu_dead);
	if (r < 0)
		goto bad_stash;
	kcache_hotplug_state = r;

	kcache_shrinker = kcache_shrinker_register(count_stash, scan_stash);
	if (!kcache_shrinker) {
		r = -ENOMEM;
		goto bad_hotplug;
	}
	return 0;

bad_hotplug:
	cpuhp_remove_state_nocalls(kcache_hotplug_state);
bad_stash:
	free_percpu(kcache_stash);
	return r;
}

/**
 * kcache_bounce_exit() - free the stash
 *
 * Context: Module unload, or a load that failed. All targets are gone.
 */
void kcache_bounce_exit(void)
{
	int cpu;

	kcache_shrinker_unregister(kcache_shrinker);
	cpuhp_remove_state_nocalls(kcache_hotplug_state);
	for_each_possible_cpu(cpu)
		drain(per_cpu_ptr(kcache_stash, cpu), ULONG_MAX);
	free_percpu(kcache_stash);
}

/* ---- the reserve ---- */

/**
 * kcache_reserve_create() - a target's reserve and its workers
 * @device: name for the workers
 *
 * Context: Process context. Sleeps.
 * Return: the reserve or NULL.
 */
struct kcache_reserve *kcache_reserve_create(const char *device)
{
	struct kcache_reserve *r = kzalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return NULL;
	mutex_init(&r->lock);
	if (mempool_init_page_pool(&r->pages, KCACHE_RESERVE_BYTES / PAGE_SIZE,
				   0))
		goto bad;
	if (mempool_init_kmalloc_pool(&r->arrays, 1,
				      KCACHE_RESERVE_BYTES / PAGE_SIZE *
				      sizeof(struct bio_vec)))
		goto bad;
	r->wq = alloc_workqueue("kcache_write/%s", WQ_MEM_RECLAIM | WQ_UNBOUND,
				0, device);
	if (!r->wq)
		goto bad;
	return r;
bad:
	kcache_reserve_destroy(r);
	return NULL;
}

/**
 * kcache_reserve_destroy() - free a reserve
 * @r: the reserve, half built perhaps, with no write under way; may be NULL
 *
 * Context: Process context. Sleeps.
 */
void kcache_reserve_destroy(struct kcache_reserve *r)
{
	if (!r)
		return;
	if (r->wq)
		destroy_workqueue(r->wq);
	mempool_exit(&r->arrays);
	mempool_exit(&r->pages);
	kfree(r);
}

/* ---- the segments of one write ---- */

static bool add_seg(struct kcache_segs *segs, struct page *page,
		    unsigned int len, unsigned int pages_left)
{
	struct bio_vec *bv;

	if (segs->bv == segs->inl && segs->nr == KCACHE_INLINE_SEGS) {
		bv = kmalloc_array(segs->nr + pages_left, sizeof(*bv),
				   KCACHE_GFP_TRY);
		if (!bv)
			return false;
		memcpy(bv, segs->inl, sizeof(segs->inl));
		segs->bv = bv;
	}
	segs->bv[segs->nr++] = (struct bio_vec) {
		.bv_page = page,
		.bv_len = len,
	};
	return true;
}

static noinline bool try_pages(struct kcache_segs *segs, unsigned int bytes)
{
	unsigned int left = DIV_ROUND_UP(bytes, PAGE_SIZE);
	unsigned int room, pages;
	bool chunks = true;
	struct page *page;

	while (left) {
		page = NULL;
		pages = 1;
		if (chunks && left >= KCACHE_CHUNK_MIN_PAGES) {
			page = get_chunk_try();
			pages = min(left, KCACHE_CHUNK_PAGES);
			/* memory is in small pieces: do not ask again */
			chunks = page;
		}
		if (!page) {
			page = get_page_try();
			pages = 1;
		}
		if (!page)
			goto fail;
		room = min_t(unsigned int, bytes, pages << PAGE_SHIFT);
		if (!add_seg(segs, page, room, left)) {
			put_bounce(page);
			goto fail;
		}
		bytes -= room;
		left -= pages;
	}
	return true;

fail:
	kcache_bounce_free(NULL, segs);
	return false;
}

/**
 * kcache_bounce_try() - pages for a write, if they can be had at once
 * @segs: filled
 * @bytes: size of the write
 *
 * Context: Any but hard interrupts. Never sleeps.
 * Return: true, or false with nothing held.
 */
bool kcache_bounce_try(struct kcache_segs *segs, unsigned int bytes)
{
	struct page *page;

	segs->bv = segs->inl;
	segs->nr = 0;
	segs->reserve = false;
	if (bytes > PAGE_SIZE)
		return try_pages(segs, bytes);

	/* most writes by far */
	page = get_page_try();
	if (unlikely(!page))
		return false;
	segs->inl[0] = (struct bio_vec) {
		.bv_page = page,
		.bv_len = bytes,
	};
	segs->nr = 1;
	return true;
}

/**
 * kcache_bounce_wait() - pages for a write, however long it takes
 * @r: the target's reserve
 * @segs: filled
 * @bytes: size of the write, at most KCACHE_RESERVE_BYTES
 *
 * Context: A worker of @r->wq. Sleeps.
 */
void kcache_bounce_wait(struct kcache_reserve *r, struct kcache_segs *segs,
			unsigned int bytes)
{
	unsigned int len;

	mutex_lock(&r->lock);
	segs->bv = mempool_alloc(&r->arrays, GFP_NOIO);
	segs->nr = 0;
	segs->reserve = true;
	while (bytes) {
		len = min_t(unsigned int, bytes, PAGE_SIZE);
		segs->bv[segs->nr++] = (struct bio_vec) {
			.bv_page = mempool_alloc(&r->pages, GFP_NOIO),
			.bv_len = len,
		};
		bytes -= len;
	}
	mutex_unlock(&r->lock);
}

/**
 * kcache_bounce_free() - give the pages of a write back
 * @r: the target's reserve
 * @segs: from kcache_bounce_try() or kcache_bounce_wait()
 *
 * Walks our own table: the bio's iterator has been used up by now.
 *
 * Context: Any, hard interrupts included. Never sleeps.
 */
void kcache_bounce_free(struct kcache_reserve *r, struct kcache_segs *segs)
{
	unsigned int i;

	if (unlikely(segs->reserve)) {
		for (i = 0; i < segs->nr; i++)
			mempool_free(segs->bv[i].bv_page, &r->pages);
		mempool_free(segs->bv, &r->arrays);
		return;
	}
	for (i = 0; i < segs->nr; i++)
		put_bounce(segs->bv[i].bv_page);
	if (segs->bv != segs->inl)
		kfree(segs->bv);
}
