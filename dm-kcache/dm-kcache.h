/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dm-kcache: what the files of the module share.
 *
 *   target.c   the target type: constructor, map, end_io, messages, limits
 *   table.c    the table line, parsed; no allocation, no device
 *   status.c   INFO, TABLE and IMA
 *   key.c      the key cache: one object per (mapped device, description)
 *   keyring.c  key bytes out of the kernel keyring
 *   cipher.c   one key schedule: choice of driver, check value
 *   crypt.c    data units of a bio through a cipher
 *   fan.c      the same for a large bio, on several CPUs
 *   read.c     decryption when the device has answered
 *   write.c    encryption before the device is asked
 *   defer.c    reads that completed where nothing can be decrypted
 *   park.c     bios that wait for the key to come back
 *   bounce.c   the pages that ciphertext is written from
 *   pm.c       hibernation, reboot and kexec
 *   trace.h    tracepoints
 *
 * Two units of length: a "sector" is 512 bytes, as everywhere in the block
 * layer; a "data unit" is what one IV stands for (the table's sector_size, 512
 * to 4096 bytes).
 */
#ifndef DM_KCACHE_H
#define DM_KCACHE_H

#include <asm/simd.h>
#include <crypto/internal/simd.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/crypto.h>
#include <linux/device-mapper.h>
#include <linux/hrtimer.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

#define DM_MSG_PREFIX "kcache"

/* AES-256-XTS: two AES-256 keys, one behind the other. */
#define KCACHE_KEY_SIZE 64

/* ---- table.c ---- */

/* Options without a value. Those of dm-crypt's scheduling have no effect. */
enum kcache_flag {
	KCACHE_ALLOW_DISCARDS,
	KCACHE_SAME_CPU_CRYPT,
	KCACHE_HIGH_PRIORITY,
	KCACHE_SUBMIT_FROM_CRYPT_CPUS,
	KCACHE_NO_READ_WORKQUEUE,
	KCACHE_NO_WRITE_WORKQUEUE,
	KCACHE_IV_LARGE_SECTORS,
	KCACHE_NR_FLAGS,
};

extern const char *const kcache_flag_names[KCACHE_NR_FLAGS];

/* What I/O meets when the lease has run out. */
enum kcache_on_expiry {
	KCACHE_EXPIRY_UNSET,	/* not in the table: fails */
	KCACHE_EXPIRY_FAIL,
	KCACHE_EXPIRY_FREEZE,
};

/**
 * struct kcache_params - a parsed table line
 * @cipher: as it was spelt, to be given back in the table
 * @key_type: "logon", "user", "encrypted" or "trusted"
 * @key_desc: description of the key in the keyring
 * @iv_offset: added to the number of the sector, in sectors
 * @device: path or maj:min
 * @start: first sector of the data on @device
 * @sector_size: bytes of a data unit
 * @flags: bits of enum kcache_flag
 * @lease: seconds, 0 for none
 * @on_expiry: as it stands in the table
 *
 * The strings point into the caller's argv, or are constants.
 */
struct kcache_params {
	const char *cipher;
	const char *key_type;
	const char *key_desc;
	u64 iv_offset;
	const char *device;
	sector_t start;
	unsigned int sector_size;
	unsigned long flags;
	unsigned int lease;
	enum kcache_on_expiry on_expiry;
};

int kcache_parse_table(struct kcache_params *p, sector_t begin, sector_t len,
		       unsigned int argc, char **argv, char **error);
int kcache_parse_key(char *arg, const char **type, const char **desc,
		     char **error);
int kcache_parse_seconds(const char *arg, unsigned int *seconds);

/* ---- keyring.c ---- */

int kcache_keyring_fetch(const char *type, const char *desc,
			 u8 raw[KCACHE_KEY_SIZE]);

/* ---- cipher.c ---- */

struct crypto_skcipher;
struct skcipher_request;

/* Bytes of the check value: one AES block. */
#define KCACHE_CHECK_SIZE 16

/**
 * struct kcache_cipher - one key schedule; never re-keyed
 * @tfm: the transformation; freeing it clears the key schedule
 * @async: @tfm may answer -EINPROGRESS, or wants a large request: only workers
 *	call it, and they hold @users meanwhile. Otherwise it is called under
 *	rcu_read_lock()
 * @users: async: workers inside, and one for the key object that owns this
 * @idle: async: completed with the last of @users
 * @requests: async: requests for @tfm, some in reserve
 * @next: in the list of those that have been taken from their key
 */
struct kcache_cipher {
	struct crypto_skcipher *tfm;
	bool async;
	refcount_t users;
	struct completion idle;
	mempool_t requests;
	struct kcache_cipher *next;
};

