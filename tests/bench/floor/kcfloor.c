// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the bare cipher costs: AES-256-XTS through the crypto API on one page,
 * with the fastest synchronous driver, and nothing around the call but setting
 * the IV. Measured once, when the module is loaded; read under
 * /sys/module/kcfloor/parameters. The least of many rounds counts, because the
 * kernel's self-tests of other algorithms run beside it after boot.
 */
#include <crypto/skcipher.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/string.h>

#define ROUNDS 64
#define CALLS 32

static char driver[CRYPTO_MAX_ALG_NAME];
static ulong decrypt4096, encrypt4096, decrypt512, encrypt512;

module_param_string(driver, driver, sizeof(driver), 0444);
module_param(decrypt4096, ulong, 0444);
module_param(encrypt4096, ulong, 0444);
module_param(decrypt512, ulong, 0444);
module_param(encrypt512, ulong, 0444);

/*
 * As dm-kcache/cipher.c: before 7.0 or so the fast synchronous drivers of x86
 * are internal ones behind an asynchronous wrapper.
 */
static struct crypto_skcipher *alloc_tfm(void)
{
	struct crypto_skcipher *any, *tfm;

	/* loads the modules that have drivers; an internal name does not */
	any = crypto_alloc_skcipher("xts(aes)", 0, 0);
	if (IS_ERR(any))
		return any;
	if (crypto_skcipher_reqsize(any) == 0)
		return any;
	tfm = crypto_alloc_skcipher("__xts(aes)", CRYPTO_ALG_INTERNAL,
				    CRYPTO_ALG_INTERNAL | CRYPTO_ALG_ASYNC);
	crypto_free_skcipher(any);
	return tfm;
}

static int measure(struct skcipher_request *req, struct page *page, unsigned int bytes,
		   int (*crypt)(struct skcipher_request *req), ulong *least)
{
	struct scatterlist sg;
	unsigned int round, i;
	u8 iv[16];
	int r = 0;

	sg_init_table(&sg, 1);
	sg_set_page(&sg, page, bytes, 0);
	*least = ULONG_MAX;
	for (round = 0; round < ROUNDS && !r; round++) {
		u64 start = ktime_get_ns();

		for (i = 0; i < CALLS && !r; i++) {
			memset(iv, 0, sizeof(iv));
			skcipher_request_set_crypt(req, &sg, &sg, bytes, iv);
			r = crypt(req);
		}
		*least = min_t(ulong, *least, (ktime_get_ns() - start) / CALLS);
		cond_resched();
	}
	return r;
}

static int __init kcfloor_init(void)
{
	struct skcipher_request *req;
	struct crypto_skcipher *tfm;
	struct page *page;
	u8 key[64];
	int r, i;

	tfm = alloc_tfm();
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	strscpy(driver, crypto_skcipher_driver_name(tfm), sizeof(driver));

	/* two different halves */
	for (i = 0; i < sizeof(key); i++)
		key[i] = i;
	r = crypto_skcipher_setkey(tfm, key, sizeof(key));
	if (r)
		goto free_tfm;

	r = -ENOMEM;
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page)
		goto free_tfm;
	req = skcipher_request_alloc(tfm, GFP_KERNEL);
	if (!req)
		goto free_page;
	skcipher_request_set_callback(req, 0, NULL, NULL);

	r = measure(req, page, 4096, crypto_skcipher_decrypt, &decrypt4096) ?:
	    measure(req, page, 4096, crypto_skcipher_encrypt, &encrypt4096) ?:
	    measure(req, page, 512, crypto_skcipher_decrypt, &decrypt512) ?:
	    measure(req, page, 512, crypto_skcipher_encrypt, &encrypt512);

	skcipher_request_free(req);
free_page:
	__free_page(page);
free_tfm:
	crypto_free_skcipher(tfm);
	return r;
}

static void __exit kcfloor_exit(void)
{
}

module_init(kcfloor_init);
module_exit(kcfloor_exit);
MODULE_DESCRIPTION("cost of the bare AES-256-XTS calls, for tests/bench");
MODULE_LICENSE("GPL");
