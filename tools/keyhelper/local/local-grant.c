// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Grants of the local provider: a host may do some operations with a key, for
 * one volume if the grant says which, although the key's policy does not allow it.
 * A grant's token is known by its hash alone.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "canon.h"
#include "kms-wire.h"
#include "local.h"

#define TOKEN_BYTES 32
#define TOKEN_TEXT (2 * TOKEN_BYTES + 1)

/* what KMS lets a grant for a symmetric key be about, in the order they are kept in */
static const char *const operations[] = {
	"CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
	"ReEncryptTo", "RetireGrant",
};

#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static const char *const context_members[] = { "kcache:id", "kcache:layout", "kcache:generation", NULL };

static int hash_token(struct kh *k, const char *token, uint8_t out[static KS_TOKEN])
{
	if (EVP_Digest(token, strlen(token), out, NULL, EVP_sha256(), NULL) != 1)
		return kh_fail(k, KH_INTERNAL, "cannot hash a grant token");
	return 0;
}

/* --- is it allowed? ------------------------------------------------------------------ */

static bool among(const char *list, const char *name)
{
	size_t n = strlen(name);
	const char *p;

	for (p = list; (p = strstr(p, name)); p += n)
		if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
	return false;
}

/* Has the encryption context all that the grant asks for? */
static bool within(const char *constraint, const struct kc_binding *b)
{
	struct json_object *o;
	char generation[24], text[128];
	const char *have[3];
	bool ok = true;
	int i;

	if (!*constraint || !b)
		return true;
	o = kc_wire_parse(constraint, strlen(constraint));
	snprintf(generation, sizeof(generation), "%llu", (unsigned long long)b->context.generation);
	have[0] = b->context.id;
	have[1] = b->context.layout;
	have[2] = generation;
	for (i = 0; o && ok && context_members[i]; i++)
		if (json_object_object_get_ex(o, context_members[i], NULL))
			ok = kc_wire_str(o, context_members[i], text, sizeof(text)) && !strcmp(text, have[i]);
	ok = ok && o;
	json_object_put(o);
	return ok;
}

/* The grants of a key, page by page: the first that @want takes. */
static int find(struct kh *k, const char *id, struct ks_grant *found, bool (*want)(const struct ks_grant *g, void *p),
		void *p)
{
	struct ks_grant page[KS_PAGE];
	char marker[KS_GRANT_ID + 1] = "";
	size_t n, i;

	do {
		n = KS_PAGE;
		if (ks_list_grants(k, id, marker, page, &n))
			return -1;
		for (i = 0; i < n; i++)
			if (want(&page[i], p)) {
				*found = page[i];
				return 1;
			}
		if (n)
			memcpy(marker, page[n - 1].id, sizeof(marker));
	} while (n == KS_PAGE);
	return 0;
}

struct question {
	const struct kl_caller *c;
	const char *operation;
	const struct kc_binding *b;
};

static bool answers(const struct ks_grant *g, void *p)
{
	const struct question *q = p;

	return kl_is_host(q->c, g->grantee) && among(g->operations, q->operation) && within(g->context, q->b);
}

int kl_grant_allows(struct kh *k, const struct ks_key *key, const struct kl_caller *c, const char *operation,
		    const struct kc_binding *b)
{
	struct question q = { c, operation, b };
	struct ks_grant g;

	return find(k, key->id, &g, answers, &q);
}

int kl_check_grant_token(struct kh *k, const struct ks_key *key)
{
	uint8_t token[KS_TOKEN];
	struct ks_grant g;

	if (!k->grant_token[0])
		return 0;
	if (hash_token(k, k->grant_token, token) || ks_grant_of_token(k, token, &g))
		return -1;
	return strcmp(g.key, key->id) ?
		kh_fail(k, KH_INVALID_GRANT, "the grant token is for local:%s, not for local:%s", g.key, key->id) : 0;
}

/* --- operations ------------------------------------------------------------------------ */

