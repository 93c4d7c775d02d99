// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Following the chain. After a finding the line that is there is believed and the next
 * one compared with it, so that one change is one finding and not a file of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "audit-verify.h"

/**
 * struct at - the line that is looked at
 * @c: its place
 * @body: bytes before its member "chain"
 * @previous: what it says it follows, where it says so; else empty
 */
struct at {
	struct kc_verify *v;
	struct kc_verified_file *f;
	const char *line;
	size_t len;
	struct kc_chain c;
	size_t body;
	char previous[KC_CHAIN_HEX + 1];
};

const char *kc_finding_name(enum kc_finding_kind kind)
{
	static const char *const names[] = {
		[KC_CHANGED] = "changed", [KC_REMOVED] = "removed", [KC_REORDERED] = "reordered",
		[KC_UNCHAINED] = "unchained", [KC_RESTARTED] = "restarted", [KC_BEGINNING] = "beginning-missing",
		[KC_REWRITTEN] = "rewritten", [KC_CUT_OFF] = "cut-off",
	};

	return names[kind];
}

static void __attribute__((format(printf, 6, 7))) found(struct kc_verify *v, enum kc_finding_kind kind, const char *file,
							uint64_t line, uint64_t seq, const char *fmt, ...)
{
	struct kc_finding f = { .kind = kind, .file = file, .line = line, .seq = seq };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	v->findings++;
	v->found(&f, v->data);
}

