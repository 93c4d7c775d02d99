// SPDX-License-Identifier: GPL-2.0-only
/*
 * One key schedule of AES-256-XTS, and which driver of the crypto API holds it.
 *
 * A schedule is made from a key, used, and freed; it is never re-keyed, because
 * a driver may be reading it on another CPU. Whoever takes it out of a key
 * object frees it with kcache_cipher_free(), which waits for those still
 * inside. Everything here is process context and may sleep, but for
 * kcache_cipher_put().
 *
 * Choice of the driver. On x86 before 6.19 or so the fast implementations are
 * hidden behind a wrapper that is marked asynchronous, only because it defers
 * to a workqueue where the FPU cannot be used. Asking for a synchronous
 * "xts(aes)" therefore finds the slow generic construction around single AES
 * blocks. We never call where the FPU cannot be used (kcache_can_crypt_here()),
 * so the implementation behind the wrapper, which the crypto API calls
 * internal, is what we want.
 */
#include <crypto/skcipher.h>
#include <linux/scatterlist.h>

#include "dm-kcache.h"

MODULE_SOFTDEP("pre: aesni_intel");

/* Requests of an asynchronous driver that are never lacking. */
#define KCACHE_MIN_REQUESTS 4

/* The generic construction, block by block, which is several times slower. */
static bool is_slow(struct crypto_skcipher *tfm)
{
	return !strncmp(crypto_skcipher_driver_name(tfm), "xts(ecb(", 8);
}

static bool is_sync(struct crypto_skcipher *tfm)
{
	return !(crypto_skcipher_alg(tfm)->base.cra_flags & CRYPTO_ALG_ASYNC) &&
	       crypto_skcipher_reqsize(tfm) <= MAX_SYNC_SKCIPHER_REQSIZE;
}

static struct crypto_skcipher *alloc_tfm(void)
{
	struct crypto_skcipher *any, *tfm;

	/* Also loads the modules that have drivers; an internal name does not. */
	any = crypto_alloc_skcipher("xts(aes)", 0, CRYPTO_ALG_ALLOCATES_MEMORY);
	if (IS_ERR(any) || is_sync(any))
		return any;

	tfm = crypto_alloc_skcipher("__xts(aes)", CRYPTO_ALG_INTERNAL,
				    CRYPTO_ALG_INTERNAL | CRYPTO_ALG_ASYNC);
	/* out of memory is not a reason to settle for a slower one */
	if (PTR_ERR(tfm) == -ENOMEM)
		goto instead;
	if (!IS_ERR(tfm) && is_sync(tfm))
		goto instead;
	if (!IS_ERR(tfm))
		crypto_free_skcipher(tfm);

	tfm = crypto_alloc_skcipher("xts(aes)", 0, CRYPTO_ALG_ASYNC |
				    CRYPTO_ALG_ALLOCATES_MEMORY);
	if (PTR_ERR(tfm) == -ENOMEM)
		goto instead;
	if (!IS_ERR(tfm) && is_sync(tfm) && (!is_slow(tfm) || is_slow(any)))
		goto instead;
	if (!IS_ERR(tfm))
		crypto_free_skcipher(tfm);
	return any;

instead:
	crypto_free_skcipher(any);
	return tfm;
}

/**
 * kcache_cipher_new() - make a key schedule
 * @raw: the key; the caller clears it
 *
 * Context: Process context. Sleeps, may load modules.
 * Return: the schedule or an ERR_PTR().
 */
struct kcache_cipher *kcache_cipher_new(const u8 raw[KCACHE_KEY_SIZE])
{
	struct kcache_cipher *cipher;
	int r;

	cipher = kzalloc(sizeof(*cipher), GFP_KERNEL);
	if (!cipher)
		return ERR_PTR(-ENOMEM);
	cipher->tfm = alloc_tfm();
	if (IS_ERR(cipher->tfm)) {
		r = PTR_ERR(cipher->tfm);
		goto bad_cipher;
	}
	r = crypto_skcipher_setkey(cipher->tfm, raw, KCACHE_KEY_SIZE);
	if (r)
		goto bad_tfm;

