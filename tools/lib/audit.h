/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One structured event for each use of a key: to the journal and to a JSON-lines file. */
#ifndef KC_AUDIT_H
#define KC_AUDIT_H

#include "conf.h"
#include "error.h"

/**
 * struct kc_event - what happened, in EBS's and CloudTrail's vocabulary
 * @event: "createVolume", "attachVolume", "detachVolume", "reattachVolume", "Decrypt",
 *	"suspendVolume", "resumeVolume", "modifyVolume", "addRecipient", "removeRecipient",
 *	"rewrapVolume",
 *	"GenerateDataKeyWithoutPlaintext", "CreateKey", "EnableKey", "DisableKey", ...
 * @kind: "ephemeral" for a volume whose key is nowhere else, or NULL
 * @volume, @device, @name, @key, @request_id: NULL where it has none
 * @source_key: rewrapVolume: the key whose copy of the DEK was replaced
 * @wrapped_by: how a copy of the DEK was made, "ReEncrypt" or "Encrypt"
 * @proven_by: how the KMS was seen to open it before it was relied upon, "Decrypt"
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
	const char *wrapped_by;
	const char *proven_by;
	const struct kc_error *err;
};

/**
 * kc_audit() - write one event, to the journal and to @c->audit_file
 *
 * The line is appended with one write() to a file opened O_APPEND, 0600, and
 * fsync()ed. Time, host, user and pid are added here. A file that cannot be
 * written is reported in the journal; a journal that is not there is no error.
 *
 * Return: 0; KC_PERM or KC_DEVICE where a file is configured, cannot be
 * written, and the journal did not take the event either: it is recorded nowhere.
 */
int kc_audit(const struct kc_conf *c, const struct kc_event *e, struct kc_error *err);

#endif
