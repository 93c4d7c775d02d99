// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The calls to the key helper. Its answers are parsed as strictly as a disk's
 * header: the helper runs provider libraries on what comes from a network or a
 * disk, so it is not trusted with more than the DEK that it was asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "kms.h"
#include "kms-proc.h"
#include "kms-wire.h"
#include "pin.h"

/*
 * The providers, each with a key helper of its own: kcache.conf's for local, the
 * same with "-NAME" for another. A helper gets nothing of the environment but what
 * its provider is configured by: names, or "PREFIX_*".
 */
static const struct provider {
	const char *name;
	const char *settings;	/* what its settings begin with */
	const char *const *env;
} providers[] = {
	{ "local", "keystore_", (const char *const []){ "CREDENTIALS_DIRECTORY", NULL } },
	{ "aws", "aws_", (const char *const []){ "AWS_*", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy",
					 "HOME", NULL } },
	/* where modules look for their configuration, and systemd's credentials lie */
	{ "pkcs11", "pkcs11_", (const char *const []){ "SOFTHSM2_CONF", "OPENSC_CONF", "YUBIHSM_PKCS11_CONF",
					    "ChrystokiConfigurationPath", "CREDENTIALS_DIRECTORY", NULL } },
	{ "tpm2", "tpm2_", NULL },
};

#define N_PROVIDERS (sizeof(providers) / sizeof(providers[0]))

/**
 * struct worker - the key helper of a provider
 * @path: its program
 * @proc: started with the first request
 * @started: it was, whatever became of it
 * @dek: the mapping that it shares with us, and with no other helper
 * @id: of the last request
 */
struct worker {
	char *path;
	struct kc_proc proc;
	bool started;
	uint8_t *dek;
	int64_t id;
};

struct kc_kms {
	const struct kc_conf *conf;
	int64_t deadline;
	int64_t until;		/* of what is asked now: kc_kms_share() */
	struct worker workers[N_PROVIDERS];
	const char *grant_token;
	char request_id[sizeof(((struct kc_error *)0)->request_id)];
	char in[KC_WIRE_MAX];
};

static const char *const states[] = {
	[KC_KEY_ENABLED] = "Enabled",
	[KC_KEY_DISABLED] = "Disabled",
	[KC_KEY_PENDING_DELETION] = "PendingDeletion",
	[KC_KEY_PENDING_IMPORT] = "PendingImport",
	[KC_KEY_UNAVAILABLE] = "Unavailable",
};

#define N_STATES (sizeof(states) / sizeof(states[0]))

const char *kc_key_state_name(enum kc_key_state s)
{
	return (size_t)s < N_STATES ? states[s] : "unknown";
}

/* An answer that is not one: the helper is not asked anything more. */
static int garbage(struct kc_kms *kms, struct worker *w, const char *operation, struct kc_error *err)
{
	kc_kms_wipe(kms);
	kc_proc_kill(&w->proc);
	return kc_fail(err, KC_KMS_RETRY, "check that kcache and its key helper are of one version, then try again",
		       "the key helper %s gave no valid answer to %s", w->path, operation);
}

/* The error in an answer, or garbage. */
static int answered_error(struct kc_kms *kms, struct worker *w, struct json_object *answer, const char *operation,
			  struct kc_error *err)
{
	static const char *const members[] = { "id", "request_id", "error", NULL };
	static const char *const error_members[] = { "name", "code", "text", "next", NULL };
	struct kc_error e = { 0 };
	struct json_object *o;
	int64_t code;

	if (!kc_wire_members(answer, members) || !json_object_object_get_ex(answer, "error", &o) ||
	    !json_object_is_type(o, json_type_object) || !kc_wire_members(o, error_members) ||
	    !kc_wire_str(o, "name", e.provider_error, sizeof(e.provider_error)) ||
	    !kc_wire_str(o, "text", e.text, sizeof(e.text)) || !e.text[0] ||
	    !kc_wire_str(o, "next", e.next, sizeof(e.next)) ||
	    !kc_wire_int(o, "code", KC_USAGE, KC_TAMPERED, &code))
		return garbage(kms, w, operation, err);
	e.code = (enum kc_exit)code;
	snprintf(e.request_id, sizeof(e.request_id), "%s", kms->request_id);
	if (err && err->code == KC_OK)
		*err = e;
	return e.code;
}

