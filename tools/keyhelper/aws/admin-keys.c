// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys of AWS KMS: made, listed, switched on and off, rotated, deleted, and who may use them. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "kms-wire.h"
#include "serve.h"

#define PAGE_KEYS 20	/* of a list; each is described */
#define POLICY_MAX 32769	/* KMS's limit, with a NUL */

int admin_enable_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return admin_change(k, args, result, "EnableKey");
}

int admin_disable_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return admin_change(k, args, result, "DisableKey");
}

int admin_rotate_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return admin_change(k, args, result, "RotateKeyOnDemand");
}

int admin_cancel_deletion(struct kh *k, struct json_object *args, struct json_object *result)
{
	return admin_change(k, args, result, "CancelKeyDeletion");
}

int admin_create_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	char given[KC_KEY_NAME_MAX] = "", alias[288] = "", origin[16] = "", description[256] = "", arn[KC_KEY_NAME_MAX] = "";
	struct json_object *meta;
	struct admin a;
	struct aws_key key;
	int r = admin_begin_region(&a, k, "CreateKey");

	if (!r)
		r = admin_optional(k, args, "alias", given, sizeof(given));
	if (!r && *given)
		r = admin_alias_of(k, given, alias, sizeof(alias));
	if (!r)
		r = admin_optional(k, args, "description", description, sizeof(description));
	if (!r)
		r = admin_optional(k, args, "origin", origin, sizeof(origin));
	if (!r && *origin && strcmp(origin, "EXTERNAL"))
		r = kh_fail(k, KH_VALIDATION, "the origin is \"%s\", not EXTERNAL", origin);
	if (!r && *description)
		r = admin_add_str(&a, "Description", description);
	if (!r && *origin)
		r = admin_add_str(&a, "Origin", origin);
	if (!r)
		r = admin_ask(&a);
	if (!r) {
		if (!json_object_object_get_ex(a.answer, "KeyMetadata", &meta))
			meta = NULL;
		snprintf(arn, sizeof(arn), "%s", aws_string(meta, "Arn") ? aws_string(meta, "Arn") : "");
		if (!aws_arn_parse(arn, &key))
			r = aws_garbage(k, &a.call, "no description of a key");
	}
	if (!r && *alias)
		r = admin_name_new_key(&a, arn, alias, result);
	if (!r)
		r = admin_answer_info(k, &key, arn, result);
	return admin_end(&a, r);
}

int admin_enable_rotation(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int64_t days;
	int r = admin_begin(&a, k, args, "EnableKeyRotation");

	(void)result;
	if (!r)
		r = admin_add_key(&a);
	if (!r && kc_wire_int(args, "days", 90, 2560, &days))
		r = admin_add_int(&a, "RotationPeriodInDays", days);
	else if (!r && json_object_object_get_ex(args, "days", NULL))
		r = kh_fail(k, KH_VALIDATION, "the days are not a number from 90 to 2560");
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
}

int admin_disable_rotation(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = admin_begin(&a, k, args, "DisableKeyRotation");

	(void)result;
	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
}

int admin_rotation_status(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *v;
	struct admin a;
	char next[32];
	int64_t days;
	int r = admin_begin(&a, k, args, "GetKeyRotationStatus");

	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_ask(&a);
	if (r)
		return admin_end(&a, r);
	if (!json_object_object_get_ex(a.answer, "KeyRotationEnabled", &v) ||
	    !json_object_is_type(v, json_type_boolean))
		return admin_end(&a, aws_garbage(k, &a.call, "no KeyRotationEnabled"));
	aws_time(a.answer, "NextRotationDate", next);
	if (!kc_wire_add(result, "rotation", json_object_get(v)) ||
	    (kc_wire_int(a.answer, "RotationPeriodInDays", 1, 100000, &days) &&
	     !kc_wire_add_int(result, "days", days)) ||
	    (*next && !kc_wire_add_str(result, "next", next)))
		r = admin_no_memory(k);
	return admin_end(&a, r);
}

int admin_schedule_deletion(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int64_t days;
	int r = admin_begin(&a, k, args, "ScheduleKeyDeletion");

	if (!r)
		r = admin_add_key(&a);
	if (!r && kc_wire_int(args, "days", 7, 30, &days))
		r = admin_add_int(&a, "PendingWindowInDays", days);
	else if (!r && json_object_object_get_ex(args, "days", NULL))
		r = kh_fail(k, KH_VALIDATION, "the days are not a number from 7 to 30");
	if (!r)
		r = admin_ask(&a);
	if (!r)
		r = admin_answer_info(k, &a.key, a.name, result);
	return admin_end(&a, r);
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
	return kh_add_info(o, &info) ? 0 : admin_no_memory(a->k);
}

int admin_list_keys(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = admin_begin_region(&a, k, "ListKeys");

	if (!r)
		r = admin_ask_page(&a, args, PAGE_KEYS);
	if (!r)
		r = admin_rows(&a, result, "Keys", "keys", key_row);
	return admin_end(&a, r);
}

int admin_get_policy(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = admin_begin(&a, k, args, "GetKeyPolicy");

	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_add_str(&a, "PolicyName", "default");
	if (!r)
		r = admin_ask(&a);
	if (!r)
		r = admin_answer_str(&a, result, "policy", aws_string(a.answer, "Policy"));
	return admin_end(&a, r);
}

int admin_put_policy(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *v;
	struct admin a;
	int r = admin_begin(&a, k, args, "PutKeyPolicy");

	(void)result;
	/* not kc_wire_str(): a document has lines */
	if (!r && (!json_object_object_get_ex(args, "policy", &v) || !json_object_is_type(v, json_type_string) ||
		   json_object_get_string_len(v) >= POLICY_MAX))
		r = kh_fail(k, KH_VALIDATION, "there is no policy of at most %d bytes", POLICY_MAX - 1);
	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_add_str(&a, "PolicyName", "default");
	if (!r)
		r = admin_add_str(&a, "Policy", json_object_get_string(v));
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
}
