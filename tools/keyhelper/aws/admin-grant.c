// SPDX-License-Identifier: GPL-2.0-or-later
/* Grants of AWS KMS. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "kms-wire.h"
#include "provider.h"

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
		return admin_no_memory(a->k);
	}
	json_object_put(constraints);
	return 0;
}

int aws_create_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *operations;
	char grantee[513];
	struct admin a;
	int r = admin_begin(&a, k, args, "CreateGrant");

	if (!r)
		r = admin_required(k, args, "grantee", grantee, sizeof(grantee));
	if (!r && (!json_object_object_get_ex(args, "operations", &operations) ||
		   !json_object_is_type(operations, json_type_array) || !json_object_array_length(operations)))
		r = kh_fail(k, KH_VALIDATION, "there are no operations");
	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_add_str(&a, "GranteePrincipal", grantee);
	if (!r && !kc_wire_add(a.params, "Operations", json_object_get(operations)))
		r = admin_no_memory(k);
	if (!r)
		r = add_constraint(&a, args);
	if (!r)
		r = admin_ask(&a);
	if (!r)
		r = admin_answer_str(&a, result, "grant_id", aws_string(a.answer, "GrantId"));
	if (!r)
		r = admin_answer_str(&a, result, "grant_token", aws_string(a.answer, "GrantToken"));
	return admin_end(&a, r);
}

/* By its token, or by its id with the key; with a token the key says but the region. */
int aws_retire_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	bool named = json_object_object_get_ex(args, "key", NULL);
	char id[129], token[KH_GRANT_TOKEN_MAX];
	struct admin a;
	int r = named ? admin_begin(&a, k, args, "RetireGrant") : admin_begin_region(&a, k, "RetireGrant");

	(void)result;
	if (!r)
		r = admin_optional(k, args, "grant_token", token, sizeof(token));
	if (!r && *token) {
		r = admin_add_str(&a, "GrantToken", token);
	} else if (!r) {
		r = admin_required(k, args, "grant_id", id, sizeof(id));
		if (!r && !named)
			r = kh_fail(k, KH_VALIDATION, "there is no key");
		if (!r)
			r = admin_resolve(&a);
		if (!r)
			r = admin_add_key(&a);
		if (!r)
			r = admin_add_str(&a, "GrantId", id);
	}
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
}

int admin_revoke_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	char id[129];
	struct admin a;
	int r = admin_begin(&a, k, args, "RevokeGrant");

	(void)result;
	if (!r)
		r = admin_required(k, args, "grant_id", id, sizeof(id));
	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_add_str(&a, "GrantId", id);
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
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
		0 : admin_no_memory(a->k);
}

int admin_list_grants(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct admin a;
	int r = admin_begin(&a, k, args, "ListGrants");

	if (!r)
		r = admin_add_key(&a);
	if (!r)
		r = admin_ask_page(&a, args, ADMIN_PAGE);
	if (!r)
		r = admin_rows(&a, result, "Grants", "grants", grant_row);
	return admin_end(&a, r);
}
