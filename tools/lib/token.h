/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The LUKS2 token: one wrapped copy of the DEK and what it is bound to.
 * Its JSON members are design contracts (Documentation/on-disk-format).
 */
#ifndef KC_TOKEN_H
#define KC_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define KC_TOKEN_TYPE "kcache"
#define KC_TOKEN_VERSION 1
#define KC_WRAPPED_MAX 6144
#define KC_RECIPIENTS_MAX 8
#define KC_UUID_LEN 36
#define KC_KEY_NAME_MAX 512

/**
 * struct kc_context - the KMS encryption context of a volume
 * @id: LUKS UUID, lower case ("kcache:id")
 * @layout: SHA-256 of the layout, lower-case hex ("kcache:layout")
 * @generation: grows by one when the DEK is rotated ("kcache:generation")
 */
struct kc_context {
	char id[KC_UUID_LEN + 1];
	char layout[65];
	uint64_t generation;
};

/**
 * struct kc_binding - all that a wrapped DEK is bound to
 * @provider: "local", "aws", "pkcs11", "tpm2"
 * @key: canonical key id, never an alias ("local:<uuid>", a full key ARN, ...)
 * @version: the token's version
 * @context: the encryption context
 */
struct kc_binding {
	char provider[16];
	char key[KC_KEY_NAME_MAX];
	unsigned int version;
	struct kc_context context;
};

enum kc_on_revoke { KC_REVOKE_KEEP, KC_REVOKE_FAIL, KC_REVOKE_FREEZE };

/**
 * struct kc_token - a parsed token
 * @slot: LUKS2 token number, -1 while it is not on a disk
 * @binding: as the token says; id and layout are to be replaced by what was
 *	recomputed from the header (kc_header_binding()) before a KMS is asked
 * @wrapped: the wrapped DEK, opaque
 * @wrapped_len: bytes of it, at most KC_WRAPPED_MAX
 * @has_keyslot: true if the token lists exactly keyslot 0, false if it lists none
 * @lineage: lower-case hex, 32 digits
 * @created: RFC 3339, UTC
 * @lease: seconds, 0 for none
 * @on_revoke: what an authoritative refusal does to an attached volume
 * @mac: lower-case hex, 64 digits
 */
struct kc_token {
	int slot;
	struct kc_binding binding;
	uint8_t wrapped[KC_WRAPPED_MAX];
	size_t wrapped_len;
	bool has_keyslot;
	char lineage[33];
	char created[32];
	uint32_t lease;
	enum kc_on_revoke on_revoke;
	char mac[65];
};

/**
 * kc_token_parse() - a token from its JSON
 *
 * Strict: every member there with its exact type and form, no unknown member,
 * no duplicate member, lower-case hex where hex is due.
 *
 * Return: 0, or KC_TAMPERED with @err naming the member and its value.
 */
int kc_token_parse(const char *json, int slot, struct kc_token *t, struct kc_error *err);

/**
 * kc_token_format() - the JSON of a token
 * @json: receives a malloc()ed string, the caller frees
 */
int kc_token_format(const struct kc_token *t, char **json, struct kc_error *err);

/** kc_uuid_valid() - 8-4-4-4-12 lower-case hex digits? */
bool kc_uuid_valid(const char *s);

/**
 * kc_key_canonical() - is this a canonical key id, and no alias?
 * @provider: whose; NULL for any
 */
bool kc_key_canonical(const char *provider, const char *key);

const char *kc_on_revoke_name(enum kc_on_revoke v);

/** kc_on_revoke_parse() - from its name; false for what is none */
bool kc_on_revoke_parse(const char *name, enum kc_on_revoke *v);

#endif
