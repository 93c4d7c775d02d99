// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What every provider of keys promises, asked of one through the same calls that
 * the command makes: its key helper runs as its own process, with its sandbox.
 *
 *   conformance KEY KEY2 GONE CONTROL    with $KCACHE_CONFIG
 *     KEY, KEY2   names of two usable keys of this provider
 *     GONE        the canonical name of a key that is not there
 *     CONTROL     a program: CONTROL ACTION [KEY] brings the provider into a state,
 *                 exit code 77 where it has no such thing (run.sh lists the actions)
 *
 * $CONFORMANCE_WRONG_KEY is the exit code for a wrapped DEK that belongs to another
 * key, where it is not 8: a provider that tells no more than "refused".
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "kms.h"
#include "kms-wire.h"

#define NOT_HERE 77	/* what a control program exits with */

static const uint8_t own_dek[KC_DEK_SIZE] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-!";

static struct kc_conf conf;
static const char *control;
static int passed, failed;

static void result(bool ok, const char *sentence, const struct kc_error *err)
{
	printf("%s - %s\n", ok ? "ok" : "not ok", sentence);
	if (!ok && err && err->text[0])
		printf("    exit %d: %s [%s] (%s)\n", err->code, err->text, err->provider_error, err->next);
	fflush(stdout);
	if (ok)
		passed++;
	else
		failed++;
}

/* Brings the provider into a state; false where it has no such thing. */
static bool act(const char *action, const char *key)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl(control, control, action, key, NULL);
		_exit(126);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		status = 126 << 8;
	if (WEXITSTATUS(status) == NOT_HERE)
		printf("not in this provider - %s\n", action);
	else if (WEXITSTATUS(status))
		result(false, action, NULL);
	return !WEXITSTATUS(status);
}

/** struct kms - one command's worth of calls: each has a deadline of its own */
struct kms {
	struct kc_kms *k;
	struct kc_error err;
	const uint8_t *dek;
	int64_t started;
};

static void begin(struct kms *m)
{
	memset(m, 0, sizeof(*m));
	m->started = kc_wire_now();
	kc_kms_open(&conf, &m->k, &m->err);
}

static void end(struct kms *m)
{
	kc_kms_close(m->k);
	m->k = NULL;
}

/** struct wrapped - a wrapped DEK and what it is bound to */
struct wrapped {
	struct kc_binding b;
	uint8_t blob[KC_WRAPPED_MAX];
	size_t len;
};

static void bind(struct wrapped *w, const char *canonical)
{
	memset(w, 0, sizeof(*w));
	kc_key_provider(canonical, w->b.provider);
	snprintf(w->b.key, sizeof(w->b.key), "%s", canonical);
	w->b.version = 1;
	strcpy(w->b.context.id, "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11");
	memset(w->b.context.layout, 'a', 64);
	w->b.context.generation = 1;
}

/* Exit code of one Decrypt by a helper of its own; @dek, if it is asked for, receives the key. */
static int decrypt_once(const struct wrapped *w, uint8_t *dek, struct kms *m)
{
	int r;

	begin(m);
	r = kc_kms_decrypt(m->k, &w->b, w->blob, w->len, &m->dek, &m->err);
	if (!r && dek)
		memcpy(dek, m->dek, KC_DEK_SIZE);
	if (r && m->dek)
		r = -1;		/* a failure that leaves a key behind is worse than one */
	end(m);
	return r;
}

static bool refused(const struct wrapped *w, int code, struct kms *m)
{
	return decrypt_once(w, NULL, m) == code;
}

static bool opens(const struct wrapped *w, struct kms *m)
{
	return !decrypt_once(w, NULL, m);
}

/* --- what a provider can do ------------------------------------------------------------------- */

static void describes(const char *key, const char *gone, struct kc_key_info *info)
{
	struct kc_key_info again;
	struct kms m;
	int r;

	begin(&m);
	r = kc_kms_describe(m.k, key, info, &m.err);
	result(!r && info->state == KC_KEY_ENABLED && kc_key_canonical(info->provider, info->key),
	       "a key is described: enabled, and by its canonical name", &m.err);
	r = r ? r : kc_kms_describe(m.k, info->key, &again, &m.err);
	result(!r && !strcmp(again.key, info->key), "the canonical name is a name of it too", &m.err);
	end(&m);

	begin(&m);
	r = kc_kms_describe(m.k, gone, &again, &m.err);
	result(r == KC_KMS_REFUSED && !again.key[0], "a key that is not there is exit 7", &m.err);
	result(m.err.text[0] && m.err.next[0] && m.err.provider_error[0], "with its name, a sentence and a next step",
	       NULL);
	end(&m);
}

