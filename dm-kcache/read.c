// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads: device-mapper's clone goes to the device as it is, and is decrypted in
 * place when it comes back. No second bio, so that polling, I/O priorities and
 * accounting work as if we were not there.
 *
 * kcache_end_read() runs wherever the device completes: in a task, perhaps
 * under a lock and polling; in softirq; in a hard interrupt. It never sleeps.
 * Where the cipher cannot be called, the bio goes to kcache_read_wq and comes
 * through .end_io a second time. Those workers only compute: they wait for
 * nothing, so that one queue does for all targets, stacked ones too.
 */
#include "dm-kcache.h"

static struct workqueue_struct *kcache_read_wq;

static void read_work(struct work_struct *work)
{
	struct kcache_io *io = container_of(work, struct kcache_io, work);
	struct bio *bio = kcache_io_bio(io);

	bio->bi_status = kcache_crypt(io, bio, true);
	io->state = KCACHE_IO_DONE;
	/* frees the bio, and with it io; the target may be gone next */
	bio_endio(bio);
}

/**
 * kcache_map_read() - send a read to the device
 * @io: our data of the bio
 * @bio: remapped already
 *
 * Context: Process context, or wherever bios are submitted. Never sleeps.
 * Return: DM_MAPIO_REMAPPED, or DM_MAPIO_KILL without a key: there is no use in
 *	asking a device for what cannot be decrypted.
 */
int kcache_map_read(struct kcache_io *io, struct bio *bio)
{
	if (unlikely(!kcache_key_valid(io->kc->key))) {
		this_cpu_inc(io->kc->stats->errors);
		return DM_MAPIO_KILL;
	}
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
 * Return: DM_ENDIO_DONE, or DM_ENDIO_INCOMPLETE if a worker has it.
 */
int kcache_end_read(struct kcache_io *io, struct bio *bio, blk_status_t *error)
{
	if (unlikely(*error))
		return DM_ENDIO_DONE;

	if (kcache_can_crypt_here(io->kc->key, io->iter.bi_size)) {
		*error = kcache_crypt(io, bio, false);
		return DM_ENDIO_DONE;
	}
	INIT_WORK(&io->work, read_work);
	queue_work(kcache_read_wq, &io->work);
	return DM_ENDIO_INCOMPLETE;
}

/**
 * kcache_read_init() - start the workers
 *
 * Context: Module load.
 * Return: 0 or -ENOMEM.
 */
int __init kcache_read_init(void)
{
	/*
	 * MEM_RECLAIM: swap may lie on one of our devices. Bound to the CPU that
	 * completed the read, whose caches have the data, but allowed to be
	 * preempted like any computation.
	 */
	kcache_read_wq = alloc_workqueue("kcache_read", WQ_MEM_RECLAIM |
					 WQ_HIGHPRI | WQ_CPU_INTENSIVE, 0);
	return kcache_read_wq ? 0 : -ENOMEM;
}

/**
 * kcache_read_exit() - stop the workers
 *
 * Context: Module unload, or a load that failed. All targets are gone.
 */
void kcache_read_exit(void)
{
	destroy_workqueue(kcache_read_wq);
}
