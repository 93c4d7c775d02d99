// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounce pages: where the ciphertext of a write lies while the device takes it.
 * It cannot be written over the data, which belongs to whoever wrote it.
 *
 * Packed from offset 0 into as few segments as can be had, whatever the segments
 * of the source look like: gaps or more segments than the device's queue takes
 * would make the block layer split the bio.
 *
 * Two ways to get them. kcache_bounce_try() never waits and is what the
 * submitter uses: earlier bios of the same task may lie on its list unsubmitted,
 * and memory may come from nowhere but them. When it fails, a worker uses
 * kcache_bounce_wait(), which waits and always succeeds in the end, because the
 * reserve comes back with writes that are at the device already.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-kcache.h"

/*
 * Take what is there: no reclaim by the caller, no emergency reserves (which
 * are for getting memory freed, not for a cache of pages), no complaint.
 */
#define KCACHE_GFP_TRY \
	(GFP_NOWAIT | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN)

/* 64 KiB: larger pieces cost the page allocator more than they save. */
#define KCACHE_MAX_ORDER 4

/**
 * kcache_bounce_create() - a target's reserve and its workers
 * @device: name for the workers
 *
 * Context: Process context. Sleeps.
 * Return: the reserve or NULL.
 */
struct kcache_bounce *kcache_bounce_create(const char *device)
{
	struct kcache_bounce *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	mutex_init(&b->lock);
	if (mempool_init_page_pool(&b->pages, KCACHE_RESERVE_BYTES / PAGE_SIZE,
				   0))
		goto bad;
	if (mempool_init_kmalloc_pool(&b->arrays, 1,
				      KCACHE_RESERVE_BYTES / PAGE_SIZE *
				      sizeof(struct bio_vec)))
		goto bad;
	b->wq = alloc_workqueue("kcache_write/%s", WQ_MEM_RECLAIM | WQ_UNBOUND,
				0, device);
	if (!b->wq)
		goto bad;
	return b;
bad:
	kcache_bounce_destroy(b);
	return NULL;
}

/**
 * kcache_bounce_destroy() - free a reserve
 * @b: the reserve, half built perhaps, with no write under way; may be NULL
 *
 * Context: Process context. Sleeps.
 */
void kcache_bounce_destroy(struct kcache_bounce *b)
{
	if (!b)
		return;
	if (b->wq)
		destroy_workqueue(b->wq);
	mempool_exit(&b->arrays);
	mempool_exit(&b->pages);
	kfree(b);
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
	unsigned int left = DIV_ROUND_UP(bytes, PAGE_SIZE);
	unsigned int order, len;
	struct page *page;

	segs->bv = segs->inl;
	segs->nr = 0;
	segs->reserve = false;
	if (left > KCACHE_INLINE_SEGS) {
		segs->bv = kmalloc_array(left, sizeof(*segs->bv),
					 KCACHE_GFP_TRY);
		if (!segs->bv)
			return false;
	}

	order = KCACHE_MAX_ORDER;
	while (left) {
		order = min_t(unsigned int, order, ilog2(left));
		page = alloc_pages(KCACHE_GFP_TRY | (order ? __GFP_COMP : 0),
				   order);
		if (!page && order) {
			order--;
			continue;
		}
		if (!page) {
			kcache_bounce_free(NULL, segs);
			return false;
		}
		len = min_t(unsigned int, bytes, PAGE_SIZE << order);
		segs->bv[segs->nr++] = (struct bio_vec) {
			.bv_page = page,
			.bv_len = len,
		};
		bytes -= len;
		left -= 1U << order;
	}
	return true;
}

/**
 * kcache_bounce_wait() - pages for a write, however long it takes
 * @b: the target's reserve
 * @segs: filled
 * @bytes: size of the write, at most KCACHE_RESERVE_BYTES
 *
 * Context: A worker of @b->wq. Sleeps.
 */
void kcache_bounce_wait(struct kcache_bounce *b, struct kcache_segs *segs,
			unsigned int bytes)
{
	unsigned int len;

	mutex_lock(&b->lock);
	segs->bv = mempool_alloc(&b->arrays, GFP_NOIO);
	segs->nr = 0;
	segs->reserve = true;
	while (bytes) {
		len = min_t(unsigned int, bytes, PAGE_SIZE);
		segs->bv[segs->nr++] = (struct bio_vec) {
			.bv_page = mempool_alloc(&b->pages, GFP_NOIO),
			.bv_len = len,
		};
		bytes -= len;
	}
	mutex_unlock(&b->lock);
}

/**
 * kcache_bounce_free() - give the pages of a write back
 * @b: the target's reserve
 * @segs: from kcache_bounce_try() or kcache_bounce_wait()
 *
 * Walks our own table: the bio's iterator has been consumed by now. Whoever
 * below still holds a page, as network disks do, keeps it.
 *
 * Context: Any, hard interrupts included. Never sleeps.
 */
void kcache_bounce_free(struct kcache_bounce *b, struct kcache_segs *segs)
{
	struct page *page;
	unsigned int i;

	for (i = 0; i < segs->nr; i++) {
		page = segs->bv[i].bv_page;
		if (segs->reserve)
			mempool_free(page, &b->pages);
		else
			__free_pages(page, compound_order(page));
	}
	if (segs->reserve)
		mempool_free(segs->bv, &b->arrays);
	else if (segs->bv != segs->inl)
		kfree(segs->bv);
}