/* The helper stops a little earlier, so that its reason gets here before the deadline kills it. */
static int64_t helper_deadline(const struct kc_kms *kms)
{
	int64_t left = kms->until - kc_wire_now();

	return kms->until - (left > 2000 ? 500 : left > 0 ? left / 4 : 0);
}

static int exchange(struct kc_kms *kms, struct worker *w, const char *operation, struct json_object *params,
		    struct json_object **result, struct kc_error *err)
{
	static const char *const members[] = { "id", "request_id", "result", NULL };
	struct json_object *request = json_object_new_object(), *answer = NULL, *o;
	const char *text;
	size_t len = 0;
	int64_t id;
	int r;

	*result = NULL;
	kms->request_id[0] = '\0';
	if (!kc_wire_add_int(request, "id", ++w->id) ||
	    !kc_wire_add_str(request, "operation", operation) ||
	    !kc_wire_add_int(request, "deadline", helper_deadline(kms)) ||
	    !kc_wire_add(request, "params", json_object_get(params))) {
		r = kc_fail(err, KC_NOMEM, NULL, "out of memory");
		goto out;
	}
	text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &len);
	if (!text || len > KC_WIRE_MAX) {
		r = kc_fail(err, KC_USAGE, NULL, "the request for %s is too long", operation);
		goto out;
	}
	r = kc_proc_exchange(&w->proc, text, len, kms->in, sizeof(kms->in), &len, err);
	if (r)
		goto out;
	answer = kc_wire_parse(kms->in, len);
	if (!answer || !kc_wire_int(answer, "id", w->id, w->id, &id) ||
	    !kc_wire_str(answer, "request_id", kms->request_id, sizeof(kms->request_id))) {
		r = garbage(kms, w, operation, err);
	} else if (json_object_object_get_ex(answer, "error", NULL)) {
		r = answered_error(kms, w, answer, operation, err);
	} else if (!kc_wire_members(answer, members) ||
		   !json_object_object_get_ex(answer, "result", &o) ||
		   !json_object_is_type(o, json_type_object)) {
		r = garbage(kms, w, operation, err);
	} else {
		*result = json_object_get(o);
	}
out:
	json_object_put(answer);
	json_object_put(request);
	return r;
}

/*
 * Every call leaves an event. One that succeeded and is recorded nowhere is
 * undone by the caller: no key is used without a trace.
 */
static int audited_event(struct kc_kms *kms, struct kc_event e, int r, struct kc_error *err)
{
	const struct kc_error unknown = { .code = (enum kc_exit)r };
	int a;

	e.request_id = kms->request_id[0] ? kms->request_id : NULL;
	e.err = !r ? NULL : err ? err : &unknown;
	a = kc_audit(kms->conf, &e, err);
	return r ? r : a;
}

static int audited(struct kc_kms *kms, const char *operation, const struct kc_binding *b, const char *key,
		   int r, struct kc_error *err)
{
	return audited_event(kms, (struct kc_event){
		.event = operation,
		.volume = b ? b->context.id : NULL,
		.key = key,
	}, r, err);
}

static int no_memory(struct json_object *params, struct kc_error *err)
{
	json_object_put(params);
	return kc_fail(err, KC_NOMEM, NULL, "out of memory");
}

/* The settings of kcache.conf that are the provider's, by their names. */
static bool add_settings(struct json_object *params, const struct kc_conf *c, const char *prefix)
{
	struct json_object *o = json_object_new_object();
	size_t i, n = strlen(prefix);

	for (i = 0; i < c->n_settings; i++)
		if (!strncmp(c->settings[i].name, prefix, n) &&
		    !kc_wire_add_str(o, c->settings[i].name, c->settings[i].value)) {
			json_object_put(o);
			return false;
		}
	return kc_wire_add(params, "settings", o);
}

static int greet(struct kc_kms *kms, struct worker *w, const char *settings, struct kc_error *err)
{
	struct json_object *params = json_object_new_object(), *result;
	int r;

	if (!kc_wire_add_str(params, "state_dir", kms->conf->state_dir) ||
	    !add_settings(params, kms->conf, settings))
		return no_memory(params, err);
	r = exchange(kms, w, "Open", params, &result, err);
	json_object_put(result);
	json_object_put(params);
	return r;
}

