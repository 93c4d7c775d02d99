// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache dump: what the header of a volume says. Nothing in it is secret; no KMS is asked. */
#include <inttypes.h>
#include <libcryptsetup.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "header.h"
#include "kcache.h"
#include "op.h"

static const char *copies(const struct kc_header *h)
{
	return h->damaged_copy == 0 ? "both good" : h->damaged_copy == 1 ? "first damaged" : "second damaged";
}

static const char *state(const struct kc_header *h)
{
	return h->unfinished ? "creation did not finish: run kcache create again" :
	       h->op ? "a clone with a new data key did not finish: run kcache clone --new-dek again" : "complete";
}

/* The wrapped DEK in base64, as the token has it; the caller frees. */
static char *wrapped_text(const struct kc_token *t)
{
	char *text = malloc((t->wrapped_len + 2) / 3 * 4 + 1);

	if (text)
		EVP_EncodeBlock((unsigned char *)text, t->wrapped, (int)t->wrapped_len);
	return text;
}

static void print_token(const struct kc_token *t)
{
	const struct kc_binding *b = &t->binding;
	char *wrapped = wrapped_text(t);

	printf("\nRecipient (token %d):\n", t->slot);
	printf("  provider:    %s\n", b->provider);
	printf("  key:         %s\n", b->key);
	printf("  wrapped DEK: %zu bytes\n", t->wrapped_len);
	if (wrapped)
		printf("    %s\n", wrapped);
	printf("  context:     kcache:id=%s\n", b->context.id);
	printf("               kcache:layout=%s\n", b->context.layout);
	printf("               kcache:generation=%" PRIu64 "\n", b->context.generation);
	printf("  lineage:     %s\n", t->lineage);
	printf("  created:     %s\n", t->created);
	if (t->lease)
		printf("  lease:       %u s, then %s\n", t->lease, kc_on_revoke_name(t->on_revoke));
	else
		printf("  lease:       none\n");
	printf("  on revoke:   %s\n", kc_on_revoke_name(t->on_revoke));
	printf("  keyslot:     %s\n", t->has_keyslot ? "0" : "none");
	printf("  mac:         %s\n", t->mac);
	free(wrapped);
}

static void print_text(const struct kc_blk *b, const struct kc_header *h)
{
	const char *label = crypt_get_label(h->cd);
	char size[24];
	unsigned int i;

	printf("Volume:        %s\n", h->layout.uuid);
	printf("Label:         %s\n", label && *label ? label : "-");
	printf("State:         %s\n", state(h));
	if (h->op)
		printf("Clone to be:   %s, generation %" PRIu64 ", lineage %s\n", h->op->t[0].binding.context.id,
		       h->op->t[0].binding.context.generation, h->op->t[0].lineage);
	printf("Header copies: %s\n", copies(h));
	printf("Cipher:        %s, %u-bit key\n", h->layout.cipher, h->layout.key_bits);
	printf("Sector size:   %u\n", h->layout.sector_size);
	printf("Data:          from byte %" PRIu64 ", %s\n", h->layout.offset,
	       kc_size_text(b->size > h->layout.offset ? b->size - h->layout.offset : 0, size));
	printf("IV tweak:      %" PRIu64 "\n", h->layout.iv_tweak);
	printf("Flags:         %s\n", h->flags[0] ? h->flags : "-");
	printf("Layout hash:   %s\n", h->layout_hex);
	for (i = 0; i < h->n_tokens; i++)
		print_token(&h->tokens[i]);
}

static struct json_object *token_json(const struct kc_token *t)
{
	struct json_object *o = kc_json_object(), *c = kc_json_object();
	char *wrapped = wrapped_text(t);

	kc_json_int(o, "token", t->slot);
	kc_json_str(o, "provider", t->binding.provider);
	kc_json_str(o, "key", t->binding.key);
	kc_json_int(o, "wrapped_bytes", (int)t->wrapped_len);
	kc_json_str(o, "wrapped_dek", wrapped);
	kc_json_str(c, "kcache:id", t->binding.context.id);
	kc_json_str(c, "kcache:layout", t->binding.context.layout);
	kc_json_u64(c, "kcache:generation", t->binding.context.generation);
	kc_json_put(o, "context", c);
	kc_json_str(o, "lineage", t->lineage);
	kc_json_str(o, "created", t->created);
	kc_json_u64(o, "lease", t->lease);
	kc_json_str(o, "on_revoke", kc_on_revoke_name(t->on_revoke));
	kc_json_bool(o, "keyslot", t->has_keyslot);
	kc_json_str(o, "mac", t->mac);
	free(wrapped);
	return o;
}

static int print_json(struct kc_run *r, const struct kc_blk *b, const struct kc_header *h)
{
	struct json_object *o = kc_json_new(), *tokens = kc_json_array();
	unsigned int i;

	kc_json_str(o, "device", r->device);
	kc_json_str(o, "uuid", h->layout.uuid);
	kc_json_str(o, "label", crypt_get_label(h->cd));
	kc_json_bool(o, "unfinished", h->unfinished);
	kc_json_str(o, "operation", h->op ? "clone" : NULL);
	kc_json_str(o, "clone_uuid", h->op ? h->op->t[0].binding.context.id : NULL);
	kc_json_int(o, "damaged_copy", h->damaged_copy);
	kc_json_str(o, "cipher", h->layout.cipher);
	kc_json_int(o, "key_bits", (int)h->layout.key_bits);
	kc_json_int(o, "sector_size", (int)h->layout.sector_size);
	kc_json_u64(o, "offset", h->layout.offset);
	kc_json_u64(o, "size", b->size > h->layout.offset ? b->size - h->layout.offset : 0);
	kc_json_u64(o, "iv_tweak", h->layout.iv_tweak);
	kc_json_str(o, "flags", h->flags);
	kc_json_str(o, "layout", h->layout_hex);
	for (i = 0; i < h->n_tokens; i++)
		kc_json_push(tokens, token_json(&h->tokens[i]));
	kc_json_put(o, "recipients", tokens);
	return kc_json_print(r, o);
}

int cmd_dump(struct kc_run *r)
{
	struct kc_header h = { 0 };
	struct kc_blk b;
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	ret = kc_blk_open(r->device, &b, &r->err);
	if (!ret)
		ret = kc_header_load_op(b.fd, &h, &r->err);
	if (!ret) {
		kc_warn_damaged(r, &h);
		if (kc_given(r, OPT_JSON))
			ret = print_json(r, &b, &h);
		else
			print_text(&b, &h);
	}
	kc_header_free(&h);
	kc_blk_close(&b);
	return ret;
}
