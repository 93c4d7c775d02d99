// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key: the KMS keys that wrap volume keys; their administration is the KMS's, asked here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "kcache.h"
#include "kms.h"

/** struct key_verb - what one run of kcache key works with */
struct key_verb {
	struct kc_run *r;
	struct kc_kms *kms;
	struct json_object *aliases;	/* array of { "alias", "key" } */
};

static const char *text(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string) ?
		json_object_get_string(v) : "";
}

static int ask(struct key_verb *v, const char *provider, const char *operation, const char *name,
	       const char *value, struct json_object **answer)
{
	struct json_object *args = kc_json_object();
	int ret;

	if (value)
		kc_json_str(args, name, value);
	ret = kc_kms_admin(v->kms, provider, operation, args, answer, &v->r->err);
	kc_json_drop(args);
	return ret;
}

/* All pages of a list; @list receives an array. */
static int ask_all(struct key_verb *v, const char *operation, const char *member, struct json_object **list)
{
	struct json_object *page = NULL, *array, *more;
	char marker[KC_KEY_NAME_MAX] = "";
	size_t i;
	int ret;

	*list = kc_json_array();
	do {
		ret = ask(v, "local", operation, "marker", *marker ? marker : NULL, &page);
		if (ret)
			return ret;
		if (json_object_object_get_ex(page, member, &array) &&
		    json_object_is_type(array, json_type_array))
			for (i = 0; i < json_object_array_length(array); i++)
				kc_json_push(*list, json_object_get(json_object_array_get_idx(array, i)));
		more = json_object_object_get(page, "next");
		snprintf(marker, sizeof(marker), "%s", more ? json_object_get_string(more) : "");
		kc_json_drop(page);
	} while (*marker);
	return 0;
}

/* The aliases of @key, an array of strings. */
static struct json_object *aliases_of(const struct key_verb *v, const char *key)
{
	struct json_object *found = kc_json_array(), *a;
	size_t i;

	for (i = 0; i < json_object_array_length(v->aliases); i++) {
		a = json_object_array_get_idx(v->aliases, i);
		if (!strcmp(text(a, "key"), key))
			kc_json_push(found, json_object_get(json_object_object_get(a, "alias")));
	}
	return found;
}

/* As "a,b" or "-", in a column of @width. */
static void print_aliases(const struct key_verb *v, const char *key, int width)
{
	struct json_object *found = aliases_of(v, key);
	size_t i, n = json_object_array_length(found);

	for (i = 0; i < n; i++)
		width -= printf("%s%s", i ? "," : "", json_object_get_string(json_object_array_get_idx(found, i)));
	if (!n)
		width -= printf("-");
	printf("%*s", width > 0 ? width : 0, "");
	kc_json_drop(found);
}

/* Members of key info, as DescribeKey has them. */
static void add_info(const struct key_verb *v, struct json_object *o, struct json_object *info)
{
	struct json_object *version = json_object_object_get(info, "version");

	kc_json_str(o, "key", text(info, "key"));
	kc_json_str(o, "provider", text(info, "provider"));
	kc_json_str(o, "state", text(info, "state"));
	kc_json_int(o, "material", version ? json_object_get_int(version) : 0);
	kc_json_str(o, "created", text(info, "created"));
	kc_json_str(o, "description", text(info, "description"));
	kc_json_put(o, "aliases", aliases_of(v, text(info, "key")));
}

static int print_json(const struct key_verb *v, struct json_object *info)
{
	struct json_object *o = kc_json_new();

	add_info(v, o, info);
	return kc_json_print(v->r, o);
}

static int by_created(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	int c = strcmp(text(*x, "created"), text(*y, "created"));

	return c ? c : strcmp(text(*x, "key"), text(*y, "key"));
}

static int list(struct key_verb *v)
{
	struct json_object *keys = NULL, *o, *array;
	size_t i, n;
	int ret = ask_all(v, "ListKeys", "keys", &keys);

	if (!ret)
		ret = ask_all(v, "ListAliases", "aliases", &v->aliases);
	if (ret)
		goto out;
	json_object_array_sort(keys, by_created);
	n = json_object_array_length(keys);
	if (kc_given(v->r, OPT_JSON)) {
		o = kc_json_new();
		array = kc_json_array();
		for (i = 0; i < n; i++) {
			struct json_object *one = kc_json_object();

			add_info(v, one, json_object_array_get_idx(keys, i));
			kc_json_push(array, one);
		}
		kc_json_put(o, "keys", array);
		ret = kc_json_print(v->r, o);
		goto out;
	}
	if (n && !kc_given(v->r, OPT_NO_HEADINGS))
		printf("%-42s %-8s %-20s %-24s %s\n", "KEY", "STATE", "CREATED", "ALIASES", "DESCRIPTION");
	for (i = 0; i < n; i++) {
		o = json_object_array_get_idx(keys, i);
		printf("%-42s %-8s %-20s ", text(o, "key"), text(o, "state"), text(o, "created"));
		print_aliases(v, text(o, "key"), 24);
		printf(" %s\n", *text(o, "description") ? text(o, "description") : "-");
	}
out:
	kc_json_drop(keys);
	return ret;
}

