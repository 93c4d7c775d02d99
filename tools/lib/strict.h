/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON from a disk that anyone may have written: each object has a table of
 * members, what is missing, unknown or of another form is refused by name.
 */
#ifndef KC_STRICT_H
#define KC_STRICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "error.h"

#define KC_UUID_RE "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#define KC_NEXT_EDITED "the header was edited or is damaged: restore it from a backup of the header"
#define KC_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/**
 * struct kc_strict - what is being read
 * @what: how it is called in an error: "token 0"
 * @next: the next step, should it be refused
 * @data: for the functions of the table
 */
struct kc_strict {
	const char *what;
	const char *next;
	void *data;
	struct kc_error *err;
};

/** struct kc_member - a member of an object, and what reads it; @parse returns 0 or an exit code */
struct kc_member {
	const char *name;
	int (*parse)(struct kc_strict *s, const char *name, struct json_object *v);
	bool optional;
};

/**
 * kc_strict_parse() - JSON text to an object, nothing after it
 * @max: most bytes of text
 * @o: json_object_put() it
 *
 * Return: 0 or KC_TAMPERED.
 */
int kc_strict_parse(struct kc_strict *s, const char *json, size_t max, struct json_object **o);

/** kc_strict_object() - every member of the table is in @o and right, and no other one is there */
int kc_strict_object(struct kc_strict *s, struct json_object *o, const struct kc_member *m, size_t n);

/** kc_strict_bad() - refuse @v, the value of @member; @expected follows "not" */
int kc_strict_bad(struct kc_strict *s, const char *member, struct json_object *v, const char *expected);

/** kc_strict_text() - the text of a string without NULs in it, or NULL */
const char *kc_strict_text(struct json_object *v);

/** kc_strict_is() - is @v this very text? */
bool kc_strict_is(struct json_object *v, const char *text);

/** kc_strict_copy() - copy @v to @out if it is text of less than @size bytes that matches @re */
bool kc_strict_copy(struct json_object *v, const char *re, char *out, size_t size);

/** kc_strict_u64() - a decimal number in a string: no sign, no leading zero, at most 18 digits */
bool kc_strict_u64(struct json_object *v, uint64_t *out);

/** kc_strict_int() - a JSON integer from @min to @max */
bool kc_strict_int(struct json_object *v, int64_t min, int64_t max, int64_t *out);

/** kc_matches() - does @s match the extended regular expression, in the C locale? */
bool kc_matches(const char *re, const char *s);

#endif
