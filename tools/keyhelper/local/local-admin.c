// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local provider's administration: what kcache key asks for. One table says
 * which operation works in which state of a key, as KMS's documentation has it.
 */
#include <stdio.h>
#include <string.h>

#include "kms-wire.h"
#include "local.h"
#include "serve.h"

int kl_optional(struct kh *k, struct json_object *args, const char *name, char *out, size_t size)
{
	if (kc_wire_str(args, name, out, size) || !json_object_object_get_ex(args, name, NULL))
		return 0;
	return kh_fail(k, KH_VALIDATION, "the %s is not a text of at most %zu bytes", name, size - 1);
}

int kl_number(struct kh *k, struct json_object *args, const char *name, int64_t min, int64_t max, int64_t *out)
{
	int64_t n;

	if (!json_object_object_get_ex(args, name, NULL))
		return 0;
	if (!kc_wire_int(args, name, min, max, &n)) {
		kh_fail(k, KH_VALIDATION, "%s is not a number from %lld to %lld", name, (long long)min, (long long)max);
		return kh_next(k, "choose one of those");
	}
	*out = n;
	return 0;
}

int kl_no_memory(struct kh *k)
{
	return kh_fail(k, KH_NO_MEMORY, "out of memory");
}

static int add_info(struct kh *k, const struct ks_key *key, struct json_object *result)
{
	struct kc_key_info info;

	kl_info(key, &info);
	return kh_add_info(result, &info) ? 0 : kl_no_memory(k);
}

int kl_answer_key(struct kh *k, const struct ks_key *key, struct json_object *result)
{
	struct ks_key now;

	return ks_get(k, key->id, &now) ? -1 : add_info(k, &now, result);
}

/* --- operations on a key, between ks_begin() and ks_end() ---------------------- */

static int enable(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	(void)args;
	return ks_set_state(k, key->id, KC_KEY_ENABLED) ? -1 : kl_answer_key(k, key, result);
}

static int disable(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	(void)args;
	return ks_set_state(k, key->id, KC_KEY_DISABLED) ? -1 : kl_answer_key(k, key, result);
}

static int rotate(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	(void)args;
	return ks_rotate(k, key) ? -1 : kl_answer_key(k, key, result);
}

static int enable_rotation(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	int64_t days = 365;

	(void)result;
	return kl_number(k, args, "days", 90, 2560, &days) ? -1 : ks_set_rotation(k, key->id, days);
}

static int disable_rotation(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	(void)args;
	(void)result;
	return ks_set_rotation(k, key->id, 0);
}

static int rotation_status(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	char next[32];

	(void)args;
	ks_date(key->rotation_next, next);
	if (!kc_wire_add(result, "rotation", json_object_new_boolean(key->rotation_days != 0)) ||
	    (key->rotation_days && (!kc_wire_add_int(result, "days", key->rotation_days) ||
				    !kc_wire_add_str(result, "next", next))))
		return kl_no_memory(k);
	return 0;
}

/* As KMS's own keys: what alias/kcache stands for would come back as another key at its next use. */
static int not_the_default(struct kh *k, const struct ks_key *key)
{
	char id[KC_UUID_LEN + 1];
	int r = ks_find_alias(k, KL_MANAGED, id);

	if (r <= 0 || strcmp(id, key->id))
		return r < 0 ? -1 : 0;
	kh_fail(k, KH_VALIDATION, "local:%s is the default key of this host, " KL_PREFIX KL_MANAGED, key->id);
	return kh_next(k, "let another key be that first: kcache key alias KEY " KL_MANAGED);
}

static int schedule_deletion(struct kh *k, struct ks_key *key, struct json_object *args,
			     struct json_object *result)
{
	int64_t days = 30;

	if (kl_number(k, args, "days", 7, 30, &days) || not_the_default(k, key) ||
	    ks_set_deletion(k, key->id, ks_now() + days * KS_DAY))
		return -1;
	return kl_answer_key(k, key, result);
}

static int cancel_deletion(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	(void)args;
	return ks_set_deletion(k, key->id, 0) ? -1 : kl_answer_key(k, key, result);
}

/* --- the table ------------------------------------------------------------------ */

#define E (1U << KC_KEY_ENABLED)
#define D (1U << KC_KEY_DISABLED)
#define P (1U << KC_KEY_PENDING_DELETION)
#define I (1U << KC_KEY_PENDING_IMPORT)

enum origin { ANY, OWN, EXTERNAL };

/**
 * struct rule - an operation on a key
 * @states: in which it works
 * @origin: which keys have it
 * @write: it changes something
 * @fn: what is done; NULL for what is no administration (provider-local.c)
 */