/* What the helper of @w may take from now on. */
static void limit(const struct kc_kms *kms, struct worker *w)
{
	int64_t left = kms->until - kc_wire_now();

	w->proc.deadline = kms->until;
	w->proc.timeout = left > 0 ? (unsigned int)((left + 999) / 1000) : kms->conf->timeout;
}

static int start(struct kc_kms *kms, struct worker *w, const struct provider *p, struct kc_error *err)
{
	int fd, r = KC_NOMEM;

	w->started = true;
	if (p == providers)
		w->path = strdup(kms->conf->helper);
	else if (asprintf(&w->path, "%s-%s", kms->conf->helper, p->name) < 0)
		w->path = NULL;
	if (!w->path)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	/* the program's absence has a reason of its own there: a library that was not */
	if (p != providers && access(w->path, F_OK))
		return kc_fail(err, KC_USAGE, "install its key helper, or use another key",
			       "this kcache was built without provider \"%s\": there is no %s", p->name, w->path);
	w->proc.path = w->path;
	w->proc.env = p->env;
	limit(kms, w);
	fd = kc_secret_fd(KC_DEK_SIZE, err);
	if (fd >= 0)
		w->dek = kc_secret_map(fd, KC_DEK_SIZE, err);
	if (w->dek)
		r = kc_proc_start(&w->proc, fd, err);
	if (fd >= 0)
		close(fd);
	return r ? r : greet(kms, w, p->settings, err);
}

/* The helper of a provider, started if it was not. */
static int worker(struct kc_kms *kms, const char *provider, struct worker **w, struct kc_error *err)
{
	size_t i;

	for (i = 0; i < N_PROVIDERS && strcmp(providers[i].name, provider); i++)
		;
	if (i == N_PROVIDERS)
		return kc_fail(err, KC_USAGE, "name a key as local:, aws: or arn:aws:, pkcs11: or tpm2:",
			       "there is no provider \"%s\"", provider);
	*w = &kms->workers[i];
	return (*w)->started ? 0 : start(kms, *w, &providers[i], err);
}

int kc_kms_open(const struct kc_conf *c, struct kc_kms **kms, struct kc_error *err)
{
	struct kc_kms *k = calloc(1, sizeof(*k));
	size_t i;

	*kms = k;
	if (!k)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	k->conf = c;
	k->deadline = kc_wire_now() + (int64_t)c->timeout * 1000;
	k->until = k->deadline;
	for (i = 0; i < N_PROVIDERS; i++) {
		k->workers[i].proc.sock = -1;
		k->workers[i].proc.pidfd = -1;
	}
	return 0;
}

int kc_kms_start(struct kc_kms *kms, const char *provider, struct kc_error *err)
{
	struct worker *w;

	return worker(kms, provider, &w, err);
}

/* As before its first request. */
static void forget(struct worker *w)
{
	kc_proc_end(&w->proc);
	kc_secret_free(w->dek, KC_DEK_SIZE);
	free(w->path);
	memset(w, 0, sizeof(*w));
	w->proc.sock = -1;
	w->proc.pidfd = -1;
}

void kc_kms_share(struct kc_kms *kms, unsigned int parts)
{
	int64_t now = kc_wire_now(), left = kms->deadline - now;
	size_t i;

	kms->until = parts > 1 && left > 0 ? now + left / parts : kms->deadline;
	for (i = 0; i < N_PROVIDERS; i++) {
		struct worker *w = &kms->workers[i];

		if (w->started && !w->proc.pid)
			forget(w);
		else
			limit(kms, w);
	}
}

void kc_kms_close(struct kc_kms *kms)
{
	size_t i;

	if (!kms)
		return;
	kc_kms_wipe(kms);
	for (i = 0; i < N_PROVIDERS; i++)
		forget(&kms->workers[i]);
	free(kms);
}

void kc_kms_wipe(struct kc_kms *kms)
{
	size_t i;

	for (i = 0; kms && i < N_PROVIDERS; i++)
		if (kms->workers[i].dek)
			explicit_bzero(kms->workers[i].dek, KC_DEK_SIZE);
}

void kc_kms_use_grant(struct kc_kms *kms, const char *token)
{
	kms->grant_token = token;
}

