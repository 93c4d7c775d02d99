// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes: encrypted by the task that submits them, into bounce pages that take
 * the place of the data in device-mapper's own clone. No second bio, no thread
 * that sorts, and no workqueue unless memory is short or the cipher wants one.
 *
 * Why the clone's segment table may be replaced: the clone was allocated without
 * segments of its own (bi_max_vecs is 0, so that freeing it ignores the table),
 * everything below uses bi_io_vec through bi_iter only, and device-mapper
 * requeues the original bio, never the clone. It would not do for a bio with an
 * integrity payload or an inline-encryption context; the target announces
 * neither, so that nobody sends one. If somebody does, it is refused: a path
 * with a bio of our own for it would be code that nothing can test.
 */
#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>

#include "dm-kcache.h"
#include "trace.h"

static bool can_swap(struct bio *bio)
{
	return likely(!bio->bi_max_vecs && !bio_integrity(bio) &&
		      !bio_has_crypt_ctx(bio));
}

/* The clone carries ciphertext from here on, and is ready for the device. */
static void swap_segs(struct kcache_io *io, struct bio *bio)
{
	bio->bi_io_vec = io->segs.bv;
	bio->bi_iter = (struct bvec_iter) {
		.bi_sector = kcache_io_sector(io),
		.bi_size = io->iter.bi_size,
	};
	kcache_bio_new_segs(bio);
	io->state = KCACHE_IO_WRITE;
}

/* From outside .map. Whoever polls knows nothing of a bio submitted here. */
static void submit(struct kcache_io *io, struct bio *bio)
{
	swap_segs(io, bio);
	bio_clear_polled(bio);
	dm_submit_bio_remap(bio, NULL);
}

static void fail(struct kcache_io *io, struct bio *bio, int r)
{
	kcache_bounce_free(io->kc->reserve, &io->segs);
	if (r == -ENOKEY && kcache_park_end(io, bio))
		return;
	io->state = KCACHE_IO_DONE;
	bio->bi_status = kcache_account(io, bio, r);
	bio_endio(bio);
}

static void end_again(struct kcache_io *io, struct bio *bio)
{
	io->state = KCACHE_IO_DONE;
	bio_wouldblock_error(bio);
}

/**
 * kcache_start_write() - all of a write, by a worker
 * @io: our data of the bio
 *
 * Context: A worker of the target's reserve. Sleeps.
 */
void kcache_start_write(struct kcache_io *io)
{
	struct kcache_reserve *reserve = io->kc->reserve;
	struct bio *bio = kcache_io_bio(io);
	int r;

	if (!kcache_bounce_try(&io->segs, io->iter.bi_size))
		kcache_bounce_wait(reserve, &io->segs, io->iter.bi_size);
	r = kcache_crypt(io, bio, true);
	if (unlikely(r)) {
		fail(io, bio, r);
		return;
	}
	kcache_account(io, bio, 0);
	submit(io, bio);
}

static void write_work(struct work_struct *work)
{
	kcache_start_write(container_of(work, struct kcache_io, work));
}

static int defer(struct kcache_io *io, struct bio *bio)
{
	if (bio->bi_opf & REQ_NOWAIT) {
		end_again(io, bio);
		return DM_MAPIO_SUBMITTED;
	}
	this_cpu_inc(io->kc->stats->deferred_ios);
	trace_kcache_io_defer(io, "to a worker");
	INIT_WORK(&io->work, write_work);
	queue_work(io->kc->reserve->wq, &io->work);
	return DM_MAPIO_SUBMITTED;
}

static void submit_work(struct work_struct *work)
{
	struct kcache_io *io = container_of(work, struct kcache_io, work);

	submit(io, kcache_io_bio(io));
}

static void fanned(struct kcache_io *io, struct bio *bio, int r, bool worker)
{
	if (unlikely(r)) {
		fail(io, bio, r);
		return;
	}
	kcache_account(io, bio, 0);
	if (!worker) {
		submit(io, bio);
		return;
	}
	/* submitting may wait for the device; those workers only compute */
	INIT_WORK(&io->work, submit_work);
	queue_work(io->kc->reserve->wq, &io->work);
}

/*
 * A bio that the device's queue would have to split fails there if it must not
 * wait: say so before the work is done.
 */
static bool too_large_for_nowait(struct kcache_io *io, struct bio *bio)
{
	struct request_queue *q = bdev_get_queue(bio->bi_bdev);

	return bio_sectors(bio) > queue_max_sectors(q) ||
	       io->segs.nr > queue_max_segments(q);
}

/*
 * A worker has to manage with the reserve, and cannot divide a bio any more.
 * Bios that must not be divided are not larger: io_hints see to that.
 */
static void fit_reserve(struct kcache_io *io, struct bio *bio)
{
	if (likely(io->iter.bi_size <= KCACHE_RESERVE_BYTES))
		return;
	dm_accept_partial_bio(bio, KCACHE_RESERVE_BYTES >> SECTOR_SHIFT);
	io->iter.bi_size = KCACHE_RESERVE_BYTES;
}

/**
 * kcache_map_write() - encrypt a write and send it to the device
 * @io: our data of the bio
 * @bio: remapped already
 *
 * Context: Process context, or wherever bios are submitted. Never sleeps: bios
 *	that this task submitted earlier may be waiting for it to return.
 * Return: DM_MAPIO_REMAPPED; DM_MAPIO_SUBMITTED if the bio has gone elsewhere;
 *	DM_MAPIO_KILL or DM_MAPIO_REQUEUE if it cannot be done.
 */
int kcache_map_write(struct kcache_io *io, struct bio *bio)
{
	struct kcache_target *kc = io->kc;
	int r;

	if (WARN_ON_ONCE(!can_swap(bio)))
		return DM_MAPIO_KILL;

	/* it may have to start over, in a worker */
	if (kc->on_expiry == KCACHE_EXPIRY_FREEZE)
		fit_reserve(io, bio);
	if (unlikely(!kcache_key_valid(kc->key)))
		return kcache_park_map(io, bio);

	if (unlikely(!kcache_can_crypt_here(kc->key, 0) ||
		     !kcache_bounce_try(&io->segs, io->iter.bi_size))) {
		fit_reserve(io, bio);
		return defer(io, bio);
	}
	if (unlikely(bio->bi_opf & REQ_NOWAIT) &&
	    too_large_for_nowait(io, bio)) {
		kcache_bounce_free(kc->reserve, &io->segs);
		end_again(io, bio);
		return DM_MAPIO_SUBMITTED;
	}

	if (kcache_fan_wanted(io) && kcache_fan_out(io, bio, fanned))
		return DM_MAPIO_SUBMITTED;

	this_cpu_inc(kc->stats->inline_ios);
	r = kcache_crypt(io, bio, false);
	if (unlikely(r)) {
		fail(io, bio, r);
		return DM_MAPIO_SUBMITTED;
	}
	kcache_account(io, bio, 0);
	swap_segs(io, bio);
	return DM_MAPIO_REMAPPED;
}
