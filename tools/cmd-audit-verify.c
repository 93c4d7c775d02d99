// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache audit verify: is the log as it was written? Exit code 8 where it is not. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "audit-file.h"
#include "audit-verify.h"
#include "kcache.h"
#include "when.h"

/* the journal, and a file that the configuration names */
#define ANCHORS_MAX 2
/* what is wrong is shown so often; how often it is in all is said too */
#define SHOWN_MAX 100

/**
 * struct verify - one run
 * @first: of the findings, for the error
 * @findings: as JSON, where that is wanted
 */
struct verify {
	struct kc_run *r;
	struct kc_verify v;
	struct kc_anchor anchor[ANCHORS_MAX];
	struct kc_verified_file *file;
	size_t n_file;
	struct kc_finding first;
	struct json_object *findings;
};

int check_audit_verify(struct kc_run *r)
{
	return check_audit_list(r);
}

static void show(const struct kc_finding *f, void *data)
{
	struct verify *v = data;
	struct json_object *o;

	if (v->v.findings == 1)
		v->first = *f;
	if (v->v.findings > SHOWN_MAX)
		return;
	if (v->findings) {
		o = kc_json_object();
		kc_json_str(o, "finding", kc_finding_name(f->kind));
		kc_json_str(o, "file", f->file);
		kc_json_u64(o, "line", f->line);
		kc_json_u64(o, "seq", f->seq);
		kc_json_str(o, "text", f->text);
		kc_json_push(v->findings, o);
	} else if (f->line) {
		printf("%s:%" PRIu64 ": %s\n", f->file, f->line, f->text);
	} else {
		printf("%s: %s\n", f->file, f->text);
	}
}

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/*
 * Heads are read before the log: what is appended meanwhile is in the log, and no
 * head of it is missed there.
 */
static int load_anchors(struct verify *v, const char *since)
{
	const struct kc_conf *c = &v->r->conf;
	struct kc_anchor *a = v->anchor;
	struct kc_error *err = &v->r->err;
	const char *given = v->r->opt[OPT_ANCHOR];
	int ret;

	v->v.anchor = a;
	if (given) {
		v->v.n_anchor = 1;
		return is_folder(given) ? kc_anchor_load_journal(a, given, c->audit_file, since, err) :
			kc_anchor_load_file(a, given, since, err);
	}
	if (c->audit_anchor && !kc_anchor_is_command(c->audit_anchor)) {
		ret = kc_anchor_load_file(&a[v->v.n_anchor++], c->audit_anchor, since, err);
		if (ret)
			return ret;
	} else if (c->audit_anchor) {
		kc_warn(v->r, "audit_anchor is a command: what it was handed is compared if it is given with --anchor FILE");
	}
	/* a host without a journal is no error, nor one whose journal has nothing of this log */
	if (kc_anchor_load_journal(&a[v->v.n_anchor], NULL, c->audit_file, since, NULL) || !a[v->v.n_anchor].n)
		kc_anchor_free(&a[v->v.n_anchor]);
	else
		v->v.n_anchor++;
	return 0;
}

static int read_files(struct verify *v)
{
	struct kc_run *r = v->r;
	const char *const only[] = { r->conf.audit_file };
	const char *const *path = r->n_arg ? r->arg : only;
	size_t n = r->n_arg ? (size_t)r->n_arg : 1;
	int ret = 0;

	v->file = calloc(n, sizeof(*v->file));
	if (!v->file)
		return kc_fail(&r->err, KC_NOMEM, NULL, "out of memory");
	for (; !ret && v->n_file < n; v->n_file++)
		ret = kc_verify_file(&v->v, path[v->n_file], &v->file[v->n_file], &r->err);
	if (!ret)
		kc_verify_end(&v->v, path[n - 1]);
	return ret;
}

static void print_text(const struct verify *v)
{
	size_t i;

	for (i = 0; i < v->n_file; i++) {
		const struct kc_verified_file *f = &v->file[i];

		printf("%s: %" PRIu64 " lines", f->path, f->lines);
		if (f->first)
			printf(", numbers %" PRIu64 " to %" PRIu64, f->first, f->last);
		if (f->unchained)
			printf(", %" PRIu64 " before the chain begins", f->unchained);
		if (f->incomplete)
			printf(", %" PRIu64 " incomplete", f->incomplete);
		putchar('\n');
	}
	for (i = 0; i < v->v.n_anchor; i++) {
		const struct kc_anchor *a = &v->anchor[i];

		printf("%s: %zu heads", a->name, a->n);
		if (a->n)
			printf(", numbers %" PRIu64 " to %" PRIu64, a->head[0].chain.seq, a->head[a->n - 1].chain.seq);
		if (a->before)
			printf(", %zu of lines before these files", a->before);
		if (a->incomplete)
			printf(", %zu incomplete lines", a->incomplete);
		putchar('\n');
	}
	if (v->v.findings)
		return;
	if (v->v.proven)
		printf("holds up to number %" PRIu64 ", anchored %s", v->v.proven, v->v.proven_when);
	if (v->v.proven && v->v.last.seq > v->v.proven)
		printf("; the %" PRIu64 " lines after it are chained, but not anchored", v->v.last.seq - v->v.proven);
	if (!v->v.proven)
		printf("the lines follow one another; no anchor has any of them, so an end that was cut off, or a log that was written anew, is not seen");
	putchar('\n');
}

