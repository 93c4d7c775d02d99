// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wrapping by the token. A wrapped DEK is
 *
 *	1	how: 1 AES-GCM, 2 to 4 key wrapping (enum kp_mechanism)
 *	GCM:	1 length of the nonce, nonce, ciphertext, tag (16)
 *	else:	what C_WrapKey made of DEK || SHA-256(canonical binding)
 *
 * With GCM the hash is the additional data: the token itself refuses another
 * context.
 */
#include <string.h>

#include <openssl/rand.h>

#include "token.h"

#define NONCE 12
#define NONCE_MAX 64
#define TAG 16
#define PLAIN (KC_DEK_SIZE + KH_HASH)
#define OUT_MAX 256	/* what a token may need room for */

static const struct {
	CK_MECHANISM_TYPE type;
	const char *name;
} mechanisms[KP_N_MECHANISMS] = {
	[KP_GCM] = { CKM_AES_GCM, NULL },
	[KP_KEY_WRAP] = { CKM_AES_KEY_WRAP, "key-wrap" },
	[KP_KEY_WRAP_PAD] = { CKM_AES_KEY_WRAP_PAD, "key-wrap-pad" },
	[KP_KEY_WRAP_KWP] = { 0x210bUL, "key-wrap-kwp" },	/* CKM_AES_KEY_WRAP_KWP of PKCS#11 3.0 */
};

CK_MECHANISM_TYPE kp_mechanism_type(enum kp_mechanism m)
{
	return mechanisms[m].type;
}

const char *kp_mechanism_name(enum kp_mechanism m)
{
	return mechanisms[m].name;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n && !*p) {
		p++;
		n--;
	}
	return !n;
}

/* One C_Encrypt; the nonce is what the token used, whatever it was given. */
static CK_RV gcm(struct kh *k, struct kp *p, uint8_t *nonce, size_t *nonce_len, uint8_t *out, CK_ULONG *len)
{
	CK_GCM_PARAMS params = { .iv_ptr = nonce, .iv_len = NONCE, .iv_bits = NONCE * 8,
				 .aad_ptr = k->secrets->plain + KC_DEK_SIZE, .aad_len = KH_HASH, .tag_bits = TAG * 8 };
	CK_MECHANISM m = { CKM_AES_GCM, &params, sizeof(params) };
	CK_RV rv = p->f->C_EncryptInit(p->key.session, &m, p->key.object);

	*len = OUT_MAX;
	if (rv == CKR_OK)
		rv = p->f->C_Encrypt(p->key.session, k->secrets->plain, KC_DEK_SIZE, out, len);
	*nonce_len = params.iv_len;
	return rv;
}

static CK_RV gcm_wrap(struct kh *k, struct kp *p, uint8_t *wrapped, size_t *len)
{
	uint8_t nonce[NONCE_MAX] = { 0 }, out[OUT_MAX];
	size_t nonce_len;
	CK_ULONG n;
	CK_RV rv;

	if (RAND_bytes(nonce, NONCE) != 1)
		return CKR_GENERAL_ERROR;
	rv = gcm(k, p, nonce, &nonce_len, out, &n);
	if (rv != CKR_OK && !kp_rv_lost(rv)) {
		/* a token that takes none, but makes its own: it wants zeros there, and must not leave them */
		memset(nonce, 0, sizeof(nonce));
		rv = gcm(k, p, nonce, &nonce_len, out, &n);
		if (rv == CKR_OK && all_zero(nonce, sizeof(nonce)))
			rv = CKR_MECHANISM_PARAM_INVALID;
	}
	if (rv != CKR_OK)
		return rv;
	if (n != KC_DEK_SIZE + TAG || nonce_len < NONCE || nonce_len > NONCE_MAX)
		return CKR_DATA_LEN_RANGE;
	wrapped[0] = KP_GCM;
	wrapped[1] = (uint8_t)nonce_len;
	memcpy(wrapped + 2, nonce, nonce_len);
	memcpy(wrapped + 2 + nonce_len, out, n);
	*len = 2 + nonce_len + n;
	return CKR_OK;
}

