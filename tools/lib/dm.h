/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mapped devices of target kcache, through libdevmapper. */
#ifndef KC_DM_H
#define KC_DM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "canon.h"
#include "error.h"

/* libdevmapper's limits, with the NUL */
#define KC_DM_NAME_MAX 128
#define KC_DM_UUID_MAX 129
#define KC_DM_UUID_PREFIX "KCACHE-"

/**
 * struct kc_dm - a mapped device of ours
 * @name: dm name
 * @volume: the LUKS UUID, from the dm UUID "KCACHE-<32 digits>-<name>"
 * @dev: its device number
 * @below: the device it stands on; 0:0 without a table
 * @origin: what stands in between while a snapshot of it is taken (dm-snap.h); 0:0 for nothing
 * @size: bytes
 * @opens: how many have it open, mounts and holders included
 * @suspended, @read_only, @deferred: deferred is a detach --lazy that waits for the last user
 * @target: "kcache", or what somebody has put in its place; empty without a table
 * @info: the target's INFO status, "name:value" words
 * @table: the target's table parameters; never key material
 */
struct kc_dm {
	char name[KC_DM_NAME_MAX];
	char volume[KC_UUID_LEN + 1];
	dev_t dev;
	dev_t below;
	dev_t origin;
	uint64_t size;
	int opens;
	bool suspended;
	bool read_only;
	bool deferred;
	char target[32];
	char info[1024];
	char table[1024];
};

/** kc_dm_check_name() - may a mapped device have this name? KC_USAGE with the reason */
int kc_dm_check_name(const char *name, struct kc_error *err);

/**
 * kc_dm_get() - look a mapped device up
 * @found: receives whether there is one of this name
 *
 * Return: 0; KC_DEVICE if there is one that is not ours, or no device-mapper; KC_PERM.
 */
int kc_dm_get(const char *name, struct kc_dm *d, bool *found, struct kc_error *err);

/**
 * kc_dm_find() - as kc_dm_get(), but asks the target for nothing: @target, @info, @table stay empty
 *
 * For detach, which has to work when everything else is broken.
 */
int kc_dm_find(const char *name, struct kc_dm *d, bool *found, struct kc_error *err);

/** kc_dm_each() - call @fn for every mapped device of ours until it returns non-zero */
int kc_dm_each(int (*fn)(const struct kc_dm *d, void *data), void *data, struct kc_error *err);

/** kc_dm_exists() - is this name taken, by anybody's device? */
int kc_dm_exists(const char *name, bool *exists, struct kc_error *err);

/** kc_dm_target() - has the kernel our target now? @version: receives "1.0.0" */
bool kc_dm_target(char *version, size_t size);

/** kc_dm_keyless() - is the key of this mapped device of ours away, so that reads fail or wait? */
bool kc_dm_keyless(dev_t dev);

/**
 * struct kc_dm_options - what attach may choose, and what the token says; all else is the layout's
 * @lease: seconds until the kernel lets the key expire; 0 for never
 * @freeze: with a lease: I/O waits while the key is away, instead of failing
 */
struct kc_dm_options {
	bool read_only;
	bool discards;
	uint32_t lease;
	bool freeze;
	bool hidden;	/* nobody is to look at what is on it: udev's rules are not run */
};

/**
 * kc_dm_create() - create, load and resume
 * @l: the layout that was hashed: the table is built from this and nothing else
 * @below: the device that carries the volume
 * @size: bytes of that device
 * @key_desc: description of a logon key in a keyring of this process
 *
 * After a failure nothing is left. The kernel's own sentence is part of the error.
 */
int kc_dm_create(const char *name, const struct kc_layout *l, dev_t below, uint64_t size, const char *key_desc,
		 const struct kc_dm_options *o, struct kc_error *err);

/**
 * kc_dm_remove() - remove
 * @deferred: if it is open, remove it when the last user closes it
 *
 * Return: 0, also where there is none of this name; KC_BUSY if it is open.
 */
int kc_dm_remove(const char *name, bool deferred, struct kc_error *err);

/** kc_dm_word() - the value of word @name in an INFO status; false if it is not there */
bool kc_dm_word(const char *info, const char *name, char *value, size_t size);

/**
 * kc_dm_key_state() - "valid", "wiped" or "expired"; "unknown" if the target in place is not ours
 * @state: what kc_dm_get() found, copied
 */
void kc_dm_key_state(const struct kc_dm *d, char state[static 16]);

/** kc_dm_waits() - does I/O to it wait, rather than fail, while its key is away? */
bool kc_dm_waits(const struct kc_dm *d);

/**
 * kc_dm_ephemeral() - a volume without a header, whose key is nowhere else?
 *
 * Its data begins where the device below begins; any other volume has its header there.
 */
bool kc_dm_ephemeral(const struct kc_dm *d);

/** kc_dm_debug() - let libdevmapper's own messages through to stderr */
void kc_dm_debug(void);

/* dm-live.c: one that is in use */

/**
 * kc_dm_suspend() - I/O to it waits from now on
 * @flush: a filesystem on it is frozen and everything is written out first; without, what is in
 *	flight waits for resume
 */
int kc_dm_suspend(const char *name, bool flush, struct kc_error *err);

/** kc_dm_resume() - a loaded table comes into force, I/O goes on; the kernel's own sentence is part of the error */
int kc_dm_resume(const char *name, struct kc_error *err);

/**
 * kc_dm_load() - another table with one target, in force with the next kc_dm_resume()
 * @bytes: its length
 * @params: no key material: a table can be read back
 */
int kc_dm_load(const char *name, uint64_t bytes, const char *target, const char *params, bool read_only,
	       struct kc_error *err);

/** kc_dm_clear() - drop a table that was loaded and is not in force */
int kc_dm_clear(const char *name, struct kc_error *err);

/**
 * kc_dm_message() - to the target at sector 0
 * @errno_out: receives what the kernel said, 0 for success; or NULL
 */
int kc_dm_message(const char *name, const char *message, int *errno_out, struct kc_error *err);

#endif
