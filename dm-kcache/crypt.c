// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data units of a bio, through a cipher.
 *
 * Source is what the bio covered when it was mapped, in segments of any length
 * and offset; destination is the same place for a read and packed bounce pages
 * for a write. One request of the crypto API stands for one data unit: that API
 * has no other way to say that an IV goes with it.
 *
 * Locking: none but rcu_read_lock(), taken anew for every KCACHE_CHUNK bytes,
 * so that a wipe waits microseconds and takes effect in the middle of a large
 * bio. Nothing here sleeps unless it was called as a worker: completions run
 * in softirq, or in a task that polls under a lock.
 */
#include <crypto/skcipher.h>
#include <linux/scatterlist.h>

#include "dm-kcache.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Bytes between two looks at the key. A multiple of every data unit. */
#define KCACHE_CHUNK (16 * 1024)

/*
 * Segments that one data unit may be scattered over. Block devices take buffers
 * in multiples of 512 bytes from user space, so 8 would do for a unit of 4096;
 * users inside the kernel owe us no alignment.
 */
#define KCACHE_UNIT_FRAGS 16

/**
 * struct kcache_conv - a range on its way through the cipher
 * @range: how far it has come
 * @kc: the target
 * @req: request on the tfm of the current chunk
 * @wait: completion of an asynchronous @req, or NULL
 */
struct kcache_conv {
	struct kcache_range *range;
	struct kcache_target *kc;
	struct skcipher_request *req;
	struct crypto_wait *wait;
};

/*
 * @bytes, a multiple of the data unit, from one segment into one segment: what
 * differs from one unit to the next is two offsets and the IV.
 */
static __always_inline int crypt_run(struct kcache_conv *cv,
				     struct scatterlist *src,
				     struct scatterlist *dst,
				     unsigned int bytes)
{
	struct skcipher_request *req = cv->req;
	struct kcache_target *kc = cv->kc;
	unsigned int unit = kc->sector_size;
	u64 sector = cv->range->iter.bi_sector;
	bool encrypt = cv->range->encrypt;
	__le64 iv[2];
	int r;

	skcipher_request_set_crypt(req, src, dst, unit, iv);
	for (;;) {
		/* drivers leave the last tweak in it */
		iv[0] = cpu_to_le64(sector >> kc->iv_shift);
		iv[1] = 0;
		r = encrypt ? crypto_skcipher_encrypt(req) :
			      crypto_skcipher_decrypt(req);
		if (unlikely(cv->wait))
			r = crypto_wait_req(r, cv->wait);
		bytes -= unit;
		if (unlikely(r) || !bytes)
			return r;
		sector += unit >> SECTOR_SHIFT;
		src->offset += unit;
		if (dst != src)
			dst->offset += unit;
	}
}

/* A data unit that lies in several segments. Apart, for the sake of the stack. */
static noinline int crypt_scattered_unit(struct kcache_conv *cv,
					 struct scatterlist *dst)
{
	struct kcache_range *range = cv->range;
	struct scatterlist src[KCACHE_UNIT_FRAGS];
	unsigned int unit = cv->kc->sector_size, left = unit, n = 0;
	struct bvec_iter iter = range->iter;
	struct bio_vec bv;
	int r;

	sg_init_table(src, KCACHE_UNIT_FRAGS);
	while (left) {
		if (n == KCACHE_UNIT_FRAGS)
			return -EIO;
		bv = bio_iter_iovec(range->bio, iter);
		bv.bv_len = min(bv.bv_len, left);
		sg_set_page(&src[n++], bv.bv_page, bv.bv_len, bv.bv_offset);
		bio_advance_iter_single(range->bio, &iter, bv.bv_len);
		left -= bv.bv_len;
	}
	sg_mark_end(&src[n - 1]);

	r = crypt_run(cv, src, dst ?: src, unit);
	range->iter = iter;
	return r;
}

/* At most KCACHE_CHUNK bytes, with the cipher that cv->req was made for. */
static __always_inline int crypt_chunk(struct kcache_conv *cv)
{
	struct kcache_range *range = cv->range;
	unsigned int unit = cv->kc->sector_size;
	unsigned int budget = min_t(unsigned int, range->iter.bi_size,
				    KCACHE_CHUNK);
	struct scatterlist src = { }, dst = { };
	struct bio_vec bv, to;
	unsigned int run;
	int r;

	sg_mark_end(&src);
	sg_mark_end(&dst);
	do {
		bv = bio_iter_iovec(range->bio, range->iter);
		run = min(round_down(bv.bv_len, unit), budget);
		if (range->dst) {
			/* packed from offset 0: no unit crosses a page here */
			to = bvec_iter_bvec(range->dst, range->dst_iter);
			sg_set_page(&dst, to.bv_page, unit, to.bv_offset);
			run = min(run, to.bv_len);
		}
		if (likely(run)) {
			sg_set_page(&src, bv.bv_page, unit, bv.bv_offset);
			r = crypt_run(cv, &src, range->dst ? &dst : &src, run);
			bio_advance_iter_single(range->bio, &range->iter, run);
		} else {
			run = unit;
			r = crypt_scattered_unit(cv, range->dst ? &dst : NULL);
		}
		if (range->dst)
			bvec_iter_advance_single(range->dst, &range->dst_iter,
						 run);
		budget -= run;
	} while (likely(!r) && budget);
	return r;
}

