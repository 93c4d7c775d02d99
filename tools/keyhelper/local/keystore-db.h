/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the two files of the keystore: its connection and small steps on it. */
#ifndef KH_KEYSTORE_DB_H
#define KH_KEYSTORE_DB_H

#include <sqlite3.h>

#include "keystore.h"

struct keystore {
	sqlite3 *db;
};

/** ks_failed() - kh_fail() for the last error of @db (NULL: no memory) */
int ks_failed(struct kh *k, sqlite3 *db);

/** ks_exec() - statements without parameters or results */
int ks_exec(struct kh *k, const char *sql);

/**
 * ks_query() - prepare a statement; sqlite3_finalize(*st) also after an error
 * @text: its first parameter, if it is not NULL and there is one; borrowed until the end
 * @n: its second, if there is one
 */
int ks_query(struct kh *k, sqlite3_stmt **st, const char *sql, const char *text, int64_t n);

/** ks_row() - 1 for a row, 0 at the end, -1 after kh_fail() */
int ks_row(struct kh *k, sqlite3_stmt *st);

/** ks_now() - RFC 3339, UTC */
void ks_now(char out[static 32]);

#endif
