/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the supported kernels, force-included into
 * each file of the module (Kbuild). The .c files hold no version test.
 *
 * What can be probed is probed (KCACHE_HAVE_..., from Kbuild), because vendors
 * move features between versions; a version is named only where nothing can be
 * probed.
 */
#ifndef KCACHE_COMPAT_H
#define KCACHE_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "dm-kcache needs Linux 6.1 or later"
#endif

/* crypto_memneq() got a header of its own in 6.4; it was in algapi.h before. */
#ifdef KCACHE_HAVE_CRYPTO_UTILS_H
#include <crypto/utils.h>
#else
#include <crypto/algapi.h>
#endif

/*
 * Kernels that initialise every variable on the stack would clear half a KiB of
 * request buffer for each bio; it is filled by those who use it.
 */
#if defined(__has_attribute)
#if __has_attribute(__uninitialized__)
#define kcache_uninitialized __attribute__((__uninitialized__))
#endif
#endif
#ifndef kcache_uninitialized
#define kcache_uninitialized
#endif

/* hrtimer_setup() took the place of hrtimer_init() in 6.15. */
#ifndef KCACHE_HAVE_HRTIMER_SETUP
#include <linux/hrtimer.h>
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

/*
 * Work in softirq: a workqueue that runs there since 6.9, a tasklet before. A
 * static one per CPU, never part of a bio: the softirq looks at a tasklet once
 * more after its function has returned.
 */
#ifdef KCACHE_HAVE_WQ_BH
#include <linux/workqueue.h>
#define kcache_bh_core work_struct
#define kcache_core_init(core) INIT_WORK(core, kcache_bh_run)
#define kcache_core_kick(core) queue_work(system_bh_highpri_wq, core)
#define kcache_core_kill(core) cancel_work_sync(core)
#else
#include <linux/interrupt.h>
#define kcache_bh_core tasklet_struct
#define kcache_core_init(core) tasklet_setup(core, kcache_bh_run)
#define kcache_core_kick(core) tasklet_hi_schedule(core)
#define kcache_core_kill(core) tasklet_kill(core)
#endif

struct kcache_bh {
	struct kcache_bh_core core;
	void (*fn)(struct kcache_bh *bh);
};

static inline void kcache_bh_run(struct kcache_bh_core *core)
{
	struct kcache_bh *bh = container_of(core, struct kcache_bh, core);

	bh->fn(bh);
}

static inline void kcache_bh_init(struct kcache_bh *bh,
				  void (*fn)(struct kcache_bh *bh))
{
	bh->fn = fn;
	kcache_core_init(&bh->core);
}

static inline void kcache_bh_kick(struct kcache_bh *bh)
{
	kcache_core_kick(&bh->core);
}

static inline void kcache_bh_kill(struct kcache_bh *bh)
{
	kcache_core_kill(&bh->core);
}

/* Bound to a CPU: said in words since 6.17, meant by default before. */
#ifdef KCACHE_HAVE_WQ_PERCPU
#define KCACHE_WQ_PERCPU WQ_PERCPU
#else
#define KCACHE_WQ_PERCPU 0
#endif

/* Shrinkers are allocated, and then registered, since 6.7. */
#include <linux/shrinker.h>
#ifdef KCACHE_HAVE_SHRINKER_ALLOC
#define kcache_shrinker_alloc(name) shrinker_alloc(0, name)
#define kcache_shrinker_enable(s, name) (shrinker_register(s), 0)
#define kcache_shrinker_free(s) shrinker_free(s)
#define kcache_shrinker_disable(s) do { } while (0)
#else
#include <linux/slab.h>
#define kcache_shrinker_alloc(name) \
	kzalloc(sizeof(struct shrinker), GFP_KERNEL)
#define kcache_shrinker_enable(s, name) register_shrinker(s, name)
#define kcache_shrinker_free(s) kfree(s)
#define kcache_shrinker_disable(s) unregister_shrinker(s)
#endif

static inline struct shrinker *
kcache_shrinker_register(unsigned long (*count)(struct shrinker *,
						struct shrink_control *),
			 unsigned long (*scan)(struct shrinker *,
					       struct shrink_control *))
{
	struct shrinker *s = kcache_shrinker_alloc("dm-kcache");

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = DEFAULT_SEEKS;
	if (kcache_shrinker_enable(s, "dm-kcache")) {
		kcache_shrinker_free(s);
		return NULL;
	}
	return s;
}

static inline void kcache_shrinker_unregister(struct shrinker *s)
{
	kcache_shrinker_disable(s);
	kcache_shrinker_free(s);
}

/* Writes that are all or nothing: a feature of targets since 6.15 or so. */
#include <linux/blkdev.h>
#ifdef KCACHE_HAVE_DM_ATOMIC
#define KCACHE_ATOMIC_WRITES DM_TARGET_ATOMIC_WRITES
static inline void kcache_limit_atomic(struct queue_limits *limits,
				       unsigned int bytes)
{
	limits->atomic_write_hw_max = min(limits->atomic_write_hw_max, bytes);
	limits->atomic_write_hw_unit_max =
		min(limits->atomic_write_hw_unit_max, bytes);
}
#else
#define KCACHE_ATOMIC_WRITES 0
static inline void kcache_limit_atomic(struct queue_limits *limits,
				       unsigned int bytes)
{
}
#endif

/* What 7.x remembers of gaps between a bio's segments; ours have none. */
static inline void kcache_bio_new_segs(struct bio *bio)
{
#ifdef KCACHE_HAVE_BVEC_GAP_BIT
	bio->bi_bvec_gap_bit = 0;
#endif
}

/*
 * drivers/md/dm-audit.h is private to the kernel's tree, the function behind it
 * is exported. Its prototype has not changed since it came with 5.16.
 */
#include <linux/audit.h>

struct dm_target;

#if IS_ENABLED(CONFIG_DM_AUDIT)
void dm_audit_log_ti(int audit_type, const char *dm_msg_prefix, const char *op,
		     struct dm_target *ti, int result);
#else
static inline void dm_audit_log_ti(int audit_type, const char *dm_msg_prefix,
				   const char *op, struct dm_target *ti,
				   int result)
{
}
#endif

#endif /* KCACHE_COMPAT_H */
