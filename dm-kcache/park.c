// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios that wait for the key to come back (on_expiry:freeze), after the model of
 * dm-mpath's queue_if_no_path: device-mapper counts them as in flight, they
 * stand on a list of the target, and every way out of that state is here.
 *
 *   key set		they start over
 *   fail_frozen	they fail, and so does what comes, until the key is set
 *   flushing suspend	the same, because it waits for them; also how a device
 *			with parked bios is removed
 *   noflush suspend	they go back to device-mapper, which keeps them until the
 *			device is resumed
 *
 * Starting over means from the beginning: a write is encrypted anew, a read asks
 * the device anew. A read that lost its key half-way is partly plaintext.
 *
 * Never parked: readahead, which nobody waits for, and NOWAIT, which must not. Both
 * end here and are no errors of ours: who wants that data asks again, and waits.
 *
 * Locking: park->lock, with interrupts off, because reads lose their key in
 * completions. A key that is set before the lock is taken is seen under it, so
 * that no bio is parked after the release that was meant for it.
 */
#include "dm-kcache.h"
#include "trace.h"

/* What became of a bio that found no key. */
enum parked {
	PARKED,		/* it waits or has ended, and is not the caller's any more */
	PARKED_NOT,	/* fails */
	PARKED_BACK,	/* to be pushed back to device-mapper */
};

/* Rebooting: whatever a table says, nothing waits any more. */
static bool kcache_no_more_parking;

static void end_with(struct bio *bio, blk_status_t status)
{
	kcache_bio_io(bio)->state = KCACHE_IO_DONE;
	bio->bi_status = status;
	bio_endio(bio);
}

static void start_over(struct bio *bio)
{
	struct kcache_io *io = kcache_bio_io(bio);

	bio->bi_status = BLK_STS_OK;
	if (op_is_write(bio_op(bio))) {
		kcache_start_write(io);
		return;
	}
	/* after a completion the bio's own iterator is used up */
	bio_set_dev(bio, io->kc->dev->bdev);
	bio->bi_iter = io->iter;
	bio->bi_iter.bi_sector = kcache_io_sector(io);
	io->state = KCACHE_IO_READ;
	dm_submit_bio_remap(bio, NULL);
}

static struct bio *take_all(struct kcache_park *park)
{
	struct bio *list;

	spin_lock_irq(&park->lock);
	list = bio_list_get(&park->bios);
	spin_unlock_irq(&park->lock);
	return list;
}

static void release_work(struct work_struct *work)
{
	struct kcache_park *park = container_of(work, struct kcache_park, work);
	struct bio *bio, *next;

	for (bio = take_all(park); bio; bio = next) {
		next = bio->bi_next;
		bio->bi_next = NULL;
		start_over(bio);
	}
}

static void set_mode(struct kcache_target *kc, enum kcache_park_mode mode,
		     blk_status_t status)
{
	struct kcache_park *park = &kc->park;
	struct bio *bio, *next;

	spin_lock_irq(&park->lock);
	park->mode = mode;
	spin_unlock_irq(&park->lock);
	for (bio = take_all(park); bio; bio = next) {
		next = bio->bi_next;
		bio->bi_next = NULL;
		end_with(bio, status);
	}
}

static enum kcache_park_mode table_mode(struct kcache_target *kc)
{
	return kc->on_expiry == KCACHE_EXPIRY_FREEZE ? KCACHE_PARK_WAIT :
						       KCACHE_PARK_FAIL;
}

/* Any context, hard interrupts included; never sleeps. */
static enum parked try_to_park(struct kcache_io *io, struct bio *bio)
{
	struct kcache_park *park = &io->kc->park;
	blk_status_t status = BLK_STS_OK;
	enum parked r = PARKED;
	unsigned long flags;

