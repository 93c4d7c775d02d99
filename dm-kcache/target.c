// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-kcache: AES-256-XTS of every sector below a mapped device, compatible on
 * disk with dm-crypt's aes-xts-plain64, with the key taken from the kernel
 * keyring once and cached here while the device is there.
 *
 * This file is the target type: what device-mapper calls. A table line is
 *
 *   <start> <len> kcache <cipher> <key> <iv_offset> <device> <offset>
 *			  [<#opts> <opt>...]
 *
 * for example
 *
 *   0 2097152 kcache aes-xts-plain64 :64:logon:kcache:vol-1 0 /dev/sdb 32768
 *			  2 sector_size:4096 allow_discards
 *
 * Context: device-mapper calls everything here from a process, except .map,
 * which may be called with bios of the same task pending and must not wait for
 * any, and .end_io, which runs in any context.
 */
#include <linux/module.h>

#include "dm-kcache.h"

static void kcache_dtr(struct dm_target *ti)
{
	struct kcache_target *kc = ti->private;

	/*
	 * Half built is fine: each of these knows NULL. The key first, which may
	 * still be set, and starts what waits for it in workers of the reserve.
	 */
	kcache_key_put(kc);
	kcache_reserve_destroy(kc->reserve);
	free_percpu(kc->stats);
	if (kc->dev)
		dm_put_device(ti, kc->dev);
	kfree(kc->cipher_name);
	kfree(kc);
	ti->private = NULL;

	dm_audit_log_ti(AUDIT_DM_CTRL, DM_MSG_PREFIX, "dtr", ti, 1);
}

static int kcache_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct kcache_params p;
	struct kcache_target *kc;
	int r;

	r = kcache_parse_table(&p, ti->begin, ti->len, argc, argv, &ti->error);
	if (r)
		goto bad_line;

	kc = kzalloc(sizeof(*kc), GFP_KERNEL);
	if (!kc) {
		ti->error = "Out of memory";
		r = -ENOMEM;
		goto bad_line;
	}
	ti->private = kc;
	kc->ti = ti;
	kc->start = p.start;
	kc->iv_offset = p.iv_offset;
	kc->sector_size = p.sector_size;
	kc->flags = p.flags;
	kc->lease = p.lease;
	kc->on_expiry = p.on_expiry;
	kcache_park_init(kc);
	if (test_bit(KCACHE_IV_LARGE_SECTORS, &p.flags))
		kc->iv_shift = ilog2(p.sector_size) - SECTOR_SHIFT;

	r = dm_get_device(ti, p.device, dm_table_get_mode(ti->table), &kc->dev);
	if (r) {
		ti->error = "Device lookup failed";
		goto bad;
	}
	if (bdev_is_zoned(kc->dev->bdev)) {
		ti->error = "Zoned devices are not supported";
		r = -EOPNOTSUPP;
		goto bad;
	}

	r = -ENOMEM;
	kc->cipher_name = kstrdup(p.cipher, GFP_KERNEL);
	kc->stats = alloc_percpu(struct kcache_stats);
	kc->reserve = kcache_reserve_create(dm_device_name(md));
	if (!kc->cipher_name || !kc->stats || !kc->reserve) {
		ti->error = "Out of memory";
		goto bad;
	}

	/* last, so that a line with another mistake leaves no key behind */
	r = kcache_key_get(kc, p.key_type, p.key_desc, &ti->error);
	if (r)
		goto bad;

	ti->num_flush_bios = 1;
	ti->num_discard_bios = test_bit(KCACHE_ALLOW_DISCARDS, &p.flags);
	ti->per_io_data_size = sizeof(struct kcache_io);
	ti->limit_swap_bios = true;
	/* writes that a worker submits start to be accounted then */
	ti->accounts_remapped_io = true;

	dm_audit_log_ti(AUDIT_DM_CTRL, DM_MSG_PREFIX, "ctr", ti, 1);
	return 0;

bad:
	kcache_dtr(ti);
bad_line:
	dm_audit_log_ti(AUDIT_DM_CTRL, DM_MSG_PREFIX, "ctr", ti, 0);
	return r;
}

static int kcache_map(struct dm_target *ti, struct bio *bio)
{
	struct kcache_target *kc = ti->private;
	struct kcache_io *io = kcache_bio_io(bio);
	sector_t sector;

	io->kc = kc;
	io->state = KCACHE_IO_PASS;

	bio_set_dev(bio, kc->dev->bdev);
	/* an empty flush */
	if (unlikely(!bio_sectors(bio)))
		return DM_MAPIO_REMAPPED;

	sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	bio->bi_iter.bi_sector = kc->start + sector;
	if (unlikely(bio_op(bio) == REQ_OP_DISCARD))
		return DM_MAPIO_REMAPPED;

	/* io_hints announce this alignment; bios from inside the kernel may not care */
	if (unlikely((sector & ((kc->sector_size >> SECTOR_SHIFT) - 1)) ||
		     (bio->bi_iter.bi_size & (kc->sector_size - 1))))
		return DM_MAPIO_KILL;

	io->iter = bio->bi_iter;
	io->iter.bi_sector = sector + kc->iv_offset;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return kcache_map_read(io, bio);
	case REQ_OP_WRITE:
		return kcache_map_write(io, bio);
	default:
		/* zeroes on the disk are not zeroes in the data: never announced */
		return DM_MAPIO_KILL;
	}
}

static int kcache_end_io(struct dm_target *ti, struct bio *bio,
			 blk_status_t *error)
{
	struct kcache_io *io = kcache_bio_io(bio);

	switch (io->state) {
	case KCACHE_IO_READ:
		return kcache_end_read(io, bio, error);
	case KCACHE_IO_WRITE:
		kcache_bounce_free(io->kc->reserve, &io->segs);
		break;
	case KCACHE_IO_PASS:
	case KCACHE_IO_DONE:
		break;
	}
	return DM_ENDIO_DONE;
}

