// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What kcache key asks of AWS KMS: arguments and answers are those of kms.h
 * (kc_kms_admin()), here translated into KMS's own and back.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aws.h"
#include "creds.h"
#include "kms-wire.h"
#include "serve.h"

#define PAGE 50		/* of a list; a message to kcache has KC_WIRE_MAX bytes */
#define PAGE_KEYS 20	/* each of which is described */
#define POLICY_MAX 32769	/* KMS's limit, with a NUL */
#define IMPORT_TOKEN_MAX 8193	/* base64 of KMS's limit, with a NUL */

static int no_memory(struct kh *k)
{
	return kh_fail(k, KH_NO_MEMORY, "out of memory");
}

/* Reads an optional text argument; "" if it is not there. */
static int optional(struct kh *k, struct json_object *args, const char *name, char *out, size_t size)
{
	if (kc_wire_str(args, name, out, size) || !json_object_object_get_ex(args, name, NULL))
		return 0;
	return kh_fail(k, KH_VALIDATION, "the %s is not a text of at most %zu bytes", name, size - 1);
}

static int required(struct kh *k, struct json_object *args, const char *name, char *out, size_t size)
{
	if (optional(k, args, name, out, size))
		return -1;
	return *out ? 0 : kh_fail(k, KH_VALIDATION, "there is no %s", name);
}

/**
 * struct admin - an operation on its way
 * @name: of the key, as it was given; "" for none
 * @key: the same, taken apart; only its region counts without one
 * @params: what KMS is sent
 * @answer: what it said
 */
struct admin {
	struct kh *k;
	char name[KC_KEY_NAME_MAX];
	struct aws_key key;
	struct aws_call call;
	struct json_object *params;
	struct json_object *answer;
};

/* The key's ARN, where an alias will not do. */
static int resolve(struct admin *a)
{
	const char *why_not;
	struct kc_key_info info;

	if (a->key.account[0] && !aws_key_is_alias(&a->key))
		return 0;
	if (aws_describe_any(a->k, &a->key, a->name, &info, &why_not))
		return -1;
	return aws_arn_parse(info.key, &a->key) ? 0 : -1;
}

/* Begins an operation on the key that the arguments name; KMS takes aliases for the use of keys only. */
static int begin(struct admin *a, struct kh *k, struct json_object *args, const char *operation)
{
	memset(a, 0, sizeof(*a));
	a->k = k;
	if (required(k, args, "key", a->name, sizeof(a->name)) || aws_key_parse(k, a->name, &a->key))
		return -1;
	a->call = (struct aws_call){ .operation = operation, .region = a->key.region, .key = a->name };
	a->params = json_object_new_object();
	if (!a->params)
		return no_memory(k);
	return aws_key_is_alias(&a->key) ? resolve(a) : 0;
}

/* Begins one on no key: of the configured region. */
static int begin_region(struct admin *a, struct kh *k, const char *operation)
{
	const char *region = aws_region(k);

	memset(a, 0, sizeof(*a));
	a->k = k;
	if (!region || !aws_region_valid(region)) {
		kh_fail(k, KH_VALIDATION, "no AWS region is configured that is one");
		return kh_next(k, "set AWS_REGION");
	}
	snprintf(a->key.region, sizeof(a->key.region), "%s", region);
	snprintf(a->key.partition, sizeof(a->key.partition), "%s", aws_partition(region));
	a->call = (struct aws_call){ .operation = operation, .region = a->key.region };
	a->params = json_object_new_object();
	return a->params ? 0 : no_memory(k);
}

static int add_str(struct admin *a, const char *name, const char *s)
{
	return kc_wire_add_str(a->params, name, s) ? 0 : no_memory(a->k);
}

static int add_int(struct admin *a, const char *name, int64_t v)
{
	return kc_wire_add_int(a->params, name, v) ? 0 : no_memory(a->k);
}

static int add_key(struct admin *a)
{
	char id[KC_KEY_NAME_MAX];

	return add_str(a, "KeyId", aws_key_id(&a->key, id));
}

static int ask(struct admin *a)
{
	return aws_ask(a->k, &a->call, a->params, &a->answer);
}

static int end(struct admin *a, int r)
{
	json_object_put(a->params);
	json_object_put(a->answer);
	return r;
}

static int answer_str(struct admin *a, struct json_object *result, const char *name, const char *s)
{
	if (!s)
		return aws_garbage(a->k, &a->call, "not what it must have");
	return kc_wire_add_str(result, name, s) ? 0 : no_memory(a->k);
}

