// SPDX-License-Identifier: GPL-2.0-or-later
/* The token's JSON: what is written is read back, and everything else is refused by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "token.h"

#define ID "6b636163-6865-4a11-8bad-000000000001"
#define LOCAL_KEY "local:11111111-2222-4333-8444-555555555555"
#define HEX32 "0123456789abcdef0123456789abcdef"
#define ARN "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-4333-8444-555555555555"

static const char good[] =
	"{\"type\":\"kcache\",\"keyslots\":[\"0\"],\"version\":1,\"provider\":\"local\","
	"\"key\":\"" LOCAL_KEY "\",\"wrapped_dek\":\"AAECAwQ=\",\"context\":{\"kcache:id\":\"" ID "\","
	"\"kcache:layout\":\"" HEX32 HEX32 "\",\"kcache:generation\":\"7\"},\"lineage\":\"" HEX32 "\","
	"\"created\":\"2026-11-21T10:00:00Z\",\"lease\":3600,\"on_revoke\":\"freeze\",\"mac\":\""
	HEX32 HEX32 "\"}";

/* The good token with the value at @pointer replaced by @json, or removed where that is NULL. */
static char *edited(const char *pointer, const char *json)
{
	struct json_object *o = json_tokener_parse(good), *parent = NULL;
	char where[64], *slash, *out;

	assert_non_null(o);
	snprintf(where, sizeof(where), "%s", pointer);
	slash = strrchr(where, '/');
	*slash = '\0';
	assert_int_equal(json_pointer_get(o, where, &parent), 0);
	if (json)
		json_object_object_add(parent, slash + 1, json_tokener_parse(json));
	else
		json_object_object_del(parent, slash + 1);
	out = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	assert_non_null(out);
	return out;
}

static void a_good_token_goes_there_and_back(void **state)
{
	struct kc_error err = { 0 };
	struct kc_token t;
	char *json;

	assert_int_equal(kc_token_parse(good, 3, &t, &err), 0);
	assert_int_equal(t.slot, 3);
	assert_true(t.has_keyslot);
	assert_string_equal(t.binding.provider, "local");
	assert_string_equal(t.binding.key, LOCAL_KEY);
	assert_int_equal(t.binding.version, 1);
	assert_string_equal(t.binding.context.id, ID);
	assert_int_equal(t.binding.context.generation, 7);
	assert_int_equal(t.wrapped_len, 5);
	assert_memory_equal(t.wrapped, "\0\1\2\3\4", 5);
	assert_int_equal(t.lease, 3600);
	assert_int_equal(t.on_revoke, KC_REVOKE_FREEZE);
	assert_int_equal(kc_token_format(&t, &json, &err), 0);
	assert_string_equal(json, good);
	free(json);
}

static void no_keyslot_is_a_token_too(void **state)
{
	struct kc_error err = { 0 };
	char *json = edited("/keyslots", "[]"), *again;
	struct kc_token t;

	assert_int_equal(kc_token_parse(json, 0, &t, &err), 0);
	assert_false(t.has_keyslot);
	assert_int_equal(kc_token_format(&t, &again, &err), 0);
	assert_string_equal(json, again);
	free(json);
	free(again);
}

static void the_largest_wrapped_key_fits_and_one_byte_more_does_not(void **state)
{
	struct kc_error err = { 0 };
	struct kc_token t, again;
	char *json;

	assert_int_equal(kc_token_parse(good, 0, &t, &err), 0);
	t.wrapped_len = KC_WRAPPED_MAX;
	assert_int_equal(kc_token_format(&t, &json, &err), 0);
	assert_int_equal(kc_token_parse(json, 0, &again, &err), 0);
	assert_int_equal(again.wrapped_len, KC_WRAPPED_MAX);
	free(json);
	t.wrapped_len++;
	assert_int_equal(kc_token_format(&t, &json, &err), KC_USAGE);
	assert_null(json);
}

static void canonical_keys_of_every_provider(void **state)
{
	assert_true(kc_key_canonical("local", LOCAL_KEY));
	assert_true(kc_key_canonical("aws", ARN));
	assert_true(kc_key_canonical("aws", "arn:aws-us-gov:kms:us-gov-east-1:111122223333:key/mrk-" HEX32));
	assert_true(kc_key_canonical("aws", "arn:aws-cn:kms:cn-north-1:111122223333:key/" ID));
	assert_true(kc_key_canonical("pkcs11", "pkcs11:token=kv;object=kek1;type=secret-key"));
	assert_true(kc_key_canonical("tpm2", "tpm2:0x81000001"));
	assert_true(kc_key_canonical(NULL, ARN));

	assert_false(kc_key_canonical("aws", LOCAL_KEY));
	assert_false(kc_key_canonical(NULL, "local:alias/kcache"));
	assert_false(kc_key_canonical(NULL, "arn:aws:kms:eu-central-1:111122223333:alias/x"));
	assert_false(kc_key_canonical(NULL, "arn:aws:kms:eu-central-1.evil.example:111122223333:key/" ID));
	assert_false(kc_key_canonical(NULL, "arn:aws:kms:eu-central-1:11112222333:key/" ID));
	assert_false(kc_key_canonical(NULL, "arn:aws:kms::111122223333:key/" ID));
	assert_false(kc_key_canonical(NULL, "arn:AWS:kms:eu-central-1:111122223333:key/" ID));
	assert_false(kc_key_canonical(NULL, ARN "\n"));
	assert_false(kc_key_canonical(NULL, "pkcs11:a b"));
	assert_false(kc_key_canonical(NULL, ""));
}

