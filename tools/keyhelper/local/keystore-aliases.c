// SPDX-License-Identifier: GPL-2.0-or-later
/* Aliases in the keystore: names that can be moved from one key to another. */
#include "keystore-db.h"

static int no_alias(struct kh *k, const char *alias)
{
	return kh_fail(k, KH_NOT_FOUND, "there is no key local:%s in %s", alias, k->state_dir);
}

int ks_find_alias(struct kh *k, const char *alias, char *id)
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT key FROM aliases WHERE name = ?", "s", alias);

	if (!r)
		r = ks_row(k, st);
	if (r > 0 && ks_column(k, st, 0, id, KC_UUID_LEN + 1))
		r = -1;
	sqlite3_finalize(st);
	return r;
}

int ks_alias(struct kh *k, const char *alias, char id[static KC_UUID_LEN + 1])
{
	int r = k->keystore ? ks_find_alias(k, alias, id) : 0;

	return r > 0 ? 0 : r ? r : no_alias(k, alias);
}

int ks_add_alias(struct kh *k, const char *alias, const char *id)
{
	char other[KC_UUID_LEN + 1], now[32];
	int r = ks_find_alias(k, alias, other);

	if (r > 0)
		return kh_fail(k, KH_ALREADY_EXISTS, "local:%s exists already, for local:%s", alias, other);
	ks_date(ks_now(), now);
	return r ? r : ks_write(k, "INSERT INTO aliases (name, key, created) VALUES (?, ?, ?)", "sss", alias, id, now);
}

/* One that has to be there. */
static int changed(struct kh *k, const char *alias, int r)
{
	return r ? r : sqlite3_changes(k->keystore->db) ? 0 : no_alias(k, alias);
}

int ks_move_alias(struct kh *k, const char *alias, const char *id)
{
	return changed(k, alias, ks_write(k, "UPDATE aliases SET key = ? WHERE name = ?", "ss", id, alias));
}

int ks_remove_alias(struct kh *k, const char *alias)
{
	return changed(k, alias, ks_write(k, "DELETE FROM aliases WHERE name = ?", "s", alias));
}

int ks_list_aliases(struct kh *k, const char *id, const char *marker, struct ks_alias *aliases, size_t *n)
{
	size_t max = *n;
	sqlite3_stmt *st;
	int r;

	*n = 0;
	if (!k->keystore)
		return 0;
	r = ks_query(k, &st, "SELECT name, key FROM aliases JOIN keys ON keys.id = key WHERE name > ?1"
			     " AND (?2 IS NULL OR key = ?2) AND (deletion IS NULL OR deletion > ?4)"
			     " ORDER BY name LIMIT ?3", "ssii", marker, id, (int64_t)max, ks_now());
	while (!r && (r = ks_row(k, st)) > 0) {
		struct ks_alias *a = &aliases[*n];

		r = ks_column(k, st, 0, a->name, sizeof(a->name)) ? -1 :
			ks_column(k, st, 1, a->id, sizeof(a->id));
		if (!r)
			(*n)++;
	}
	sqlite3_finalize(st);
	return r;
}
