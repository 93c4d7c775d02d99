/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of a snapshot: which volume at which instant, a SHA-256 for each of its blocks,
 * and which of them lie in the snapshot's own file (Documentation/snapshots.md).
 */
#ifndef KC_SNAP_MAP_H
#define KC_SNAP_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "token.h"

#define KC_SNAP_BLOCK (512U << 10)
#define KC_SNAP_SUM 32
/* more would be a sparse file of nothing: 64 TiB */
#define KC_SNAP_BLOCKS_MAX (UINT64_C(1) << 27)

/**
 * struct kc_snap_map - a map, in memory as it is in its file
 * @id: of this snapshot
 * @parent: of the snapshot that it builds on; empty for a full one
 * @parent_sum: the checksum of the parent's map: another map under the same id is no parent
 * @volume: LUKS UUID
 * @lineage, @generation: as the first token in the header says; not verified
 * @created: RFC 3339
 * @size: bytes of the device
 * @header: bytes in front of the data
 * @done: blocks that are copied, in the order of kc_snap_block(); all of them in a finished map
 * @blocks: how many there are; the last may be short
 * @sum: SHA-256 of each; all zeros stand for a block of zeros, which lies in no file
 * @here: a bit for each: it differs from the parent's; NULL in a full one
 * @own_sum: checksum of this map, hex; empty until it is finished
 */
struct kc_snap_map {
	char id[KC_UUID_LEN + 1];
	char parent[KC_UUID_LEN + 1];
	char parent_sum[65];
	char volume[KC_UUID_LEN + 1];
	char lineage[33];
	uint64_t generation;
	char created[32];
	uint64_t size;
	uint64_t header;
	uint64_t done;
	uint64_t blocks;
	uint8_t (*sum)[KC_SNAP_SUM];
	uint8_t *here;
	char own_sum[65];
};

/**
 * kc_snap_map_new() - room for the sums of @m, whose @size, @header and @parent are set
 *
 * kc_snap_map_free() it also after an error.
 */
int kc_snap_map_new(struct kc_snap_map *m, struct kc_error *err);
void kc_snap_map_free(struct kc_snap_map *m);

/** kc_snap_block() - the @k-th block to be copied or restored: the first, with the LUKS2 metadata, is the last */
uint64_t kc_snap_block(const struct kc_snap_map *m, uint64_t k);

/** kc_snap_header() - how many blocks there are up to the data */
uint64_t kc_snap_header(const struct kc_snap_map *m);

/** kc_snap_len() - bytes of block @b */
uint32_t kc_snap_len(const struct kc_snap_map *m, uint64_t b);

bool kc_snap_is_zero(const struct kc_snap_map *m, uint64_t b);

/** kc_snap_has() - does the block differ from the parent's? Always, where there is none */
bool kc_snap_has(const struct kc_snap_map *m, uint64_t b);

/** kc_snap_stored() - are there bytes of it in the snapshot's file? */
bool kc_snap_stored(const struct kc_snap_map *m, uint64_t b);

void kc_snap_set(struct kc_snap_map *m, uint64_t b);

/** kc_snap_file_size() - bytes of the snapshot's file: the device's, or of all that is stored packed */
uint64_t kc_snap_file_size(const struct kc_snap_map *m);

/** kc_snap_sum() - SHA-256 of a block, all zeros if it is nothing but zeros */
int kc_snap_sum(const void *data, size_t len, uint8_t sum[static KC_SNAP_SUM], struct kc_error *err);

/**
 * kc_snap_map_read() - read a map from a file
 * @path: for errors
 * @partial: accept one that is not finished (and has no checksum yet)
 *
 * Return: 0; KC_TAMPERED if it is cut off, damaged or no map; KC_DEVICE if it cannot be read.
 */
int kc_snap_map_read(int fd, const char *path, bool partial, struct kc_snap_map *m, struct kc_error *err);

/**
 * kc_snap_map_write() - write what has changed since @from blocks were done
 *
 * A map whose blocks are all done gets its checksum, in the file and in @m.
 */
int kc_snap_map_write(int fd, const char *path, struct kc_snap_map *m, uint64_t from, struct kc_error *err);

/** kc_snap_io_failed() - errno as an error about a file; a full disk says so */
int kc_snap_io_failed(struct kc_error *err, const char *doing, const char *path);

/* all of it, at a place; 0 or -1 with errno, ENODATA at the end of the file */
int kc_snap_pread(int fd, void *buf, size_t len, uint64_t at);
int kc_snap_pwrite(int fd, const void *buf, size_t len, uint64_t at);

#endif
