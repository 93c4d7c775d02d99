// SPDX-License-Identifier: GPL-2.0-or-later
/* A key helper's state with a real keystore under it, see keystore-fixture.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "keystore-db.h"
#include "keystore-fixture.h"

static struct kh_secrets secrets;
static char db[4200];
static uint8_t *fresh;
static long fresh_len;
static int changes;

static void read_db(void)
{
	FILE *f = fopen(db, "re");

	must(f && !fseek(f, 0, SEEK_END));
	fresh_len = ftell(f);
	fresh = malloc((size_t)fresh_len);
	must(fresh && !fseek(f, 0, SEEK_SET) && fread(fresh, (size_t)fresh_len, 1, f) == 1);
	fclose(f);
}

static void restore_db(void)
{
	char other[sizeof(db) + 8];
	FILE *f;

	snprintf(other, sizeof(other), "%s-wal", db);
	unlink(other);
	snprintf(other, sizeof(other), "%s-shm", db);
	unlink(other);
	f = fopen(db, "r+e");
	must(f && fwrite(fresh, (size_t)fresh_len, 1, f) == 1 && !fflush(f));
	must(!ftruncate(fileno(f), fresh_len));
	fclose(f);
}

void keystore_up(struct kh *k, char *key)
{
	struct kc_key_info info;

	/* as kc_harden_process() does it */
	umask(077);
	snprintf(db, sizeof(db), "%s/keystore.db", fuzz_dir());
	memset(k, 0, sizeof(*k));
	k->secrets = &secrets;
	k->deadline = INT64_MAX;
	snprintf(k->state_dir, sizeof(k->state_dir), "%s", fuzz_dir());
	must(!kh_provider->describe(k, "local:alias/kcache", &info));
	snprintf(key, KC_KEY_NAME_MAX, "%s", info.key);
	ks_close(k);
	read_db();
	must(!ks_open(k, false) && k->keystore);
	changes = sqlite3_total_changes(k->keystore->db);
}

void keystore_reset(struct kh *k)
{
	if (k->keystore && sqlite3_total_changes(k->keystore->db) != changes) {
		ks_close(k);
		restore_db();
	}
	k->error = KH_OK;
	if (!k->keystore) {
		must(!ks_open(k, false) && k->keystore);
		changes = sqlite3_total_changes(k->keystore->db);
	}
}
