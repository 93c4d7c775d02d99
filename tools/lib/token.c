// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The token's JSON, read strictly: one table says what each member must be.
 *
 * A token comes from a disk that anyone may have written, and is read before
 * any KMS is asked and before its mac can be checked. Duplicate members cannot
 * be seen here: libcryptsetup hands out what json-c made of the header, where
 * the last one has replaced the others. No reader of ours sees the replaced
 * one either, and what is left is under the mac.
 */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>
#include <openssl/evp.h>

#include "token.h"

/* base64 of KC_WRAPPED_MAX, a key name and the rest, with room */
#define JSON_MAX 16384
#define BASE64_MAX ((KC_WRAPPED_MAX + 2) / 3 * 4)

#define NEXT_EDITED "the header was edited or is damaged: restore it from a backup of the header"
#define UUID_RE "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

/* Canonical key ids; an alias matches none of them. */
static const struct {
	const char *provider;
	const char *re;
} key_forms[] = {
	{ "local", "^local:" UUID_RE "$" },
	{ "aws", "^arn:aws(-[a-z]+)*:kms:[a-z]{2}(-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:"
		 "key/(" UUID_RE "|mrk-[0-9a-f]{32})$" },
	{ "pkcs11", "^pkcs11:[!-~]+$" },
	{ "tpm2", "^tpm2:[!-~]+$" },
};

static const char *const on_revoke_names[] = {
	[KC_REVOKE_KEEP] = "keep",
	[KC_REVOKE_FAIL] = "fail",
	[KC_REVOKE_FREEZE] = "freeze",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *kc_on_revoke_name(enum kc_on_revoke v)
{
	return (size_t)v < COUNT(on_revoke_names) ? on_revoke_names[v] : "unknown";
}

/*
 * In the C locale: [a-z] means other things in others, and the token plugin
 * runs in programs that set one. Out of memory is no match: refused, which is
 * the safe side.
 */
static bool matches(const char *re, const char *s)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale_t old;
	regex_t r;
	bool ok = false;

	if (!c)
		return false;
	old = uselocale(c);
	if (!regcomp(&r, re, REG_EXTENDED | REG_NOSUB)) {
		ok = !regexec(&r, s, 0, NULL, 0);
		regfree(&r);
	}
	uselocale(old);
	freelocale(c);
	return ok;
}

bool kc_uuid_valid(const char *s)
{
	return strlen(s) == KC_UUID_LEN && matches("^" UUID_RE "$", s);
}

bool kc_key_canonical(const char *provider, const char *key)
{
	size_t i;

	if (strlen(key) >= KC_KEY_NAME_MAX)
		return false;
	for (i = 0; i < COUNT(key_forms); i++)
		if ((!provider || !strcmp(provider, key_forms[i].provider)) &&
		    matches(key_forms[i].re, key))
			return true;
	return false;
}

/* The value as it stands, short enough and printable, whoever wrote it. */
static void shown(struct json_object *v, char out[static 100])
{
	const char *s = v ? json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE) : "null";
	size_t i;

	/* cppcheck-suppress arrayIndexOutOfBoundsCond ; "null" ends at its NUL */
	for (i = 0; i < 96 && s[i]; i++)
		out[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	if (s[i])
		memcpy(out + 93, "...", 3);
	out[i] = '\0';
}

struct parse {
	struct kc_token *t;
	struct kc_error *err;
	int slot;
};

static int bad(struct parse *p, const char *member, struct json_object *v, const char *expected)
{
	char value[100];

	shown(v, value);
	return kc_fail(p->err, KC_TAMPERED, NEXT_EDITED, "token %d: \"%s\" is %s, not %s", p->slot,
		       member, value, expected);
}