static void wraps(const char *key, struct wrapped *w)
{
	uint8_t dek[KC_DEK_SIZE], again[KC_DEK_SIZE];
	struct wrapped other;
	struct kms m;
	int r, r2;

	bind(w, key);
	begin(&m);
	r = kc_kms_generate(m.k, &w->b, w->blob, &w->len, &m.err);
	result(!r && w->len > KC_DEK_SIZE, "a data key is made, and comes wrapped", &m.err);
	bind(&other, key);
	r2 = kc_kms_generate(m.k, &other.b, other.blob, &other.len, &m.err);
	result(!r2 && (other.len != w->len || memcmp(other.blob, w->blob, w->len)), "no two are the same", &m.err);
	end(&m);

	r = decrypt_once(w, dek, &m);
	result(!r, "it is unwrapped, 64 bytes", &m.err);
	r2 = decrypt_once(w, again, &m);
	result(!r && !r2 && !memcmp(dek, again, sizeof(dek)), "and is the same the second time", &m.err);
	r2 = decrypt_once(&other, again, &m);
	result(!r && !r2 && memcmp(dek, again, sizeof(dek)), "the other is another key", &m.err);

	bind(&other, key);
	begin(&m);
	r = kc_kms_encrypt(m.k, &other.b, own_dek, other.blob, &other.len, &m.err);
	end(&m);
	r2 = decrypt_once(&other, again, &m);
	result(!r && !r2 && !memcmp(again, own_dek, sizeof(again)), "a data key of before is wrapped, and unwrapped",
	       &m.err);
}

static void rewraps(const struct wrapped *w, const char *key2)
{
	uint8_t dek[KC_DEK_SIZE], again[KC_DEK_SIZE];
	struct wrapped to;
	struct kms m;
	int r;

	bind(&to, w->b.key);
	strcpy(to.b.context.id, "00000000-0000-4000-8000-000000000002");
	begin(&m);
	r = kc_kms_re_encrypt(m.k, &w->b, w->blob, w->len, &to.b, to.blob, &to.len, &m.err);
	end(&m);
	result(!r, "ReEncrypt: to another volume", &m.err);
	if (!r) {
		r = decrypt_once(w, dek, &m);
		r = r ? r : decrypt_once(&to, again, &m);
		result(!r && !memcmp(dek, again, sizeof(dek)), "the same data key is in it", &m.err);
		to.b.context = w->b.context;
		result(refused(&to, KC_TAMPERED, &m), "which the volume of before cannot use", &m.err);
	}

	bind(&to, key2);
	begin(&m);
	r = kc_kms_re_encrypt(m.k, &w->b, w->blob, w->len, &to.b, to.blob, &to.len, &m.err);
	end(&m);
	result(!r && opens(&to, &m), "ReEncrypt: to another key", &m.err);

	bind(&to, w->b.key);
	to.b.context = w->b.context;
	begin(&m);
	struct wrapped wrong = *w;

	wrong.b.context.generation++;
	r = kc_kms_re_encrypt(m.k, &wrong.b, w->blob, w->len, &to.b, to.blob, &to.len, &m.err);
	end(&m);
	result(r == KC_TAMPERED && !to.len, "ReEncrypt from a wrong context is exit 8", &m.err);
}

/* --- what it must refuse ---------------------------------------------------------------------- */

/* The exit code for a wrapped DEK of another key. */
static int wrong_key(void)
{
	const char *code = getenv("CONFORMANCE_WRONG_KEY");

	return code ? atoi(code) : KC_TAMPERED;
}

/* One that begins with the id of its key reads as another key's once that is changed. */
static bool refused_changed(const struct wrapped *w, struct kms *m)
{
	int r = decrypt_once(w, NULL, m);

	return r == KC_TAMPERED || r == wrong_key();
}

static void binds(const struct wrapped *w, const char *key2)
{
	struct wrapped x = *w;
	struct kms m;

	strcpy(x.b.context.id, "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a12");
	result(refused(&x, KC_TAMPERED, &m), "another volume's id is exit 8", &m.err);
	x = *w;
	x.b.context.layout[63] = 'b';
	result(refused(&x, KC_TAMPERED, &m), "another layout is exit 8", &m.err);
	x = *w;
	x.b.context.generation++;
	result(refused(&x, KC_TAMPERED, &m), "another generation is exit 8", &m.err);
	x = *w;
	strcpy(x.b.key, key2);
	result(refused(&x, wrong_key(), &m), "another key is refused", &m.err);
}

