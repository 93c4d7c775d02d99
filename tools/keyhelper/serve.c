// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The protocol loop: a request, an answer, until the command closes its end.
 * Every request has its own request id, also one that fails.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "aead.h"
#include "kms-wire.h"
#include "serve.h"

/* One request while it is served. */
struct request {
	struct kh *k;
	uint8_t *mapping;
	const char *operation;
	struct json_object *params;
	struct json_object *result;
};

static int no_memory(struct request *q)
{
	return kh_fail(q->k, KH_NO_MEMORY, "out of memory");
}

static int bad_request(struct request *q, const char *what)
{
	return kh_fail(q->k, KH_VALIDATION, "%s: bad or missing %s", q->operation, what);
}

static const struct kh_provider *by_name(struct request *q, const char *name)
{
	if (!strcmp(kh_provider->name, name))
		return kh_provider;
	kh_fail(q->k, KH_UNSUPPORTED, "there is no provider \"%s\" in this key helper", name);
	return NULL;
}

static const struct kh_provider *by_key(struct request *q, const char *key)
{
	if (kh_provider->claims(key))
		return kh_provider;
	kh_fail(q->k, KH_VALIDATION, "no provider in this key helper knows a key named \"%s\"", key);
	return NULL;
}

/* A binding, its provider, and a key that is canonical for it. */
static const struct kh_provider *binding(struct request *q, const char *name, struct kc_binding *b)
{
	const struct kh_provider *p;

	if (!kc_wire_binding(q->params, name, b)) {
		bad_request(q, name);
		return NULL;
	}
	p = by_name(q, b->provider);
	if (p && !kc_key_canonical(b->provider, b->key)) {
		kh_fail(q->k, KH_VALIDATION, "\"%s\" is no canonical key id", b->key);
		return NULL;
	}
	return p;
}

const char *kh_setting(const struct kh *k, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(k->settings, name, &v) && json_object_is_type(v, json_type_string) ?
		json_object_get_string(v) : NULL;
}

bool kh_add_info(struct json_object *o, const struct kc_key_info *info)
{
	return kc_wire_add_str(o, "provider", info->provider) && kc_wire_add_str(o, "key", info->key) &&
		kc_wire_add_str(o, "state", kc_key_state_name(info->state)) &&
		kc_wire_add_int(o, "version", info->version) &&
		kc_wire_add_str(o, "created", info->created) &&
		kc_wire_add_str(o, "deletion", info->deletion) &&
		kc_wire_add_str(o, "description", info->description);
}

static int answer_wrapped(struct request *q, const struct kc_binding *b, const uint8_t *wrapped, size_t len)
{
	return kc_wire_add_str(q->result, "key", b->key) &&
		kc_wire_add_blob(q->result, "wrapped", wrapped, len) ? 0 : no_memory(q);
}

static int on_describe(struct request *q)
{
	const struct kh_provider *p;
	char key[KC_KEY_NAME_MAX];
	struct kc_key_info info;

	if (!kc_wire_str(q->params, "key", key, sizeof(key)))
		return bad_request(q, "key");
	p = by_key(q, key);
	if (!p || p->describe(q->k, key, &info))
		return -1;
	return kh_add_info(q->result, &info) ? 0 : no_memory(q);
}

static int on_generate(struct request *q)
{
	uint8_t wrapped[KC_WRAPPED_MAX];
	const struct kh_provider *p;
	struct kc_binding b;
	size_t len;

	p = binding(q, "binding", &b);
	if (!p || p->generate(q->k, &b, wrapped, &len))
		return -1;
	return answer_wrapped(q, &b, wrapped, len);
}

static int on_encrypt(struct request *q)
{
	uint8_t wrapped[KC_WRAPPED_MAX];
	const struct kh_provider *p;
	struct kc_binding b;
	size_t len;
	int r;

	/* copied first: what is checked is what is wrapped */
	memcpy(q->k->secrets->dek, q->mapping, KC_DEK_SIZE);
	explicit_bzero(q->mapping, KC_DEK_SIZE);
	if (!memcmp(q->k->secrets->dek, q->k->secrets->dek + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2))
		return bad_request(q, "data key");
	p = binding(q, "binding", &b);
	r = p ? p->encrypt(q->k, &b, q->k->secrets->dek, wrapped, &len) : -1;
	return r ? r : answer_wrapped(q, &b, wrapped, len);
}