/* What the key is now. */
static int answer_info(struct kh *k, const struct aws_key *key, const char *name, struct json_object *result)
{
	const char *why_not;
	struct kc_key_info info;

	if (aws_describe_any(k, key, name, &info, &why_not))
		return -1;
	return kh_add_info(result, &info) ? 0 : no_memory(k);
}

/* An operation that takes a key and nothing else, answered by what the key is then. */
static int change(struct kh *k, struct json_object *args, struct json_object *result, const char *operation)
{
	struct admin a;
	int r = begin(&a, k, args, operation);

	if (!r)
		r = add_key(&a);
	if (!r)
		r = ask(&a);
	if (!r)
		r = answer_info(k, &a.key, a.name, result);
	return end(&a, r);
}

static int enable_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change(k, args, result, "EnableKey");
}

static int disable_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change(k, args, result, "DisableKey");
}

static int rotate_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change(k, args, result, "RotateKeyOnDemand");
}

static int cancel_deletion(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change(k, args, result, "CancelKeyDeletion");
}

static int delete_material(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change(k, args, result, "DeleteImportedKeyMaterial");
}

/* "alias/NAME" of NAME, alias/NAME, aws:alias/NAME or an alias's ARN. */
static int alias_of(struct kh *k, const char *given, char *name, size_t size)
{
	struct aws_key key;
	const char *s = given;

	if (!strncmp(s, "arn:", 4) && aws_arn_parse(s, &key))
		s = key.resource;
	if (!strncmp(s, "aws:", 4))
		s += 4;
	if (!strncmp(s, "alias/", 6))
		s += 6;
	if (strlen(s) + 7 > size || !*s || strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-") !=
	    strlen(s) || strlen(s) > 250) {
		kh_fail(k, KH_VALIDATION, "\"%s\" is no name for a key", given);
		return kh_next(k, "use up to 250 letters, digits and / _ -");
	}
	if (!strncmp(s, "aws/", 4)) {
		kh_fail(k, KH_VALIDATION, "alias/%s: names that begin with aws/ are AWS's own", s);
		return kh_next(k, "choose another name");
	}
	snprintf(name, size, "alias/%s", s);
	return 0;
}

static int set_alias(struct kh *k, struct json_object *args, const char *operation)
{
	char given[KC_KEY_NAME_MAX], alias[288], id[KC_KEY_NAME_MAX];
	struct admin a;
	int r = begin(&a, k, args, operation);

	if (!r)
		r = required(k, args, "alias", given, sizeof(given));
	if (!r)
		r = alias_of(k, given, alias, sizeof(alias));
	if (!r)
		r = add_str(&a, "AliasName", alias);
	if (!r)
		r = add_str(&a, "TargetKeyId", aws_key_id(&a.key, id));
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

static int create_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)result;
	return set_alias(k, args, "CreateAlias");
}

static int update_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)result;
	return set_alias(k, args, "UpdateAlias");
}

static int delete_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	char given[KC_KEY_NAME_MAX], alias[288];
	struct admin a;
	struct aws_key key;
	int r = begin_region(&a, k, "DeleteAlias");

	(void)result;
	if (!r)
		r = required(k, args, "alias", given, sizeof(given));
	if (!r)
		r = alias_of(k, given, alias, sizeof(alias));
	/* an ARN says the region */
	if (!r && aws_arn_parse(given, &key))
		snprintf(a.key.region, sizeof(a.key.region), "%s", key.region);
	if (!r)
		r = add_str(&a, "AliasName", alias);
	a.call.key = alias;
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

/* The key that was just made gets its name; one that cannot be named is told, it is there. */
static int name_new_key(struct admin *a, const char *arn, const char *alias, struct json_object *result)
{
	struct aws_call c = { .operation = "CreateAlias", .region = a->key.region, .key = arn };
	struct json_object *params = json_object_new_object(), *answer;
	char full[300];
	int r;

	if (!kc_wire_add_str(params, "AliasName", alias) || !kc_wire_add_str(params, "TargetKeyId", arn)) {
		json_object_put(params);
		return no_memory(a->k);
	}
	r = aws_ask(a->k, &c, params, &answer);
	json_object_put(params);
	json_object_put(answer);
	if (r)
		return kh_next(a->k, "the key is there all the same, without a name: %s", arn);
	snprintf(full, sizeof(full), "aws:%s", alias);
	return answer_str(a, result, "alias", full);
}

