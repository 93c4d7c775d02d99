// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key create, list, describe: which keys there are. */
#include <stdio.h>
#include <string.h>

#include "key.h"

/* As "a,b" or "-", in a column of @width. */
static void print_aliases(const struct key_verb *v, const char *key, int width)
{
	struct json_object *found = key_aliases_of(v, key);
	size_t i, n = json_object_array_length(found);

	for (i = 0; i < n; i++)
		width -= printf("%s%s", i ? "," : "", json_object_get_string(json_object_array_get_idx(found, i)));
	if (!n)
		width -= printf("-");
	printf("%*s", width > 0 ? width : 0, "");
	kc_json_drop(found);
}

static int by_created(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	int c = strcmp(key_text(*x, "created"), key_text(*y, "created"));

	return c ? c : strcmp(key_text(*x, "key"), key_text(*y, "key"));
}

/* How the local keystore's root key is sealed; "" for other providers, and while there is none. */
static int sealed(struct key_verb *v, char out[static 16])
{
	struct json_object *answer = NULL;
	int ret = 0;

	out[0] = '\0';
	if (strcmp(v->provider, "local") != 0)
		return 0;
	ret = key_call(v, "DescribeKeyStore", kc_json_object(), &answer);
	if (!ret)
		snprintf(out, 16, "%s", key_text(answer, "sealed"));
	kc_json_drop(answer);
	return ret;
}

static int print_list(struct key_verb *v, struct json_object *keys)
{
	size_t i, n = json_object_array_length(keys);
	struct json_object *o, *array;
	char how[16];
	int ret;

	if (kc_given(v->r, OPT_JSON)) {
		ret = sealed(v, how);
		if (ret)
			return ret;
		o = kc_json_new();
		kc_json_str(o, "sealed", how);
		array = kc_json_array();
		for (i = 0; i < n; i++) {
			struct json_object *one = kc_json_object();

			key_add_info(v, one, json_object_array_get_idx(keys, i));
			kc_json_push(array, one);
		}
		kc_json_put(o, "keys", array);
		return kc_json_print(v->r, o);
	}
	if (n && !kc_given(v->r, OPT_NO_HEADINGS))
		printf("%-42s %-15s %-20s %-24s %s\n", "KEY", "STATE", "CREATED", "ALIASES", "DESCRIPTION");
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(keys, i);
		printf("%-42s %-15s %-20s ", key_text(o, "key"), key_text(o, "state"), key_text(o, "created"));
		print_aliases(v, key_text(o, "key"), 24);
		printf(" %s\n", *key_text(o, "description") ? key_text(o, "description") : "-");
	}
	return 0;
}

static int list(struct key_verb *v)
{
	struct json_object *keys = NULL;
	int ret = key_all(v, "ListKeys", "keys", kc_json_object(), &keys);

	if (!ret)
		ret = key_aliases(v);
	if (!ret) {
		json_object_array_sort(keys, by_created);
		ret = print_list(v, keys);
	}
	kc_json_drop(keys);
	return ret;
}

static int create(struct key_verb *v)
{
	struct json_object *args = kc_json_object(), *info = NULL, *o;
	struct kc_run *r = v->r;
	int ret;

	if (kc_given(r, OPT_ALIAS))
		kc_json_str(args, "alias", r->opt[OPT_ALIAS]);
	if (kc_given(r, OPT_DESCRIPTION))
		kc_json_str(args, "description", r->opt[OPT_DESCRIPTION]);
	if (kc_given(r, OPT_EXTERNAL))
		kc_json_str(args, "origin", "EXTERNAL");
	ret = key_call(v, "CreateKey", args, &info);
	if (ret)
		return ret;
	v->aliases = kc_json_array();
	if (*key_text(info, "alias")) {
		o = kc_json_object();
		kc_json_str(o, "alias", key_text(info, "alias"));
		kc_json_str(o, "key", key_text(info, "key"));
		kc_json_push(v->aliases, o);
	}
	/* the id alone, so that a script can take it */
	if (kc_given(r, OPT_JSON)) {
		o = kc_json_new();
		key_add_info(v, o, info);
		ret = kc_json_print(r, o);
	} else {
		printf("%s\n", key_text(info, "key"));
		if (kc_given(r, OPT_EXTERNAL))
			kc_say(r, "next: kcache key import %s FILE", key_text(info, "key"));
	}
	kc_json_drop(info);
	return ret;
}

static int describe(struct key_verb *v)
{
	struct kc_key_info info;
	struct kc_run *r = v->r;
	char how[16];
	int ret = kc_kms_describe(v->kms, r->arg[0], &info, &r->err);

	if (!ret)
		ret = key_aliases(v);
	if (!ret)
		ret = sealed(v, how);
	if (ret)
		return ret;
	if (kc_given(r, OPT_JSON)) {
		struct json_object *same = kc_json_object(), *o = kc_json_new();

		kc_json_str(same, "key", info.key);
		kc_json_str(same, "provider", info.provider);
		kc_json_str(same, "state", kc_key_state_name(info.state));
		kc_json_int(same, "version", (int)info.version);
		kc_json_str(same, "created", info.created);
		kc_json_str(same, "deletion", info.deletion);
		kc_json_str(same, "description", info.description);
		key_add_info(v, o, same);
		kc_json_str(o, "sealed", how);
		kc_json_drop(same);
		return kc_json_print(r, o);
	}
	printf("Key:         %s\nAliases:     ", info.key);
	print_aliases(v, info.key, 0);
	printf("\nProvider:    %s\nState:       %s\n", info.provider, kc_key_state_name(info.state));
	if (info.deletion[0])
		printf("Deletion:    %s\n", info.deletion);
	if (*how)
		printf("Root key:    %s\n", strcmp(how, "none") ? how : "not sealed");
	printf("Material:    version %u\nCreated:     %s\nDescription: %s\n", info.version,
	       info.created[0] ? info.created : "-", info.description[0] ? info.description : "-");
	return 0;
}

int cmd_key_create(struct kc_run *r)
{
	return key_run(r, create);
}

int cmd_key_list(struct kc_run *r)
{
	return key_run(r, list);
}

int cmd_key_describe(struct kc_run *r)
{
	return key_run(r, describe);
}
