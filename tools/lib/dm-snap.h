/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mapped devices under a volume while a snapshot of it is taken: an origin that the
 * volume stands on instead of its device, and the snapshot that shows the device as it was.
 */
#ifndef KC_DM_SNAP_H
#define KC_DM_SNAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dm.h"

/* "KCSNAP-<volume>-<id>-origin" and "...-snap", UUIDs without their dashes */
#define KC_DM_SNAP_PREFIX "KCSNAP-"

/* 512-byte sectors that are copied when one of them is written for the first time */
#define KC_DM_SNAP_CHUNK 64U

/**
 * struct kc_dm_snap - the two devices
 * @id: of the snapshot
 * @origin, @snap: their names; empty where there is none
 * @origin_dev, @snap_dev: their numbers
 * @below: what the origin stands on: the volume's own device; 0:0 without an origin
 * @cow: what keeps the blocks that were overwritten; 0:0 without a snapshot
 */
struct kc_dm_snap {
	char id[KC_UUID_LEN + 1];
	char origin[KC_DM_NAME_MAX];
	char snap[KC_DM_NAME_MAX];
	dev_t origin_dev;
	dev_t snap_dev;
	dev_t below;
	dev_t cow;
};

/**
 * kc_dm_snap_find() - those of a volume, found by its UUID or by the name it is mapped under
 * @volume: or NULL
 * @name: or NULL: what is left may be all there is of it
 * @s: its id is empty if there are none
 */
int kc_dm_snap_find(const char *volume, const char *name, struct kc_dm_snap *s, struct kc_error *err);

/** kc_dm_snap_below() - if @dev is an origin, what it stands on; else @dev itself */
dev_t kc_dm_snap_below(dev_t dev);

/**
 * kc_dm_snap_make() - make both; nothing stands on the origin yet
 * @d: the volume
 * @id: of the snapshot
 * @bytes: of the device that it stands on
 * @cow: the device that keeps what is overwritten; may be larger than ever needed
 * @s: filled as far as it came
 *
 * Hidden from udev's rules: nobody else is to look at them. Nothing is left after a failure.
 */
int kc_dm_snap_make(const struct kc_dm *d, const char *id, uint64_t bytes, dev_t cow, struct kc_dm_snap *s,
		    struct kc_error *err);

/**
 * kc_dm_snap_usage() - how much of the COW store is in use
 * @used, @total: bytes; or NULL
 *
 * Return: KC_DEVICE if the snapshot is not good any more: the store is full, or failed.
 */
int kc_dm_snap_usage(const struct kc_dm_snap *s, uint64_t *used, uint64_t *total, struct kc_error *err);

/** kc_dm_snap_drop() - remove them; @deferred: the origin when the volume on it goes */
int kc_dm_snap_drop(struct kc_dm_snap *s, bool deferred, struct kc_error *err);

/**
 * kc_dm_move() - the volume stands on @below from now on, under the same key
 * @freeze: freeze a filesystem on it first, and have everything written out
 * @ms: receives for how long nothing could be written; or NULL
 *
 * After a failure it stands where it stood, and runs, whatever becomes of this process.
 */
int kc_dm_move(const struct kc_dm *d, dev_t below, bool freeze, uint64_t *ms, struct kc_error *err);

#endif