static int read_operations(struct kh *k, struct json_object *args, char out[static KS_OPERATIONS_MAX])
{
	bool asked[N_OPERATIONS] = { false };
	struct json_object *list, *one;
	size_t i, j, n;

	if (!json_object_object_get_ex(args, "operations", &list) ||
	    !json_object_is_type(list, json_type_array) || !json_object_array_length(list))
		return kh_fail(k, KH_VALIDATION, "the grant is for no operation");
	for (i = 0; i < json_object_array_length(list); i++) {
		one = json_object_array_get_idx(list, i);
		for (j = 0; j < N_OPERATIONS; j++)
			if (json_object_is_type(one, json_type_string) &&
			    !strcmp(json_object_get_string(one), operations[j]))
				break;
		if (j == N_OPERATIONS) {
			kh_fail(k, KH_VALIDATION, "there can be no grant for the operation %.64s",
				one ? json_object_get_string(one) : "null");
			return kh_next(k, "name some of Decrypt, Encrypt, GenerateDataKeyWithoutPlaintext, ReEncryptFrom, "
					  "ReEncryptTo, DescribeKey, CreateGrant, RetireGrant");
		}
		asked[j] = true;
	}
	for (j = 0, n = 0, out[0] = '\0'; j < N_OPERATIONS; j++)
		if (asked[j])
			n += (size_t)snprintf(out + n, KS_OPERATIONS_MAX - n, "%s%s", n ? "," : "", operations[j]);
	return 0;
}

static int read_context(struct kh *k, struct json_object *args, char out[static KS_CONTEXT_MAX])
{
	struct json_object *o;
	const char *text;
	char value[128];
	int i;

	out[0] = '\0';
	if (!json_object_object_get_ex(args, "context", &o))
		return 0;
	if (!json_object_is_type(o, json_type_object) || !kc_wire_members(o, context_members) ||
	    !json_object_object_length(o))
		return kh_fail(k, KH_VALIDATION,
			       "the context of a grant is some of kcache:id, kcache:layout, kcache:generation");
	for (i = 0; context_members[i]; i++)
		if (json_object_object_get_ex(o, context_members[i], NULL) &&
		    (!kc_wire_str(o, context_members[i], value, sizeof(value)) || !*value))
			return kh_fail(k, KH_VALIDATION, "%s of the grant's context is no text", context_members[i]);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	if (!text || strlen(text) >= KS_CONTEXT_MAX)
		return kh_fail(k, KH_VALIDATION, "the context of the grant is too long");
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int read_grantee(struct kh *k, struct json_object *args, char out[static KS_GRANTEE_MAX])
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";

	if (kc_wire_str(args, "grantee", out, KS_GRANTEE_MAX) && *out && out[strspn(out, set)] == '\0')
		return 0;
	kh_fail(k, KH_VALIDATION, "\"%s\" is no name of a host", out);
	return kh_next(k, "name the grantee by its host name (hostname) or its machine id (/etc/machine-id)");
}

int kl_add_grant(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	uint8_t bytes[TOKEN_BYTES], hash[KS_TOKEN];
	char token[TOKEN_TEXT];
	struct ks_grant g;

	if (read_grantee(k, args, g.grantee) || read_operations(k, args, g.operations) ||
	    read_context(k, args, g.context))
		return -1;
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return kh_fail(k, KH_INTERNAL, "no random numbers for a grant token");
	kc_hex(bytes, sizeof(bytes), token);
	memcpy(g.key, key->id, sizeof(g.key));
	if (hash_token(k, token, hash) || ks_add_grant(k, &g, hash))
		return -1;
	return kc_wire_add_str(result, "grant_id", g.id) && kc_wire_add_str(result, "grant_token", token) ?
		0 : kl_no_memory(k);
}

