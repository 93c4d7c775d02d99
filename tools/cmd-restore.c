// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache restore: a snapshot, or a chain of them, back to a device.
 *
 * Every block is checked before it is written. The first, with the header's metadata, is the
 * last that is written, after all else is on the disk: an interrupted restore leaves a device
 * that is no volume.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "header.h"
#include "kcache.h"
#include "snap-chain.h"
#include "snap-copy.h"
#include "stop.h"

/** struct restore - one on its way; @began: the device is not as it was any more */
struct restore {
	struct kc_run *r;
	struct kc_chain chain;
	struct kc_out out;
	const char *device;
	bool began;
};

int check_restore(struct kc_run *r)
{
	if (kc_given(r, OPT_MAP) && r->n_arg > 2)
		return kc_fail(&r->err, KC_USAGE, "put the map of each file beside it, as FILE.map",
			       "--map is for a single file");
	return 0;
}

static int read_chain(void *data, uint64_t b, void *block, struct kc_error *err)
{
	struct restore *t = data;

	return kc_chain_read(&t->chain, b, block, err);
}

/* Is it there, on the device? */
static int prove(struct restore *t)
{
	struct kc_error *err = &t->r->err;
	struct kc_header h = { 0 };
	int ret;

	ret = kc_header_load(t->out.blk.fd, &h, err);
	if (!ret && strcmp(h.layout.uuid, kc_chain_map(&t->chain)->volume) != 0)
		ret = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the header reads back as one of volume %s", h.layout.uuid);
	if (!ret)
		kc_warn_damaged(t->r, &h);
	kc_header_free(&h);
	return ret;
}

static int restore(struct restore *t)
{
	const size_t n = (size_t)t->r->n_arg - 1;
	const struct kc_snap_map *m;
	struct kc_copy c = { .read = read_chain, .data = t, .map_fd = -1 };
	int ret;

	ret = kc_chain_open(&t->chain, t->r->arg, n, t->r->opt[OPT_MAP], &t->r->err);
	if (ret)
		return ret;
	m = kc_chain_map(&t->chain);
	snprintf(t->r->volume, sizeof(t->r->volume), "%s", m->volume);
	ret = kc_out_device(&t->out, t->r, t->device, m);
	if (ret)
		return ret;
	if (kc_given(t->r, OPT_DRY_RUN)) {
		kc_out_close(&t->out);
	} else {
		ret = kc_stop_check(&t->r->err);
		t->began = !ret;
		if (!ret)
			ret = kc_out_begin(&t->out, m, &t->r->err);
	}
	c.map = m;
	c.out = &t->out;
	if (!ret)
		ret = kc_copy(&c, t->r);
	if (!ret && t->began)
		ret = prove(t);
	if (ret && kc_stopped())
		ret = kc_stop_check(&t->r->err);
	if (ret && t->began)
		kc_warn(t->r, "%s is no volume now: run it again with --force", t->device);
	return ret;
}

static int print_result(struct restore *t)
{
	const struct kc_snap_map *m = kc_chain_map(&t->chain);
	struct json_object *o;
	char size[24];

	kc_say(t->r, t->began ? "kcache: %s: snapshot of %s, %s, is on %s" :
		"kcache: %s: snapshot of %s, %s, is whole; nothing was written to %s", t->r->volume, m->created,
	       kc_size_text(m->size, size), t->device);
	if (!kc_given(t->r, OPT_JSON)) {
		puts(m->volume);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "uuid", m->volume);
	kc_json_str(o, "snapshot", m->id);
	kc_json_str(o, "created", m->created);
	kc_json_str(o, "device", t->device);
	kc_json_u64(o, "size", m->size);
	kc_json_u64(o, "written_bytes", t->out.bytes);
	kc_json_bool(o, "dry_run", !t->began);
	return kc_json_print(t->r, o);
}

int cmd_restore(struct kc_run *r)
{
	struct restore t = { .r = r, .device = r->arg[r->n_arg - 1] };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", t.device);
	kc_stop_install();
	ret = restore(&t);
	if (t.began)
		kc_audit_event(r, &(struct kc_event){
			.event = "restoreSnapshot",
			.volume = kc_chain_map(&t.chain)->volume,
			.device = t.device,
			.snapshot = kc_chain_map(&t.chain)->id,
			.file = r->arg[r->n_arg - 2],
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(&t);
	kc_out_close(&t.out);
	kc_chain_close(&t.chain);
	return ret;
}