static int create(struct key_verb *v)
{
	struct json_object *args = kc_json_object(), *info = NULL, *a;
	struct kc_run *r = v->r;
	int ret;

	if (kc_given(r, OPT_ALIAS))
		kc_json_str(args, "alias", r->opt[OPT_ALIAS]);
	if (kc_given(r, OPT_DESCRIPTION))
		kc_json_str(args, "description", r->opt[OPT_DESCRIPTION]);
	ret = kc_kms_admin(v->kms, "local", "CreateKey", args, &info, &r->err);
	kc_json_drop(args);
	if (ret)
		return ret;
	v->aliases = kc_json_array();
	if (*text(info, "alias")) {
		a = kc_json_object();
		kc_json_str(a, "alias", text(info, "alias"));
		kc_json_str(a, "key", text(info, "key"));
		kc_json_push(v->aliases, a);
	}
	/* the id alone, so that a script can take it */
	if (kc_given(r, OPT_JSON))
		ret = print_json(v, info);
	else
		printf("%s\n", text(info, "key"));
	kc_json_drop(info);
	return ret;
}

static int describe(struct key_verb *v)
{
	struct kc_key_info info;
	struct kc_run *r = v->r;
	int ret = kc_kms_describe(v->kms, r->arg[0], &info, &r->err);

	if (!ret)
		ret = ask_all(v, "ListAliases", "aliases", &v->aliases);
	if (ret)
		return ret;
	if (kc_given(r, OPT_JSON)) {
		struct json_object *same = kc_json_object();

		kc_json_str(same, "key", info.key);
		kc_json_str(same, "provider", info.provider);
		kc_json_str(same, "state", kc_key_state_name(info.state));
		kc_json_int(same, "version", (int)info.version);
		kc_json_str(same, "created", info.created);
		kc_json_str(same, "description", info.description);
		ret = print_json(v, same);
		kc_json_drop(same);
		return ret;
	}
	printf("Key:         %s\nAliases:     ", info.key);
	print_aliases(v, info.key, 0);
	printf("\nProvider:    %s\nState:       %s\nMaterial:    version %u\nCreated:     %s\nDescription: %s\n",
	       info.provider, kc_key_state_name(info.state), info.version,
	       info.created[0] ? info.created : "-", info.description[0] ? info.description : "-");
	return 0;
}

static int change(struct key_verb *v, const char *operation)
{
	struct json_object *info = NULL;
	struct kc_run *r = v->r;
	char provider[16];
	int ret;

	kc_key_provider(r->arg[0], provider);
	ret = ask(v, provider, operation, "key", r->arg[0], &info);
	if (!ret && kc_given(r, OPT_JSON)) {
		ret = ask_all(v, "ListAliases", "aliases", &v->aliases);
		if (!ret)
			ret = print_json(v, info);
	} else if (!ret) {
		kc_say(r, "kcache: %s is %s", text(info, "key"),
		       strcmp(text(info, "state"), "Enabled") ? "disabled; volumes that are attached stay so" : "enabled");
	}
	kc_json_drop(info);
	return ret;
}

static int enable(struct key_verb *v)
{
	return change(v, "EnableKey");
}

static int disable(struct key_verb *v)
{
	return change(v, "DisableKey");
}

static int with_kms(struct kc_run *r, int (*fn)(struct key_verb *v))
{
	struct key_verb v = { .r = r };
	int ret = kc_kms_open(&r->conf, &v.kms, &r->err);

	if (!ret)
		ret = fn(&v);
	kc_json_drop(v.aliases);
	kc_kms_close(v.kms);
	return ret;
}

int cmd_key_create(struct kc_run *r)
{
	return with_kms(r, create);
}

int cmd_key_list(struct kc_run *r)
{
	return with_kms(r, list);
}

int cmd_key_describe(struct kc_run *r)
{
	return with_kms(r, describe);
}

int cmd_key_enable(struct kc_run *r)
{
	return with_kms(r, enable);
}

int cmd_key_disable(struct kc_run *r)
{
	return with_kms(r, disable);
}
