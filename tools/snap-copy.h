/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy itself: from what stands still, block by block, to where snapshots go. */
#ifndef SNAP_COPY_H
#define SNAP_COPY_H

#include <stdint.h>

#include "snap-map.h"
#include "snap-out.h"

struct kc_run;

/**
 * struct kc_copy - one copy
 * @read: block @b of the source to @data
 * @good: is what was read so far good? Asked before what was read is relied upon; or NULL
 * @data: for both
 * @parent: the map that tells what has changed; NULL for a full one
 * @made: the map that is being made; NULL in a restore
 * @map: the same one; in a restore that which was there, against which @read has checked the block
 * @out: begun; closed for a copy to nowhere
 * @map_fd: where the map is kept, -1 for nowhere
 * @map_path: for errors
 */
struct kc_copy {
	int (*read)(void *data, uint64_t b, void *block, struct kc_error *err);
	int (*good)(void *data, struct kc_error *err);
	void *data;
	const struct kc_snap_map *parent;
	struct kc_snap_map *made;
	const struct kc_snap_map *map;
	struct kc_out *out;
	int map_fd;
	const char *map_path;
};

/**
 * kc_copy() - all blocks, those after the ones that @made says are done
 *
 * The last, with the header, comes after all others are on the disk. With @map_fd every few seconds
 * what was done is put down there, once it is on the disk.
 *
 * Return: 0; else what failed, or that a signal came.
 */
int kc_copy(struct kc_copy *c, struct kc_run *r);

#endif
