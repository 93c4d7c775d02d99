/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit file: one line more, in its place in the chain; and where its head is anchored. */
#ifndef KC_AUDIT_FILE_H
#define KC_AUDIT_FILE_H

#include "audit-chain.h"
#include "conf.h"
#include "error.h"

struct json_object;

/**
 * kc_audit_append() - append an event to @c->audit_file
 * @o: gets the members "previous" (where the line does not follow the one above it in the
 *	file), "seq" and "chain"
 * @when: the event's time, for an anchor in a file, which is written to under the same
 *	lock; NULL: not anchored there
 * @anchor: why it was not anchored there
 *
 * Return: 0, or why the event is not in the file, KC_PERM or KC_DEVICE; @o is as it was then.
 */
int kc_audit_append(const struct kc_conf *c, struct json_object *o, const char *when, struct kc_error *anchor,
		    struct kc_error *err);

/* audit-anchor.c */

/** kc_anchor_is_command() - is it "|COMMAND", not a file? */
static inline bool kc_anchor_is_command(const char *anchor)
{
	return anchor[0] == '|';
}

/** kc_anchor_write() - hand @text, one line, to the file or command @anchor */
int kc_anchor_write(const char *anchor, const char *text, struct kc_error *err);

/**
 * kc_log_open() - a log that only this user may write, made if it is not there
 * @what: how it is called in an error
 * @dir: a folder's file descriptor, or AT_FDCWD
 * @name: its name there
 * @path: its name for people
 * @flags: O_APPEND, or 0 for one that is written in place
 * @fd: each write() to it is on the disk when it returns
 */
int kc_log_open(const char *what, int dir, const char *name, const char *path, int flags, int *fd,
		struct kc_error *err);

/**
 * kc_log_append() - one line, whole or not at all
 * @line: with its line feed, and with another one in front, which is for the case that
 *	somebody's last line has none
 * @size: of the file
 * @closed: its last line is known to have one
 *
 * Return: 0, or -1 with errno.
 */
int kc_log_append(int fd, const char *line, size_t len, int64_t size, bool closed);

#endif
