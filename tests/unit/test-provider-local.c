// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What every provider must do, asked of the real key helper: a table of
 * providers and what each needs, and one set of tests that runs for every row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "kms-fixture.h"

/* A provider under test: how a host gets keys of it. */
struct fixture {
	const char *name;
	const char *default_key;	/* made on first use */
	const char *unknown_key;	/* canonical, of no key there is */
	void (*new_key)(struct host *h, char *key);
	void (*set_enabled)(struct host *h, const char *key, const char *operation);
};

static void admin(struct host *h, const char *operation, const char *key, char *answered)
{
	struct json_object *params = json_object_new_object(), *answer, *v;
	struct kc_kms *kms = open_kms(h);
	struct kc_error err = { 0 };

	if (key)
		json_object_object_add(params, "key", json_object_new_string(key));
	ok_or_show(kc_kms_admin(kms, "local", operation, params, &answer, &err), &err, operation);
	assert_true(json_object_object_get_ex(answer, "key", &v));
	if (answered)
		strcpy(answered, json_object_get_string(v));
	json_object_put(answer);
	json_object_put(params);
	kc_kms_close(kms);
}

static void local_new_key(struct host *h, char *key)
{
	admin(h, "CreateKey", NULL, key);
}

static void local_set_enabled(struct host *h, const char *key, const char *operation)
{
	admin(h, operation, key, NULL);
}

static const struct fixture fixtures[] = {
	{
		.name = "local",
		.default_key = "local:alias/kcache",
		.unknown_key = "local:00000000-0000-4000-8000-000000000000",
		.new_key = local_new_key,
		.set_enabled = local_set_enabled,
	},
};

static const struct fixture *const f = &fixtures[0];

/* One volume: a key, what its DEK is bound to, the wrapped DEK. */
struct volume {
	struct host *h;
	struct kc_kms *kms;
	struct kc_binding b;
	uint8_t wrapped[KC_WRAPPED_MAX];
	size_t len;
};

static int volume_up(void **state)
{
	struct volume *v = calloc(1, sizeof(*v));
	char key[KC_KEY_NAME_MAX];
	struct kc_error err = { 0 };

	host_up((void **)&v->h);
	f->new_key(v->h, key);
	volume_context(&v->b, key);
	strcpy(v->b.provider, f->name);
	v->kms = open_kms(v->h);
	ok_or_show(kc_kms_generate(v->kms, &v->b, v->wrapped, &v->len, &err), &err, "generate");
	*state = v;
	return 0;
}

static int volume_down(void **state)
{
	struct volume *v = *state;

	kc_kms_close(v->kms);
	host_down((void **)&v->h);
	free(v);
	return 0;
}

static void decrypt_fails(struct volume *v, const struct kc_binding *b, const uint8_t *wrapped, size_t len,
			  enum kc_exit code, const char *name)
{
	struct kc_error err = { 0 };
	const uint8_t *dek = (const uint8_t *)"";

	assert_int_equal(kc_kms_decrypt(v->kms, b, wrapped, len, &dek, &err), code);
	assert_null(dek);
	assert_int_equal(err.code, code);
	assert_string_equal(err.provider_error, name);
	assert_int_equal(strlen(err.request_id), 36);
	assert_true(strlen(err.text) > 10);
	assert_true(strlen(err.next) > 10);
}

