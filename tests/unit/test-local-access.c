// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may use a local key: key policies and grants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/utsname.h>
#include <cmocka.h>

#include "keystore-fixture.h"

/* nobody but us may do anything but administer it */
#define ADMIN "{'Statement':[{'Effect':'Allow','Principal':'*','Action':['kms:PutKeyPolicy','kms:GetKeyPolicy'," \
	"'kms:CreateGrant','kms:ListGrants','kms:RevokeGrant','kms:DescribeKey']}%s]}"

struct access {
	struct host *h;
	char key[KC_KEY_NAME_MAX];
	struct kc_binding b;
	uint8_t wrapped[KC_WRAPPED_MAX];
	size_t len;
};

static int access_up(void **state)
{
	struct access *a = calloc(1, sizeof(*a));
	struct kc_error err = { 0 };
	struct kc_kms *kms;

	host_up((void **)&a->h);
	new_key(a->h, a->key, "{}");
	volume_context(&a->b, a->key);
	kms = open_kms(a->h);
	ok_or_show(kc_kms_generate(kms, &a->b, a->wrapped, &a->len, &err), &err, "generate");
	kc_kms_close(kms);
	*state = a;
	return 0;
}

static int access_down(void **state)
{
	struct access *a = *state;

	host_down((void **)&a->h);
	free(a);
	return 0;
}

/* @policy has ' for ", which its JSON inside JSON needs escaped. */
static int put(struct access *a, struct kc_error *err, const char *policy)
{
	struct json_object *params = json_object_new_object(), *answer = NULL;
	struct kc_kms *kms = open_kms(a->h);
	char text[KS_POLICY_MAX + 8];
	size_t i;
	int r;

	assert_true(strlen(policy) < sizeof(text));
	strcpy(text, policy);
	for (i = 0; text[i]; i++)
		if (text[i] == '\'')
			text[i] = '"';
	json_object_object_add(params, "key", json_object_new_string(a->key));
	json_object_object_add(params, "policy", json_object_new_string(text));
	memset(err, 0, sizeof(*err));
	r = kc_kms_admin(kms, "local", "PutKeyPolicy", params, &answer, err);
	json_object_put(answer);
	json_object_put(params);
	kc_kms_close(kms);
	return r;
}

/* ADMIN and one statement more. */
static void put_statement(struct access *a, const char *statement)
{
	struct kc_error err;
	char policy[2048];

	snprintf(policy, sizeof(policy), ADMIN, statement);
	ok_or_show(put(a, &err, policy), &err, policy);
}

static int decrypt(struct access *a, const char *grant_token, struct kc_error *err)
{
	struct kc_kms *kms = open_kms(a->h);
	const uint8_t *dek;
	int r;

	memset(err, 0, sizeof(*err));
	kc_kms_use_grant(kms, grant_token);
	r = kc_kms_decrypt(kms, &a->b, a->wrapped, a->len, &dek, err);
	kc_kms_close(kms);
	return r;
}

static void assert_may(struct access *a, const char *why)
{
	struct kc_error err;

	ok_or_show(decrypt(a, NULL, &err), &err, why);
}

static void assert_may_not(struct access *a, const char *why)
{
	struct kc_error err;

	if (decrypt(a, NULL, &err) != KC_KMS_REFUSED || strcmp(err.provider_error, "AccessDeniedException"))
		fail_msg("%s: exit %d [%s] %s", why, err.code, err.provider_error, err.text);
}

/* --- policies ---------------------------------------------------------------------------- */

static void a_key_has_a_policy_that_lets_everybody(void **state)
{
	struct access *a = *state;
	struct json_object *answer;
	char policy[KS_POLICY_MAX];
	struct kc_error err;

	assert_may(a, "no policy");
	ok_or_show(call(a->h, "GetKeyPolicy", &answer, &err, "{'key':'%s'}", a->key), &err, "get");
	snprintf(policy, sizeof(policy), "%s", text_of(answer, "policy"));
	json_object_put(answer);
	assert_non_null(strstr(policy, "\"kms:*\""));
	/* it is what there is, and can be put as it is */
	ok_or_show(put(a, &err, policy), &err, "put");
	assert_may(a, "the default policy");
	ok_or_show(call(a->h, "GetKeyPolicy", &answer, &err, "{'key':'%s'}", a->key), &err, "get");
	assert_string_equal(text_of(answer, "policy"), policy);
	json_object_put(answer);
}