/* One wrong token a row: which member, what is there, what the sentence says. */
static const struct wrong {
	const char *pointer;
	const char *json;
	const char *says;
} wrongs[] = {
	{ "/type", NULL, "\"type\" is missing" },
	{ "/type", "\"kcache2\"", "\"type\" is \"kcache2\", not \"kcache\"" },
	{ "/type", "7", "\"type\" is 7, not" },
	{ "/keyslots", NULL, "\"keyslots\" is missing" },
	{ "/keyslots", "\"0\"", "\"keyslots\" is \"0\", not [\"0\"] or []" },
	{ "/keyslots", "[\"1\"]", "\"keyslots\" is [\"1\"], not" },
	{ "/keyslots", "[0]", "\"keyslots\" is [0], not" },
	{ "/keyslots", "[\"0\",\"0\"]", "\"keyslots\" is [\"0\",\"0\"], not" },
	{ "/version", NULL, "\"version\" is missing" },
	{ "/version", "2", "\"version\" is 2, not 1" },
	{ "/version", "\"1\"", "\"version\" is \"1\", not 1" },
	{ "/version", "1.0", "\"version\" is 1.0, not 1" },
	{ "/version", "true", "\"version\" is true, not 1" },
	{ "/provider", NULL, "\"provider\" is missing" },
	{ "/provider", "\"vault\"", "\"provider\" is \"vault\", not one of" },
	{ "/provider", "\"Local\"", "\"provider\" is \"Local\", not one of" },
	{ "/provider", "\"aws\"", "\"key\" is \"" LOCAL_KEY "\", not a canonical key id of its provider" },
	{ "/key", NULL, "\"key\" is missing" },
	{ "/key", "\"local:alias/kcache\"", "\"key\" is \"local:alias/kcache\", not" },
	{ "/key", "\"local:11111111-2222-4333-8444-55555555555A\"", "\"key\" is \"local:1111" },
	{ "/key", "\"local:11111111-2222-4333-8444-555555555555 \"", "\"key\" is \"local:1111" },
	{ "/key", "\"local:11111111-2222-4333-8444-555555555555\\u0000x\"", "\"key\" is \"local:1111" },
	{ "/key", "\"\"", "\"key\" is \"\", not" },
	{ "/key", "null", "\"key\" is null, not" },
	{ "/wrapped_dek", NULL, "\"wrapped_dek\" is missing" },
	{ "/wrapped_dek", "\"\"", "\"wrapped_dek\" is \"\", not 1 to 6144 bytes" },
	{ "/wrapped_dek", "\"AAECAwQ\"", "\"wrapped_dek\" is \"AAECAwQ\", not" },	/* no padding */
	{ "/wrapped_dek", "\"AAECAwR=\"", "\"wrapped_dek\" is \"AAECAwR=\", not" },	/* loose bits */
	{ "/wrapped_dek", "\" AAECAwQ=  \"", "\"wrapped_dek\" is \" AAECAwQ=" },	/* white space */
	{ "/wrapped_dek", "\"AAEC-_Q=\"", "\"wrapped_dek\" is \"AAEC-_Q=\", not" },	/* base64url */
	{ "/wrapped_dek", "\"====\"", "\"wrapped_dek\" is \"====\", not" },
	{ "/wrapped_dek", "\"A===\"", "\"wrapped_dek\" is \"A===\", not" },
	{ "/wrapped_dek", "[1]", "\"wrapped_dek\" is [1], not" },
	{ "/context", NULL, "\"context\" is missing" },
	{ "/context", "[]", "\"context\" is [], not an object" },
	{ "/context/kcache:id", NULL, "\"kcache:id\" is missing" },
	{ "/context/kcache:id", "\"6B636163-6865-4a11-8bad-000000000001\"", "\"kcache:id\" is \"6B" },
	{ "/context/kcache:id", "\"\"", "\"kcache:id\" is \"\", not a lower-case UUID" },
	{ "/context/kcache:layout", NULL, "\"kcache:layout\" is missing" },
	{ "/context/kcache:layout", "\"" HEX32 "\"", "\"kcache:layout\" is \"0123" },
	{ "/context/kcache:generation", NULL, "\"kcache:generation\" is missing" },
	{ "/context/kcache:generation", "7", "\"kcache:generation\" is 7, not" },
	{ "/context/kcache:generation", "\"0\"", "\"kcache:generation\" is \"0\", not" },
	{ "/context/kcache:generation", "\"07\"", "\"kcache:generation\" is \"07\", not" },
	{ "/context/kcache:generation", "\"-1\"", "\"kcache:generation\" is \"-1\", not" },
	{ "/context/kcache:generation", "\"1000000000000000000\"", "\"kcache:generation\" is \"1000" },
	{ "/context/more", "1", "there is an unexpected member \"more\"" },
	{ "/lineage", NULL, "\"lineage\" is missing" },
	{ "/lineage", "\"0123456789ABCDEF0123456789abcdef\"", "\"lineage\" is \"0123456789ABCDEF" },
	{ "/lineage", "\"0123\"", "\"lineage\" is \"0123\", not 32" },
	{ "/lineage", "\"" HEX32 "0\"", "\"lineage\" is \"0123" },
	{ "/created", NULL, "\"created\" is missing" },
	{ "/created", "\"2026-02-30T10:00:00Z\"", "\"created\" is \"2026-02-30T10:00:00Z\", not" },
	{ "/created", "\"2026-11-21T25:00:00Z\"", "\"created\" is \"2026-11-21T25" },
	{ "/created", "\"2026-11-21T10:00:00+01:00\"", "\"created\" is \"2026-11-21T10:00:00+01" },
	{ "/created", "\"yesterday\"", "\"created\" is \"yesterday\", not a time like" },
	{ "/lease", NULL, "\"lease\" is missing" },
	{ "/lease", "\"3600\"", "\"lease\" is \"3600\", not a number" },
	{ "/lease", "-1", "\"lease\" is -1, not" },
	{ "/lease", "4294967296", "\"lease\" is 4294967296, not" },
	{ "/lease", "99999999999999999999999", "\"lease\" is " },
	{ "/lease", "1.5", "\"lease\" is 1.5, not" },
	{ "/on_revoke", NULL, "\"on_revoke\" is missing" },
	{ "/on_revoke", "\"ignore\"", "\"on_revoke\" is \"ignore\", not one of keep, fail, freeze" },
	{ "/on_revoke", "0", "\"on_revoke\" is 0, not" },
	{ "/mac", NULL, "\"mac\" is missing" },
	{ "/mac", "\"" HEX32 "\"", "\"mac\" is \"0123" },
	{ "/mac", "\"" HEX32 "0123456789abcdef0123456789abcdeg\"", "\"mac\" is \"0123" },
	{ "/comment", "\"hello\"", "there is an unexpected member \"comment\"" },
};

