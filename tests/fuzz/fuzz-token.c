// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The token's JSON. What kc_token_parse() accepts, kc_token_format() writes with
 * the same members and the same values; json-c, not our parser, compares them.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fuzz.h"
#include "token.h"

static void check_ranges(const struct kc_token *t)
{
	const struct kc_binding *b = &t->binding;

	must(t->slot == 7);
	must(b->version == KC_TOKEN_VERSION);
	must(kc_key_canonical(b->provider, b->key));
	must(kc_uuid_valid(b->context.id));
	must(strlen(b->context.layout) == 64 && strlen(t->mac) == 64 && strlen(t->lineage) == 32);
	must(b->context.generation);
	must(t->wrapped_len && t->wrapped_len <= KC_WRAPPED_MAX);
	must(t->on_revoke <= KC_REVOKE_FREEZE);
	must(strlen(t->created) == 20);
}

static void check_same(const char *json, const char *again)
{
	struct json_object *a = json_tokener_parse(json), *b = json_tokener_parse(again);

	must(a && b && json_object_equal(a, b));
	json_object_put(a);
	json_object_put(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *json = fuzz_text(data, len), *again, *third;
	struct kc_error err = { 0 };
	struct kc_token t, u;
	int r = kc_token_parse(json, 7, &t, &err);

	if (r) {
		must(r == KC_TAMPERED && err.code == KC_TAMPERED);
		must(err.text[0] && fuzz_printable(err.text) && fuzz_printable(err.next));
	} else {
		must(err.code == KC_OK);
		check_ranges(&t);
		must(!kc_token_format(&t, &again, &err));
		check_same(json, again);
		must(!kc_token_parse(again, 7, &u, &err));
		must(!memcmp(&t.wrapped, &u.wrapped, sizeof(t.wrapped)) && t.wrapped_len == u.wrapped_len);
		must(!kc_token_format(&u, &third, &err));
		must(!strcmp(again, third));
		free(third);
		free(again);
	}
	free(json);
	return 0;
}
