// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealing by a TPM. A blob is
 *
 *	1	format, 1
 *	2	length of the name of the storage key, big endian
 *	..	that name: which TPM, as long as its owner hierarchy is not cleared
 *	1	number of PCRs
 *	..	the value of each when it was sealed, ascending: which one differs later
 *	..	TPM2B_PUBLIC, TPM2B_PRIVATE of the sealed object
 *
 * The object's policy is PolicyCommandCode(Unseal), then PolicyPCR where there
 * are PCRs. It is computed here from the values of the blob, so the TPM vouches
 * for them too: its object has that policy or does not load.
 *
 * The storage key is the one at 0x81000001, or else a transient primary of
 * the TCG's template, which comes out the same each time. Its being one of this
 * TPM is shown by its name. Both sessions' salt is encrypted to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#include "rc.h"
#include "seal.h"

#define FORMAT 1
#define SRK 0x81000001	/* TCG TPM v2.0 Provisioning Guidance, 7.8 */
#define READ_AT_ONCE 8	/* PCRs in one answer */

_Static_assert(sizeof(TPM2B_SENSITIVE_CREATE) <= sizeof(((struct kh_secrets *)0)->scratch),
	       "what is to be sealed fits into the locked page");

/* One conversation with the TPM; what is open is flushed by finish(). */
struct tpm {
	struct kh *k;
	struct kt_transport t;
	ESYS_CONTEXT *esys;
	ESYS_TR parent;
	bool persistent;	/* nothing to flush */
	ESYS_TR object;
	ESYS_TR session;	/* salted, encrypts parameters */
	ESYS_TR policy;
	TPM2B_NAME name;	/* the parent's */
};

/* A blob taken apart. */
struct sealed {
	TPM2B_NAME name;
	struct kt_values values;
	TPM2B_PUBLIC pub;
	TPM2B_PRIVATE priv;
};

static int fail(struct tpm *c, TSS2_RC rc, const char *what)
{
	return kt_rc_fail(c->k, &c->t, rc, what);
}

static int start(struct kh *k, const char *tcti, struct tpm *c)
{
	TSS2_RC rc;

	memset(c, 0, sizeof(*c));
	c->k = k;
	c->parent = c->object = c->session = c->policy = ESYS_TR_NONE;
	if (kt_connect(k, tcti, &c->t))
		return -1;
	rc = Esys_Initialize(&c->esys, (TSS2_TCTI_CONTEXT *)&c->t, NULL);
	return rc ? fail(c, rc, "talk to the TPM") : 0;
}

static void flush(struct tpm *c, ESYS_TR *h)
{
	if (*h == ESYS_TR_NONE)
		return;
	/* one that hangs gets nothing more: its contexts go with its connection */
	if (c->t.late || c->t.broken || Esys_FlushContext(c->esys, *h))
		Esys_TR_Close(c->esys, h);
	*h = ESYS_TR_NONE;
}

static void finish(struct tpm *c)
{
	if (c->esys) {
		flush(c, &c->object);
		flush(c, &c->policy);
		flush(c, &c->session);
		if (c->persistent)
			Esys_TR_Close(c->esys, &c->parent);
		else
			flush(c, &c->parent);
		Esys_Finalize(&c->esys);
	}
	kt_disconnect(&c->t);
	kh_wipe_stack();
}

/* --- the storage key -------------------------------------------------------- */

static const TPM2B_PUBLIC srk_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |
			TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
			TPMA_OBJECT_NODA,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	},
};

static bool is_storage_key(const TPM2B_PUBLIC *p)
{
	const TPMA_OBJECT need = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM;

	return (p->publicArea.objectAttributes & need) == need &&
		(p->publicArea.type == TPM2_ALG_ECC || p->publicArea.type == TPM2_ALG_RSA);
}

