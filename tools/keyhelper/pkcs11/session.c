// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a name to a key that can be used: exactly one token, a session, the PIN
 * once, exactly one key. A PIN goes to no token that the name does not single out.
 */
#include <stdio.h>
#include <string.h>

#include "kms-wire.h"
#include "serve.h"
#include "token.h"

#define SLOTS_MAX 64
#define KEYS_MAX 64

void kp_close(struct kp *p)
{
	if (p->open && p->f)
		p->f->C_CloseSession(p->key.session);
	p->open = false;
}

static int slots(struct kh *k, struct kp *p, CK_SLOT_ID *list, CK_ULONG *n)
{
	CK_RV rv;

	/* the first call has a module look for what was plugged in */
	rv = p->f->C_GetSlotList(CK_FALSE, NULL, n);
	*n = SLOTS_MAX;
	if (rv == CKR_OK)
		rv = p->f->C_GetSlotList(CK_TRUE, list, n);
	return rv == CKR_OK ? 0 : kp_rv_fail(k, rv, KH_UNREACHABLE, "list the tokens");
}

/* The one token that is meant. */
static int find_token(struct kh *k, struct kp *p, const struct kp_name *n, CK_SLOT_ID *slot, CK_TOKEN_INFO *token)
{
	CK_SLOT_ID list[SLOTS_MAX] = { 0 };
	CK_TOKEN_INFO t;
	CK_ULONG i, all;
	int found = 0;

	if (slots(k, p, list, &all))
		return -1;
	for (i = 0; i < all; i++) {
		if (p->f->C_GetTokenInfo(list[i], &t) != CKR_OK || !p11_kit_uri_match_token_info(n->uri, &t))
			continue;
		*slot = list[i];
		*token = t;
		found++;
	}
	if (found == 1)
		return 0;
	if (found) {
		kh_fail(k, KH_VALIDATION, "%d tokens answer to that name", found);
		return kh_next(k, "say which one by its serial number: pkcs11:token=LABEL;serial=NUMBER;...");
	}
	kh_fail(k, KH_UNREACHABLE, "the key's token is in none of the %lu slots of %.200s", all, p->module);
	kh_next(k, "plug the token in or start its service, then try again");
	return kh_name(k, "CKR_TOKEN_NOT_PRESENT");
}

static int pin_trouble(struct kh *k, CK_FLAGS flags)
{
	if (flags & CKF_USER_PIN_LOCKED)
		return kp_rv_fail(k, CKR_PIN_LOCKED, KH_LOCKED, "log in");
	if (!(flags & CKF_USER_PIN_INITIALIZED))
		return kp_rv_fail(k, CKR_USER_PIN_NOT_INITIALIZED, KH_CREDENTIALS, "log in");
	if (!(flags & CKF_USER_PIN_FINAL_TRY))
		return 0;
	/* a wrong PIN in a file must not lock a token that others use too */
	kh_fail(k, KH_CREDENTIALS, "one more wrong PIN locks the token, so it is not tried");
	return kh_next(k, "log in once by hand with the right PIN (pkcs11-tool --login), then correct the file");
}

int kp_login(struct kh *k, struct kp *p, const CK_TOKEN_INFO *token, CK_SESSION_HANDLE session)
{
	CK_RV rv;

	if (!(token->flags & CKF_LOGIN_REQUIRED))
		return 0;
	if (p->refused)
		return kp_rv_fail(k, CKR_PIN_INCORRECT, KH_CREDENTIALS, "log in");
	if (pin_trouble(k, token->flags))
		return -1;
	if (token->flags & CKF_PROTECTED_AUTHENTICATION_PATH) {
		rv = p->f->C_Login(session, CKU_USER, NULL, 0);
	} else {
		if (kp_pin(k, p))
			return -1;
		rv = p->f->C_Login(session, CKU_USER, (CK_UTF8CHAR *)k->secrets->pin, k->secrets->pin_len);
	}
	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return 0;
	if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE) {
		p->refused = true;
		explicit_bzero(k->secrets->pin, sizeof(k->secrets->pin));
		k->secrets->pin_len = 0;
	}
	return kp_rv_fail(k, rv, KH_CREDENTIALS, "log in");
}

/* An attribute of up to @size bytes; empty where the module does not give it. */
static CK_ATTRIBUTE attribute(struct kp *p, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
			      void *buf, size_t size)
{
	CK_ATTRIBUTE a = { .type = type, .pValue = buf, .ulValueLen = size };

	if (p->f->C_GetAttributeValue(session, o, &a, 1) != CKR_OK || a.ulValueLen == CK_UNAVAILABLE_INFORMATION)
		a.ulValueLen = 0;
	return a;
}

