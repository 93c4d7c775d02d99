// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop that snapshot and restore have in common: read, sum, write, and from time to
 * time make sure that all of it is on the disk, so that little is lost by an interruption.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "progress.h"
#include "snap-copy.h"
#include "stop.h"

#define EVERY_SECONDS 5
#define EVERY_BYTES (UINT64_C(256) << 20)
/* for O_DIRECT, whatever the device's sectors are */
#define ALIGN 4096

/**
 * struct way - how far it is
 * @kept: blocks that are on the disk, and in the map's file
 * @kept_bytes: of @out
 */
struct way {
	struct kc_copy *c;
	struct kc_error *err;
	struct kc_progress progress;
	uint64_t done;
	uint64_t kept;
	uint64_t kept_bytes;
	time_t kept_at;
};

static time_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* What was copied is good, on the disk, and put down as done. */
static int keep(struct way *w)
{
	struct kc_copy *c = w->c;
	int ret;

	ret = c->good ? c->good(c->data, w->err) : 0;
	if (!ret)
		ret = kc_out_sync(c->out, w->err);
	if (!ret && c->made)
		c->made->done = w->done;
	if (!ret && c->map_fd >= 0)
		ret = kc_snap_map_write(c->map_fd, c->map_path, c->made, w->kept, w->err);
	if (ret)
		return ret;
	w->kept = w->done;
	w->kept_bytes = c->out->bytes;
	w->kept_at = seconds();
	return 0;
}

static int copy_block(struct way *w, uint64_t b, void *block)
{
	struct kc_copy *c = w->c;
	int ret;

	ret = c->read(c->data, b, block, w->err);
	if (!ret && c->made)
		ret = kc_snap_sum(block, kc_snap_len(c->map, b), c->made->sum[b], w->err);
	if (ret)
		return ret;
	if (c->made && c->parent && memcmp(c->parent->sum[b], c->made->sum[b], KC_SNAP_SUM) != 0)
		kc_snap_set(c->made, b);
	return kc_out_put(c->out, c->map, b, block, w->err);
}

static int copy_all(struct way *w, void *block)
{
	struct kc_copy *c = w->c;
	const struct kc_snap_map *m = c->map;
	int ret = 0;

	while (!ret && w->done < m->blocks) {
		const uint64_t b = kc_snap_block(m, w->done);

		ret = kc_stop_check(w->err);
		/* an interrupted restore has no header */
		if (!ret && w->done + 1 == m->blocks)
			ret = keep(w);
		if (!ret)
			ret = copy_block(w, b, block);
		if (ret)
			break;
		w->done++;
		kc_progress(&w->progress, w->done * KC_SNAP_BLOCK);
		if (c->out->bytes - w->kept_bytes >= EVERY_BYTES || seconds() - w->kept_at >= EVERY_SECONDS)
			ret = keep(w);
	}
	return ret ? ret : keep(w);
}

int kc_copy(struct kc_copy *c, struct kc_run *r)
{
	struct way w = {
		.c = c,
		.err = &r->err,
		.done = c->made ? c->made->done : 0,
		.kept_at = seconds(),
		.kept_bytes = c->out->bytes,
	};
	void *block = aligned_alloc(ALIGN, KC_SNAP_BLOCK);
	int ret;

	w.kept = w.done;
	if (!block)
		return kc_fail(w.err, KC_NOMEM, NULL, "out of memory for a block");
	kc_progress_begin(&w.progress, r, c->map->size, w.done * KC_SNAP_BLOCK);
	ret = copy_all(&w, block);
	kc_progress_end(&w.progress, ret ? w.done * KC_SNAP_BLOCK : c->map->size);
	free(block);
	return ret;
}