static void what_nobody_allows_is_refused(void **state)
{
	char uid[64], gid[64], host[512], statement[1024];
	struct access *a = *state;
	struct utsname us;
	struct kc_error err;

	assert_int_equal(uname(&us), 0);
	put_statement(a, "");
	assert_may_not(a, "administration alone");
	snprintf(uid, sizeof(uid), "{'uid':%u}", getuid());
	snprintf(gid, sizeof(gid), "{'gid':[4711,%u]}", getgid());
	snprintf(host, sizeof(host), "{'host':'%s','uid':4711}", us.nodename);
	{
		const struct {
			const char *principal, *action;
			bool may;
		} rows[] = {
			{ uid, "'kms:Decrypt'", true },
			{ gid, "'kms:Decrypt'", true },
			{ host, "['kms:Encrypt','kms:Decrypt']", true },
			{ "'*'", "'kms:De*'", true },
			{ "'*'", "'kms:*'", true },
			{ "{'uid':4711}", "'kms:*'", false },
			{ "{'gid':4711}", "'kms:*'", false },
			{ "{'host':'not-this-one'}", "'kms:*'", false },
			{ uid, "['kms:Encrypt','kms:ReEncrypt*']", false },
			{ uid, "'kms:DescribeKey'", false },
		};
		size_t i;

		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			snprintf(statement, sizeof(statement), ",{'Effect':'Allow','Principal':%s,'Action':%s}",
				 rows[i].principal, rows[i].action);
			put_statement(a, statement);
			if (rows[i].may)
				assert_may(a, statement);
			else
				assert_may_not(a, statement);
		}
	}
	/* what is said says who and what */
	assert_int_equal(decrypt(a, NULL, &err), KC_KMS_REFUSED);
	assert_non_null(strstr(err.text, "may not Decrypt with local:"));
	assert_non_null(strstr(err.text, "neither its policy nor a grant allows it"));
}

static void deny_stands_above_all(void **state)
{
	struct access *a = *state;
	struct kc_error err;
	struct utsname us;

	assert_int_equal(uname(&us), 0);
	do_call(a->h, "CreateGrant", "{'key':'%s','grantee':'%s','operations':['Decrypt']}", a->key, us.nodename);
	put_statement(a, ",{'Effect':'Deny','Principal':'*','Action':'kms:Decrypt'},"
			 "{'Effect':'Allow','Principal':'*','Action':'kms:*'}");
	assert_may_not(a, "denied");
	assert_int_equal(decrypt(a, NULL, &err), KC_KMS_REFUSED);
	assert_non_null(strstr(err.text, "its policy denies it"));
}

/* Whoever may not use a key is not told its state. */
static void a_refusal_comes_before_the_state(void **state)
{
	struct access *a = *state;

	do_call(a->h, "DisableKey", "{'key':'%s'}", a->key);
	put_statement(a, "");
	assert_may_not(a, "disabled, and not ours");
}

static void a_policy_that_is_not_understood_is_refused(void **state)
{
#define STATEMENT(s) "{'Statement':[{'Effect':'Allow','Principal':'*','Action':'kms:*'}," s "]}"
	static const char *const bad[] = {
		"", "no JSON", "[]", "{}", "{'Statement':[]}", "{'Statement':[null]}", "{'Statement':'x'}",
		"{'Version':'2008-10-17','Statement':[{'Effect':'Allow','Principal':'*','Action':'kms:*'}]}",
		"{'More':1,'Statement':[{'Effect':'Allow','Principal':'*','Action':'kms:*'}]}",
		STATEMENT("{}"), STATEMENT("7"),
		STATEMENT("{'Effect':'Allow','Principal':'*'}"),
		STATEMENT("{'Effect':'Allow','Action':'kms:*'}"),
		STATEMENT("{'Principal':'*','Action':'kms:*'}"),
		STATEMENT("{'Effect':'allow','Principal':'*','Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':'root','Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{'AWS':'*'},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{'uid':'0'},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{'uid':-1},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{'uid':[]},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{'uid':[0,null]},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':{'host':''},'Action':'kms:*'}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','Action':'*'}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','Action':'kms:Decrpyt'}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','Action':[]}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','Action':['kms:Decrypt',7]}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','Action':'kms:*','Resource':'arn:x'}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','Action':'kms:*','Condition':{}}"),
		STATEMENT("{'Effect':'Allow','Principal':'*','NotAction':'kms:*'}"),
		/* nobody could change it again */
		"{'Statement':{'Effect':'Allow','Principal':'*','Action':'kms:Decrypt'}}",
		"{'Statement':{'Effect':'Allow','Principal':{'uid':4711},'Action':'kms:*'}}",
	};
	struct access *a = *state;
	struct kc_error err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (put(a, &err, bad[i]) != KC_USAGE || strcmp(err.provider_error, "MalformedPolicyDocumentException"))
			fail_msg("%s: exit %d [%s] %s", bad[i], err.code, err.provider_error, err.text);
	assert_may(a, "nothing was put");
}