static CK_ULONG number(struct kp *p, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG v = CK_UNAVAILABLE_INFORMATION;

	return attribute(p, session, o, type, &v, sizeof(v)).ulValueLen == sizeof(v) ? v : CK_UNAVAILABLE_INFORMATION;
}

static bool flag(struct kp *p, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL v = CK_FALSE;

	return attribute(p, session, o, type, &v, sizeof(v)).ulValueLen == sizeof(v) && v;
}

/* Objects of a template, up to KEYS_MAX. */
static CK_RV find(struct kp *p, CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *out,
		  CK_ULONG *found)
{
	CK_RV rv = p->f->C_FindObjectsInit(session, template, n);
	CK_ULONG some;

	*found = 0;
	if (rv != CKR_OK)
		return rv;
	do {
		rv = p->f->C_FindObjects(session, out + *found, KEYS_MAX - *found, &some);
		*found += rv == CKR_OK ? some : 0;
	} while (rv == CKR_OK && some && *found < KEYS_MAX);
	p->f->C_FindObjectsFinal(session);
	return rv;
}

static int find_key(struct kh *k, struct kp *p, const struct kp_name *n, struct kp_key *key)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[3] = { { CKA_CLASS, &class, sizeof(class) } }, *a;
	CK_OBJECT_HANDLE objects[KEYS_MAX];
	CK_ULONG found, t = 1;
	CK_RV rv;

	a = p11_kit_uri_get_attribute(n->uri, CKA_ID);
	if (a)
		template[t++] = *a;
	a = p11_kit_uri_get_attribute(n->uri, CKA_LABEL);
	if (a)
		template[t++] = *a;
	rv = find(p, key->session, template, t, objects, &found);
	if (rv != CKR_OK)
		return kp_rv_fail(k, rv, KH_UNREACHABLE, "look for the key in the token");
	key->object = objects[0];
	if (found == 1)
		return 0;
	if (found) {
		kh_fail(k, KH_VALIDATION, "%lu keys in the token answer to that name", found);
		return kh_next(k, "give the key an id of its own (CKA_ID)");
	}
	kh_fail(k, KH_NOT_FOUND, "there is no such key in the token");
	return kh_next(k, "kcache key list --provider pkcs11 shows what there is");
}

/* What our use needs of the key. */
static int check_key(struct kh *k, struct kp *p, struct kp_key *key)
{
	bool gcm = key->mechanism == KP_GCM;
	CK_ULONG bytes = number(p, key->session, key->object, CKA_VALUE_LEN);
	CK_MECHANISM_INFO info;

	if (number(p, key->session, key->object, CKA_KEY_TYPE) != CKK_AES || bytes != KH_KEY_SIZE) {
		kh_fail(k, KH_INVALID_USAGE, "%s is not an AES key of 256 bits", key->name);
		return kh_next(k, "make one: pkcs11-tool --keygen --key-type AES:32 --sensitive");
	}
	if (!flag(p, key->session, key->object, gcm ? CKA_ENCRYPT : CKA_WRAP) ||
	    !flag(p, key->session, key->object, gcm ? CKA_DECRYPT : CKA_UNWRAP)) {
		kh_fail(k, KH_INVALID_USAGE, "%s may not %s", key->name, gcm ? "encrypt and decrypt" : "wrap and unwrap keys");
		return kh_next(k, "use a key that has %s", gcm ? "CKA_ENCRYPT and CKA_DECRYPT" : "CKA_WRAP and CKA_UNWRAP");
	}
	if (p->f->C_GetMechanismInfo(key->slot, kp_mechanism_type(key->mechanism), &info) != CKR_OK) {
		kh_fail(k, KH_INVALID_USAGE, "the token cannot do %s", gcm ? "AES-GCM" : kp_mechanism_name(key->mechanism));
		kh_next(k, "see what it can: pkcs11-tool --list-mechanisms; key wrapping binds by a hash: ?x-kcache-mechanism=key-wrap");
		return kh_name(k, "CKR_MECHANISM_INVALID");
	}
	key->extractable = flag(p, key->session, key->object, CKA_EXTRACTABLE) ||
		!flag(p, key->session, key->object, CKA_SENSITIVE);
	return 0;
}

