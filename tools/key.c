// SPDX-License-Identifier: GPL-2.0-or-later
/* What the verbs of kcache key share; a key's administration is the KMS's, asked here. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "key.h"

int key_run(struct kc_run *r, int (*fn)(struct key_verb *v))
{
	struct key_verb v = { .r = r };
	int ret = kc_kms_open(&r->conf, &v.kms, &r->err);

	if (kc_given(r, OPT_PROVIDER))
		snprintf(v.provider, sizeof(v.provider), "%s", r->opt[OPT_PROVIDER]);
	else
		kc_key_provider(r->arg[0] ? r->arg[0] : "", v.provider);
	if (!ret)
		ret = fn(&v);
	kc_json_drop(v.aliases);
	kc_kms_close(v.kms);
	return ret;
}

const char *key_text(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string) ?
		json_object_get_string(v) : "";
}

struct json_object *key_args(const struct key_verb *v)
{
	struct json_object *args = kc_json_object();

	kc_json_str(args, "key", v->r->arg[0]);
	return args;
}

int key_call(struct key_verb *v, const char *operation, struct json_object *args, struct json_object **answer)
{
	struct json_object *got = NULL;
	int ret = kc_kms_admin(v->kms, v->provider, operation, args, &got, &v->r->err);

	kc_json_drop(args);
	if (answer)
		*answer = got;
	else
		kc_json_drop(got);
	return ret;
}

int key_all(struct key_verb *v, const char *operation, const char *member, struct json_object *args,
	    struct json_object **list)
{
	struct json_object *page = NULL, *array, *more;
	bool goes_on;
	size_t i;
	int ret;

	*list = kc_json_array();
	do {
		ret = key_call(v, operation, json_object_get(args), &page);
		if (ret)
			break;
		if (json_object_object_get_ex(page, member, &array) &&
		    json_object_is_type(array, json_type_array))
			for (i = 0; i < json_object_array_length(array); i++)
				kc_json_push(*list, json_object_get(json_object_array_get_idx(array, i)));
		goes_on = json_object_object_get_ex(page, "next", &more);
		if (goes_on)
			kc_json_str(args, "marker", json_object_get_string(more));
		kc_json_drop(page);
	} while (goes_on);
	kc_json_drop(args);
	return ret;
}

int key_aliases(struct key_verb *v)
{
	int ret = key_all(v, "ListAliases", "aliases", kc_json_object(), &v->aliases);

	/* they are an ornament here: a provider without them, or one that does not let us, has none */
	if (ret == KC_USAGE || ret == KC_KMS_REFUSED) {
		kc_error_clear(&v->r->err);
		ret = 0;
	}
	return ret;
}

struct json_object *key_aliases_of(const struct key_verb *v, const char *key)
{
	struct json_object *found = kc_json_array(), *a;
	size_t i;

	for (i = 0; v->aliases && i < json_object_array_length(v->aliases); i++) {
		a = json_object_array_get_idx(v->aliases, i);
		if (!strcmp(key_text(a, "key"), key))
			kc_json_push(found, json_object_get(json_object_object_get(a, "alias")));
	}
	return found;
}

void key_add_info(const struct key_verb *v, struct json_object *o, struct json_object *info)
{
	struct json_object *version = json_object_object_get(info, "version");

	kc_json_str(o, "key", key_text(info, "key"));
	kc_json_str(o, "provider", key_text(info, "provider"));
	kc_json_str(o, "state", key_text(info, "state"));
	kc_json_int(o, "material", version ? json_object_get_int(version) : 0);
	kc_json_str(o, "created", key_text(info, "created"));
	kc_json_str(o, "deletion", key_text(info, "deletion"));
	kc_json_str(o, "description", key_text(info, "description"));
	kc_json_put(o, "aliases", key_aliases_of(v, key_text(info, "key")));
}

static void say_state(const struct kc_run *r, struct json_object *info)
{
	const char *key = key_text(info, "key"), *state = key_text(info, "state");

	if (!strcmp(state, "Enabled"))
		kc_say(r, "kcache: %s is enabled", key);
	else if (!strcmp(state, "Disabled"))
		kc_say(r, "kcache: %s is disabled; volumes that are attached stay so", key);
	else if (!strcmp(state, "PendingDeletion"))
		kc_say(r, "kcache: %s will be deleted on %s, and all volumes under it are lost then; until that: kcache key cancel-deletion %s",
		       key, key_text(info, "deletion"), key);
	else
		kc_say(r, "kcache: %s is in state %s", key, state);
}

int key_changed(struct key_verb *v, struct json_object *info)
{
	int ret = 0;

	if (kc_given(v->r, OPT_JSON)) {
		ret = key_aliases(v);
		if (!ret) {
			struct json_object *o = kc_json_new();

			key_add_info(v, o, info);
			ret = kc_json_print(v->r, o);
		}
	} else {
		say_state(v->r, info);
	}
	kc_json_drop(info);
	return ret;
}

int key_done(struct key_verb *v, const char *member, const char *value, const char *fmt, ...)
{
	struct json_object *o;
	char text[1024];
	va_list ap;

	if (kc_given(v->r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "key", v->r->arg[0]);
		if (member)
			kc_json_str(o, member, value);
		return kc_json_print(v->r, o);
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kc_say(v->r, "kcache: %s", text);
	return 0;
}
