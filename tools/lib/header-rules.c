// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The strict rules for LUKS2 metadata. LUKS2 does not authenticate it: whoever
 * can write the disk could choose the null cipher, a second segment, or a
 * digest that takes a week. So each object has the members that kcache writes,
 * with the values that it writes, before any key is asked for. The rules read
 * what libcryptsetup has parsed; the dm table is built from the same values.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "header-private.h"
#include "op.h"
#include "strict.h"

/* libcryptsetup's largest JSON area; its pretty printing can only be larger than that by a factor */
#define JSON_MAX (16 << 20)
/* ten times what kcache writes (LUKS2's minimum) and still nothing to wait for */
#define ITERATIONS_MAX 10000
#define KEYSLOT_HASH "sha256"
#define BASE64_32_RE "^[A-Za-z0-9+/]{43}=$"

/* While the metadata is walked through. */
struct walk {
	struct kc_header *h;
	uint64_t size;
	struct json_object *tokens;
	bool has_keyslot;
};

static struct walk *walk(struct kc_strict *s)
{
	return s->data;
}

/* One level down, under a name of its own. */
static int descend(const struct kc_strict *s, const char *what, struct json_object *o,
		   const struct kc_member *m, size_t n)
{
	struct kc_strict inner = *s;

	inner.what = what;
	return kc_strict_object(&inner, o, m, n);
}

static int member_is(struct kc_strict *s, const char *name, struct json_object *v, const char *text)
{
	char expected[80];

	if (kc_strict_is(v, text))
		return 0;
	snprintf(expected, sizeof(expected), "\"%s\"", text);
	return kc_strict_bad(s, name, v, expected);
}

/* Between what kcache writes and a bound under which nobody waits. */
static int on_iterations(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, 1, ITERATIONS_MAX, &n) ?
		0 : kc_strict_bad(s, name, v, "a number from 1 to 10000");
}

static int on_hash(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, KEYSLOT_HASH);
}

static int on_pbkdf2(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, "pbkdf2");
}

static int on_key_size(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, KC_DEK_SIZE, KC_DEK_SIZE, &n) ? 0 : kc_strict_bad(s, name, v, "64");
}

static int on_base64_32(struct kc_strict *s, const char *name, struct json_object *v)
{
	char text[45];

	return kc_strict_copy(v, BASE64_32_RE, text, sizeof(text)) ?
		0 : kc_strict_bad(s, name, v, "32 bytes in base64");
}

static int on_cipher(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, KC_CIPHER);
}

static int on_number(struct kc_strict *s, const char *name, struct json_object *v)
{
	uint64_t n;

	return kc_strict_u64(v, &n) ? 0 : kc_strict_bad(s, name, v, "a decimal number in a string");
}

/* Exactly ["0"], or [] where there is no keyslot. */
static int on_zero_list(struct kc_strict *s, const char *name, struct json_object *v)
{
	if (json_object_is_type(v, json_type_array) && json_object_array_length(v) == 1 &&
	    kc_strict_is(json_object_array_get_idx(v, 0), "0"))
		return 0;
	return kc_strict_bad(s, name, v, "[\"0\"]");
}

static int on_digest_keyslots(struct kc_strict *s, const char *name, struct json_object *v)
{
	if (!walk(s)->has_keyslot && json_object_is_type(v, json_type_array) &&
	    !json_object_array_length(v))
		return 0;
	return on_zero_list(s, name, v);
}

/* The only member of an object, named "0". */
static int only_child(struct kc_strict *s, const char *name, struct json_object *v,
		      struct json_object **child)
{
	if (!json_object_is_type(v, json_type_object))
		return kc_strict_bad(s, name, v, "an object");
	if (json_object_object_length(v) != 1)
		return kc_fail(s->err, KC_TAMPERED, s->next, "%s: there are %d %s, not 1", s->what,
			       json_object_object_length(v), name);
	if (!json_object_object_get_ex(v, "0", child))
		return kc_strict_bad(s, name, v, "one that is called 0");
	return 0;
}

/* segments */

static int on_seg_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, "crypt");
}

static int on_seg_size(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, "dynamic");
}

static int on_seg_encryption(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_layout *l = &walk(s)->h->layout;

	snprintf(l->cipher, sizeof(l->cipher), "%s", KC_CIPHER);
	return on_cipher(s, name, v);
}

static int on_seg_sector_size(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	if (!kc_strict_int(v, 512, 4096, &n) || n & (n - 1))
		return kc_strict_bad(s, name, v, "512, 1024, 2048 or 4096");
	walk(s)->h->layout.sector_size = (unsigned int)n;
	return 0;
}