static const struct rule {
	const char *name;
	unsigned int states;
	enum origin origin;
	bool write;
	int (*fn)(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result);
} rules[] = {
	{ "DescribeKey", E | D | P | I, ANY, false, NULL },
	{ "Encrypt", E, ANY, false, NULL },
	{ "Decrypt", E, ANY, false, NULL },
	{ "GenerateDataKeyWithoutPlaintext", E, ANY, false, NULL },
	{ "ReEncryptFrom", E, ANY, false, NULL },
	{ "ReEncryptTo", E, ANY, false, NULL },
	{ "EnableKey", E | D, ANY, true, enable },
	{ "DisableKey", E | D, ANY, true, disable },
	{ "RotateKeyOnDemand", E, OWN, true, rotate },
	{ "EnableKeyRotation", E, OWN, true, enable_rotation },
	{ "DisableKeyRotation", E, OWN, true, disable_rotation },
	{ "GetKeyRotationStatus", E | D, OWN, false, rotation_status },
	{ "ScheduleKeyDeletion", E | D | I, ANY, true, schedule_deletion },
	{ "CancelKeyDeletion", P, ANY, true, cancel_deletion },
	{ "CreateAlias", E | D | I, ANY, true, kl_add_alias },
	{ "UpdateAlias", E | D | I, ANY, true, kl_move_alias },
	{ "DeleteAlias", E | D | P | I, ANY, true, NULL },
	{ "CreateGrant", E, ANY, true, kl_add_grant },
	{ "ListGrants", E | D | P | I, ANY, false, kl_list_grants },
	{ "RevokeGrant", E | D | P | I, ANY, true, kl_revoke_grant },
	{ "RetireGrant", E | D | P | I, ANY, true, NULL },
	{ "GetKeyPolicy", E | D | P | I, ANY, false, kl_get_policy },
	{ "PutKeyPolicy", E | D | P | I, ANY, true, kl_put_policy },
	{ "GetParametersForImport", E | D | I, EXTERNAL, true, kl_import_parameters },
	{ "ImportKeyMaterial", E | D | I, EXTERNAL, true, kl_import },
	{ "DeleteImportedKeyMaterial", E | D | P | I, EXTERNAL, true, kl_forget_material },
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

static const struct rule *find_rule(const char *name)
{
	size_t i;

	for (i = 0; i < N_RULES && strcmp(rules[i].name, name); i++)
		;
	return i < N_RULES ? &rules[i] : NULL;
}

bool kl_known_action(const char *action)
{
	size_t i, n = strlen(action);

	if (strncmp(action, "kms:", 4))
		return false;
	action += 4;
	n -= 4;
	for (i = 0; i < N_RULES; i++)
		if (n && action[n - 1] == '*' ? !strncmp(rules[i].name, action, n - 1) :
						!strcmp(rules[i].name, action))
			return true;
	return false;
}

static int wrong_state(struct kh *k, const struct ks_key *key)
{
	char date[32];

	switch (key->state) {
	case KC_KEY_DISABLED:
		kh_fail(k, KH_DISABLED, "local:%s is disabled", key->id);
		return kh_next(k, "enable it: kcache key enable local:%s", key->id);
	case KC_KEY_PENDING_DELETION:
		ks_date(key->deletion, date);
		kh_fail(k, KH_PENDING_DELETION, "local:%s is pending deletion, on %s", key->id, date);
		return kh_next(k, "before that: kcache key cancel-deletion local:%s; kcache key enable local:%s", key->id,
			       key->id);
	case KC_KEY_PENDING_IMPORT:
		kh_fail(k, KH_PENDING_IMPORT, "local:%s is pending import", key->id);
		return kh_next(k, "import its key material (again): kcache key import local:%s FILE", key->id);
	default:
		/* it was asked to leave a state that it is not in */
		kh_fail(k, KH_VALIDATION, "local:%s is not pending deletion", key->id);
		kh_name(k, "KMSInvalidStateException");
		return kh_next(k, "there is nothing to cancel");
	}
}

static int wrong_origin(struct kh *k, const struct ks_key *key, enum origin wanted)
{
	if (wanted == EXTERNAL) {
		kh_fail(k, KH_UNSUPPORTED, "the material of local:%s is the keystore's own, and not imported", key->id);
		return kh_next(k, "make a key for imported material: kcache key create --external");
	}
	kh_fail(k, KH_UNSUPPORTED, "the material of local:%s is imported, and the keystore cannot make other", key->id);
	return kh_next(k, "make a new key, and let the alias and the volumes go over to it");
}

/* Does the key's policy, or a grant, let us? A key without a policy is for everybody who can open the keystore. */
static int allowed(struct kh *k, const struct ks_key *key, const char *operation, const struct kc_binding *b)
{
	char policy[KS_POLICY_MAX];
	struct kl_caller c;
	int says;

	if (!key->policy)
		return 0;
	kl_caller(&c);
	if (ks_policy(k, key->id, policy))
		return -1;
	says = kl_policy_says(k, policy, &c, operation);
	if (says == KL_NOT_SAID)
		says = kl_grant_allows(k, key, &c, operation, b) > 0 ? KL_ALLOWED : KL_NOT_SAID;
	if (says < 0 || k->error != KH_OK)
		return -1;
	if (says == KL_ALLOWED)
		return 0;
	return kh_fail(k, KH_DENIED, "user %lld of host %s may not %s with local:%s: %s", (long long)c.uid, c.host,
		       operation, key->id, says == KL_DENIED ? "its policy denies it" :
							       "neither its policy nor a grant allows it");
}

int kl_check(struct kh *k, const struct ks_key *key, const char *operation, const struct kc_binding *b)
{
	const struct rule *rule = find_rule(operation);

	if (!rule)
		return kh_fail(k, KH_UNSUPPORTED, "there is no operation %s on a local key", operation);
	if (allowed(k, key, operation, b))
		return -1;
	if (rule->origin != ANY && (rule->origin == EXTERNAL) != key->external)
		return wrong_origin(k, key, rule->origin);
	return (rule->states & 1U << key->state) ? 0 : wrong_state(k, key);
}

int kl_on_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	const struct rule *rule = find_rule(k->operation);
	char name[KC_KEY_NAME_MAX], id[KC_UUID_LEN + 1];
	struct ks_key key;
	int r;

	if (!rule || !rule->fn)
		return kh_fail(k, KH_UNSUPPORTED, "there is no operation %s on a local key", k->operation);
	if (!kc_wire_str(args, "key", name, sizeof(name)))
		return kh_fail(k, KH_VALIDATION, "no key is named");
	if (ks_open(k, false) || ks_begin(k, rule->write))
		return -1;
	r = kl_resolve(k, name, id);
	if (!r)
		r = ks_get(k, id, &key);
	if (!r)
		r = kl_check(k, &key, k->operation, NULL);
	if (!r)
		r = rule->fn(k, &key, args, result);
	r = ks_end(k, r);
	if (!r && rule->fn == kl_forget_material)
		ks_scrub(k);
	return r;
}

