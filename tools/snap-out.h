/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the blocks of a snapshot go: a file of its own, or a device that becomes a volume. */
#ifndef SNAP_OUT_H
#define SNAP_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "blk.h"
#include "snap-map.h"

struct kc_run;

enum kc_out_kind {
	KC_OUT_NONE,	/* nowhere */
	KC_OUT_IMAGE,	/* a raw image, in a new file: what is not written is a hole */
	KC_OUT_PACKED,	/* the blocks of an incremental, one behind the other */
	KC_OUT_DEVICE,	/* a device, or a file that was there: everything is written, zeros too */
};

/**
 * struct kc_out - where blocks go
 * @path: for errors; borrowed
 * @at: PACKED: where the next block goes
 * @bytes: written since it was opened
 * @flushed: IMAGE and PACKED: up to where the page cache was given back
 * @blk: DEVICE: claimed
 */
struct kc_out {
	enum kc_out_kind kind;
	const char *path;
	int fd;
	uint64_t at;
	uint64_t bytes;
	uint64_t flushed;
	struct kc_blk blk;
};

/**
 * kc_out_file() - a new file for the blocks that @m stores
 * @resume: it is there, with the first @m->done blocks in it
 */
int kc_out_file(struct kc_out *o, const char *path, const struct kc_snap_map *m, bool resume, struct kc_error *err);

/**
 * kc_out_device() - a device that takes all of @m: claimed, large enough, and blank or may be overwritten
 *
 * Nothing is written yet. Return: KC_DEVICE if it is too small or no device; KC_BUSY if it is in use, or not
 * blank and neither --force nor a typed YES says that it does not matter.
 */
int kc_out_device(struct kc_out *o, struct kc_run *r, const char *path, const struct kc_snap_map *m);

/**
 * kc_out_begin() - from here on it is written
 *
 * A device loses every signature and its first block, which the metadata is in: whatever
 * interrupts what follows, it is no volume until that is put again, as the last.
 */
int kc_out_begin(struct kc_out *o, const struct kc_snap_map *m, struct kc_error *err);

/** kc_out_put() - block @b, whose sum is in @m; in the order of kc_snap_block() */
int kc_out_put(struct kc_out *o, const struct kc_snap_map *m, uint64_t b, const void *data, struct kc_error *err);

/** kc_out_sync() - what was put is on the disk; before the last block, and at the end */
int kc_out_sync(struct kc_out *o, struct kc_error *err);

void kc_out_close(struct kc_out *o);

#endif
