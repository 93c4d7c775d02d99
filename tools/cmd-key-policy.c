// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key policy: who may do what with a key. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "key.h"

#define POLICY_MAX 32768	/* KMS's limit */

/* The document, without the blanks that it has for people: it travels as one line. */
static int read_policy(struct kc_run *r, const char *path, struct json_object **policy)
{
	bool from_stdin = !strcmp(path, "-");
	FILE *f = from_stdin ? stdin : fopen(path, "re");
	char text[POLICY_MAX + 1];
	size_t len;
	int ret = 0;

	if (!f)
		return kc_fail(&r->err, KC_USAGE, NULL, "cannot open %s: %s", path, strerror(errno));
	len = fread(text, 1, sizeof(text), f);
	if (ferror(f))
		ret = kc_fail(&r->err, KC_USAGE, NULL, "cannot read %s: %s", path, strerror(errno));
	if (!from_stdin)
		fclose(f);
	if (ret)
		return ret;
	if (len == sizeof(text))
		return kc_fail(&r->err, KC_USAGE, NULL, "%s has more than %d bytes, which is more than a policy has",
			       path, POLICY_MAX);
	text[len] = '\0';
	*policy = strlen(text) == len ? json_tokener_parse(text) : NULL;
	if (json_object_is_type(*policy, json_type_object))
		return 0;
	kc_json_drop(*policy);
	return kc_fail(&r->err, KC_USAGE, "kcache key policy KEY shows the one there is, to start from",
		       "%s is no JSON object", path);
}

static int put(struct key_verb *v)
{
	struct json_object *args, *policy = NULL;
	struct kc_run *r = v->r;
	int ret = read_policy(r, r->arg[1], &policy);

	if (ret)
		return ret;
	args = key_args(v);
	kc_json_str(args, "policy", json_object_to_json_string_ext(policy, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
	kc_json_drop(policy);
	ret = key_call(v, "PutKeyPolicy", args, NULL);
	return ret ? ret : key_done(v, NULL, NULL, "%s has a new policy", r->arg[0]);
}

/* The policy itself, so that it can be edited and put back; with --json as a member, as all that is printed so. */
static int get(struct key_verb *v)
{
	struct json_object *answer = NULL, *policy, *o;
	struct kc_run *r = v->r;
	int ret = key_call(v, "GetKeyPolicy", key_args(v), &answer);

	if (ret)
		return ret;
	policy = json_tokener_parse(key_text(answer, "policy"));
	kc_json_drop(answer);
	if (!policy)
		return kc_fail(&r->err, KC_KMS_RETRY, NULL, "the policy of %s is no JSON", r->arg[0]);
	if (!kc_given(r, OPT_JSON))
		return kc_json_print(r, policy);
	o = kc_json_new();
	kc_json_str(o, "key", r->arg[0]);
	kc_json_put(o, "policy", policy);
	return kc_json_print(r, o);
}

int cmd_key_policy(struct kc_run *r)
{
	return key_run(r, r->n_arg > 1 ? put : get);
}