/* --- operations on the keystore ---------------------------------------------------- */

static int create_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	char description[sizeof(((struct ks_key *)0)->description)];
	char alias[KS_ALIAS_MAX], full[sizeof(KL_PREFIX) + KS_ALIAS_MAX], origin[16];
	bool named = json_object_object_get_ex(args, "alias", NULL);
	struct ks_key key;
	int r;

	if ((named && kl_alias_argument(k, args, alias)) ||
	    kl_optional(k, args, "description", description, sizeof(description)) ||
	    kl_optional(k, args, "origin", origin, sizeof(origin)))
		return -1;
	if (*origin && strcmp(origin, "EXTERNAL"))
		return kh_fail(k, KH_VALIDATION, "the origin of a key is EXTERNAL or not said, not %s", origin);
	if (ks_open(k, true) || ks_begin(k, true))
		return -1;
	r = ks_end(k, ks_create(k, named ? alias : NULL, description, *origin, &key));
	if (!r)
		r = add_info(k, &key, result);
	if (r || !named)
		return r;
	snprintf(full, sizeof(full), KL_PREFIX "%s", alias);
	return kc_wire_add_str(result, "alias", full) ? 0 : kl_no_memory(k);
}

static int list_keys(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *list = json_object_new_array();
	struct ks_key keys[KS_PAGE];
	size_t n = KS_PAGE, i;
	char marker[64];

	if (!kc_wire_add(result, "keys", list))
		return kl_no_memory(k);
	if (kl_optional(k, args, "marker", marker, sizeof(marker)) || ks_open(k, false) ||
	    ks_list_keys(k, marker, keys, &n))
		return -1;
	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		if (!o || json_object_array_add(list, o))
			return kl_no_memory(k);
		if (add_info(k, &keys[i], o))
			return -1;
	}
	return n < KS_PAGE || kc_wire_add_str(result, "next", keys[n - 1].id) ? 0 : kl_no_memory(k);
}

const struct kh_admin_op kl_admin[] = {
	{ "CreateKey", create_key },
	{ "ListKeys", list_keys },
	{ "EnableKey", kl_on_key },
	{ "DisableKey", kl_on_key },
	{ "RotateKeyOnDemand", kl_on_key },
	{ "EnableKeyRotation", kl_on_key },
	{ "DisableKeyRotation", kl_on_key },
	{ "GetKeyRotationStatus", kl_on_key },
	{ "ScheduleKeyDeletion", kl_on_key },
	{ "CancelKeyDeletion", kl_on_key },
	{ "CreateAlias", kl_on_key },
	{ "UpdateAlias", kl_on_key },
	{ "DeleteAlias", kl_delete_alias },
	{ "ListGrants", kl_on_key },
	{ "RevokeGrant", kl_on_key },
	{ "GetKeyPolicy", kl_on_key },
	{ "PutKeyPolicy", kl_on_key },
	{ "GetParametersForImport", kl_on_key },
	{ "ImportKeyMaterial", kl_on_key },
	{ "DeleteImportedKeyMaterial", kl_on_key },
	{ "DescribeKeyStore", kl_describe_store },
	{ "SealKeyStore", kl_seal_store },
	{ "UnsealKeyStore", kl_unseal_store },
	{ "BackupKeyStore", kl_backup_store },
	{ "RestoreKeyStore", kl_restore_store },
	{ NULL, NULL },
};