static void every_wrong_member_is_refused_by_name(void **state)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct kc_error err = { 0 };
		char *json = edited(wrongs[i].pointer, wrongs[i].json);
		struct kc_token t;

		if (kc_token_parse(json, 5, &t, &err) != KC_TAMPERED)
			fail_msg("accepted: %s", json);
		if (!strstr(err.text, wrongs[i].says) || strncmp(err.text, "token 5: ", 9))
			fail_msg("\"%s\" does not say: %s", err.text, wrongs[i].says);
		assert_true(err.next[0]);
		free(json);
	}
}

static void what_is_no_token_at_all_is_refused(void **state)
{
	static const char *const inputs[] = {
		"", "{", "7", "[]", "null", "\"kcache\"", "{} {}", "{'type':'kcache'}",
		"[[[[[[[[[[[[]]]]]]]]]]]]",
	};
	struct kc_token t;
	char *big;

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct kc_error err = { 0 };

		assert_int_equal(kc_token_parse(inputs[i], 0, &t, &err), KC_TAMPERED);
	}
	big = malloc(1 << 20);
	assert_non_null(big);
	memset(big, ' ', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	assert_int_equal(kc_token_parse(big, 0, &t, NULL), KC_TAMPERED);
	free(big);
}

/* Whoever wrote the disk must not write on the administrator's terminal. */
static void an_error_never_shows_control_characters(void **state)
{
	struct kc_error err = { 0 };
	char *json = edited("/provider", "\"\\u001b[2J\\u009b\\u00e9\\u0007\"");
	struct kc_token t;

	assert_int_equal(kc_token_parse(json, 0, &t, &err), KC_TAMPERED);
	for (const char *s = err.text; *s; s++)
		assert_in_range(*s, ' ', '~');
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_token_goes_there_and_back),
		cmocka_unit_test(no_keyslot_is_a_token_too),
		cmocka_unit_test(the_largest_wrapped_key_fits_and_one_byte_more_does_not),
		cmocka_unit_test(canonical_keys_of_every_provider),
		cmocka_unit_test(every_wrong_member_is_refused_by_name),
		cmocka_unit_test(what_is_no_token_at_all_is_refused),
		cmocka_unit_test(an_error_never_shows_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
