// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The token's JSON, read strictly: one table says what each member must be.
 *
 * A token comes from a disk that anyone may have written, and is read before
 * any KMS is asked and before its mac can be checked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>
#include <openssl/evp.h>

#include "strict.h"
#include "token.h"

/* base64 of KC_WRAPPED_MAX, a key name and the rest, with room */
#define JSON_MAX 16384
#define BASE64_MAX ((KC_WRAPPED_MAX + 2) / 3 * 4)

/* Canonical key ids; an alias matches none of them. */
static const struct {
	const char *provider;
	const char *re;
} key_forms[] = {
	{ "local", "^local:" KC_UUID_RE "$" },
	{ "aws", "^arn:aws(-[a-z]+)*:kms:[a-z]{2}(-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:"
		 "key/(" KC_UUID_RE "|mrk-[0-9a-f]{32})$" },
	{ "pkcs11", "^pkcs11:[!-~]+$" },
	{ "tpm2", "^tpm2:[!-~]+$" },
};

static const char *const on_revoke_names[] = {
	[KC_REVOKE_KEEP] = "keep",
	[KC_REVOKE_FAIL] = "fail",
	[KC_REVOKE_FREEZE] = "freeze",
};

const char *kc_on_revoke_name(enum kc_on_revoke v)
{
	return (size_t)v < KC_COUNT(on_revoke_names) ? on_revoke_names[v] : "unknown";
}

bool kc_on_revoke_parse(const char *name, enum kc_on_revoke *v)
{
	size_t i;

	for (i = 0; i < KC_COUNT(on_revoke_names); i++) {
		if (strcmp(name, on_revoke_names[i]) != 0)
			continue;
		*v = (enum kc_on_revoke)i;
		return true;
	}
	return false;
}

bool kc_uuid_valid(const char *s)
{
	return strlen(s) == KC_UUID_LEN && kc_matches("^" KC_UUID_RE "$", s);
}

bool kc_key_canonical(const char *provider, const char *key)
{
	size_t i;

	if (strlen(key) >= KC_KEY_NAME_MAX)
		return false;
	for (i = 0; i < KC_COUNT(key_forms); i++)
		if ((!provider || !strcmp(provider, key_forms[i].provider)) &&
		    kc_matches(key_forms[i].re, key))
			return true;
	return false;
}

static struct kc_token *token(struct kc_strict *s)
{
	return s->data;
}

static int on_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_is(v, KC_TOKEN_TYPE) ?
		0 : kc_strict_bad(s, name, v, "\"" KC_TOKEN_TYPE "\"");
}

static int on_keyslots(struct kc_strict *s, const char *name, struct json_object *v)
{
	size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 2;

	if (n > 1 || (n && !kc_strict_is(json_object_array_get_idx(v, 0), "0")))
		return kc_strict_bad(s, name, v, "[\"0\"] or []");
	token(s)->has_keyslot = n;
	return 0;
}

static int on_version(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t version;

	if (!kc_strict_int(v, KC_TOKEN_VERSION, KC_TOKEN_VERSION, &version))
		return kc_strict_bad(s, name, v, "1, the version this kcache knows");
	token(s)->binding.version = (unsigned int)version;
	return 0;
}

static int on_provider(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_binding *b = &token(s)->binding;

	return kc_strict_copy(v, "^(local|aws|pkcs11|tpm2)$", b->provider, sizeof(b->provider)) ?
		0 : kc_strict_bad(s, name, v, "one of local, aws, pkcs11, tpm2");
}

/* Read after the provider, which decides on the form. */
static int on_key(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_binding *b = &token(s)->binding;

	return kc_strict_copy(v, "^[!-~]+$", b->key, sizeof(b->key)) &&
	       kc_key_canonical(b->provider, b->key) ?
		0 : kc_strict_bad(s, name, v, "a canonical key id of its provider");
}

static int on_wrapped(struct kc_strict *s, const char *name, struct json_object *v)
{
	const char *expected = "1 to 6144 bytes in canonical base64";
	uint8_t raw[BASE64_MAX / 4 * 3];
	char again[BASE64_MAX + 1];
	const char *text = kc_strict_text(v);
	size_t len = text ? strlen(text) : 0;
	int n;

	if (!len || len > BASE64_MAX || len % 4)
		return kc_strict_bad(s, name, v, expected);
	n = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len);
	if (n <= 0)
		return kc_strict_bad(s, name, v, expected);
	/* EVP_DecodeBlock() counts the padding and allows white space and loose last bits */
	n -= (text[len - 1] == '=') + (text[len - 2] == '=');
	if (n <= 0 || n > KC_WRAPPED_MAX ||
	    EVP_EncodeBlock((unsigned char *)again, raw, n) != (int)len || strcmp(again, text))
		return kc_strict_bad(s, name, v, expected);
	memcpy(token(s)->wrapped, raw, (size_t)n);
	token(s)->wrapped_len = (size_t)n;
	return 0;
}

