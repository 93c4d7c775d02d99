// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of keys: RFC 7512. The canonical one has, in this order, the key's id
 * (or its label, if it has no id), the token's serial number only where the
 * name had it (a token restored on another device has another), the token's
 * label, and the type; then the mechanism, if it is not AES-GCM. Never a PIN, a
 * file or a module: it comes from a disk that anyone may have written.
 */
#include <stdio.h>
#include <string.h>

#include "token.h"

#define QUERY "x-kcache-mechanism"

static int bad_name(struct kh *k, const char *s, const char *why)
{
	kh_fail(k, KH_VALIDATION, "\"%.200s\" is no name of a key in a token: %s", s, why);
	return kh_next(k, "name it like pkcs11:token=LABEL;object=LABEL or pkcs11:token=LABEL;id=%%01");
}

static int mechanism(struct kh *k, const char *s, struct kp_name *n)
{
	const char *name = p11_kit_uri_get_vendor_query(n->uri, QUERY);
	int m;

	n->mechanism = KP_GCM;
	for (m = KP_GCM + 1; name && m < KP_N_MECHANISMS; m++)
		if (!strcmp(kp_mechanism_name((enum kp_mechanism)m), name))
			n->mechanism = (enum kp_mechanism)m;
	return name && n->mechanism == KP_GCM ?
		bad_name(k, s, QUERY " is key-wrap, key-wrap-pad or key-wrap-kwp") : 0;
}

int kp_name_parse(struct kh *k, const char *s, struct kp_name *n)
{
	const CK_TOKEN_INFO *token;
	CK_ATTRIBUTE *class;
	int r;

	n->uri = p11_kit_uri_new();
	if (!n->uri)
		return kh_fail(k, KH_NO_MEMORY, "out of memory");
	r = p11_kit_uri_parse(s, P11_KIT_URI_FOR_OBJECT_ON_TOKEN_AND_MODULE, n->uri);
	if (r)
		return bad_name(k, s, p11_kit_uri_message(r) ? p11_kit_uri_message(r) : "no such syntax");
	if (p11_kit_uri_any_unrecognized(n->uri))
		return bad_name(k, s, "it has an attribute that nobody knows");
	/* the text of this failure must not quote it */
	if (p11_kit_uri_get_pin_value(n->uri)) {
		kh_fail(k, KH_VALIDATION, "a PIN stands in the name of the key, where everybody sees it");
		return kh_next(k, "put it into a file: pin-source=file:/PATH, or pkcs11_pin_file in kcache.conf; and change it");
	}
	token = p11_kit_uri_get_token_info(n->uri);
	/* p11-kit leaves what the URI does not name as zeros */
	if (!token->label[0] && !token->serialNumber[0])
		return bad_name(k, s, "it names no token");
	if (!p11_kit_uri_get_attribute(n->uri, CKA_ID) && !p11_kit_uri_get_attribute(n->uri, CKA_LABEL))
		return bad_name(k, s, "it names no object in the token");
	class = p11_kit_uri_get_attribute(n->uri, CKA_CLASS);
	if (class && (class->ulValueLen != sizeof(CK_OBJECT_CLASS) ||
		      *(CK_OBJECT_CLASS *)class->pValue != CKO_SECRET_KEY)) {
		kh_fail(k, KH_INVALID_USAGE, "\"%.200s\" is not a secret key", s);
		return kh_next(k, "name an AES key of 256 bits: type=secret-key");
	}
	return mechanism(k, s, n);
}

void kp_name_free(struct kp_name *n)
{
	p11_kit_uri_free(n->uri);
	n->uri = NULL;
}

void kp_text(const unsigned char *field, size_t len, char *out)
{
	while (len && (field[len - 1] == ' ' || !field[len - 1]))
		len--;
	memcpy(out, field, len);
	out[len] = '\0';
}

/** struct text - a growing name; len beyond size once it did not fit */
struct text {
	char *out;
	size_t len;
	size_t size;
};

static void add(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (t->len < t->size && n < t->size - t->len)
		memcpy(t->out + t->len, s, n + 1);
	t->len += n;
}

/* RFC 7512: letters, digits and four more stand for themselves; of an id, nothing does. */
static void add_encoded(struct text *t, const unsigned char *v, size_t n, bool binary)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char one[4];

	for (; n; n--, v++) {
		snprintf(one, sizeof(one), !binary && *v && strchr(plain, *v) ? "%c" : "%%%02X", *v);
		add(t, one);
	}
}

bool kp_name_format(const CK_TOKEN_INFO *token, bool serial, const CK_ATTRIBUTE *id, const CK_ATTRIBUTE *label,
		    enum kp_mechanism m, char *out, size_t size)
{
	struct text t = { .out = out, .size = size };
	char field[64];

	add(&t, "pkcs11:");
	if (id->ulValueLen) {
		add(&t, "id=");
		add_encoded(&t, id->pValue, id->ulValueLen, true);
	} else {
		add(&t, "object=");
		add_encoded(&t, label->pValue, label->ulValueLen, false);
	}
	if (serial) {
		kp_text(token->serialNumber, sizeof(token->serialNumber), field);
		add(&t, ";serial=");
		add_encoded(&t, (unsigned char *)field, strlen(field), false);
	}
	kp_text(token->label, sizeof(token->label), field);
	if (*field) {
		add(&t, ";token=");
		add_encoded(&t, (unsigned char *)field, strlen(field), false);
	}
	add(&t, ";type=secret-key");
	if (kp_mechanism_name(m)) {
		add(&t, "?" QUERY "=");
		add(&t, kp_mechanism_name(m));
	}
	return t.len < size;
}
