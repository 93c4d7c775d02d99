// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Encrypting a volume anew in its place. Two mapped devices stand on it meanwhile, one with
 * the old DEK and one with the new, so that both are in the key cache and nowhere else; a
 * chunk is read through the one and written through the other. Before that its ciphertext
 * goes to the journal (lib/anew.c), which says where to go on.
 *
 * The header has the operation, with the new DEK wrapped for the volume to be, until all data
 * are done; then the header of that volume takes its place.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "area.h"
#include "kcache.h"
#include "newdek.h"
#include "op.h"
#include "open.h"
#include "progress.h"
#include "stop.h"

/**
 * struct run - one run of it
 * @as: the layout of the volume to be
 * @result: its header; @result_fd that and its keyslot
 * @name: the two mapped devices: [0] with the old DEK, [1] with the new
 * @anew: has descriptors of the device and of the two
 * @loop: of the loop device below a file
 */
struct run {
	struct kc_change *c;
	const char *named;
	struct kc_layout as;
	struct kc_known known;
	struct kc_header result;
	int result_fd;
	char name[2][64];
	int loop;
	dev_t below;
	struct kc_anew anew;
	struct kc_progress progress;
	bool begun;
};

/* What is read and written is a multiple of this. */
static uint64_t block_size(const struct kc_change *c)
{
	return c->h.layout.sector_size > c->blk.sector_size ? c->h.layout.sector_size : c->blk.sector_size;
}

static uint64_t data_size(const struct kc_change *c)
{
	const struct kc_layout *l = &c->h.layout;

	return (c->blk.size - l->offset) / l->sector_size * l->sector_size;
}

static int check_layout(const struct kc_change *c)
{
	if (c->h.layout.offset >= KC_JOURNAL_END && block_size(c) <= KC_JOURNAL_ALIGN && !(data_size(c) % block_size(c)))
		return 0;
	return kc_fail(&c->r->err, KC_DEVICE, "copy its data to a new volume",
		       "its layout leaves no room for a journal, or does not fit the device's sectors");
}

/* Making the new DEK. */

/* A host that cannot map it must find that out while the volume is what it was. */
static int try_to_map(struct kc_change *c, const uint8_t *dek)
{
	const struct kc_dm_options o = { .read_only = true, .hidden = true };
	struct kc_error *err = &c->r->err;
	struct kc_keyring key = { 0 };
	char name[64];
	int ret, loop;
	dev_t below;

	snprintf(name, sizeof(name), "kcache-clone-%.8s-try", c->h.layout.uuid);
	ret = kc_map_below(&c->blk, true, &below, &loop, err);
	if (ret)
		return ret;
	ret = kc_keyring_add(&key, c->h.layout.uuid, dek, err);
	kc_kms_wipe(c->kms);
	if (!ret)
		ret = kc_map(name, &c->blk, below, &c->h.layout, &key, &o, err);
	if (!ret)
		ret = kc_dm_remove(name, false, err);
	if (loop >= 0)
		close(loop);
	return ret ? ret : kc_blk_claim(&c->blk, true, err);
}

static int prove_old(struct kc_change *c, const char *named)
{
	struct kc_unwrap u = { .kms = c->kms, .h = &c->h, .known = &c->known, .named = named };
	unsigned int i;
	int ret;

	kc_unwrap_under(&u, NULL);
	ret = kc_unwrap(c->r, &u);
	/* dates, lease and on_revoke are copied from all of them */
	for (i = 0; !ret && i < c->h.n_tokens; i++)
		ret = kc_header_verify_dek(&c->h, &c->h.tokens[i], u.dek, &c->r->err);
	return ret ? ret : try_to_map(c, u.dek);
}

