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
#include <asm/simd.h>
#include <crypto/internal/simd.h>
#include <crypto/skcipher.h>
#include <linux/scatterlist.h>

#include "dm-kcache.h"

/* Bytes between two looks at the key. A multiple of every data unit. */
#define KCACHE_CHUNK (16 * 1024)

/*
 * Segments that one data unit may be scattered over. Block devices take buffers
 * in multiples of 512 bytes from user space, so 8 would do for a unit of 4096;
 * users inside the kernel owe us no alignment.
 */
#define KCACHE_UNIT_FRAGS 16

/* In softirq others wait for us: leave larger bios to a worker. */
#define KCACHE_SOFTIRQ_BYTES (32 * 1024)

/**
 * struct kcache_conv - how far a bio has come
 * @bio: source of the data
 * @iter: what is left of it; its bi_sector counts for the IV
 * @dst: segments to write to, or NULL for in place
 * @dst_iter: what is left of them
 * @kc: the target
 * @encrypt: or decrypt
 * @req: request on @tfm of the current chunk
 * @wait: completion of an asynchronous @req, or NULL
 */
struct kcache_conv {
	struct bio *bio;
	struct bvec_iter iter;
	const struct bio_vec *dst;
	struct bvec_iter dst_iter;
	struct kcache_target *kc;
	bool encrypt;
	struct skcipher_request *req;
	struct crypto_wait *wait;
};

/**
 * kcache_can_crypt_here() - may a bio be encrypted or decrypted by the caller?
 * @key: the key it is for
 * @bytes: size of the bio
 *
 * Drivers use the FPU without asking, and the crypto API must not be called in
 * hard interrupts.
 *
 * Context: Any.
 * Return: true, or false if it has to be handed to a worker.
 */
bool kcache_can_crypt_here(const struct kcache_key *key, unsigned int bytes)
{
	if (key->async || in_hardirq() || irqs_disabled())
		return false;
	if (in_serving_softirq() && bytes > KCACHE_SOFTIRQ_BYTES)
		return false;
	return crypto_simd_usable();
}

/* One data unit. @src and @dst are scatterlists that hold it exactly. */
static int crypt_unit(struct kcache_conv *cv, struct scatterlist *src,
		      struct scatterlist *dst)
{
	struct kcache_target *kc = cv->kc;
	__le64 iv[2] = {
		cpu_to_le64((u64)cv->iter.bi_sector >> kc->iv_shift),
	};
	int r;

	skcipher_request_set_crypt(cv->req, src, dst, kc->sector_size, iv);
	if (cv->encrypt)
		r = crypto_skcipher_encrypt(cv->req);
	else
		r = crypto_skcipher_decrypt(cv->req);
	if (cv->wait)
		r = crypto_wait_req(r, cv->wait);
	return r;
}

static struct scatterlist *set_dst(struct kcache_conv *cv,
				   struct scatterlist *dst,
				   struct scatterlist *src)
{
	struct bio_vec bv;

	if (!cv->dst)
		return src;
	/* packed from offset 0: a unit never crosses a page here */
	bv = bvec_iter_bvec(cv->dst, cv->dst_iter);
	sg_set_page(dst, bv.bv_page, cv->kc->sector_size, bv.bv_offset);
	return dst;
}

static void advance(struct kcache_conv *cv)
{
	bio_advance_iter(cv->bio, &cv->iter, cv->kc->sector_size);
	if (cv->dst)
		bvec_iter_advance(cv->dst, &cv->dst_iter, cv->kc->sector_size);
}

/* A data unit that lies in several segments. Apart, for the sake of the stack. */
static noinline int crypt_scattered_unit(struct kcache_conv *cv)
{
	struct scatterlist src[KCACHE_UNIT_FRAGS], dst;
	unsigned int left = cv->kc->sector_size, n = 0;
	struct bvec_iter iter = cv->iter;
	struct bio_vec bv;
	int r;

	sg_init_table(src, KCACHE_UNIT_FRAGS);
	sg_init_table(&dst, 1);
	while (left) {
		if (n == KCACHE_UNIT_FRAGS)
			return -EIO;
		bv = bio_iter_iovec(cv->bio, iter);
		bv.bv_len = min(bv.bv_len, left);
		sg_set_page(&src[n++], bv.bv_page, bv.bv_len, bv.bv_offset);
		bio_advance_iter(cv->bio, &iter, bv.bv_len);
		left -= bv.bv_len;
	}
	sg_mark_end(&src[n - 1]);

	r = crypt_unit(cv, src, set_dst(cv, &dst, src));
	if (!r)
		advance(cv);
	return r;
}

