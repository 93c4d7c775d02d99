// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys of a keyring of the test's own, and the reference that the module's cipher
 * text is compared with. See fake.h.
 */
#include <crypto/skcipher.h>
#include <keys/user-type.h>
#include <linux/cred.h>
#include <linux/key.h>
#include <linux/scatterlist.h>

#include "fake.h"

/*
 * The first 64 bytes of two vectors' worth of digits: any would do, as long as
 * the golden values of the suites were made with them.
 */
const u8 rig_dek[KCACHE_KEY_SIZE] = {
	0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45, 0x23, 0x53, 0x60, 0x28,
	0x74, 0x71, 0x35, 0x26, 0x62, 0x49, 0x77, 0x57, 0x24, 0x70, 0x93, 0x69,
	0x99, 0x59, 0x57, 0x49, 0x66, 0x96, 0x76, 0x27, 0x31, 0x41, 0x59, 0x26,
	0x53, 0x58, 0x97, 0x93, 0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95,
	0x02, 0x88, 0x41, 0x97, 0x16, 0x93, 0x99, 0x37, 0x51, 0x05, 0x82, 0x09,
	0x74, 0x94, 0x45, 0x92,
};

const u8 rig_other_dek[KCACHE_KEY_SIZE] = {
	0x14, 0x14, 0x21, 0x35, 0x62, 0x37, 0x30, 0x95, 0x04, 0x88, 0x01, 0x68,
	0x87, 0x24, 0x20, 0x96, 0x98, 0x07, 0x85, 0x69, 0x67, 0x18, 0x75, 0x37,
	0x69, 0x48, 0x07, 0x31, 0x76, 0x67, 0x97, 0x37, 0x17, 0x32, 0x05, 0x08,
	0x07, 0x56, 0x88, 0x77, 0x29, 0x35, 0x27, 0x44, 0x63, 0x41, 0x50, 0x58,
	0x72, 0x36, 0x69, 0x42, 0x80, 0x52, 0x53, 0x81, 0x03, 0x80, 0x62, 0x80,
	0x55, 0x80, 0x69, 0x79,
};

/* Linked to this thread's keyring only: forgetting it is unlinking it. */
struct key *rig_key(const char *type, const char *desc, const void *payload,
		    size_t len)
{
	key_ref_t ref;

	ref = key_create_or_update(make_key_ref(rig.ring, true), type, desc,
				   payload, len, KEY_POS_ALL,
				   KEY_ALLOC_NOT_IN_QUOTA);
	KUNIT_ASSERT_FALSE_MSG(rig.test, IS_ERR(ref), "%s:%s: %ld", type, desc,
			       PTR_ERR(ref));
	/* the keyring's own reference is enough */
	key_ref_put(ref);
	return key_ref_to_ptr(ref);
}

void rig_forget(struct key *key)
{
	KUNIT_EXPECT_EQ(rig.test, key_unlink(rig.ring, key), 0);
}

/*
 * The thread that runs a test ends with it, and its credentials with it. @process:
 * as its process keyring, or its thread keyring.
 */
struct key *rig_take_keyring(bool process)
{
	struct key *ring, **place;
	struct cred *cred;

	ring = keyring_alloc("kcache-kunit", GLOBAL_ROOT_UID, GLOBAL_ROOT_GID,
			     current_cred(), KEY_POS_ALL,
			     KEY_ALLOC_NOT_IN_QUOTA, NULL, NULL);
	if (IS_ERR(ring))
		return ring;
	cred = prepare_creds();
	if (!cred) {
		key_put(ring);
		return ERR_PTR(-ENOMEM);
	}
	place = process ? &cred->process_keyring : &cred->thread_keyring;
	key_put(*place);
	*place = key_get(ring);
	commit_creds(cred);
	return ring;
}

/* One that is searched after the first, and is empty. */
void rig_second_keyring(void)
{
	struct key *ring = rig_take_keyring(true);

	KUNIT_ASSERT_FALSE(rig.test, IS_ERR(ring));
	key_put(ring);
}

void rig_random(void *buf, size_t bytes)
{
	prandom_bytes_state(&rig.rnd, buf, bytes);
}

u32 rig_below(u32 limit)
{
	return prandom_u32_state(&rig.rnd) % limit;
}

/*
 * One data unit, the number of its IV, one request on one linear buffer: nothing
 * of the module is in it, and of AES the generic code.
 */
void reference_crypt(const u8 *key, u64 iv, u8 *unit, unsigned int bytes,
		     bool encrypt)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct skcipher_request *req;
	struct scatterlist sg;
	__le64 ivs[2] = { cpu_to_le64(iv), 0 };
	u8 *linear;
	int r;

	linear = kmemdup(unit, bytes, GFP_KERNEL);
	req = skcipher_request_alloc(rig.reference, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(rig.test, linear);
	KUNIT_ASSERT_NOT_NULL(rig.test, req);
	if (rig.reference_key != key) {
		r = crypto_skcipher_setkey(rig.reference, key, KCACHE_KEY_SIZE);
		KUNIT_ASSERT_EQ(rig.test, r, 0);
		rig.reference_key = key;
	}
	sg_init_one(&sg, linear, bytes);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG,
				      crypto_req_done, &wait);
	skcipher_request_set_crypt(req, &sg, &sg, bytes, ivs);
	r = encrypt ? crypto_skcipher_encrypt(req) :
		      crypto_skcipher_decrypt(req);
	r = crypto_wait_req(r, &wait);
	KUNIT_EXPECT_EQ(rig.test, r, 0);
	memcpy(unit, linear, bytes);
	skcipher_request_free(req);
	kfree(linear);
}
