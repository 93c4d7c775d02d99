// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache adopt: a LUKS2 volume that cryptsetup made becomes one of ours, in place. Its volume key
 * stays, wrapped by the KMS now, and so does every byte of its data; the passphrases and tokens that
 * opened it go, since they would open it without the KMS.
 *
 * The KMS has opened the new copy of the key before anything is written. Then come the keyslot, where
 * the old header has nothing, and one copy of the metadata after the other: at any moment there is
 * one whole header, the old or the new one. What the old one used is overwritten last.
 */
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "area.h"
#include "audit.h"
#include "blk.h"
#include "header.h"
#include "kcache.h"
#include "kdf.h"
#include "kms.h"
#include "passphrase.h"
#include "pins.h"
#include "recipient.h"
#include "stop.h"

/**
 * struct adopt - one adoption on its way
 * @f: the header that is there
 * @h: the one that takes its place; of a volume that is ours already, that of the device
 * @image: it, in memory
 * @volume_key: until the KMS has it
 * @dek: the same, as the KMS has given it back
 * @ours: it is a volume of kcache already: nothing but what an interrupted adoption has left is done
 */
struct adopt {
	struct kc_run *r;
	struct kc_blk blk;
	struct kc_foreign f;
	struct kc_header h;
	struct kc_known known;
	struct kc_kms *kms;
	struct kc_key_info key;
	struct kc_token t;
	int image;
	uint8_t *volume_key;
	const uint8_t *dek;
	bool ours;
	bool written;
};

int check_adopt(struct kc_run *r)
{
	if (kc_given(r, OPT_PASSPHRASE_FILE) && kc_given(r, OPT_KEY_FILE))
		return kc_fail(&r->err, KC_USAGE, NULL, "it is --passphrase-file or --key-file, not both");
	return 0;
}

static int look(struct adopt *a)
{
	struct kc_error *err = &a->r->err, why = { 0 };
	struct kc_run *r = a->r;
	int ret;

	ret = kc_blk_open(r->device, &a->blk, err);
	if (!ret)
		ret = kc_blk_refuse_leg(&a->blk, err);
	if (!ret && a->blk.zoned)
		ret = kc_fail(err, KC_DEVICE, NULL, "zoned devices are not supported");
	if (!ret)
		ret = kc_blk_claim(&a->blk, true, err);
	if (ret)
		return ret;
	ret = kc_header_load(a->blk.fd, &a->h, &why);
	if (!ret && a->h.unfinished)
		return kc_fail(err, KC_DEVICE, "run kcache create on it again: it will be completed",
			       "its creation did not finish, there is no key on it yet");
	if (ret && ret != KC_DEVICE) {
		*err = why;
		return ret;
	}
	a->ours = !ret;
	if (ret) {
		kc_header_free(&a->h);
		ret = kc_foreign_load(a->blk.fd, &a->f, err);
	}
	if (ret)
		return ret;
	snprintf(r->volume, sizeof(r->volume), "%s", a->ours ? a->h.layout.uuid : a->f.layout.uuid);
	return kc_known_load(&r->conf, r->volume, &a->known, err);
}

static int ask(struct adopt *a)
{
	struct kc_run *r = a->r;
	char question[512];

	if (kc_given(r, OPT_FORCE) || kc_given(r, OPT_DRY_RUN))
		return 0;
	snprintf(question, sizeof(question),
		 "Its data stays. The passphrases and key files that open it now (%u keyslots) will not open it any more, nor will its tokens (%s); a KMS key will.",
		 a->f.n_keyslots, a->f.n_tokens ? a->f.tokens : "it has none");
	if (kc_ask_yes(r, question))
		return 0;
	return kc_fail(&r->err, KC_PERM, "type YES at the question, or use --force in a script",
		       "it was not adopted, as nobody has agreed to that");
}

static int by_key_file(struct adopt *a)
{
	struct kc_error *err = &a->r->err;
	const char *path = a->r->opt[OPT_KEY_FILE];
	char *key = NULL;
	size_t len = 0;
	int ret;

	/* as cryptsetup reads one: all of it, a line feed at its end too; NULL is standard input */
	ret = crypt_keyfile_device_read(a->f.cd, strcmp(path, "-") ? path : NULL, &key, &len, 0, 0, 0);
	if (ret)
		return kc_fail(err, KC_PERM, NULL, "cannot read the key file %s: %s", path, strerror(-ret));
	ret = kc_foreign_key(&a->f, key, len, a->volume_key, err);
	crypt_safe_free(key);
	return ret;
}

static int by_passphrase(struct adopt *a)
{
	size_t len;
	char *p = passphrase_read(a->r, "Passphrase that opens it now", false, &len);
	int ret;

	if (!p)
		return (int)a->r->err.code;
	ret = kc_foreign_key(&a->f, p, len, a->volume_key, &a->r->err);
	passphrase_free(p);
	return ret;
}