static int on_decrypt(struct request *q)
{
	uint8_t wrapped[KC_WRAPPED_MAX];
	const struct kh_provider *p;
	struct kc_binding b;
	size_t len;

	p = binding(q, "binding", &b);
	if (!p)
		return -1;
	if (!kc_wire_blob(q->params, "wrapped", wrapped, sizeof(wrapped), &len))
		return bad_request(q, "wrapped key");
	if (!kc_wire_str(q->params, "grant_token", q->k->grant_token, sizeof(q->k->grant_token)) &&
	    json_object_object_get_ex(q->params, "grant_token", NULL))
		return bad_request(q, "grant token");
	if (p->decrypt(q->k, &b, wrapped, len, q->k->secrets->dek))
		return -1;
	if (!kc_wire_add_str(q->result, "key", b.key) || !kc_wire_add_int(q->result, "length", KC_DEK_SIZE))
		return no_memory(q);
	memcpy(q->mapping, q->k->secrets->dek, KC_DEK_SIZE);
	return 0;
}

static int on_re_encrypt(struct request *q)
{
	uint8_t old[KC_WRAPPED_MAX], wrapped[KC_WRAPPED_MAX];
	const struct kh_provider *p;
	struct kc_binding from, to;
	size_t old_len, len;

	p = binding(q, "source", &from);
	if (!p)
		return -1;
	if (binding(q, "destination", &to) != p)
		return kh_fail(q->k, KH_UNSUPPORTED, "ReEncrypt works inside one provider, not from %s to %s",
			       from.provider, to.provider);
	if (!kc_wire_blob(q->params, "wrapped", old, sizeof(old), &old_len))
		return bad_request(q, "wrapped key");
	if (p->re_encrypt(q->k, &from, old, old_len, &to, wrapped, &len))
		return -1;
	return answer_wrapped(q, &to, wrapped, len);
}

static int on_admin(struct request *q)
{
	const struct kh_admin_op *op;
	const struct kh_provider *p;
	struct json_object *args;
	char name[16];

	if (!kc_wire_str(q->params, "provider", name, sizeof(name)))
		return bad_request(q, "provider");
	if (!json_object_object_get_ex(q->params, "arguments", &args) ||
	    !json_object_is_type(args, json_type_object))
		return bad_request(q, "arguments");
	p = by_name(q, name);
	if (!p)
		return -1;
	if (json_object_object_get_ex(q->params, "secret", NULL)) {
		memcpy(q->k->secrets->dek, q->mapping, KC_DEK_SIZE);
		explicit_bzero(q->mapping, KC_DEK_SIZE);
	}
	if (!strcmp(q->operation, "ListAliases") && p->list_aliases)
		return p->list_aliases(q->k, args, q->result);
	if (!strcmp(q->operation, "CreateGrant") && p->create_grant)
		return p->create_grant(q->k, args, q->result);
	if (!strcmp(q->operation, "RetireGrant") && p->retire_grant)
		return p->retire_grant(q->k, args, q->result);
	for (op = p->admin; op && op->name; op++)
		if (!strcmp(op->name, q->operation))
			return op->fn(q->k, args, q->result);
	return kh_fail(q->k, KH_UNSUPPORTED, "provider %s has no operation %s", p->name, q->operation);
}

static int on_open(struct request *q)
{
	struct json_object *settings;

	if (q->k->state_dir[0])
		return bad_request(q, "order: it was opened before");
	if (json_object_object_get_ex(q->params, "settings", &settings)) {
		if (!json_object_is_type(settings, json_type_object))
			return bad_request(q, "settings");
		q->k->settings = json_object_get(settings);
	}
	if (!kc_wire_str(q->params, "state_dir", q->k->state_dir, sizeof(q->k->state_dir)) ||
	    q->k->state_dir[0] != '/') {
		kh_fail(q->k, KH_VALIDATION, "state_dir \"%s\" is not an absolute path", q->k->state_dir);
		return kh_next(q->k, "correct state_dir in kcache.conf");
	}
	return 0;
}