static int create_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	char given[KC_KEY_NAME_MAX] = "", alias[288] = "", origin[16] = "", description[256] = "", arn[KC_KEY_NAME_MAX] = "";
	struct json_object *meta;
	struct admin a;
	struct aws_key key;
	int r = begin_region(&a, k, "CreateKey");

	if (!r)
		r = optional(k, args, "alias", given, sizeof(given));
	if (!r && *given)
		r = alias_of(k, given, alias, sizeof(alias));
	if (!r)
		r = optional(k, args, "description", description, sizeof(description));
	if (!r)
		r = optional(k, args, "origin", origin, sizeof(origin));
	if (!r && *origin && strcmp(origin, "EXTERNAL"))
		r = kh_fail(k, KH_VALIDATION, "the origin is \"%s\", not EXTERNAL", origin);
	if (!r && *description)
		r = add_str(&a, "Description", description);
	if (!r && *origin)
		r = add_str(&a, "Origin", origin);
	if (!r)
		r = ask(&a);
	if (!r) {
		if (!json_object_object_get_ex(a.answer, "KeyMetadata", &meta))
			meta = NULL;
		snprintf(arn, sizeof(arn), "%s", aws_string(meta, "Arn") ? aws_string(meta, "Arn") : "");
		if (!aws_arn_parse(arn, &key))
			r = aws_garbage(k, &a.call, "no description of a key");
	}
	if (!r && *alias)
		r = name_new_key(&a, arn, alias, result);
	if (!r)
		r = answer_info(k, &key, arn, result);
	return end(&a, r);
}

