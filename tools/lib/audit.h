/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One structured event for each use of a key: to the journal and to a JSON-lines file,
 * whose lines are chained by hashes. Documentation/audit.md has the events and the chain.
 */
#ifndef KC_AUDIT_H
#define KC_AUDIT_H

#include "conf.h"
#include "error.h"

/**
 * struct kc_event - what happened, in EBS's and CloudTrail's vocabulary
 * @event: "createVolume", "attachVolume", "detachVolume", "reattachVolume", "Decrypt",
 *	"suspendVolume", "resumeVolume", "modifyVolume", "addRecipient", "removeRecipient",
 *	"rewrapVolume", "renewLease", "revokeVolume", "expireLease",
 *	"createSnapshot", "restoreSnapshot", "anchorAudit", "checkVolume", "checkPolicy" (if violated),
 *	"GenerateDataKeyWithoutPlaintext", "CreateKey", "EnableKey", "DisableKey", ...:
 *	the table in Documentation/audit.md has them all; a new one goes there too
 * @kind: "ephemeral" for a volume whose key is nowhere else, "clone" for one made from another, on_revoke where it is about a
 *	lease, or NULL
 * @volume, @device, @name, @key, @request_id: NULL where it has none
 * @source_key: rewrapVolume: the key whose copy of the DEK was replaced
 * @snapshot: createSnapshot, restoreSnapshot: its id; @file is where it was put, or taken from
 * @source_volume: createVolume: the volume that a clone was a copy of
 * @wrapped_by: how a copy of the DEK was made, "ReEncrypt" or "Encrypt"
 * @proven_by: how the KMS was seen to open it before it was relied upon, "Decrypt"
 * @alias, @grant, @grantee, @file: what an operation on a key is about
 * @err: NULL for result "succeeded", else "failed" with cause and exit code
 */
struct kc_event {
	const char *event;
	const char *kind;
	const char *volume;
	const char *device;
	const char *name;
	const char *key;
	const char *request_id;
	const char *source_key;
	const char *snapshot;
	const char *source_volume;
	const char *wrapped_by;
	const char *proven_by;
	const char *alias;
	const char *grant;
	const char *grantee;
	const char *file;
	const struct kc_error *err;
};

/**
 * kc_audit() - write one event, to the journal and to @c->audit_file
 *
 * The line is appended with one write() to a file opened O_APPEND, O_DSYNC, 0600, and
 * gets its place in the chain, which is handed to @c->audit_anchor. Time, host, user
 * and pid are added here. A file that cannot be written is reported in the journal; a
 * journal that is not there is no error. Nor is an anchor that fails: it is a warning,
 * and an event of its own.
 *
 * Return: 0; KC_PERM or KC_DEVICE where a file is configured, cannot be
 * written, and the journal did not take the event either: it is recorded nowhere.
 */
int kc_audit(const struct kc_conf *c, const struct kc_event *e, struct kc_error *err);

/** kc_audit_on_warning() - who is told, beside the log, that the anchor did not take a head */
void kc_audit_on_warning(void (*fn)(const struct kc_error *e, void *data), void *data);

#endif