	cipher->async = !is_sync(cipher->tfm);
	if (cipher->async) {
		refcount_set(&cipher->users, 1);
		init_completion(&cipher->idle);
		r = mempool_init_kmalloc_pool(&cipher->requests,
					      KCACHE_MIN_REQUESTS,
					      sizeof(struct skcipher_request) +
					      crypto_skcipher_reqsize(cipher->tfm));
		if (r)
			goto bad_tfm;
	}
	return cipher;

bad_tfm:
	crypto_free_skcipher(cipher->tfm);
bad_cipher:
	kfree(cipher);
	return ERR_PTR(r);
}

/**
 * kcache_cipher_put() - a worker is done with an asynchronous cipher
 * @cipher: the cipher
 *
 * Context: Any.
 */
void kcache_cipher_put(struct kcache_cipher *cipher)
{
	if (refcount_dec_and_test(&cipher->users))
		complete(&cipher->idle);
}

/**
 * kcache_cipher_free() - wait for those inside, clear the key schedule, free
 * @cipher: no longer reachable from a key object; may be NULL
 *
 * It waits for crypto that is running, never for a device.
 *
 * Context: Process context. Sleeps.
 */
void kcache_cipher_free(struct kcache_cipher *cipher)
{
	if (!cipher)
		return;
	synchronize_rcu();
	if (cipher->async) {
		kcache_cipher_put(cipher);
		wait_for_completion(&cipher->idle);
		mempool_exit(&cipher->requests);
	}
	/* the crypto API clears a transformation's memory when it frees it */
	crypto_free_skcipher(cipher->tfm);
	kfree(cipher);
}

/**
 * kcache_cipher_check() - a value that tells one key from another
 * @cipher: not yet in use by anybody else
 * @check: receives one block of zeros, encrypted under the highest IV, which no
 *	sector of a device has
 *
 * Context: Process context. Sleeps.
 * Return: 0 or a negative errno.
 */
int kcache_cipher_check(struct kcache_cipher *cipher,
			u8 check[KCACHE_CHECK_SIZE])
{
	DECLARE_CRYPTO_WAIT(wait);
	struct skcipher_request *req;
	struct scatterlist sg;
	struct {
		u8 block[KCACHE_CHECK_SIZE];
		u8 iv[KCACHE_CHECK_SIZE];
	} *buf;
	int r = -ENOMEM;

	/* not on the stack: a scatterlist cannot point there */
	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	req = skcipher_request_alloc(cipher->tfm, GFP_KERNEL);
	if (!buf || !req)
		goto out;

	memset(buf->iv, 0xff, sizeof(buf->iv));
	sg_init_one(&sg, buf->block, sizeof(buf->block));
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG |
				      CRYPTO_TFM_REQ_MAY_SLEEP,
				      crypto_req_done, &wait);
	skcipher_request_set_crypt(req, &sg, &sg, sizeof(buf->block), buf->iv);
	r = crypto_wait_req(crypto_skcipher_encrypt(req), &wait);
	if (!r)
		memcpy(check, buf->block, KCACHE_CHECK_SIZE);
out:
	skcipher_request_free(req);
	kfree_sensitive(buf);
	return r;
}

/**
 * kcache_cipher_driver() - name of the driver behind a cipher
 * @cipher: the cipher
 *
 * Context: Any.
 * Return: a string that lives as long as @cipher.
 */
const char *kcache_cipher_driver(const struct kcache_cipher *cipher)
{
	return crypto_skcipher_driver_name(cipher->tfm);
}

/**
 * kcache_cipher_slow() - is it a driver to warn of?
 * @cipher: the cipher
 *
 * Context: Any.
 * Return: true if AES runs block by block.
 */
bool kcache_cipher_slow(const struct kcache_cipher *cipher)
{
	return is_slow(cipher->tfm);
}