static void tampered(const struct wrapped *w)
{
	static const char *const how[] = { "first", "middle", "last" };
	const size_t at[] = { 0, w->len / 2, w->len - 1 };
	struct wrapped x;
	char sentence[80];
	struct kms m;
	size_t i, step = w->len / 24 + 1;
	int good = 0;

	for (i = 0; i < 3; i++) {
		x = *w;
		x.blob[at[i]] ^= 1;
		snprintf(sentence, sizeof(sentence), "a changed byte is exit 8: the %s", how[i]);
		result(refused_changed(&x, &m), sentence, &m.err);
	}
	/* a byte that names a key may read as a key that is not there: no success is what counts */
	for (i = 0; i < w->len; i += step) {
		x = *w;
		x.blob[i] ^= 0x80;
		good += opens(&x, &m);
	}
	result(!good, "no changed byte lets a key out", NULL);
	x = *w;
	x.len--;
	result(refused(&x, KC_TAMPERED, &m), "one byte less is exit 8", &m.err);
	x = *w;
	x.blob[x.len++] = 0;
	result(refused(&x, KC_TAMPERED, &m), "one byte more is exit 8", &m.err);
	x = *w;
	memset(x.blob, 0x5a, sizeof(x.blob));
	x.len = sizeof(x.blob);
	result(refused_changed(&x, &m), "6144 bytes of nothing are exit 8", &m.err);
}

/* --- states of a key --------------------------------------------------------------------------- */

/* A key in a state that refuses, and back. */
static void in_state(const struct wrapped *w, const char *there, const char *back, enum kc_key_state state,
		     const char *name)
{
	struct kc_key_info info;
	struct wrapped made;
	char sentence[128];
	struct kms m;
	int r;

	if (!act(there, w->b.key))
		return;
	snprintf(sentence, sizeof(sentence), "%s: exit 7, %s", there, name);
	result(refused(w, KC_KMS_REFUSED, &m) && !strcmp(m.err.provider_error, name), sentence, &m.err);
	snprintf(sentence, sizeof(sentence), "%s: it is described so", there);
	begin(&m);
	r = kc_kms_describe(m.k, w->b.key, &info, &m.err);
	result(!r && info.state == state && (state != KC_KEY_PENDING_DELETION || info.deletion[0]), sentence, &m.err);
	snprintf(sentence, sizeof(sentence), "%s: nor is a new data key made", there);
	bind(&made, w->b.key);
	r = kc_kms_generate(m.k, &made.b, made.blob, &made.len, &m.err);
	result(r == KC_KMS_REFUSED && !made.len, sentence, &m.err);
	end(&m);
	if (!act(back, w->b.key))
		return;
	if (state == KC_KEY_PENDING_DELETION) {
		result(refused(w, KC_KMS_REFUSED, &m) && !strcmp(m.err.provider_error, "DisabledException"),
		       "a cancelled deletion leaves it disabled", &m.err);
		act("enable", w->b.key);
	}
	snprintf(sentence, sizeof(sentence), "%s: it opens again", back);
	result(opens(w, &m), sentence, &m.err);
}

static void denied(const struct wrapped *w)
{
	struct kms m;

	if (!act("deny", w->b.key))
		return;
	result(refused(w, KC_KMS_REFUSED, &m), "deny: exit 7", &m.err);
	if (act("allow", w->b.key))
		result(opens(w, &m), "allow: it opens again", &m.err);
}

/* --- a provider that does not answer ------------------------------------------------------------ */

static bool in_time(const struct kms *m)
{
	return kc_wire_now() - m->started <= (int64_t)conf.timeout * 1000 + 1000;
}

static void troubled(const struct wrapped *w, const char *action)
{
	char sentence[128];
	struct kms m;
	int r;

	if (!act(action, w->b.key))
		return;
	r = decrypt_once(w, NULL, &m);
	snprintf(sentence, sizeof(sentence), "%s: exit 6", action);
	result(r == KC_KMS_RETRY, sentence, &m.err);
	snprintf(sentence, sizeof(sentence), "%s: no more than a second after the deadline", action);
	result(in_time(&m), sentence, &m.err);
	if (act("well", w->b.key)) {
		snprintf(sentence, sizeof(sentence), "after %s it opens again", action);
		result(opens(w, &m), sentence, &m.err);
	}
}

