// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may use a key, in the keystore: its policy, its grants. What they mean is local-*.c's. */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "canon.h"
#include "keystore-db.h"

#define GRANTS "SELECT id, key, grantee, operations, coalesce(context, ''), created FROM grants"

int ks_policy(struct kh *k, const char *id, char out[static KS_POLICY_MAX])
{
	sqlite3_stmt *st;
	int r = ks_query(k, &st, "SELECT coalesce(policy, '') FROM keys WHERE id = ?", "s", id);

	out[0] = '\0';
	if (!r)
		r = ks_row(k, st);
	if (r > 0)
		r = ks_column(k, st, 0, out, KS_POLICY_MAX);
	sqlite3_finalize(st);
	return r;
}

int ks_set_policy(struct kh *k, const char *id, const char *policy)
{
	return ks_write(k, "UPDATE keys SET policy = ? WHERE id = ?", "ss", policy, id);
}

int ks_add_grant(struct kh *k, struct ks_grant *g, const uint8_t token[static KS_TOKEN])
{
	uint8_t id[KS_GRANT_ID / 2];

	if (RAND_bytes(id, sizeof(id)) != 1)
		return kh_fail(k, KH_INTERNAL, "no random numbers for a grant");
	kc_hex(id, sizeof(id), g->id);
	ks_date(ks_now(), g->created);
	return ks_write(k, "INSERT INTO grants (id, key, token, grantee, operations, context, created)"
			   " VALUES (?, ?, ?, ?, ?, ?, ?)", "ssbssss", g->id, g->key, token, (size_t)KS_TOKEN,
			g->grantee, g->operations, *g->context ? g->context : NULL, g->created);
}

static int grant_row(struct kh *k, sqlite3_stmt *st, struct ks_grant *g)
{
	return ks_column(k, st, 0, g->id, sizeof(g->id)) || ks_column(k, st, 1, g->key, sizeof(g->key)) ||
		ks_column(k, st, 2, g->grantee, sizeof(g->grantee)) ||
		ks_column(k, st, 3, g->operations, sizeof(g->operations)) ||
		ks_column(k, st, 4, g->context, sizeof(g->context)) ||
		ks_column(k, st, 5, g->created, sizeof(g->created)) ? -1 : 0;
}

/* 1 and the one grant that @st finds, or 0; @st is done with. */
static int one_grant(struct kh *k, sqlite3_stmt *st, int r, struct ks_grant *g)
{
	if (!r)
		r = ks_row(k, st);
	if (r > 0 && grant_row(k, st, g))
		r = -1;
	sqlite3_finalize(st);
	return r;
}

int ks_grant(struct kh *k, const char *id, struct ks_grant *g)
{
	sqlite3_stmt *st;
	int r = 0;

	if (k->keystore) {
		r = ks_query(k, &st, GRANTS " WHERE id = ?", "s", id);
		r = one_grant(k, st, r, g);
	}
	return r > 0 ? 0 : r ? r : kh_fail(k, KH_NOT_FOUND, "there is no grant %s in %s", id, k->state_dir);
}

int ks_grant_of_token(struct kh *k, const uint8_t token[static KS_TOKEN], struct ks_grant *g)
{
	sqlite3_stmt *st;
	int r = 0;

	if (k->keystore) {
		r = ks_query(k, &st, GRANTS " WHERE token = ?", "b", token, (size_t)KS_TOKEN);
		r = one_grant(k, st, r, g);
	}
	return r > 0 ? 0 : r ? r : kh_fail(k, KH_INVALID_GRANT, "the grant token is no token of a grant in %s",
					   k->state_dir);
}

int ks_remove_grant(struct kh *k, const char *id)
{
	return ks_write(k, "DELETE FROM grants WHERE id = ?", "s", id);
}

int ks_list_grants(struct kh *k, const char *id, const char *marker, struct ks_grant *grants, size_t *n)
{
	size_t max = *n;
	sqlite3_stmt *st;
	int r = ks_query(k, &st, GRANTS " WHERE key = ? AND id > ? ORDER BY id LIMIT ?", "ssi", id, marker,
			 (int64_t)max);

	*n = 0;
	while (!r && (r = ks_row(k, st)) > 0) {
		r = grant_row(k, st, &grants[*n]);
		if (!r)
			(*n)++;
	}
	sqlite3_finalize(st);
	return r;
}
