/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of the local provider: use of keys, and their administration. */
#ifndef KH_LOCAL_H
#define KH_LOCAL_H

#include "keystore.h"

#define KL_PREFIX "local:"
#define KL_ALIAS "alias/"
#define KL_BACKUP_HEAD 35	/* "kcache-backup 1\n", cost and salt of scrypt */
#define KL_MANAGED "alias/kcache"

/** kl_valid_alias() - "alias/NAME" by KMS's rules */
bool kl_valid_alias(const char *s);

/** kl_resolve() - from any name to the id of a key; the keystore is open, or there is none */
int kl_resolve(struct kh *k, const char *key, char id[static KC_UUID_LEN + 1]);

void kl_info(const struct ks_key *key, struct kc_key_info *info);

/** kl_optional() - an optional text argument; "" if it is not there */
int kl_optional(struct kh *k, struct json_object *args, const char *name, char *out, size_t size);

/** kl_number() - an optional number from @min to @max; @out is left alone if it is not there */
int kl_number(struct kh *k, struct json_object *args, const char *name, int64_t min, int64_t max, int64_t *out);

int kl_no_memory(struct kh *k);

/** kl_answer_key() - key info of what @key is now */
int kl_answer_key(struct kh *k, const struct ks_key *key, struct json_object *result);

/**
 * kl_check() - may this operation be done on this key now, here and by us?
 * @operation: KMS's name for it
 * @b: what a key is used for; NULL where it is not
 *
 * Its policy and grants are asked first: whoever may not use a key does not
 * learn its state from this.
 */
int kl_check(struct kh *k, const struct ks_key *key, const char *operation, const struct kc_binding *b);

/** kl_known_action() - does this action of a policy, "kms:NAME" or with a trailing '*', stand for any operation? */
bool kl_known_action(const char *action);

/** struct kl_caller - who asks, as far as a policy or a grant knows */
struct kl_caller {
	int64_t uid;
	int64_t gids[65];
	int n_gids;
	char host[KS_GRANTEE_MAX];
	char machine[KS_GRANTEE_MAX];
};

void kl_caller(struct kl_caller *c);

/** kl_is_host() - is this a name of the caller's host: its host name, or its machine id? */
bool kl_is_host(const struct kl_caller *c, const char *name);

enum kl_verdict { KL_NOT_SAID, KL_ALLOWED, KL_DENIED };

/** kl_policy_says() - what a policy document says; -1 after kh_fail() if it cannot be read */
int kl_policy_says(struct kh *k, const char *policy, const struct kl_caller *c, const char *operation);

/** kl_grant_allows() - 1 if a grant of the key allows it, 0, or -1 after kh_fail() */
int kl_grant_allows(struct kh *k, const struct ks_key *key, const struct kl_caller *c, const char *operation,
		    const struct kc_binding *b);

/** kl_check_grant_token() - is the token that came with this request one of a grant of this key? */
int kl_check_grant_token(struct kh *k, const struct ks_key *key);

/* operations on a key that kl_check() has let through */
int kl_get_policy(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_put_policy(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_add_grant(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_revoke_grant(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_list_grants(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_import_parameters(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_import(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_forget_material(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_add_alias(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
int kl_move_alias(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);

/* whole operations, of the form of kh_admin_fn */
int kl_on_key(struct kh *k, struct json_object *args, struct json_object *result);
int kl_retire_grant(struct kh *k, struct json_object *args, struct json_object *result);
int kl_delete_alias(struct kh *k, struct json_object *args, struct json_object *result);
int kl_list_aliases(struct kh *k, struct json_object *args, struct json_object *result);
int kl_describe_store(struct kh *k, struct json_object *args, struct json_object *result);
int kl_seal_store(struct kh *k, struct json_object *args, struct json_object *result);
int kl_unseal_store(struct kh *k, struct json_object *args, struct json_object *result);
int kl_backup_store(struct kh *k, struct json_object *args, struct json_object *result);
int kl_restore_store(struct kh *k, struct json_object *args, struct json_object *result);
extern const struct kh_admin_op kl_admin[];

/** kl_alias_argument() - "alias" of @args, which may be NAME, alias/NAME or local:alias/NAME, as alias/NAME */
int kl_alias_argument(struct kh *k, struct json_object *args, char out[static KS_ALIAS_MAX]);

#endif