/* Recipient @i of the volume to be, after the example of one of this volume. */
static int new_token(struct kc_change *c, struct kc_op *op, const struct kc_token *like, const char *provider,
		     const char *key, const struct kc_layout *as, const uint8_t **dek)
{
	struct kc_token *t = &op->t[op->n];
	struct kc_error *err = &c->r->err;
	int ret;

	t->slot = -1;
	t->has_keyslot = true;
	t->lease = like->lease;
	t->on_revoke = like->on_revoke;
	memcpy(t->created, like->created, sizeof(t->created));
	snprintf(t->binding.provider, sizeof(t->binding.provider), "%s", provider);
	snprintf(t->binding.key, sizeof(t->binding.key), "%s", key);
	t->binding.version = KC_TOKEN_VERSION;
	memcpy(t->binding.context.id, as->uuid, sizeof(t->binding.context.id));
	t->binding.context.generation = like->binding.context.generation + 1;
	ret = kc_canon_layout(as, t->binding.context.layout, err);
	if (!ret)
		ret = op->n ? kc_kms_encrypt(c->kms, &t->binding, *dek, t->wrapped, &t->wrapped_len, err) :
			      kc_kms_generate(c->kms, &t->binding, t->wrapped, &t->wrapped_len, err);
	if (!ret)
		ret = kc_kms_decrypt(c->kms, &t->binding, t->wrapped, t->wrapped_len, dek, err);
	if (!ret)
		ret = kc_header_seal_token(t, as, c->h.flags, *dek, err);
	if (!ret && strcmp(t->lineage, op->t[0].lineage))
		ret = kc_fail(err, KC_TAMPERED, NULL, "key %s gave back another data key than was wrapped", key);
	op->n += !ret;
	return ret;
}

static int make_op(struct kc_change *c, const struct kc_key_info *only, struct kc_op *op)
{
	struct kc_layout as = c->h.layout;
	const uint8_t *dek = NULL;
	struct kc_header result = { 0 };
	int ret, fd = -1;
	unsigned int i;

	ret = kc_new_uuid(as.uuid, &c->r->err);
	if (!ret && only)
		ret = new_token(c, op, &c->h.tokens[0], only->provider, only->key, &as, &dek);
	for (i = 0; !ret && !only && i < c->h.n_tokens; i++)
		ret = new_token(c, op, &c->h.tokens[i], c->h.tokens[i].binding.provider,
				c->h.tokens[i].binding.key, &as, &dek);
	/* what the end of it needs must hold before its beginning */
	if (!ret) {
		c->h.op = op;
		ret = kc_header_op_result(&c->h, c->blk.size, dek, &result, &fd, &c->r->err);
		c->h.op = NULL;
		kc_header_free(&result);
	}
	if (fd >= 0)
		close(fd);
	kc_kms_wipe(c->kms);
	return ret;
}

/* What this host will have seen of the volume to be, its DEK above all: an operation with another is refused. */
static int remember(struct kc_change *c, const struct kc_op *op)
{
	struct kc_header h = { .layout = c->h.layout };
	unsigned int i;
	int ret = 0;

	memcpy(h.layout.uuid, op->t[0].binding.context.id, sizeof(h.layout.uuid));
	for (i = 0; !ret && i < op->n; i++)
		ret = kc_known_save(&c->r->conf, &h, &op->t[i], &c->r->err);
	return ret;
}

int kc_newdek_begin(struct kc_change *c, const struct kc_key_info *only)
{
	struct kc_error *err = &c->r->err;
	struct kc_header to = { 0 };
	struct kc_op *op = calloc(1, sizeof(*op));
	int ret;

	if (!op)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	ret = check_layout(c);
	if (!ret)
		ret = prove_old(c, only ? only->key : NULL);
	kc_kms_wipe(c->kms);
	if (!ret)
		ret = make_op(c, only, op);
	if (!ret)
		ret = kc_header_op_plan(c->blk.fd, &c->h, op, &to, err);
	if (!ret)
		ret = remember(c, op);
	/* the last point at which nothing has been written */
	if (!ret)
		ret = kc_stop_check(err);
	if (ret && op->n)
		kc_known_remove(&c->r->conf, op->t[0].binding.context.id, NULL);
	if (!ret)
		ret = kc_header_identity_write(&c->blk, &c->h, &to, err);
	kc_header_free(&to);
	free(op);
	if (ret)
		return ret;
	kc_header_free(&c->h);
	ret = kc_header_load_op(c->blk.fd, &c->h, err);
	if (!ret && !c->h.op)
		ret = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the operation is not in its header");
	return ret;
}