static int print_json(struct verify *v)
{
	struct json_object *o = kc_json_new(), *array = kc_json_array(), *one;
	size_t i;

	kc_json_bool(o, "holds", !v->v.findings);
	for (i = 0; i < v->n_file; i++) {
		const struct kc_verified_file *f = &v->file[i];

		one = kc_json_object();
		kc_json_str(one, "file", f->path);
		kc_json_u64(one, "lines", f->lines);
		kc_json_u64(one, "first", f->first);
		kc_json_u64(one, "last", f->last);
		kc_json_u64(one, "unchained", f->unchained);
		kc_json_u64(one, "incomplete", f->incomplete);
		kc_json_push(array, one);
	}
	kc_json_put(o, "files", array);
	array = kc_json_array();
	for (i = 0; i < v->v.n_anchor; i++) {
		const struct kc_anchor *a = &v->anchor[i];

		one = kc_json_object();
		kc_json_str(one, "anchor", a->name);
		kc_json_u64(one, "heads", a->n);
		kc_json_u64(one, "last", a->n ? a->head[a->n - 1].chain.seq : 0);
		kc_json_u64(one, "before", a->before);
		kc_json_u64(one, "incomplete", a->incomplete);
		kc_json_push(array, one);
	}
	kc_json_put(o, "anchors", array);
	kc_json_u64(o, "proven", v->v.findings ? 0 : v->v.proven);
	kc_json_str(o, "proven_when", v->v.findings ? NULL : v->v.proven_when);
	kc_json_u64(o, "findings_in_all", v->v.findings);
	kc_json_put(o, "findings", v->findings);
	v->findings = NULL;
	return kc_json_print(v->r, o);
}

/* Half lines are what power cuts leave, and may be what is left of a line: the chain tells which. */
static void warn_incomplete(const struct verify *v)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < v->n_file; i++)
		n += v->file[i].incomplete;
	if (n)
		kc_warn(v->r, "%" PRIu64 " incomplete lines, as a power cut leaves them: what was being written then is not recorded", n);
}

static int verify(struct verify *v, const char *since)
{
	struct kc_run *r = v->r;
	char where[32] = "", more[64] = "";
	int ret;

	ret = load_anchors(v, since);
	if (!ret)
		ret = read_files(v);
	if (ret)
		return ret;
	warn_incomplete(v);
	if (v->findings)
		ret = print_json(v);
	else
		print_text(v);
	if (ret || !v->v.findings)
		return ret;
	if (v->first.line)
		snprintf(where, sizeof(where), ", line %" PRIu64, v->first.line);
	if (v->v.findings > 1)
		snprintf(more, sizeof(more), ", and %" PRIu64 " findings more", v->v.findings - 1);
	return kc_fail(&r->err, KC_TAMPERED, "compare it with a copy, and find out who could write there",
		       "the audit log does not hold: %.200s%s: %s%s", v->first.file, where, v->first.text, more);
}

int cmd_audit_verify(struct kc_run *r)
{
	struct verify v = { .r = r, .v = { .found = show } };
	char since[KC_WHEN_LEN + 1];
	size_t i;
	int ret;

	v.v.data = &v;
	if (!r->n_arg && !strcmp(r->conf.audit_file, "none"))
		return kc_fail(&r->err, KC_USAGE, NULL, "audit_file is \"none\": name the files of a log");
	if (kc_given(r, OPT_SINCE) && kc_when(r->opt[OPT_SINCE], time(NULL), since, &r->err))
		return KC_USAGE;
	if (kc_given(r, OPT_JSON))
		v.findings = kc_json_array();
	ret = verify(&v, kc_given(r, OPT_SINCE) ? since : NULL);
	for (i = 0; i < ANCHORS_MAX; i++)
		kc_anchor_free(&v.anchor[i]);
	kc_json_drop(v.findings);
	free(v.file);
	return ret;
}
