// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The audit log and its anchor, as somebody else may have left them. Input: the log up
 * to the first NUL, then an anchor. A verification ends with numbers that can be; and an
 * event that is appended is the log's last line, in a place after all that hold.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit-verify.h"
#include "audit.h"
#include "fuzz.h"

#define SEQ_MAX UINT64_C(999999999999999)

static struct kc_conf conf;
static char log_path[4200], head_path[4220], anchor_path[4200];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	snprintf(log_path, sizeof(log_path), "%s/audit.jsonl", fuzz_dir());
	snprintf(head_path, sizeof(head_path), "%s.head", log_path);
	snprintf(anchor_path, sizeof(anchor_path), "%s/heads", fuzz_dir());
	conf.audit_file = log_path;
	return 0;
}

static void write_file(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void count(const struct kc_finding *f, void *data)
{
	must(kc_finding_name(f->kind) && strlen(f->text) > 10);
	++*(uint64_t *)data;
}

/* How many findings there are; @v holds until the next one. */
static uint64_t verify(struct kc_verify *v, struct kc_verified_file *f, struct kc_anchor *a)
{
	struct kc_error err = { 0 };
	uint64_t n = 0;

	memset(v, 0, sizeof(*v));
	v->found = count;
	v->data = &n;
	v->anchor = a;
	v->n_anchor = a ? 1 : 0;
	must(!kc_verify_file(v, log_path, f, &err));
	kc_verify_end(v, log_path);
	must(n == v->findings && f->unchained + f->incomplete <= f->lines);
	must(v->proven == 0 || (a && a->n && strlen(v->proven_when) == KC_CHAIN_TIME));
	return n;
}

static bool anchor_of(struct kc_anchor *a)
{
	struct kc_error err = { 0 };
	int r = kc_anchor_load_file(a, anchor_path, NULL, &err);

	must(r ? r == KC_TAMPERED && err.code == KC_TAMPERED : err.code == KC_OK);
	return !r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kc_event e = { .event = "Decrypt" };
	const uint8_t *nul = memchr(data, '\0', size);
	size_t len = nul ? (size_t)(nul - data) : size;
	struct kc_verified_file before, after;
	struct kc_error err = { 0 };
	struct kc_anchor a = { 0 };
	struct kc_verify v;
	uint64_t bad;

	write_file(log_path, data, len);
	write_file(anchor_path, nul ? nul + 1 : data, nul ? size - len - 1 : 0);
	unlink(head_path);
	verify(&v, &before, anchor_of(&a) ? &a : NULL);
	kc_anchor_free(&a);

	bad = verify(&v, &before, NULL);
	if (before.last == SEQ_MAX)
		return 0;	/* somebody's: ours do not get there */
	must(!kc_audit(&conf, &e, &err));
	/* what did not hold does not hold more, and what held does still */
	must(verify(&v, &after, NULL) == bad && after.last);
	must(!before.last || after.last == before.last + 1);
	return 0;
}
