// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local provider's aliases. alias/aws/ is KMS's own, as in KMS. alias/kcache
 * may be moved to another key, but not deleted: at its next use it would be there
 * again, for a new key.
 */
#include <stdio.h>
#include <string.h>

#include "kms-wire.h"
#include "local.h"

#define RESERVED KL_ALIAS "aws/"

int kl_alias_argument(struct kh *k, struct json_object *args, char out[static KS_ALIAS_MAX])
{
	char given[sizeof(KL_PREFIX) + KS_ALIAS_MAX];
	const char *s = given;

	if (!kc_wire_str(args, "alias", given, sizeof(given)))
		given[0] = '\0';
	if (!strncmp(s, KL_PREFIX, strlen(KL_PREFIX)))
		s += strlen(KL_PREFIX);
	if (!strncmp(s, KL_ALIAS, strlen(KL_ALIAS)))
		s += strlen(KL_ALIAS);
	if (snprintf(out, KS_ALIAS_MAX, KL_ALIAS "%s", s) < KS_ALIAS_MAX) {
		if (!strncmp(out, RESERVED, strlen(RESERVED))) {
			kh_fail(k, KH_VALIDATION, "%s is reserved for AWS's own keys", out);
			return kh_next(k, "choose a name that does not begin with aws/");
		}
		if (kl_valid_alias(out))
			return 0;
	}
	kh_fail(k, KH_VALIDATION, "\"%s\" is no name for a key", given);
	return kh_next(k, "use up to 250 letters, digits and / _ -");
}

int kl_add_alias(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	char alias[KS_ALIAS_MAX];

	(void)result;
	return kl_alias_argument(k, args, alias) ? -1 : ks_add_alias(k, alias, key->id);
}

/* Whoever moves a name takes it from another key, too, and that key has a say. */
int kl_move_alias(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	char alias[KS_ALIAS_MAX], id[KC_UUID_LEN + 1];
	struct ks_key old;

	(void)result;
	if (kl_alias_argument(k, args, alias) || ks_alias(k, alias, id) || ks_get(k, id, &old))
		return -1;
	if (old.state != KC_KEY_PENDING_DELETION && kl_check(k, &old, "UpdateAlias", NULL))
		return -1;
	return ks_move_alias(k, alias, key->id);
}

static int delete_alias(struct kh *k, const char *alias)
{
	char id[KC_UUID_LEN + 1];
	struct ks_key key;

	if (ks_alias(k, alias, id) || ks_get(k, id, &key) || kl_check(k, &key, "DeleteAlias", NULL))
		return -1;
	return ks_remove_alias(k, alias);
}

int kl_delete_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	char alias[KS_ALIAS_MAX];

	(void)result;
	if (kl_alias_argument(k, args, alias))
		return -1;
	if (!strcmp(alias, KL_MANAGED)) {
		kh_fail(k, KH_VALIDATION, KL_PREFIX KL_MANAGED " is the default key of this host");
		return kh_next(k, "let it stand for another key instead: kcache key alias KEY " KL_MANAGED);
	}
	if (ks_open(k, false) || ks_begin(k, true))
		return -1;
	return ks_end(k, delete_alias(k, alias));
}

int kl_list_aliases(struct kh *k, struct json_object *args, struct json_object *result)
{
	char marker[KS_ALIAS_MAX], name[KC_KEY_NAME_MAX], id[KC_UUID_LEN + 1];
	struct json_object *list = json_object_new_array();
	struct ks_alias aliases[KS_PAGE];
	size_t n = KS_PAGE, i;

	if (!kc_wire_add(result, "aliases", list))
		return kl_no_memory(k);
	if (kl_optional(k, args, "marker", marker, sizeof(marker)) ||
	    kl_optional(k, args, "key", name, sizeof(name)) || ks_open(k, false) ||
	    (*name && kl_resolve(k, name, id)) ||
	    ks_list_aliases(k, *name ? id : NULL, marker, aliases, &n))
		return -1;
	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();
		char alias[sizeof(KL_PREFIX) + KS_ALIAS_MAX], key[sizeof(KL_PREFIX) + KC_UUID_LEN];
		const struct ks_alias *row = &aliases[i];

		snprintf(alias, sizeof(alias), KL_PREFIX "%.*s", KS_ALIAS_MAX - 1, row->name);
		snprintf(key, sizeof(key), KL_PREFIX "%.*s", KC_UUID_LEN, row->id);
		if (!o || json_object_array_add(list, o) || !kc_wire_add_str(o, "alias", alias) ||
		    !kc_wire_add_str(o, "key", key))
			return kl_no_memory(k);
	}
	return n < KS_PAGE || kc_wire_add_str(result, "next", aliases[n - 1].name) ? 0 : kl_no_memory(k);
}
