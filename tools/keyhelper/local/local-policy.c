// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key policies of the local provider: KMS's form, with what a host has for
 * principals.
 *
 *	{ "Version": "2012-10-17", "Statement": [ {
 *		"Sid": "text", "Effect": "Allow" or "Deny",
 *		"Principal": "*" or { "uid": 0, "gid": [ 27 ], "host": "name or machine id" },
 *		"Action": "kms:Decrypt" or [ "kms:ReEncrypt*", ... ], "Resource": "*" } ] }
 *
 * A Deny stands above every Allow and every grant; what nobody allows is refused.
 * What is not understood is refused when it is put: a policy that is read
 * otherwise than it was meant is worse than none.
 *
 * They bind whoever goes through kcache. Root can open the keystore itself.
 */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kms-wire.h"
#include "local.h"

#define DEFAULT_POLICY "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Default\",\"Effect\":\"Allow\"," \
	"\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}]}"

void kl_caller(struct kl_caller *c)
{
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t len = fd < 0 ? 0 : read(fd, c->machine, sizeof(c->machine) - 1);
	struct utsname host;
	gid_t gids[64];
	int i, n = getgroups(64, gids);

	if (fd >= 0)
		close(fd);
	c->machine[len > 0 ? len : 0] = '\0';
	c->machine[strcspn(c->machine, "\n")] = '\0';
	snprintf(c->host, sizeof(c->host), "%s", uname(&host) ? "" : host.nodename);
	c->uid = getuid();
	c->gids[0] = getgid();
	c->n_gids = 1;
	for (i = 0; i < n; i++)
		c->gids[c->n_gids++] = gids[i];
}

bool kl_is_host(const struct kl_caller *c, const char *name)
{
	return *name && (!strcasecmp(name, c->host) || !strcasecmp(name, c->machine));
}

/* The @i-th of a value that may be one or an array of them; NULL at the end. */
static struct json_object *nth(struct json_object *v, size_t i)
{
	if (!json_object_is_type(v, json_type_array))
		return i ? NULL : v;
	return json_object_array_get_idx(v, i);
}

static const char *member(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string) ?
		json_object_get_string(v) : NULL;
}

/* --- what it says ----------------------------------------------------------------- */

static bool is_gid(const struct kl_caller *c, int64_t gid)
{
	int i;

	for (i = 0; i < c->n_gids; i++)
		if (c->gids[i] == gid)
			return true;
	return false;
}

static bool is_principal(struct json_object *principal, const struct kl_caller *c)
{
	struct json_object *v, *one;
	size_t i;

	if (json_object_is_type(principal, json_type_string))
		return true;	/* "*" is the only one */
	if (json_object_object_get_ex(principal, "uid", &v))
		for (i = 0; (one = nth(v, i)); i++)
			if (json_object_get_int64(one) == c->uid)
				return true;
	if (json_object_object_get_ex(principal, "gid", &v))
		for (i = 0; (one = nth(v, i)); i++)
			if (is_gid(c, json_object_get_int64(one)))
				return true;
	if (json_object_object_get_ex(principal, "host", &v))
		for (i = 0; (one = nth(v, i)); i++)
			if (kl_is_host(c, json_object_get_string(one)))
				return true;
	return false;
}

static bool is_action(struct json_object *actions, const char *operation)
{
	struct json_object *one;
	size_t i, n;

	for (i = 0; (one = nth(actions, i)); i++) {
		const char *a = json_object_get_string(one) + strlen("kms:");

		n = strlen(a);
		if (n && a[n - 1] == '*' ? !strncmp(operation, a, n - 1) : !strcmp(operation, a))
			return true;
	}
	return false;
}

static enum kl_verdict says(struct json_object *policy, const struct kl_caller *c, const char *operation)
{
	struct json_object *statements = json_object_object_get(policy, "Statement"), *s;
	enum kl_verdict verdict = KL_NOT_SAID;
	size_t i;

	for (i = 0; (s = nth(statements, i)); i++) {
		if (!is_principal(json_object_object_get(s, "Principal"), c) ||
		    !is_action(json_object_object_get(s, "Action"), operation))
			continue;
		if (!strcmp(member(s, "Effect"), "Deny"))
			return KL_DENIED;
		verdict = KL_ALLOWED;
	}
	return verdict;
}

/* --- is it one? --------------------------------------------------------------------- */

static int malformed(struct kh *k, const char *what)
{
	kh_fail(k, KH_VALIDATION, "the key policy has %s", what);
	kh_name(k, "MalformedPolicyDocumentException");
	return kh_next(k, "kcache key policy KEY shows the one there is; local-keystore.md describes what one may say");
}

static bool all(struct json_object *v, bool (*right)(struct json_object *one))
{
	struct json_object *one;
	size_t i;

	for (i = 0; (one = nth(v, i)); i++)
		if (!right(one))
			return false;
	return i > 0 && (!json_object_is_type(v, json_type_array) || i == json_object_array_length(v));
}

