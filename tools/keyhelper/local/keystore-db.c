// SPDX-License-Identifier: GPL-2.0-or-later
/* Small steps on the keystore's database: statements, transactions, errors, dates. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "keystore-db.h"

int ks_failed(struct kh *k, sqlite3 *db)
{
	int rc = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	int os = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return kh_fail(k, KH_TIMEOUT, "the keystore %s/" KS_DB " stayed locked by another process",
			       k->state_dir);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
		return kh_fail(k, KH_UNAVAILABLE, "the keystore %s/" KS_DB " is damaged: %s", k->state_dir,
			       sqlite3_errmsg(db));
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		return kh_fail(k, KH_ACCESS_DENIED, "cannot open the keystore %s/" KS_DB ": %s%s%s",
			       k->state_dir, db ? sqlite3_errmsg(db) : "", os ? ": " : "",
			       os ? strerror(os) : "");
	case SQLITE_NOMEM:
		return kh_fail(k, KH_NO_MEMORY, "out of memory");
	default:
		return kh_fail(k, KH_INTERNAL, "the keystore %s/" KS_DB " failed: %s%s%s", k->state_dir,
			       sqlite3_errmsg(db), os ? ": " : "", os ? strerror(os) : "");
	}
}

int ks_exec(struct kh *k, const char *sql)
{
	sqlite3 *db = k->keystore->db;

	sqlite3_busy_timeout(db, kh_time_left(k));
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return ks_failed(k, db);
	return 0;
}

static int bind(sqlite3_stmt *st, int i, char type, va_list *ap)
{
	const void *p;

	switch (type) {
	case 's':
		return sqlite3_bind_text(st, i, va_arg(*ap, const char *), -1, SQLITE_STATIC);
	case 'i':
		return sqlite3_bind_int64(st, i, va_arg(*ap, int64_t));
	default:
		p = va_arg(*ap, const void *);
		return sqlite3_bind_blob64(st, i, p, va_arg(*ap, size_t), SQLITE_STATIC);
	}
}

static int prepare(struct kh *k, sqlite3_stmt **st, const char *sql, const char *types, va_list *ap)
{
	sqlite3 *db = k->keystore->db;
	int i;

	sqlite3_busy_timeout(db, kh_time_left(k));
	*st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, st, NULL) != SQLITE_OK)
		return ks_failed(k, db);
	for (i = 0; types[i]; i++)
		if (bind(*st, i + 1, types[i], ap) != SQLITE_OK)
			return ks_failed(k, db);
	return 0;
}

int ks_query(struct kh *k, sqlite3_stmt **st, const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = prepare(k, st, sql, types, &ap);
	va_end(ap);
	return r;
}

int ks_row(struct kh *k, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : ks_failed(k, k->keystore->db);
}

int ks_write(struct kh *k, const char *sql, const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	int r;

	va_start(ap, types);
	r = prepare(k, &st, sql, types, &ap);
	va_end(ap);
	if (!r)
		r = ks_row(k, st);
	sqlite3_finalize(st);
	return r;
}

int ks_column(struct kh *k, sqlite3_stmt *st, int i, char *out, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	if (!s || strlen(s) >= size)
		return kh_fail(k, KH_UNAVAILABLE, "the keystore in %s is damaged: a bad %s", k->state_dir,
			       sqlite3_column_name(st, i));
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

int ks_number(struct kh *k, const char *sql, int64_t *out)
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, sql, "");

	if (!r)
		r = ks_row(k, st) == 1 ? 0 : -1;
	if (!r)
		*out = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	if (r)
		kh_fail(k, KH_UNAVAILABLE, "the keystore %s/" KS_DB " does not answer %s", k->state_dir, sql);
	return r;
}

int ks_begin(struct kh *k, bool write)
{
	return k->keystore ? ks_exec(k, write ? "BEGIN IMMEDIATE" : "BEGIN") : 0;
}

int ks_end(struct kh *k, int r)
{
	if (!k->keystore)
		return r;
	if (!r)
		r = ks_exec(k, "COMMIT");
	if (r && !sqlite3_get_autocommit(k->keystore->db))
		sqlite3_exec(k->keystore->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

void ks_date(int64_t seconds, char out[static 32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm))
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int64_t ks_now(void)
{
	return (int64_t)time(NULL);
}
