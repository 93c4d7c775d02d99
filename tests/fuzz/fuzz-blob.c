// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A wrapped DEK of the local provider, altered, or asked for with an altered
 * binding: it opens only where nothing was altered. Input: how much longer it
 * gets (signed); which part of the binding changes, where, and by what; then what
 * the wrapped DEK is XORed with.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "keystore-fixture.h"

enum { NOTHING, VERSION, ID, LAYOUT, GENERATION, PARTS };

static const uint8_t dek[KC_DEK_SIZE + 1] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-!";
static uint8_t wrapped[KC_WRAPPED_MAX];
static size_t wrapped_len;
static struct kc_binding binding;
static struct kh helper;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	strcpy(binding.provider, "local");
	keystore_up(&helper, binding.key);
	binding.version = 1;
	strcpy(binding.context.id, "6b636163-6865-4a11-8bad-000000000001");
	memset(binding.context.layout, 'a', 64);
	binding.context.generation = 1;
	must(!kh_provider->encrypt(&helper, &binding, dek, wrapped, &wrapped_len));
	return 0;
}

/* true if it is another one now */
static bool alter(struct kc_binding *b, unsigned int part, unsigned int where, uint8_t by)
{
	char *c;

	switch (part % PARTS) {
	case VERSION:
		b->version ^= (unsigned int)by << where % 24;
		return by;
	case ID:
		c = &b->context.id[where % KC_UUID_LEN];
		*c = (char)(*c ^ by);
		return by;
	case LAYOUT:
		c = &b->context.layout[where % 64];
		*c = (char)(*c ^ by);
		return by;
	case GENERATION:
		b->context.generation ^= (uint64_t)by << where % 56;
		return by;
	default:
		return false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kc_binding b = binding;
	uint8_t *blob, out[KC_DEK_SIZE] = { 0 };
	bool altered;
	size_t n, i;

	if (len < 4)
		return 0;
	n = wrapped_len + (size_t)(int8_t)data[0];
	if (n > KC_WRAPPED_MAX)
		return 0;
	altered = alter(&b, data[1], data[2], data[3]);
	data += 4;
	len -= 4;
	blob = calloc(n ? n : 1, 1);
	must(blob);
	memcpy(blob, wrapped, n < wrapped_len ? n : wrapped_len);
	for (i = 0; i < len && i < n; i++)
		blob[i] ^= data[i];
	altered = altered || n != wrapped_len || memcmp(blob, wrapped, n);

	helper.error = KH_OK;
	if (!kh_provider->decrypt(&helper, &b, blob, n, out)) {
		must(!altered && !memcmp(out, dek, KC_DEK_SIZE));
	} else {
		must(altered);
		/* that is tampering, and never a keystore in trouble */
		must(kh_error_exit(helper.error) == KC_TAMPERED);
		for (i = 0; i < sizeof(out); i++)
			must(!out[i]);
	}
	for (i = 0; i < KH_KEY_SIZE; i++)
		must(!helper.secrets->kek[i]);
	free(blob);
	return 0;
}