static bool is_id(struct json_object *v)
{
	return json_object_is_type(v, json_type_int) && json_object_get_int64(v) >= 0 &&
		json_object_get_int64(v) < UINT32_MAX;
}

static bool is_name(struct json_object *v)
{
	return json_object_is_type(v, json_type_string) && *json_object_get_string(v);
}

static bool is_known_action(struct json_object *v)
{
	return json_object_is_type(v, json_type_string) && kl_known_action(json_object_get_string(v));
}

static bool is_principals(struct json_object *v)
{
	static const char *const members[] = { "uid", "gid", "host", NULL };
	struct json_object *o;

	if (json_object_is_type(v, json_type_string))
		return !strcmp(json_object_get_string(v), "*");
	return json_object_is_type(v, json_type_object) && json_object_object_length(v) &&
		kc_wire_members(v, members) && (!json_object_object_get_ex(v, "uid", &o) || all(o, is_id)) &&
		(!json_object_object_get_ex(v, "gid", &o) || all(o, is_id)) &&
		(!json_object_object_get_ex(v, "host", &o) || all(o, is_name));
}

static int check_statement(struct kh *k, struct json_object *s)
{
	static const char *const members[] = { "Sid", "Effect", "Principal", "Action", "Resource", NULL };
	const char *effect = member(s, "Effect"), *resource = member(s, "Resource");
	struct json_object *v;

	if (!json_object_is_type(s, json_type_object) || !kc_wire_members(s, members))
		return malformed(k, "a statement with other members than Sid, Effect, Principal, Action, Resource");
	if (json_object_object_get_ex(s, "Sid", NULL) && !member(s, "Sid"))
		return malformed(k, "a Sid that is no text");
	if (!effect || (strcmp(effect, "Allow") && strcmp(effect, "Deny")))
		return malformed(k, "a statement whose Effect is neither Allow nor Deny");
	if (!json_object_object_get_ex(s, "Principal", &v) || !is_principals(v))
		return malformed(k, "a statement whose Principal is neither \"*\" nor { \"uid\", \"gid\", \"host\" }");
	if (!json_object_object_get_ex(s, "Action", &v) || !all(v, is_known_action))
		return malformed(k, "a statement whose Action is no operation of KMS on a key");
	if (json_object_object_get_ex(s, "Resource", NULL) && (!resource || strcmp(resource, "*")))
		return malformed(k, "a statement whose Resource is not \"*\", this key");
	return 0;
}

static int check(struct kh *k, struct json_object *policy)
{
	static const char *const members[] = { "Version", "Id", "Statement", NULL };
	struct json_object *v, *s;
	size_t i;

	if (!kc_wire_members(policy, members) ||
	    (json_object_object_get_ex(policy, "Id", NULL) && !member(policy, "Id")))
		return malformed(k, "other members than Version, Id and Statement");
	if (json_object_object_get_ex(policy, "Version", NULL) &&
	    (!member(policy, "Version") || strcmp(member(policy, "Version"), "2012-10-17")))
		return malformed(k, "another Version than 2012-10-17");
	if (!json_object_object_get_ex(policy, "Statement", &v) ||
	    !(json_object_is_type(v, json_type_object) ||
	      (json_object_is_type(v, json_type_array) && json_object_array_length(v))))
		return malformed(k, "no Statement");
	for (i = 0; (s = nth(v, i)); i++)
		if (check_statement(k, s))
			return -1;
	return json_object_is_type(v, json_type_array) && i != json_object_array_length(v) ?
		malformed(k, "a Statement that is null") : 0;
}

int kl_policy_says(struct kh *k, const char *policy, const struct kl_caller *c, const char *operation)
{
	struct json_object *o = kc_wire_parse(policy, strlen(policy));
	int r;

	if (!o || check(k, o)) {
		kh_forget(k);
		r = kh_fail(k, KH_UNAVAILABLE, "the keystore in %s is damaged: a bad policy", k->state_dir);
	} else {
		r = (int)says(o, c, operation);
	}
	json_object_put(o);
	return r;
}

/* --- the operations ------------------------------------------------------------------ */

int kl_get_policy(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	char policy[KS_POLICY_MAX] = "";

	(void)args;
	if (ks_policy(k, key->id, policy))
		return -1;
	return kc_wire_add_str(result, "policy", *policy ? policy : DEFAULT_POLICY) ? 0 : kl_no_memory(k);
}

int kl_put_policy(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	char text[KS_POLICY_MAX];
	struct json_object *o;
	struct kl_caller c;
	int r;

	(void)result;
	if (!kc_wire_str(args, "policy", text, sizeof(text)))
		return malformed(k, "more than 8191 bytes, or control characters");
	o = kc_wire_parse(text, strlen(text));
	r = o ? check(k, o) : malformed(k, "no JSON object");
	kl_caller(&c);
	/* KMS's lockout safety check */
	if (!r && says(o, &c, "PutKeyPolicy") != KL_ALLOWED)
		r = malformed(k, "nothing that would let you change it again (kms:PutKeyPolicy)");
	json_object_put(o);
	return r ? r : ks_set_policy(k, key->id, text);
}