/* The text of a string without NULs in it, or NULL. */
static const char *text(struct json_object *v)
{
	const char *s;

	if (!json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

/* Copies @v to @out, a buffer of @size, if it is text that matches @re. */
static bool copy(struct json_object *v, const char *re, char *out, size_t size)
{
	const char *s = text(v);

	if (!s || strlen(s) >= size || !matches(re, s))
		return false;
	memcpy(out, s, strlen(s) + 1);
	return true;
}

static int on_type(struct parse *p, const char *name, struct json_object *v)
{
	const char *s = text(v);

	return s && !strcmp(s, KC_TOKEN_TYPE) ? 0 : bad(p, name, v, "\"" KC_TOKEN_TYPE "\"");
}

static int on_keyslots(struct parse *p, const char *name, struct json_object *v)
{
	const char *s;

	if (!json_object_is_type(v, json_type_array))
		return bad(p, name, v, "a list of keyslots");
	p->t->has_keyslot = json_object_array_length(v) == 1;
	if (!json_object_array_length(v))
		return 0;
	s = text(json_object_array_get_idx(v, 0));
	if (!p->t->has_keyslot || !s || strcmp(s, "0"))
		return bad(p, name, v, "[\"0\"] or []");
	return 0;
}

static int on_version(struct parse *p, const char *name, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) != KC_TOKEN_VERSION)
		return bad(p, name, v, "1, the version this kcache knows");
	p->t->binding.version = KC_TOKEN_VERSION;
	return 0;
}

static int on_provider(struct parse *p, const char *name, struct json_object *v)
{
	return copy(v, "^(local|aws|pkcs11|tpm2)$", p->t->binding.provider,
		    sizeof(p->t->binding.provider)) ?
		0 : bad(p, name, v, "one of local, aws, pkcs11, tpm2");
}

/* Its form depends on the provider, which is checked once both are there. */
static int on_key(struct parse *p, const char *name, struct json_object *v)
{
	return copy(v, "^[!-~]+$", p->t->binding.key, sizeof(p->t->binding.key)) ?
		0 : bad(p, name, v, "a canonical key id of at most 511 characters");
}

static int on_wrapped(struct parse *p, const char *name, struct json_object *v)
{
	const char *expected = "1 to 6144 bytes in canonical base64";
	uint8_t raw[BASE64_MAX / 4 * 3 + 1];
	char again[BASE64_MAX + 1];
	const char *s = text(v);
	size_t len = s ? strlen(s) : 0;
	int n;

	if (!len || len > BASE64_MAX || len % 4)
		return bad(p, name, v, expected);
	n = EVP_DecodeBlock(raw, (const unsigned char *)s, (int)len);
	if (n <= 0)
		return bad(p, name, v, expected);
	/* EVP_DecodeBlock() counts the padding and allows white space and loose last bits */
	n -= (s[len - 1] == '=') + (s[len - 2] == '=');
	if (n <= 0 || n > KC_WRAPPED_MAX ||
	    EVP_EncodeBlock((unsigned char *)again, raw, n) != (int)len || strcmp(again, s))
		return bad(p, name, v, expected);
	memcpy(p->t->wrapped, raw, (size_t)n);
	p->t->wrapped_len = (size_t)n;
	return 0;
}

static int on_id(struct parse *p, const char *name, struct json_object *v)
{
	return copy(v, "^" UUID_RE "$", p->t->binding.context.id, sizeof(p->t->binding.context.id)) ?
		0 : bad(p, name, v, "a lower-case UUID");
}

static int on_layout(struct parse *p, const char *name, struct json_object *v)
{
	return copy(v, "^[0-9a-f]{64}$", p->t->binding.context.layout,
		    sizeof(p->t->binding.context.layout)) ?
		0 : bad(p, name, v, "64 lower-case hex digits");
}

static int on_generation(struct parse *p, const char *name, struct json_object *v)
{
	char s[24];

	/* at most 18 digits, so that it fits every integer type it meets */
	if (!copy(v, "^[1-9][0-9]{0,17}$", s, sizeof(s)))
		return bad(p, name, v, "a generation, a decimal number from 1 in a string");
	p->t->binding.context.generation = strtoull(s, NULL, 10);
	return 0;
}

static int on_lineage(struct parse *p, const char *name, struct json_object *v)
{
	return copy(v, "^[0-9a-f]{32}$", p->t->lineage, sizeof(p->t->lineage)) ?
		0 : bad(p, name, v, "32 lower-case hex digits");
}