struct kcache_cipher *kcache_cipher_new(const u8 raw[KCACHE_KEY_SIZE]);
void kcache_cipher_free(struct kcache_cipher *cipher);
int kcache_cipher_check(struct kcache_cipher *cipher,
			u8 check[KCACHE_CHECK_SIZE]);
const char *kcache_cipher_driver(const struct kcache_cipher *cipher);
bool kcache_cipher_slow(const struct kcache_cipher *cipher);
void kcache_cipher_put(struct kcache_cipher *cipher);

/* ---- key.c ---- */

enum kcache_key_state {
	KCACHE_KEY_VALID,
	KCACHE_KEY_WIPED,
	KCACHE_KEY_EXPIRED,
};

/**
 * struct kcache_key - a cached key: the one place where a volume's DEK lives
 * @cipher: NULL unless @state is valid; changed under @lock, used under
 *	rcu_read_lock()
 * @async: only workers may use the cipher; never changes, so that nobody has to
 *	ask again in the middle of a bio
 * @lock: guards what changes about the key; taken by the timer, so with
 *	interrupts off
 * @state: changed under @lock, read anywhere
 * @deadline: on CLOCK_BOOTTIME, KTIME_MAX for none; under @lock
 * @timer: fires at @deadline, or earlier and then again
 * @dying: ciphers that expired, for @expired to free; under @lock
 * @expired: does what the timer cannot: clears the key schedule, tells the world
 * @node: in the list of all keys; under the list's mutex
 * @targets: who uses it; under the list's mutex
 * @md: the mapped device it belongs to. A key does not outlive the tables that
 *	hold it, and those do not outlive @md
 * @type: type of the key in the keyring
 * @desc: its description
 * @check: tells this key from another without holding it
 * @driver: name of the cipher driver; it stays after a wipe
 */
struct kcache_key {
	struct kcache_cipher __rcu *cipher;
	bool async;
	spinlock_t lock; /* see above */
	enum kcache_key_state state;
	ktime_t deadline;
	struct hrtimer timer;
	struct kcache_cipher *dying;
	struct work_struct expired;
	struct list_head node;
	struct list_head targets;
	struct mapped_device *md;
	char *type;
	char *desc;
	u8 check[KCACHE_CHECK_SIZE];
	char driver[CRYPTO_MAX_ALG_NAME];
};

struct kcache_target;

int kcache_key_get(struct kcache_target *kc, const char *type, const char *desc,
		   char **error);
void kcache_key_put(struct kcache_target *kc);
int kcache_key_set(struct kcache_target *kc, const char *type,
		   const char *desc);
void kcache_key_wipe(struct mapped_device *md);
void kcache_key_wipe_for_good(void);
int kcache_key_renew(struct kcache_target *kc, unsigned int seconds);
void kcache_key_cap(struct kcache_target *kc);
long kcache_key_seconds_left(struct kcache_key *key);
bool kcache_key_any_valid(void);

static inline bool kcache_key_valid(const struct kcache_key *key)
{
	return rcu_access_pointer(key->cipher);
}

/* ---- target.c ---- */

/**
 * struct kcache_stats - counters of one CPU
 * @read_bytes: decrypted
 * @write_bytes: encrypted
 * @inline_ios: done where they were submitted or completed
 * @deferred_ios: handed to another context
 * @fanned_ios: shared among CPUs
 * @errors: failed here: no key, no memory, cipher error
 */
struct kcache_stats {
	u64 read_bytes;
	u64 write_bytes;
	u64 inline_ios;
	u64 deferred_ios;
	u64 fanned_ios;
	u64 errors;
};

/**
 * struct kcache_park - bios that wait for the key
 * @lock: guards the rest; taken in completions, so with interrupts off
 * @bios: they wait
 * @mode: what happens to one that finds no key
 * @work: starts them over when the key is back
 * @kc: the target
 */
struct kcache_park {
	spinlock_t lock; /* see above */
	struct bio_list bios;
	enum kcache_park_mode {
		KCACHE_PARK_FAIL,	/* an I/O error */
		KCACHE_PARK_WAIT,	/* it waits */
		KCACHE_PARK_PUSH_BACK,	/* back to device-mapper: noflush suspend */
	} mode;
	struct work_struct work;
	struct kcache_target *kc;
};

struct kcache_reserve;

/**
 * struct kcache_target - one segment of a table
 * @ti: the target
 * @dev: the device below
 * @start: first sector of the data on @dev
 * @iv_offset: added to the number of the sector
 * @sector_size: bytes of a data unit
 * @iv_shift: the sector number is shifted right by it to become the IV
 * @key: the cached key
 * @stats: per CPU
 * @reserve: bounce pages for when there are no others
 * @park: bios that wait for the key
 * @suspending: from .presuspend to .resume
 * @flags: bits of enum kcache_flag
 * @lease: seconds, 0 for none
 * @on_expiry: as it stands in the table
 * @cipher_name: as it was spelt in the table
 * @node: in @key's list of targets
 */
