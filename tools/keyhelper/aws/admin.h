/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the administration of AWS KMS is made of; for admin*.c only. */
#ifndef KH_AWS_ADMIN_H
#define KH_AWS_ADMIN_H

#include "aws.h"

#define ADMIN_PAGE 50	/* of a list; a message to kcache has KC_WIRE_MAX bytes */

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

/* Steps of an operation: 0, or -1 after kh_fail(). */
int admin_no_memory(struct kh *k);

/** admin_optional() - a text argument; "" if it is not there */
int admin_optional(struct kh *k, struct json_object *args, const char *name, char *out, size_t size);

/** admin_required() - one that must be there */
int admin_required(struct kh *k, struct json_object *args, const char *name, char *out, size_t size);

/** admin_begin() - on the key that the arguments name; KMS takes aliases for the use of keys only */
int admin_begin(struct admin *a, struct kh *k, struct json_object *args, const char *operation);

/** admin_begin_region() - on no key: of the configured region */
int admin_begin_region(struct admin *a, struct kh *k, const char *operation);

/** admin_resolve() - the key's ARN, where an alias will not do */
int admin_resolve(struct admin *a);

int admin_add_str(struct admin *a, const char *name, const char *s);
int admin_add_int(struct admin *a, const char *name, int64_t v);
int admin_add_key(struct admin *a);
int admin_ask(struct admin *a);

/** admin_ask_page() - a page of a list: from the marker of @args */
int admin_ask_page(struct admin *a, struct json_object *args, int limit);

/** admin_answer_str() - into the result; NULL is an answer that is none */
int admin_answer_str(struct admin *a, struct json_object *result, const char *name, const char *s);

/** admin_answer_info() - what the key is now */
int admin_answer_info(struct kh *k, const struct aws_key *key, const char *name, struct json_object *result);

/**
 * admin_rows() - the rows of the answer's @list, each by @one into a new object of @member
 * @one: may leave it empty: then there is none
 *
 * Adds "next" where the list goes on.
 */
int admin_rows(struct admin *a, struct json_object *result, const char *list, const char *member,
	       int (*one)(struct admin *a, struct json_object *row, struct json_object *o));

/** admin_end() - frees what it has; returns @r */
int admin_end(struct admin *a, int r);

/** admin_change() - an operation that takes a key and nothing else, answered by what the key is then */
int admin_change(struct kh *k, struct json_object *args, struct json_object *result, const char *operation);

/** admin_alias_of() - "alias/NAME" of NAME, alias/NAME, aws:alias/NAME or an alias's ARN */
int admin_alias_of(struct kh *k, const char *given, char *name, size_t size);

/** admin_name_new_key() - a key that was just made gets its name; one that cannot be named is told, it is there */
int admin_name_new_key(struct admin *a, const char *arn, const char *alias, struct json_object *result);

/* The operations, rows of aws_admin[]. */
typedef int admin_op(struct kh *k, struct json_object *args, struct json_object *result);

/* admin-keys.c */
admin_op admin_create_key, admin_enable_key, admin_disable_key, admin_rotate_key, admin_enable_rotation, admin_disable_rotation, admin_rotation_status, admin_schedule_deletion, admin_cancel_deletion, admin_get_policy, admin_put_policy, admin_list_keys;

/* admin-alias.c */
admin_op admin_create_alias, admin_update_alias, admin_delete_alias;

/* admin-grant.c */
admin_op admin_revoke_grant, admin_list_grants;

/* admin-import.c */
admin_op admin_import_parameters, admin_import_material, admin_delete_material;

#endif