static int on_mac(struct parse *p, const char *name, struct json_object *v)
{
	return copy(v, "^[0-9a-f]{64}$", p->t->mac, sizeof(p->t->mac)) ?
		0 : bad(p, name, v, "64 lower-case hex digits");
}

static int on_created(struct parse *p, const char *name, struct json_object *v)
{
	const char *expected = "a time like 2026-11-21T10:00:00Z (RFC 3339, UTC)";
	char again[sizeof(p->t->created)];
	struct tm tm = { 0 };
	const char *rest;
	time_t when;

	if (!copy(v, "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", p->t->created,
		  sizeof(p->t->created)))
		return bad(p, name, v, expected);
	rest = strptime(p->t->created, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!rest || *rest)
		return bad(p, name, v, expected);
	/* there and back, which a 30th of February does not survive */
	when = timegm(&tm);
	strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
	return strcmp(again, p->t->created) ? bad(p, name, v, expected) : 0;
}

static int on_lease(struct parse *p, const char *name, struct json_object *v)
{
	/* json-c clamps what does not fit 64 bits, which is still out of range */
	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0 ||
	    json_object_get_int64(v) > UINT32_MAX)
		return bad(p, name, v, "a number of seconds from 0 to 4294967295");
	p->t->lease = (uint32_t)json_object_get_int64(v);
	return 0;
}

static int on_on_revoke(struct parse *p, const char *name, struct json_object *v)
{
	const char *s = text(v);
	size_t i;

	for (i = 0; s && i < COUNT(on_revoke_names); i++) {
		if (strcmp(s, on_revoke_names[i]))
			continue;
		p->t->on_revoke = (enum kc_on_revoke)i;
		return 0;
	}
	return bad(p, name, v, "one of keep, fail, freeze");
}

typedef int (*member_fn)(struct parse *p, const char *name, struct json_object *v);

struct member {
	const char *name;
	member_fn parse;
};

static int on_context(struct parse *p, const char *name, struct json_object *v);

static const struct member token_members[] = {
	{ "type", on_type },
	{ "version", on_version },	/* before what another version may have changed */
	{ "keyslots", on_keyslots },
	{ "provider", on_provider },
	{ "key", on_key },
	{ "wrapped_dek", on_wrapped },
	{ "context", on_context },
	{ "lineage", on_lineage },
	{ "created", on_created },
	{ "lease", on_lease },
	{ "on_revoke", on_on_revoke },
	{ "mac", on_mac },
};

static const struct member context_members[] = {
	{ "kcache:id", on_id },
	{ "kcache:layout", on_layout },
	{ "kcache:generation", on_generation },
};

/* Every member of the table is there and right, and no other one is. */
static int parse_object(struct parse *p, struct json_object *o, const struct member *m, size_t n)
{
	struct json_object *v;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		if (!json_object_object_get_ex(o, m[i].name, &v))
			return kc_fail(p->err, KC_TAMPERED, NEXT_EDITED,
				       "token %d: \"%s\" is missing", p->slot, m[i].name);
		r = m[i].parse(p, m[i].name, v);
		if (r)
			return r;
	}
	json_object_object_foreach(o, name, value) {
		for (i = 0; i < n && strcmp(name, m[i].name); i++)
			;
		if (i == n) {
			struct json_object *s = json_object_new_string(name);

			r = bad(p, "members", s, "a member that a kcache token has");
			json_object_put(s);
			(void)value;
			return r;
		}
	}
	return 0;
}

static int on_context(struct parse *p, const char *name, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_object))
		return bad(p, name, v, "an object");
	return parse_object(p, v, context_members, COUNT(context_members));
}

static int parse_token(struct parse *p, struct json_object *o)
{
	struct kc_binding *b = &p->t->binding;
	struct json_object *key;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return kc_fail(p->err, KC_TAMPERED, NEXT_EDITED, "token %d is not a JSON object",
			       p->slot);
	r = parse_object(p, o, token_members, COUNT(token_members));
	if (r)
		return r;
	if (!kc_key_canonical(b->provider, b->key)) {
		json_object_object_get_ex(o, "key", &key);
		return bad(p, "key", key, "a canonical key id of its provider");
	}
	return 0;
}