static int enable_rotation(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int64_t days;
	int r = begin(&a, k, args, "EnableKeyRotation");

	(void)result;
	if (!r)
		r = add_key(&a);
	if (!r && kc_wire_int(args, "days", 90, 2560, &days))
		r = add_int(&a, "RotationPeriodInDays", days);
	else if (!r && json_object_object_get_ex(args, "days", NULL))
		r = kh_fail(k, KH_VALIDATION, "the days are not a number from 90 to 2560");
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

static int disable_rotation(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = begin(&a, k, args, "DisableKeyRotation");

	(void)result;
	if (!r)
		r = add_key(&a);
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

static int rotation_status(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *v;
	struct admin a;
	char next[32];
	int64_t days;
	int r = begin(&a, k, args, "GetKeyRotationStatus");

	if (!r)
		r = add_key(&a);
	if (!r)
		r = ask(&a);
	if (r)
		return end(&a, r);
	if (!json_object_object_get_ex(a.answer, "KeyRotationEnabled", &v) ||
	    !json_object_is_type(v, json_type_boolean))
		return end(&a, aws_garbage(k, &a.call, "no KeyRotationEnabled"));
	aws_time(a.answer, "NextRotationDate", next);
	if (!kc_wire_add(result, "rotation", json_object_get(v)) ||
	    (kc_wire_int(a.answer, "RotationPeriodInDays", 1, 100000, &days) &&
	     !kc_wire_add_int(result, "days", days)) ||
	    (*next && !kc_wire_add_str(result, "next", next)))
		r = no_memory(k);
	return end(&a, r);
}

static int schedule_deletion(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int64_t days;
	int r = begin(&a, k, args, "ScheduleKeyDeletion");

	if (!r)
		r = add_key(&a);
	if (!r && kc_wire_int(args, "days", 7, 30, &days))
		r = add_int(&a, "PendingWindowInDays", days);
	else if (!r && json_object_object_get_ex(args, "days", NULL))
		r = kh_fail(k, KH_VALIDATION, "the days are not a number from 7 to 30");
	if (!r)
		r = ask(&a);
	if (!r)
		r = answer_info(k, &a.key, a.name, result);
	return end(&a, r);
}

/*
 * A whole context (all three members) must be equal; a part of it must be contained.
 * One that named the generation would end with the next rotation of the DEK, so
 * kcache:id alone is what a host usually gets.
 */
static int add_constraint(struct admin *a, struct json_object *args)
{
	struct json_object *context, *constraints;
	const char *kind;

	if (!json_object_object_get_ex(args, "context", &context))
		return 0;
	if (!json_object_is_type(context, json_type_object) || !json_object_object_length(context))
		return kh_fail(a->k, KH_VALIDATION, "the context is no object");
	kind = json_object_object_get_ex(context, "kcache:id", NULL) &&
		json_object_object_get_ex(context, "kcache:layout", NULL) &&
		json_object_object_get_ex(context, "kcache:generation", NULL) ?
		"EncryptionContextEquals" : "EncryptionContextSubset";
	constraints = json_object_new_object();
	if (!kc_wire_add(constraints, kind, json_object_get(context)) ||
	    !kc_wire_add(a->params, "Constraints", json_object_get(constraints))) {
		json_object_put(constraints);
		return no_memory(a->k);
	}
	json_object_put(constraints);
	return 0;
}

int aws_create_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *operations;
	char grantee[513];
	struct admin a;
	int r = begin(&a, k, args, "CreateGrant");

	if (!r)
		r = required(k, args, "grantee", grantee, sizeof(grantee));
	if (!r && (!json_object_object_get_ex(args, "operations", &operations) ||
		   !json_object_is_type(operations, json_type_array) || !json_object_array_length(operations)))
		r = kh_fail(k, KH_VALIDATION, "there are no operations");
	if (!r)
		r = add_key(&a);
	if (!r)
		r = add_str(&a, "GranteePrincipal", grantee);
	if (!r && !kc_wire_add(a.params, "Operations", json_object_get(operations)))
		r = no_memory(k);
	if (!r)
		r = add_constraint(&a, args);
	if (!r)
		r = ask(&a);
	if (!r)
		r = answer_str(&a, result, "grant_id", aws_string(a.answer, "GrantId"));
	if (!r)
		r = answer_str(&a, result, "grant_token", aws_string(a.answer, "GrantToken"));
	return end(&a, r);
}

/* By its token, or by its id with the key; with a token the key says but the region. */
int aws_retire_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	bool named = json_object_object_get_ex(args, "key", NULL);
	char id[129], token[KH_GRANT_TOKEN_MAX];
	struct admin a;
	int r = named ? begin(&a, k, args, "RetireGrant") : begin_region(&a, k, "RetireGrant");

	(void)result;
	if (!r)
		r = optional(k, args, "grant_token", token, sizeof(token));
	if (!r && *token) {
		r = add_str(&a, "GrantToken", token);
	} else if (!r) {
		r = required(k, args, "grant_id", id, sizeof(id));
		if (!r && !named)
			r = kh_fail(k, KH_VALIDATION, "there is no key");
		if (!r)
			r = resolve(&a);
		if (!r)
			r = add_key(&a);
		if (!r)
			r = add_str(&a, "GrantId", id);
	}
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

static int revoke_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	char id[129];
	struct admin a;
	int r = begin(&a, k, args, "RevokeGrant");

	(void)result;
	if (!r)
		r = required(k, args, "grant_id", id, sizeof(id));
	if (!r)
		r = add_key(&a);
	if (!r)
		r = add_str(&a, "GrantId", id);
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

/* A page of a list: from the marker of @args, and "next" where it goes on. */
static int ask_page(struct admin *a, struct json_object *args, int limit)
{
	char marker[1025];

	if (optional(a->k, args, "marker", marker, sizeof(marker)) || add_int(a, "Limit", limit) ||
	    (*marker && add_str(a, "Marker", marker)))
		return -1;
	return ask(a);
}

static int add_next(struct admin *a, struct json_object *result)
{
	struct json_object *v;
	const char *next = aws_string(a->answer, "NextMarker");

	if (!next || !json_object_object_get_ex(a->answer, "Truncated", &v) || !json_object_get_boolean(v))
		return 0;
	return answer_str(a, result, "next", next);
}

/* The rows of the answer's @list, each into a new object of @member by @one, which may leave it empty. */
static int rows(struct admin *a, struct json_object *result, const char *list, const char *member,
		int (*one)(struct admin *a, struct json_object *row, struct json_object *o))
{
	struct json_object *in, *out = json_object_new_array(), *o;
	size_t i;
	int r = 0;

	if (!kc_wire_add(result, member, out))
		return no_memory(a->k);
	if (!json_object_object_get_ex(a->answer, list, &in) || !json_object_is_type(in, json_type_array))
		return aws_garbage(a->k, &a->call, "no list");
	for (i = 0; !r && i < json_object_array_length(in); i++) {
		o = json_object_new_object();
		if (!o)
			return no_memory(a->k);
		r = one(a, json_object_array_get_idx(in, i), o);
		if (r || !json_object_object_length(o) || json_object_array_add(out, o)) {
			r = r ? r : json_object_object_length(o) ? no_memory(a->k) : 0;
			json_object_put(o);
		}
	}
	return r ? r : add_next(a, result);
}

/* The encryption context of a grant, whichever kind of constraint it is. */
static struct json_object *constraint_of(struct json_object *row)
{
	struct json_object *c, *v;

	if (json_object_object_get_ex(row, "Constraints", &c) &&
	    (json_object_object_get_ex(c, "EncryptionContextEquals", &v) ||
	     json_object_object_get_ex(c, "EncryptionContextSubset", &v)) &&
	    json_object_is_type(v, json_type_object))
		return json_object_get(v);
	return json_object_new_object();
}

static int grant_row(struct admin *a, struct json_object *row, struct json_object *o)
{
	const char *id = aws_string(row, "GrantId"), *grantee = aws_string(row, "GranteePrincipal");
	struct json_object *operations;
	char created[32];

	aws_time(row, "CreationDate", created);
	if (!json_object_object_get_ex(row, "Operations", &operations) ||
	    !json_object_is_type(operations, json_type_array) || !id)
		return aws_garbage(a->k, &a->call, "no grant that is one");
	return kc_wire_add_str(o, "grant_id", id) && kc_wire_add_str(o, "grantee", grantee ? grantee : "") &&
		kc_wire_add(o, "operations", json_object_get(operations)) &&
		kc_wire_add(o, "context", constraint_of(row)) && kc_wire_add_str(o, "created", created) ?
		0 : no_memory(a->k);
}

static int list_grants(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = begin(&a, k, args, "ListGrants");

	if (!r)
		r = add_key(&a);
	if (!r)
		r = ask_page(&a, args, PAGE);
	if (!r)
		r = rows(&a, result, "Grants", "grants", grant_row);
	return end(&a, r);
}

/* Of a service's alias that no key is behind yet nothing is told. */
static int alias_row(struct admin *a, struct json_object *row, struct json_object *o)
{
	const char *name = aws_string(row, "AliasName"), *arn = aws_string(row, "AliasArn");
	const char *target = aws_string(row, "TargetKeyId");
	char key[KC_KEY_NAME_MAX], alias[300];
	struct aws_key parts;

	if (!target)
		return 0;
	if (!name || !arn || !aws_arn_parse(arn, &parts) || !aws_key_is_alias(&parts))
		return aws_garbage(a->k, &a->call, "no alias that is one");
	snprintf(key, sizeof(key), "arn:%s:kms:%s:%s:key/%.100s", parts.partition, parts.region, parts.account, target);
	snprintf(alias, sizeof(alias), "aws:%s", parts.resource);
	if (!kc_key_canonical("aws", key))
		return aws_garbage(a->k, &a->call, "an alias of no key");
	return kc_wire_add_str(o, "alias", alias) && kc_wire_add_str(o, "key", key) ? 0 : no_memory(a->k);
}

int aws_list_aliases(struct kh *k, struct json_object *args, struct json_object *result)
{
	bool named = json_object_object_get_ex(args, "key", NULL);
	struct admin a;
	int r = named ? begin(&a, k, args, "ListAliases") : begin_region(&a, k, "ListAliases");

	if (!r && named)
		r = add_key(&a);
	if (!r)
		r = ask_page(&a, args, PAGE);
	if (!r)
		r = rows(&a, result, "Aliases", "aliases", alias_row);
	return end(&a, r);
}

/* A key that others may list and not describe is told by its name. */
static int key_row(struct admin *a, struct json_object *row, struct json_object *o)
{
	const char *arn = aws_string(row, "KeyArn"), *why_not;
	struct kc_key_info info = { .state = KC_KEY_UNAVAILABLE };
	struct aws_key key;

	if (!arn || !aws_arn_parse(arn, &key) || !kc_key_canonical("aws", arn))
		return aws_garbage(a->k, &a->call, "no key that is one");
	if (aws_describe_any(a->k, &key, arn, &info, &why_not)) {
		if (a->k->error != KH_DENIED)
			return -1;
		kh_forget(a->k);
		info = (struct kc_key_info){ .state = KC_KEY_UNAVAILABLE };
		snprintf(info.provider, sizeof(info.provider), "aws");
		snprintf(info.key, sizeof(info.key), "%s", arn);
		snprintf(info.description, sizeof(info.description), "(kms:DescribeKey is denied)");
	}
	return kh_add_info(o, &info) ? 0 : no_memory(a->k);
}

static int list_keys(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = begin_region(&a, k, "ListKeys");

	if (!r)
		r = ask_page(&a, args, PAGE_KEYS);
	if (!r)
		r = rows(&a, result, "Keys", "keys", key_row);
	return end(&a, r);
}

static int get_policy(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = begin(&a, k, args, "GetKeyPolicy");

	if (!r)
		r = add_key(&a);
	if (!r)
		r = add_str(&a, "PolicyName", "default");
	if (!r)
		r = ask(&a);
	if (!r)
		r = answer_str(&a, result, "policy", aws_string(a.answer, "Policy"));
	return end(&a, r);
}

static int put_policy(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *v;
	struct admin a;
	int r = begin(&a, k, args, "PutKeyPolicy");

	(void)result;
	/* not kc_wire_str(): a document has lines */
	if (!r && (!json_object_object_get_ex(args, "policy", &v) || !json_object_is_type(v, json_type_string) ||
		   json_object_get_string_len(v) >= POLICY_MAX))
		r = kh_fail(k, KH_VALIDATION, "there is no policy of at most %d bytes", POLICY_MAX - 1);
	if (!r)
		r = add_key(&a);
	if (!r)
		r = add_str(&a, "PolicyName", "default");
	if (!r)
		r = add_str(&a, "Policy", json_object_get_string(v));
	if (!r)
		r = ask(&a);
	return end(&a, r);
}

static int import_parameters(struct kh *k, struct json_object *args, struct json_object *result)
{
	char until[32];
	struct admin a;
	int r = begin(&a, k, args, "GetParametersForImport");

	if (!r)
		r = add_key(&a);
	if (!r)
		r = add_str(&a, "WrappingAlgorithm", "RSAES_OAEP_SHA_256");
	if (!r)
		r = add_str(&a, "WrappingKeySpec", "RSA_4096");
	if (!r)
		r = ask(&a);
	if (!r)
		r = answer_str(&a, result, "public_key", aws_string(a.answer, "PublicKey"));
	if (!r)
		r = answer_str(&a, result, "import_token", aws_string(a.answer, "ImportToken"));
	if (!r) {
		aws_time(a.answer, "ParametersValidTo", until);
		r = answer_str(&a, result, "valid_to", until);
	}
	return end(&a, r);
}

/* "2026-11-21T10:00:00Z" as seconds since the epoch, 0 for anything else. */
static int64_t epoch(const char *s)
{
	struct tm tm = { 0 };
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);

	return rest && !*rest ? (int64_t)timegm(&tm) : 0;
}