struct kcache_target {
	struct dm_target *ti;
	struct dm_dev *dev;
	sector_t start;
	u64 iv_offset;
	unsigned int sector_size;
	unsigned int iv_shift;
	struct kcache_key *key;
	struct kcache_stats __percpu *stats;
	struct kcache_reserve *reserve;
	struct kcache_park park;
	bool suspending;
	unsigned long flags;
	unsigned int lease;
	enum kcache_on_expiry on_expiry;
	char *cipher_name;
	struct list_head node;
};

/* What .end_io finds in a bio. */
enum kcache_io_state {
	KCACHE_IO_PASS,		/* nothing of ours: flush, discard */
	KCACHE_IO_READ,		/* to be decrypted */
	KCACHE_IO_WRITE,	/* bounce pages to be given back */
	KCACHE_IO_DONE,		/* second pass: done elsewhere */
};

/* Small writes find their segments in the bio's own data. */
#define KCACHE_INLINE_SEGS 4

/**
 * struct kcache_segs - ciphertext of a write, packed from offset 0
 * @bv: the segments: @inl, or an array allocated for it
 * @nr: how many
 * @reserve: pages and array are from the target's reserve
 * @inl: room for small writes
 */
struct kcache_segs {
	struct bio_vec *bv;
	unsigned int nr;
	bool reserve;
	struct bio_vec inl[KCACHE_INLINE_SEGS];
};

/**
 * struct kcache_io - our data in each bio (device-mapper does not zero it)
 * @kc: the target
 * @state: enum kcache_io_state
 * @iter: what the bio covered when it was mapped: completion consumes the bio's
 *	own. Its bi_sector counts for the IV: from the target's start, plus
 *	iv_offset
 * @llnode: hand-off in a batch
 * @work: hand-off alone
 * @segs: writes: the bounce pages
 */
struct kcache_io {
	struct kcache_target *kc;
	enum kcache_io_state state;
	struct bvec_iter iter;
	union {
		struct llist_node llnode;
		struct work_struct work;
	};
	struct kcache_segs segs;
};

static inline struct kcache_io *kcache_bio_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct kcache_io));
}

static inline struct bio *kcache_io_bio(struct kcache_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(struct kcache_io));
}

/* Where the bio's data is on the device. */
static inline sector_t kcache_io_sector(const struct kcache_io *io)
{
	return io->kc->start + (io->iter.bi_sector - io->kc->iv_offset);
}

/* ---- crypt.c ---- */

/**
 * struct kcache_range - data to encrypt or decrypt
 * @bio: source
 * @iter: what of it; bi_sector counts for the IV
 * @dst: packed segments to write to, or NULL for in place
 * @dst_iter: what of them
 * @encrypt: or decrypt
 */
struct kcache_range {
	struct bio *bio;
	struct bvec_iter iter;
	const struct bio_vec *dst;
	struct bvec_iter dst_iter;
	bool encrypt;
};

/* Larger bios are not decrypted in softirq, where others wait for us. */
#define KCACHE_SOFTIRQ_BYTES (32 * 1024)

/**
 * kcache_can_crypt_here() - may a bio be encrypted or decrypted by the caller?
 * @key: the key it is for
 * @bytes: size of the bio
 *
 * Drivers use the FPU without asking, and the crypto API must not be called in
 * hard interrupts.
 *
 * Context: Any.
 * Return: true, or false if it has to be handed to somebody else.
 */
static inline bool kcache_can_crypt_here(const struct kcache_key *key,
					 unsigned int bytes)
{
	if (unlikely(key->async || in_hardirq() || irqs_disabled()))
		return false;
	if (in_serving_softirq() && bytes > KCACHE_SOFTIRQ_BYTES)
		return false;
	return crypto_simd_usable();
}

/**
 * kcache_io_range() - all of a bio
 * @io: our data of the bio; of a write, with its bounce pages
 * @bio: the bio
 * @range: filled
 *
 * Context: Any.
 */
static inline void kcache_io_range(struct kcache_io *io, struct bio *bio,
				   struct kcache_range *range)
{
	range->bio = bio;
	range->iter = io->iter;
	range->encrypt = op_is_write(bio_op(bio));
	range->dst = range->encrypt ? io->segs.bv : NULL;
	range->dst_iter = (struct bvec_iter) { .bi_size = io->iter.bi_size };
}

int kcache_crypt_range(struct kcache_target *kc, struct kcache_range *range,
		       bool worker);
