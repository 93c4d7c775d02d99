// SPDX-License-Identifier: GPL-2.0-or-later
/* The local keystore: what is not in its files, and the form of what is. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aead.h"
#include "keystore-fixture.h"

static bool in_files(const char *dir, const uint8_t *secret, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;
	char path[512];
	uint8_t *data;
	size_t len;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_type != DT_REG)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		slurp(path, &data, &len);
		if (memmem(data, len, secret, size))
			found = true;
		free(data);
	}
	closedir(d);
	return found;
}

static void no_key_is_in_the_files(void **state)
{
	struct host *h = *state;
	struct kh *k = open_here(h);
	uint8_t kek[KH_KEY_SIZE], root[KH_KEY_SIZE], wrapped[KC_WRAPPED_MAX], dek[KC_DEK_SIZE];
	struct kc_error err = { 0 };
	struct kc_binding b;
	const uint8_t *p;
	struct kc_kms *kms;
	struct ks_key key;
	char log[128];
	size_t n;

	assert_int_equal(ks_create(k, "alias/searched", "", false, &key), 0);
	assert_int_equal(ks_material(k, key.id, 1), 0);
	memcpy(kek, k->secrets->kek, sizeof(kek));
	memcpy(root, k->secrets->root, sizeof(root));

	kms = open_kms(h);
	volume_context(&b, "");
	snprintf(b.key, sizeof(b.key), "local:%s", key.id);
	ok_or_show(kc_kms_generate(kms, &b, wrapped, &n, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(kms, &b, wrapped, n, &p, &err), &err, "decrypt");
	memcpy(dek, p, sizeof(dek));

	/* the search finds what is there: the root key, in its own file alone */
	assert_true(in_files(h->state, root, sizeof(root)));
	assert_true(exists(h, DB_FILE "-wal"));
	assert_false(in_files(h->state, kek, sizeof(kek)));
	assert_false(in_files(h->state, dek, 32));
	snprintf(log, sizeof(log), "%s/log", h->dir);
	assert_false(in_files(log, dek, 32));
	kc_kms_close(kms);
	ks_close(k);
	assert_false(exists(h, DB_FILE "-wal"));
	assert_false(in_files(h->state, kek, sizeof(kek)));
	assert_false(in_files(h->state, dek, 32));
	unlink(path_of(h, KEY_FILE));
	assert_false(in_files(h->state, root, sizeof(root)));
	close_here(k);
}

static void every_key_has_material_of_its_own(void **state)
{
	struct kh *k = open_here(*state);
	uint8_t first[KH_KEY_SIZE];
	struct ks_key a, b;

	assert_int_equal(ks_create(k, NULL, "", false, &a), 0);
	assert_int_equal(ks_create(k, NULL, "", false, &b), 0);
	assert_int_equal(ks_rotate(k, &a), 0);
	assert_int_equal(ks_material(k, a.id, 1), 0);
	memcpy(first, k->secrets->kek, sizeof(first));
	assert_int_equal(ks_material(k, a.id, 2), 0);
	assert_memory_not_equal(first, k->secrets->kek, sizeof(first));
	assert_int_equal(ks_material(k, b.id, 1), 0);
	assert_memory_not_equal(first, k->secrets->kek, sizeof(first));
	assert_memory_not_equal(first, k->secrets->root, sizeof(first));
	close_here(k);
}

/* Whoever has the key material can open a wrapped DEK with what the document says, and nothing else. */
static void a_wrapped_dek_has_the_documented_form(void **state)
{
	uint8_t wrapped[KC_WRAPPED_MAX], aad[512], dek[KC_DEK_SIZE];
	struct kh *k = open_here(*state);
	struct kc_bytes canon = { 0 };
	struct kc_error err = { 0 };
	struct kc_kms *kms = open_kms(*state);
	const uint8_t *expected;
	struct kc_binding b;
	struct ks_key key;
	size_t len;

	assert_int_equal(ks_create(k, NULL, "", false, &key), 0);
	volume_context(&b, "");
	snprintf(b.key, sizeof(b.key), "local:%s", key.id);
	ok_or_show(kc_kms_generate(kms, &b, wrapped, &len, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(kms, &b, wrapped, len, &expected, &err), &err, "decrypt");

	assert_int_equal(len, 1 + 16 + 4 + 12 + KC_DEK_SIZE + 16);
	assert_int_equal(wrapped[0], 1);
	assert_int_equal(kc_canon_binding(&b, &canon, &err), 0);
	memcpy(aad, wrapped, 21);
	memcpy(aad + 21, canon.data, canon.len);
	assert_int_equal(ks_material(k, key.id, 1), 0);
	assert_int_equal(kh_unseal(k->secrets->kek, aad, 21 + canon.len, wrapped + 21, dek, sizeof(dek)), 0);
	assert_memory_equal(dek, expected, sizeof(dek));
	kc_bytes_free(&canon);
	kc_kms_close(kms);
	close_here(k);
}

int main(void)
{
#define ON_HOST(fn) cmocka_unit_test_setup_teardown(fn, host_up, host_down)
	const struct CMUnitTest tests[] = {
		ON_HOST(no_key_is_in_the_files),
		ON_HOST(every_key_has_material_of_its_own),
		ON_HOST(a_wrapped_dek_has_the_documented_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