static void wrong_length(const struct wrapped *w)
{
	struct kms m;

	if (!act("short-dek", w->b.key))
		return;
	result(refused(w, KC_TAMPERED, &m), "a data key that has not 64 bytes is exit 8", &m.err);
	act("well", w->b.key);
}

/* --- further operations -------------------------------------------------------------------------- */

static void lists_aliases(const char *provider)
{
	struct json_object *answer = NULL, *array;
	struct kms m;
	int r;

	begin(&m);
	r = kc_kms_admin(m.k, provider, "ListAliases", NULL, &answer, &m.err);
	if (r && !strcmp(m.err.provider_error, "UnsupportedOperationException"))
		result(r == KC_USAGE, "it has no aliases, and says so", &m.err);
	else
		result(!r && json_object_object_get_ex(answer, "aliases", &array) &&
		       json_object_is_type(array, json_type_array), "its aliases are listed", &m.err);
	json_object_put(answer);
	end(&m);
}

static void grants(const struct wrapped *w)
{
	struct json_object *args = json_object_new_object(), *ops = json_object_new_array();
	struct json_object *answer = NULL, *id = NULL;
	const char *grantee = getenv("CONFORMANCE_GRANTEE");
	struct kms m;
	int r;

	kc_wire_add_str(args, "key", w->b.key);
	kc_wire_add_str(args, "grantee", grantee ? grantee : "other-host");
	json_object_array_add(ops, json_object_new_string("Decrypt"));
	kc_wire_add(args, "operations", ops);
	begin(&m);
	r = kc_kms_admin(m.k, w->b.provider, "CreateGrant", args, &answer, &m.err);
	json_object_put(args);
	if (r && !strcmp(m.err.provider_error, "UnsupportedOperationException")) {
		result(r == KC_USAGE, "it has no grants, and says so", &m.err);
		end(&m);
		return;
	}
	result(!r && json_object_object_get_ex(answer, "grant_id", &id), "a grant is made", &m.err);
	args = json_object_new_object();
	kc_wire_add_str(args, "key", w->b.key);
	kc_wire_add_str(args, "grant_id", id ? json_object_get_string(id) : "");
	json_object_put(answer);
	r = kc_kms_admin(m.k, w->b.provider, "RetireGrant", args, &answer, &m.err);
	result(!r, "and retired", &m.err);
	json_object_put(answer);
	json_object_put(args);
	end(&m);
}

/* Every call left an event with a request id. */
static void audited(void)
{
	static char line[16384];
	FILE *f = fopen(conf.audit_file, "r");
	struct json_object *o, *id;
	int n = 0, bad = 0;

	while (f && fgets(line, sizeof(line), f)) {
		o = json_tokener_parse(line);
		n++;
		/* a helper that was killed at the deadline gave none */
		if (!o || (!json_object_object_get_ex(o, "request-id", &id) &&
			   !json_object_object_get_ex(o, "cause", NULL)))
			bad++;
		json_object_put(o);
	}
	if (f)
		fclose(f);
	result(n > 40 && !bad, "every call is in the audit trail", NULL);
}

int main(int argc, char **argv)
{
	struct kc_key_info info, info2;
	struct kc_error err = { 0 };
	struct wrapped w;
	struct kms m;

	if (argc != 5) {
		fprintf(stderr, "usage: conformance KEY KEY2 GONE CONTROL\n");
		return 1;
	}
	control = argv[4];
	if (kc_conf_load(NULL, &conf, &err)) {
		fprintf(stderr, "conformance: %s\n", err.text);
		return 1;
	}
	describes(argv[1], argv[3], &info);
	begin(&m);
	kc_kms_describe(m.k, argv[2], &info2, &m.err);
	end(&m);
	if (!info.key[0] || !info2.key[0]) {
		result(false, "there are two keys to go on with", &m.err);
	} else {
		wraps(info.key, &w);
		rewraps(&w, info2.key);
		binds(&w, info2.key);
		tampered(&w);
		in_state(&w, "disable", "enable", KC_KEY_DISABLED, "DisabledException");
		in_state(&w, "schedule-deletion", "cancel-deletion", KC_KEY_PENDING_DELETION, "KMSInvalidStateException");
		in_state(&w, "lose-material", "import-material", KC_KEY_PENDING_IMPORT, "KMSInvalidStateException");
		denied(&w);
		troubled(&w, "down");
		troubled(&w, "slow");
		troubled(&w, "garbage");
		troubled(&w, "throttled");
		wrong_length(&w);
		lists_aliases(w.b.provider);
		grants(&w);
		audited();
	}
	kc_conf_free(&conf);
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
