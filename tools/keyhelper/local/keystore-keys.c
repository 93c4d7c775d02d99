// SPDX-License-Identifier: GPL-2.0-or-later
/* What is in the keystore: keys, their material, their aliases. */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "aead.h"
#include "keystore-db.h"

#define KEY_COLUMNS "id, state, version, created, description"

/*
 * What key material is sealed with: "kcache keystore v1" and a NUL, the key's
 * id in text, its version in four bytes, big endian. A row put in another's
 * place does not open.
 */
#define AAD_PREFIX "kcache keystore v1"
#define AAD_LEN (sizeof(AAD_PREFIX) + KC_UUID_LEN + 4)

static void material_aad(uint8_t aad[static AAD_LEN], const char *id, unsigned int version)
{
	memcpy(aad, AAD_PREFIX, sizeof(AAD_PREFIX));
	memcpy(aad + sizeof(AAD_PREFIX), id, KC_UUID_LEN);
	aad[AAD_LEN - 4] = (uint8_t)(version >> 24);
	aad[AAD_LEN - 3] = (uint8_t)(version >> 16);
	aad[AAD_LEN - 2] = (uint8_t)(version >> 8);
	aad[AAD_LEN - 1] = (uint8_t)version;
}

/* A column's text to a buffer; a value that does not fit is no value of ours. */
static int column(struct kh *k, sqlite3_stmt *st, int i, char *out, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	if (!s || strlen(s) >= size)
		return kh_fail(k, KH_UNAVAILABLE, "the keystore in %s is damaged: a bad %s", k->state_dir,
			       sqlite3_column_name(st, i));
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int key_row(struct kh *k, sqlite3_stmt *st, struct ks_key *key)
{
	char state[16];

	if (column(k, st, 0, key->id, sizeof(key->id)) || column(k, st, 1, state, sizeof(state)) ||
	    column(k, st, 3, key->created, sizeof(key->created)) ||
	    column(k, st, 4, key->description, sizeof(key->description)))
		return -1;
	key->state = strcmp(state, "Enabled") ? KC_KEY_DISABLED : KC_KEY_ENABLED;
	key->version = (unsigned int)sqlite3_column_int64(st, 2);
	return 0;
}

static int no_key(struct kh *k, const char *id)
{
	return kh_fail(k, KH_NOT_FOUND, "there is no key local:%s in %s", id, k->state_dir);
}

int ks_get(struct kh *k, const char *id, struct ks_key *key)
{
	sqlite3_stmt *st;
	int r;

	if (!k->keystore)
		return no_key(k, id);
	r = ks_query(k, &st, "SELECT " KEY_COLUMNS " FROM keys WHERE id = ?", id, 0);
	if (!r)
		r = ks_row(k, st);
	if (!r)
		r = no_key(k, id);
	else if (r > 0)
		r = key_row(k, st, key);
	sqlite3_finalize(st);
	return r;
}

/* 1 and the id, or 0 if there is no such alias */
static int find_alias(struct kh *k, const char *alias, char *id)
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT key FROM aliases WHERE name = ?", alias, 0);

	if (!r)
		r = ks_row(k, st);
	if (r > 0 && column(k, st, 0, id, KC_UUID_LEN + 1))
		r = -1;
	sqlite3_finalize(st);
	return r;
}

int ks_alias(struct kh *k, const char *alias, char id[static KC_UUID_LEN + 1])
{
	int r = k->keystore ? find_alias(k, alias, id) : 0;

	if (!r)
		return kh_fail(k, KH_NOT_FOUND, "there is no key local:%s in %s", alias, k->state_dir);
	return r > 0 ? 0 : -1;
}

