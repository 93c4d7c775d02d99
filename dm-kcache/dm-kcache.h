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
 *   read.c     decryption when the device has answered
 *   write.c    encryption before the device is asked
 *   bounce.c   the pages that ciphertext is written from
 *
 * Two units of length: a "sector" is 512 bytes, as everywhere in the block
 * layer; a "data unit" is what one IV stands for (the table's sector_size, 512
 * to 4096 bytes).
 */
#ifndef DM_KCACHE_H
#define DM_KCACHE_H

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/crypto.h>
#include <linux/device-mapper.h>
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
};

int kcache_parse_table(struct kcache_params *p, sector_t begin, sector_t len,
		       unsigned int argc, char **argv, char **error);
int kcache_parse_key(char *arg, const char **type, const char **desc,
		     char **error);

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
 * @next: in the list of those that a wipe is about to free
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
void kcache_cipher_put(struct kcache_cipher *cipher);

/* ---- key.c ---- */

enum kcache_key_state {
	KCACHE_KEY_VALID,
	KCACHE_KEY_WIPED,
};

/**
 * struct kcache_key - a cached key: the one place where a volume's DEK lives
 * @node: in the list of all keys
 * @refs: tables that use it; under the list's mutex
 * @md: the mapped device it belongs to. A key does not outlive the tables that
 *	hold it, and those do not outlive @md
 * @type: type of the key in the keyring
 * @desc: its description
 * @state: changed under the list's mutex, read anywhere
 * @cipher: NULL unless @state is valid; changed under the list's mutex, used
 *	under rcu_read_lock()
 * @async: only workers may use the cipher; never changes, so that nobody has to
 *	ask again in the middle of a bio
 * @check: tells this key from another without holding it
 * @driver: name of the cipher driver; it stays after a wipe
 */
struct kcache_key {
	struct list_head node;
	unsigned int refs;
	struct mapped_device *md;
	char *type;
	char *desc;
	enum kcache_key_state state;
	struct kcache_cipher __rcu *cipher;
	bool async;
	u8 check[KCACHE_CHECK_SIZE];
	char driver[CRYPTO_MAX_ALG_NAME];
};

struct kcache_key *kcache_key_get(struct mapped_device *md, const char *type,
				  const char *desc, char **error);
void kcache_key_put(struct kcache_key *key);
int kcache_key_set(struct kcache_key *key, const char *type, const char *desc);
unsigned int kcache_key_wipe(struct mapped_device *md);

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
 * @deferred_ios: handed to a worker
 * @errors: failed here: no key, no memory, cipher error
 */
struct kcache_stats {
	u64 read_bytes;
	u64 write_bytes;
	u64 inline_ios;
	u64 deferred_ios;
	u64 errors;
};

struct kcache_bounce;

/**
 * struct kcache_target - one segment of a table
 * @ti: the target
 * @dev: the device below
 * @start: first sector of the data on @dev
 * @iv_offset: added to the number of the sector
 * @sector_size: bytes of a data unit
 * @iv_shift: the sector number is shifted right by it to become the IV
 * @flags: bits of enum kcache_flag
 * @cipher_name: as it was spelt in the table
 * @key: the cached key
 * @stats: per CPU
 * @bounce: where writes take their pages from
 */
struct kcache_target {
	struct dm_target *ti;
	struct dm_dev *dev;
	sector_t start;
	u64 iv_offset;
	unsigned int sector_size;
	unsigned int iv_shift;
	unsigned long flags;
	char *cipher_name;
	struct kcache_key *key;
	struct kcache_stats __percpu *stats;
	struct kcache_bounce *bounce;
};

/* What .end_io finds in a bio. */
enum kcache_io_state {
	KCACHE_IO_PASS,		/* nothing of ours: flush, discard */
	KCACHE_IO_READ,		/* to be decrypted */
	KCACHE_IO_WRITE,	/* bounce pages to be given back */
	KCACHE_IO_DONE,		/* second pass: a worker has done it */
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
 * @work: hand-off to a worker
 * @segs: writes: the bounce pages
 */
struct kcache_io {
	struct kcache_target *kc;
	enum kcache_io_state state;
	struct bvec_iter iter;
	struct work_struct work;
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

/* ---- crypt.c ---- */

bool kcache_can_crypt_here(const struct kcache_key *key, unsigned int bytes);
blk_status_t kcache_crypt(struct kcache_io *io, struct bio *bio, bool worker);

/* ---- read.c ---- */

int kcache_map_read(struct kcache_io *io, struct bio *bio);
int kcache_end_read(struct kcache_io *io, struct bio *bio, blk_status_t *error);
int kcache_read_init(void);
void kcache_read_exit(void);

/* ---- write.c ---- */

int kcache_map_write(struct kcache_io *io, struct bio *bio);

/* ---- bounce.c ---- */

/* The largest write, in bytes, that the reserve can always carry. */
#define KCACHE_RESERVE_BYTES (BIO_MAX_VECS << PAGE_SHIFT)

/**
 * struct kcache_bounce - a target's reserve, and its workers that wait for it
 * @pages: KCACHE_RESERVE_BYTES of pages: one write of the largest size
 * @arrays: the segment array that goes with it
 * @lock: only one worker at a time collects pages: two that each held half of
 *	@pages would wait for one another forever
 * @wq: runs those workers. One queue a target: they wait for pages that only
 *	this target's own writes give back, and in a stack of targets a shared
 *	queue could be full of workers that wait for the layer below
 */
struct kcache_bounce {
	mempool_t pages;
	mempool_t arrays;
	struct mutex lock; /* see above */
	struct workqueue_struct *wq;
};

struct kcache_bounce *kcache_bounce_create(const char *device);
void kcache_bounce_destroy(struct kcache_bounce *bounce);
bool kcache_bounce_try(struct kcache_segs *segs, unsigned int bytes);
void kcache_bounce_wait(struct kcache_bounce *bounce, struct kcache_segs *segs,
			unsigned int bytes);
void kcache_bounce_free(struct kcache_bounce *bounce, struct kcache_segs *segs);

/* ---- status.c ---- */

void kcache_status(struct dm_target *ti, status_type_t type,
		   unsigned int status_flags, char *result,
		   unsigned int maxlen);

#endif /* DM_KCACHE_H */
