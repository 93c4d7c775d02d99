// SPDX-License-Identifier: GPL-2.0-or-later
/* The local provider's administration: what kcache key asks for. */
#include <stdio.h>
#include <string.h>

#include "kms-wire.h"
#include "local.h"
#include "serve.h"

/* Reads an optional text argument; "" if it is not there. */
static int optional(struct kh *k, struct json_object *args, const char *name, char *out, size_t size)
{
	if (kc_wire_str(args, name, out, size) || !json_object_object_get_ex(args, name, NULL))
		return 0;
	return kh_fail(k, KH_VALIDATION, "the %s is not a text of at most %zu bytes", name, size - 1);
}

static int no_memory(struct kh *k)
{
	return kh_fail(k, KH_NO_MEMORY, "out of memory");
}

static int answer_key(struct kh *k, const struct ks_key *key, struct json_object *result)
{
	struct kc_key_info info;

	kl_info(key, &info);
	return kh_add_info(result, &info) ? 0 : no_memory(k);
}

static int create_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	char description[sizeof(((struct ks_key *)0)->description)];
	char given[KS_ALIAS_MAX], alias[sizeof(KL_PREFIX KL_ALIAS) + KS_ALIAS_MAX];
	const char *s = given;
	struct ks_key key;

	if (optional(k, args, "alias", given, sizeof(given)) ||
	    optional(k, args, "description", description, sizeof(description)))
		return -1;
	/* NAME, alias/NAME and local:alias/NAME are one */
	if (!strncmp(s, KL_PREFIX, strlen(KL_PREFIX)))
		s += strlen(KL_PREFIX);
	if (!strncmp(s, KL_ALIAS, strlen(KL_ALIAS)))
		s += strlen(KL_ALIAS);
	snprintf(alias, sizeof(alias), KL_PREFIX KL_ALIAS "%s", s);
	if (*given && !kl_valid_alias(alias + strlen(KL_PREFIX))) {
		kh_fail(k, KH_VALIDATION, "\"%s\" is no name for a key", given);
		return kh_next(k, "use up to 250 letters, digits and / _ -");
	}
	if (ks_open(k, true) ||
	    ks_create(k, *given ? alias + strlen(KL_PREFIX) : NULL, description, &key) ||
	    answer_key(k, &key, result))
		return -1;
	return !*given || kc_wire_add_str(result, "alias", alias) ? 0 : no_memory(k);
}

/* Changes the key that @args name by @change, and answers with what it is then. */
static int change_key(struct kh *k, struct json_object *args, struct json_object *result,
		      int (*change)(struct kh *k, const char *id))
{
	char name[KC_KEY_NAME_MAX], id[KC_UUID_LEN + 1];
	struct ks_key key;

	if (!kc_wire_str(args, "key", name, sizeof(name)))
		return kh_fail(k, KH_VALIDATION, "no key is named");
	if (ks_open(k, false) || kl_resolve(k, name, id) || change(k, id) || ks_get(k, id, &key))
		return -1;
	return answer_key(k, &key, result);
}

static int enable(struct kh *k, const char *id)
{
	return ks_set_state(k, id, KC_KEY_ENABLED);
}

static int disable(struct kh *k, const char *id)
{
	return ks_set_state(k, id, KC_KEY_DISABLED);
}

static int enable_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change_key(k, args, result, enable);
}

static int disable_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change_key(k, args, result, disable);
}

static int rotate_key(struct kh *k, struct json_object *args, struct json_object *result)
{
	return change_key(k, args, result, ks_rotate);
}

static int list_keys(struct kh *k, struct json_object *args, struct json_object *result)
{
	struct json_object *list = json_object_new_array();
	struct ks_key keys[KS_PAGE];
	size_t n = KS_PAGE, i;
	char marker[64];

	if (!kc_wire_add(result, "keys", list))
		return no_memory(k);
	if (optional(k, args, "marker", marker, sizeof(marker)) || ks_open(k, false) ||
	    ks_list_keys(k, marker, keys, &n))
		return -1;
	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		if (!o || json_object_array_add(list, o))
			return no_memory(k);
		if (answer_key(k, &keys[i], o))
			return -1;
	}
	return n < KS_PAGE || kc_wire_add_str(result, "next", keys[n - 1].id) ? 0 : no_memory(k);
}

int kl_list_aliases(struct kh *k, struct json_object *args, struct json_object *result)
{
	char marker[KS_ALIAS_MAX], name[KC_KEY_NAME_MAX], id[KC_UUID_LEN + 1];
	struct json_object *list = json_object_new_array();
	struct ks_alias aliases[KS_PAGE];
	size_t n = KS_PAGE, i;

	if (!kc_wire_add(result, "aliases", list))
		return no_memory(k);
	if (optional(k, args, "marker", marker, sizeof(marker)) ||
	    optional(k, args, "key", name, sizeof(name)) || ks_open(k, false) ||
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
			return no_memory(k);
	}
	return n < KS_PAGE || kc_wire_add_str(result, "next", aliases[n - 1].name) ? 0 : no_memory(k);
}

const struct kh_admin_op kl_admin[] = {
	{ "CreateKey", create_key },
	{ "EnableKey", enable_key },
	{ "DisableKey", disable_key },
	{ "RotateKeyOnDemand", rotate_key },
	{ "ListKeys", list_keys },
	{ NULL, NULL },
};