/* The line as JSON: NULL if it is none. */
static struct json_object *parse(const char *line, size_t len)
{
	struct json_tokener *t = len < INT32_MAX ? json_tokener_new() : NULL;
	struct json_object *o = NULL;

	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(t, line, (int)len);
	if (json_tokener_get_error(t) != json_tokener_success || json_tokener_get_parse_end(t) != len ||
	    !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(t);
	return o;
}

/* A line without a place: of an older version, half, or somebody else's. */
static void no_place(struct at *at)
{
	struct json_object *o = parse(at->line, at->len);

	if (!o) {
		at->f->incomplete++;
		return;
	}
	json_object_put(o);
	if (at->v->last.seq)
		found(at->v, KC_UNCHAINED, at->f->path, at->f->lines, 0,
		      "it has no place in the chain, which the lines before it have: it was put in, or an older kcache wrote it");
	else
		at->f->unchained++;
}

/* What it says it follows; empty if it says nothing. */
static void read_previous(struct at *at)
{
	struct json_object *o = parse(at->line, at->len), *v;

	at->previous[0] = '\0';
	if (json_object_object_get_ex(o, "previous", &v) && json_object_is_type(v, json_type_string) &&
	    kc_chain_valid(json_object_get_string(v)))
		memcpy(at->previous, json_object_get_string(v), KC_CHAIN_HEX + 1);
	json_object_put(o);
}

static bool follows(const struct at *at, const char *before)
{
	char value[KC_CHAIN_HEX + 1];

	return *before && kc_chain_value(before, at->line, at->body, value) && !strcmp(value, at->c.value);
}

/* The first line that has a place: whether it is the first of all, or what came before is in an older file. */
static void check_first(struct at *at)
{
	const char *path = at->f->path;
	uint64_t n = at->f->lines, seq = at->c.seq;

	at->v->first = seq;
	read_previous(at);
	if (!at->previous[0])
		found(at->v, KC_BEGINNING, path, n, seq,
		      "its number is %" PRIu64 ", and the line that it follows is not there: lines before it were removed",
		      seq);
	else if (!follows(at, at->previous))
		found(at->v, KC_CHANGED, path, n, seq, "it is not the line that was written: it was changed");
	else if ((seq == 1) != !strcmp(at->previous, KC_CHAIN_BEGIN))
		found(at->v, KC_CHANGED, path, n, seq, "its number, %" PRIu64 ", is not that of the line it says it follows",
		      seq);
}

static void check_next(struct at *at)
{
	const struct kc_chain *last = &at->v->last;
	const char *path = at->f->path;
	uint64_t n = at->f->lines, seq = at->c.seq;

	if (seq == last->seq + 1 && follows(at, last->value))
		return;
	read_previous(at);
	if (follows(at, at->previous) && !strcmp(at->previous, KC_CHAIN_BEGIN))
		found(at->v, KC_RESTARTED, path, n, seq,
		      "the chain begins anew: the log and its head were removed after number %" PRIu64, last->seq);
	else if (seq == last->seq + 2)
		found(at->v, KC_REMOVED, path, n, seq, "number %" PRIu64 " is missing before it: a line was removed",
		      seq - 1);
	else if (seq > last->seq + 2)
		found(at->v, KC_REMOVED, path, n, seq,
		      "numbers %" PRIu64 " to %" PRIu64 " are missing before it: lines were removed", last->seq + 1, seq - 1);
	else if (seq <= last->seq)
		found(at->v, KC_REORDERED, path, n, seq,
		      "its number is %" PRIu64 ", after %" PRIu64 ": it was moved or put in, or the log was cut off and went on",
		      seq, last->seq);
	else if (follows(at, at->previous))
		found(at->v, KC_CHANGED, path, n, seq,
		      "it follows another line than the one before it: that one was changed, or written anew");
	else
		found(at->v, KC_CHANGED, path, n, seq,
		      "it is not the line that was written, or does not follow the one before it: it was changed");
}

static size_t first_of(const struct kc_anchor *a, uint64_t seq)
{
	size_t low = 0, high = a->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (a->head[mid].chain.seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void compare(struct at *at)
{
	struct kc_verify *v = at->v;
	size_t i, k;

	for (i = 0; i < v->n_anchor; i++)
		for (k = first_of(&v->anchor[i], at->c.seq);
		     k < v->anchor[i].n && v->anchor[i].head[k].chain.seq == at->c.seq; k++) {
			struct kc_anchored *h = &v->anchor[i].head[k];

			h->seen = true;
			if (strcmp(h->chain.value, at->c.value) != 0) {
				found(v, KC_REWRITTEN, at->f->path, at->f->lines, at->c.seq,
				      "%s has another line of number %" PRIu64 ", of %s: the log was written anew from there or before",
				      v->anchor[i].name, at->c.seq, h->when);
			} else if (at->c.seq > v->proven) {
				v->proven = at->c.seq;
				memcpy(v->proven_when, h->when, sizeof(v->proven_when));
			}
		}
}

static void check_line(struct at *at)
{
	if (!kc_chain_line(at->line, at->len, &at->c, &at->body)) {
		no_place(at);
		return;
	}
	if (at->v->last.seq)
		check_next(at);
	else
		check_first(at);
	compare(at);
	if (!at->f->first)
		at->f->first = at->c.seq;
	at->f->last = at->c.seq;
	at->v->last = at->c;
}

static int cannot_read(const char *what, const char *path, struct kc_error *err)
{
	return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NULL, "cannot read the %s %s: %s",
		       what, path, strerror(errno));
}

/* @fn for each line of a file, without its line feed. */
static int each_line(const char *what, const char *path, int (*fn)(const char *line, size_t len, void *data), void *data,
		     struct kc_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = 0;
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	char *line = NULL;
	size_t size = 0;
	struct stat st;
	ssize_t n;

	if (!f) {
		r = cannot_read(what, path, err);
		if (fd >= 0)
			close(fd);
		return r;
	}
	if (!fstat(fd, &st) && !S_ISREG(st.st_mode))
		r = kc_fail(err, KC_DEVICE, NULL, "the %s %s is not a file", what, path);
	while (!r && (n = getline(&line, &size, f)) > 0)
		r = fn(line, (size_t)(line[n - 1] == '\n' ? n - 1 : n), data);
	if (!r && ferror(f))
		r = cannot_read(what, path, err);
	free(line);
	fclose(f);
	return r;
}

static int one_line(const char *line, size_t len, void *data)
{
	struct at *at = data;

	at->line = line;
	at->len = len;
	at->f->lines++;
	check_line(at);
	return 0;
}

int kc_verify_file(struct kc_verify *v, const char *path, struct kc_verified_file *f, struct kc_error *err)
{
	struct at at = { .v = v, .f = f };

	memset(f, 0, sizeof(*f));
	f->path = path;
	return each_line("audit file", path, one_line, &at, err);
}

/* Heads of lines that are gone: before the first one they may have been rotated away, after it not. */
static void end_of(struct kc_verify *v, struct kc_anchor *a, const char *path)
{
	const struct kc_anchored *last = NULL;
	uint64_t gone = 0;
	size_t i;

	for (i = 0; i < a->n; i++) {
		const struct kc_anchored *h = &a->head[i];

		if (h->seen)
			continue;
		if (v->last.seq && h->chain.seq < v->first) {
			a->before++;
		} else if (h->chain.seq > v->last.seq) {
			gone++;
			last = h;
		} else {
			found(v, KC_REMOVED, path, 0, h->chain.seq,
			      "%s has number %" PRIu64 ", of %s, which is not in the log: it was removed", a->name,
			      h->chain.seq, h->when);
		}
	}
	if (gone)
		found(v, KC_CUT_OFF, path, 0, last->chain.seq,
		      "the log ends with number %" PRIu64 ", but %s has heads up to %" PRIu64 ", of %s: its end was cut off",
		      v->last.seq, a->name, last->chain.seq, last->when);
}

void kc_verify_end(struct kc_verify *v, const char *path)
{
	size_t i;

	for (i = 0; i < v->n_anchor; i++)
		end_of(v, &v->anchor[i], path);
}

/* Anchors. */

bool kc_anchor_add(struct kc_anchor *a, const struct kc_chain *c, const char *when)
{
	struct kc_anchored *more;

	if (a->n == a->size) {
		more = reallocarray(a->head, a->size ? 2 * a->size : 256, sizeof(*more));
		if (!more)
			return false;
		a->head = more;
		a->size = a->size ? 2 * a->size : 256;
	}
	more = &a->head[a->n++];
	memset(more, 0, sizeof(*more));
	more->chain = *c;
	snprintf(more->when, sizeof(more->when), "%s", when);
	return true;
}

static int by_seq(const void *a, const void *b)
{
	const struct kc_anchored *x = a, *y = b;

	return x->chain.seq < y->chain.seq ? -1 : x->chain.seq > y->chain.seq;
}

void kc_anchor_sort(struct kc_anchor *a)
{
	if (a->n)
		qsort(a->head, a->n, sizeof(*a->head), by_seq);
}

struct load {
	struct kc_anchor *a;
	const char *since;
	struct kc_error *err;
	uint64_t line;
};

static int one_head(const char *line, size_t len, void *data)
{
	struct load *l = data;
	char when[KC_CHAIN_TIME + 1];
	struct kc_chain c;

	l->line++;
	switch (kc_anchor_line(line, len, &c, when)) {
	case KC_ANCHOR_BAD:
		return kc_fail(l->err, KC_TAMPERED, "use a copy of it that is whole",
			       "line %" PRIu64 " of the anchor %s is damaged or was changed", l->line, l->a->name);
	case KC_ANCHOR_INCOMPLETE:
		l->a->incomplete++;
		return 0;
	case KC_ANCHOR_GOOD:
		break;
	}
	if (l->since && strcmp(when, l->since) < 0)
		return 0;
	return kc_anchor_add(l->a, &c, when) ? 0 : kc_fail(l->err, KC_NOMEM, NULL, "out of memory for an anchor");
}

int kc_anchor_load_file(struct kc_anchor *a, const char *path, const char *since, struct kc_error *err)
{
	struct load l = { .a = a, .since = since, .err = err };
	int r;

	memset(a, 0, sizeof(*a));
	snprintf(a->name, sizeof(a->name), "%s", path);
	r = each_line("anchor", path, one_head, &l, err);
	kc_anchor_sort(a);
	return r;
}

void kc_anchor_free(struct kc_anchor *a)
{
	free(a->head);
	memset(a, 0, sizeof(*a));
}
