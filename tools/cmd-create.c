// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache create: everything that can be refused is refused before the first
 * byte is written; the token, which makes a volume of it, is written last.
 */
#include <libcryptsetup.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "blk.h"
#include "ephemeral.h"
#include "header.h"
#include "kcache.h"
#include "kms.h"
#include "lease.h"
#include "pins.h"
#include "stop.h"

/**
 * struct create - one create on its way
 * @unfinished: the device carries an earlier create of ours that did not finish
 * @overwrite: there is something on it, and the user said to overwrite it
 * @written: the device has been written to
 */
struct create {
	struct kc_run *r;
	struct kc_blk blk;
	struct kc_format f;
	struct kc_layout l;
	struct kc_key_info key;
	struct kc_kms *kms;
	struct kc_token t;
	const uint8_t *dek;
	bool unfinished;
	bool overwrite;
	bool written;
};

int check_create(struct kc_run *r)
{
	uint32_t s = r->number[OPT_SECTOR_SIZE];

	if (kc_given(r, OPT_SECTOR_SIZE) && (s < 512 || s > 4096 || (s & (s - 1))))
		return kc_fail(&r->err, KC_USAGE, NULL, "--sector-size is 512, 1024, 2048 or 4096, not %u", s);
	/* LUKS2 has 48 bytes for it, with the NUL */
	if (kc_given(r, OPT_LABEL) && strlen(r->opt[OPT_LABEL]) > 47)
		return kc_fail(&r->err, KC_USAGE, NULL, "--label is longer than 47 bytes: `%s'", r->opt[OPT_LABEL]);
	if (!kc_given(r, OPT_EPHEMERAL)) {
		struct kc_token t = { .on_revoke = KC_REVOKE_KEEP };
		int ret = kc_lease_policy(&t, r->opt[OPT_ON_REVOKE], r->number[OPT_LEASE], &r->err);

		if (ret)
			return ret;
	}
	return kc_check_ephemeral(r);
}

static int plan(struct create *c)
{
	struct kc_error *err = &c->r->err;
	int ret;

	ret = kc_new_uuid(c->f.uuid, err);
	if (ret)
		return ret;
	c->f.label = c->r->opt[OPT_LABEL];
	c->f.sector_size = c->r->number[OPT_SECTOR_SIZE];
	if (!c->f.sector_size)
		/* stock cryptsetup opens only what ends on a whole sector */
		c->f.sector_size = c->blk.size % 4096 ? 512 : 4096;
	if (c->blk.size % c->f.sector_size)
		return kc_fail(err, KC_DEVICE, "use --sector-size 512", "its size of %llu bytes is no multiple of %u",
			       (unsigned long long)c->blk.size, c->f.sector_size);
	return kc_header_plan(c->r->device, &c->f, &c->l, err);
}

/* What is on it? Nothing, our own unfinished create, or something that --force may overwrite. */
static int look_at_contents(struct create *c)
{
	struct kc_error probe = { 0 };
	struct kc_header h = { 0 };
	int ret;

	ret = kc_header_load(c->blk.fd, &h, &probe);
	c->unfinished = !ret && h.unfinished;
	kc_header_free(&h);
	if (c->unfinished) {
		kc_verbose(c->r, "an earlier create did not finish here: completing it");
		return 0;
	}
	return kc_refuse_contents(c->r, &c->blk, &c->overwrite);
}

static int choose_key(struct create *c)
{
	const char *name = kc_given(c->r, OPT_KEY) ? c->r->opt[OPT_KEY] : c->r->conf.default_key;
	struct kc_error *err = &c->r->err;
	int ret;

	ret = kc_kms_open(&c->r->conf, &c->kms, err);
	if (!ret)
		ret = kc_kms_describe(c->kms, name, &c->key, err);
	if (ret)
		return ret;
	if (c->key.state != KC_KEY_ENABLED)
		return kc_fail(err, KC_KMS_REFUSED, c->key.state == KC_KEY_PENDING_IMPORT ?
			       "import its material with kcache key import, or name another key with --key" :
			       "enable it, or name another key with --key",
			       "key %s is in state %s", c->key.key, kc_key_state_name(c->key.state));
	return 0;
}

static int make_key(struct create *c)
{
	struct kc_binding *b = &c->t.binding;
	struct kc_error *err = &c->r->err;
	int ret;

	c->t.slot = -1;
	c->t.has_keyslot = true;
	c->t.on_revoke = KC_REVOKE_KEEP;
	ret = kc_lease_policy(&c->t, c->r->opt[OPT_ON_REVOKE], c->r->number[OPT_LEASE], err);
	if (ret)
		return ret;
	kc_now(c->t.created);
	snprintf(b->provider, sizeof(b->provider), "%s", c->key.provider);
	snprintf(b->key, sizeof(b->key), "%s", c->key.key);
	b->version = KC_TOKEN_VERSION;
	snprintf(b->context.id, sizeof(b->context.id), "%s", c->f.uuid);
	b->context.generation = 1;
	ret = kc_canon_layout(&c->l, b->context.layout, err);
	if (ret)
		return ret;

	ret = kc_kms_generate(c->kms, b, c->t.wrapped, &c->t.wrapped_len, err);
	return ret ? ret : kc_kms_decrypt(c->kms, b, c->t.wrapped, c->t.wrapped_len, &c->dek, err);
}