/* A policy that somebody else wrote into the database is damage, and no permission. */
static void a_damaged_policy_lets_nobody(void **state)
{
	struct access *a = *state;
	struct kc_error err;

	sql(a->h, "UPDATE keys SET policy = '{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\"}]}'");
	assert_int_equal(decrypt(a, NULL, &err), KC_KMS_RETRY);
	assert_string_equal(err.provider_error, "KeyUnavailableException");
}

/* --- grants ------------------------------------------------------------------------------ */

static void grant(struct access *a, const char *grantee, const char *operations, const char *context, char *id,
		  char *token)
{
	struct json_object *answer;
	struct kc_error err;

	ok_or_show(call(a->h, "CreateGrant", &answer, &err, "{'key':'%s','grantee':'%s','operations':[%s]%s%s}", a->key,
			grantee, operations, *context ? ",'context':" : "", context), &err, "CreateGrant");
	assert_int_equal(strlen(text_of(answer, "grant_id")), KS_GRANT_ID);
	assert_int_equal(strlen(text_of(answer, "grant_token")), 64);
	if (id)
		strcpy(id, text_of(answer, "grant_id"));
	if (token)
		strcpy(token, text_of(answer, "grant_token"));
	json_object_put(answer);
}

static void a_grant_allows_what_it_says_where_it_says(void **state)
{
	struct access *a = *state;
	char id[80], token[80], machine[64] = "", context[256];
	struct utsname us;
	FILE *f = fopen("/etc/machine-id", "r");
	struct kc_error err;
	struct {
		const char *grantee, *operations, *context;
		bool may;
	} rows[] = {
		{ us.nodename, "'Decrypt'", "", true },
		{ machine, "'Decrypt','Encrypt'", "", true },
		{ "not-this-one", "'Decrypt'", "", false },
		{ us.nodename, "'Encrypt','ReEncryptFrom'", "", false },
		{ us.nodename, "'Decrypt'", context, true },
		{ us.nodename, "'Decrypt'", "{'kcache:id':'3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a12'}", false },
		{ us.nodename, "'Decrypt'", "{'kcache:generation':'1'}", true },
		{ us.nodename, "'Decrypt'", "{'kcache:generation':'2'}", false },
	};
	size_t i;

	assert_int_equal(uname(&us), 0);
	if (f) {
		assert_int_equal(fscanf(f, "%60s", machine), 1);
		fclose(f);
	}
	snprintf(context, sizeof(context), "{'kcache:id':'%s'}", a->b.context.id);
	put_statement(a, "");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!*rows[i].grantee)
			continue;
		grant(a, rows[i].grantee, rows[i].operations, rows[i].context, id, token);
		if (rows[i].may)
			assert_may(a, rows[i].operations);
		else
			assert_may_not(a, rows[i].operations);
		do_call(a->h, "RevokeGrant", "{'key':'%s','grant_id':'%s'}", a->key, id);
		assert_may_not(a, "revoked");
		assert_int_equal(call(a->h, "RevokeGrant", NULL, &err, "{'key':'%s','grant_id':'%s'}", a->key, id),
				 KC_KMS_REFUSED);
		assert_string_equal(err.provider_error, "NotFoundException");
	}
}

static void a_grant_is_retired_by_its_token_or_its_id(void **state)
{
	struct access *a = *state;
	char id[80], token[80], other[KC_KEY_NAME_MAX];
	struct kc_error err;
	struct utsname us;
	uint8_t *db;
	size_t len;

	assert_int_equal(uname(&us), 0);
	grant(a, us.nodename, "'Decrypt'", "", id, token);
	ok_or_show(decrypt(a, token, &err), &err, "with its token");
	slurp(path_of(a->h, DB_FILE), &db, &len);
	assert_null(memmem(db, len, token, 64));
	free(db);
	do_call(a->h, "RetireGrant", "{'grant_token':'%s'}", token);
	assert_int_equal(decrypt(a, token, &err), KC_USAGE);
	assert_string_equal(err.provider_error, "InvalidGrantTokenException");
	assert_int_equal(call(a->h, "RetireGrant", NULL, &err, "{'grant_token':'%s'}", token), KC_USAGE);

	grant(a, us.nodename, "'Decrypt'", "", id, token);
	new_key(a->h, other, "{}");
	assert_int_equal(call(a->h, "RetireGrant", NULL, &err, "{'key':'%s','grant_id':'%s'}", other, id), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "NotFoundException");
	/* nor does it serve another key */
	volume_context(&a->b, other);
	assert_int_equal(decrypt(a, token, &err), KC_USAGE);
	assert_string_equal(err.provider_error, "InvalidGrantTokenException");
	do_call(a->h, "RetireGrant", "{'key':'%s','grant_id':'%s'}", a->key, id);
}

