// SPDX-License-Identifier: GPL-2.0-or-later
/* Heads of the audit file's chain, as events left them in the journal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "audit-verify.h"

#define NEXT_READ "run it as root, or as a member of the group systemd-journal"

/* What follows "NAME=" in the entry; false if it has no such field, or one that does not fit. */
static bool field(sd_journal *j, const char *name, char *out, size_t size)
{
	const void *data;
	size_t len, n = strlen(name) + 1;

	if (sd_journal_get_data(j, name, &data, &len) < 0 || len < n || len - n >= size)
		return false;
	memcpy(out, (const char *)data + n, len - n);
	out[len - n] = '\0';
	return true;
}

static int add_entry(struct kc_anchor *a, sd_journal *j, const char *since, struct kc_error *err)
{
	char text[160], seq[32], chain[KC_CHAIN_HEX + 1], when[KC_CHAIN_TIME + 1];
	struct kc_chain c;
	int n;

	if (!field(j, "KCACHE_SEQ", seq, sizeof(seq)) || !field(j, "KCACHE_CHAIN", chain, sizeof(chain)) ||
	    !field(j, "KCACHE_TIME", when, sizeof(when)))
		return 0;
	n = snprintf(text, sizeof(text), "%s %s %s", seq, chain, when);
	if (kc_anchor_line(text, (size_t)n, &c, when) != KC_ANCHOR_GOOD)
		return kc_fail(err, KC_TAMPERED, "see journalctl SYSLOG_IDENTIFIER=kcache",
			       "an entry of %s with KCACHE_SEQ=%s is not as kcache writes it", a->name, seq);
	if (since && strcmp(when, since) < 0)
		return 0;
	return kc_anchor_add(a, &c, when) ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for an anchor");
}

static bool match(sd_journal *j, const char *name, const char *value)
{
	char *text;
	bool ok;

	if (asprintf(&text, "%s=%s", name, value) < 0)
		return false;
	ok = sd_journal_add_match(j, text, 0) >= 0;
	free(text);
	return ok;
}

/* _UID is the kernel's word: anybody may write to a journal, but not as somebody else. */
static bool match_entries(sd_journal *j, const char *audit_file)
{
	struct stat st;
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", (unsigned int)(stat(audit_file, &st) ? geteuid() : st.st_uid));
	return match(j, "SYSLOG_IDENTIFIER", "kcache") && match(j, "KCACHE_AUDIT_FILE", audit_file) &&
	       match(j, "_UID", "0") && match(j, "_UID", uid);
}

int kc_anchor_load_journal(struct kc_anchor *a, const char *dir, const char *audit_file, const char *since,
			   struct kc_error *err)
{
	sd_journal *j = NULL;
	int r, e;

	memset(a, 0, sizeof(*a));
	snprintf(a->name, sizeof(a->name), "%s", dir ? dir : "the journal");
	e = dir ? sd_journal_open_directory(&j, dir, 0) : sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (e < 0)
		return kc_fail(err, e == -EACCES || e == -EPERM ? KC_PERM : KC_DEVICE, NEXT_READ, "cannot read %s: %s",
			       a->name, strerror(-e));
	r = match_entries(j, audit_file) ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for the journal");
	while (!r) {
		e = sd_journal_next(j);
		if (e < 0)
			r = kc_fail(err, KC_DEVICE, NULL, "cannot read %s: %s", a->name, strerror(-e));
		if (e <= 0)
			break;
		r = add_entry(a, j, since, err);
	}
	sd_journal_close(j);
	kc_anchor_sort(a);
	return r;
}