/* The data. */

static int step(void *data, uint64_t done, struct kc_error *err)
{
	struct run *n = data;

	/* where an earlier run stopped is known with the first chunk */
	if (!n->begun)
		kc_progress_begin(&n->progress, n->c->r, n->anew.size, done);
	n->begun = true;
	kc_progress(&n->progress, done);
	return kc_stop_check(err);
}

static int data(struct run *n)
{
	uint64_t done;
	int ret;

	ret = kc_anew_run(&n->anew, &done, &n->c->r->err);
	if (n->begun)
		kc_progress_end(&n->progress, done);
	return ret;
}

/* From the DEKs to two mapped devices. */

static void set_names(const struct kc_op *op, char name[2][64])
{
	snprintf(name[0], 64, "kcache-clone-%.8s-from", op->t[0].binding.context.id);
	snprintf(name[1], 64, "kcache-clone-%.8s-to", op->t[0].binding.context.id);
}

int kc_newdek_tidy(struct kc_change *c)
{
	char name[2][64];
	int ret;

	set_names(c->h.op, name);
	ret = kc_dm_remove(name[1], false, &c->r->err);
	return ret ? ret : kc_dm_remove(name[0], false, &c->r->err);
}

static int open_direct(const char *path, int flags, int *fd, struct kc_error *err)
{
	*fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	return *fd >= 0 ? 0 : kc_fail(err, KC_DEVICE, NULL, "cannot open %s: %m", path);
}

static int map(struct run *n, unsigned int which, const uint8_t *dek)
{
	const struct kc_layout *l = which ? &n->as : &n->c->h.layout;
	struct kc_dm_options o = { .read_only = !which, .hidden = true };
	struct kc_error *err = &n->c->r->err;
	struct kc_keyring key = { 0 };
	char node[96];
	int ret;

	ret = kc_keyring_add(&key, l->uuid, dek, err);
	kc_kms_wipe(n->c->kms);
	if (!ret)
		ret = kc_map(n->name[which], &n->c->blk, n->below, l, &key, &o, err);
	snprintf(node, sizeof(node), "/dev/mapper/%s", n->name[which]);
	return ret ? ret : open_direct(node, which ? O_RDWR : O_RDONLY, which ? &n->anew.to : &n->anew.from, err);
}

static int map_old(struct run *n)
{
	struct kc_change *c = n->c;
	struct kc_unwrap u = { .kms = c->kms, .h = &c->h, .known = &c->known, .named = n->named };
	int ret;

	kc_unwrap_under(&u, NULL);
	u.reserve = 1;
	ret = kc_unwrap(c->r, &u);
	return ret ? ret : map(n, 0, u.dek);
}

/* By one of the operation's tokens: the pins and rules before, the mac and lineage after it. */
static int unwrap_new(struct run *n, const struct kc_token *t, const uint8_t **dek, struct kc_error *err)
{
	struct kc_change *c = n->c;
	struct kc_binding b = t->binding;
	int ret;

	ret = kc_pin_check(&c->r->conf, t, &n->known, n->named, err);
	if (!ret)
		ret = kc_canon_layout(&n->as, b.context.layout, err);
	if (!ret)
		ret = kc_kms_decrypt(c->kms, &b, t->wrapped, t->wrapped_len, dek, err);
	if (!ret)
		ret = kc_header_op_result(&c->h, c->blk.size, *dek, &n->result, &n->result_fd, err);
	if (ret) {
		kc_kms_wipe(c->kms);
		kc_header_free(&n->result);
	}
	return ret;
}