int kcache_crypt(struct kcache_io *io, struct bio *bio, bool worker);
blk_status_t kcache_fail(struct kcache_io *io, struct bio *bio, int r);

/**
 * kcache_account() - count a bio that is through, one way or the other
 * @io: our data of the bio
 * @bio: the bio
 * @r: what came of it
 *
 * Context: Any.
 * Return: @r as the block layer knows it.
 */
static inline blk_status_t kcache_account(struct kcache_io *io,
					  struct bio *bio, int r)
{
	if (unlikely(r))
		return kcache_fail(io, bio, r);
	if (op_is_write(bio_op(bio)))
		this_cpu_add(io->kc->stats->write_bytes, io->iter.bi_size);
	else
		this_cpu_add(io->kc->stats->read_bytes, io->iter.bi_size);
	return BLK_STS_OK;
}

/* ---- fan.c ---- */

/* Receives a bio that is through; @worker: from a worker that must not wait. */
typedef void (*kcache_fan_done)(struct kcache_io *io, struct bio *bio, int r,
				bool worker);

bool kcache_fan_out(struct kcache_io *io, struct bio *bio,
		    kcache_fan_done done);

/*
 * From here on the computation is long enough, some 20 us with AES-NI, to be
 * worth waking another CPU for.
 */
#define KCACHE_FAN_BYTES (128 * 1024)

/**
 * kcache_fan_wanted() - is a bio worth dividing?
 * @io: our data of the bio
 *
 * Context: Any.
 * Return: true if it is large and there is another CPU.
 */
static inline bool kcache_fan_wanted(const struct kcache_io *io)
{
	return unlikely(io->iter.bi_size >= KCACHE_FAN_BYTES) &&
	       num_online_cpus() > 1;
}

int kcache_fan_init(void);
void kcache_fan_exit(void);

/* ---- read.c ---- */

int kcache_map_read(struct kcache_io *io, struct bio *bio);
int kcache_end_read(struct kcache_io *io, struct bio *bio, blk_status_t *error);
void kcache_finish_read(struct kcache_io *io, struct bio *bio, int r,
			bool worker);

/* ---- defer.c ---- */

void kcache_defer_batch(struct kcache_io *io);
void kcache_defer_alone(struct kcache_io *io, work_func_t fn);
int kcache_defer_init(void);
void kcache_defer_exit(void);

/* ---- write.c ---- */

int kcache_map_write(struct kcache_io *io, struct bio *bio);
void kcache_start_write(struct kcache_io *io);

/* ---- park.c ---- */

void kcache_park_init(struct kcache_target *kc);
int kcache_park_map(struct kcache_io *io, struct bio *bio);
bool kcache_park_end(struct kcache_io *io, struct bio *bio);
void kcache_park_release(struct kcache_target *kc);
void kcache_park_fail(struct kcache_target *kc);
void kcache_park_suspend(struct kcache_target *kc);
void kcache_park_resume(struct kcache_target *kc);
void kcache_park_never_again(void);

/* ---- bounce.c ---- */

/* The largest write, in bytes, that a reserve can always carry. */
#define KCACHE_RESERVE_BYTES (BIO_MAX_VECS << PAGE_SHIFT)

/**
 * struct kcache_reserve - what a target's writes can always get hold of
 * @pages: KCACHE_RESERVE_BYTES of pages: one write of the largest size
 * @arrays: the segment array that goes with it
 * @lock: only one worker at a time collects pages: two that each held half of
 *	@pages would wait for one another forever
 * @wq: runs those workers. One queue a target: they wait for pages that only
 *	this target's own writes give back, and in a stack of targets a shared
 *	queue could be full of workers that wait for the layer below
 */
struct kcache_reserve {
	mempool_t pages;
	mempool_t arrays;
	struct mutex lock; /* see above */
	struct workqueue_struct *wq;
};

struct kcache_reserve *kcache_reserve_create(const char *device);
void kcache_reserve_destroy(struct kcache_reserve *reserve);
bool kcache_bounce_try(struct kcache_segs *segs, unsigned int bytes);
void kcache_bounce_wait(struct kcache_reserve *reserve,
			struct kcache_segs *segs, unsigned int bytes);
void kcache_bounce_free(struct kcache_reserve *reserve,
			struct kcache_segs *segs);
int kcache_bounce_init(void);
void kcache_bounce_exit(void);

/* ---- pm.c ---- */

int kcache_pm_init(void);
void kcache_pm_exit(void);

/* ---- status.c ---- */

void kcache_status(struct dm_target *ti, status_type_t type,
		   unsigned int status_flags, char *result,
		   unsigned int maxlen);
const char *kcache_key_state_name(enum kcache_key_state state);

#endif /* DM_KCACHE_H */