int kc_token_parse(const char *json, int slot, struct kc_token *t, struct kc_error *err)
{
	struct parse p = { .t = t, .err = err, .slot = slot };
	struct json_tokener *tok;
	struct json_object *o;
	int r;

	memset(t, 0, sizeof(*t));
	t->slot = slot;
	if (strlen(json) > JSON_MAX)
		return kc_fail(err, KC_TAMPERED, NEXT_EDITED, "token %d has %zu bytes, more than %d",
			       slot, strlen(json), JSON_MAX);
	tok = json_tokener_new_ex(4);
	if (!tok)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for token %d", slot);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	/* with its NUL, or a lone number would wait for more digits */
	o = json_tokener_parse_ex(tok, json, (int)strlen(json) + 1);
	if (json_tokener_get_error(tok) == json_tokener_success)
		r = parse_token(&p, o);
	else
		r = kc_fail(err, KC_TAMPERED, NEXT_EDITED, "token %d is not JSON: %s", slot,
			    json_tokener_error_desc(json_tokener_get_error(tok)));
	json_object_put(o);
	json_tokener_free(tok);
	return r;
}

/* json_object_object_add() takes over the value only when it works. */
static bool add(struct json_object *o, const char *name, struct json_object *v)
{
	if (!v)
		return false;
	if (json_object_object_add(o, name, v)) {
		json_object_put(v);
		return false;
	}
	return true;
}

static bool add_text(struct json_object *o, const char *name, const char *s)
{
	return add(o, name, json_object_new_string(s));
}

static bool add_keyslots(struct json_object *o, bool has_keyslot)
{
	struct json_object *a = json_object_new_array();
	struct json_object *s = has_keyslot ? json_object_new_string("0") : NULL;

	if (a && has_keyslot && (!s || json_object_array_add(a, s))) {
		json_object_put(s);
		json_object_put(a);
		return false;
	}
	return add(o, "keyslots", a);
}

static bool add_context(struct json_object *o, const struct kc_context *c)
{
	struct json_object *ctx = json_object_new_object();
	char generation[24];

	if (!ctx || !add(o, "context", ctx))
		return false;
	snprintf(generation, sizeof(generation), "%" PRIu64, c->generation);
	return add_text(ctx, "kcache:id", c->id) && add_text(ctx, "kcache:layout", c->layout) &&
	       add_text(ctx, "kcache:generation", generation);
}

int kc_token_format(const struct kc_token *t, char **json, struct kc_error *err)
{
	struct json_object *o = json_object_new_object();
	char wrapped[BASE64_MAX + 1];
	const char *s = NULL;

	*json = NULL;
	if (!t->wrapped_len || t->wrapped_len > KC_WRAPPED_MAX) {
		json_object_put(o);
		return kc_fail(err, KC_USAGE, "use a key whose wrapped data key is smaller",
			       "the wrapped data key has %zu bytes, a token holds 1 to %d",
			       t->wrapped_len, KC_WRAPPED_MAX);
	}
	EVP_EncodeBlock((unsigned char *)wrapped, t->wrapped, (int)t->wrapped_len);
	if (o && add_text(o, "type", KC_TOKEN_TYPE) && add_keyslots(o, t->has_keyslot) &&
	    add(o, "version", json_object_new_int64(t->binding.version)) &&
	    add_text(o, "provider", t->binding.provider) && add_text(o, "key", t->binding.key) &&
	    add_text(o, "wrapped_dek", wrapped) && add_context(o, &t->binding.context) &&
	    add_text(o, "lineage", t->lineage) && add_text(o, "created", t->created) &&
	    add(o, "lease", json_object_new_int64(t->lease)) &&
	    add_text(o, "on_revoke", kc_on_revoke_name(t->on_revoke)) && add_text(o, "mac", t->mac))
		s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (s)
		*json = strdup(s);
	json_object_put(o);
	return *json ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for a token");
}