static int name_key(struct kh *k, struct kp *p, bool serial, struct kp_key *key)
{
	unsigned char id_buf[128], label_buf[sizeof(key->label) - 1];
	CK_ATTRIBUTE id = attribute(p, key->session, key->object, CKA_ID, id_buf, sizeof(id_buf));
	CK_ATTRIBUTE label = attribute(p, key->session, key->object, CKA_LABEL, label_buf, sizeof(label_buf));

	memcpy(key->label, label_buf, label.ulValueLen);
	key->label[label.ulValueLen] = '\0';
	if (kp_name_format(&key->token, serial, &id, &label, key->mechanism, key->name, sizeof(key->name)))
		return 0;
	return kh_fail(k, KH_VALIDATION, "the canonical name of the key is too long");
}

int kp_open(struct kh *k, struct kp *p, const struct kp_name *n)
{
	struct kp_key *key = &p->key;
	CK_RV rv;
	int r;

	kp_close(p);
	memset(key, 0, sizeof(*key));
	key->mechanism = n->mechanism;
	if (find_token(k, p, n, &key->slot, &key->token))
		return -1;
	rv = p->f->C_OpenSession(key->slot, CKF_SERIAL_SESSION, NULL, NULL, &key->session);
	if (rv != CKR_OK)
		return kp_rv_fail(k, rv, KH_UNREACHABLE, "open a session with the token");
	p->open = true;
	r = kp_login(k, p, &key->token, key->session);
	if (!r)
		r = find_key(k, p, n, key);
	if (!r)
		r = name_key(k, p, p11_kit_uri_get_token_info(n->uri)->serialNumber[0], key);
	if (!r)
		r = check_key(k, p, key);
	if (r)
		kp_close(p);
	return r;
}

/* --- listing ------------------------------------------------------------------ */

static int list_key(struct kh *k, struct kp *p, struct kp_key *key, struct json_object *keys)
{
	struct json_object *o;
	struct kc_key_info info = { .provider = "pkcs11", .state = KC_KEY_ENABLED, .version = 1 };

	if (number(p, key->session, key->object, CKA_KEY_TYPE) != CKK_AES ||
	    number(p, key->session, key->object, CKA_VALUE_LEN) != KH_KEY_SIZE)
		return 0;
	if (name_key(k, p, false, key))
		return -1;
	memcpy(info.key, key->name, sizeof(info.key));
	snprintf(info.description, sizeof(info.description), "%s", key->label);
	o = json_object_new_object();
	if (o && kh_add_info(o, &info) && !json_object_array_add(keys, o))
		return 0;
	json_object_put(o);
	return kh_fail(k, KH_NO_MEMORY, "out of memory");
}

/* @alone: the only token that wants a PIN, so ours is for it; of others what is public */
static int list_token(struct kh *k, struct kp *p, CK_SLOT_ID slot, const CK_TOKEN_INFO *token, bool alone,
		      struct json_object *keys)
{
	struct kp_key key = { .slot = slot, .token = *token, .mechanism = KP_GCM };
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template = { CKA_CLASS, &class, sizeof(class) };
	CK_OBJECT_HANDLE objects[KEYS_MAX];
	CK_ULONG i, found = 0;
	CK_RV rv = p->f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &key.session);
	int r;

	if (rv != CKR_OK)
		return kp_rv_fail(k, rv, KH_UNREACHABLE, "open a session with a token");
	r = alone ? kp_login(k, p, token, key.session) : 0;
	if (!r) {
		rv = find(p, key.session, &template, 1, objects, &found);
		if (rv != CKR_OK)
			r = kp_rv_fail(k, rv, KH_UNREACHABLE, "list the keys of a token");
	}
	for (i = 0; !r && i < found; i++) {
		key.object = objects[i];
		r = list_key(k, p, &key, keys);
	}
	p->f->C_CloseSession(key.session);
	return r;
}

int kp_list(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *keys = json_object_new_array();
	struct kp *p = k->private;
	CK_TOKEN_INFO tokens[SLOTS_MAX];
	CK_SLOT_ID list[SLOTS_MAX] = { 0 };
	CK_ULONG i, n, good = 0, wanting = 0;
	int r;

	(void)args;
	if (!kc_wire_add(result, "keys", keys))
		return kh_fail(k, KH_NO_MEMORY, "out of memory");
	if (kp_load(k, p, NULL) || slots(k, p, list, &n))
		return -1;
	for (i = 0; i < n; i++) {
		if (p->f->C_GetTokenInfo(list[i], &tokens[good]) != CKR_OK ||
		    !(tokens[good].flags & CKF_TOKEN_INITIALIZED))
			continue;
		wanting += !!(tokens[good].flags & CKF_LOGIN_REQUIRED);
		list[good++] = list[i];
	}
	for (i = 0, r = 0; !r && i < good; i++)
		r = list_token(k, p, list[i], &tokens[i], wanting == 1, keys);
	return r;
}
