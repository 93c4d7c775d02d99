// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worked example of Documentation/on-disk-format.md, recomputed: the test
 * takes what is given and what is to come out from the document itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>

#include "aead.h"
#include "canon.h"
#include "kdf.h"

#define DOCUMENT KC_TESTDIR "/../../Documentation/on-disk-format.md"

static struct {
	char name[32];
	char value[4096];
} example[64];
static size_t n_example;

/* "name = value" lines between ``` fences after the heading. */
static int read_example(void **state)
{
	FILE *f = fopen(DOCUMENT, "re");
	char line[4200];
	bool here = false, fenced = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "## ", 3))
			here = !strcmp(line, "## Worked example\n");
		if (!strncmp(line, "```", 3))
			fenced = !fenced;
		if (here && fenced && sscanf(line, "%31s = %4095[^\n]", example[n_example].name,
					     example[n_example].value) == 2)
			n_example++;
	}
	fclose(f);
	assert_true(n_example > 20);
	return 0;
}

static const char *value(const char *name)
{
	for (size_t i = 0; i < n_example; i++)
		if (!strcmp(example[i].name, name))
			return example[i].value;
	fail_msg("the document's example has no %s", name);
	return NULL;
}

static uint64_t number(const char *name)
{
	return strtoull(value(name), NULL, 10);
}

static void text(const char *name, char *out, size_t size)
{
	assert_true((size_t)snprintf(out, size, "%s", value(name)) < size);
}

static size_t bytes(const char *name, uint8_t *out, size_t size)
{
	long len = 0;
	unsigned char *b = OPENSSL_hexstr2buf(value(name), &len);

	assert_non_null(b);
	assert_true((size_t)len <= size);
	memcpy(out, b, (size_t)len);
	OPENSSL_free(b);
	return (size_t)len;
}

static void is_hex(const char *name, const uint8_t *data, size_t len)
{
	char *hex = malloc(2 * len + 1);

	assert_non_null(hex);
	kc_hex(data, len, hex);
	assert_string_equal(hex, value(name));
	free(hex);
}

static void example_layout(struct kc_layout *l)
{
	memset(l, 0, sizeof(*l));
	text("uuid", l->uuid, sizeof(l->uuid));
	text("cipher", l->cipher, sizeof(l->cipher));
	l->offset = number("offset");
	l->key_bits = (unsigned int)number("key_bits");
	l->sector_size = (unsigned int)number("sector_size");
	l->iv_tweak = number("iv_tweak");
}

/* The token of what is given; mac and lineage are still to be computed. */
static void example_token(struct kc_token *t)
{
	struct kc_binding *b = &t->binding;

	memset(t, 0, sizeof(*t));
	t->slot = -1;
	t->has_keyslot = true;
	text("provider", b->provider, sizeof(b->provider));
	text("key", b->key, sizeof(b->key));
	b->version = (unsigned int)number("version");
	text("uuid", b->context.id, sizeof(b->context.id));
	text("layout.sha256", b->context.layout, sizeof(b->context.layout));
	b->context.generation = number("generation");
	t->wrapped_len = bytes("wrapped_dek", t->wrapped, sizeof(t->wrapped));
	text("created", t->created, sizeof(t->created));
	t->lease = (uint32_t)number("lease");
	assert_string_equal(value("on_revoke"), "fail");
	t->on_revoke = KC_REVOKE_FAIL;
}

static void example_dek(uint8_t dek[static KC_DEK_SIZE])
{
	assert_int_equal(bytes("dek", dek, KC_DEK_SIZE), KC_DEK_SIZE);
}

static void layout_is_the_documents(void **state)
{
	struct kc_error err = { 0 };
	struct kc_bytes b;
	struct kc_layout l;
	char hex[65];

	example_layout(&l);
	assert_int_equal(kc_canon_layout_bytes(&l, &b, &err), 0);
	is_hex("layout.canonical", b.data, b.len);
	kc_bytes_free(&b);
	assert_int_equal(kc_canon_layout(&l, hex, &err), 0);
	assert_string_equal(hex, value("layout.sha256"));
}