static CK_RV gcm_unwrap(struct kh *k, struct kp *p, const uint8_t *wrapped, size_t len)
{
	uint8_t nonce[NONCE_MAX], in[KC_DEK_SIZE + TAG], *out = (uint8_t *)k->secrets->scratch;
	CK_GCM_PARAMS params = { .iv_ptr = nonce, .aad_ptr = k->secrets->plain + KC_DEK_SIZE, .aad_len = KH_HASH,
				 .tag_bits = TAG * 8 };
	CK_MECHANISM m = { CKM_AES_GCM, &params, sizeof(params) };
	CK_ULONG n = OUT_MAX;
	CK_RV rv;

	if (len < 2 || wrapped[1] < NONCE || wrapped[1] > NONCE_MAX || len != 2U + wrapped[1] + sizeof(in))
		return CKR_ENCRYPTED_DATA_LEN_RANGE;
	params.iv_len = wrapped[1];
	params.iv_bits = params.iv_len * 8;
	memcpy(nonce, wrapped + 2, params.iv_len);
	memcpy(in, wrapped + 2 + params.iv_len, sizeof(in));
	rv = p->f->C_DecryptInit(p->key.session, &m, p->key.object);
	if (rv == CKR_OK)
		rv = p->f->C_Decrypt(p->key.session, in, sizeof(in), out, &n);
	if (rv == CKR_OK && n != KC_DEK_SIZE)
		rv = CKR_DATA_LEN_RANGE;
	if (rv == CKR_OK)
		memcpy(k->secrets->plain, out, KC_DEK_SIZE);
	return rv;
}

static CK_RV key_wrap(struct kh *k, struct kp *p, uint8_t *wrapped, size_t *len)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE template[] = {
		{ CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_TOKEN, &no, sizeof(no) }, { CKA_SENSITIVE, &no, sizeof(no) },
		{ CKA_EXTRACTABLE, &yes, sizeof(yes) }, { CKA_VALUE, k->secrets->plain, PLAIN },
	};
	CK_MECHANISM m = { kp_mechanism_type(p->key.mechanism), NULL, 0 };
	CK_OBJECT_HANDLE o;
	CK_ULONG n = OUT_MAX;
	CK_RV rv = p->f->C_CreateObject(p->key.session, template, sizeof(template) / sizeof(template[0]), &o);

	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_WrapKey(p->key.session, &m, p->key.object, o, wrapped + 1, &n);
	p->f->C_DestroyObject(p->key.session, o);
	wrapped[0] = (uint8_t)p->key.mechanism;
	*len = 1 + n;
	return rv;
}

static CK_RV key_unwrap(struct kh *k, struct kp *p, const uint8_t *wrapped, size_t len)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE template[] = {
		{ CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_TOKEN, &no, sizeof(no) }, { CKA_SENSITIVE, &no, sizeof(no) },
		{ CKA_EXTRACTABLE, &yes, sizeof(yes) },
	};
	CK_ATTRIBUTE value = { CKA_VALUE, k->secrets->scratch, sizeof(k->secrets->scratch) };
	CK_MECHANISM m = { kp_mechanism_type(p->key.mechanism), NULL, 0 };
	uint8_t in[OUT_MAX];
	CK_OBJECT_HANDLE o;
	CK_RV rv;

	if (len < 2 || len > OUT_MAX)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	memcpy(in, wrapped + 1, len - 1);
	rv = p->f->C_UnwrapKey(p->key.session, &m, p->key.object, in, len - 1, template,
			       sizeof(template) / sizeof(template[0]), &o);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_GetAttributeValue(p->key.session, o, &value, 1);
	p->f->C_DestroyObject(p->key.session, o);
	if (rv == CKR_OK && value.ulValueLen != PLAIN)
		rv = CKR_WRAPPED_KEY_LEN_RANGE;
	if (rv == CKR_OK)
		memcpy(k->secrets->plain, k->secrets->scratch, PLAIN);
	return rv;
}

CK_RV kp_wrap(struct kh *k, struct kp *p, uint8_t *wrapped, size_t *len)
{
	return p->key.mechanism == KP_GCM ? gcm_wrap(k, p, wrapped, len) : key_wrap(k, p, wrapped, len);
}

CK_RV kp_unwrap(struct kh *k, struct kp *p, const uint8_t *wrapped, size_t len)
{
	if (!len || wrapped[0] != (uint8_t)p->key.mechanism)
		return CKR_ENCRYPTED_DATA_INVALID;
	return p->key.mechanism == KP_GCM ? gcm_unwrap(k, p, wrapped, len) : key_unwrap(k, p, wrapped, len);
}
