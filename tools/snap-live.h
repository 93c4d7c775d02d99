/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A snapshot of a volume that is attached: taken, and its devices cleared away, also those that somebody has left. */
#ifndef SNAP_LIVE_H
#define SNAP_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "dm-snap.h"

struct kc_run;

/**
 * kc_snap_lock() - that nobody else works on snapshots of a volume
 * @name: mapped
 *
 * Return: a descriptor of the volume, which holds the lock until it is closed; -1 with KC_BUSY if there is
 * somebody. It goes with the process, whatever ends that.
 */
int kc_snap_lock(const char *name, struct kc_error *err);

/**
 * kc_snap_take() - the volume stands on the origin from now on, and @s shows its device as it is at this moment
 * @d: as it was found
 * @bytes: of its device
 * @folder: for the COW store, where --cow names none
 * @ms: receives for how long nothing could be written
 *
 * After a failure all is as it was.
 */
int kc_snap_take(struct kc_run *r, const struct kc_dm *d, const char *id, uint64_t bytes, const char *folder,
		 struct kc_dm_snap *s, uint64_t *ms);

/**
 * kc_snap_clear() - the volume stands on its device again, and the snapshot is gone
 * @volume: its UUID, or NULL
 * @name: it is, or was, mapped under
 *
 * Return: 0, also where there is nothing. Where the volume does not leave the origin, because its key is
 * gone, the origin stays: it slows nothing down.
 */
int kc_snap_clear(const char *volume, const char *name, struct kc_error *err);

#endif
