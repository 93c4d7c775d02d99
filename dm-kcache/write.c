// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes: encrypted by the task that submits them, into bounce pages that take
 * the place of the data in device-mapper's own clone. No second bio, no thread
 * that sorts, and no workqueue unless memory is short or the cipher wants one.
 *
 * Why the clone's segment table may be replaced: the clone was allocated
 * without segments of its own (bi_max_vecs is 0, so that freeing it ignores the
 * table), everything below uses bi_io_vec through bi_iter only, and
 * device-mapper requeues the original bio, never the clone. What would not
 * hold for a bio with an integrity payload or an inline-encryption context: the
 * target does not announce either, so nobody sends one, and if somebody does,
 * it is refused.
 */
#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>

#include "dm-kcache.h"

static bool can_swap(struct bio *bio)
{
	return !bio->bi_max_vecs && !bio_integrity(bio) &&
	       !bio_has_crypt_ctx(bio);
}

static void swap_segs(struct kcache_io *io, struct bio *bio)
{
	bio->bi_io_vec = io->segs.bv;
	bio->bi_iter = (struct bvec_iter) {
		.bi_sector = bio->bi_iter.bi_sector,
		.bi_size = io->iter.bi_size,
	};
	io->state = KCACHE_IO_WRITE;
}

static void write_work(struct work_struct *work)
{
	struct kcache_io *io = container_of(work, struct kcache_io, work);
	struct kcache_bounce *bounce = io->kc->bounce;
	struct bio *bio = kcache_io_bio(io);

	if (!kcache_bounce_try(&io->segs, io->iter.bi_size))
		kcache_bounce_wait(bounce, &io->segs, io->iter.bi_size);
	bio->bi_status = kcache_crypt(io, bio, true);
	if (unlikely(bio->bi_status)) {
		kcache_bounce_free(bounce, &io->segs);
		io->state = KCACHE_IO_DONE;
		bio_endio(bio);
		return;
	}
	swap_segs(io, bio);
	/* whoever polls knows nothing of a bio that is submitted from here */
	bio_clear_polled(bio);
	dm_submit_bio_remap(bio, NULL);
}

static int defer(struct kcache_io *io, struct bio *bio)
{
	/* the worker has to manage with the reserve */
	if (io->iter.bi_size > KCACHE_RESERVE_BYTES) {
		dm_accept_partial_bio(bio, KCACHE_RESERVE_BYTES >> SECTOR_SHIFT);
		io->iter.bi_size = KCACHE_RESERVE_BYTES;
	}
	INIT_WORK(&io->work, write_work);
	queue_work(io->kc->bounce->wq, &io->work);
	return DM_MAPIO_SUBMITTED;
}

/**
 * kcache_map_write() - encrypt a write and send it to the device
 * @io: our data of the bio
 * @bio: remapped already
 *
 * Context: Process context, or wherever bios are submitted. Never sleeps: bios
 *	that this task submitted earlier may be waiting for it to return.
 * Return: DM_MAPIO_REMAPPED; DM_MAPIO_SUBMITTED if a worker has it;
 *	DM_MAPIO_KILL without a key or if the cipher failed.
 */
int kcache_map_write(struct kcache_io *io, struct bio *bio)
{
	struct kcache_target *kc = io->kc;

	if (unlikely(!kcache_key_valid(kc->key)))
		goto kill;
	if (WARN_ON_ONCE(!can_swap(bio)))
		goto kill;
	if (!kcache_can_crypt_here(kc->key, io->iter.bi_size))
		return defer(io, bio);
	if (unlikely(!kcache_bounce_try(&io->segs, io->iter.bi_size)))
		return defer(io, bio);

	if (unlikely(kcache_crypt(io, bio, false))) {
		/* .end_io does not see what is killed */
		kcache_bounce_free(kc->bounce, &io->segs);
		return DM_MAPIO_KILL;
	}
	swap_segs(io, bio);
	return DM_MAPIO_REMAPPED;

kill:
	this_cpu_inc(kc->stats->errors);
	return DM_MAPIO_KILL;
}
