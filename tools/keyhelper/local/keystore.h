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
#define KS_TOKEN 32		/* bytes of what is kept of a grant's or an import's token */
#define KS_GRANT_ID 64		/* hex digits */
#define KS_GRANTEE_MAX 256
#define KS_OPERATIONS_MAX 256
#define KS_CONTEXT_MAX 512
#define KS_POLICY_MAX 8192
#define KS_DAY 86400
#define KS_SCHEMA 2		/* version of the form of the database */

struct keystore;

/** enum ks_seal - what the root key is sealed with */
enum ks_seal { KS_SEAL_NONE, KS_SEAL_FILE, KS_SEAL_CREDENTIAL };

/**
 * struct ks_key - a row
 * @state: as KMS shows it, at the time it was read
 * @external: its material is imported
 * @policy: it has a key policy of its own
 * @deletion: when it goes, in seconds of the epoch; 0 for never
 * @rotation_days: how often it gets new material by itself; 0 for never
 * @rotation_next: when it does next
 */
struct ks_key {
	int64_t deletion;
	int64_t rotation_days;
	int64_t rotation_next;
	enum kc_key_state state;
	unsigned int version;
	bool external;
	bool policy;
	char id[KC_UUID_LEN + 1];
	char created[32];
	char description[256];
};

struct ks_alias {
	char name[KS_ALIAS_MAX];
	char id[KC_UUID_LEN + 1];
};

/**
 * struct ks_grant - a row
 * @operations: names between commas
 * @context: a JSON object of text that the encryption context must hold, "" for any
 */
struct ks_grant {
	char id[KS_GRANT_ID + 1];
	char key[KC_UUID_LEN + 1];
	char grantee[KS_GRANTEE_MAX];
	char operations[KS_OPERATIONS_MAX];
	char context[KS_CONTEXT_MAX];
	char created[32];
};

/**
 * ks_open() - open k->keystore
 * @create: make what is not there yet; without it, nothing is made and
 *	k->keystore stays NULL if there is no keystore
 *
 * Refused: files that others may read or that are somebody else's, a database
 * that is damaged, of a newer kcache, or without its root key.
 *
 * The functions below return 0, or -1 after kh_fail().
 */
int ks_open(struct kh *k, bool create);
void ks_close(struct kh *k);

/**
 * ks_begin() - what follows, up to ks_end(), sees one state of the keystore
 * @write: and is one change, which is durable when ks_end() returns
 *
 * Nothing where there is no keystore.
 */
int ks_begin(struct kh *k, bool write);

/** ks_end() - commit, or undo all of it if @r is not 0; returns @r, or why it could not be committed */
int ks_end(struct kh *k, int r);

/** ks_now(), ks_date() - seconds of the epoch; the same as RFC 3339, UTC */
int64_t ks_now(void);
void ks_date(int64_t seconds, char out[static 32]);

/* Those that change something are called between ks_begin(k, true) and ks_end(). */

/** ks_create() - a new key with its first material, or waiting for it; @alias NULL for none */
int ks_create(struct kh *k, const char *alias, const char *description, bool external, struct ks_key *key);

/** ks_managed() - the key of @alias, made if there is none: two processes at once get one key */
int ks_managed(struct kh *k, const char *alias, const char *description, struct ks_key *key);

/** ks_get() - a key by its id, KH_NOT_FOUND; also once its date of deletion has come */
int ks_get(struct kh *k, const char *id, struct ks_key *key);

int ks_set_state(struct kh *k, const char *id, enum kc_key_state state);

/** ks_set_deletion() - when a key goes with all that is its own; 0: not, and it is disabled */
int ks_set_deletion(struct kh *k, const char *id, int64_t when);

/** ks_rotate() - new key material; what older material wrapped is still unwrapped by it */
int ks_rotate(struct kh *k, struct ks_key *key);

/** ks_set_rotation() - rotate by itself every @days from now on, 0 for not */
int ks_set_rotation(struct kh *k, const char *id, int64_t days);

/** ks_rotate_if_due() - a transaction of its own; @key is then what it became */
int ks_rotate_if_due(struct kh *k, struct ks_key *key);

/** ks_material() - key material to k->secrets->kek; KH_INVALID_CIPHERTEXT if there is no such version */
int ks_material(struct kh *k, const char *id, unsigned int version);