static int parent_name(struct tpm *c)
{
	TPM2B_NAME *name = NULL;
	TSS2_RC rc = Esys_TR_GetName(c->esys, c->parent, &name);

	if (rc)
		return fail(c, rc, "name the TPM's storage key");
	c->name = *name;
	Esys_Free(name);
	return 0;
}

/* The persistent one; 1 where there is none that serves. */
static int persistent_parent(struct tpm *c)
{
	TPM2B_PUBLIC *pub = NULL;
	bool good;
	TSS2_RC rc = Esys_TR_FromTPMPublic(c->esys, SRK, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &c->parent);

	if (rc) {
		c->parent = ESYS_TR_NONE;
		return kt_rc_base(rc) == TPM2_RC_HANDLE ? 1 : fail(c, rc, "look for the TPM's storage key");
	}
	c->persistent = true;
	rc = Esys_ReadPublic(c->esys, c->parent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &pub, NULL, NULL);
	if (rc)
		return fail(c, rc, "read the TPM's storage key");
	good = is_storage_key(pub);
	Esys_Free(pub);
	return good ? parent_name(c) : 1;
}

static int primary_parent(struct tpm *c)
{
	static const TPM2B_SENSITIVE_CREATE sensitive;
	static const TPM2B_DATA outside;
	static const TPML_PCR_SELECTION none;
	TSS2_RC rc;

	if (c->persistent)
		Esys_TR_Close(c->esys, &c->parent);
	c->persistent = false;
	c->parent = ESYS_TR_NONE;
	rc = Esys_CreatePrimary(c->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
				&sensitive, &srk_template, &outside, &none, &c->parent, NULL, NULL, NULL, NULL);
	if (rc) {
		c->parent = ESYS_TR_NONE;
		return fail(c, rc, "make the TPM's storage key");
	}
	return parent_name(c);
}

static bool same_name(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
	return a->size == b->size && !memcmp(a->name, b->name, a->size);
}

/* A storage key; @want is the one that it must be, NULL for any. */
static int open_parent(struct tpm *c, const TPM2B_NAME *want)
{
	int r = persistent_parent(c);

	if (r < 0 || (!r && (!want || same_name(&c->name, want))))
		return r;
	if (primary_parent(c))
		return -1;
	if (!want || same_name(&c->name, want))
		return 0;
	kh_fail(c->k, KH_INCORRECT_KEY, "the key was sealed by another TPM, or this one was cleared since");
	return kh_next(c->k, "attach it on the host that sealed it, or by another recipient; then rewrap");
}

static int start_session(struct tpm *c, ESYS_TR salt, TPM2_SE type, ESYS_TR *session)
{
	static const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
	static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	const TPMA_SESSION attributes = TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
	TSS2_RC rc = Esys_StartAuthSession(c->esys, salt, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					   NULL, type, salt == ESYS_TR_NONE ? &none : &aes, TPM2_ALG_SHA256, session);

	if (rc) {
		*session = ESYS_TR_NONE;
		return fail(c, rc, "start a session with the TPM");
	}
	if (salt != ESYS_TR_NONE)
		rc = Esys_TRSess_SetAttributes(c->esys, *session, attributes, 0xff);
	return rc ? fail(c, rc, "start a session with the TPM") : 0;
}

/* --- PCRs and policy -------------------------------------------------------- */

static void selection(const struct kt_pcrs *p, uint32_t mask, TPML_PCR_SELECTION *s)
{
	memset(s, 0, sizeof(*s));
	if (!mask)
		return;
	s->count = 1;
	s->pcrSelections[0].hash = p->bank;
	s->pcrSelections[0].sizeofSelect = KT_PCRS / 8;
	s->pcrSelections[0].pcrSelect[0] = (BYTE)mask;
	s->pcrSelections[0].pcrSelect[1] = (BYTE)(mask >> 8);
	s->pcrSelections[0].pcrSelect[2] = (BYTE)(mask >> 16);
}

