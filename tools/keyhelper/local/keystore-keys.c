// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys in the keystore: what they are, their states, their material. */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "aead.h"
#include "keystore-db.h"

/*
 * What an external key has for material may have expired without having been
 * removed yet: ?1 is now, here and in all statements below.
 */
#define KEYS \
	"SELECT id, state, version, created, description, external, policy IS NOT NULL, deletion," \
	" rotation_days, rotation_next, external AND NOT EXISTS (SELECT 1 FROM material" \
	" WHERE material.key = keys.id AND (valid_to IS NULL OR valid_to > ?1))" \
	" FROM keys WHERE (deletion IS NULL OR deletion > ?1)"

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

static int key_row(struct kh *k, sqlite3_stmt *st, struct ks_key *key)
{
	char state[16];

	memset(key, 0, sizeof(*key));
	if (ks_column(k, st, 0, key->id, sizeof(key->id)) || ks_column(k, st, 1, state, sizeof(state)) ||
	    ks_column(k, st, 3, key->created, sizeof(key->created)) ||
	    ks_column(k, st, 4, key->description, sizeof(key->description)))
		return -1;
	key->version = (unsigned int)sqlite3_column_int64(st, 2);
	key->external = sqlite3_column_int(st, 5);
	key->policy = sqlite3_column_int(st, 6);
	key->deletion = sqlite3_column_int64(st, 7);
	key->rotation_days = sqlite3_column_int64(st, 8);
	key->rotation_next = sqlite3_column_int64(st, 9);
	key->state = key->deletion ? KC_KEY_PENDING_DELETION :
		sqlite3_column_int(st, 10) ? KC_KEY_PENDING_IMPORT :
		strcmp(state, "Enabled") ? KC_KEY_DISABLED : KC_KEY_ENABLED;
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
	r = ks_query(k, &st, KEYS " AND id = ?2", "is", ks_now(), id);
	if (!r)
		r = ks_row(k, st);
	if (!r)
		r = no_key(k, id);
	else if (r > 0)
		r = key_row(k, st, key);
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
	r = ks_query(k, &st, KEYS " AND id > ?2 ORDER BY id LIMIT ?3", "isi", ks_now(), marker, (int64_t)max);
	while (!r && (r = ks_row(k, st)) > 0) {
		r = key_row(k, st, &keys[*n]);
		if (!r)
			(*n)++;
	}
	sqlite3_finalize(st);
	return r;
}

int ks_seal_material(struct kh *k, const char *id, unsigned int version, uint8_t *sealed)
{
	uint8_t aad[AAD_LEN];
	int r;

	material_aad(aad, id, version);
	r = kh_seal(k->secrets->root, aad, sizeof(aad), k->secrets->kek, KH_KEY_SIZE, sealed);
	explicit_bzero(k->secrets->kek, KH_KEY_SIZE);
	return r ? kh_fail(k, KH_INTERNAL, "cannot seal key material") : 0;
}

static int add_material(struct kh *k, const char *id, unsigned int version)
{
	uint8_t sealed[KH_SEALED(KH_KEY_SIZE)];
	char now[32];

	if (RAND_priv_bytes(k->secrets->kek, KH_KEY_SIZE) != 1)
		return kh_fail(k, KH_INTERNAL, "no random numbers for key material");
	ks_date(ks_now(), now);
	if (ks_seal_material(k, id, version, sealed))
		return -1;
	return ks_write(k, "INSERT INTO material (key, version, created, sealed) VALUES (?, ?, ?, ?)", "sisb", id,
			(int64_t)version, now, sealed, sizeof(sealed));
}

int ks_create(struct kh *k, const char *alias, const char *description, bool external, struct ks_key *key)
{
	memset(key, 0, sizeof(*key));
	key->state = external ? KC_KEY_PENDING_IMPORT : KC_KEY_ENABLED;
	key->external = external;
	key->version = 1;
	ks_date(ks_now(), key->created);
	snprintf(key->description, sizeof(key->description), "%s", description);
	if (kh_uuid(key->id))
		return kh_fail(k, KH_INTERNAL, "no random numbers for a key id");
	if (ks_write(k, "INSERT INTO keys (id, version, created, description, external, state)"
			" VALUES (?, ?, ?, ?, ?, 'Enabled')", "sissi", key->id, (int64_t)key->version,
		     key->created, key->description, (int64_t)external) ||
	    (!external && add_material(k, key->id, key->version)))
		return -1;
	return alias ? ks_add_alias(k, alias, key->id) : 0;
}

