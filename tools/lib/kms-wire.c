// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading and writing the messages between the command and its key helper. */
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "kms-wire.h"

#define DEPTH_MAX 8
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

struct json_object *kc_wire_parse(const char *buf, size_t len)
{
	struct json_tokener *tok;
	struct json_object *o = NULL;

	if (!len || len > KC_WIRE_MAX)
		return NULL;
	tok = json_tokener_new_ex(DEPTH_MAX);
	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, buf, (int)len);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) != len || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

bool kc_wire_members(struct json_object *o, const char *const names[])
{
	int known = 0;

	for (; *names; names++)
		if (json_object_object_get_ex(o, *names, NULL))
			known++;
	return json_object_object_length(o) == known;
}

/* The member's text and its length, or NULL if it is no string or has control characters. */
static const char *text(struct json_object *o, const char *name, size_t *len)
{
	struct json_object *v;
	const char *s;
	size_t i;

	if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	*len = (size_t)json_object_get_string_len(v);
	for (i = 0; i < *len; i++) {
		unsigned char c = (unsigned char)s[i];

		/* C0, DEL, and C1 in UTF-8: a terminal may obey them */
		if (c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0))
			return NULL;
	}
	return s;
}

bool kc_wire_str(struct json_object *o, const char *name, char *out, size_t size)
{
	size_t len;
	const char *s = text(o, name, &len);

	out[0] = '\0';
	if (!s || len >= size)
		return false;
	memcpy(out, s, len + 1);
	return true;
}

bool kc_wire_int(struct json_object *o, const char *name, int64_t min, int64_t max, int64_t *out)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_int))
		return false;
	*out = json_object_get_int64(v);
	/* json-c makes the largest number of what does not fit */
	if (*out == INT64_MAX && json_object_get_uint64(v) != INT64_MAX)
		return false;
	return *out >= min && *out <= max;
}

bool kc_wire_blob(struct json_object *o, const char *name, uint8_t *out, size_t max, size_t *len)
{
	uint8_t raw[BASE64_LEN(KC_WRAPPED_MAX)];
	char again[BASE64_LEN(KC_WRAPPED_MAX) + 1];
	size_t n, b64_len;
	const char *s = text(o, name, &b64_len);
	int r;

	if (!s || !b64_len || b64_len > sizeof(raw) || b64_len % 4)
		return false;
	r = EVP_DecodeBlock(raw, (const unsigned char *)s, (int)b64_len);
	if (r < 0)
		return false;
	/* EVP_DecodeBlock() counts the padding in, and takes spaces and stray bits */
	n = (size_t)r - (s[b64_len - 1] == '=') - (s[b64_len - 2] == '=');
	if (!n || n > max || n > KC_WRAPPED_MAX ||
	    EVP_EncodeBlock((unsigned char *)again, raw, (int)n) != (int)b64_len ||
	    memcmp(again, s, b64_len))
		return false;
	memcpy(out, raw, n);
	*len = n;
	return true;
}

bool kc_wire_binding(struct json_object *o, const char *name, struct kc_binding *b)
{
	static const char *const members[] = { "provider", "key", "version", "context", NULL };
	static const char *const context_members[] = { "kcache:id", "kcache:layout",
						       "kcache:generation", NULL };
	struct json_object *v, *c;
	struct json_object *g;
	int64_t version;

	memset(b, 0, sizeof(*b));
	if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_object) ||
	    !json_object_object_get_ex(v, "context", &c) || !json_object_is_type(c, json_type_object) ||
	    !kc_wire_members(v, members) || !kc_wire_members(c, context_members) ||
	    !kc_wire_str(v, "provider", b->provider, sizeof(b->provider)) ||
	    !kc_wire_str(v, "key", b->key, sizeof(b->key)) ||
	    !kc_wire_int(v, "version", 1, INT32_MAX, &version) ||
	    !kc_wire_str(c, "kcache:id", b->context.id, sizeof(b->context.id)) ||
	    !kc_wire_str(c, "kcache:layout", b->context.layout, sizeof(b->context.layout)) ||
	    !json_object_object_get_ex(c, "kcache:generation", &g) ||
	    !json_object_is_type(g, json_type_int) || json_object_get_int64(g) < 0)
		return false;
	b->version = (unsigned int)version;
	b->context.generation = json_object_get_uint64(g);
	return true;
}

bool kc_wire_add(struct json_object *o, const char *name, struct json_object *v)
{
	if (o && v && !json_object_object_add(o, name, v))
		return true;
	json_object_put(v);
	return false;
}

bool kc_wire_add_str(struct json_object *o, const char *name, const char *s)
{
	return kc_wire_add(o, name, json_object_new_string(s));
}

bool kc_wire_add_int(struct json_object *o, const char *name, int64_t v)
{
	return kc_wire_add(o, name, json_object_new_int64(v));
}

bool kc_wire_add_blob(struct json_object *o, const char *name, const uint8_t *data, size_t len)
{
	char b64[BASE64_LEN(KC_WRAPPED_MAX) + 1];
	bool ok;

	if (len > KC_WRAPPED_MAX)
		return false;
	EVP_EncodeBlock((unsigned char *)b64, data, (int)len);
	ok = kc_wire_add_str(o, name, b64);
	/* AWS is sent a data key in this form */
	explicit_bzero(b64, sizeof(b64));
	return ok;
}

bool kc_wire_add_binding(struct json_object *o, const char *name, const struct kc_binding *b)
{
	struct json_object *v = json_object_new_object(), *c = json_object_new_object();

	if (v && c && kc_wire_add_str(v, "provider", b->provider) && kc_wire_add_str(v, "key", b->key) &&
	    kc_wire_add_int(v, "version", b->version) &&
	    kc_wire_add_str(c, "kcache:id", b->context.id) &&
	    kc_wire_add_str(c, "kcache:layout", b->context.layout) &&
	    kc_wire_add(c, "kcache:generation", json_object_new_uint64(b->context.generation))) {
		/* kc_wire_add() takes the object whether or not it could be added */
		struct json_object *context = c;

		c = NULL;
		if (kc_wire_add(v, "context", context))
			return kc_wire_add(o, name, v);
	}
	json_object_put(c);
	json_object_put(v);
	return false;
}

int64_t kc_wire_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