static int no_such_bank(struct tpm *c, const struct kt_pcrs *p)
{
	char name[96];

	kt_pcrs_format(p, name, sizeof(name));
	kh_fail(c->k, KH_NOT_FOUND, "this TPM does not have all PCRs of tpm2:%s in bank %s", name,
		kt_bank_name(p->bank));
	return kh_next(c->k, "tpm2_getcap pcrs shows what it has; name another bank, tpm2:bank=sha1,pcrs=...");
}

static int read_some(struct tpm *c, const struct kt_pcrs *p, uint32_t mask, struct kt_values *out)
{
	TPML_PCR_SELECTION in, *got = NULL;
	TPML_DIGEST *digests = NULL;
	size_t i, size = kt_bank_size(p->bank);
	uint32_t counter;
	TSS2_RC rc;
	int r = 0;

	selection(p, mask, &in);
	rc = Esys_PCR_Read(c->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &in, &counter, &got, &digests);
	/* a bank that it does not know is a bad parameter */
	if (kt_rc_base(rc) == TPM2_RC_HASH || kt_rc_base(rc) == TPM2_RC_VALUE)
		return no_such_bank(c, p);
	if (rc)
		return fail(c, rc, "read the TPM's PCRs");
	if (digests->count != (UINT32)__builtin_popcount(mask))
		r = no_such_bank(c, p);
	for (i = 0; !r && i < digests->count; i++) {
		if (digests->digests[i].size != size) {
			r = no_such_bank(c, p);
			break;
		}
		memcpy(out->v[out->n++], digests->digests[i].buffer, size);
	}
	Esys_Free(got);
	Esys_Free(digests);
	return r;
}

static int read_pcrs(struct tpm *c, const struct kt_pcrs *p, struct kt_values *out)
{
	uint32_t mask = 0;
	int i, n = 0, r = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; !r && i < KT_PCRS; i++) {
		if (!(p->mask & 1U << i))
			continue;
		mask |= 1U << i;
		if (++n == READ_AT_ONCE || !(p->mask >> i >> 1)) {
			r = read_some(c, p, mask, out);
			mask = 0;
			n = 0;
		}
	}
	return r;
}