static int map_new(struct run *n)
{
	const struct kc_op *op = n->c->h.op;
	struct kc_run *r = n->c->r;
	const uint8_t *dek = NULL;
	unsigned int i;
	int ret = KC_DEVICE;

	for (i = 0; ret && i < op->n; i++) {
		struct kc_error e = { 0 };

		ret = unwrap_new(n, &op->t[i], &dek, &e);
		if (ret && (r->err.code == KC_OK || (ret == KC_KMS_RETRY && r->err.code != KC_KMS_RETRY)))
			r->err = e;
	}
	if (ret)
		return (int)r->err.code;
	kc_error_clear(&r->err);
	return map(n, 1, dek);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void unmap(struct run *n)
{
	close_fd(&n->anew.to);
	close_fd(&n->anew.from);
	kc_dm_remove(n->name[1], false, NULL);
	kc_dm_remove(n->name[0], false, NULL);
	close_fd(&n->anew.raw);
	close_fd(&n->loop);
}

static int set_up(struct run *n)
{
	struct kc_change *c = n->c;
	struct kc_error *err = &c->r->err;
	char path[32];
	int ret;

	n->as = c->h.layout;
	memcpy(n->as.uuid, c->h.op->t[0].binding.context.id, sizeof(n->as.uuid));
	set_names(c->h.op, n->name);
	ret = kc_known_load(&c->r->conf, n->as.uuid, &n->known, err);
	if (ret)
		return ret;
	n->anew.block = block_size(c);
	n->anew.size = data_size(c);
	n->anew.offset = n->as.offset;
	n->anew.step = step;
	n->anew.data = n;
	ret = check_layout(c);
	if (ret)
		return ret;
	ret = kc_map_below(&c->blk, false, &n->below, &n->loop, err);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", n->loop >= 0 ? n->loop : c->blk.fd);
	ret = open_direct(path, O_RDWR, &n->anew.raw, err);
	/* what a copying program has left in the page cache */
	if (!ret && fdatasync(n->anew.raw))
		ret = kc_fail(err, KC_DEVICE, NULL, "cannot flush it: %m");
	if (!ret)
		ret = kc_journal_open(&n->anew.j, n->anew.raw, n->as.uuid, err);
	return ret;
}

/* The header of the volume to be: its keyslot, then the two copies. */
static int finish(struct run *n)
{
	struct kc_change *c = n->c;
	const size_t keyslots = KC_JOURNAL_START - 2 * c->h.area;
	struct kc_error *err = &c->r->err, left = { 0 };
	struct kc_header now = { 0 };
	uint8_t *bytes = malloc(keyslots);
	int ret;

	if (!bytes)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");
	ret = kc_blk_claim(&c->blk, true, err);
	if (!ret)
		ret = kc_header_load_op(c->blk.fd, &now, err);
	if (!ret && strcmp(now.json, c->h.json))
		ret = kc_fail(err, KC_BUSY, "run the same command again", "something else has changed the header meanwhile");
	if (!ret)
		ret = kc_area_read(n->result_fd, 2 * c->h.area, bytes, keyslots, err);
	if (!ret)
		ret = kc_area_write(&c->blk, 2 * c->h.area, bytes, keyslots, err);
	if (!ret)
		ret = kc_header_identity_write(&c->blk, &now, &n->result, err);
	kc_header_free(&now);
	free(bytes);
	if (!ret)
		ret = kc_header_load(c->blk.fd, &now, err);
	if (!ret && strcmp(now.json, n->result.json))
		ret = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the header reads back differently from what was written");
	kc_header_free(&now);
	/* ciphertext of the old DEK: no harm, but no use either */
	if (!ret && kc_area_erase(&c->blk, KC_JOURNAL_START, KC_JOURNAL_END, &left))
		kc_warn(c->r, "the journal was not erased: %s", left.text);
	return ret;
}

int kc_newdek_run(struct kc_change *c, const char *named)
{
	struct run n = { .c = c, .named = named, .result_fd = -1, .loop = -1, .anew = { .raw = -1, .from = -1, .to = -1 } };
	int ret;

	ret = set_up(&n);
	if (!ret)
		ret = map_old(&n);
	if (!ret)
		ret = map_new(&n);
	if (!ret)
		ret = data(&n);
	if (n.name[0][0])
		unmap(&n);
	if (!ret)
		ret = finish(&n);
	kc_kms_wipe(c->kms);
	kc_journal_close(&n.anew.j);
	kc_header_free(&n.result);
	if (n.result_fd >= 0)
		close(n.result_fd);
	kc_known_free(&n.known);
	return ret;
}