/* The grantee may retire his grant if it says so; nobody else without the policy's leave. */
static void who_may_retire_a_grant(void **state)
{
	struct access *a = *state;
	char id[80], token[80];
	struct kc_error err;
	struct utsname us;

	assert_int_equal(uname(&us), 0);
	put_statement(a, "");
	grant(a, us.nodename, "'Decrypt'", "", id, token);
	assert_int_equal(call(a->h, "RetireGrant", NULL, &err, "{'grant_token':'%s'}", token), KC_KMS_REFUSED);
	assert_string_equal(err.provider_error, "AccessDeniedException");
	grant(a, us.nodename, "'Decrypt','RetireGrant'", "", id, token);
	do_call(a->h, "RetireGrant", "{'grant_token':'%s'}", token);
}

static void grants_are_listed_whole(void **state)
{
	struct access *a = *state;
	struct json_object *answer, *list, *one;
	struct kc_error err;
	char marker[80] = "";
	size_t n = 0;
	int i;

	for (i = 0; i < KS_PAGE + 2; i++)
		grant(a, "host.example", "'RetireGrant','Decrypt'", "{'kcache:generation':'7'}", NULL, NULL);
	do {
		ok_or_show(call(a->h, "ListGrants", &answer, &err, *marker ? "{'key':'%s','marker':'%s'}" : "{'key':'%s'}",
				a->key, marker), &err, "list");
		list = json_object_object_get(answer, "grants");
		n += json_object_array_length(list);
		one = json_object_array_get_idx(list, 0);
		assert_string_equal(text_of(one, "grantee"), "host.example");
		assert_string_equal(json_object_to_json_string_ext(json_object_object_get(one, "operations"),
								   JSON_C_TO_STRING_PLAIN), "[\"Decrypt\",\"RetireGrant\"]");
		assert_string_equal(text_of(json_object_object_get(one, "context"), "kcache:generation"), "7");
		snprintf(marker, sizeof(marker), "%s", text_of(answer, "next"));
		json_object_put(answer);
	} while (*marker);
	assert_int_equal(n, KS_PAGE + 2);
}

static void a_bad_grant_is_refused(void **state)
{
	static const char *const bad[] = {
		"", ",'grantee':'h'", ",'operations':['Decrypt']", ",'grantee':'','operations':['Decrypt']",
		",'grantee':'a b','operations':['Decrypt']", ",'grantee':'h','operations':[]",
		",'grantee':'h','operations':'Decrypt'", ",'grantee':'h','operations':['Decrypt',null]",
		",'grantee':'h','operations':['ScheduleKeyDeletion']",
		",'grantee':'h','operations':['Decrypt'],'context':{}",
		",'grantee':'h','operations':['Decrypt'],'context':{'aws:ebs:id':'x'}",
		",'grantee':'h','operations':['Decrypt'],'context':{'kcache:generation':1}",
		",'grantee':'h','operations':['Decrypt'],'context':'x'",
	};
	struct access *a = *state;
	struct kc_error err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (call(a->h, "CreateGrant", NULL, &err, "{'key':'%s'%s}", a->key, bad[i]) != KC_USAGE)
			fail_msg("%s: exit %d %s", bad[i], err.code, err.text);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, access_up, access_down)
	const struct CMUnitTest tests[] = {
		T(a_key_has_a_policy_that_lets_everybody),
		T(what_nobody_allows_is_refused),
		T(deny_stands_above_all),
		T(a_refusal_comes_before_the_state),
		T(a_policy_that_is_not_understood_is_refused),
		T(a_damaged_policy_lets_nobody),
		T(a_grant_allows_what_it_says_where_it_says),
		T(a_grant_is_retired_by_its_token_or_its_id),
		T(who_may_retire_a_grant),
		T(grants_are_listed_whole),
		T(a_bad_grant_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
