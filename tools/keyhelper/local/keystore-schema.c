// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The schema of the keystore, one step a version. A new keystore goes through
 * all of them in one transaction, an older one through those that it lacks: so
 * there is one form of the newest version, whatever it grew from.
 */
#include "keystore-db.h"

/*
 * Version 2 keeps what is decided (Enabled or Disabled, a date of deletion, no
 * material) in columns of its own, from which the state that KMS shows follows:
 * a key whose deletion is cancelled, or whose material comes back, has lost nothing
 * else of what it was.
 */
static const char *const steps[KS_SCHEMA] = {
	"CREATE TABLE root ("
	"  one INTEGER PRIMARY KEY CHECK (one = 1),"
	"  id BLOB NOT NULL CHECK (length(id) = 16)) STRICT;"
	"CREATE TABLE keys ("
	"  id TEXT PRIMARY KEY CHECK (length(id) = 36),"
	"  state TEXT NOT NULL CHECK (state IN ('Enabled', 'Disabled')),"
	"  version INTEGER NOT NULL CHECK (version >= 1),"
	"  created TEXT NOT NULL,"
	"  description TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE material ("
	"  key TEXT NOT NULL REFERENCES keys (id) ON DELETE RESTRICT,"
	"  version INTEGER NOT NULL CHECK (version >= 1),"
	"  created TEXT NOT NULL,"
	"  sealed BLOB NOT NULL CHECK (length(sealed) = 60),"
	"  PRIMARY KEY (key, version)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE aliases ("
	"  name TEXT PRIMARY KEY CHECK (name GLOB 'alias/?*'),"
	"  key TEXT NOT NULL REFERENCES keys (id) ON DELETE RESTRICT,"
	"  created TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX aliases_key ON aliases (key);"
	"PRAGMA application_id = 1801677683;"
	"PRAGMA user_version = 1;",

	"ALTER TABLE keys ADD COLUMN external INTEGER NOT NULL DEFAULT 0 CHECK (external IN (0, 1));"
	"ALTER TABLE keys ADD COLUMN deletion INTEGER CHECK (deletion > 0);"
	"ALTER TABLE keys ADD COLUMN rotation_days INTEGER CHECK (rotation_days BETWEEN 90 AND 2560);"
	"ALTER TABLE keys ADD COLUMN rotation_next INTEGER CHECK (rotation_next > 0);"
	"ALTER TABLE keys ADD COLUMN imported BLOB CHECK (length(imported) = 32);"
	"ALTER TABLE keys ADD COLUMN policy TEXT;"
	"ALTER TABLE material ADD COLUMN valid_to INTEGER CHECK (valid_to > 0);"
	"CREATE TABLE grants ("
	"  id TEXT PRIMARY KEY CHECK (length(id) = 64),"
	"  key TEXT NOT NULL REFERENCES keys (id) ON DELETE RESTRICT,"
	"  token BLOB NOT NULL CHECK (length(token) = 32),"
	"  grantee TEXT NOT NULL,"
	"  operations TEXT NOT NULL,"
	"  context TEXT,"
	"  created TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX grants_key ON grants (key);"
	"CREATE UNIQUE INDEX grants_token ON grants (token);"
	"CREATE TABLE imports ("
	"  key TEXT PRIMARY KEY REFERENCES keys (id) ON DELETE RESTRICT,"
	"  token BLOB NOT NULL CHECK (length(token) = 32),"
	"  sealed BLOB NOT NULL,"
	"  valid_to INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version = 2;",
};

_Static_assert(KS_APPLICATION == 1801677683 && KS_SCHEMA == 2, "PRAGMAs take no expressions");

int ks_migrate(struct kh *k, int64_t version, const struct ks_root *root)
{
	int64_t now = version, i;
	int r = ks_begin(k, true);

	/* another process may have done it since it was looked at */
	if (!r)
		r = ks_number(k, "PRAGMA user_version", &now);
	for (i = now; !r && i < KS_SCHEMA; i++)
		r = ks_exec(k, steps[i]);
	if (!r && !now)
		r = ks_write(k, "INSERT INTO root VALUES (1, ?)", "b", root->id, (size_t)KS_ROOT_ID);
	return ks_end(k, r);
}
