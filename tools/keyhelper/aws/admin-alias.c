// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of keys of AWS KMS. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "kms-wire.h"

int admin_alias_of(struct kh *k, const char *given, char *name, size_t size)
{
	struct aws_key key;
	const char *s = given;

	if (!strncmp(s, "arn:", 4) && aws_arn_parse(s, &key))
		s = key.resource;
	if (!strncmp(s, "aws:", 4))
		s += 4;
	if (!strncmp(s, "alias/", 6))
		s += 6;
	if (strlen(s) + 7 > size || !*s || strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-") !=
	    strlen(s) || strlen(s) > 250) {
		kh_fail(k, KH_VALIDATION, "\"%s\" is no name for a key", given);
		return kh_next(k, "use up to 250 letters, digits and / _ -");
	}
	if (!strncmp(s, "aws/", 4)) {
		kh_fail(k, KH_VALIDATION, "alias/%s: names that begin with aws/ are AWS's own", s);
		return kh_next(k, "choose another name");
	}
	snprintf(name, size, "alias/%s", s);
	return 0;
}

static int set_alias(struct kh *k, struct json_object *args, const char *operation)
{
	char given[KC_KEY_NAME_MAX], alias[288], id[KC_KEY_NAME_MAX];
	struct admin a;
	int r = admin_begin(&a, k, args, operation);

	if (!r)
		r = admin_required(k, args, "alias", given, sizeof(given));
	if (!r)
		r = admin_alias_of(k, given, alias, sizeof(alias));
	if (!r)
		r = admin_add_str(&a, "AliasName", alias);
	if (!r)
		r = admin_add_str(&a, "TargetKeyId", aws_key_id(&a.key, id));
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
}

int admin_create_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)result;
	return set_alias(k, args, "CreateAlias");
}

int admin_update_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)result;
	return set_alias(k, args, "UpdateAlias");
}

int admin_delete_alias(struct kh *k, struct json_object *args, struct json_object *result)
{
	char given[KC_KEY_NAME_MAX], alias[288];
	struct admin a;
	struct aws_key key;
	int r = admin_begin_region(&a, k, "DeleteAlias");

	(void)result;
	if (!r)
		r = admin_required(k, args, "alias", given, sizeof(given));
	if (!r)
		r = admin_alias_of(k, given, alias, sizeof(alias));
	/* an ARN says the region */
	if (!r && aws_arn_parse(given, &key))
		snprintf(a.key.region, sizeof(a.key.region), "%s", key.region);
	if (!r)
		r = admin_add_str(&a, "AliasName", alias);
	a.call.key = alias;
	if (!r)
		r = admin_ask(&a);
	return admin_end(&a, r);
}

int admin_name_new_key(struct admin *a, const char *arn, const char *alias, struct json_object *result)
{
	struct aws_call c = { .operation = "CreateAlias", .region = a->key.region, .key = arn };
	struct json_object *params = json_object_new_object(), *answer;
	char full[300];
	int r;

	if (!kc_wire_add_str(params, "AliasName", alias) || !kc_wire_add_str(params, "TargetKeyId", arn)) {
		json_object_put(params);
		return admin_no_memory(a->k);
	}
	r = aws_ask(a->k, &c, params, &answer);
	json_object_put(params);
	json_object_put(answer);
	if (r)
		return kh_next(a->k, "the key is there all the same, without a name: %s", arn);
	snprintf(full, sizeof(full), "aws:%s", alias);
	return admin_answer_str(a, result, "alias", full);
}

/* Of a service's alias that no key is behind yet nothing is told. */
static int alias_row(struct admin *a, struct json_object *row, struct json_object *o)
{
	const char *name = aws_string(row, "AliasName"), *arn = aws_string(row, "AliasArn");
	const char *target = aws_string(row, "TargetKeyId");
	char key[KC_KEY_NAME_MAX], alias[300];
	struct aws_key parts;

	if (!target)
		return 0;
	if (!name || !arn || !aws_arn_parse(arn, &parts) || !aws_key_is_alias(&parts))
		return aws_garbage(a->k, &a->call, "no alias that is one");
	snprintf(key, sizeof(key), "arn:%s:kms:%s:%s:key/%.100s", parts.partition, parts.region, parts.account, target);
	snprintf(alias, sizeof(alias), "aws:%s", parts.resource);
	if (!kc_key_canonical("aws", key))
		return aws_garbage(a->k, &a->call, "an alias of no key");
	return kc_wire_add_str(o, "alias", alias) && kc_wire_add_str(o, "key", key) ? 0 : admin_no_memory(a->k);
}

int aws_list_aliases(struct kh *k, struct json_object *args, struct json_object *result)
{
	bool named = json_object_object_get_ex(args, "key", NULL);
	struct admin a;
	int r = named ? admin_begin(&a, k, args, "ListAliases") : admin_begin_region(&a, k, "ListAliases");

	if (!r && named)
		r = admin_add_key(&a);
	if (!r)
		r = admin_ask_page(&a, args, ADMIN_PAGE);
	if (!r)
		r = admin_rows(&a, result, "Aliases", "aliases", alias_row);
	return admin_end(&a, r);
}