void kc_key_provider(const char *name, char out[static 16])
{
	size_t n = strcspn(name, ":");

	if (!name[n])
		snprintf(out, 16, "local");
	else if (!strncmp(name, "arn:", 4))
		snprintf(out, 16, "aws");
	else
		snprintf(out, 16, "%.*s", (int)(n > 15 ? 15 : n), name);
}

/* A token wants a PIN: it goes over in the mapping, and the request is sent again. */
static int ask_with_pin(struct kc_kms *kms, struct worker *w, const char *operation, struct json_object *params,
			struct json_object **result, struct kc_error *err)
{
	struct json_object *pin = json_object_new_object(), *none = NULL;
	size_t len = 0;
	int r = kc_pin_ask("the token", kms->deadline, (char *)w->dek, KC_DEK_SIZE, &len, err);

	if (r) {
		json_object_put(pin);
		return r;
	}
	if (!kc_wire_add_int(pin, "length", (int64_t)len)) {
		kc_kms_wipe(kms);
		return no_memory(pin, err);
	}
	r = exchange(kms, w, KC_WIRE_PIN, pin, &none, err);
	kc_kms_wipe(kms);
	json_object_put(none);
	json_object_put(pin);
	return r ? r : exchange(kms, w, operation, params, result, err);
}

/* One request to a provider's helper, unaudited. @result is the caller's to put. */
static int ask(struct kc_kms *kms, const char *provider, const char *operation, struct json_object *params,
	       struct json_object **result, struct worker **w, struct kc_error *err)
{
	struct kc_error first = { 0 };
	int r;

	*result = NULL;
	kms->request_id[0] = '\0';
	r = worker(kms, provider, w, err);
	if (r)
		return r;
	r = exchange(kms, *w, operation, params, result, &first);
	/* its DEK has gone from the mapping; a key is described before it wraps, and then the PIN is there */
	if (r == KC_PERM && !strcmp(first.provider_error, KC_WIRE_PIN_REQUIRED) && strcmp(operation, "Encrypt") != 0 &&
	    kc_pin_possible())
		return ask_with_pin(kms, *w, operation, params, result, err);
	if (err && err->code == KC_OK)
		*err = first;
	return r;
}

const char *kc_kms_request_id(const struct kc_kms *kms)
{
	return kms->request_id;
}

static bool key_info(struct json_object *o, struct kc_key_info *info)
{
	static const char *const members[] = { "provider", "key", "state", "version", "created",
					       "deletion", "description", NULL };
	char state[32];
	int64_t version;
	size_t i;

	if (!kc_wire_members(o, members) ||
	    !kc_wire_str(o, "provider", info->provider, sizeof(info->provider)) || !info->provider[0] ||
	    !kc_wire_str(o, "key", info->key, sizeof(info->key)) ||
	    !kc_key_canonical(info->provider, info->key) ||
	    !kc_wire_str(o, "state", state, sizeof(state)) ||
	    !kc_wire_int(o, "version", 0, INT32_MAX, &version) ||
	    !kc_wire_str(o, "created", info->created, sizeof(info->created)) ||
	    !kc_wire_str(o, "deletion", info->deletion, sizeof(info->deletion)) ||
	    !kc_wire_str(o, "description", info->description, sizeof(info->description)))
		return false;
	for (i = 0; i < N_STATES; i++) {
		if (strcmp(state, states[i]))
			continue;
		info->state = (enum kc_key_state)i;
		info->version = (unsigned int)version;
		return true;
	}
	return false;
}

int kc_kms_describe(struct kc_kms *kms, const char *name, struct kc_key_info *info, struct kc_error *err)
{
	struct json_object *params = json_object_new_object(), *result = NULL;
	struct worker *w = NULL;
	char provider[16];
	int r;

	memset(info, 0, sizeof(*info));
	if (!kc_wire_add_str(params, "key", name))
		return no_memory(params, err);
	kc_key_provider(name, provider);
	r = ask(kms, provider, "DescribeKey", params, &result, &w, err);
	if (!r && !key_info(result, info))
		r = garbage(kms, w, "DescribeKey", err);
	r = audited(kms, "DescribeKey", NULL, info->key[0] ? info->key : name, r, err);
	json_object_put(result);
	json_object_put(params);
	if (r)
		memset(info, 0, sizeof(*info));
	return r;
}