	spin_lock_irqsave(&park->lock, flags);
	if (park->mode == KCACHE_PARK_FAIL || kcache_no_more_parking) {
		r = PARKED_NOT;
	} else if (park->mode == KCACHE_PARK_PUSH_BACK) {
		r = PARKED_BACK;
	} else if (bio->bi_opf & REQ_RAHEAD) {
		status = BLK_STS_IOERR;
	} else if (bio->bi_opf & REQ_NOWAIT) {
		status = BLK_STS_AGAIN;
	} else {
		/* whoever polls would spin until the key is back */
		bio_clear_polled(bio);
		trace_kcache_io_defer(io, "parked");
		bio_list_add(&park->bios, bio);
		/* the key came back meanwhile: its release has missed this one */
		if (kcache_key_valid(io->kc->key))
			queue_work(io->kc->reserve->wq, &park->work);
	}
	spin_unlock_irqrestore(&park->lock, flags);
	/* not under the lock: whoever hears of it may send the next one at once */
	if (status)
		end_with(bio, status);
	return r;
}

/**
 * kcache_park_map() - .map has found no key
 * @io: our data of the bio
 * @bio: the bio
 *
 * Context: As .map. Never sleeps.
 * Return: what .map returns.
 */
int kcache_park_map(struct kcache_io *io, struct bio *bio)
{
	switch (try_to_park(io, bio)) {
	case PARKED:
		return DM_MAPIO_SUBMITTED;
	case PARKED_BACK:
		return DM_MAPIO_REQUEUE;
	case PARKED_NOT:
	default:
		end_with(bio, kcache_account(io, bio, -ENOKEY));
		return DM_MAPIO_SUBMITTED;
	}
}

/**
 * kcache_park_end() - a bio has lost its key on the way
 * @io: our data of the bio
 * @bio: the bio, with nothing of ours attached any more
 *
 * Context: Any. Never sleeps.
 * Return: true if the bio is not the caller's any more; false if it fails.
 */
bool kcache_park_end(struct kcache_io *io, struct bio *bio)
{
	switch (try_to_park(io, bio)) {
	case PARKED:
		return true;
	case PARKED_BACK:
		end_with(bio, BLK_STS_DM_REQUEUE);
		return true;
	case PARKED_NOT:
	default:
		return false;
	}
}

/**
 * kcache_park_release() - the key is back
 * @kc: the target
 *
 * Context: Process context.
 */
void kcache_park_release(struct kcache_target *kc)
{
	struct kcache_park *park = &kc->park;

	spin_lock_irq(&park->lock);
	/* a suspend that is under way keeps what it has decided */
	if (!kc->suspending)
		park->mode = table_mode(kc);
	spin_unlock_irq(&park->lock);
	/* in a worker: writes may have to wait for memory */
	queue_work(kc->reserve->wq, &park->work);
}

/**
 * kcache_park_fail() - message "fail_frozen"
 * @kc: the target
 *
 * Context: Process context.
 */
void kcache_park_fail(struct kcache_target *kc)
{
	set_mode(kc, KCACHE_PARK_FAIL, BLK_STS_IOERR);
}

/**
 * kcache_park_suspend() - .presuspend: before filesystem and I/O are waited for
 * @kc: the target
 *
 * Context: Process context.
 */
void kcache_park_suspend(struct kcache_target *kc)
{
	kc->suspending = true;
	if (dm_noflush_suspending(kc->ti))
		set_mode(kc, KCACHE_PARK_PUSH_BACK, BLK_STS_DM_REQUEUE);
	else
		set_mode(kc, KCACHE_PARK_FAIL, BLK_STS_IOERR);
}

/**
 * kcache_park_resume() - .resume, or a suspend that was called off
 * @kc: the target
 *
 * Context: Process context.
 */
void kcache_park_resume(struct kcache_target *kc)
{
	kc->suspending = false;
	set_mode(kc, table_mode(kc), BLK_STS_IOERR);
}

/**
 * kcache_park_never_again() - before all keys are wiped for good
 *
 * Context: Process context.
 */
void kcache_park_never_again(void)
{
	WRITE_ONCE(kcache_no_more_parking, true);
}

/**
 * kcache_park_init() - set up a target's list
 * @kc: the target, with its options
 *
 * Context: Process context.
 */
void kcache_park_init(struct kcache_target *kc)
{
	struct kcache_park *park = &kc->park;

	spin_lock_init(&park->lock);
	bio_list_init(&park->bios);
	INIT_WORK(&park->work, release_work);
	park->mode = table_mode(kc);
}
