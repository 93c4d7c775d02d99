/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kcache.conf and kcache.conf.d/ *.conf: "name = value" lines, '#' comments, a
 * later file wins, lists add up. Unknown names and bad values are errors: a
 * typing error in allow_key must not go unseen.
 */
#ifndef KC_CONF_H
#define KC_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define KC_CONF_DEFAULT "/etc/kcache/kcache.conf"

#define KC_PROVIDER_SETTINGS 16	/* at most so many kinds */

/**
 * struct kc_rule - "require = MATCH" or "exempt = MATCH": which block devices must be encrypted
 * @match: "PROPERTY=GLOB ...", all of which a device has (lib/policy.h)
 * @where: "FILE:LINE"
 */
struct kc_rule {
	bool exempt;
	char *match;
	char *where;
};

/**
 * struct kc_conf - the host's configuration
 * @default_key: key of create without --key ("default_key", local:alias/kcache)
 * @state_dir: keystore and known volumes ("state_dir", /var/lib/kcache)
 * @audit_file: JSON lines ("audit_file", /var/log/kcache/audit.jsonl; "none" for the journal alone)
 * @audit_anchor: where the head of the audit file's chain goes: a file's path, or "|COMMAND" ("audit_anchor"); NULL
 * @helper: the key helper's path ("helper", /usr/libexec/kcache/kcache-keyhelper)
 * @timeout: seconds for all that a KMS is asked in one command ("timeout", 60)
 * @allow_keys: keys whose volumes this host attaches ("allow_key", may repeat): a canonical key id, or a
 *	pattern with '*' only as a whole trailing part ("local:*", "arn:aws:kms:eu-central-1:111122223333:key/ *")
 * @n_allow_keys: how many
 * @rules, @n_rules: the policy ("require", "exempt", may repeat)
 * @forbid_plaintext: no device that is not exempt may hold plaintext ("forbid_plaintext", no)
 * @default_key_where, @forbid_where: "FILE:LINE" of those two, NULL where nothing sets them
 * @settings: what only one provider reads, by names of its own: PROVIDER_...
 * @n_settings: how many
 */
struct kc_conf {
	char *default_key;
	char *state_dir;
	char *audit_file;
	char *audit_anchor;
	char *helper;
	unsigned int timeout;
	char **allow_keys;
	size_t n_allow_keys;
	struct kc_rule *rules;
	size_t n_rules;
	bool forbid_plaintext;
	char *default_key_where;
	char *forbid_where;
	struct kc_setting {
		const char *name;	/* a constant */
		char *value;
	} settings[KC_PROVIDER_SETTINGS];
	size_t n_settings;
};

/**
 * kc_conf_load() - read the configuration
 * @path: NULL for $KCACHE_CONFIG or the default; a default that is not there is an empty one.
 *	<path>.d/ *.conf is read after it, in the order of strcmp()
 *
 * A file that others than root (or the caller) may write is refused, KC_PERM.
 */
int kc_conf_load(const char *path, struct kc_conf *c, struct kc_error *err);
void kc_conf_free(struct kc_conf *c);

#endif
