/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One structured event for each use of a key: to the journal and to a JSON-lines file. */
#ifndef KC_AUDIT_H
#define KC_AUDIT_H

#include "conf.h"
#include "error.h"

/**
 * struct kc_event - what happened, in EBS's and CloudTrail's vocabulary
 * @event: "createVolume", "attachVolume", "detachVolume", "reattachVolume", "Decrypt",
 *	"GenerateDataKeyWithoutPlaintext", "CreateKey", "EnableKey", "DisableKey", ...
 * @volume, @device, @name, @key, @request_id: NULL where it has none
 * @err: NULL for result "succeeded", else "failed" with cause and exit code
 */
struct kc_event {
	const char *event;
	const char *volume;
	const char *device;
	const char *name;
	const char *key;
	const char *request_id;
	const struct kc_error *err;
};

/**
 * kc_audit() - write one event
 *
 * The line is appended with one write() to a file opened O_APPEND, 0600, and
 * fsync()ed. Time, host, user and pid are added here.
 *
 * Return: 0, or KC_PERM or KC_DEVICE where the file cannot be written.
 */
int kc_audit(const struct kc_conf *c, const struct kc_event *e, struct kc_error *err);

#endif
