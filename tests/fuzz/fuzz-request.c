// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests, as the key helper sees them: a message a line, to the real provider
 * on a real keystore. Where a line holds KEY, it means the one key that is there.
 * serve.c is included, for the function between its socket and its operations.
 *
 * An Open would let the input choose where files are made, so the helper has been
 * opened before; the first line is given to another one that has not, and which
 * must do nothing else.
 */
#include <stdlib.h>

#include "../../tools/keyhelper/serve.c"

#include "fuzz.h"
#include "keystore-fixture.h"

#define KEY "local:11111111-2222-4333-8444-555555555555"
#define MESSAGES_MAX 8

static uint8_t mapping[KC_DEK_SIZE];
static char real_key[KC_KEY_NAME_MAX];
static struct kh opened;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	keystore_up(&opened, real_key);
	must(strlen(real_key) == strlen(KEY));
	return 0;
}

static void zero(const uint8_t *p, size_t len)
{
	while (len--)
		must(!*p++);
}

/* kms.c's answered_error() takes no other. */
static void check_error(struct json_object *e)
{
	char name[64], text[768], next[384];
	int64_t code;

	must(kc_wire_str(e, "name", name, sizeof(name)) && name[0]);
	must(kc_wire_str(e, "text", text, sizeof(text)) && text[0] && fuzz_printable(text));
	must(kc_wire_str(e, "next", next, sizeof(next)) && fuzz_printable(next));
	must(kc_wire_int(e, "code", KC_USAGE, KC_TAMPERED, &code));
}

/* Returns whether the operation succeeded. */
static bool check_answer(struct json_object *a, const char *request, size_t request_len)
{
	struct json_object *o, *q = kc_wire_parse(request, request_len), *error, *result;
	const char *text, *operation;
	char request_id[40];
	size_t len;

	text = json_object_to_json_string_length(a, JSON_C_TO_STRING_PLAIN, &len);
	must(q && text && len <= KC_WIRE_MAX);
	o = kc_wire_parse(text, len);
	must(o && json_object_object_length(o) == 3);
	must(json_object_equal(json_object_object_get(o, "id"), json_object_object_get(q, "id")));
	must(kc_wire_str(o, "request_id", request_id, sizeof(request_id)) && kc_uuid_valid(request_id));
	error = json_object_object_get(o, "error");
	result = json_object_object_get(o, "result");
	must(!error != !result);
	if (error) {
		check_error(error);
	} else {
		/* the input cannot know what the key has wrapped */
		operation = json_object_get_string(json_object_object_get(q, "operation"));
		must(strcmp(operation, "Decrypt") && strcmp(operation, "ReEncrypt"));
	}
	json_object_put(o);
	json_object_put(q);
	return result;
}

static void one(struct kh *k, char *line, size_t len)
{
	struct json_object *a;
	size_t i;

	for (i = 0; i + strlen(KEY) <= len; i++)
		if (!memcmp(line + i, KEY, strlen(KEY)))
			memcpy(line + i, real_key, strlen(KEY));
	memset(mapping, 'k', sizeof(mapping) / 2);
	a = answer(k, mapping, line, len);
	if (a && check_answer(a, line, len) && k != &opened)
		must(k->state_dir[0] == '/');
	json_object_put(a);
	zero(k->secrets->dek, sizeof(k->secrets->dek));
	zero(k->secrets->kek, sizeof(k->secrets->kek));
	/* nothing was put in; Encrypt takes out what was there */
	must(!mapping[KC_DEK_SIZE / 2] && (mapping[0] == 'k' || !mapping[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct kh closed;
	static struct kh_secrets none;
	const uint8_t *end = data + len, *stop;
	char *line;
	int n;

	memset(&closed, 0, sizeof(closed));
	closed.secrets = &none;
	for (n = 0; n < MESSAGES_MAX && data < end; n++) {
		stop = memchr(data, '\n', (size_t)(end - data));
		if (!stop)
			stop = end;
		line = fuzz_text(data, (size_t)(stop - data));
		if (!n) {
			one(&closed, line, (size_t)(stop - data));
			must(!closed.keystore);
		}
		one(&opened, line, (size_t)(stop - data));
		free(line);
		data = stop + (stop < end);
	}
	keystore_reset(&opened);
	return 0;
}
