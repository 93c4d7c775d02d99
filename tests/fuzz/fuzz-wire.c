// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A message between the command and its key helper, by the reading functions that
 * both sides use. What is read and written again is what it was.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kms-wire.h"

static const char *const members[] = { "key", "id", "wrapped", "binding", "params", "result", NULL };

static void check_str(struct json_object *o, const char *name)
{
	char small[8], large[KC_KEY_NAME_MAX];
	size_t i;

	if (kc_wire_str(o, name, small, sizeof(small)))
		must(kc_wire_str(o, name, large, sizeof(large)) && !strcmp(small, large));
	else
		must(!small[0]);
	if (!kc_wire_str(o, name, large, sizeof(large))) {
		must(!large[0]);
		return;
	}
	for (i = 0; large[i]; i++)
		must((unsigned char)large[i] >= ' ' && large[i] != 0x7f);
	must(!strcmp(large, json_object_get_string(json_object_object_get(o, name))));
}

static void check_int(struct json_object *o, const char *name)
{
	int64_t v;

	if (!kc_wire_int(o, name, -5, 1000, &v))
		return;
	must(v >= -5 && v <= 1000 && v == json_object_get_int64(json_object_object_get(o, name)));
}

static void check_blob(struct json_object *o, const char *name)
{
	uint8_t blob[KC_WRAPPED_MAX], again[KC_WRAPPED_MAX], small[16];
	struct json_object *copy;
	size_t len = 0, len2 = 0;

	if (kc_wire_blob(o, name, small, sizeof(small), &len))
		must(len && len <= sizeof(small));
	if (!kc_wire_blob(o, name, blob, sizeof(blob), &len))
		return;
	must(len && len <= sizeof(blob));
	copy = json_object_new_object();
	must(kc_wire_add_blob(copy, name, blob, len));
	must(json_object_equal(json_object_object_get(o, name), json_object_object_get(copy, name)));
	must(kc_wire_blob(copy, name, again, sizeof(again), &len2) && len == len2 && !memcmp(blob, again, len));
	json_object_put(copy);
}

static void check_binding(struct json_object *o, const char *name)
{
	struct kc_binding b;
	struct json_object *copy;

	if (!kc_wire_binding(o, name, &b))
		return;
	must(b.version >= 1);
	copy = json_object_new_object();
	must(kc_wire_add_binding(copy, name, &b));
	must(json_object_equal(json_object_object_get(o, name), json_object_object_get(copy, name)));
	json_object_put(copy);
}

static void check_members(struct json_object *o)
{
	size_t i;

	json_object_object_foreach(o, name, value) {
		(void)value;
		for (i = 0; members[i] && strcmp(members[i], name); i++)
			;
		must(members[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* a message has no NUL behind it */
	char *buf = malloc(len ? len : 1);
	struct json_object *o;
	size_t i;

	must(buf);
	if (len)
		memcpy(buf, data, len);
	o = kc_wire_parse(buf, len);
	must(!o || (len <= KC_WIRE_MAX && json_object_is_type(o, json_type_object)));
	for (i = 0; o && members[i]; i++) {
		check_str(o, members[i]);
		check_int(o, members[i]);
		check_blob(o, members[i]);
		check_binding(o, members[i]);
	}
	if (o && kc_wire_members(o, members))
		check_members(o);
	json_object_put(o);
	free(buf);
	return 0;
}
