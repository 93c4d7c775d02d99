// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules for LUKS2 metadata, as the JSON that libcryptsetup hands out. Its own
 * validation does not come first here, so the rules have to stand alone. Input:
 * the subsystem, a line feed, the UUID, a line feed, the JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fuzz.h"
#include "header-private.h"
#include "op.h"

#define DEVICE_SIZE (24U << 20)
#define LUKS2_TOKENS 32

static const char *subsystem, *uuid;

/* The two things that the rules ask libcryptsetup for. */
const char *crypt_get_subsystem(struct crypt_device *cd)
{
	must(!cd);
	return subsystem;
}

const char *crypt_get_uuid(struct crypt_device *cd)
{
	must(!cd);
	return uuid;
}

static struct json_object *at(struct json_object *o, const char *pointer)
{
	struct json_object *v = NULL;

	must(!json_pointer_get(o, pointer, &v));
	return v;
}

static void check_number(struct json_object *o, const char *pointer, uint64_t want)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, want);
	must(!strcmp(json_object_get_string(at(o, pointer)), text));
}

static void check_count(struct json_object *o, const char *pointer, int min, int max)
{
	int n = json_object_object_length(at(o, pointer));

	must(n >= min && n <= max);
}

/* What an attacker would want, looked for in the JSON itself. */
static void check_json(const struct kc_header *h)
{
	struct json_object *o = json_tokener_parse(h->json), *v;
	int64_t n;

	must(o);
	check_count(o, "", 5, 5);
	check_count(o, "/segments", 1, 1);
	check_count(o, "/segments/0", 6, 6);
	check_count(o, "/keyslots", 0, 1);
	check_count(o, "/digests", 1, 1);
	check_count(o, "/tokens", (int)h->n_tokens + !!h->op, (int)h->n_tokens + !!h->op);
	check_number(o, "/segments/0/offset", h->layout.offset);
	check_number(o, "/segments/0/iv_tweak", h->layout.iv_tweak);
	check_number(o, "/segments/0/sector_size", h->layout.sector_size);
	must(!strcmp(json_object_get_string(at(o, "/segments/0/encryption")), "aes-xts-plain64"));
	must(!strcmp(json_object_get_string(at(o, "/segments/0/type")), "crypt"));
	must(!strcmp(json_object_get_string(at(o, "/segments/0/size")), "dynamic"));
	n = json_object_get_int64(at(o, "/digests/0/iterations"));
	must(n >= 1 && n <= 10000);
	if (!json_pointer_get(o, "/keyslots/0/kdf/iterations", &v)) {
		n = json_object_get_int64(v);
		must(n >= 1 && n <= 10000);
		must(json_object_get_int64(at(o, "/keyslots/0/key_size")) == KC_DEK_SIZE);
	}
	json_object_put(o);
}

static void check_tokens(const struct kc_header *h)
{
	unsigned int i;

	must(h->n_tokens <= KC_RECIPIENTS_MAX);
	must(h->unfinished == !h->n_tokens);
	for (i = 0; i < h->n_tokens; i++) {
		const struct kc_token *t = &h->tokens[i];
		struct kc_error err = { 0 };
		struct kc_binding b;
		int r = kc_header_binding(h, t, &b, &err);

		/* a number has one name, and one token */
		must(t->slot >= 0 && t->slot < LUKS2_TOKENS && (!i || t->slot > h->tokens[i - 1].slot));
		must(t->binding.context.generation == h->tokens[0].binding.context.generation);
		must(t->has_keyslot == h->tokens[0].has_keyslot);
		/* the KMS is asked with what the header says, or not at all */
		must(!strcmp(b.context.id, uuid) && !strcmp(b.context.layout, h->layout_hex));
		must(r == (strcmp(t->binding.context.id, uuid) ||
			   strcmp(t->binding.context.layout, h->layout_hex) ? KC_TAMPERED : 0));
	}
}

/* What goes on with it must know what it will be, and stock cryptsetup must have nothing to open. */
static void check_op(const struct kc_header *h)
{
	const struct kc_op *op = h->op;
	unsigned int i;

	must(h->with_op && h->n_tokens && !h->tokens[0].has_keyslot);
	must(op->slot >= 0 && op->slot < LUKS2_TOKENS && op->n >= 1 && op->n <= KC_RECIPIENTS_MAX);
	for (i = 0; i < op->n; i++) {
		const struct kc_context *c = &op->t[i].binding.context;

		must(!strcmp(c->id, op->t[0].binding.context.id) && strcmp(c->id, uuid) && kc_uuid_valid(c->id));
		must(c->generation == h->tokens[0].binding.context.generation + 1);
		must(op->t[i].has_keyslot && !strcmp(op->t[i].lineage, op->t[0].lineage));
	}
}

static void check_accepted(const struct kc_header *h, uint64_t size)
{
	const struct kc_layout *l = &h->layout;

	must(!strcmp(subsystem, "kcache") && !strcmp(l->uuid, uuid) && kc_uuid_valid(uuid));
	must(!strcmp(l->cipher, "aes-xts-plain64") && l->key_bits == 512);
	must(l->sector_size == 512 || l->sector_size == 1024 || l->sector_size == 2048 ||
	     l->sector_size == 4096);
	must(l->offset && !(l->offset % 4096) && !(l->iv_tweak % (l->sector_size / 512)));
	must(!size || l->offset + l->sector_size <= size);
	must(strlen(h->layout_hex) == 64);
	check_json(h);
	check_tokens(h);
	if (h->op)
		check_op(h);
}

static int rules(const char *json, uint64_t size, bool with_op, struct kc_header *h)
{
	struct kc_error err = { 0 };
	int r;

	memset(h, 0, sizeof(*h));
	h->copy_fd = -1;
	h->json = json;
	h->with_op = with_op;
	r = kc_header_rules(h, size, &err);
	must(r == (int)err.code);
	if (r) {
		must(r == KC_TAMPERED || r == KC_DEVICE || r == KC_BUSY);
		must(err.text[0] && fuzz_printable(err.text));
	} else {
		check_accepted(h, size);
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = fuzz_text(data, len), *rest = text;
	struct kc_header h, any;
	struct json_object *o;
	int r;

	subsystem = strsep(&rest, "\n");
	uuid = rest ? strsep(&rest, "\n") : "";
	if (!rest) {
		free(text);
		return 0;
	}
	r = rules(rest, DEVICE_SIZE, false, &h);
	if (!r) {
		/* a device of unknown size refuses nothing more, and white space means nothing */
		o = json_tokener_parse(rest);
		must(o);
		must(!rules(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY), 0, false, &any));
		must(!strcmp(h.layout_hex, any.layout_hex) && !strcmp(h.flags, any.flags) &&
		     h.n_tokens == any.n_tokens);
		json_object_put(o);
		kc_header_free(&any);
	} else if (!rules(rest, 0, false, &any)) {
		must(any.layout.offset + any.layout.sector_size > DEVICE_SIZE);
		kc_header_free(&any);
	} else {
		kc_header_free(&any);
	}
	/* who asks for an operation gets one where there is one, and is told the same of all else */
	if (r == KC_BUSY || !r) {
		int with_op = rules(rest, DEVICE_SIZE, true, &any);

		must(!r ? !with_op && !any.op : with_op || any.op);
		kc_header_free(&any);
	}
	kc_header_free(&h);
	free(text);
	return 0;
}
