// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads: device-mapper's clone goes to the device as it is, and is decrypted in
 * place when it comes back. No second bio, so that polling, I/O priorities and
 * accounting work as if we were not there.
 *
 * kcache_end_read() runs wherever the device completes: in a task, perhaps
 * under a lock and polling; in softirq; in a hard interrupt. It never sleeps.
 * Where the cipher cannot be called, or the bio is large, it goes elsewhere and
 * comes through .end_io a second time. After bio_endio() nothing of the bio or
 * the target may be touched.
 */
#include "dm-kcache.h"
#include "trace.h"

/**
 * kcache_finish_read() - end a read that was decrypted elsewhere
 * @io: our data of the bio
 * @bio: the bio
 * @r: what came of it
 * @worker: where we are makes no difference here
 *
 * Context: Any.
 */
void kcache_finish_read(struct kcache_io *io, struct bio *bio, int r,
			bool worker)
{
	if (unlikely(r == -ENOKEY) && kcache_park_end(io, bio))
		return;
	bio->bi_status = kcache_account(io, bio, r);
	io->state = KCACHE_IO_DONE;
	bio_endio(bio);
}

static void read_work(struct work_struct *work)
{
	struct kcache_io *io = container_of(work, struct kcache_io, work);
	struct bio *bio = kcache_io_bio(io);

	kcache_finish_read(io, bio, kcache_crypt(io, bio, true), true);
}

/**
 * kcache_map_read() - send a read to the device
 * @io: our data of the bio
 * @bio: remapped already
 *
 * Context: Process context, or wherever bios are submitted. Never sleeps.
 * Return: DM_MAPIO_REMAPPED. Without a key, what kcache_park_map() says: there
 *	is no use in asking a device for what cannot be decrypted.
 */
int kcache_map_read(struct kcache_io *io, struct bio *bio)
{
	if (unlikely(!kcache_key_valid(io->kc->key)))
		return kcache_park_map(io, bio);
	io->state = KCACHE_IO_READ;
	return DM_MAPIO_REMAPPED;
}

/**
 * kcache_end_read() - decrypt what the device has read
 * @io: our data of the bio
 * @bio: the bio
 * @error: the device's verdict; receives ours
 *
 * Context: Any, hard interrupts included. Never sleeps.
 * Return: DM_ENDIO_DONE, or DM_ENDIO_INCOMPLETE if the bio has gone elsewhere.
 */
int kcache_end_read(struct kcache_io *io, struct bio *bio, blk_status_t *error)
{
	int r;

	if (unlikely(*error))
		return DM_ENDIO_DONE;

	if (kcache_fan_wanted(io) &&
	    kcache_fan_out(io, bio, kcache_finish_read))
		return DM_ENDIO_INCOMPLETE;

	if (likely(kcache_can_crypt_here(io->kc->key, io->iter.bi_size))) {
		this_cpu_inc(io->kc->stats->inline_ios);
		r = kcache_crypt(io, bio, false);
		if (unlikely(r == -ENOKEY) && kcache_park_end(io, bio))
			return DM_ENDIO_INCOMPLETE;
		*error = kcache_account(io, bio, r);
		return DM_ENDIO_DONE;
	}
	this_cpu_inc(io->kc->stats->deferred_ios);
	if (io->kc->key->async || io->iter.bi_size > KCACHE_SOFTIRQ_BYTES)
		kcache_defer_alone(io, read_work);
	else
		kcache_defer_batch(io);
	return DM_ENDIO_INCOMPLETE;
}