/* What somebody typed, for a token that asked for it. */
static int on_pin(struct request *q)
{
	struct kh_secrets *s = q->k->secrets;
	int64_t len;

	if (!kc_wire_int(q->params, "length", 1, KC_DEK_SIZE, &len))
		return bad_request(q, "length");
	memcpy(s->pin, q->mapping, (size_t)len);
	explicit_bzero(q->mapping, KC_DEK_SIZE);
	s->pin_len = (size_t)len;
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct request *q);
} operations[] = {
	{ "DescribeKey", on_describe },
	{ "GenerateDataKeyWithoutPlaintext", on_generate },
	{ "Encrypt", on_encrypt },
	{ "Decrypt", on_decrypt },
	{ "ReEncrypt", on_re_encrypt },
	{ KC_WIRE_PIN, on_pin },
};

static int dispatch(struct request *q)
{
	size_t i;

	if (!strcmp(q->operation, "Open"))
		return on_open(q);
	if (!q->k->state_dir[0])
		return bad_request(q, "order: Open comes first");
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(operations[i].name, q->operation))
			return operations[i].fn(q);
	return on_admin(q);
}

/* Texts may quote file names and SQLite; the other side takes no control characters. */
static const char *printable(char *s)
{
	unsigned char *p;

	for (p = (unsigned char *)s; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return s;
}

static bool add_error(struct kh *k, struct json_object *answer)
{
	struct json_object *e = json_object_new_object();

	if (kc_wire_add_str(e, "name", printable(k->name)) &&
	    kc_wire_add_int(e, "code", kh_error_exit(k->error)) &&
	    kc_wire_add_str(e, "text", printable(k->text)) && kc_wire_add_str(e, "next", printable(k->next)))
		return kc_wire_add(answer, "error", e);
	json_object_put(e);
	return false;
}

/* One message. NULL for one that cannot be answered: it is not from kcache. */
static struct json_object *answer(struct kh *k, uint8_t *mapping, const char *buf, size_t len)
{
	static const char *const members[] = { "id", "operation", "deadline", "params", NULL };
	struct json_object *o = kc_wire_parse(buf, len), *a = json_object_new_object();
	struct request q = { .k = k, .mapping = mapping, .result = json_object_new_object() };
	char operation[64];
	bool ok = false;
	int64_t id;
	int r;

	kh_forget(k);
	k->grant_token[0] = '\0';
	if (!o || !a || !q.result || !kc_wire_members(o, members) || !kc_wire_int(o, "id", 1, INT64_MAX, &id) ||
	    !kc_wire_str(o, "operation", operation, sizeof(operation)) ||
	    (json_object_object_get_ex(o, "deadline", NULL) &&
	     !kc_wire_int(o, "deadline", 0, INT64_MAX, &k->deadline)) ||
	    !json_object_object_get_ex(o, "params", &q.params) ||
	    !json_object_is_type(q.params, json_type_object) || kh_uuid(k->request_id))
		goto out;
	q.operation = operation;
	k->operation = operation;
	r = dispatch(&q);
	k->operation = NULL;
	explicit_bzero(k->secrets->kek, sizeof(k->secrets->kek));
	explicit_bzero(k->secrets->dek, sizeof(k->secrets->dek));
	explicit_bzero(k->secrets->plain, sizeof(k->secrets->plain));
	explicit_bzero(k->secrets->scratch, sizeof(k->secrets->scratch));
	if (r && k->error == KH_OK)
		kh_fail(k, KH_INTERNAL, "%s failed", operation);
	ok = kc_wire_add_int(a, "id", id) && kc_wire_add_str(a, "request_id", k->request_id) &&
		(r ? add_error(k, a) : kc_wire_add(a, "result", json_object_get(q.result)));
out:
	json_object_put(q.result);
	json_object_put(o);
	if (!ok) {
		json_object_put(a);
		a = NULL;
	}
	return a;
}

int kh_serve(struct kh *k, int sock, uint8_t *mapping)
{
	static char buf[KC_WIRE_MAX];
	struct json_object *a;
	const char *text;
	ssize_t n;
	size_t len;
	int r = 0;

	while (!r) {
		n = recv(sock, buf, sizeof(buf), MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		a = answer(k, mapping, buf, (size_t)n);
		text = a ? json_object_to_json_string_length(a, JSON_C_TO_STRING_PLAIN, &len) : NULL;
		if (!text || len > KC_WIRE_MAX || send(sock, text, len, MSG_NOSIGNAL) != (ssize_t)len)
			r = 1;
		json_object_put(a);
	}
	kh_provider->close(k);
	json_object_put(k->settings);
	k->settings = NULL;
	explicit_bzero(k->secrets, sizeof(*k->secrets));
	return r;
}
