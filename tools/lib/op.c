// SPDX-License-Identifier: GPL-2.0-or-later
/* The token of an operation: as strict as the tokens in it, which say what the volume will be. */
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "strict.h"

#define OPERATION "clone"

static struct kc_op *op_of(struct kc_strict *s)
{
	return s->data;
}

bool kc_op_known(struct json_object *token)
{
	struct json_object *version, *operation;
	int64_t n;

	return json_object_object_get_ex(token, "version", &version) && kc_strict_int(version, 1, 1, &n) &&
	       json_object_object_get_ex(token, "operation", &operation) && kc_strict_is(operation, OPERATION);
}

static int on_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_is(v, KC_OP_TYPE) ? 0 : kc_strict_bad(s, name, v, "\"" KC_OP_TYPE "\"");
}

static int on_version(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, 1, 1, &n) ? 0 : kc_strict_bad(s, name, v, "1");
}

static int on_operation(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_is(v, OPERATION) ? 0 : kc_strict_bad(s, name, v, "\"" OPERATION "\"");
}

static int on_keyslots(struct kc_strict *s, const char *name, struct json_object *v)
{
	if (json_object_is_type(v, json_type_array) && !json_object_array_length(v))
		return 0;
	return kc_strict_bad(s, name, v, "[]");
}

static int on_tokens(struct kc_strict *s, const char *name, struct json_object *v)
{
	size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0, i;
	struct kc_op *op = op_of(s);
	int r;

	if (!n || n > KC_RECIPIENTS_MAX)
		return kc_strict_bad(s, name, v, "a list of 1 to 8 tokens");
	for (i = 0; i < n; i++) {
		struct kc_token *t = &op->t[i];

		r = kc_token_parse(json_object_to_json_string_ext(json_object_array_get_idx(v, i),
								  JSON_C_TO_STRING_PLAIN), -1, t, s->err);
		if (r)
			return r;
		if (!t->has_keyslot || t->binding.context.generation != op->t[0].binding.context.generation ||
		    strcmp(t->binding.context.id, op->t[0].binding.context.id) ||
		    strcmp(t->lineage, op->t[0].lineage))
			return kc_fail(s->err, KC_TAMPERED, s->next, "%s: its tokens are not of one volume", s->what);
	}
	op->n = (unsigned int)n;
	return 0;
}

static const struct kc_member op_members[] = {
	{ "type", on_type, false },
	{ "version", on_version, false },
	{ "keyslots", on_keyslots, false },
	{ "operation", on_operation, false },
	{ "tokens", on_tokens, false },
};

int kc_op_parse(struct json_object *token, int slot, struct kc_op *op, struct kc_error *err)
{
	struct kc_strict s = { .what = "the operation", .next = KC_NEXT_EDITED, .data = op, .err = err };

	memset(op, 0, sizeof(*op));
	op->slot = slot;
	return kc_strict_object(&s, token, op_members, KC_COUNT(op_members));
}

int kc_op_format(const struct kc_op *op, char **json, struct kc_error *err)
{
	struct json_object *o = json_tokener_parse("{\"type\":\"" KC_OP_TYPE "\",\"keyslots\":[],\"version\":1,"
						   "\"operation\":\"" OPERATION "\",\"tokens\":[]}");
	struct json_object *list, *t;
	bool ok = o && json_object_object_get_ex(o, "tokens", &list);
	unsigned int i;
	int r = 0;

	*json = NULL;
	for (i = 0; ok && !r && i < op->n; i++) {
		char *text;

		r = kc_token_format(&op->t[i], &text, err);
		t = r ? NULL : json_tokener_parse(text);
		free(text);
		ok = t && !json_object_array_add(list, t);
		if (!ok)
			json_object_put(t);
	}
	if (ok)
		*json = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return r ? r : *json ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for a token");
}
