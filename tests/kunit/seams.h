/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The edges of the module, moved: force-included into each of its sources and into
 * the suites, after the module's own compat.h. Everything inside is compiled as
 * it is; what it asks of device-mapper, of the clock and of whoever listens to
 * events goes to fake-*.c.
 *
 * Two reasons for each. A struct mapped_device cannot be made by a module, and
 * time and events are what the suites are about.
 */
#ifndef KCACHE_KUNIT_SEAMS_H
#define KCACHE_KUNIT_SEAMS_H

/* these declare what is replaced below: first */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/timekeeping.h>

/*
 * KUnit runs the suites of a module before its module_init(): they set the module
 * up themselves (main.c), from code that is no more a part of its loading.
 */
#undef __init
#undef __exit
#define __init
#define __exit

/* ---- device-mapper: a struct dm_table is our struct fake_md ---- */

struct mapped_device *fake_table_md(struct dm_table *t);
const char *fake_device_name(struct mapped_device *md);
struct gendisk *fake_disk(struct mapped_device *md);
int fake_get_device(struct dm_target *ti, const char *path,
		    struct dm_dev **dev);
void fake_put_device(struct dm_dev *dev);
int fake_register_target(struct target_type *type);
int fake_noflush(struct dm_target *ti);
void fake_submit(struct bio *bio);
void fake_accept_partial(struct bio *bio, unsigned int sectors);

#define dm_table_get_md(t) fake_table_md(t)
#define dm_table_get_mode(t) ((void)(t), 0)
#define dm_device_name(md) fake_device_name(md)
#define dm_disk(md) fake_disk(md)
#define dm_get_device(ti, path, mode, dev) \
	((void)(mode), fake_get_device(ti, path, dev))
#define dm_put_device(ti, dev) fake_put_device(dev)
#define dm_register_target(type) fake_register_target(type)
#define dm_unregister_target(type) ((void)(type))
#define dm_noflush_suspending(ti) fake_noflush(ti)

/* A bio stands right behind our data of it: struct fake_bio. */
#define dm_per_bio_data(bio, size) ((void *)((char *)(bio) - (size)))
#define dm_bio_from_per_bio_data(data, size) \
	((struct bio *)((char *)(data) + (size)))
#define dm_submit_bio_remap(bio, clone) fake_submit(bio)
#define dm_accept_partial_bio(bio, sectors) fake_accept_partial(bio, sectors)
/* no cgroup to charge it to */
#define bio_set_dev(bio, bdev) ((void)((bio)->bi_bdev = (bdev)))

/* ---- whoever listens ---- */

void fake_table_event(struct dm_table *t);
int fake_uevent(struct kobject *kobj, char *env[]);
void fake_audit(const char *op, struct dm_target *ti, int result);

#define dm_table_event(t) fake_table_event(t)
#define kobject_uevent_env(kobj, action, env) fake_uevent(kobj, env)
#define dm_audit_log_ti(type, prefix, op, ti, result) \
	fake_audit(op, ti, result)

/* ---- the clock: it goes when a suite moves it ---- */

ktime_t fake_now(void);
void fake_timer_start(struct hrtimer *timer, ktime_t expires);
int fake_timer_cancel(struct hrtimer *timer);

#define ktime_get_boottime() fake_now()
#define hrtimer_start(timer, expires, mode) fake_timer_start(timer, expires)
#define hrtimer_cancel(timer) fake_timer_cancel(timer)

#endif /* KCACHE_KUNIT_SEAMS_H */