static int on_seg_offset(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct walk *w = walk(s);
	uint64_t n;

	if (!kc_strict_u64(v, &n) || !n || n % 4096)
		return kc_strict_bad(s, name, v, "a multiple of 4096 in a string");
	if (w->size && (n >= w->size || w->size - n < w->h->layout.sector_size))
		return kc_fail(s->err, KC_TAMPERED, s->next,
			       "%s: the data starts at byte %llu, the device ends at %llu", s->what,
			       (unsigned long long)n, (unsigned long long)w->size);
	w->h->layout.offset = n;
	return 0;
}

static int on_seg_iv_tweak(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_layout *l = &walk(s)->h->layout;

	/* dm-crypt's rule: IVs of large sectors start at a sector */
	if (!kc_strict_u64(v, &l->iv_tweak) || l->iv_tweak % (l->sector_size / 512))
		return kc_strict_bad(s, name, v, "a decimal number of whole sectors in a string");
	return 0;
}

static const struct kc_member segment_members[] = {
	{ "type", on_seg_type, false },
	{ "size", on_seg_size, false },
	{ "encryption", on_seg_encryption, false },
	{ "sector_size", on_seg_sector_size, false },	/* the next two depend on it */
	{ "offset", on_seg_offset, false },
	{ "iv_tweak", on_seg_iv_tweak, false },
};

static int on_segments(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct json_object *seg = NULL;
	int r = only_child(s, name, v, &seg);

	return r ? r : descend(s, "LUKS2 segment 0", seg, segment_members,
			       KC_COUNT(segment_members));
}

/* keyslots */

static const struct kc_member kdf_members[] = {
	{ "type", on_pbkdf2, false },
	{ "hash", on_hash, false },
	{ "iterations", on_iterations, false },
	{ "salt", on_base64_32, false },
};

static int on_slot_kdf(struct kc_strict *s, const char *name, struct json_object *v)
{
	(void)name;
	return descend(s, "LUKS2 keyslot 0, kdf", v, kdf_members, KC_COUNT(kdf_members));
}

static int on_af_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, "luks1");
}

static int on_af_stripes(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, 4000, 4000, &n) ? 0 : kc_strict_bad(s, name, v, "4000");
}

static const struct kc_member af_members[] = {
	{ "type", on_af_type, false },
	{ "hash", on_hash, false },
	{ "stripes", on_af_stripes, false },
};

static int on_slot_af(struct kc_strict *s, const char *name, struct json_object *v)
{
	(void)name;
	return descend(s, "LUKS2 keyslot 0, af", v, af_members, KC_COUNT(af_members));
}

static int on_area_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, "raw");
}

/* That it lies inside the keyslots area is libcryptsetup's check. */
static const struct kc_member area_members[] = {
	{ "type", on_area_type, false },
	{ "encryption", on_cipher, false },
	{ "key_size", on_key_size, false },
	{ "offset", on_number, false },
	{ "size", on_number, false },
};

static int on_slot_area(struct kc_strict *s, const char *name, struct json_object *v)
{
	(void)name;
	return descend(s, "LUKS2 keyslot 0, area", v, area_members, KC_COUNT(area_members));
}

static int on_slot_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return member_is(s, name, v, "luks2");
}

static int on_slot_priority(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, 0, 2, &n) ? 0 : kc_strict_bad(s, name, v, "0, 1 or 2");
}

static const struct kc_member keyslot_members[] = {
	{ "type", on_slot_type, false },
	{ "key_size", on_key_size, false },
	{ "priority", on_slot_priority, true },	/* cryptsetup config --priority */
	{ "kdf", on_slot_kdf, false },
	{ "af", on_slot_af, false },
	{ "area", on_slot_area, false },
};

/*
 * A second keyslot would open the volume without the KMS. None is fine: the way
 * out through stock cryptsetup is closed then, and nothing else.
 */
static int on_keyslots(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct json_object *slot = NULL;
	int r;

	if (json_object_is_type(v, json_type_object) && !json_object_object_length(v))
		return 0;
	r = only_child(s, name, v, &slot);
	if (r)
		return r;
	walk(s)->has_keyslot = true;
	return descend(s, "LUKS2 keyslot 0", slot, keyslot_members, KC_COUNT(keyslot_members));
}

/* digests */

static const struct kc_member digest_members[] = {
	{ "type", on_pbkdf2, false },
	{ "keyslots", on_digest_keyslots, false },
	{ "segments", on_zero_list, false },
	{ "hash", on_hash, false },
	{ "iterations", on_iterations, false },
	{ "salt", on_base64_32, false },
	{ "digest", on_base64_32, false },
};

static int on_digests(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct json_object *digest = NULL;
	int r = only_child(s, name, v, &digest);

	return r ? r : descend(s, "LUKS2 digest 0", digest, digest_members,
			       KC_COUNT(digest_members));
}

/* config */

