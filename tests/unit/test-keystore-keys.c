// SPDX-License-Identifier: GPL-2.0-or-later
/* The local keystore: rotation, aliases, lists. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "keystore-fixture.h"

static void rotation_keeps_what_older_material_wrapped(void **state)
{
	struct host *h = *state;
	uint8_t old[KC_WRAPPED_MAX], new[KC_WRAPPED_MAX];
	struct kc_error err = { 0 };
	struct json_object *answer;
	struct kc_key_info info;
	struct kc_binding b;
	struct kc_kms *kms;
	const uint8_t *dek;
	size_t old_len, new_len;

	default_key(h, &info);
	volume_context(&b, info.key);
	kms = open_kms(h);
	ok_or_show(kc_kms_generate(kms, &b, old, &old_len, &err), &err, "generate");
	ok_or_show(admin(h, "RotateKeyOnDemand", "key", info.key, &answer, &err), &err, "rotate");
	assert_int_equal(json_object_get_int(json_object_object_get(answer, "version")), 2);
	json_object_put(answer);
	ok_or_show(kc_kms_decrypt(kms, &b, old, old_len, &dek, &err), &err, "decrypt old");
	ok_or_show(kc_kms_generate(kms, &b, new, &new_len, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(kms, &b, new, new_len, &dek, &err), &err, "decrypt new");
	/* the version of the material is in the open, and authenticated */
	assert_int_equal(old[20], 1);
	assert_int_equal(new[20], 2);
	new[20] = 1;
	assert_int_equal(kc_kms_decrypt(kms, &b, new, new_len, &dek, &err), KC_TAMPERED);
	kc_error_clear(&err);
	new[20] = 3;
	assert_int_equal(kc_kms_decrypt(kms, &b, new, new_len, &dek, &err), KC_TAMPERED);
	kc_kms_close(kms);

	ok_or_show(admin(h, "DisableKey", "key", info.key, &answer, &err), &err, "disable");
	json_object_put(answer);
	assert_int_equal(admin(h, "RotateKeyOnDemand", "key", info.key, &answer, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "DisabledException");
}

static void aliases_follow_the_rules(void **state)
{
	static const char *const good[] = { "a", "alias/b", "local:alias/c", "A-z_0/9", "alias/x/y" };
	static const char *const bad[] = { "a b", "alias/", "local:alias/", "ümlaut", "a'b", "a:b", "a\"" };
	struct host *h = *state;
	struct json_object *answer;
	struct kc_error err;
	char longest[300];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ok_or_show(admin(h, "CreateKey", "alias", good[i], &answer, &err), &err, good[i]);
		json_object_put(answer);
	}
	assert_int_equal(admin(h, "CreateKey", "alias", "alias/a", &answer, &err), KC_BUSY);
	assert_string_equal(err.provider_error, "AlreadyExistsException");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (admin(h, "CreateKey", "alias", bad[i], &answer, &err) != KC_USAGE)
			fail_msg("alias \"%s\" is not refused", bad[i]);
	memset(longest, 'x', sizeof(longest));
	longest[250] = '\0';
	ok_or_show(admin(h, "CreateKey", "alias", longest, &answer, &err), &err, "250");
	json_object_put(answer);
	longest[250] = 'x';
	longest[251] = '\0';
	assert_int_equal(admin(h, "CreateKey", "alias", longest, &answer, &err), KC_USAGE);
}

static void a_list_is_whole_over_all_its_pages(void **state)
{
	struct host *h = *state;
	struct json_object *answer, *params, *seen = json_object_new_object(), *list, *key;
	struct kc_error err = { 0 };
	struct kc_kms *kms = open_kms(h);
	const char *next;
	char alias[32];
	size_t i, all = 0;
	int pages = 0;

	for (i = 0; i < 2 * KS_PAGE + 3; i++) {
		params = json_object_new_object();
		snprintf(alias, sizeof(alias), "n%zu", i);
		json_object_object_add(params, "alias", json_object_new_string(alias));
		ok_or_show(kc_kms_admin(kms, "local", "CreateKey", params, &answer, &err), &err, "create");
		json_object_put(params);
		json_object_put(answer);
	}
	params = json_object_new_object();
	do {
		ok_or_show(kc_kms_admin(kms, "local", "ListKeys", params, &answer, &err), &err, "list");
		list = json_object_object_get(answer, "keys");
		for (i = 0; i < json_object_array_length(list); i++, all++) {
			key = json_object_object_get(json_object_array_get_idx(list, i), "key");
			json_object_object_add(seen, json_object_get_string(key), NULL);
		}
		next = json_object_get_string(json_object_object_get(answer, "next"));
		if (next)
			json_object_object_add(params, "marker", json_object_new_string(next));
		pages++;
		if (!next) {
			json_object_put(answer);
			break;
		}
		json_object_put(answer);
	} while (pages < 10);
	assert_int_equal(pages, 3);
	assert_int_equal(all, 2 * KS_PAGE + 3);
	assert_int_equal(json_object_object_length(seen), all);
	json_object_put(params);
	json_object_put(seen);
	kc_kms_close(kms);
}

int main(void)
{
#define ON_HOST(fn) cmocka_unit_test_setup_teardown(fn, host_up, host_down)
#define ON_KEYSTORE(fn) cmocka_unit_test_setup_teardown(fn, keystore_up, host_down)
	const struct CMUnitTest tests[] = {
		ON_KEYSTORE(rotation_keeps_what_older_material_wrapped),
		ON_HOST(aliases_follow_the_rules),
		ON_HOST(a_list_is_whole_over_all_its_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
