/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a device to its DEK, and from a DEK to a mapped device: what attach does, in
 * steps, for those who do a part of it.
 */
#ifndef KC_OPEN_H
#define KC_OPEN_H

#include "blk.h"
#include "dm.h"
#include "keyring.h"
#include "unwrap.h"

/**
 * struct kc_volume - a volume that is being opened
 * @blk: kc_blk_open() it first
 * @named: canonical id of the key given with --key; empty without
 * @used: the recipient whose DEK was good
 * @dek: in the key helper's mapping; NULL until unwrapped and verified
 * @answer: what its recipients said to kc_volume_unwrap()
 */
struct kc_volume {
	struct kc_blk blk;
	struct kc_header h;
	struct kc_known known;
	struct kc_kms *kms;
	char named[KC_KEY_NAME_MAX];
	const struct kc_token *used;
	const uint8_t *dek;
	enum kc_answer answer;
};

#define KC_VOLUME_INIT { .blk = { .fd = -1, .claim_fd = -1 }, .answer = KC_ANSWER_SILENT }

/** kc_volume_header() - read the header, and what this host knows of the volume; asks no KMS */
int kc_volume_header(struct kc_run *r, struct kc_volume *v);

/**
 * kc_volume_unwrap() - have the DEK unwrapped, with the pins and rules before and digest and mac after it
 *
 * With --key, that recipient is asked and no other; it may be named by an alias.
 */
int kc_volume_unwrap(struct kc_run *r, struct kc_volume *v);

/** kc_volume_key() - put the DEK into the process keyring, and wipe it here, whatever comes of that */
int kc_volume_key(struct kc_volume *v, struct kc_keyring *key, struct kc_error *err);

/** kc_volume_free() - also after an error; wipes a DEK that is still there */
void kc_volume_free(struct kc_volume *v);

/**
 * kc_map() - map a volume whose key is in the process keyring
 * @blk: opened and claimed: the claim is given up for device-mapper's own
 * @below: the block device that carries it: @blk's own, or the loop device of a file
 * @key: dropped, whatever comes of it
 *
 * After a failure, and after a signal, nothing is mapped and no key is left.
 */
int kc_map(const char *name, struct kc_blk *blk, dev_t below, const struct kc_layout *l, struct kc_keyring *key,
	   const struct kc_dm_options *o, struct kc_error *err);

/**
 * kc_map_below() - the block device for @blk, which is claimed: itself, or a loop device of its file
 * @loop: receives a descriptor to be closed after kc_map(), -1 for none: the mapped device keeps
 *	the loop device, without one it goes with the descriptor
 */
int kc_map_below(const struct kc_blk *blk, bool read_only, dev_t *below, int *loop, struct kc_error *err);

#endif
