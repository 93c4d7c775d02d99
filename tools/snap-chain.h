/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chain of snapshots: a full one, and the incrementals that build on it. */
#ifndef SNAP_CHAIN_H
#define SNAP_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "snap-map.h"

/* "FILE.map" and the like */
#define KC_SNAP_PATH_MAX 4096

/**
 * struct kc_link - one snapshot of a chain
 * @path: its file; borrowed
 * @at: PACKED: where its next block lies
 */
struct kc_link {
	const char *path;
	int fd;
	uint64_t at;
	struct kc_snap_map m;
};

struct kc_chain {
	struct kc_link *link;
	size_t n;
};

/** kc_snap_path() - @file with @suffix behind it; KC_USAGE if that is too long */
int kc_snap_path(char path[static KC_SNAP_PATH_MAX], const char *file, const char *suffix, struct kc_error *err);

/** kc_snap_load() - the map at @path, finished */
int kc_snap_load(const char *path, struct kc_snap_map *m, struct kc_error *err);

/**
 * kc_chain_open() - open and check the links, the oldest first
 * @map: the map of a single @files[0], instead of the one beside it; or NULL
 *
 * Return: 0; KC_TAMPERED if the first is not a full one, one of them does not build on the
 * one before it, or a file is cut off; KC_DEVICE if one is not there.
 * kc_chain_close() it also after an error.
 */
int kc_chain_open(struct kc_chain *c, const char *const *files, size_t n, const char *map, struct kc_error *err);
void kc_chain_close(struct kc_chain *c);

/** kc_chain_map() - the newest: what the chain makes */
const struct kc_snap_map *kc_chain_map(const struct kc_chain *c);

/**
 * kc_chain_read() - the next block, in the order of kc_snap_block(), checked against the newest map
 * @b: which
 * @data: room for KC_SNAP_BLOCK
 *
 * Return: 0; KC_TAMPERED where it is not what the map says.
 */
int kc_chain_read(struct kc_chain *c, uint64_t b, void *data, struct kc_error *err);

#endif