static void every_member_of_the_layout_changes_its_hash(void **state)
{
	struct kc_layout l;
	char hex[8][65];

	for (int i = 0; i < 7; i++) {
		example_layout(&l);
		switch (i) {
		case 1: l.uuid[0] ^= 1; break;
		case 2: l.offset += 4096; break;
		case 3: l.cipher[0] ^= 1; break;
		case 4: l.key_bits /= 2; break;
		case 5: l.sector_size /= 2; break;
		case 6: l.iv_tweak++; break;
		}
		assert_int_equal(kc_canon_layout(&l, hex[i], NULL), 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(hex[i], hex[j]);
	}
}

static void binding_is_the_documents(void **state)
{
	struct kc_error err = { 0 };
	struct kc_token t;
	struct kc_bytes b;
	uint8_t md[32];
	size_t len;

	example_token(&t);
	assert_int_equal(kc_canon_binding(&t.binding, &b, &err), 0);
	is_hex("binding.canonical", b.data, b.len);
	assert_true(EVP_Q_digest(NULL, "SHA256", NULL, b.data, b.len, md, &len));
	is_hex("binding.sha256", md, len);
	kc_bytes_free(&b);
}

/* The key helper's own decryption opens what the document says the local provider wraps. */
static void the_local_wrapping_is_the_documents(void **state)
{
	uint8_t dek[KC_DEK_SIZE], out[KC_DEK_SIZE], kek[32], aad[1024], wrapped[256];
	size_t aad_len = bytes("local.aad", aad, sizeof(aad));
	struct kc_token t;
	struct kc_bytes b;

	example_dek(dek);
	example_token(&t);
	assert_int_equal(bytes("kek", kek, sizeof(kek)), sizeof(kek));
	assert_int_equal(bytes("wrapped_dek", wrapped, sizeof(wrapped)), 113);
	assert_int_equal(kc_canon_binding(&t.binding, &b, NULL), 0);
	assert_int_equal(aad_len, 21 + b.len);
	assert_memory_equal(aad, wrapped, 21);
	assert_memory_equal(aad + 21, b.data, b.len);
	kc_bytes_free(&b);
	assert_int_equal(number("kek_version"), wrapped[20]);
	assert_int_equal(kh_unseal(kek, aad, aad_len, wrapped + 21, out, sizeof(out)), 0);
	assert_memory_equal(out, dek, sizeof(dek));
	is_hex("nonce", wrapped + 21, 12);
}

/* HKDF once more, by the test itself: kdf.c does not give its keys away. */
static void hkdf(const uint8_t *dek, const char *info, uint8_t *out, size_t len)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (void *)(uintptr_t)"SHA256", 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)dek, KC_DEK_SIZE),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
		OSSL_PARAM_END,
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

	assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void derived_values_are_the_documents(void **state)
{
	struct kc_error err = { 0 };
	char passphrase[KC_PASSPHRASE_LEN + 1], lineage[33];
	uint8_t dek[KC_DEK_SIZE], key[32];

	example_dek(dek);
	assert_int_equal(kc_kdf_passphrase(dek, passphrase, &err), 0);
	assert_string_equal(passphrase, value("keyslot.passphrase"));
	assert_int_equal(kc_kdf_lineage(dek, lineage, &err), 0);
	assert_string_equal(lineage, value("lineage"));
	hkdf(dek, "kcache lineage v1", key, sizeof(key));
	is_hex("lineage.key", key, sizeof(key));
	hkdf(dek, "kcache token v1", key, sizeof(key));
	is_hex("mac.key", key, sizeof(key));
}

static void mac_and_token_are_the_documents(void **state)
{
	struct kc_error err = { 0 };
	uint8_t dek[KC_DEK_SIZE];
	struct kc_token t, again;
	struct kc_bytes b;
	char *json;

	example_dek(dek);
	example_token(&t);
	assert_int_equal(kc_kdf_lineage(dek, t.lineage, &err), 0);
	assert_int_equal(kc_canon_token(&t, value("flags"), value("layout.sha256"), &b, &err), 0);
	is_hex("mac.canonical", b.data, b.len);
	assert_int_equal(kc_kdf_mac(dek, &b, t.mac, &err), 0);
	kc_bytes_free(&b);
	assert_string_equal(t.mac, value("mac"));
	assert_int_equal(kc_token_format(&t, &json, &err), 0);
	assert_string_equal(json, value("token"));
	assert_int_equal(kc_token_parse(json, -1, &again, &err), 0);
	assert_memory_equal(&t, &again, sizeof(t));
	free(json);
}

/* What the mac is for: none of these may be edited. */
static void every_member_of_the_token_changes_its_canonical_form(void **state)
{
	struct kc_bytes b[16];
	struct kc_token t;
	const char *flags, *layout;
	int n = 14;

	for (int i = 0; i < n; i++) {
		example_token(&t);
		memcpy(t.lineage, value("lineage"), 33);
		flags = value("flags");
		layout = value("layout.sha256");
		switch (i) {
		case 1: t.binding.provider[0] ^= 1; break;
		case 2: t.binding.key[8] ^= 1; break;
		case 3: t.binding.version++; break;
		case 4: t.binding.context.id[0] ^= 1; break;
		case 5: t.binding.context.generation++; break;
		case 6: t.wrapped[0] ^= 1; break;
		case 7: t.wrapped_len--; break;
		case 8: t.lineage[0] ^= 1; break;
		case 9: t.created[3] ^= 1; break;
		case 10: t.lease--; break;
		case 11: t.on_revoke = KC_REVOKE_KEEP; break;
		case 12: flags = ""; break;
		case 13: layout = value("binding.sha256"); break;
		}
		assert_int_equal(kc_canon_token(&t, flags, layout, &b[i], NULL), 0);
		for (int j = 0; j < i; j++)
			assert_false(b[i].len == b[j].len &&
				     !memcmp(b[i].data, b[j].data, b[i].len));
	}
	for (int i = 0; i < n; i++)
		kc_bytes_free(&b[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_the_documents),
		cmocka_unit_test(every_member_of_the_layout_changes_its_hash),
		cmocka_unit_test(binding_is_the_documents),
		cmocka_unit_test(the_local_wrapping_is_the_documents),
		cmocka_unit_test(derived_values_are_the_documents),
		cmocka_unit_test(mac_and_token_are_the_documents),
		cmocka_unit_test(every_member_of_the_token_changes_its_canonical_form),
	};

	return cmocka_run_group_tests(tests, read_example, NULL);
}