static void kcache_presuspend(struct dm_target *ti)
{
	kcache_park_suspend(ti->private);
}

static void kcache_presuspend_undo(struct dm_target *ti)
{
	kcache_park_resume(ti->private);
}

static int kcache_preresume(struct dm_target *ti)
{
	struct kcache_target *kc = ti->private;

	if (!kcache_key_valid(kc->key)) {
		DMERR("%s: resume refused: the key is %s, \"key set\" comes first",
		      dm_device_name(kc->key->md),
		      kcache_key_state_name(READ_ONCE(kc->key->state)));
		return -EAGAIN;
	}
	return 0;
}

static void kcache_resume(struct dm_target *ti)
{
	kcache_key_cap(ti->private);
	kcache_park_resume(ti->private);
}

static int message_key_set(struct kcache_target *kc, char *arg)
{
	const char *type, *desc;
	char *error;
	int r;

	r = kcache_parse_key(arg, &type, &desc, &error);
	if (r) {
		DMERR("%s: key set: %s", dm_device_name(kc->key->md), error);
		return r;
	}
	r = kcache_key_set(kc, type, desc);
	if (r)
		dm_audit_log_ti(AUDIT_DM_CTRL, DM_MSG_PREFIX, "key_set", kc->ti,
				0);
	return r;
}

static int message_lease(struct kcache_target *kc, const char *arg)
{
	unsigned int seconds;
	int r;

	r = kcache_parse_seconds(arg, &seconds);
	if (!r)
		r = kcache_key_renew(kc, seconds);
	if (r)
		DMERR("%s: lease %s: %s (%d)", dm_device_name(kc->key->md), arg,
		      r != -EINVAL ? "the key is gone, \"key set\" comes first" :
		      kc->lease ? "want a number of seconds, 1 or more" :
				  "the table has no lease", r);
	return r;
}

/*
 * Messages, suspended or not:
 *   key set :64:<type>:<description>
 *   key wipe
 *   lease <seconds>
 *   fail_frozen
 * device-mapper lets in only who has CAP_SYS_ADMIN. It holds off a suspend until
 * a message is through: none may wait for I/O.
 */
static int kcache_message(struct dm_target *ti, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	struct kcache_target *kc = ti->private;

	if (argc == 3 && !strcasecmp(argv[0], "key") &&
	    !strcasecmp(argv[1], "set"))
		return message_key_set(kc, argv[2]);
	if (argc == 2 && !strcasecmp(argv[0], "key") &&
	    !strcasecmp(argv[1], "wipe")) {
		kcache_key_wipe(kc->key->md);
		return 0;
	}
	if (argc == 2 && !strcasecmp(argv[0], "lease"))
		return message_lease(kc, argv[1]);
	if (argc == 1 && !strcasecmp(argv[0], "fail_frozen")) {
		kcache_park_fail(kc);
		return 0;
	}
	DMERR("%s: unknown message \"%s\": want key set, key wipe, lease or fail_frozen",
	      dm_device_name(kc->key->md), argv[0]);
	return -EINVAL;
}

static int kcache_iterate_devices(struct dm_target *ti,
				  iterate_devices_callout_fn fn, void *data)
{
	struct kcache_target *kc = ti->private;

	return fn(ti, kc->dev, kc->start, ti->len, data);
}

static void kcache_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct kcache_target *kc = ti->private;

	limits->logical_block_size = max_t(unsigned int, kc->sector_size,
					   limits->logical_block_size);
	limits->physical_block_size = max_t(unsigned int, kc->sector_size,
					    limits->physical_block_size);
	limits->io_min = max_t(unsigned int, kc->sector_size, limits->io_min);
	limits->dma_alignment = limits->logical_block_size - 1;
	kcache_limit_atomic(limits, KCACHE_RESERVE_BYTES);
}

static struct target_type kcache_target_type = {
	.name = "kcache",
	.version = { 0, 2, 0 },
	.features = DM_TARGET_NOWAIT | KCACHE_ATOMIC_WRITES,
	.module = THIS_MODULE,
	.ctr = kcache_ctr,
	.dtr = kcache_dtr,
	.map = kcache_map,
	.end_io = kcache_end_io,
	.presuspend = kcache_presuspend,
	.presuspend_undo = kcache_presuspend_undo,
	.preresume = kcache_preresume,
	.resume = kcache_resume,
	.status = kcache_status,
	.message = kcache_message,
	.iterate_devices = kcache_iterate_devices,
	.io_hints = kcache_io_hints,
};

static int __init kcache_init(void)
{
	int r;

	r = kcache_bounce_init();
	if (r)
		return r;
	r = kcache_defer_init();
	if (r)
		goto bad_bounce;
	r = kcache_fan_init();
	if (r)
		goto bad_defer;
	r = kcache_pm_init();
	if (r)
		goto bad_fan;
	r = dm_register_target(&kcache_target_type);
	if (r)
		goto bad_pm;
	return 0;

bad_pm:
	kcache_pm_exit();
bad_fan:
	kcache_fan_exit();
bad_defer:
	kcache_defer_exit();
bad_bounce:
	kcache_bounce_exit();
	return r;
}

static void __exit kcache_exit(void)
{
	dm_unregister_target(&kcache_target_type);
	kcache_pm_exit();
	kcache_fan_exit();
	kcache_defer_exit();
	kcache_bounce_exit();
}

module_init(kcache_init);
module_exit(kcache_exit);

MODULE_DESCRIPTION("device-mapper target for AES-256-XTS with cached keys");
MODULE_LICENSE("GPL");