/* Under RCU: no sleeping, and a cipher that answers at once. */
static __always_inline int crypt_sync(struct kcache_conv *cv, bool worker)
{
	char buf[sizeof(struct skcipher_request) + MAX_SYNC_SKCIPHER_REQSIZE]
		CRYPTO_MINALIGN_ATTR kcache_uninitialized;
	struct kcache_cipher *cipher;
	int r;

	cv->req = (struct skcipher_request *)buf;
	skcipher_request_set_callback(cv->req, 0, NULL, NULL);
	do {
		rcu_read_lock();
		cipher = rcu_dereference(cv->kc->key->cipher);
		if (likely(cipher)) {
			skcipher_request_set_tfm(cv->req, cipher->tfm);
			r = crypt_chunk(cv);
		} else {
			r = -ENOKEY;
		}
		rcu_read_unlock();
		if (worker)
			cond_resched();
	} while (!r && cv->range->iter.bi_size);
	return r;
}

/* A wipe may have been undone with another driver. */
static noinline int crypt_sync_worker(struct kcache_conv *cv)
{
	return crypt_sync(cv, true);
}

/* In a worker, which may wait for the hardware; a wipe waits for it then. */
static noinline int crypt_async(struct kcache_conv *cv)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct kcache_cipher *cipher;
	bool async;
	int r;

	do {
		rcu_read_lock();
		cipher = rcu_dereference(cv->kc->key->cipher);
		/* a cipher that we have no reference to may be gone afterwards */
		async = cipher && cipher->async;
		if (async)
			refcount_inc(&cipher->users);
		rcu_read_unlock();
		if (!cipher)
			return -ENOKEY;
		if (!async) {
			cv->wait = NULL;
			return crypt_sync_worker(cv);
		}

		cv->wait = &wait;
		cv->req = mempool_alloc(&cipher->requests, GFP_NOIO);
		skcipher_request_set_tfm(cv->req, cipher->tfm);
		skcipher_request_set_callback(cv->req,
					      CRYPTO_TFM_REQ_MAY_BACKLOG,
					      crypto_req_done, &wait);
		r = crypt_chunk(cv);
		mempool_free(cv->req, &cipher->requests);
		kcache_cipher_put(cipher);
	} while (!r && cv->range->iter.bi_size);
	return r;
}

static __always_inline int crypt_range(struct kcache_target *kc,
				       struct kcache_range *range, bool worker)
{
	struct kcache_conv cv = {
		.range = range,
		.kc = kc,
	};
	unsigned int bytes = range->iter.bi_size;
	int r;

	if (worker && kc->key->async)
		r = crypt_async(&cv);
	else
		r = crypt_sync(&cv, worker);
	trace_kcache_io_crypt(kc, range, bytes, worker, r);
	return r;
}

/**
 * kcache_crypt_range() - encrypt or decrypt a range
 * @kc: the target
 * @range: consumed
 * @worker: called by a worker, which may sleep; otherwise
 *	kcache_can_crypt_here() has said yes
 *
 * Context: Any, as above.
 * Return: 0; -ENOKEY if there is no key, or no longer; what the cipher says.
 */
int kcache_crypt_range(struct kcache_target *kc, struct kcache_range *range,
		       bool worker)
{
	return crypt_range(kc, range, worker);
}

/**
 * kcache_crypt() - encrypt or decrypt what a bio covered when it was mapped
 * @io: our data of the bio; of a write, with its bounce pages
 * @bio: the bio
 * @worker: as for kcache_crypt_range()
 *
 * Context: Any, as for kcache_crypt_range().
 * Return: as kcache_crypt_range().
 */
int kcache_crypt(struct kcache_io *io, struct bio *bio, bool worker)
{
	struct kcache_range range kcache_uninitialized;

	kcache_io_range(io, bio, &range);
	return crypt_range(io->kc, &range, worker);
}

/**
 * kcache_fail() - count and log a bio that failed here
 * @io: our data of the bio
 * @bio: the bio
 * @r: why
 *
 * Context: Any.
 * Return: @r as the block layer knows it.
 */
blk_status_t kcache_fail(struct kcache_io *io, struct bio *bio, int r)
{
	struct kcache_target *kc = io->kc;

	this_cpu_inc(kc->stats->errors);
	DMERR_LIMIT("%s: %s of %u bytes at sector %llu failed: %s (%d)",
		    dm_device_name(kc->key->md),
		    op_is_write(bio_op(bio)) ? "write" : "read",
		    io->iter.bi_size,
		    kc->ti->begin + (u64)(io->iter.bi_sector - kc->iv_offset),
		    r == -ENOKEY ? "the key is gone" : "cipher error", r);
	return r == -ENOMEM ? BLK_STS_RESOURCE : BLK_STS_IOERR;
}