/* In the order of strcmp(), which is the canonical one. */
static const char *const known_flags[] = {
	"allow-discards", "no-journal", "no-read-workqueue", "no-write-workqueue",
	"same-cpu-crypt", "submit-from-crypt-cpus",
};

static int on_flags(struct kc_strict *s, const char *name, struct json_object *v)
{
	char *out = walk(s)->h->flags;
	size_t size = sizeof(walk(s)->h->flags);
	size_t i, j, n, seen = 0;

	if (!json_object_is_type(v, json_type_array))
		return kc_strict_bad(s, name, v, "a list of flags");
	n = json_object_array_length(v);
	for (i = 0; i < KC_COUNT(known_flags); i++) {
		size_t times = 0, used = strlen(out);

		for (j = 0; j < n; j++)
			times += kc_strict_is(json_object_array_get_idx(v, j), known_flags[i]);
		if (times)
			snprintf(out + used, size - used, "%s%s", used ? "," : "", known_flags[i]);
		seen += !!times;
	}
	return seen == n ? 0 : kc_strict_bad(s, name, v, "a list of known flags, each of them once");
}

/* libcryptsetup leaves { "mandatory": [] } behind; anything more asks for what kcache does not do. */
static int on_requirements(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct json_object *list;

	if (json_object_is_type(v, json_type_object) &&
	    (!json_object_object_length(v) ||
	     (json_object_object_length(v) == 1 &&
	      json_object_object_get_ex(v, "mandatory", &list) &&
	      json_object_is_type(list, json_type_array) && !json_object_array_length(list))))
		return 0;
	return kc_strict_bad(s, name, v, "empty");
}

static const struct kc_member config_members[] = {
	{ "json_size", on_number, false },
	{ "keyslots_size", on_number, false },
	{ "flags", on_flags, true },
	{ "requirements", on_requirements, true },
};

static int on_config(struct kc_strict *s, const char *name, struct json_object *v)
{
	(void)name;
	return descend(s, "LUKS2 config", v, config_members, KC_COUNT(config_members));
}

/* tokens */

static int by_slot(const void *a, const void *b)
{
	return ((const struct kc_token *)a)->slot - ((const struct kc_token *)b)->slot;
}

/* libcryptsetup takes any digits: "07" would be a second token 7, "4294967296" a token 0. */
static int bad_slot(struct kc_strict *s, const char *slot)
{
	struct json_object *name = json_object_new_string(slot);
	int r = kc_strict_bad(s, "tokens", name, "the number of a token, 0 to 31");

	json_object_put(name);
	return r;
}

static int on_op(struct kc_strict *s, const char *slot, struct json_object *v)
{
	struct kc_header *h = walk(s)->h;

	if (!kc_op_known(v))
		return kc_fail(s->err, KC_BUSY, "finish it with the kcache that began it",
			       "token %s is an operation that this kcache does not know", slot);
	if (!h->with_op)
		return kc_fail(s->err, KC_BUSY, "run kcache clone --new-dek on it again: it goes on where it stopped",
			       "it is being cloned with a new data key, and that did not finish");
	if (h->op)
		return kc_fail(s->err, KC_TAMPERED, s->next, "%s: there are two operations", s->what);
	h->op = malloc(sizeof(*h->op));
	if (!h->op)
		return kc_fail(s->err, KC_NOMEM, NULL, "out of memory for a token");
	return kc_op_parse(v, atoi(slot), h->op, s->err);
}

static int on_token(struct kc_strict *s, const char *slot, struct json_object *v)
{
	struct kc_header *h = walk(s)->h;
	struct json_object *type;

	if (!kc_matches("^([0-9]|[12][0-9]|3[01])$", slot))
		return bad_slot(s, slot);
	if (json_object_object_get_ex(v, "type", &type) && kc_strict_is(type, KC_OP_TYPE))
		return on_op(s, slot, v);
	return kc_token_parse(json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN),
			      atoi(slot), &h->tokens[h->n_tokens++], s->err);
}

/*
 * libcryptsetup takes a keyslot out of the tokens when it takes it out of the
 * header. A token that lists none while there is one has been edited, and would
 * close the way out through stock cryptsetup; its mac does not cover that member.
 */
static int check_keyslot(struct kc_strict *s, const struct kc_token *t)
{
	if (t->has_keyslot == walk(s)->has_keyslot)
		return 0;
	return kc_fail(s->err, KC_TAMPERED, s->next, "token %d: \"keyslots\" is %s, but there is %s keyslot",
		       t->slot, t->has_keyslot ? "[\"0\"]" : "[]", t->has_keyslot ? "no" : "a");
}

/* How many of the tokens are operations? */
static int operations(struct json_object *tokens)
{
	struct json_object *type;
	int n = 0;

	json_object_object_foreach(tokens, slot, v) {
		(void)slot;
		n += json_object_object_get_ex(v, "type", &type) && kc_strict_is(type, KC_OP_TYPE);
	}
	return n;
}

