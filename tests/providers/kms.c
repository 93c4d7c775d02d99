// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kms: single calls to a provider, for the tests of what only one has.
 *
 *   kms describe KEY			prints its canonical name, its state and its description
 *   kms wrap KEY FILE			a data key that is known (kms dek), wrapped, to FILE
 *   kms unwrap KEY FILE		succeeds if it comes back; KEY canonical or not
 *   kms again KEY FILE		unwrap, and whatever came of it, again by the same helper
 *   kms rewrap KEY FILE KEY2 FILE2	ReEncrypt
 *   kms twice KEY FILE COMMAND		unwrap, run COMMAND, unwrap again by the same helper
 *   kms list PROVIDER			canonical names, one a line
 *   kms dek				the known data key, raw
 *
 * An error is one line, "NAME: text (next step)", and the exit code is the command's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "kms.h"

static const uint8_t known[KC_DEK_SIZE] = "kcache-test-dek:0123456789abcdefABCDEFGHIJKLMNOPQRSTUVWXYZ-+.,!";

static struct kc_kms *kms;
static struct kc_error err;

/* The binding of a volume under the key that @name is. */
static int bind(const char *name, struct kc_binding *b)
{
	struct kc_key_info info;
	int r = kc_kms_describe(kms, name, &info, &err);

	memset(b, 0, sizeof(*b));
	if (r)
		return r;
	strcpy(b->provider, info.provider);
	strcpy(b->key, info.key);
	b->version = 1;
	strcpy(b->context.id, "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11");
	memset(b->context.layout, 'a', 64);
	b->context.generation = 1;
	return 0;
}

static int load(const char *file, uint8_t *blob, size_t *len)
{
	FILE *f = fopen(file, "r");

	*len = f ? fread(blob, 1, KC_WRAPPED_MAX, f) : 0;
	if (f)
		fclose(f);
	return *len ? 0 : kc_fail(&err, KC_USAGE, NULL, "cannot read %s", file);
}

static int save(const char *file, const uint8_t *blob, size_t len)
{
	FILE *f = fopen(file, "w");
	size_t n = f ? fwrite(blob, 1, len, f) : 0;

	if (!f || fclose(f) || n != len)
		return kc_fail(&err, KC_USAGE, NULL, "cannot write %s", file);
	return 0;
}

static int describe(char **arg)
{
	struct kc_key_info info;
	int r = kc_kms_describe(kms, arg[0], &info, &err);

	if (!r)
		printf("%s\n%s\n%s\n", info.key, kc_key_state_name(info.state), info.description);
	return r;
}

static int wrap(char **arg)
{
	uint8_t blob[KC_WRAPPED_MAX];
	struct kc_binding b;
	size_t len;
	int r = bind(arg[0], &b);

	if (!r)
		r = kc_kms_encrypt(kms, &b, known, blob, &len, &err);
	return r ? r : save(arg[1], blob, len);
}

static int opens(const struct kc_binding *b, const uint8_t *blob, size_t len)
{
	const uint8_t *dek;
	int r = kc_kms_decrypt(kms, b, blob, len, &dek, &err);

	if (!r && memcmp(dek, known, KC_DEK_SIZE) != 0)
		r = kc_fail(&err, KC_TAMPERED, NULL, "another data key came back");
	kc_kms_wipe(kms);
	return r;
}

/* The name is the canonical one already, as in a token; the provider is not asked about it first. */
static void as_in_a_token(const char *name, struct kc_binding *b)
{
	memset(b, 0, sizeof(*b));
	kc_key_provider(name, b->provider);
	snprintf(b->key, sizeof(b->key), "%s", name);
	b->version = 1;
	strcpy(b->context.id, "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11");
	memset(b->context.layout, 'a', 64);
	b->context.generation = 1;
}

static int unwrap(char **arg)
{
	uint8_t blob[KC_WRAPPED_MAX];
	struct kc_binding b;
	size_t len;
	int r = load(arg[1], blob, &len);

	as_in_a_token(arg[0], &b);
	return r ? r : opens(&b, blob, len);
}

static int twice(char **arg)
{
	uint8_t blob[KC_WRAPPED_MAX];
	struct kc_binding b;
	size_t len;
	int r = load(arg[1], blob, &len);

	as_in_a_token(arg[0], &b);
	if (!r)
		r = opens(&b, blob, len);
	if (!r && system(arg[2]))
		r = kc_fail(&err, KC_USAGE, NULL, "the command between failed");
	return r ? r : opens(&b, blob, len);
}

static int again(char **arg)
{
	uint8_t blob[KC_WRAPPED_MAX];
	struct kc_binding b;
	size_t len;
	int r = load(arg[1], blob, &len);

	as_in_a_token(arg[0], &b);
	if (r)
		return r;
	opens(&b, blob, len);
	memset(&err, 0, sizeof(err));
	return opens(&b, blob, len);
}

static int rewrap(char **arg)
{
	uint8_t blob[KC_WRAPPED_MAX];
	struct kc_binding from, to;
	size_t len;
	int r = load(arg[1], blob, &len);

	as_in_a_token(arg[0], &from);
	if (!r)
		r = bind(arg[2], &to);
	if (!r)
		r = kc_kms_re_encrypt(kms, &from, blob, len, &to, blob, &len, &err);
	return r ? r : save(arg[3], blob, len);
}

static int list(char **arg)
{
	struct json_object *answer, *keys, *key;
	size_t i;
	int r = kc_kms_admin(kms, arg[0], "ListKeys", NULL, &answer, &err);

	if (r)
		return r;
	if (json_object_object_get_ex(answer, "keys", &keys))
		for (i = 0; i < json_object_array_length(keys); i++)
			if (json_object_object_get_ex(json_object_array_get_idx(keys, i), "key", &key))
				printf("%s\n", json_object_get_string(key));
	json_object_put(answer);
	return 0;
}

static int dek(char **arg)
{
	(void)arg;
	return fwrite(known, 1, sizeof(known), stdout) == sizeof(known) ? 0 : KC_USAGE;
}

static const struct {
	const char *name;
	int args;
	int (*fn)(char **arg);
} verbs[] = {
	{ "describe", 1, describe }, { "wrap", 2, wrap }, { "unwrap", 2, unwrap }, { "twice", 3, twice },
	{ "again", 2, again }, { "rewrap", 4, rewrap }, { "list", 1, list }, { "dek", 0, dek },
};

int main(int argc, char **argv)
{
	struct kc_conf conf;
	size_t i;
	int r;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (argc > 1 && !strcmp(argv[1], verbs[i].name) && argc == verbs[i].args + 2)
			break;
	if (i == sizeof(verbs) / sizeof(verbs[0])) {
		fprintf(stderr, "usage: kms describe|wrap|unwrap|twice|again|rewrap|list|dek ...\n");
		return 1;
	}
	r = kc_conf_load(NULL, &conf, &err);
	if (!r)
		r = kc_kms_open(&conf, &kms, &err);
	if (!r)
		r = verbs[i].fn(argv + 2);
	kc_kms_close(kms);
	kc_conf_free(&conf);
	if (r)
		fprintf(stderr, "%s: %s (%s)\n", err.provider_error, err.text, err.next);
	return r;
}
