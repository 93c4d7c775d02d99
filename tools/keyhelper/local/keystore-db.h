/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of the keystore: its connection and small steps on it. */
#ifndef KH_KEYSTORE_DB_H
#define KH_KEYSTORE_DB_H

#include <sqlite3.h>

#include "keystore.h"

#define KS_DB "keystore.db"

struct keystore {
	sqlite3 *db;
	enum ks_seal seal;
};

/** ks_failed() - kh_fail() for the last error of @db (NULL: no memory) */
int ks_failed(struct kh *k, sqlite3 *db);

/** ks_exec() - statements without parameters or results */
int ks_exec(struct kh *k, const char *sql);

/**
 * ks_query() - prepare a statement; sqlite3_finalize(*st) also after an error
 * @types: what follows, a letter for each parameter in their order: s (const char *, NULL is
 *	NULL), i (int64_t), b (const void *, size_t); borrowed until the end
 */
int ks_query(struct kh *k, sqlite3_stmt **st, const char *sql, const char *types, ...);

/** ks_write() - a statement that answers nothing, with parameters as for ks_query() */
int ks_write(struct kh *k, const char *sql, const char *types, ...);

/** ks_row() - 1 for a row, 0 at the end, -1 after kh_fail() */
int ks_row(struct kh *k, sqlite3_stmt *st);

/** ks_column() - a column's text to a buffer; a value that does not fit is no value of ours */
int ks_column(struct kh *k, sqlite3_stmt *st, int i, char *out, size_t size);

/** ks_number() - the one number that a PRAGMA or SELECT answers */
int ks_number(struct kh *k, const char *sql, int64_t *out);

/** ks_migrate() - the schema from @version (0: none yet) to the newest; @root is written into a new one */
int ks_migrate(struct kh *k, int64_t version, const struct ks_root *root);

/** ks_sweep() - remove keys whose date of deletion, and material whose expiry, has come */
int ks_sweep(struct kh *k);

/** ks_seal_material() - k->secrets->kek as it stands in the database, the kek is wiped */
int ks_seal_material(struct kh *k, const char *id, unsigned int version, uint8_t *sealed);

#define KS_APPLICATION 0x6b636b73	/* "kcks" */

#endif