/* What is on the device now, read back and proven with the DEK as attach would. */
static int prove(struct create *c)
{
	struct kc_error *err = &c->r->err;
	struct kc_header h = { 0 };
	struct kc_binding b;
	int ret;

	ret = kc_header_load(c->blk.fd, &h, err);
	if (!ret && (h.unfinished || h.n_tokens != 1 || h.damaged_copy || h.tokens[0].wrapped_len != c->t.wrapped_len ||
		     memcmp(h.tokens[0].wrapped, c->t.wrapped, c->t.wrapped_len) != 0))
		ret = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the header reads back differently from what was written");
	if (!ret)
		ret = kc_header_binding(&h, &h.tokens[0], &b, err);
	if (!ret)
		ret = kc_header_verify_dek(&h, &h.tokens[0], c->dek, err);
	if (!ret)
		ret = kc_known_save(&c->r->conf, &h, &h.tokens[0], err);
	kc_header_free(&h);
	return ret;
}

static int write_volume(struct create *c)
{
	struct kc_error *err = &c->r->err;
	int ret = 0;

	/* the last point at which nothing has been written */
	if (kc_stop_check(err))
		return (int)err->code;
	c->written = true;
	if (c->overwrite)
		ret = kc_blk_wipe_signatures(&c->blk, err);
	/* libcryptsetup opens the device exclusively itself */
	kc_blk_release(&c->blk);
	if (!ret)
		ret = kc_header_write(c->r->device, &c->f, c->dek, err);
	if (!ret)
		ret = kc_header_seal_token(&c->t, &c->l, "", c->dek, err);
	if (!ret)
		ret = kc_header_add_token(c->r->device, &c->t, err);
	return ret ? ret : prove(c);
}

static int print_result(struct create *c)
{
	struct json_object *o;

	if (!kc_given(c->r, OPT_JSON)) {
		if (!kc_given(c->r, OPT_DRY_RUN))
			puts(c->f.uuid);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "uuid", kc_given(c->r, OPT_DRY_RUN) ? NULL : c->f.uuid);
	kc_json_str(o, "device", c->r->device);
	kc_json_str(o, "provider", c->key.provider);
	kc_json_str(o, "key", c->key.key);
	kc_json_int(o, "sector_size", (int)c->l.sector_size);
	kc_json_u64(o, "offset", c->l.offset);
	kc_json_u64(o, "size", c->blk.size - c->l.offset);
	kc_json_str(o, "lineage", c->t.lineage);
	kc_json_u64(o, "generation", 1);
	kc_json_u64(o, "lease", c->t.lease);
	kc_json_str(o, "on_revoke", kc_on_revoke_name(c->t.on_revoke));
	kc_json_bool(o, "completed", c->unfinished);
	kc_json_bool(o, "dry_run", kc_given(c->r, OPT_DRY_RUN));
	return kc_json_print(c->r, o);
}

static int create(struct create *c)
{
	int ret;

	ret = kc_take_device(c->r, &c->blk);
	if (!ret)
		ret = plan(c);
	if (!ret)
		ret = look_at_contents(c);
	/* asking for the default key makes it where it is not there yet: a dry run asks no KMS */
	if (ret || kc_given(c->r, OPT_DRY_RUN))
		return ret;
	ret = choose_key(c);
	if (!ret)
		ret = make_key(c);
	if (!ret)
		ret = write_volume(c);
	if (ret && !c->written && kc_stopped())
		ret = kc_stop_check(&c->r->err);
	return ret;
}

static void tell_next_step(struct create *c)
{
	char size[24];

	kc_size_text(c->blk.size - c->l.offset, size);
	if (kc_given(c->r, OPT_DRY_RUN)) {
		kc_say(c->r, "%s would become a volume of %s%s; nothing was changed, no KMS was asked", c->r->device,
		       size, c->overwrite ? ", and what is on it would be lost" : "");
		return;
	}
	kc_say(c->r, "volume of %s created on %s under key %s\nnext: kcache attach %s NAME", size, c->r->device,
	       c->key.key, c->r->device);
}

int cmd_create(struct kc_run *r)
{
	struct create c = { .r = r, .blk = { .fd = -1, .claim_fd = -1 } };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	kc_stop_install();
	if (kc_given(r, OPT_EPHEMERAL))
		return kc_create_ephemeral(r);
	ret = create(&c);
	if (ret && c.written && !r->err.next[0])
		snprintf(r->err.next, sizeof(r->err.next), "it has been written to; run the same command again");
	/* refusals before a key was chosen are answers, not events */
	if (c.key.key[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "createVolume",
			.volume = c.f.uuid,
			.device = r->device,
			.key = c.key.key,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(&c);
	if (!ret)
		tell_next_step(&c);
	kc_kms_close(c.kms);
	kc_blk_close(&c.blk);
	return ret;
}
