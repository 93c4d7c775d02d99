// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key grant, grants, revoke, retire: let a host use a key, for one volume or for all. */
#include <stdio.h>
#include <string.h>

#include "header.h"
#include "key.h"

/* what attaching and a lease take, and that the host may give it back */
#define DEFAULT_OPERATIONS "Decrypt,DescribeKey,RetireGrant"

static struct json_object *operations(const char *list)
{
	struct json_object *array = kc_json_array();
	const char *end;

	for (; *list; list = *end ? end + 1 : end) {
		end = list + strcspn(list, ",");
		kc_json_push(array, json_object_new_string_len(list, (int)(end - list)));
	}
	return array;
}

static int grant(struct key_verb *v)
{
	struct json_object *args = key_args(v), *answer = NULL, *context, *o;
	char id[KC_UUID_LEN + 1];
	struct kc_run *r = v->r;
	int ret;

	kc_json_str(args, "grantee", r->opt[OPT_GRANTEE]);
	kc_json_put(args, "operations",
		    operations(kc_given(r, OPT_OPERATIONS) ? r->opt[OPT_OPERATIONS] : DEFAULT_OPERATIONS));
	if (kc_given(r, OPT_VOLUME)) {
		ret = kc_volume_id(r, r->opt[OPT_VOLUME], id);
		if (ret) {
			kc_json_drop(args);
			return ret;
		}
		context = kc_json_object();
		kc_json_str(context, "kcache:id", id);
		kc_json_put(args, "context", context);
	}
	ret = key_call(v, "CreateGrant", args, &answer);
	if (ret)
		return ret;
	if (kc_given(r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "key", r->arg[0]);
		kc_json_str(o, "grantee", r->opt[OPT_GRANTEE]);
		kc_json_str(o, "grant_id", key_text(answer, "grant_id"));
		kc_json_str(o, "grant_token", key_text(answer, "grant_token"));
		ret = kc_json_print(r, o);
	} else {
		printf("Grant: %s\nToken: %s\n", key_text(answer, "grant_id"), key_text(answer, "grant_token"));
	}
	kc_json_drop(answer);
	return ret;
}

int check_key_grant(struct kc_run *r)
{
	return kc_given(r, OPT_GRANTEE) ? 0 :
		kc_fail(&r->err, KC_USAGE, "name the host that the grant is for: --grantee HOST",
			"a grant without a grantee is none");
}

static void print_words(struct json_object *array)
{
	size_t i;

	for (i = 0; i < json_object_array_length(array); i++)
		printf("%s%s", i ? "," : "", json_object_get_string(json_object_array_get_idx(array, i)));
}

static int grants(struct key_verb *v)
{
	struct json_object *list = NULL, *o, *one, *array;
	struct kc_run *r = v->r;
	size_t i, n;
	int ret = key_all(v, "ListGrants", "grants", key_args(v), &list);

	if (!ret && kc_given(r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "key", r->arg[0]);
		kc_json_put(o, "grants", list);
		return kc_json_print(r, o);
	}
	n = ret ? 0 : json_object_array_length(list);
	if (n && !kc_given(r, OPT_NO_HEADINGS))
		printf("%-64s %-20s %-20s %-36s %s\n", "GRANT", "CREATED", "GRANTEE", "VOLUME", "OPERATIONS");
	for (i = 0; i < n; i++) {
		one = json_object_array_get_idx(list, i);
		o = json_object_object_get(one, "context");
		printf("%-64s %-20s %-20s %-36s ", key_text(one, "grant_id"), key_text(one, "created"),
		       key_text(one, "grantee"), o && *key_text(o, "kcache:id") ? key_text(o, "kcache:id") : "-");
		if (json_object_object_get_ex(one, "operations", &array) &&
		    json_object_is_type(array, json_type_array))
			print_words(array);
		putchar('\n');
	}
	kc_json_drop(list);
	return ret;
}

static int revoke_grant(struct key_verb *v)
{
	struct json_object *args = key_args(v);
	int ret;

	kc_json_str(args, "grant_id", v->r->arg[1]);
	ret = key_call(v, "RevokeGrant", args, NULL);
	return ret ? ret : key_done(v, "grant_id", v->r->arg[1], "grant %s is revoked", v->r->arg[1]);
}

static int retire_grant(struct key_verb *v)
{
	struct json_object *args = key_args(v);
	int ret;

	kc_json_str(args, "grant_id", v->r->arg[1]);
	ret = key_call(v, "RetireGrant", args, NULL);
	return ret ? ret : key_done(v, "grant_id", v->r->arg[1], "grant %s is retired", v->r->arg[1]);
}

int cmd_key_grant(struct kc_run *r)
{
	return key_run(r, grant);
}

int cmd_key_grants(struct kc_run *r)
{
	return key_run(r, grants);
}

int cmd_key_revoke(struct kc_run *r)
{
	return key_run(r, revoke_grant);
}

int cmd_key_retire(struct kc_run *r)
{
	return key_run(r, retire_grant);
}