/* The KeyId of an answer is compared: a KMS that used another key did not do what it was asked. */
static int same_key(struct json_object *result, const struct kc_binding *b, const char *operation,
		    struct kc_error *err)
{
	char key[KC_KEY_NAME_MAX];

	if (kc_wire_str(result, "key", key, sizeof(key)) && !strcmp(key, b->key))
		return 0;
	return kc_fail(err, KC_TAMPERED, "do not use this KMS before you know why", "%s was asked for %s but answered for %s",
		       operation, b->key, key[0] ? key : "no key");
}

/* An operation whose answer is a wrapped DEK under the key of @b. */
static int ask_wrapped(struct kc_kms *kms, const char *operation, struct json_object *params,
		       const struct kc_binding *b, uint8_t *wrapped, size_t *wrapped_len, struct kc_error *err)
{
	static const char *const members[] = { "key", "wrapped", NULL };
	struct json_object *result = NULL;
	struct worker *w = NULL;
	int r;

	*wrapped_len = 0;
	r = ask(kms, b->provider, operation, params, &result, &w, err);
	if (!r && !kc_wire_members(result, members))
		r = garbage(kms, w, operation, err);
	if (!r)
		r = same_key(result, b, operation, err);
	if (!r && !kc_wire_blob(result, "wrapped", wrapped, KC_WRAPPED_MAX, wrapped_len))
		r = garbage(kms, w, operation, err);
	r = audited(kms, operation, b, b->key, r, err);
	if (r) {
		memset(wrapped, 0, KC_WRAPPED_MAX);
		*wrapped_len = 0;
	}
	json_object_put(result);
	json_object_put(params);
	return r;
}

int kc_kms_generate(struct kc_kms *kms, const struct kc_binding *b, uint8_t *wrapped, size_t *wrapped_len,
		    struct kc_error *err)
{
	struct json_object *params = json_object_new_object();

	if (!kc_wire_add_binding(params, "binding", b))
		return no_memory(params, err);
	return ask_wrapped(kms, "GenerateDataKeyWithoutPlaintext", params, b, wrapped, wrapped_len, err);
}

int kc_kms_encrypt(struct kc_kms *kms, const struct kc_binding *b, const uint8_t dek[static KC_DEK_SIZE],
		   uint8_t *wrapped, size_t *wrapped_len, struct kc_error *err)
{
	struct json_object *params = json_object_new_object();
	struct worker *w;
	int r;

	if (!kc_wire_add_binding(params, "binding", b))
		return no_memory(params, err);
	r = worker(kms, b->provider, &w, err);
	if (r) {
		json_object_put(params);
		return r;
	}
	memmove(w->dek, dek, KC_DEK_SIZE);	/* @dek may be this mapping, or another helper's */
	r = ask_wrapped(kms, "Encrypt", params, b, wrapped, wrapped_len, err);
	kc_kms_wipe(kms);
	return r;
}

int kc_kms_re_encrypt(struct kc_kms *kms, const struct kc_binding *from, const uint8_t *old, size_t old_len,
		      const struct kc_binding *to, uint8_t *wrapped, size_t *wrapped_len, struct kc_error *err)
{
	struct json_object *params = json_object_new_object();

	if (!kc_wire_add_binding(params, "source", from) || !kc_wire_add_blob(params, "wrapped", old, old_len) ||
	    !kc_wire_add_binding(params, "destination", to))
		return no_memory(params, err);
	return ask_wrapped(kms, "ReEncrypt", params, to, wrapped, wrapped_len, err);
}

/* What the helper left in the mapping must look like a DEK. */
static int check_dek(const uint8_t *dek, const char *key, struct kc_error *err)
{
	if (memcmp(dek, dek + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2))
		return 0;
	/* also nothing but zeros: a helper that wrote nothing */
	return kc_fail(err, KC_TAMPERED, "do not use this volume: its key was not made by kcache",
		       "the data key under %s has two equal halves", key);
}