/* At most KCACHE_CHUNK bytes, with the cipher that cv->req was made for. */
static int crypt_chunk(struct kcache_conv *cv)
{
	unsigned int unit = cv->kc->sector_size;
	unsigned int budget = min_t(unsigned int, cv->iter.bi_size,
				    KCACHE_CHUNK);
	struct scatterlist src, dst;
	struct bio_vec bv;
	int r;

	sg_init_table(&src, 1);
	sg_init_table(&dst, 1);
	for (; budget; budget -= unit) {
		bv = bio_iter_iovec(cv->bio, cv->iter);
		if (unlikely(bv.bv_len < unit)) {
			r = crypt_scattered_unit(cv);
			if (r)
				return r;
			continue;
		}
		sg_set_page(&src, bv.bv_page, unit, bv.bv_offset);
		r = crypt_unit(cv, &src, set_dst(cv, &dst, &src));
		if (r)
			return r;
		advance(cv);
	}
	return 0;
}

/* Under RCU: no sleeping, and a cipher that answers at once. */
static int crypt_sync(struct kcache_conv *cv, bool worker)
{
	char buf[sizeof(struct skcipher_request) + MAX_SYNC_SKCIPHER_REQSIZE]
		CRYPTO_MINALIGN_ATTR;
	struct kcache_cipher *cipher;
	int r;

	cv->req = (struct skcipher_request *)buf;
	skcipher_request_set_callback(cv->req, 0, NULL, NULL);
	do {
		rcu_read_lock();
		cipher = rcu_dereference(cv->kc->key->cipher);
		if (cipher) {
			skcipher_request_set_tfm(cv->req, cipher->tfm);
			r = crypt_chunk(cv);
		} else {
			r = -ENOKEY;
		}
		rcu_read_unlock();
		if (worker)
			cond_resched();
	} while (!r && cv->iter.bi_size);
	return r;
}

/* In a worker, which may wait for the hardware; a wipe waits for it then. */
static int crypt_async(struct kcache_conv *cv)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct kcache_cipher *cipher;
	int r;

	cv->wait = &wait;
	do {
		rcu_read_lock();
		cipher = rcu_dereference(cv->kc->key->cipher);
		if (cipher && cipher->async)
			refcount_inc(&cipher->users);
		rcu_read_unlock();
		if (!cipher)
			return -ENOKEY;
		if (!cipher->async)
			return crypt_sync(cv, true);

		cv->req = mempool_alloc(&cipher->requests, GFP_NOIO);
		skcipher_request_set_tfm(cv->req, cipher->tfm);
		skcipher_request_set_callback(cv->req,
					      CRYPTO_TFM_REQ_MAY_BACKLOG,
					      crypto_req_done, &wait);
		r = crypt_chunk(cv);
		mempool_free(cv->req, &cipher->requests);
		kcache_cipher_put(cipher);
	} while (!r && cv->iter.bi_size);
	return r;
}

/**
 * kcache_crypt() - encrypt or decrypt what a bio covered when it was mapped
 * @io: our data of the bio; of a write, with its bounce pages
 * @bio: the bio
 * @worker: called by a worker, which may sleep; otherwise
 *	kcache_can_crypt_here() has said yes
 *
 * Context: Any, as above.
 * Return: BLK_STS_OK, or an error that has been counted and logged.
 */
blk_status_t kcache_crypt(struct kcache_io *io, struct bio *bio, bool worker)
{
	struct kcache_target *kc = io->kc;
	struct kcache_conv cv = {
		.bio = bio,
		.iter = io->iter,
		.dst_iter = { .bi_size = io->iter.bi_size },
		.kc = kc,
		.encrypt = op_is_write(bio_op(bio)),
	};
	int r;

	if (cv.encrypt)
		cv.dst = io->segs.bv;
	if (kc->key->async && worker)
		r = crypt_async(&cv);
	else
		r = crypt_sync(&cv, worker);
	if (worker)
		this_cpu_inc(kc->stats->deferred_ios);
	else
		this_cpu_inc(kc->stats->inline_ios);

	if (likely(!r)) {
		if (cv.encrypt)
			this_cpu_add(kc->stats->write_bytes, io->iter.bi_size);
		else
			this_cpu_add(kc->stats->read_bytes, io->iter.bi_size);
		return BLK_STS_OK;
	}
	this_cpu_inc(kc->stats->errors);
	DMERR_LIMIT("%s: %s at sector %llu failed: %s (%d)",
		    dm_device_name(kc->key->md), cv.encrypt ? "write" : "read",
		    kc->ti->begin + (u64)cv.iter.bi_sector - kc->iv_offset,
		    r == -ENOKEY ? "the key is wiped" : "cipher error", r);
	return r == -ENOMEM ? BLK_STS_RESOURCE : BLK_STS_IOERR;
}