static int on_tokens(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_header *h = walk(s)->h;
	int n, r = 0;

	if (!json_object_is_type(v, json_type_object))
		return kc_strict_bad(s, name, v, "an object");
	n = json_object_object_length(v);
	if (n - operations(v) > KC_RECIPIENTS_MAX)
		return kc_fail(s->err, KC_TAMPERED, s->next, "%s: there are %d tokens, at most %d may be",
			       s->what, n, KC_RECIPIENTS_MAX);
	h->unfinished = n == 0;
	h->tokens = calloc((size_t)n + 1, sizeof(*h->tokens));
	if (!h->tokens)
		return kc_fail(s->err, KC_NOMEM, NULL, "out of memory for %d tokens", n);
	json_object_object_foreach(v, slot, token) {
		r = on_token(s, slot, token);
		if (r)
			return r;
	}
	qsort(h->tokens, h->n_tokens, sizeof(*h->tokens), by_slot);
	for (n = 0; n < (int)h->n_tokens; n++) {
		r = check_keyslot(s, &h->tokens[n]);
		if (r)
			return r;
	}
	for (n = 1; n < (int)h->n_tokens; n++)
		if (h->tokens[n].binding.context.generation !=
		    h->tokens[0].binding.context.generation)
			return kc_fail(s->err, KC_TAMPERED, s->next,
				       "tokens %d and %d are of different generations, %llu and %llu",
				       h->tokens[0].slot, h->tokens[n].slot,
				       (unsigned long long)h->tokens[0].binding.context.generation,
				       (unsigned long long)h->tokens[n].binding.context.generation);
	if (!h->op)
		return 0;
	if (!h->n_tokens || walk(s)->has_keyslot ||
	    h->op->t[0].binding.context.generation != h->tokens[0].binding.context.generation + 1 ||
	    !strcmp(h->op->t[0].binding.context.id, h->layout.uuid))
		return kc_fail(s->err, KC_TAMPERED, s->next, "%s: the operation is none that this volume can have",
			       s->what);
	return 0;
}

static const struct kc_member header_members[] = {
	{ "segments", on_segments, false },
	{ "keyslots", on_keyslots, false },
	{ "digests", on_digests, false },
	{ "config", on_config, false },
	{ "tokens", on_tokens, false },
};

/* Is there a token of ours, whatever the header says of itself? */
static bool has_our_token(struct json_object *o)
{
	struct json_object *tokens, *type;

	if (!json_object_object_get_ex(o, "tokens", &tokens) ||
	    !json_object_is_type(tokens, json_type_object))
		return false;
	json_object_object_foreach(tokens, slot, v) {
		(void)slot;
		if (json_object_object_get_ex(v, "type", &type) &&
		    (kc_strict_is(type, KC_TOKEN_TYPE) || kc_strict_is(type, KC_OP_TYPE)))
			return true;
	}
	return false;
}

static int check_identity(struct kc_strict *s, struct json_object *o)
{
	struct kc_header *h = walk(s)->h;
	const char *subsystem = crypt_get_subsystem(h->cd);
	const char *uuid = crypt_get_uuid(h->cd);
	bool ours = subsystem && !strcmp(subsystem, KC_SUBSYSTEM);

	if (!ours && !has_our_token(o))
		return kc_fail(s->err, KC_DEVICE, "use cryptsetup for it",
			       "this is a LUKS2 volume, but not a kcache volume");
	if (!ours)
		return kc_fail(s->err, KC_TAMPERED, s->next,
			       "LUKS2 header: the subsystem is not \"" KC_SUBSYSTEM "\"");
	if (!uuid || !kc_uuid_valid(uuid))
		return kc_fail(s->err, KC_TAMPERED, s->next,
			       "LUKS2 header: the UUID is not a lower-case UUID");
	memcpy(h->layout.uuid, uuid, KC_UUID_LEN + 1);
	h->layout.key_bits = KC_DEK_SIZE * 8;
	return 0;
}

int kc_header_rules(struct kc_header *h, uint64_t size, struct kc_error *err)
{
	struct walk w = { .h = h, .size = size };
	struct kc_strict s = { .what = "LUKS2 metadata", .next = KC_NEXT_EDITED, .data = &w,
			       .err = err };
	struct json_object *o;
	int r = kc_strict_parse(&s, h->json, JSON_MAX, &o);

	if (!r)
		r = check_identity(&s, o);
	if (!r)
		r = kc_strict_object(&s, o, header_members, KC_COUNT(header_members));
	json_object_put(o);
	return r ? r : kc_canon_layout(&h->layout, h->layout_hex, err);
}
