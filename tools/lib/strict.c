// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Strict reading of JSON that json-c has parsed. Duplicate members cannot be
 * seen here: json-c keeps the last one, and libcryptsetup hands out what json-c
 * made of the header. No reader sees the replaced one, so there is one meaning.
 */
#include <locale.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "strict.h"

#define SHOWN_MAX 96
#define DEPTH_MAX 8

bool kc_matches(const char *re, const char *s)
{
	/*
	 * [a-z] means other things in other locales, and the token plugin runs
	 * in programs that set one. Out of memory is no match: refused, which
	 * is the safe side.
	 */
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

/* The value as it stands, short enough and printable, whoever wrote it. */
static void shown(struct json_object *v, char out[static SHOWN_MAX + 1])
{
	const char *s = v ? json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE) : "null";
	size_t i;

	/* cppcheck-suppress arrayIndexOutOfBoundsCond ; "null" ends at its NUL */
	for (i = 0; i < SHOWN_MAX && s[i]; i++)
		out[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	if (s[i])
		memcpy(out + SHOWN_MAX - 3, "...", 3);
	out[i] = '\0';
}

int kc_strict_bad(struct kc_strict *s, const char *member, struct json_object *v, const char *expected)
{
	char value[SHOWN_MAX + 1];

	shown(v, value);
	return kc_fail(s->err, KC_TAMPERED, s->next, "%s: \"%s\" is %s, not %s", s->what, member,
		       value, expected);
}

const char *kc_strict_text(struct json_object *v)
{
	const char *s;

	if (!json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

bool kc_strict_is(struct json_object *v, const char *text)
{
	const char *s = kc_strict_text(v);

	return s && !strcmp(s, text);
}

bool kc_strict_copy(struct json_object *v, const char *re, char *out, size_t size)
{
	const char *s = kc_strict_text(v);

	if (!s || strlen(s) >= size || !kc_matches(re, s))
		return false;
	memcpy(out, s, strlen(s) + 1);
	return true;
}

bool kc_strict_u64(struct json_object *v, uint64_t *out)
{
	char s[24];

	/* 18 digits fit every integer type that the value meets later */
	if (!kc_strict_copy(v, "^(0|[1-9][0-9]{0,17})$", s, sizeof(s)))
		return false;
	*out = strtoull(s, NULL, 10);
	return true;
}

bool kc_strict_int(struct json_object *v, int64_t min, int64_t max, int64_t *out)
{
	/* json-c clamps what does not fit 64 bits; callers' limits are far inside */
	if (!json_object_is_type(v, json_type_int))
		return false;
	*out = json_object_get_int64(v);
	return *out >= min && *out <= max;
}

static int unexpected_member(struct kc_strict *s, const char *name)
{
	struct json_object *v = json_object_new_string(name);
	char value[SHOWN_MAX + 1];

	shown(v, value);
	json_object_put(v);
	return kc_fail(s->err, KC_TAMPERED, s->next, "%s: there is an unexpected member %s", s->what,
		       value);
}

int kc_strict_object(struct kc_strict *s, struct json_object *o, const struct kc_member *m, size_t n)
{
	struct json_object *v;
	size_t i;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return kc_fail(s->err, KC_TAMPERED, s->next, "%s is not a JSON object", s->what);
	for (i = 0; i < n; i++) {
		if (!json_object_object_get_ex(o, m[i].name, &v)) {
			if (m[i].optional)
				continue;
			return kc_fail(s->err, KC_TAMPERED, s->next, "%s: \"%s\" is missing",
				       s->what, m[i].name);
		}
		r = m[i].parse(s, m[i].name, v);
		if (r)
			return r;
	}
	json_object_object_foreach(o, name, value) {
		(void)value;
		for (i = 0; i < n && strcmp(name, m[i].name); i++)
			;
		if (i == n)
			return unexpected_member(s, name);
	}
	return 0;
}

int kc_strict_parse(struct kc_strict *s, const char *json, size_t max, struct json_object **o)
{
	struct json_tokener *tok;
	int r = 0;

	*o = NULL;
	if (strlen(json) > max)
		return kc_fail(s->err, KC_TAMPERED, s->next, "%s has %zu bytes, more than %zu",
			       s->what, strlen(json), max);
	tok = json_tokener_new_ex(DEPTH_MAX);
	if (!tok)
		return kc_fail(s->err, KC_NOMEM, NULL, "out of memory for %s", s->what);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	/* with its NUL, or a lone number would wait for more digits */
	*o = json_tokener_parse_ex(tok, json, (int)strlen(json) + 1);
	if (json_tokener_get_error(tok) != json_tokener_success)
		r = kc_fail(s->err, KC_TAMPERED, s->next, "%s is not JSON: %s", s->what,
			    json_tokener_error_desc(json_tokener_get_error(tok)));
	json_tokener_free(tok);
	if (r) {
		json_object_put(*o);
		*o = NULL;
	}
	return r;
}
