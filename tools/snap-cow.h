/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where dm-snapshot keeps what the volume overwrites while a snapshot of it is copied. */
#ifndef SNAP_COW_H
#define SNAP_COW_H

#include <stdint.h>
#include <sys/types.h>

#include "blk.h"
#include "dm.h"

struct kc_run;

/**
 * struct kc_cow - a store
 * @fd: the loop device on a temporary file, or the device; keeps it until the snapshot stands on it
 * @dev: its number
 * @bytes: how large it is
 */
struct kc_cow {
	int fd;
	dev_t dev;
	uint64_t bytes;
};

/**
 * kc_cow_open() - --cow: a blank device, or the folder of a temporary file that has no name
 * @d: the volume; neither it nor its device may be what the store is on
 * @bytes: of its device: more is never needed
 * @folder: without --cow
 *
 * A file takes --cow-size MiB, or a fifth of the volume, and has that room from the beginning.
 * Return: KC_DEVICE if there is no room; KC_BUSY if it is in use, not blank, or on the volume.
 */
int kc_cow_open(struct kc_cow *c, struct kc_run *r, const struct kc_dm *d, uint64_t bytes, const char *folder);
void kc_cow_close(struct kc_cow *c);

/**
 * kc_cow_hold() - open the store of a snapshot that is about to be removed
 *
 * Return: a descriptor for kc_cow_blank(), -1 where that is not needed: a temporary file is gone by itself.
 */
int kc_cow_hold(dev_t dev);

/** kc_cow_blank() - leave the device as it was found, so that the next snapshot finds it blank; closes @fd */
void kc_cow_blank(int fd);

#endif
