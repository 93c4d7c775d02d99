// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The use of keys: KeyId, encryption context and algorithm go with every call, and
 * the KeyId of the answer must be the one that was asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aws.h"
#include "kms-wire.h"

#define ALGORITHM "SYMMETRIC_DEFAULT"

static int no_memory(struct kh *k, struct json_object *o)
{
	json_object_put(o);
	return kh_fail(k, KH_NO_MEMORY, "out of memory");
}

/* The context that a DEK is bound to, as KMS is told it. */
static bool add_context(struct json_object *o, const char *name, const struct kc_context *c)
{
	struct json_object *v = json_object_new_object();
	char generation[24];

	snprintf(generation, sizeof(generation), "%" PRIu64, c->generation);
	if (kc_wire_add_str(v, "kcache:id", c->id) && kc_wire_add_str(v, "kcache:layout", c->layout) &&
	    kc_wire_add_str(v, "kcache:generation", generation))
		return kc_wire_add(o, name, v);
	json_object_put(v);
	return false;
}

static bool add_grant(struct json_object *o, const struct kh *k)
{
	struct json_object *a;

	if (!k->grant_token[0])
		return true;
	a = json_object_new_array();
	if (!a || json_object_array_add(a, json_object_new_string(k->grant_token))) {
		json_object_put(a);
		return false;
	}
	return kc_wire_add(o, "GrantTokens", a);
}

/* The key that the answer is about. */
static int same_key(struct kh *k, const struct aws_call *c, struct json_object *answer, const char *member,
		    const char *key)
{
	const char *s = aws_string(answer, member);

	if (!s)
		return aws_garbage(k, c, "no KeyId");
	if (strcmp(s, key)) {
		kh_fail(k, KH_INCORRECT_KEY, "AWS KMS was asked for %s but answered for %.200s", key, s);
		return kh_next(k, "do not use this KMS before you know why");
	}
	return 0;
}

/* Not every answer says which; one that says another was not made as it was asked for. */
static int same_algorithm(struct kh *k, const struct aws_call *c, struct json_object *answer)
{
	const char *s = aws_string(answer, "EncryptionAlgorithm");

	return !s || !strcmp(s, ALGORITHM) ? 0 : aws_garbage(k, c, "another EncryptionAlgorithm");
}

static int wrapped_of(struct kh *k, const struct aws_call *c, struct json_object *answer, uint8_t *wrapped,
		      size_t *len)
{
	const char *s = aws_string(answer, "CiphertextBlob");

	*len = s ? aws_base64(s, wrapped, KC_WRAPPED_MAX) : 0;
	return *len ? 0 : aws_garbage(k, c, "no CiphertextBlob that is one");
}

/* The value of a base64 digit, -1 for none. */
static int digit(int c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

size_t aws_base64(const char *s, uint8_t *out, size_t max)
{
	size_t n = 0, left;
	int v[4], i, pad;

	for (left = strlen(s); left; left -= 4, s += 4) {
		if (left % 4)
			goto bad;
		pad = left == 4 ? (s[3] == '=') + (s[3] == '=' && s[2] == '=') : 0;
		for (i = 0; i < 4; i++) {
			v[i] = i >= 4 - pad ? 0 : digit(s[i]);
			if (v[i] < 0)
				goto bad;
		}
		/* the bits that no byte gets are zero: one text for one value */
		if ((pad == 1 && v[2] & 3) || (pad == 2 && v[1] & 15) || n + 3 - (size_t)pad > max)
			goto bad;
		out[n++] = (uint8_t)(v[0] << 2 | v[1] >> 4);
		if (pad < 2)
			out[n++] = (uint8_t)(v[1] << 4 | v[2] >> 2);
		if (pad < 1)
			out[n++] = (uint8_t)(v[2] << 6 | v[3]);
	}
	explicit_bzero(v, sizeof(v));
	return n;
bad:
	explicit_bzero(v, sizeof(v));
	explicit_bzero(out, n);
	return 0;
}

static const struct {
	const char *name;
	enum kc_key_state state;
} states[] = {
	{ "Enabled", KC_KEY_ENABLED },
	{ "Updating", KC_KEY_ENABLED },	/* the primary key moves; it can be used */
	{ "Disabled", KC_KEY_DISABLED },
	{ "PendingDeletion", KC_KEY_PENDING_DELETION },
	{ "PendingReplicaDeletion", KC_KEY_PENDING_DELETION },
	{ "PendingImport", KC_KEY_PENDING_IMPORT },
	{ "Creating", KC_KEY_UNAVAILABLE },
	{ "Unavailable", KC_KEY_UNAVAILABLE },
};

static bool state_of(struct json_object *meta, enum kc_key_state *state)
{
	const char *s = aws_string(meta, "KeyState");
	size_t i;

	for (i = 0; s && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(s, states[i].name))
			continue;
		*state = states[i].state;
		return true;
	}
	return false;
}