static int get_key(struct adopt *a)
{
	a->volume_key = kc_secret_alloc(KC_DEK_SIZE, &a->r->err);
	if (!a->volume_key)
		return KC_NOMEM;
	return kc_given(a->r, OPT_KEY_FILE) ? by_key_file(a) : by_passphrase(a);
}

/* The header to be, with the keyslot, but no token yet. */
static int make_image(struct adopt *a)
{
	struct kc_error *err = &a->r->err;
	int ret;

	ret = kc_foreign_image(&a->f, a->blk.size, a->volume_key, &a->image, err);
	return ret ? ret : kc_header_load(a->image, &a->h, err);
}

/* As in create: generation 1, unless this host has seen a later one of this very volume. */
static void bind(struct adopt *a)
{
	struct kc_binding *b = &a->t.binding;

	a->t.slot = -1;
	a->t.has_keyslot = true;
	a->t.on_revoke = KC_REVOKE_KEEP;
	kc_now(a->t.created);
	snprintf(b->provider, sizeof(b->provider), "%s", a->key.provider);
	snprintf(b->key, sizeof(b->key), "%s", a->key.key);
	b->version = KC_TOKEN_VERSION;
	memcpy(b->context.id, a->h.layout.uuid, sizeof(b->context.id));
	memcpy(b->context.layout, a->h.layout_hex, sizeof(b->context.layout));
	b->context.generation = 1;
	if (a->known.uuid[0])
		b->context.generation = a->known.generation + (strcmp(a->known.lineage, a->t.lineage) != 0);
}

