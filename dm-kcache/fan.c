// SPDX-License-Identifier: GPL-2.0-only
/*
 * One large bio on several CPUs. The device sees it whole: only the computation
 * is divided, into pieces of the bio that any CPU can take. Whoever does the
 * last piece goes on with the bio.
 *
 * A caller that may compute does one piece itself. The workers only compute,
 * wait for nothing and so need no more than one queue for all targets.
 */
#include <linux/slab.h>

#include "dm-kcache.h"
#include "trace.h"

/* No piece is smaller: some 10 us with AES-NI. */
#define KCACHE_PIECE_BYTES (KCACHE_FAN_BYTES / 2)
#define KCACHE_MAX_PIECES 16

static struct workqueue_struct *kcache_fan_wq;

/**
 * struct kcache_piece - a part of a bio
 * @work: for one of the workers
 * @fan: the whole
 * @range: what to do
 */
struct kcache_piece {
	struct work_struct work;
	struct kcache_fan *fan;
	struct kcache_range range;
};

/**
 * struct kcache_fan - a bio in pieces
 * @io: our data of the bio
 * @bio: the bio
 * @done: called with the last piece; gets the bio
 * @left: pieces that are not done
 * @error: of the first piece that failed
 * @piece: the pieces
 */
struct kcache_fan {
	struct kcache_io *io;
	struct bio *bio;
	kcache_fan_done done;
	atomic_t left;
	int error;
	struct kcache_piece piece[];
};

static void do_piece(struct kcache_piece *piece, bool worker)
{
	struct kcache_fan *fan = piece->fan;
	struct kcache_io *io = fan->io;
	int r;

	r = kcache_crypt_range(io->kc, &piece->range, worker);
	if (unlikely(r))
		cmpxchg(&fan->error, 0, r);
	/* orders the error of every piece before the last one looks at it */
	if (!atomic_dec_and_test(&fan->left))
		return;
	fan->done(io, fan->bio, READ_ONCE(fan->error), worker);
	kfree(fan);
}

static void piece_work(struct work_struct *work)
{
	do_piece(container_of(work, struct kcache_piece, work), true);
}

/* Cut @bytes off the front of @rest. */
static void cut(struct kcache_range *rest, struct kcache_range *piece,
		unsigned int bytes)
{
	*piece = *rest;
	piece->iter.bi_size = bytes;
	piece->dst_iter.bi_size = bytes;
	bio_advance_iter(rest->bio, &rest->iter, bytes);
	if (rest->dst)
		bvec_iter_advance(rest->dst, &rest->dst_iter, bytes);
}

/**
 * kcache_fan_out() - encrypt or decrypt a bio on several CPUs
 * @io: our data of the bio; of a write, with its bounce pages
 * @bio: the bio
 * @done: receives the bio when all is done, in whatever context that is; may
 *	be called before this returns
 *
 * Context: Any. Never sleeps.
 * Return: true, or false if there is no memory for it: nothing has been done.
 */
bool kcache_fan_out(struct kcache_io *io, struct bio *bio, kcache_fan_done done)
{
	unsigned int i, n, bytes, here;
	struct kcache_range rest;
	struct kcache_fan *fan;

	n = min3(num_online_cpus(), io->iter.bi_size / KCACHE_PIECE_BYTES,
		 (unsigned int)KCACHE_MAX_PIECES);
	fan = kmalloc(struct_size(fan, piece, n), GFP_NOWAIT | __GFP_NORETRY |
		      __GFP_NOMEMALLOC | __GFP_NOWARN);
	if (!fan)
		return false;
	fan->io = io;
	fan->bio = bio;
	fan->done = done;
	fan->error = 0;
	atomic_set(&fan->left, n);

	kcache_io_range(io, bio, &rest);
	for (i = 0; i < n; i++) {
		/* whole data units: the largest is a page */
		bytes = round_up(rest.iter.bi_size / (n - i), PAGE_SIZE);
		bytes = min(bytes, rest.iter.bi_size);
		fan->piece[i].fan = fan;
		INIT_WORK(&fan->piece[i].work, piece_work);
		cut(&rest, &fan->piece[i].range, bytes);
	}
	this_cpu_inc(io->kc->stats->fanned_ios);
	trace_kcache_io_defer(io, "fanned out");

	/* from the first piece that is done on, fan may be gone */
	here = kcache_can_crypt_here(io->kc->key, KCACHE_PIECE_BYTES) ? n - 1 : n;
	for (i = 0; i < here; i++)
		queue_work(kcache_fan_wq, &fan->piece[i].work);
	if (here < n)
		do_piece(&fan->piece[here], false);
	return true;
}

/**
 * kcache_fan_init() - start the workers
 *
 * Context: Module load.
 * Return: 0 or -ENOMEM.
 */
int __init kcache_fan_init(void)
{
	kcache_fan_wq = alloc_workqueue("kcache_fan", WQ_MEM_RECLAIM |
					WQ_UNBOUND | WQ_HIGHPRI, 0);
	return kcache_fan_wq ? 0 : -ENOMEM;
}

/**
 * kcache_fan_exit() - stop the workers
 *
 * Context: Module unload. All targets are gone.
 */
void kcache_fan_exit(void)
{
	destroy_workqueue(kcache_fan_wq);
}