/* Is the key of the answer one that the name can mean? */
static bool answers(const struct aws_key *asked, const struct aws_key *got)
{
	return !strcmp(asked->partition, got->partition) && !strcmp(asked->region, got->region) &&
		(!asked->account[0] || !strcmp(asked->account, got->account)) &&
		(aws_key_is_alias(asked) || !strcmp(asked->resource, got->resource)) && !aws_key_is_alias(got);
}

static void description_of(struct json_object *meta, char *out, size_t size)
{
	const char *s = aws_string(meta, "Description");
	size_t i;

	/* up to 8192 characters of any kind there */
	for (i = 0; s && s[i] && i < size - 1; i++)
		out[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	out[i] = '\0';
}

/* Why a key cannot wrap a volume's, or NULL. */
static const char *unusable(struct json_object *meta)
{
	const char *manager = aws_string(meta, "KeyManager"), *usage = aws_string(meta, "KeyUsage");
	const char *spec = aws_string(meta, "KeySpec");

	if (!spec)
		spec = aws_string(meta, "CustomerMasterKeySpec");
	if (manager && !strcmp(manager, "AWS"))
		return "it is a key of an AWS service (aws/...): its policy lets only that service use it";
	if (!spec || strcmp(spec, ALGORITHM))
		return "it is not symmetric";
	/* of a symmetric key there is no other use, and not everybody says so */
	if (usage && strcmp(usage, "ENCRYPT_DECRYPT"))
		return "it is not for encryption";
	return NULL;
}

int aws_describe_any(struct kh *k, const struct aws_key *key, const char *name, struct kc_key_info *info,
		     const char **why_not)
{
	struct aws_call c = { .operation = "DescribeKey", .region = key->region, .key = name };
	struct json_object *params = json_object_new_object(), *answer, *meta;
	char id[KC_KEY_NAME_MAX];
	struct aws_key got;
	const char *arn;
	int r;

	memset(info, 0, sizeof(*info));
	if (!kc_wire_add_str(params, "KeyId", aws_key_id(key, id)) || !add_grant(params, k))
		return no_memory(k, params);
	r = aws_ask(k, &c, params, &answer);
	json_object_put(params);
	if (r)
		return r;
	snprintf(info->provider, sizeof(info->provider), "aws");
	if (!json_object_object_get_ex(answer, "KeyMetadata", &meta))
		meta = NULL;
	arn = aws_string(meta, "Arn");
	if (!arn || !aws_arn_parse(arn, &got) || !kc_key_canonical("aws", arn) || !state_of(meta, &info->state)) {
		r = aws_garbage(k, &c, "no description of a key");
	} else if (!answers(key, &got)) {
		r = kh_fail(k, KH_INCORRECT_KEY, "AWS KMS was asked for %s but answered for %s", name, arn);
		kh_next(k, "do not use this KMS before you know why");
	} else {
		snprintf(info->key, sizeof(info->key), "%s", arn);
		aws_time(meta, "CreationDate", info->created);
		aws_time(meta, "DeletionDate", info->deletion);
		description_of(meta, info->description, sizeof(info->description));
		*why_not = unusable(meta);
	}
	json_object_put(answer);
	return r;
}

int aws_describe(struct kh *k, const char *name, struct kc_key_info *info)
{
	const char *why_not = NULL;
	struct aws_key key;

	if (aws_key_parse(k, name, &key) || aws_describe_any(k, &key, name, info, &why_not))
		return -1;
	if (!why_not)
		return 0;
	kh_fail(k, KH_INVALID_USAGE, "%s cannot wrap a volume's key: %s", name, why_not);
	return kh_next(k, "use a symmetric customer managed key, e.g. one made by aws kms create-key");
}

/*
 * KMS said that the key is in a state in which it cannot be used, and not always in
 * which one. DescribeKey knows, and knows the date of a deletion. If it does not
 * answer, what is known already stays.
 */
static int explain_state(struct kh *k, const char *name)
{
	struct kh *probe;
	struct kc_key_info info;
	const char *why_not = NULL;
	char request_id[sizeof(k->request_id)], own[sizeof(k->name)];
	enum kh_error error = k->error;
	struct aws_key key;
	int64_t deadline;

	if ((error != KH_KEY_STATE && error != KH_PENDING_DELETION) || !aws_arn_parse(name, &key))
		return -1;
	probe = kh_wiping_calloc(1, sizeof(*probe));
	if (!probe)
		return -1;
	/* one short question beside the failure, which stays as it is */
	deadline = kc_wire_now() + 5000;
	probe->settings = k->settings;
	probe->deadline = deadline < k->deadline ? deadline : k->deadline;
	memcpy(probe->state_dir, k->state_dir, sizeof(probe->state_dir));
	memcpy(probe->grant_token, k->grant_token, sizeof(probe->grant_token));
	probe->secrets = k->secrets;
	probe->private = k->private;
	memcpy(request_id, k->request_id, sizeof(request_id));
	memcpy(own, k->name, sizeof(own));
	if (!aws_describe_any(probe, &key, name, &info, &why_not)) {
		if (info.state == KC_KEY_PENDING_DELETION) {
			kh_forget(k);
			kh_fail(k, KH_PENDING_DELETION, "%s is pending deletion%s%s", name,
				info.deletion[0] ? ": it and all that is wrapped by it will be lost on " : "",
				info.deletion);
			kh_next(k, "before then: kcache key cancel-deletion %s, then kcache key enable %s", name, name);
		} else if (error == KH_KEY_STATE && info.state == KC_KEY_DISABLED) {
			kh_forget(k);
			kh_fail(k, KH_DISABLED, "%s is disabled", name);
			kh_next(k, "enable it: kcache key enable %s", name);
		} else if (error == KH_KEY_STATE && info.state == KC_KEY_PENDING_IMPORT) {
			kh_forget(k);
			kh_fail(k, KH_PENDING_IMPORT, "%s is pending import: its key material is missing or expired",
				name);
		} else if (error == KH_KEY_STATE && info.state == KC_KEY_UNAVAILABLE) {
			kh_forget(k);
			kh_fail(k, KH_KEY_STORE, "%s is unavailable: its key store is not connected", name);
		}
		kh_name(k, "%s", own);
		memcpy(k->request_id, request_id, sizeof(request_id));
	}
	kh_wiping_free(probe);
	return -1;
}

/**
 * struct use - one use of a key
 * @key: taken apart; @call points into it
 * @answer: of KMS; json_object_put() it, also after an error
 */
struct use {
	struct aws_call call;
	struct aws_key key;
	struct json_object *answer;
};

/* What every use of one key says; NULL when out of memory. */
static struct json_object *key_params(const struct kh *k, const struct kc_binding *b)
{
	struct json_object *params = json_object_new_object();

	if (kc_wire_add_str(params, "KeyId", b->key) && add_context(params, "EncryptionContext", &b->context) &&
	    add_grant(params, k))
		return params;
	json_object_put(params);
	return NULL;
}

/*
 * Asks, in the region of @b's key, and makes sure that the answer is about this key.
 * @params are taken; @built is whether all of them are there. @source: the key whose
 * state is looked up where that is what was wrong.
 */
static int use_key(struct use *u, struct kh *k, const char *operation, const struct kc_binding *b,
		   struct json_object *params, bool built, const char *source)
{
	int r;

	memset(u, 0, sizeof(*u));
	if (!built)
		return no_memory(k, params);
	if (!aws_arn_parse(b->key, &u->key) || aws_key_is_alias(&u->key)) {
		json_object_put(params);
		return kh_fail(k, KH_VALIDATION, "\"%s\" is no key of AWS KMS", b->key);
	}
	u->call = (struct aws_call){
		.operation = operation, .region = u->key.region, .key = b->key, .context = b, .grants = true,
	};
	r = aws_ask(k, &u->call, params, &u->answer);
	json_object_put(params);
	if (r)
		return explain_state(k, source);
	r = same_key(k, &u->call, u->answer, "KeyId", b->key);
	return r ? r : same_algorithm(k, &u->call, u->answer);
}

int aws_generate(struct kh *k, const struct kc_binding *b, uint8_t *wrapped, size_t *len)
{
	struct json_object *params = key_params(k, b);
	struct use u;
	int r;

	r = use_key(&u, k, "GenerateDataKeyWithoutPlaintext", b, params,
		    kc_wire_add_int(params, "NumberOfBytes", KC_DEK_SIZE), b->key);
	if (!r)
		r = wrapped_of(k, &u.call, u.answer, wrapped, len);
	json_object_put(u.answer);
	return r;
}

int aws_encrypt(struct kh *k, const struct kc_binding *b, const uint8_t *dek, uint8_t *wrapped, size_t *len)
{
	struct json_object *params = key_params(k, b);
	struct use u;
	int r;

	/* the copies of the DEK in there are wiped when they are freed (heap.c) */
	r = use_key(&u, k, "Encrypt", b, params, kc_wire_add_blob(params, "Plaintext", dek, KC_DEK_SIZE) &&
		    kc_wire_add_str(params, "EncryptionAlgorithm", ALGORITHM), b->key);
	if (!r)
		r = wrapped_of(k, &u.call, u.answer, wrapped, len);
	json_object_put(u.answer);
	return r;
}

/* Straight from the answer into locked memory. */
static int plaintext_of(struct kh *k, const struct aws_call *c, struct json_object *answer, uint8_t *dek)
{
	const char *s = aws_string(answer, "Plaintext");
	size_t len = s ? strlen(s) : 0, n;

	if (!len)
		return aws_garbage(k, c, "no Plaintext");
	n = aws_base64(s, dek, KC_DEK_SIZE);
	if (n == KC_DEK_SIZE)
		return 0;
	explicit_bzero(dek, KC_DEK_SIZE);
	if (!n && len <= (KC_DEK_SIZE + 2) / 3 * 4)
		return aws_garbage(k, c, "no Plaintext that is base64");
	kh_fail(k, KH_INVALID_CIPHERTEXT, "the data key under %s has not %d bytes", c->key, KC_DEK_SIZE);
	return kh_next(k, "do not use this volume: its key was not made by kcache");
}

int aws_decrypt(struct kh *k, const struct kc_binding *b, const uint8_t *wrapped, size_t len, uint8_t *dek)
{
	struct json_object *params = key_params(k, b);
	struct use u;
	int r;

	r = use_key(&u, k, "Decrypt", b, params, kc_wire_add_blob(params, "CiphertextBlob", wrapped, len) &&
		    kc_wire_add_str(params, "EncryptionAlgorithm", ALGORITHM), b->key);
	if (!r)
		r = plaintext_of(k, &u.call, u.answer, dek);
	json_object_put(u.answer);
	return r;
}

/*
 * ReEncrypt is asked of the region of the new key, and the old one must be there
 * too: it is, or it is a multi-region key and the new one is its replica there.
 */
static int source_in(struct kh *k, const struct kc_binding *from, const struct kc_binding *to, char *id,
		     size_t size)
{
	struct aws_key a, z;

	if (!aws_arn_parse(from->key, &a) || !aws_arn_parse(to->key, &z))
		return kh_fail(k, KH_VALIDATION, "\"%s\" or \"%s\" is no key of AWS KMS", from->key, to->key);
	if (!strcmp(a.partition, z.partition) && !strcmp(a.region, z.region)) {
		snprintf(id, size, "%s", from->key);
		return 0;
	}
	if (aws_key_replicas(&a, &z)) {
		snprintf(id, size, "%s", to->key);
		return 0;
	}
	kh_fail(k, KH_UNSUPPORTED, "ReEncrypt works inside one region, not from %s to %s", a.region, z.region);
	return kh_next(k, "unwrap and wrap instead");
}

int aws_re_encrypt(struct kh *k, const struct kc_binding *from, const uint8_t *old, size_t old_len,
		   const struct kc_binding *to, uint8_t *wrapped, size_t *len)
{
	struct json_object *params;
	char source[KC_KEY_NAME_MAX];
	struct use u;
	bool built;
	int r;

	if (source_in(k, from, to, source, sizeof(source)))
		return -1;
	params = json_object_new_object();
	built = kc_wire_add_str(params, "SourceKeyId", source) && kc_wire_add_str(params, "DestinationKeyId", to->key) &&
		kc_wire_add_blob(params, "CiphertextBlob", old, old_len) &&
		kc_wire_add_str(params, "SourceEncryptionAlgorithm", ALGORITHM) &&
		kc_wire_add_str(params, "DestinationEncryptionAlgorithm", ALGORITHM) &&
		add_context(params, "SourceEncryptionContext", &from->context) &&
		add_context(params, "DestinationEncryptionContext", &to->context) && add_grant(params, k);
	/* which of the two keys it is stands in AWS's own words */
	r = use_key(&u, k, "ReEncrypt", to, params, built, from->key);
	if (!r)
		r = same_key(k, &u.call, u.answer, "SourceKeyId", source);
	if (!r)
		r = wrapped_of(k, &u.call, u.answer, wrapped, len);
	json_object_put(u.answer);
	return r;
}