static void put32(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

static bool sha256(const void *in, size_t len, uint8_t out[static 32])
{
	size_t n = 32;

	return EVP_Q_digest(NULL, "SHA256", NULL, in, len, out, &n) == 1;
}

/* What the TPM's policy digest comes to; TPM 2.0 Library, part 3: PolicyCommandCode, PolicyPCR. */
static bool policy_digest(const struct kt_pcrs *p, const struct kt_values *v, TPM2B_DIGEST *out)
{
	uint8_t in[32 + 4 + sizeof(TPML_PCR_SELECTION) + 32] = { 0 }, all[KT_PCRS * KT_VALUE_MAX];
	size_t i, at, size = kt_bank_size(p->bank);
	TPML_PCR_SELECTION s;

	out->size = 32;
	put32(in + 32, TPM2_CC_PolicyCommandCode);
	put32(in + 36, TPM2_CC_Unseal);
	if (!sha256(in, 40, out->buffer) || !p->mask)
		return out->size && !p->mask;
	memcpy(in, out->buffer, 32);
	put32(in + 32, TPM2_CC_PolicyPCR);
	at = 36;
	selection(p, p->mask, &s);
	if (Tss2_MU_TPML_PCR_SELECTION_Marshal(&s, in, sizeof(in), &at) || at + 32 > sizeof(in))
		return false;
	for (i = 0; i < v->n; i++)
		memcpy(all + i * size, v->v[i], size);
	return sha256(all, v->n * size, in + at) && sha256(in, at + 32, out->buffer);
}

static int start_policy(struct tpm *c, const struct kt_pcrs *p)
{
	static const TPM2B_DIGEST as_they_are;
	TPML_PCR_SELECTION s;
	TSS2_RC rc;

	if (start_session(c, ESYS_TR_NONE, TPM2_SE_POLICY, &c->policy))
		return -1;
	rc = Esys_PolicyCommandCode(c->esys, c->policy, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CC_Unseal);
	selection(p, p->mask, &s);
	if (!rc && p->mask)
		rc = Esys_PolicyPCR(c->esys, c->policy, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &as_they_are, &s);
	return rc ? fail(c, rc, "have the TPM look at its PCRs") : 0;
}

/* Which PCRs are not as they were; after the TPM refused. */
static int which_differ(struct tpm *c, const struct kt_pcrs *p, const struct kt_values *were)
{
	char list[384] = "", name[96];
	struct kt_values are;
	size_t n = 0, at = 0;
	const char *what;
	int i;

	if (read_pcrs(c, p, &are))
		return -1;
	for (i = 0; i < KT_PCRS; i++) {
		if (!(p->mask & 1U << i))
			continue;
		if (memcmp(are.v[at], were->v[at], kt_bank_size(p->bank)) != 0 && n < sizeof(list)) {
			what = kt_pcr_name(i);
			n += (size_t)snprintf(list + n, sizeof(list) - n, what ? "%s%d (%s)" : "%s%d",
					      n ? ", " : "", i, what);
		}
		at++;
	}
	kt_pcrs_format(p, name, sizeof(name));
	if (!n)	/* changed, and changed back */
		kh_fail(c->k, KH_POLICY, "the TPM refuses the key sealed to %s, though no PCR differs", name);
	else
		kh_fail(c->k, KH_POLICY, "not what the key was sealed to (%s): PCR %s", name, list);
	kh_next(c->k, "boot what it was sealed to, or attach by another recipient; then rewrap to the PCRs of now");
	return kh_name(c->k, "TPM_RC_POLICY_FAIL");
}

/* --- the sealed object ------------------------------------------------------ */

static bool object_template(const struct kt_pcrs *p, const struct kt_values *v, TPM2B_PUBLIC *out)
{
	memset(out, 0, sizeof(*out));
	out->publicArea.type = TPM2_ALG_KEYEDHASH;
	out->publicArea.nameAlg = TPM2_ALG_SHA256;
	/* no USERWITHAUTH: the policy is the only way in. NODA: nobody's lockout is ours. */
	out->publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA;
	out->publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
	return policy_digest(p, v, &out->publicArea.authPolicy);
}

/* Is it an object that we would make of these PCRs? */
static bool as_we_make_it(const TPM2B_PUBLIC *got, const TPM2B_PUBLIC *expected)
{
	const TPMT_PUBLIC *a = &got->publicArea, *b = &expected->publicArea;

	return a->type == b->type && a->nameAlg == b->nameAlg && a->objectAttributes == b->objectAttributes &&
		a->parameters.keyedHashDetail.scheme.scheme == TPM2_ALG_NULL &&
		a->authPolicy.size == b->authPolicy.size &&
		!memcmp(a->authPolicy.buffer, b->authPolicy.buffer, b->authPolicy.size);
}

static int make_blob(struct kh *k, const struct kt_pcrs *p, const struct sealed *s, uint8_t *blob, size_t *len)
{
	size_t i, at = 0, size = kt_bank_size(p->bank);

	blob[at++] = FORMAT;
	if (Tss2_MU_TPM2B_NAME_Marshal(&s->name, blob, KT_BLOB_MAX, &at))
		return kh_fail(k, KH_INTERNAL, "cannot write a sealed key");
	blob[at++] = (uint8_t)s->values.n;
	for (i = 0; i < s->values.n; i++, at += size)
		memcpy(blob + at, s->values.v[i], size);
	if (Tss2_MU_TPM2B_PUBLIC_Marshal(&s->pub, blob, KT_BLOB_MAX, &at) ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(&s->priv, blob, KT_BLOB_MAX, &at))
		return kh_fail(k, KH_INTERNAL, "cannot write a sealed key");
	*len = at;
	return 0;
}

/* The library reads more than one spelling of a structure (sizes that do not fit); we write one. */
static bool as_we_write_it(struct kh *k, const struct kt_pcrs *p, const struct sealed *s, const uint8_t *blob,
			   size_t len)
{
	uint8_t again[KT_BLOB_MAX];
	size_t n;

	return !make_blob(k, p, s, again, &n) && n == len && !memcmp(again, blob, len);
}

static int altered(struct kh *k)
{
	return kh_fail(k, KH_INVALID_CIPHERTEXT, "the sealed key was altered, or was not made by a TPM");
}

/* Strict: nothing is left over, and nothing stands there that we do not write. */
static int read_blob(struct kh *k, const struct kt_pcrs *p, const uint8_t *blob, size_t len, struct sealed *s)
{
	size_t i, at = 1, size = kt_bank_size(p->bank);
	TPM2B_PUBLIC expected;

	memset(s, 0, sizeof(*s));
	if (!len || len > KT_BLOB_MAX || blob[0] != FORMAT ||
	    Tss2_MU_TPM2B_NAME_Unmarshal(blob, len, &at, &s->name) || at >= len)
		return altered(k);
	s->values.n = blob[at++];
	if (s->values.n != (size_t)__builtin_popcount(p->mask) || len - at < s->values.n * size)
		return altered(k);
	for (i = 0; i < s->values.n; i++, at += size)
		memcpy(s->values.v[i], blob + at, size);
	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(blob, len, &at, &s->pub) ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(blob, len, &at, &s->priv) || at != len ||
	    !as_we_write_it(k, p, s, blob, len))
		return altered(k);
	if (!object_template(p, &s->values, &expected))
		return kh_fail(k, KH_INTERNAL, "OpenSSL could not do SHA-256");
	return as_we_make_it(&s->pub, &expected) ? 0 : altered(k);
}