static int wrap(struct adopt *a)
{
	const char *name = kc_given(a->r, OPT_KEY) ? a->r->opt[OPT_KEY] : a->r->conf.default_key;
	struct kc_error *err = &a->r->err;
	char path[32];
	int ret;

	ret = kc_kms_open(&a->r->conf, &a->kms, err);
	if (!ret)
		ret = kc_change_target(a->r, a->kms, name, &a->key);
	if (!ret)
		ret = kc_kdf_lineage(a->volume_key, a->t.lineage, err);
	if (ret)
		return ret;
	bind(a);
	ret = kc_kms_encrypt(a->kms, &a->t.binding, a->volume_key, a->t.wrapped, &a->t.wrapped_len, err);
	if (!ret)
		ret = kc_kms_decrypt(a->kms, &a->t.binding, a->t.wrapped, a->t.wrapped_len, &a->dek, err);
	/* from here on what counts is the key that the KMS gives */
	kc_secret_free(a->volume_key, KC_DEK_SIZE);
	a->volume_key = NULL;
	if (!ret)
		ret = kc_header_seal_token(&a->t, &a->h.layout, a->h.flags, a->dek, err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", a->image);
	if (!ret)
		ret = kc_header_add_token(path, &a->t, err);
	if (ret == KC_USAGE)
		return kc_fail(err, KC_DEVICE, NULL, "it cannot be adopted: %s", err->text);
	if (ret)
		return ret;
	kc_header_free(&a->h);
	ret = kc_header_load(a->image, &a->h, err);
	/* by digest, mac and lineage, as attach will */
	return ret ? ret : kc_header_verify_dek(&a->h, &a->h.tokens[0], a->dek, err);
}

/* What lies in the keyslots area beside our keyslot: what the old header had there, or nothing. */
static int wipe_rest(struct adopt *a, const struct kc_header *h)
{
	uint64_t start = 2 * h->area, end = start + h->keyslots, at = start, len = 0;
	struct kc_error *err = &a->r->err;
	int ret;

	if (end > h->layout.offset)
		end = h->layout.offset;
	if (h->tokens[0].has_keyslot && (!kc_header_keyslot(h, &at, &len) || at < start || at + len > end))
		return kc_fail(err, KC_TAMPERED, "put it back with kcache header restore",
			       "its keyslot is not where keyslots are: the old ones cannot be told from it");
	ret = kc_area_random(&a->blk, start, at, err);
	return ret ? ret : kc_area_random(&a->blk, at + len, end, err);
}

/* On the device now, as attach will read it. */
static int prove(struct adopt *a)
{
	struct kc_header h = { .copy_fd = -1 };
	struct kc_error *err = &a->r->err;
	int ret;

	ret = kc_header_load(a->blk.fd, &h, err);
	if (!ret && (h.damaged_copy || h.n_tokens != 1 || strcmp(h.tokens[0].mac, a->t.mac)))
		ret = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the header reads back differently from what was written");
	if (!ret)
		ret = kc_header_verify_dek(&h, &h.tokens[0], a->dek, err);
	if (!ret)
		ret = wipe_rest(a, &h);
	kc_header_free(&h);
	return ret;
}

static int put(struct adopt *a)
{
	uint64_t area = a->h.area, at = 0, len = 0;
	struct kc_error *err = &a->r->err;
	/* the copy that is no good goes first: the other one holds while it is written */
	uint64_t first = a->f.damaged_copy == 2 ? area : 0;
	uint8_t *bytes;
	size_t size;
	int ret;

	ret = kc_header_copy_area(&a->h, a->image, &bytes, &size, err);
	if (ret)
		return ret;
	kc_header_keyslot(&a->h, &at, &len);
	/* the last point at which nothing has been written; its KMS has opened it, so that the key may be pinned */
	ret = kc_stop_check(err);
	if (!ret)
		ret = kc_known_save(&a->r->conf, &a->h, &a->h.tokens[0], err);
	if (!ret) {
		a->written = true;
		ret = kc_area_write(&a->blk, at, bytes + at, len, err);
	}
	if (!ret)
		ret = kc_area_write(&a->blk, first, bytes + first, area, err);
	if (!ret)
		ret = kc_area_write(&a->blk, area - first, bytes + area - first, area, err);
	free(bytes);
	return ret ? ret : prove(a);
}

/* An adoption that was interrupted after the new header was there. */
static int complete(struct adopt *a)
{
	int ret = kc_stop_check(&a->r->err);

	if (ret)
		return ret;
	if (a->h.damaged_copy)
		ret = kc_header_repair(a->r->device, &a->h, &a->r->err);
	return ret ? ret : wipe_rest(a, &a->h);
}

static int adopt(struct adopt *a)
{
	int ret;

	ret = look(a);
	if (!ret && !a->ours)
		ret = ask(a);
	if (ret || kc_given(a->r, OPT_DRY_RUN))
		return ret;
	if (a->ours)
		return complete(a);
	ret = get_key(a);
	if (!ret)
		ret = make_image(a);
	if (!ret)
		ret = wrap(a);
	if (!ret)
		ret = put(a);
	if (ret && !a->written && kc_stopped())
		ret = kc_stop_check(&a->r->err);
	return ret;
}

static int print_result(struct adopt *a)
{
	bool dry = kc_given(a->r, OPT_DRY_RUN);
	const struct kc_layout *l = a->ours || !dry ? &a->h.layout : &a->f.layout;
	const struct kc_token *t = a->h.n_tokens ? a->h.tokens : NULL;
	struct json_object *o;

	if (!kc_given(a->r, OPT_JSON)) {
		if (!dry)
			puts(l->uuid);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "uuid", l->uuid);
	kc_json_str(o, "device", a->r->device);
	kc_json_str(o, "provider", t ? t->binding.provider : NULL);
	kc_json_str(o, "key", t ? t->binding.key : NULL);
	kc_json_int(o, "sector_size", (int)l->sector_size);
	kc_json_u64(o, "offset", l->offset);
	kc_json_u64(o, "size", a->blk.size - l->offset);
	kc_json_str(o, "lineage", t ? t->lineage : NULL);
	kc_json_u64(o, "generation", t ? t->binding.context.generation : 0);
	kc_json_int(o, "keyslots_removed", (int)a->f.n_keyslots);
	kc_json_int(o, "tokens_removed", (int)a->f.n_tokens);
	kc_json_bool(o, "adopted", !dry && !a->ours);
	kc_json_bool(o, "dry_run", dry);
	return kc_json_print(a->r, o);
}

static void tell(struct adopt *a)
{
	struct kc_run *r = a->r;

	if (kc_given(r, OPT_DRY_RUN) && a->ours)
		kc_say(r, "it is a volume of kcache already; nothing was changed");
	else if (kc_given(r, OPT_DRY_RUN))
		kc_say(r, "it can be adopted: its %u keyslots and %u tokens would go; nothing was changed, no KMS was asked",
		       a->f.n_keyslots, a->f.n_tokens);
	else if (a->ours)
		kc_say(r, "it is a volume of kcache already; what an interrupted adoption may have left of old keyslots is overwritten");
	else
		kc_say(r, "volume %s is under key %s now, which has opened it; the passphrases it had do not open it any more\nits key is the one it had: an older copy of its header still opens with them\nnext: kcache attach %s NAME",
		       a->h.layout.uuid, a->key.key, r->device);
}

int cmd_adopt(struct kc_run *r)
{
	struct adopt a = { .r = r, .blk = { .fd = -1, .claim_fd = -1 }, .f = { .copy_fd = -1 }, .h = { .copy_fd = -1 },
			   .image = -1 };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	kc_stop_install();
	ret = adopt(&a);
	if (ret && a.written && !r->err.next[0])
		snprintf(r->err.next, sizeof(r->err.next), "it has been written to; run the same command again");
	/* refusals before a key was chosen are answers, not events */
	if (a.key.key[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "adoptVolume",
			.volume = a.f.layout.uuid,
			.device = r->device,
			.key = a.key.key,
			.wrapped_by = a.t.wrapped_len ? "Encrypt" : NULL,
			.proven_by = a.dek ? "Decrypt" : NULL,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(&a);
	if (!ret)
		tell(&a);
	kc_secret_free(a.volume_key, KC_DEK_SIZE);
	kc_kms_close(a.kms);
	kc_known_free(&a.known);
	kc_header_free(&a.h);
	kc_foreign_free(&a.f);
	if (a.image >= 0)
		close(a.image);
	kc_blk_close(&a.blk);
	return ret;
}