static void a_dek_comes_back_as_it_was_made(void **state)
{
	struct volume *v = *state;
	uint8_t first[KC_DEK_SIZE];
	struct kc_error err = { 0 };
	const uint8_t *dek;
	struct kc_kms *other;

	ok_or_show(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt");
	memcpy(first, dek, sizeof(first));
	assert_memory_not_equal(first, first + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2);
	assert_int_equal(strlen(kc_kms_request_id(v->kms)), 36);

	/* and in another process, after the first has gone */
	other = open_kms(v->h);
	ok_or_show(kc_kms_decrypt(other, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt again");
	assert_memory_equal(first, dek, KC_DEK_SIZE);
	kc_kms_close(other);
}

static void the_mapping_is_empty_after_generate_and_after_wipe(void **state)
{
	static const uint8_t zeros[KC_DEK_SIZE];
	struct volume *v = *state;
	struct kc_error err = { 0 };
	const uint8_t *dek, *where;

	ok_or_show(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt");
	where = dek;
	assert_memory_not_equal(where, zeros, KC_DEK_SIZE);
	kc_kms_wipe(v->kms);
	assert_memory_equal(where, zeros, KC_DEK_SIZE);
	ok_or_show(kc_kms_generate(v->kms, &v->b, v->wrapped, &v->len, &err), &err, "generate");
	assert_memory_equal(where, zeros, KC_DEK_SIZE);
	ok_or_show(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt");
	v->wrapped[v->len - 1] ^= 1;
	decrypt_fails(v, &v->b, v->wrapped, v->len, KC_TAMPERED, "InvalidCiphertextException");
	assert_memory_equal(where, zeros, KC_DEK_SIZE);
}

static void every_dek_is_another(void **state)
{
	struct volume *v = *state;
	struct kc_error err = { 0 };
	uint8_t first[KC_DEK_SIZE], again[KC_WRAPPED_MAX];
	const uint8_t *dek;
	size_t len;

	ok_or_show(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt");
	memcpy(first, dek, sizeof(first));
	ok_or_show(kc_kms_generate(v->kms, &v->b, again, &len, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(v->kms, &v->b, again, len, &dek, &err), &err, "decrypt");
	assert_memory_not_equal(first, dek, KC_DEK_SIZE);
}

static void each_member_of_the_context_is_bound(void **state)
{
	struct volume *v = *state;
	struct kc_binding b;

	b = v->b;
	b.context.id[0] = '4';
	decrypt_fails(v, &b, v->wrapped, v->len, KC_TAMPERED, "InvalidCiphertextException");
	b = v->b;
	b.context.layout[63] = 'b';
	decrypt_fails(v, &b, v->wrapped, v->len, KC_TAMPERED, "InvalidCiphertextException");
	b = v->b;
	b.context.generation = 2;
	decrypt_fails(v, &b, v->wrapped, v->len, KC_TAMPERED, "InvalidCiphertextException");
	b = v->b;
	b.context.generation = UINT64_C(0x8000000000000001);
	decrypt_fails(v, &b, v->wrapped, v->len, KC_TAMPERED, "InvalidCiphertextException");
	b = v->b;
	b.version = 2;
	decrypt_fails(v, &b, v->wrapped, v->len, KC_TAMPERED, "InvalidCiphertextException");
}

static void another_key_does_not_open_it(void **state)
{
	struct volume *v = *state;
	struct kc_binding b = v->b;

	f->new_key(v->h, b.key);
	decrypt_fails(v, &b, v->wrapped, v->len, KC_TAMPERED, "IncorrectKeyException");
}

static void an_unknown_provider_is_refused(void **state)
{
	struct volume *v = *state;
	struct kc_binding b = v->b;

	struct kc_error err = { 0 };
	const uint8_t *dek;

	strcpy(b.provider, "nowhere");
	assert_int_equal(kc_kms_decrypt(v->kms, &b, v->wrapped, v->len, &dek, &err), KC_USAGE);
	assert_null(dek);
	assert_string_equal(err.text, "there is no provider \"nowhere\"");
}

static void an_alias_is_no_canonical_key(void **state)
{
	struct volume *v = *state;
	struct kc_binding b = v->b;

	strcpy(b.key, f->default_key);
	decrypt_fails(v, &b, v->wrapped, v->len, KC_USAGE, "ValidationException");
}

static void every_altered_byte_is_noticed(void **state)
{
	struct volume *v = *state;
	size_t i;

	for (i = 0; i < v->len; i++) {
		struct kc_error err = { 0 };
		const uint8_t *dek;

		v->wrapped[i] ^= 0x01;
		assert_int_equal(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), KC_TAMPERED);
		assert_null(dek);
		/* where the key's id lies is the provider's affair */
		assert_true(!strcmp(err.provider_error, "InvalidCiphertextException") ||
			    !strcmp(err.provider_error, "IncorrectKeyException"));
		v->wrapped[i] ^= 0x01;
	}
}

static void a_cut_or_grown_blob_is_refused(void **state)
{
	struct volume *v = *state;

	decrypt_fails(v, &v->b, v->wrapped, v->len - 1, KC_TAMPERED, "InvalidCiphertextException");
	decrypt_fails(v, &v->b, v->wrapped, v->len + 1, KC_TAMPERED, "InvalidCiphertextException");
	decrypt_fails(v, &v->b, v->wrapped, 1, KC_TAMPERED, "InvalidCiphertextException");
	decrypt_fails(v, &v->b, v->wrapped, KC_WRAPPED_MAX, KC_TAMPERED, "InvalidCiphertextException");
}

static void a_disabled_key_is_refused_until_it_is_enabled(void **state)
{
	struct volume *v = *state;
	struct kc_key_info info;
	struct kc_error err = { 0 };
	char sentence[KC_KEY_NAME_MAX + 32];
	const uint8_t *dek;

	f->set_enabled(v->h, v->b.key, "DisableKey");
	ok_or_show(kc_kms_describe(v->kms, v->b.key, &info, &err), &err, "describe");
	assert_int_equal(info.state, KC_KEY_DISABLED);
	decrypt_fails(v, &v->b, v->wrapped, v->len, KC_KMS_REFUSED, "DisabledException");

	assert_int_equal(kc_kms_generate(v->kms, &v->b, v->wrapped, &v->len, &err), KC_KMS_REFUSED);
	snprintf(sentence, sizeof(sentence), "%s is disabled", v->b.key);
	assert_string_equal(err.text, sentence);
	assert_int_equal(v->len, 0);

	f->set_enabled(v->h, v->b.key, "EnableKey");
	kc_error_clear(&err);
	ok_or_show(kc_kms_generate(v->kms, &v->b, v->wrapped, &v->len, &err), &err, "generate");
	ok_or_show(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt");
}

static void a_key_that_is_not_there_is_refused(void **state)
{
	struct volume *v = *state;
	struct kc_binding b = v->b;
	struct kc_key_info info;
	struct kc_error err = { 0 };

	strcpy(b.key, f->unknown_key);
	decrypt_fails(v, &b, v->wrapped, v->len, KC_KMS_REFUSED, "NotFoundException");
	assert_int_equal(kc_kms_describe(v->kms, b.key, &info, &err), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "NotFoundException");
	assert_string_equal(info.key, "");
}

static void the_default_key_is_made_by_its_first_use(void **state)
{
	struct volume *v = *state;
	struct kc_error err = { 0 };
	struct kc_key_info info, again;

	ok_or_show(kc_kms_describe(v->kms, f->default_key, &info, &err), &err, "describe");
	assert_string_equal(info.provider, f->name);
	assert_int_equal(info.state, KC_KEY_ENABLED);
	assert_int_equal(info.version, 1);
	ok_or_show(kc_kms_describe(v->kms, f->default_key, &again, &err), &err, "describe");
	assert_string_equal(info.key, again.key);
	ok_or_show(kc_kms_describe(v->kms, info.key, &again, &err), &err, "describe");
	assert_string_equal(info.key, again.key);
}

static void an_existing_dek_can_be_wrapped(void **state)
{
	struct volume *v = *state;
	struct kc_error err = { 0 };
	uint8_t mine[KC_DEK_SIZE], wrapped[KC_WRAPPED_MAX];
	const uint8_t *dek;
	size_t len, i;

	for (i = 0; i < sizeof(mine); i++)
		mine[i] = (uint8_t)i;
	ok_or_show(kc_kms_encrypt(v->kms, &v->b, mine, wrapped, &len, &err), &err, "encrypt");
	ok_or_show(kc_kms_decrypt(v->kms, &v->b, wrapped, len, &dek, &err), &err, "decrypt");
	assert_memory_equal(dek, mine, KC_DEK_SIZE);
	/* straight from the mapping, as an adopted volume's key would come */
	ok_or_show(kc_kms_encrypt(v->kms, &v->b, dek, wrapped, &len, &err), &err, "encrypt");
	ok_or_show(kc_kms_decrypt(v->kms, &v->b, wrapped, len, &dek, &err), &err, "decrypt");
	assert_memory_equal(dek, mine, KC_DEK_SIZE);

	memset(mine, 7, sizeof(mine));
	assert_int_equal(kc_kms_encrypt(v->kms, &v->b, mine, wrapped, &len, &err), KC_USAGE);
}

static void a_dek_can_be_wrapped_anew_for_another_context_or_key(void **state)
{
	struct volume *v = *state;
	struct kc_error err = { 0 };
	uint8_t first[KC_DEK_SIZE], wrapped[KC_WRAPPED_MAX];
	struct kc_binding to = v->b;
	const uint8_t *dek;
	size_t len;

	ok_or_show(kc_kms_decrypt(v->kms, &v->b, v->wrapped, v->len, &dek, &err), &err, "decrypt");
	memcpy(first, dek, sizeof(first));

	f->new_key(v->h, to.key);
	to.context.id[0] = 'e';
	ok_or_show(kc_kms_re_encrypt(v->kms, &v->b, v->wrapped, v->len, &to, wrapped, &len, &err), &err,
		   "re_encrypt");
	ok_or_show(kc_kms_decrypt(v->kms, &to, wrapped, len, &dek, &err), &err, "decrypt");
	assert_memory_equal(first, dek, KC_DEK_SIZE);
	decrypt_fails(v, &v->b, wrapped, len, KC_TAMPERED, "IncorrectKeyException");

	/* the source's context is checked too */
	assert_int_equal(kc_kms_re_encrypt(v->kms, &to, v->wrapped, v->len, &v->b, wrapped, &len, &err),
			 KC_TAMPERED);
	assert_int_equal(len, 0);
}

static void every_call_has_its_own_request_id(void **state)
{
	struct volume *v = *state;
	struct kc_key_info info;
	struct kc_error err = { 0 };
	char id[64];

	ok_or_show(kc_kms_describe(v->kms, v->b.key, &info, &err), &err, "describe");
	strcpy(id, kc_kms_request_id(v->kms));
	assert_int_equal(strlen(id), 36);
	ok_or_show(kc_kms_describe(v->kms, v->b.key, &info, &err), &err, "describe");
	assert_string_not_equal(id, kc_kms_request_id(v->kms));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, volume_up, volume_down)
	const struct CMUnitTest tests[] = {
		T(a_dek_comes_back_as_it_was_made),
		T(the_mapping_is_empty_after_generate_and_after_wipe),
		T(every_dek_is_another),
		T(each_member_of_the_context_is_bound),
		T(another_key_does_not_open_it),
		T(an_unknown_provider_is_refused),
		T(an_alias_is_no_canonical_key),
		T(every_altered_byte_is_noticed),
		T(a_cut_or_grown_blob_is_refused),
		T(a_disabled_key_is_refused_until_it_is_enabled),
		T(a_key_that_is_not_there_is_refused),
		T(the_default_key_is_made_by_its_first_use),
		T(an_existing_dek_can_be_wrapped),
		T(a_dek_can_be_wrapped_anew_for_another_context_or_key),
		T(every_call_has_its_own_request_id),
	};

	return cmocka_run_group_tests_name(f->name, tests, NULL, NULL);
}