/* Runs an INSERT or UPDATE; @a and @b are its text parameters 1 and 3, @n is 2, @blob 4. */
static int write_row(struct kh *k, const char *sql, const char *a, int64_t n, const char *b, const void *blob,
		     int blob_len)
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, sql, a, n);

	if (!r && sqlite3_bind_parameter_count(st) >= 3 &&
	    sqlite3_bind_text(st, 3, b, -1, SQLITE_STATIC) != SQLITE_OK)
		r = ks_failed(k, k->keystore->db);
	if (!r && sqlite3_bind_parameter_count(st) >= 4 &&
	    (blob_len < 0 ? sqlite3_bind_text(st, 4, blob, -1, SQLITE_STATIC) :
			    sqlite3_bind_blob(st, 4, blob, blob_len, SQLITE_STATIC)) != SQLITE_OK)
		r = ks_failed(k, k->keystore->db);
	if (!r)
		r = ks_row(k, st);
	sqlite3_finalize(st);
	return r;
}

/* Ends a transaction: all of it, or nothing. */
static int end(struct kh *k, int r)
{
	if (!r)
		r = ks_exec(k, "COMMIT");
	if (r && !sqlite3_get_autocommit(k->keystore->db))
		sqlite3_exec(k->keystore->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int add_material(struct kh *k, const char *id, unsigned int version)
{
	uint8_t sealed[KH_SEALED(KH_KEY_SIZE)], aad[AAD_LEN];
	char now[32];
	int r;

	material_aad(aad, id, version);
	ks_now(now);
	r = RAND_priv_bytes(k->secrets->kek, KH_KEY_SIZE) != 1 ||
		kh_seal(k->secrets->root, aad, sizeof(aad), k->secrets->kek, KH_KEY_SIZE, sealed);
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	if (r)
		return kh_fail(k, KH_INTERNAL, "cannot make key material");
	return write_row(k, "INSERT INTO material (key, version, created, sealed) VALUES (?, ?, ?, ?)", id,
			 version, now, sealed, (int)sizeof(sealed));
}

/* Inside a transaction. */
static int add_key(struct kh *k, const char *alias, const char *description, struct ks_key *key)
{
	memset(key, 0, sizeof(*key));
	key->state = KC_KEY_ENABLED;
	key->version = 1;
	ks_now(key->created);
	snprintf(key->description, sizeof(key->description), "%s", description);
	if (kh_uuid(key->id))
		return kh_fail(k, KH_INTERNAL, "no random numbers for a key id");
	if (write_row(k, "INSERT INTO keys (id, version, created, description, state)"
			 " VALUES (?, ?, ?, ?, 'Enabled')", key->id, key->version, key->created,
		      key->description, -1) ||
	    add_material(k, key->id, key->version))
		return -1;
	if (!alias)
		return 0;
	return write_row(k, "INSERT INTO aliases (name, key, created) VALUES (?1, ?4, ?3)", alias, 0,
			 key->created, key->id, -1);
}

int ks_create(struct kh *k, const char *alias, const char *description, struct ks_key *key)
{
	char id[KC_UUID_LEN + 1];
	int r = ks_exec(k, "BEGIN IMMEDIATE");

	if (r)
		return r;
	if (alias)
		r = find_alias(k, alias, id);
	if (r > 0) {
		kh_fail(k, KH_ALREADY_EXISTS, "local:%s exists already, for local:%s", alias, id);
		r = -1;
	}
	if (!r)
		r = add_key(k, alias, description, key);
	return end(k, r);
}

int ks_managed(struct kh *k, const char *alias, const char *description, struct ks_key *key)
{
	char id[KC_UUID_LEN + 1];
	int r = find_alias(k, alias, id);

	if (r < 0)
		return r;
	if (r > 0)
		return ks_get(k, id, key);
	/* looked for again where nobody else can write: two may have come this far */
	r = ks_exec(k, "BEGIN IMMEDIATE");
	if (r)
		return r;
	r = find_alias(k, alias, id);
	if (r > 0)
		r = ks_get(k, id, key);
	else if (!r)
		r = add_key(k, alias, description, key);
	return end(k, r);
}

int ks_set_state(struct kh *k, const char *id, enum kc_key_state state)
{
	int r;

	if (!k->keystore)
		return no_key(k, id);
	r = ks_exec(k, "BEGIN IMMEDIATE");
	if (r)
		return r;
	r = write_row(k, "UPDATE keys SET state = ?3 WHERE id = ?1", id, 0, kc_key_state_name(state), NULL, 0);
	if (!r && !sqlite3_changes(k->keystore->db))
		r = no_key(k, id);
	return end(k, r);
}

int ks_rotate(struct kh *k, const char *id)
{
	struct ks_key key = { 0 };
	int r;

	if (!k->keystore)
		return no_key(k, id);
	r = ks_exec(k, "BEGIN IMMEDIATE");
	if (r)
		return r;
	r = ks_get(k, id, &key);
	if (!r && key.state != KC_KEY_ENABLED)
		r = kh_fail(k, KH_DISABLED, "local:%s is disabled", id);
	if (!r)
		r = add_material(k, id, key.version + 1);
	if (!r)
		r = write_row(k, "UPDATE keys SET version = ?2 WHERE id = ?1", id, key.version + 1, NULL,
			      NULL, 0);
	return end(k, r);
}

int ks_material(struct kh *k, const char *id, unsigned int version)
{
	uint8_t aad[AAD_LEN];
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT sealed FROM material WHERE key = ? AND version = ?", id, version);

	material_aad(aad, id, version);
	if (!r)
		r = ks_row(k, st);
	if (!r) {
		r = kh_fail(k, KH_INVALID_CIPHERTEXT, "the wrapped key was not made by local:%s", id);
	} else if (r > 0) {
		r = 0;
		if (sqlite3_column_bytes(st, 0) != KH_SEALED(KH_KEY_SIZE) ||
		    kh_unseal(k->secrets->root, aad, sizeof(aad), sqlite3_column_blob(st, 0),
			      k->secrets->kek, KH_KEY_SIZE))
			r = kh_fail(k, KH_UNAVAILABLE, "key material %u of local:%s does not open with %s/keystore.key:"
				    " one of them is damaged", version, id, k->state_dir);
	}
	sqlite3_finalize(st);
	return r;
}

int ks_list_keys(struct kh *k, const char *marker, struct ks_key *keys, size_t *n)
{
	size_t max = *n;
	sqlite3_stmt *st;
	int r;

	*n = 0;
	if (!k->keystore)
		return 0;
	r = ks_query(k, &st, "SELECT " KEY_COLUMNS " FROM keys WHERE id > ? ORDER BY id LIMIT ?", marker,
		     (int64_t)max);
	while (!r && (r = ks_row(k, st)) > 0) {
		r = key_row(k, st, &keys[*n]);
		if (!r)
			(*n)++;
	}
	sqlite3_finalize(st);
	return r;
}

int ks_list_aliases(struct kh *k, const char *id, const char *marker, struct ks_alias *aliases, size_t *n)
{
	size_t max = *n;
	sqlite3_stmt *st;
	int r;

	*n = 0;
	if (!k->keystore)
		return 0;
	r = ks_query(k, &st, "SELECT name, key FROM aliases WHERE name > ?1 AND (?3 IS NULL OR key = ?3)"
			     " ORDER BY name LIMIT ?2", marker, (int64_t)max);
	if (!r && id && sqlite3_bind_text(st, 3, id, -1, SQLITE_STATIC) != SQLITE_OK)
		r = ks_failed(k, k->keystore->db);
	while (!r && (r = ks_row(k, st)) > 0) {
		struct ks_alias *a = &aliases[*n];

		r = column(k, st, 0, a->name, sizeof(a->name)) ? -1 : column(k, st, 1, a->id, sizeof(a->id));
		if (!r)
			(*n)++;
	}
	sqlite3_finalize(st);
	return r;
}
