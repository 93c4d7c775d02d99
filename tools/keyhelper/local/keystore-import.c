// SPDX-License-Identifier: GPL-2.0-or-later
/* Imported material in the keystore: what is waited for, what came, and that it is the same again. */
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "aead.h"
#include "keystore-db.h"

#define AAD_PREFIX "kcache keystore import v1"
#define AAD_LEN (sizeof(AAD_PREFIX) + KC_UUID_LEN)
#define PRIVATE_MAX 4096

static void import_aad(uint8_t aad[static AAD_LEN], const char *id)
{
	memcpy(aad, AAD_PREFIX, sizeof(AAD_PREFIX));
	memcpy(aad + sizeof(AAD_PREFIX), id, KC_UUID_LEN);
}

int ks_set_import(struct kh *k, const char *id, const uint8_t token[static KS_TOKEN], const uint8_t *private,
		  size_t len, int64_t valid_to)
{
	uint8_t aad[AAD_LEN], sealed[KH_SEALED(PRIVATE_MAX)];

	import_aad(aad, id);
	if (len > PRIVATE_MAX || kh_seal(k->secrets->root, aad, sizeof(aad), private, len, sealed))
		return kh_fail(k, KH_INTERNAL, "cannot seal a wrapping key");
	return ks_write(k, "INSERT OR REPLACE INTO imports (key, token, sealed, valid_to) VALUES (?, ?, ?, ?)",
			"sbbi", id, token, (size_t)KS_TOKEN, sealed, (size_t)KH_SEALED(len), valid_to);
}

int ks_get_import(struct kh *k, const char *id, uint8_t token[static KS_TOKEN], uint8_t *private, size_t size,
		  size_t *len, int64_t *valid_to)
{
	uint8_t aad[AAD_LEN];
	sqlite3_stmt *st;
	size_t n;
	int r = ks_query(k, &st, "SELECT token, sealed, valid_to FROM imports WHERE key = ?", "s", id);

	import_aad(aad, id);
	if (!r)
		r = ks_row(k, st);
	if (!r) {
		kh_fail(k, KH_VALIDATION, "local:%s waits for no import", id);
		kh_name(k, "InvalidImportTokenException");
		r = kh_next(k, "ask for a public key and a token first: kcache key import-parameters local:%s", id);
	} else if (r > 0) {
		n = (size_t)sqlite3_column_bytes(st, 1);
		*len = n - KH_SEALED(0);
		*valid_to = sqlite3_column_int64(st, 2);
		r = 0;
		if (sqlite3_column_bytes(st, 0) != KS_TOKEN || n <= KH_SEALED(0) || *len > size ||
		    kh_unseal(k->secrets->root, aad, sizeof(aad), sqlite3_column_blob(st, 1), private, *len))
			r = kh_fail(k, KH_UNAVAILABLE, "the wrapping key of local:%s does not open with %s/keystore.key:"
				    " one of them is damaged", id, k->state_dir);
		else
			memcpy(token, sqlite3_column_blob(st, 0), KS_TOKEN);
	}
	sqlite3_finalize(st);
	return r;
}

/* What is remembered of material that is gone: nothing that could be tried out without the root key. */
static int digest(struct kh *k, const char *id, uint8_t out[static 32])
{
	uint8_t text[AAD_LEN + KH_KEY_SIZE];
	bool ok;

	import_aad(text, id);
	memcpy(text + AAD_LEN, k->secrets->kek, KH_KEY_SIZE);
	ok = HMAC(EVP_sha256(), k->secrets->root, KH_KEY_SIZE, text, sizeof(text), out, NULL) != NULL;
	explicit_bzero(text, sizeof(text));
	return ok ? 0 : kh_fail(k, KH_INTERNAL, "cannot hash key material");
}

/* Is it what the key had before, if it had any? */
static int same_as_before(struct kh *k, const char *id, const uint8_t mac[static 32])
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT imported FROM keys WHERE id = ?", "s", id);

	if (!r)
		r = ks_row(k, st) < 0 ? -1 : 0;
	if (!r && sqlite3_column_type(st, 0) != SQLITE_NULL &&
	    (sqlite3_column_bytes(st, 0) != 32 || memcmp(sqlite3_column_blob(st, 0), mac, 32))) {
		kh_fail(k, KH_VALIDATION, "this is not the key material that local:%s had before", id);
		kh_name(k, "IncorrectKeyMaterialException");
		r = kh_next(k, "import the same material again, or make a new key for this one");
	}
	sqlite3_finalize(st);
	return r;
}

int ks_import(struct kh *k, const char *id, int64_t valid_to)
{
	uint8_t mac[32], sealed[KH_SEALED(KH_KEY_SIZE)];
	char now[32];

	ks_date(ks_now(), now);
	if (digest(k, id, mac) || same_as_before(k, id, mac) || ks_seal_material(k, id, 1, sealed) ||
	    ks_write(k, "INSERT OR REPLACE INTO material (key, version, created, sealed, valid_to)"
			" VALUES (?, 1, ?, ?, nullif(?, 0))", "ssbi", id, now, sealed, sizeof(sealed), valid_to) ||
	    ks_write(k, "UPDATE keys SET imported = ? WHERE id = ?", "bs", mac, sizeof(mac), id))
		return -1;
	return ks_write(k, "DELETE FROM imports WHERE key = ?", "s", id);
}

int ks_forget_material(struct kh *k, const char *id)
{
	return ks_write(k, "DELETE FROM material WHERE key = ?", "s", id);
}
