/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: a mapped device that is none, a target made by the
 * module's own constructor, a disk in memory, bios, a clock, a keyring of the
 * test's own, and a reference that encrypts one data unit at a time.
 *
 * Their .suite_init is rig_begin(), which sets the module up before the first.
 * One test runs at a time, so there is one rig. Its .init and .exit are
 * rig_init() and rig_exit(); the latter takes apart what a test left behind, also
 * one that was aborted, and fails the test if a cipher, a key object or a timer
 * is left then.
 */
#ifndef KCACHE_KUNIT_FAKE_H
#define KCACHE_KUNIT_FAKE_H

#include <kunit/test.h>
#include <linux/prandom.h>

#include "dm-kcache/dm-kcache.h"

/* ---- suites, in the order of the plan ---- */

extern struct kunit_suite kcache_table_suite;
extern struct kunit_suite kcache_cipher_suite;
extern struct kunit_suite kcache_iv_suite;
extern struct kunit_suite kcache_crypt_suite;
extern struct kunit_suite kcache_layout_suite;
extern struct kunit_suite kcache_key_suite;
extern struct kunit_suite kcache_lease_suite;
extern struct kunit_suite kcache_bounce_suite;
extern struct kunit_suite kcache_defer_suite;
extern struct kunit_suite kcache_fan_suite;
extern struct kunit_suite kcache_park_suite;
extern struct kunit_suite kcache_status_suite;
extern struct kunit_suite kcache_target_suite;

/* ---- the rig ---- */

/**
 * struct fake_md - a mapped device, and its table
 * @disk: what dm_disk() gives; only its numbers and part0 are there
 * @part0: what a uevent is sent to
 * @name: what dm_device_name() gives
 * @table_events: dm_table_event()
 * @uevents: kobject_uevent_env()
 * @audits: dm_audit_log_ti()
 * @uevent: the last one's word
 * @audit: the last one's op
 * @audit_result: and its result
 * @node: in the rig's list
 */
struct fake_md {
	struct gendisk disk;
	struct block_device part0;
	char name[32];
	unsigned int table_events;
	unsigned int uevents;
	unsigned int audits;
	char uevent[32];
	char audit[24];
	int audit_result;
	struct list_head node;
};

/* Sectors of the disk in memory, and where a target's data begins there. */
#define RIG_SECTORS 4096
#define RIG_START 64

/**
 * struct rig - what a test stands on
 * @test: the test
 * @mds: mapped devices
 * @targets: struct rig_target
 * @bios: struct fake_bio
 * @ring: keyring of this thread
 * @below: the block device below
 * @queue: its queue: limits only
 * @disk: what lies on it
 * @noflush: dm_noflush_suspending()
 * @hold: the device does not answer: bios wait on @held
 * @irqs_off: the device answers with interrupts off
 * @device_error: the device's answer
 * @lock: guards @held and @submitted
 * @held: see @hold
 * @submitted: bios that the device got
 * @cipher: name of the algorithm to take instead of what cipher.c chooses
 * @cipher_error: what allocating a cipher returns, or 0
 * @ciphers: transformations there are
 * @objects: key objects there are
 * @fail_alloc: the allocation that fails in key.c, 1 for the next; 0 for none
 * @reference: see reference_crypt()
 * @reference_key: the key that @reference has
 * @rnd: see rig_random()
 */
struct rig {
	struct kunit *test;
	struct list_head mds;
	struct list_head targets;
	struct list_head bios;
	struct key *ring;
	struct block_device *below;
	struct request_queue *queue;
	u8 *disk;
	bool noflush;
	bool hold;
	bool irqs_off;
	blk_status_t device_error;
	spinlock_t lock; /* see above */
	struct bio_list held;
	unsigned int submitted;
	const char *cipher;
	int cipher_error;
	atomic_t ciphers;
	atomic_t objects;
	int fail_alloc;
	struct crypto_skcipher *reference;
	const u8 *reference_key;
	struct rnd_state rnd;
};

extern struct rig rig;
/* captured when the module registered it */
extern struct target_type *fake_target_type;

int rig_begin(struct kunit_suite *suite);
int rig_init(struct kunit *test);
void rig_exit(struct kunit *test);

struct fake_md *rig_md(const char *name);

static inline struct mapped_device *md_of(struct fake_md *md)
{
	return (struct mapped_device *)md;
}

/* ---- keys ---- */

/* Two DEKs that are not each other's. */
extern const u8 rig_dek[KCACHE_KEY_SIZE];
extern const u8 rig_other_dek[KCACHE_KEY_SIZE];