static int on_id(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_context *c = &token(s)->binding.context;

	return kc_strict_copy(v, "^" KC_UUID_RE "$", c->id, sizeof(c->id)) ?
		0 : kc_strict_bad(s, name, v, "a lower-case UUID");
}

static int on_layout(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_context *c = &token(s)->binding.context;

	return kc_strict_copy(v, "^[0-9a-f]{64}$", c->layout, sizeof(c->layout)) ?
		0 : kc_strict_bad(s, name, v, "64 lower-case hex digits");
}

static int on_generation(struct kc_strict *s, const char *name, struct json_object *v)
{
	uint64_t *generation = &token(s)->binding.context.generation;

	return kc_strict_u64(v, generation) && *generation ?
		0 : kc_strict_bad(s, name, v, "a generation, a decimal number from 1 in a string");
}

static const struct kc_member context_members[] = {
	{ "kcache:id", on_id, false },
	{ "kcache:layout", on_layout, false },
	{ "kcache:generation", on_generation, false },
};

static int on_context(struct kc_strict *s, const char *name, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_object))
		return kc_strict_bad(s, name, v, "an object");
	return kc_strict_object(s, v, context_members, KC_COUNT(context_members));
}

static int on_lineage(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_copy(v, "^[0-9a-f]{32}$", token(s)->lineage, sizeof(token(s)->lineage)) ?
		0 : kc_strict_bad(s, name, v, "32 lower-case hex digits");
}

static int on_mac(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_copy(v, "^[0-9a-f]{64}$", token(s)->mac, sizeof(token(s)->mac)) ?
		0 : kc_strict_bad(s, name, v, "64 lower-case hex digits");
}

static int on_created(struct kc_strict *s, const char *name, struct json_object *v)
{
	const char *expected = "a time like 2026-11-21T10:00:00Z (RFC 3339, UTC)";
	char *created = token(s)->created;
	char again[sizeof(token(s)->created)];
	struct tm tm = { 0 };
	const char *rest;
	time_t when;

	if (!kc_strict_copy(v, "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", created,
			    sizeof(token(s)->created)))
		return kc_strict_bad(s, name, v, expected);
	rest = strptime(created, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!rest || *rest)
		return kc_strict_bad(s, name, v, expected);
	/* there and back, which a 30th of February does not survive */
	when = timegm(&tm);
	if (!gmtime_r(&when, &tm) || !strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &tm) ||
	    strcmp(again, created))
		return kc_strict_bad(s, name, v, expected);
	return 0;
}

static int on_lease(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t lease;

	if (!kc_strict_int(v, 0, UINT32_MAX, &lease))
		return kc_strict_bad(s, name, v, "a number of seconds from 0 to 4294967295");
	token(s)->lease = (uint32_t)lease;
	return 0;
}

static int on_on_revoke(struct kc_strict *s, const char *name, struct json_object *v)
{
	size_t i;

	for (i = 0; i < KC_COUNT(on_revoke_names); i++) {
		if (!kc_strict_is(v, on_revoke_names[i]))
			continue;
		token(s)->on_revoke = (enum kc_on_revoke)i;
		return 0;
	}
	return kc_strict_bad(s, name, v, "one of keep, fail, freeze");
}

static const struct kc_member token_members[] = {
	{ "type", on_type, false },
	{ "version", on_version, false },	/* before what another version may have changed */
	{ "keyslots", on_keyslots, false },
	{ "provider", on_provider, false },
	{ "key", on_key, false },
	{ "wrapped_dek", on_wrapped, false },
	{ "context", on_context, false },
	{ "lineage", on_lineage, false },
	{ "created", on_created, false },
	{ "lease", on_lease, false },
	{ "on_revoke", on_on_revoke, false },
	{ "mac", on_mac, false },
};

int kc_token_parse(const char *json, int slot, struct kc_token *t, struct kc_error *err)
{
	char what[32];
	struct kc_strict s = { .what = what, .next = KC_NEXT_EDITED, .data = t, .err = err };
	struct json_object *o;
	int r;

	memset(t, 0, sizeof(*t));
	t->slot = slot;
	snprintf(what, sizeof(what), slot < 0 ? "the token" : "token %d", slot);
	r = kc_strict_parse(&s, json, JSON_MAX, &o);
	if (!r)
		r = kc_strict_object(&s, o, token_members, KC_COUNT(token_members));
	json_object_put(o);
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