/** ks_list_keys() - up to @n, 1 or more, after @marker ("" from the start) */
int ks_list_keys(struct kh *k, const char *marker, struct ks_key *keys, size_t *n);

/** ks_alias() - the id that an alias stands for, KH_NOT_FOUND */
int ks_alias(struct kh *k, const char *alias, char id[static KC_UUID_LEN + 1]);

/** ks_find_alias() - 1 and the id, 0 if there is no such alias */
int ks_find_alias(struct kh *k, const char *alias, char *id);

int ks_add_alias(struct kh *k, const char *alias, const char *id);	/* KH_ALREADY_EXISTS */
int ks_move_alias(struct kh *k, const char *alias, const char *id);
int ks_remove_alias(struct kh *k, const char *alias);
int ks_list_aliases(struct kh *k, const char *id, const char *marker, struct ks_alias *aliases, size_t *n);

/** ks_policy() - the key policy's text, "" for none of its own */
int ks_policy(struct kh *k, const char *id, char out[static KS_POLICY_MAX]);
int ks_set_policy(struct kh *k, const char *id, const char *policy);

/** ks_add_grant() - g->id and g->created are made; @token: what its token is known by */
int ks_add_grant(struct kh *k, struct ks_grant *g, const uint8_t token[static KS_TOKEN]);

/** ks_grant(), ks_grant_of_token() - by id, or by what its token is known by; KH_NOT_FOUND, KH_INVALID_GRANT */
int ks_grant(struct kh *k, const char *id, struct ks_grant *g);
int ks_grant_of_token(struct kh *k, const uint8_t token[static KS_TOKEN], struct ks_grant *g);
int ks_remove_grant(struct kh *k, const char *id);
int ks_list_grants(struct kh *k, const char *id, const char *marker, struct ks_grant *grants, size_t *n);

/** ks_set_import() - what an import is waited for with: @private, sealed, until @valid_to */
int ks_set_import(struct kh *k, const char *id, const uint8_t token[static KS_TOKEN], const uint8_t *private,
		  size_t len, int64_t valid_to);

/**
 * ks_get_import() - the same back
 * @private: @size bytes; the caller wipes them
 */
int ks_get_import(struct kh *k, const char *id, uint8_t token[static KS_TOKEN], uint8_t *private, size_t size,
		  size_t *len, int64_t *valid_to);

/**
 * ks_import() - k->secrets->kek becomes the key's material, until @valid_to (0 for ever)
 *
 * Only what was imported before may come again. The import that was waited for is over.
 */
int ks_import(struct kh *k, const char *id, int64_t valid_to);

/** ks_forget_material() - an external key waits for its material again */
int ks_forget_material(struct kh *k, const char *id);

/** ks_scrub() - after ks_end(): what was removed goes out of the files, too */
void ks_scrub(struct kh *k);

/** struct ks_root - keystore.key; the key itself is in k->secrets->root */
struct ks_root {
	uint8_t id[KS_ROOT_ID];
	enum ks_seal seal;
};

/** ks_check_file() - refuse what others may read or change; @present receives whether it is there */
int ks_check_file(struct kh *k, int dir, const char *name, bool *present);

/** ks_root_load() - read keystore.key, which is there, and unseal it */
int ks_root_load(struct kh *k, int dir, struct ks_root *root);

/** ks_root_create() - make keystore.key, whole and on the disk when this returns; the directory is locked */
int ks_root_create(struct kh *k, int dir);

/**
 * ks_root_write() - k->secrets->root as keystore.key, sealed or not as root->seal says
 * @replace: over the one that is there
 */
int ks_root_write(struct kh *k, int dir, const struct ks_root *root, bool replace);

/** ks_configured_seal() - what kcache.conf wants */
enum ks_seal ks_configured_seal(const struct kh *k);

/** ks_seal_name() - "none", "file", "credential" */
const char *ks_seal_name(enum ks_seal seal);

/**
 * ks_seal_key() - the key that seals the root key, to k->secrets->kek
 * @s: cost and salt
 */
struct kc_scrypt;
int ks_seal_key(struct kh *k, const struct kc_scrypt *s);

/** ks_reseal() - seal an open keystore's root key as kcache.conf says, or with @none not at all */
int ks_reseal(struct kh *k, bool none);

/** ks_lock() - the locked directory, made with @create; -1 after kh_fail() */
int ks_lock(struct kh *k, bool create);

#endif
