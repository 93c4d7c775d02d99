/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a snapshot copies: a volume in use, held at one instant, or the device of one that is not attached. */
#ifndef SNAP_SOURCE_H
#define SNAP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "blk.h"
#include "dm-snap.h"
#include "snap-map.h"

struct kc_run;

/**
 * struct kc_source - what is copied
 * @name: of the mapped device; empty for a volume that is not attached
 * @volume, @bytes: its UUID, and the size of its device
 * @lock: nobody else takes a snapshot of it; -1 without
 * @d: as it was found
 * @s: the snapshot's devices
 * @taken: they are there, and the volume stands on the origin
 * @lost: and no use any more
 * @ms: for how long nothing could be written
 * @blk: the volume's device; claimed where nothing is mapped
 * @fd: what is read
 * @header: the header's blocks, read at once and looked at
 * @m: the map that is being made; borrowed
 */
struct kc_source {
	struct kc_run *r;
	const char *name;
	char volume[KC_UUID_LEN + 1];
	uint64_t bytes;
	int lock;
	struct kc_dm d;
	struct kc_dm_snap s;
	bool taken, lost;
	uint64_t ms;
	struct kc_blk blk;
	int fd;
	int header;
	struct kc_snap_map *m;
};

/**
 * kc_source_find() - find and hold it; fills r->volume and r->device
 * @arg: a name in /dev/mapper, or the path of the device of a volume that is not attached
 *
 * kc_source_close() it also after an error.
 */
int kc_source_find(struct kc_source *s, struct kc_run *r, const char *arg);
void kc_source_close(struct kc_source *s);

/**
 * kc_source_take() - hold a mapped one at this instant; nothing to do for another
 * @id: of the snapshot
 * @folder: for the COW store, where --cow names none
 */
int kc_source_take(struct kc_source *s, const char *id, const char *folder);

/**
 * kc_source_open() - have it ready for reading
 * @m: gets what the header says, and its room for sums; one that an earlier run has begun is gone on with
 */
int kc_source_open(struct kc_source *s, struct kc_snap_map *m);

/** kc_source_read() - a block; @data is the source (struct kc_copy) */
int kc_source_read(void *data, uint64_t b, void *block, struct kc_error *err);

/** kc_source_good() - is what was read so far the instant? @data is the source */
int kc_source_good(void *data, struct kc_error *err);

/** kc_source_stood() - the volume has not left the origin: what it had written past it would not have been kept */
int kc_source_stood(struct kc_source *s);

#endif
