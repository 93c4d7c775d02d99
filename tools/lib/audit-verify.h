/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does an audit log hold? Its lines are followed along their chain, and compared with
 * heads of the chain that lie elsewhere. What that proves, and what it cannot, is in
 * Documentation/audit.md.
 */
#ifndef KC_AUDIT_VERIFY_H
#define KC_AUDIT_VERIFY_H

#include "audit-chain.h"
#include "error.h"

/** struct kc_anchored - a head of the chain that was kept elsewhere; @seen: the log has this line */
struct kc_anchored {
	struct kc_chain chain;
	char when[KC_CHAIN_TIME + 1];
	bool seen;
};

/** struct kc_anchor - where heads were read from */
struct kc_anchor {
	char name[256];
	struct kc_anchored *head;	/* by their numbers */
	size_t n, size;
	size_t incomplete;	/* half lines, as power cuts leave them */
	size_t before;		/* heads of lines before the first one there is */
};

/** enum kc_finding_kind - in the words of --json: kc_finding_name() */
enum kc_finding_kind {
	KC_CHANGED,	/* the line's bytes are not what its chain value says */
	KC_REMOVED,	/* numbers are missing before the line */
	KC_REORDERED,	/* the line's number is not after that of the one before it: moved, or put in twice */
	KC_UNCHAINED,	/* a whole line without a place in the chain, among those that have one */
	KC_RESTARTED,	/* the chain begins anew */
	KC_BEGINNING,	/* the first line follows one that should be there */
	KC_REWRITTEN,	/* the line holds by itself, but an anchor has another one of this number */
	KC_CUT_OFF,	/* an anchor has heads of lines after the last one */
};

/** struct kc_finding - something that does not hold; @line is 0 for the end of a log */
struct kc_finding {
	enum kc_finding_kind kind;
	const char *file;
	uint64_t line;
	uint64_t seq;
	char text[384];
};

/** struct kc_verified_file - what one file was */
struct kc_verified_file {
	const char *path;
	uint64_t lines;
	uint64_t first, last;	/* 0 where no line has a place */
	uint64_t unchained;	/* whole lines before the chain begins: of an older version */
	uint64_t incomplete;	/* half lines, as power cuts leave them */
};

/**
 * struct kc_verify - a verification; zeroed, with @found and @data set
 * @found: told each finding
 * @anchor: what it is compared with
 * @first: the number of the first line
 * @last: the last line's place; seq 0 before there is one
 * @findings: how many there were
 * @proven: the highest number up to which an anchor has the same; 0 for none
 * @proven_when: when that was anchored
 */
struct kc_verify {
	void (*found)(const struct kc_finding *f, void *data);
	void *data;
	struct kc_anchor *anchor;
	size_t n_anchor;
	uint64_t first;
	struct kc_chain last;
	uint64_t findings;
	uint64_t proven;
	char proven_when[KC_CHAIN_TIME + 1];
};

/**
 * kc_anchor_load_file() - read heads as kcache appends them to a file
 * @since: leave those out that were anchored before; NULL: none
 *
 * Return: 0; KC_DEVICE or KC_PERM where it cannot be read; KC_TAMPERED where a line is not
 * one, or not the beginning of one.
 */
int kc_anchor_load_file(struct kc_anchor *a, const char *path, const char *since, struct kc_error *err);

/**
 * kc_anchor_load_journal() - read heads out of a journal
 * @dir: of journal files; NULL: this machine's
 * @audit_file: whose heads
 *
 * Only entries of processes of the user who owns the log, or of root, are taken: the
 * journal has that from the kernel. Where there is no journal, there is no head.
 */
int kc_anchor_load_journal(struct kc_anchor *a, const char *dir, const char *audit_file, const char *since,
			   struct kc_error *err);
/** kc_anchor_add() - one head more; false: out of memory */
bool kc_anchor_add(struct kc_anchor *a, const struct kc_chain *c, const char *when);

/** kc_anchor_sort() - by their numbers, which a verification expects */
void kc_anchor_sort(struct kc_anchor *a);
void kc_anchor_free(struct kc_anchor *a);

/** kc_verify_file() - follow the lines of one file more, the oldest one first */
int kc_verify_file(struct kc_verify *v, const char *path, struct kc_verified_file *f, struct kc_error *err);

/** kc_verify_end() - after the last file: what the anchors have, and the log has not */
void kc_verify_end(struct kc_verify *v, const char *path);

const char *kc_finding_name(enum kc_finding_kind kind);

#endif
