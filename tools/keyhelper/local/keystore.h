/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local keystore on disk: <state_dir>/keystore.db (SQLite) with the key
 * material, encrypted under the root key in <state_dir>/keystore.key.
 */
#ifndef KH_KEYSTORE_H
#define KH_KEYSTORE_H

#include "provider.h"

#define KS_ALIAS_MAX 257	/* "alias/NAME", KMS's limit, with a NUL */
#define KS_ROOT_ID 16
#define KS_PAGE 32		/* entries of a list in one message */

struct keystore;

/** struct ks_key - a row */
struct ks_key {
	char id[KC_UUID_LEN + 1];
	enum kc_key_state state;
	unsigned int version;
	char created[32];
	char description[256];
};

struct ks_alias {
	char name[KS_ALIAS_MAX];
	char id[KC_UUID_LEN + 1];
};

/**
 * ks_open() - open k->keystore
 * @create: make what is not there yet; without it, nothing is made and
 *	k->keystore stays NULL if there is no keystore
 *
 * Refused: files that others may read or that are somebody else's, a database
 * that is damaged, of a newer kcache, or without its root key.
 *
 * The functions below return 0, or -1 after kh_fail(). Those that write are
 * one transaction each, durable when they return.
 */
int ks_open(struct kh *k, bool create);
void ks_close(struct kh *k);

/** ks_create() - a new key with its first material; @alias NULL for none */
int ks_create(struct kh *k, const char *alias, const char *description, struct ks_key *key);

/** ks_managed() - the key of @alias, made if there is none: two processes at once get one key */
int ks_managed(struct kh *k, const char *alias, const char *description, struct ks_key *key);

/** ks_get() - a key by its id, KH_NOT_FOUND */
int ks_get(struct kh *k, const char *id, struct ks_key *key);

/** ks_alias() - the id that an alias stands for, KH_NOT_FOUND */
int ks_alias(struct kh *k, const char *alias, char id[static KC_UUID_LEN + 1]);

int ks_set_state(struct kh *k, const char *id, enum kc_key_state state);

/** ks_rotate() - new key material; what older material wrapped is still unwrapped by it */
int ks_rotate(struct kh *k, const char *id);

/** ks_material() - key material to k->secrets->kek; KH_INVALID_CIPHERTEXT if there is no such version */
int ks_material(struct kh *k, const char *id, unsigned int version);

/** ks_list_keys(), ks_list_aliases() - up to @n, 1 or more, after @marker ("" from the start) */
int ks_list_keys(struct kh *k, const char *marker, struct ks_key *keys, size_t *n);
int ks_list_aliases(struct kh *k, const char *id, const char *marker, struct ks_alias *aliases, size_t *n);

/** struct ks_root - keystore.key; the key itself is in k->secrets->root */
struct ks_root {
	uint8_t id[KS_ROOT_ID];
};

/** ks_check_file() - refuse what others may read or change; @present receives whether it is there */
int ks_check_file(struct kh *k, int dir, const char *name, bool *present);

/** ks_root_load() - read keystore.key, which is there */
int ks_root_load(struct kh *k, int dir, struct ks_root *root);

/** ks_root_create() - make keystore.key, whole and on the disk when this returns; the directory is locked */
int ks_root_create(struct kh *k, int dir);

#endif