struct key *rig_key(const char *type, const char *desc, const void *payload,
		    size_t len);
void rig_forget(struct key *key);
struct key *rig_take_keyring(bool process);
void rig_second_keyring(void);

/* ---- targets ---- */

/* Room for the longest table line of a suite. */
#define RIG_LINE 256

int rig_try(struct fake_md *md, const char *line, struct kcache_target **kc,
	    char **error);
struct kcache_target *rig_target(struct fake_md *md, const char *line);
void rig_drop(struct kcache_target *kc);
void rig_drop_all(void);
void rig_fail_parked(void);
u64 rig_errors(struct kcache_target *kc);
int rig_split(char *line, char **argv, unsigned int max);

/* A target with the usual key. */
#define RIG_LINE_PLAIN "aes-xts-plain64 :64:logon:kc:dek 0 /dev/disk 64"

struct kcache_target *rig_plain(const char *options);

/* ---- bios ---- */

/**
 * struct fake_bio - device-mapper's clone of a bio
 * @ti: the target
 * @done: the bio has ended
 * @status: how
 * @ended: how often
 * @sent: .map has seen it
 * @mapped: what .map said
 * @accepted: sectors taken by dm_accept_partial_bio(), 0 for all
 * @polled: it was polled when the device got it
 * @node: in the rig's list
 * @buf: pages of its own, where rig_bio() made them
 * @bv: segments
 * @io: our data, right in front of @bio
 * @bio: the clone
 */
struct fake_bio {
	struct dm_target *ti;
	struct completion done;
	blk_status_t status;
	atomic_t ended;
	bool sent;
	int mapped;
	unsigned int accepted;
	bool polled;
	struct list_head node;
	u8 *buf;
	struct bio_vec *bv;
	struct kcache_io io;
	struct bio bio;
};

static_assert(offsetof(struct fake_bio, bio) ==
	      offsetof(struct fake_bio, io) + sizeof(struct kcache_io));

struct fake_bio *rig_bio(struct kcache_target *kc, blk_opf_t opf,
			 sector_t sector, unsigned int bytes);
void rig_set_segments(struct fake_bio *fb, struct bio_vec *bv, unsigned int n);
void rig_map(struct fake_bio *fb);
blk_status_t rig_wait(struct fake_bio *fb);
blk_status_t rig_do(struct fake_bio *fb);
void rig_answer(void);
void rig_wait_all(void);
void rig_free_bios(void);

/* ---- the clock ---- */

void clock_reset(void);
void clock_advance(u64 ns);
void clock_fire_early(struct hrtimer *timer);
bool clock_armed(struct hrtimer *timer);
ktime_t clock_expires(struct hrtimer *timer);
unsigned int clock_timers(void);

#define SECONDS(n) ((u64)(n) * NSEC_PER_SEC)

/* ---- the reference ---- */

void reference_crypt(const u8 *key, u64 iv, u8 *unit, unsigned int bytes,
		     bool encrypt);
void rig_random(void *buf, size_t bytes);
u32 rig_below(u32 limit);

/* ---- layouts: layout.c ---- */

/* Memory that a layout's segments lie in; contiguous, as a folio would be. */
#define LAYOUT_ORDER 9
#define LAYOUT_BYTES (PAGE_SIZE << LAYOUT_ORDER)
#define LAYOUT_SEGS 512

/**
 * struct layout - a bio over random segments, and what is to come of it
 * @fb: the bio
 * @pool: memory that the segments lie in
 * @before: copy of @pool
 * @linear: the bio's data, then what the reference makes of it
 * @bv: segments: lengths and offsets are multiples of 512, with and without gaps
 * @nr: how many
 * @bytes: of them
 * @sector: counts for the IV
 * @encrypt: or decrypt
 */
struct layout {
	struct fake_bio *fb;
	u8 *pool;
	u8 *before;
	u8 *linear;
	struct bio_vec bv[LAYOUT_SEGS];
	unsigned int nr;
	unsigned int bytes;
	u64 sector;
	bool encrypt;
};

struct layout *layout_new(struct kunit *test);
void layout_make(struct layout *l, struct kcache_target *kc, unsigned int bytes,
		 bool encrypt);
void layout_reference(struct layout *l, struct kcache_target *kc);
bool layout_in_place(struct layout *l);
bool layout_packed(struct layout *l, const struct kcache_segs *segs);

/* ---- from the suites that include a source ---- */

unsigned int kunit_key_objects(void);
int kunit_target_init(void);
void kunit_target_exit(void);

#endif /* KCACHE_KUNIT_FAKE_H */