int kc_kms_decrypt(struct kc_kms *kms, const struct kc_binding *b, const uint8_t *wrapped, size_t wrapped_len,
		   const uint8_t **dek, struct kc_error *err)
{
	static const char *const members[] = { "key", "length", NULL };
	struct json_object *params = json_object_new_object(), *result = NULL;
	struct worker *w = NULL;
	int64_t len = 0;
	int r;

	*dek = NULL;
	kc_kms_wipe(kms);
	if (!kc_wire_add_binding(params, "binding", b) ||
	    !kc_wire_add_blob(params, "wrapped", wrapped, wrapped_len) ||
	    (kms->grant_token && !kc_wire_add_str(params, "grant_token", kms->grant_token)))
		return no_memory(params, err);
	r = ask(kms, b->provider, "Decrypt", params, &result, &w, err);
	if (!r && (!kc_wire_members(result, members) || !kc_wire_int(result, "length", 0, INT32_MAX, &len)))
		r = garbage(kms, w, "Decrypt", err);
	if (!r)
		r = same_key(result, b, "Decrypt", err);
	if (!r && len != KC_DEK_SIZE)
		r = kc_fail(err, KC_TAMPERED, "do not use this volume: its key was not made by kcache",
			    "the data key under %s has %lld bytes, not %d", b->key, (long long)len, KC_DEK_SIZE);
	if (!r)
		r = check_dek(w->dek, b->key, err);
	r = audited(kms, "Decrypt", b, b->key, r, err);
	if (r)
		kc_kms_wipe(kms);
	else
		*dek = w->dek;
	json_object_put(result);
	json_object_put(params);
	return r;
}

/* A member that is text, or NULL: for the audit, what else is asked is the helper's to understand. */
static const char *text_of(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string) ?
		json_object_get_string(v) : NULL;
}

/* The event of an operation on a key: what it was asked, and what came to be. */
static int audited_admin(struct kc_kms *kms, const char *operation, struct json_object *args,
			 struct json_object *answer, int r, struct kc_error *err)
{
	struct kc_event e = { .event = operation, .alias = text_of(args, "alias"),
			      .grantee = text_of(args, "grantee"), .file = text_of(args, "file") };
	struct json_object *context;

	/* a key that came to be is named by the answer, one that was asked for by the request */
	e.key = r ? NULL : text_of(answer, "key");
	if (!e.key)
		e.key = text_of(args, "key");
	e.grant = r ? NULL : text_of(answer, "grant_id");
	if (!e.grant)
		e.grant = text_of(args, "grant_id");
	if (json_object_object_get_ex(args, "context", &context))
		e.volume = text_of(context, "kcache:id");
	return audited_event(kms, e, r, err);
}

static int admin(struct kc_kms *kms, const char *provider, const char *operation, struct json_object *params,
		 const uint8_t *secret, size_t len, struct json_object **answer, struct kc_error *err)
{
	struct json_object *wrapper = json_object_new_object();
	struct json_object *args = params ? json_object_get(params) : json_object_new_object();
	struct worker *w;
	int r;

	*answer = NULL;
	if (!kc_wire_add(wrapper, "arguments", args) || !kc_wire_add_str(wrapper, "provider", provider))
		return no_memory(wrapper, err);
	if (secret && !kc_wire_add(wrapper, "secret", json_object_new_boolean(true)))
		return no_memory(wrapper, err);
	r = worker(kms, provider, &w, err);
	if (!r && secret)
		memcpy(w->dek, secret, len);
	if (!r)
		r = ask(kms, provider, operation, wrapper, answer, &w, err);
	if (secret)
		kc_kms_wipe(kms);
	r = audited_admin(kms, operation, args, r ? NULL : *answer, r, err);
	if (r) {
		json_object_put(*answer);
		*answer = NULL;
	}
	json_object_put(wrapper);
	return r;
}

int kc_kms_admin(struct kc_kms *kms, const char *provider, const char *operation, struct json_object *params,
		 struct json_object **answer, struct kc_error *err)
{
	return admin(kms, provider, operation, params, NULL, 0, answer, err);
}

int kc_kms_admin_secret(struct kc_kms *kms, const char *provider, const char *operation, struct json_object *params,
			const uint8_t *secret, size_t len, struct json_object **answer, struct kc_error *err)
{
	return admin(kms, provider, operation, params, secret, len > KC_DEK_SIZE ? KC_DEK_SIZE : len, answer, err);
}
