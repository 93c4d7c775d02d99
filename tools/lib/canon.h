/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Canonical byte strings: what is hashed, authenticated and bound. Defined
 * byte by byte in Documentation/on-disk-format.md; a change here is a new token
 * version.
 */
#ifndef KC_CANON_H
#define KC_CANON_H

#include <stddef.h>
#include <stdint.h>

#include "token.h"

/** struct kc_bytes - a growing byte string; {0} is empty; kc_bytes_free() frees it */
struct kc_bytes {
	uint8_t *data;
	size_t len;
	size_t size;
};

void kc_bytes_free(struct kc_bytes *b);

/** kc_hex() - lower-case hex, 2 * @len digits and a NUL */
void kc_hex(const uint8_t *in, size_t len, char *out);

/**
 * struct kc_layout - the members of the header that the KMS context authenticates
 *
 * One segment, type crypt, size dynamic: kc_header_load() refuses any other, so
 * these two are constants of the canonical form.
 */
struct kc_layout {
	char uuid[KC_UUID_LEN + 1];
	uint64_t offset;	/* data segment, bytes */
	char cipher[64];	/* "aes-xts-plain64" */
	unsigned int key_bits;	/* 512 */
	unsigned int sector_size;
	uint64_t iv_tweak;
};

/** kc_canon_layout_bytes() - the canonical layout itself */
int kc_canon_layout_bytes(const struct kc_layout *l, struct kc_bytes *out, struct kc_error *err);

/** kc_canon_layout() - lower-case hex SHA-256 over the canonical layout, 64 digits and a NUL */
int kc_canon_layout(const struct kc_layout *l, char hex[static 65], struct kc_error *err);

/**
 * kc_canon_binding() - provider, key, token version and context, length-prefixed, sorted by name
 *
 * The AAD of providers that have one; hashed and appended to the DEK for those that have none.
 */
int kc_canon_binding(const struct kc_binding *b, struct kc_bytes *out, struct kc_error *err);

/**
 * kc_canon_token() - the token without its mac, the config flags and the layout
 * @flags: the header's config flags, sorted, joined by commas; "" for none
 * @layout_hex: recomputed from the header; stands where the token has its own
 *
 * The token's list of keyslots is not part of it: libcryptsetup edits that list
 * when a keyslot goes, and it decides nothing about the DEK.
 */
int kc_canon_token(const struct kc_token *t, const char *flags, const char *layout_hex,
		   struct kc_bytes *out, struct kc_error *err);

#endif