static int create(struct tpm *c, const uint8_t *secret, size_t len, const TPM2B_PUBLIC *template, struct sealed *s)
{
	static const TPM2B_DATA outside;
	static const TPML_PCR_SELECTION none;
	TPM2B_SENSITIVE_CREATE *in = (TPM2B_SENSITIVE_CREATE *)c->k->secrets->scratch;
	TPM2B_PRIVATE *priv = NULL;
	TPM2B_PUBLIC *pub = NULL;
	TSS2_RC rc;

	memset(in, 0, sizeof(*in));
	in->sensitive.data.size = (UINT16)len;
	memcpy(in->sensitive.data.buffer, secret, len);
	rc = Esys_Create(c->esys, c->parent, c->session, ESYS_TR_NONE, ESYS_TR_NONE, in, template, &outside, &none,
			 &priv, &pub, NULL, NULL, NULL);
	explicit_bzero(in, sizeof(*in));
	if (rc)
		return fail(c, rc, "seal a key");
	s->pub = *pub;
	s->priv = *priv;
	Esys_Free(pub);
	Esys_Free(priv);
	return 0;
}

int kt_seal(struct kh *k, const char *tcti, const struct kt_pcrs *p, const uint8_t *secret, size_t len,
	    uint8_t *blob, size_t *blob_len)
{
	TPM2B_PUBLIC template;
	struct sealed s;
	struct tpm c;
	int r;

	if (!len || len > KT_SECRET_MAX)
		return kh_fail(k, KH_VALIDATION, "a TPM seals 1 to %d bytes, not %zu", KT_SECRET_MAX, len);
	r = start(k, tcti, &c);
	if (!r)
		r = open_parent(&c, NULL);
	if (!r)
		r = start_session(&c, c.parent, TPM2_SE_HMAC, &c.session);
	if (!r)
		r = read_pcrs(&c, p, &s.values);
	if (!r && !object_template(p, &s.values, &template))
		r = kh_fail(k, KH_INTERNAL, "OpenSSL could not do SHA-256");
	if (!r)
		r = create(&c, secret, len, &template, &s);
	if (!r) {
		s.name = c.name;
		r = make_blob(k, p, &s, blob, blob_len);
	}
	finish(&c);
	return r;
}

