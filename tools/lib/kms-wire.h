/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the command and its key helper say to one another, the same for both
 * sides. Not a stable interface: both come from one build.
 *
 * Every request and every answer is one JSON object in one SOCK_SEQPACKET
 * message:
 *
 *   { "id": 1, "operation": "Open", "deadline": 123456, "params": { "state_dir": "..." } }
 *   { "id": 1, "request_id": "<uuid>", "result": { ... } }
 *   { "id": 2, "request_id": "<uuid>", "error": { "name": "DisabledException", "code": 7,
 *     "text": "...", "next": "..." } }
 *
 * Open comes first. "deadline" is in kc_wire_now()'s milliseconds, of this
 * request and of those after it that have none. A plaintext DEK is never in a message:
 * it is in the mapping; so is the PIN that answers the error KC_WIRE_PIN_REQUIRED,
 * with KC_WIRE_PIN { "length": n }, after which the request is sent again.
 */
#ifndef KC_KMS_WIRE_H
#define KC_KMS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "token.h"

#define KC_WIRE_SOCKET 3	/* the helper's file descriptors */
#define KC_WIRE_MAPPING 4
#define KC_WIRE_PIN "PIN"
#define KC_WIRE_PIN_REQUIRED "PinRequired"
#define KC_WIRE_MAX 65536	/* bytes of a message */

/**
 * kc_wire_parse() - the one JSON object that a message must be
 *
 * Strict JSON, valid UTF-8, nothing after it, bounded depth.
 *
 * Return: the object, to be json_object_put(), or NULL.
 */
struct json_object *kc_wire_parse(const char *buf, size_t len);

/**
 * kc_wire_members() - are these all the members that @o has?
 * @names: NULL-terminated; one that is not there is fine
 */
bool kc_wire_members(struct json_object *o, const char *const names[]);

/**
 * kc_wire_str() - a string member of at most @size - 1 bytes
 *
 * No control characters: texts are printed on terminals and into logs.
 *
 * Return: false, with @out empty, if it is missing or anything else.
 */
bool kc_wire_str(struct json_object *o, const char *name, char *out, size_t size);

/** kc_wire_int() - an integer member from @min to @max */
bool kc_wire_int(struct json_object *o, const char *name, int64_t min, int64_t max, int64_t *out);

/** kc_wire_blob() - a base64 member (RFC 4648, padded, strict) of 1 to @max bytes */
bool kc_wire_blob(struct json_object *o, const char *name, uint8_t *out, size_t max, size_t *len);

/** kc_wire_binding() - a member made by kc_wire_add_binding() */
bool kc_wire_binding(struct json_object *o, const char *name, struct kc_binding *b);

/*
 * The writing side. Each returns false when out of memory; @o stays the caller's.
 */
bool kc_wire_add(struct json_object *o, const char *name, struct json_object *v); /* takes @v, NULL is false */
bool kc_wire_add_str(struct json_object *o, const char *name, const char *s);
bool kc_wire_add_int(struct json_object *o, const char *name, int64_t v);
bool kc_wire_add_blob(struct json_object *o, const char *name, const uint8_t *data, size_t len);
bool kc_wire_add_binding(struct json_object *o, const char *name, const struct kc_binding *b);

/** kc_wire_now() - CLOCK_MONOTONIC in milliseconds: what deadlines are counted in */
int64_t kc_wire_now(void);

#endif
