// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads that completed where nothing can be decrypted: in a hard interrupt, with
 * interrupts off, or on top of somebody else's use of the FPU.
 *
 * Small ones are collected per CPU, so that a batch of completions costs one
 * kick: first of a softirq, which runs as soon as the interrupt is over and has
 * the data in its caches. What is too much for it, or comes where the FPU is
 * taken, goes on to a worker of the same CPU. Large ones are given to any CPU,
 * each alone.
 *
 * Lists and workers live as long as the module: a target may be gone as soon as
 * its last bio has ended. A CPU that goes offline leaves its list to its softirq
 * and worker, which then run elsewhere; they go by pointers, not by where they
 * are.
 */
#include <linux/interrupt.h>
#include <linux/percpu.h>

#include "dm-kcache.h"
#include "trace.h"

/* What one softirq decrypts before it lets others run: some 10 us. */
#define KCACHE_BH_BYTES (64 * 1024)

/**
 * struct kcache_defer - the reads of one CPU
 * @fresh: for the softirq
 * @bh: the softirq
 * @spilt: for the worker
 * @work: the worker
 */
struct kcache_defer {
	struct llist_head fresh;
	struct kcache_bh bh;
	struct llist_head spilt;
	struct work_struct work;
};

static DEFINE_PER_CPU(struct kcache_defer, kcache_defer);
static struct workqueue_struct *kcache_batch_wq;
static struct workqueue_struct *kcache_alone_wq;

static void spill(struct kcache_defer *d, struct kcache_io *io)
{
	if (llist_add(&io->llnode, &d->spilt))
		queue_work(kcache_batch_wq, &d->work);
}

static void drain_fresh(struct kcache_bh *bh)
{
	struct kcache_defer *d = container_of(bh, struct kcache_defer, bh);
	unsigned int budget = KCACHE_BH_BYTES, bytes;
	struct kcache_io *io, *next;
	struct llist_node *list;
	struct bio *bio;

	list = llist_reverse_order(llist_del_all(&d->fresh));
	llist_for_each_entry_safe(io, next, list, llnode) {
		bytes = io->iter.bi_size;
		if (bytes > budget || need_resched() ||
		    !kcache_can_crypt_here(io->kc->key, bytes)) {
			spill(d, io);
			continue;
		}
		budget -= bytes;
		bio = kcache_io_bio(io);
		kcache_finish_read(io, bio, kcache_crypt(io, bio, false),
				   false);
	}
}

static void drain_spilt(struct work_struct *work)
{
	struct kcache_defer *d = container_of(work, struct kcache_defer, work);
	struct kcache_io *io, *next;
	struct llist_node *list;
	struct bio *bio;

	list = llist_reverse_order(llist_del_all(&d->spilt));
	llist_for_each_entry_safe(io, next, list, llnode) {
		bio = kcache_io_bio(io);
		kcache_finish_read(io, bio, kcache_crypt(io, bio, true), true);
	}
}

/**
 * kcache_defer_batch() - decrypt a small read soon, on this CPU
 * @io: our data of the bio
 *
 * Context: Any, hard interrupts included. Never sleeps.
 */
void kcache_defer_batch(struct kcache_io *io)
{
	struct kcache_defer *d = raw_cpu_ptr(&kcache_defer);

	trace_kcache_io_defer(io, "batched");
	/* before it is on the list: then it belongs to the softirq */
	if (llist_add(&io->llnode, &d->fresh))
		kcache_bh_kick(&d->bh);
}

/**
 * kcache_defer_alone() - have a large read, or one that has to wait for its
 *	cipher, decrypted by a worker on any CPU
 * @io: our data of the bio
 * @fn: what the worker does
 *
 * Context: Any, hard interrupts included. Never sleeps.
 */
void kcache_defer_alone(struct kcache_io *io, work_func_t fn)
{
	trace_kcache_io_defer(io, "to a worker");
	INIT_WORK(&io->work, fn);
	queue_work(kcache_alone_wq, &io->work);
}

/**
 * kcache_defer_init() - set up lists, softirqs and workers
 *
 * Context: Module load.
 * Return: 0 or -ENOMEM.
 */
int __init kcache_defer_init(void)
{
	struct kcache_defer *d;
	int cpu;

	/*
	 * MEM_RECLAIM: swap may lie on one of our devices. CPU_INTENSIVE: others
	 * need not wait until a batch is decrypted.
	 */
	kcache_batch_wq = alloc_workqueue("kcache_batch", WQ_MEM_RECLAIM |
					  WQ_HIGHPRI | WQ_CPU_INTENSIVE |
					  KCACHE_WQ_PERCPU, 0);
	kcache_alone_wq = alloc_workqueue("kcache_alone", WQ_MEM_RECLAIM |
					  WQ_HIGHPRI | WQ_UNBOUND, 0);
	if (!kcache_batch_wq || !kcache_alone_wq) {
		kcache_defer_exit();
		return -ENOMEM;
	}
	for_each_possible_cpu(cpu) {
		d = per_cpu_ptr(&kcache_defer, cpu);
		init_llist_head(&d->fresh);
		init_llist_head(&d->spilt);
		kcache_bh_init(&d->bh, drain_fresh);
		INIT_WORK(&d->work, drain_spilt);
	}
	return 0;
}

/**
 * kcache_defer_exit() - wait for softirqs and workers that are still returning
 *
 * Context: Module unload, or a load that failed. All targets are gone, and with
 *	them all bios.
 */
void kcache_defer_exit(void)
{
	int cpu;

	if (kcache_batch_wq && kcache_alone_wq)
		for_each_possible_cpu(cpu)
			kcache_bh_kill(&per_cpu_ptr(&kcache_defer, cpu)->bh);
	if (kcache_batch_wq)
		destroy_workqueue(kcache_batch_wq);
	if (kcache_alone_wq)
		destroy_workqueue(kcache_alone_wq);
}