/* "grant_id" of @args, which is one of this key's. */
static int grant_of(struct kh *k, const struct ks_key *key, struct json_object *args, struct ks_grant *g)
{
	char id[KS_GRANT_ID + 1];

	if (!kc_wire_str(args, "grant_id", id, sizeof(id)) || !*id) {
		kh_fail(k, KH_VALIDATION, "no grant is named");
		return kh_next(k, "kcache key grants KEY lists them");
	}
	if (!ks_grant(k, id, g) && !strcmp(g->key, key->id))
		return 0;
	if (k->error != KH_OK && k->error != KH_NOT_FOUND)
		return -1;
	kh_fail(k, KH_NOT_FOUND, "there is no grant %s of local:%s", id, key->id);
	return kh_next(k, "kcache key grants local:%s lists them", key->id);
}

int kl_revoke_grant(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	struct ks_grant g;

	(void)result;
	return grant_of(k, key, args, &g) ? -1 : ks_remove_grant(k, g.id);
}

/* By its token, or by key and id; the key is asked whether we may. */
static int retire(struct kh *k, struct json_object *args)
{
	char token[TOKEN_TEXT], name[KC_KEY_NAME_MAX], id[KC_UUID_LEN + 1];
	uint8_t hash[KS_TOKEN];
	struct ks_grant g;
	struct ks_key key;

	if (json_object_object_get_ex(args, "grant_token", NULL)) {
		if (!kc_wire_str(args, "grant_token", token, sizeof(token)))
			return kh_fail(k, KH_INVALID_GRANT, "the grant token is no token of a grant in %s", k->state_dir);
		if (hash_token(k, token, hash) || ks_grant_of_token(k, hash, &g) || ks_get(k, g.key, &key))
			return -1;
	} else {
		if (!kc_wire_str(args, "key", name, sizeof(name)))
			return kh_fail(k, KH_VALIDATION, "no key is named");
		if (kl_resolve(k, name, id) || ks_get(k, id, &key) || grant_of(k, &key, args, &g))
			return -1;
	}
	if (kl_check(k, &key, "RetireGrant", NULL))
		return -1;
	return ks_remove_grant(k, g.id);
}

int kl_retire_grant(struct kh *k, struct json_object *args, struct json_object *result)
{
	(void)result;
	if (ks_open(k, false) || ks_begin(k, true))
		return -1;
	return ks_end(k, retire(k, args));
}

static bool add_operations(struct json_object *o, char *list)
{
	struct json_object *array = json_object_new_array();
	char *save, *name;

	if (!kc_wire_add(o, "operations", array))
		return false;
	for (name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		struct json_object *text = json_object_new_string(name);

		if (!text || json_object_array_add(array, text)) {
			json_object_put(text);
			return false;
		}
	}
	return true;
}

static int answer_grant(struct json_object *list, struct ks_grant *g)
{
	struct json_object *o = json_object_new_object(), *context;

	if (!o || json_object_array_add(list, o)) {
		json_object_put(o);
		return -1;
	}
	context = *g->context ? kc_wire_parse(g->context, strlen(g->context)) : NULL;
	return kc_wire_add_str(o, "grant_id", g->id) && kc_wire_add_str(o, "grantee", g->grantee) &&
		add_operations(o, g->operations) && (!context || kc_wire_add(o, "context", context)) &&
		kc_wire_add_str(o, "created", g->created) ? 0 : -1;
}

int kl_list_grants(struct kh *k, struct ks_key *key, struct json_object *args, struct json_object *result)
{
	struct json_object *list = json_object_new_array();
	struct ks_grant grants[KS_PAGE];
	char marker[KS_GRANT_ID + 1];
	size_t n = KS_PAGE, i;

	if (!kc_wire_add(result, "grants", list))
		return kl_no_memory(k);
	if (kl_optional(k, args, "marker", marker, sizeof(marker)) ||
	    ks_list_grants(k, key->id, marker, grants, &n))
		return -1;
	for (i = 0; i < n; i++)
		if (answer_grant(list, &grants[i]))
			return kl_no_memory(k);
	return n < KS_PAGE || kc_wire_add_str(result, "next", grants[n - 1].id) ? 0 : kl_no_memory(k);
}
