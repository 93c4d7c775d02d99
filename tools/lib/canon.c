// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * canonical(domain, members) = lp(domain) || be32(number of members)
 *	|| for each member, sorted by name: lp(name) || lp(value)
 * lp(x) = be32(bytes of x) || x
 *
 * No value can run into its neighbour, no two forms share a domain, and the
 * order is not the writer's choice. Documentation/on-disk-format.md has every
 * form with a worked example.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "canon.h"

/* One member: text, or @raw with @len bytes. */
struct member {
	const char *name;
	const char *text;
	const void *raw;
	size_t len;
};

/* Decimal text of a number. */
struct decimal {
	char text[24];
};

static struct decimal decimal(uint64_t v)
{
	struct decimal d;

	snprintf(d.text, sizeof(d.text), "%" PRIu64, v);
	return d;
}

void kc_hex(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	*out = '\0';
}

void kc_bytes_free(struct kc_bytes *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static int append(struct kc_bytes *b, const void *data, size_t len)
{
	if (b->size - b->len < len) {
		size_t size = (b->size + len) * 2;
		uint8_t *p = realloc(b->data, size);

		if (!p)
			return -1;
		b->data = p;
		b->size = size;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static int append_be32(struct kc_bytes *b, size_t v)
{
	const uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				(uint8_t)v };

	return append(b, be, sizeof(be));
}

static int append_lp(struct kc_bytes *b, const void *data, size_t len)
{
	return append_be32(b, len) || append(b, data, len);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

/* @m is sorted in place; @out is empty before and freed on an error. */
static int canonical(const char *domain, struct member *m, size_t n, struct kc_bytes *out,
		     struct kc_error *err)
{
	size_t i;
	int bad;

	memset(out, 0, sizeof(*out));
	qsort(m, n, sizeof(*m), by_name);
	bad = append_lp(out, domain, strlen(domain)) || append_be32(out, n);
	for (i = 0; !bad && i < n; i++) {
		const void *value = m[i].text ? m[i].text : m[i].raw;
		size_t len = m[i].text ? strlen(m[i].text) : m[i].len;

		bad = append_lp(out, m[i].name, strlen(m[i].name)) || append_lp(out, value, len);
	}
	if (!bad)
		return 0;
	kc_bytes_free(out);
	return kc_fail(err, KC_NOMEM, NULL, "out of memory for a canonical form");
}

int kc_canon_layout_bytes(const struct kc_layout *l, struct kc_bytes *out, struct kc_error *err)
{
	struct decimal offset = decimal(l->offset);
	struct decimal key_bits = decimal(l->key_bits);
	struct decimal sector_size = decimal(l->sector_size);
	struct decimal iv_tweak = decimal(l->iv_tweak);
	struct member m[] = {
		{ .name = "cipher", .text = l->cipher },
		{ .name = "iv_tweak", .text = iv_tweak.text },
		{ .name = "key_bits", .text = key_bits.text },
		{ .name = "offset", .text = offset.text },
		{ .name = "sector_size", .text = sector_size.text },
		{ .name = "segments", .text = "1" },
		{ .name = "size", .text = "dynamic" },
		{ .name = "type", .text = "crypt" },
		{ .name = "uuid", .text = l->uuid },
	};

	return canonical("kcache layout v1", m, sizeof(m) / sizeof(m[0]), out, err);
}

int kc_canon_layout(const struct kc_layout *l, char hex[static 65], struct kc_error *err)
{
	struct kc_bytes b;
	uint8_t md[32];
	size_t md_len = 0;
	int ok, r;

	r = kc_canon_layout_bytes(l, &b, err);
	if (r)
		return r;
	ok = EVP_Q_digest(NULL, "SHA256", NULL, b.data, b.len, md, &md_len);
	kc_bytes_free(&b);
	if (!ok || md_len != sizeof(md))
		return kc_fail(err, KC_NOMEM, "check OpenSSL's installation",
			       "OpenSSL could not do SHA-256");
	kc_hex(md, sizeof(md), hex);
	return 0;
}

int kc_canon_binding(const struct kc_binding *b, struct kc_bytes *out, struct kc_error *err)
{
	struct decimal generation = decimal(b->context.generation);
	struct decimal version = decimal(b->version);
	struct member m[] = {
		{ .name = "kcache:generation", .text = generation.text },
		{ .name = "kcache:id", .text = b->context.id },
		{ .name = "kcache:layout", .text = b->context.layout },
		{ .name = "key", .text = b->key },
		{ .name = "provider", .text = b->provider },
		{ .name = "version", .text = version.text },
	};

	return canonical("kcache binding v1", m, sizeof(m) / sizeof(m[0]), out, err);
}

int kc_canon_token(const struct kc_token *t, const char *flags, const char *layout_hex,
		   struct kc_bytes *out, struct kc_error *err)
{
	const struct kc_binding *b = &t->binding;
	struct decimal generation = decimal(b->context.generation);
	struct decimal version = decimal(b->version);
	struct decimal lease = decimal(t->lease);
	struct member m[] = {
		{ .name = "created", .text = t->created },
		{ .name = "flags", .text = flags },
		{ .name = "kcache:generation", .text = generation.text },
		{ .name = "kcache:id", .text = b->context.id },
		{ .name = "kcache:layout", .text = layout_hex },
		{ .name = "key", .text = b->key },
		{ .name = "lease", .text = lease.text },
		{ .name = "lineage", .text = t->lineage },
		{ .name = "on_revoke", .text = kc_on_revoke_name(t->on_revoke) },
		{ .name = "provider", .text = b->provider },
		{ .name = "type", .text = KC_TOKEN_TYPE },
		{ .name = "version", .text = version.text },
		{ .name = "wrapped_dek", .raw = t->wrapped, .len = t->wrapped_len },
	};

	return canonical("kcache token v1", m, sizeof(m) / sizeof(m[0]), out, err);
}