/* The parent is the right one: what does not load under it was altered. */
static int load(struct tpm *c, const struct sealed *s)
{
	TSS2_RC base, rc = Esys_Load(c->esys, c->parent, c->session, ESYS_TR_NONE, ESYS_TR_NONE, &s->priv, &s->pub,
				     &c->object);

	if (!rc)
		return 0;
	c->object = ESYS_TR_NONE;
	base = kt_rc_base(rc);
	if (base == TPM2_RC_SENSITIVE || (base & 0x980) == TPM2_RC_FMT1)
		if (base != TPM2_RC_AUTH_FAIL && base != TPM2_RC_BAD_AUTH)
			return altered(c->k);
	return fail(c, rc, "load a sealed key");
}

static int unseal(struct tpm *c, const struct kt_pcrs *p, const struct sealed *s, uint8_t *secret, size_t len)
{
	TPM2B_SENSITIVE_DATA *out = NULL;
	TSS2_RC base, rc = Esys_Unseal(c->esys, c->object, c->policy, c->session, ESYS_TR_NONE, &out);
	int r = 0;

	base = kt_rc_base(rc);
	if (base == TPM2_RC_POLICY_FAIL || base == TPM2_RC_PCR_CHANGED)
		return which_differ(c, p, &s->values);
	if (rc)
		return fail(c, rc, "unseal a key");
	if (out->size == len)
		memcpy(secret, out->buffer, len);
	else
		r = altered(c->k);
	explicit_bzero(out, sizeof(*out));
	Esys_Free(out);
	return r;
}

int kt_unseal(struct kh *k, const char *tcti, const struct kt_pcrs *p, const uint8_t *blob, size_t blob_len,
	      uint8_t *secret, size_t len)
{
	struct sealed s;
	struct tpm c;
	int r = read_blob(k, p, blob, blob_len, &s);

	if (r)
		return r;
	r = start(k, tcti, &c);
	if (!r)
		r = open_parent(&c, &s.name);
	if (!r)
		r = start_session(&c, c.parent, TPM2_SE_HMAC, &c.session);
	if (!r)
		r = load(&c, &s);
	if (!r)
		r = start_policy(&c, p);
	if (!r)
		r = unseal(&c, p, &s, secret, len);
	finish(&c);
	if (r)
		explicit_bzero(secret, len);
	return r;
}

/* Four letters or fewer of a property, printable. */
static void letters(uint32_t v, char *out)
{
	int i;

	for (i = 24; i >= 0; i -= 8) {
		char ch = (char)(v >> i & 0xff);

		if (ch > ' ' && ch <= '~')
			*out++ = ch;
	}
	*out = '\0';
}

int kt_describe(struct kh *k, const char *tcti, const struct kt_pcrs *p, char *out, size_t size)
{
	TPMS_CAPABILITY_DATA *cap = NULL;
	char maker[8] = "", name[96];
	struct kt_values values;
	TPMI_YES_NO more;
	struct tpm c;
	TSS2_RC rc;
	int r = start(k, tcti, &c);

	if (!r) {
		rc = Esys_GetCapability(c.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
					TPM2_PT_MANUFACTURER, 1, &more, &cap);
		if (rc)
			r = fail(&c, rc, "ask the TPM who made it");
	}
	if (!r && cap->data.tpmProperties.count == 1)
		letters(cap->data.tpmProperties.tpmProperty[0].value, maker);
	if (!r)
		r = read_pcrs(&c, p, &values);
	kt_pcrs_format(p, name, sizeof(name));
	if (!r)
		snprintf(out, size, "this host's TPM (%s), %s%s", *maker ? maker : "unknown",
			 p->mask ? "sealed to bank " : "sealed to no PCRs", p->mask ? kt_bank_name(p->bank) : "");
	Esys_Free(cap);
	finish(&c);
	return r;
}