int ks_managed(struct kh *k, const char *alias, const char *description, struct ks_key *key)
{
	char id[KC_UUID_LEN + 1];
	int r = ks_find_alias(k, alias, id);

	if (r > 0)
		return ks_get(k, id, key);
	return r ? r : ks_create(k, alias, description, false, key);
}

int ks_set_state(struct kh *k, const char *id, enum kc_key_state state)
{
	return ks_write(k, "UPDATE keys SET state = ? WHERE id = ?", "ss", kc_key_state_name(state), id);
}

int ks_set_deletion(struct kh *k, const char *id, int64_t when)
{
	if (when)
		return ks_write(k, "UPDATE keys SET deletion = ? WHERE id = ?", "is", when, id);
	return ks_write(k, "UPDATE keys SET deletion = NULL, state = 'Disabled' WHERE id = ?", "s", id);
}

int ks_rotate(struct kh *k, struct ks_key *key)
{
	key->version++;
	if (add_material(k, key->id, key->version))
		return -1;
	return ks_write(k, "UPDATE keys SET version = ? WHERE id = ?", "is", (int64_t)key->version, key->id);
}

int ks_set_rotation(struct kh *k, const char *id, int64_t days)
{
	if (!days)
		return ks_write(k, "UPDATE keys SET rotation_days = NULL, rotation_next = NULL WHERE id = ?", "s",
				id);
	return ks_write(k, "UPDATE keys SET rotation_days = ?, rotation_next = ? WHERE id = ?", "iis", days,
			ks_now() + days * KS_DAY, id);
}

int ks_rotate_if_due(struct kh *k, struct ks_key *key)
{
	int r;

	if (!key->rotation_next || key->rotation_next > ks_now())
		return 0;
	r = ks_begin(k, true);
	if (r)
		return r;
	/* looked at again where nobody else can write: another process may have done it */
	r = ks_get(k, key->id, key);
	if (!r && key->state == KC_KEY_ENABLED && key->rotation_next && key->rotation_next <= ks_now()) {
		r = ks_rotate(k, key);
		if (!r)
			r = ks_set_rotation(k, key->id, key->rotation_days);
	}
	return ks_end(k, r);
}

int ks_material(struct kh *k, const char *id, unsigned int version)
{
	uint8_t aad[AAD_LEN];
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT sealed FROM material WHERE key = ? AND version = ?", "si", id,
			 (int64_t)version);

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

/* What goes when its date has come, whatever is asked for then. ?1 is now. */
static const char *const gone[] = {
	"DELETE FROM imports WHERE valid_to <= ?1 OR key IN (SELECT id FROM keys WHERE deletion <= ?1)",
	"DELETE FROM grants WHERE key IN (SELECT id FROM keys WHERE deletion <= ?1)",
	"DELETE FROM aliases WHERE key IN (SELECT id FROM keys WHERE deletion <= ?1)",
	"DELETE FROM material WHERE valid_to <= ?1 OR key IN (SELECT id FROM keys WHERE deletion <= ?1)",
	"DELETE FROM keys WHERE deletion <= ?1",
};

/*
 * secure_delete overwrites what goes with zeros, in pages that are still in the
 * write-ahead log then; the log is written back and cut off, so that neither file
 * holds it any more. Another process that reads just now keeps it a little longer.
 */
void ks_scrub(struct kh *k)
{
	sqlite3_wal_checkpoint_v2(k->keystore->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

int ks_sweep(struct kh *k)
{
	int64_t now = ks_now();
	sqlite3_stmt *st;
	size_t i;
	int r = ks_query(k, &st, "SELECT 1 FROM keys WHERE deletion <= ?1 UNION ALL"
				 " SELECT 1 FROM material WHERE valid_to <= ?1 UNION ALL"
				 " SELECT 1 FROM imports WHERE valid_to <= ?1 LIMIT 1", "i", now);
	bool due;

	if (!r)
		r = ks_row(k, st);
	due = r > 0;
	sqlite3_finalize(st);
	if (!due)
		return r;
	r = ks_begin(k, true);
	for (i = 0; !r && i < sizeof(gone) / sizeof(gone[0]); i++)
		r = ks_write(k, gone[i], "i", now);
	r = ks_end(k, r);
	if (!r)
		ks_scrub(k);
	return r;
}
