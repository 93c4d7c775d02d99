// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What kcache key asks of AWS KMS: arguments and answers are those of kms.h
 * (kc_kms_admin()), here translated into KMS's own and back. This is what all its
 * operations are made of; they are in admin-*.c.
 */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "creds.h"
#include "kms-wire.h"
#include "serve.h"

int admin_no_memory(struct kh *k)
{
	return kh_fail(k, KH_NO_MEMORY, "out of memory");
}

int admin_optional(struct kh *k, struct json_object *args, const char *name, char *out, size_t size)
{
	if (kc_wire_str(args, name, out, size) || !json_object_object_get_ex(args, name, NULL))
		return 0;
	return kh_fail(k, KH_VALIDATION, "the %s is not a text of at most %zu bytes", name, size - 1);
}

int admin_required(struct kh *k, struct json_object *args, const char *name, char *out, size_t size)
{
	if (admin_optional(k, args, name, out, size))
		return -1;
	return *out ? 0 : kh_fail(k, KH_VALIDATION, "there is no %s", name);
}

int admin_resolve(struct admin *a)
{
	const char *why_not;
	struct kc_key_info info;

	if (a->key.account[0] && !aws_key_is_alias(&a->key))
		return 0;
	if (aws_describe_any(a->k, &a->key, a->name, &info, &why_not))
		return -1;
	return aws_arn_parse(info.key, &a->key) ? 0 : -1;
}

int admin_begin(struct admin *a, struct kh *k, struct json_object *args, const char *operation)
{
	memset(a, 0, sizeof(*a));
	a->k = k;
	if (admin_required(k, args, "key", a->name, sizeof(a->name)) || aws_key_parse(k, a->name, &a->key))
		return -1;
	a->call = (struct aws_call){ .operation = operation, .region = a->key.region, .key = a->name };
	a->params = json_object_new_object();
	if (!a->params)
		return admin_no_memory(k);
	return aws_key_is_alias(&a->key) ? admin_resolve(a) : 0;
}

int admin_begin_region(struct admin *a, struct kh *k, const char *operation)
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
	return a->params ? 0 : admin_no_memory(k);
}

int admin_add_str(struct admin *a, const char *name, const char *s)
{
	return kc_wire_add_str(a->params, name, s) ? 0 : admin_no_memory(a->k);
}

int admin_add_int(struct admin *a, const char *name, int64_t v)
{
	return kc_wire_add_int(a->params, name, v) ? 0 : admin_no_memory(a->k);
}

int admin_add_key(struct admin *a)
{
	char id[KC_KEY_NAME_MAX];

	return admin_add_str(a, "KeyId", aws_key_id(&a->key, id));
}

int admin_ask(struct admin *a)
{
	return aws_ask(a->k, &a->call, a->params, &a->answer);
}

int admin_end(struct admin *a, int r)
{
	json_object_put(a->params);
	json_object_put(a->answer);
	return r;
}

int admin_answer_str(struct admin *a, struct json_object *result, const char *name, const char *s)
{
	if (!s)
		return aws_garbage(a->k, &a->call, "not what it must have");
	return kc_wire_add_str(result, name, s) ? 0 : admin_no_memory(a->k);
}

int admin_answer_info(struct kh *k, const struct aws_key *key, const char *name, struct json_object *result)
{
	const char *why_not;
	struct kc_key_info info;

	if (aws_describe_any(k, key, name, &info, &why_not))
		return -1;
	return kh_add_info(result, &info) ? 0 : admin_no_memory(k);
}

int admin_change(struct kh *k, struct json_object *args, struct json_object *result, const char *operation)
{
	struct admin a;
	int r = admin_begin(&a, k, args, operation);

	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_ask(&a);
	if (!r)
		r = admin_answer_info(k, &a.key, a.name, result);
	return admin_end(&a, r);
}

int admin_ask_page(struct admin *a, struct json_object *args, int limit)
{
	char marker[1025];

	if (admin_optional(a->k, args, "marker", marker, sizeof(marker)) || admin_add_int(a, "Limit", limit) ||
	    (*marker && admin_add_str(a, "Marker", marker)))
		return -1;
	return admin_ask(a);
}

static int add_next(struct admin *a, struct json_object *result)
{
	struct json_object *v;
	const char *next = aws_string(a->answer, "NextMarker");

	if (!next || !json_object_object_get_ex(a->answer, "Truncated", &v) || !json_object_get_boolean(v))
		return 0;
	return admin_answer_str(a, result, "next", next);
}

int admin_rows(struct admin *a, struct json_object *result, const char *list, const char *member,
		int (*one)(struct admin *a, struct json_object *row, struct json_object *o))
{
	struct json_object *in, *out = json_object_new_array(), *o;
	size_t i;
	int r = 0;

	if (!kc_wire_add(result, member, out))
		return admin_no_memory(a->k);
	if (!json_object_object_get_ex(a->answer, list, &in) || !json_object_is_type(in, json_type_array))
		return aws_garbage(a->k, &a->call, "no list");
	for (i = 0; !r && i < json_object_array_length(in); i++) {
		o = json_object_new_object();
		if (!o)
			return admin_no_memory(a->k);
		r = one(a, json_object_array_get_idx(in, i), o);
		if (r || !json_object_object_length(o) || json_object_array_add(out, o)) {
			r = r ? r : json_object_object_length(o) ? admin_no_memory(a->k) : 0;
			json_object_put(o);
		}
	}
	return r ? r : add_next(a, result);
}
const struct kh_admin_op aws_admin[] = {
	{ "CreateKey", admin_create_key },
	{ "EnableKey", admin_enable_key },
	{ "DisableKey", admin_disable_key },
	{ "RotateKeyOnDemand", admin_rotate_key },
	{ "EnableKeyRotation", admin_enable_rotation },
	{ "DisableKeyRotation", admin_disable_rotation },
	{ "GetKeyRotationStatus", admin_rotation_status },
	{ "ScheduleKeyDeletion", admin_schedule_deletion },
	{ "CancelKeyDeletion", admin_cancel_deletion },
	{ "CreateAlias", admin_create_alias },
	{ "UpdateAlias", admin_update_alias },
	{ "DeleteAlias", admin_delete_alias },
	{ "RevokeGrant", admin_revoke_grant },
	{ "ListGrants", admin_list_grants },
	{ "GetKeyPolicy", admin_get_policy },
	{ "PutKeyPolicy", admin_put_policy },
	{ "GetParametersForImport", admin_import_parameters },
	{ "ImportKeyMaterial", admin_import_material },
	{ "DeleteImportedKeyMaterial", admin_delete_material },
	{ "ListKeys", admin_list_keys },
	{ NULL, NULL },
};
