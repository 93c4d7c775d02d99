/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host trusts: keys allowed by configuration, and the volumes it has
 * attached before. Whoever can write a disk could otherwise put in a token for
 * a DEK of their own choosing, or an older header.
 */
#ifndef KC_PINS_H
#define KC_PINS_H

#include "conf.h"
#include "header.h"

/**
 * struct kc_known - what is remembered of a volume: <state_dir>/volumes/<uuid>.json, no secrets
 * @keys: canonical key ids it was opened with, the last one last; at most 32
 * @backups: absolute paths of the backups of its header that were made here, the last one last;
 *	at most 16. They may have been moved or deleted since
 */
struct kc_known {
	char uuid[KC_UUID_LEN + 1];
	char lineage[33];
	uint64_t generation;
	char **keys;
	size_t n_keys;
	char **backups;
	size_t n_backups;
};

/** kc_known_load() - 0 with an empty @k (k->uuid[0] == 0) for a volume never seen */
int kc_known_load(const struct kc_conf *c, const char *uuid, struct kc_known *k, struct kc_error *err);
void kc_known_free(struct kc_known *k);

/**
 * kc_known_save() - remember @t of @h: adds the key, raises the generation
 *
 * Atomic and fsync()ed; the folder is made 0700. Only for a token whose DEK was
 * verified. KC_TAMPERED for a generation lower than the one remembered.
 */
int kc_known_save(const struct kc_conf *c, const struct kc_header *h, const struct kc_token *t,
		  struct kc_error *err);

/**
 * kc_known_forget() - @key is no recipient of volume @uuid any more: it is not pinned by having been one
 *
 * So that a token under it, put back by whoever can write the disk, is refused. The last key
 * stays. 0 also where nothing is known.
 */
int kc_known_forget(const struct kc_conf *c, const char *uuid, const char *key, struct kc_error *err);

/**
 * kc_known_backup() - a backup of the header of a known volume is at @path
 * @path: absolute
 *
 * Return: 0; KC_DEVICE where the volume is not known, since only an unwrapped DEK makes it so;
 * KC_USAGE for a path that is too long or has control characters.
 */
int kc_known_backup(const struct kc_conf *c, const char *uuid, const char *path, struct kc_error *err);

/** kc_known_remove() - forget a volume altogether; 0 also where nothing is known */
int kc_known_remove(const struct kc_conf *c, const char *uuid, struct kc_error *err);

/**
 * kc_known_each() - call @fn for every known volume, by uuid, until it returns non-zero
 *
 * A file that cannot be read is passed over, and its error is returned at the end.
 */
int kc_known_each(const struct kc_conf *c, int (*fn)(const struct kc_known *k, void *data), void *data,
		  struct kc_error *err);

/**
 * kc_pin_age() - is this no older a header than the newest one seen, and of the same DEK?
 *
 * KC_TAMPERED for a generation lower than the highest one seen, and for another lineage in the
 * same generation.
 */
int kc_pin_age(const struct kc_token *t, const struct kc_known *k, struct kc_error *err);

/**
 * kc_pin_check() - may this token be used on this host?
 * @named: canonical id of a key named on the command line, or NULL
 *
 * Return: 0; KC_TAMPERED for a key that is neither allowed, nor known for this volume, nor named;
 * and, whatever was named, where kc_pin_age() does not hold.
 */
int kc_pin_check(const struct kc_conf *c, const struct kc_token *t, const struct kc_known *k,
		 const char *named, struct kc_error *err);

#endif