static int import_material(struct kh *k, struct json_object *args, struct json_object *result)
{
	char token[IMPORT_TOKEN_MAX], material[1025], until[32] = "";
	struct admin a;
	int r = begin(&a, k, args, "ImportKeyMaterial");

	if (!r)
		r = required(k, args, "import_token", token, sizeof(token));
	if (!r)
		r = required(k, args, "material", material, sizeof(material));
	if (!r)
		r = optional(k, args, "valid_to", until, sizeof(until));
	if (!r && *until && epoch(until) <= 0)
		r = kh_fail(k, KH_VALIDATION, "valid_to is \"%s\", not a time like 2026-11-21T10:00:00Z", until);
	if (!r)
		r = add_key(&a);
	if (!r)
		r = add_str(&a, "ImportToken", token);
	if (!r)
		r = add_str(&a, "EncryptedKeyMaterial", material);
	if (!r)
		r = add_str(&a, "ExpirationModel", *until ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE");
	if (!r && *until)
		r = add_int(&a, "ValidTo", epoch(until));
	if (!r)
		r = ask(&a);
	if (!r)
		r = answer_info(k, &a.key, a.name, result);
	return end(&a, r);
}

const struct kh_admin_op aws_admin[] = {
	{ "CreateKey", create_key },
	{ "EnableKey", enable_key },
	{ "DisableKey", disable_key },
	{ "RotateKeyOnDemand", rotate_key },
	{ "EnableKeyRotation", enable_rotation },
	{ "DisableKeyRotation", disable_rotation },
	{ "GetKeyRotationStatus", rotation_status },
	{ "ScheduleKeyDeletion", schedule_deletion },
	{ "CancelKeyDeletion", cancel_deletion },
	{ "CreateAlias", create_alias },
	{ "UpdateAlias", update_alias },
	{ "DeleteAlias", delete_alias },
	{ "RevokeGrant", revoke_grant },
	{ "ListGrants", list_grants },
	{ "GetKeyPolicy", get_policy },
	{ "PutKeyPolicy", put_policy },
	{ "GetParametersForImport", import_parameters },
	{ "ImportKeyMaterial", import_material },
	{ "DeleteImportedKeyMaterial", delete_material },
	{ "ListKeys", list_keys },
	{ NULL, NULL },
};
