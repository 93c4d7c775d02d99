/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encrypt by default: which block devices must be encrypted (kcache.conf: require,
 * exempt, forbid_plaintext), and which of them are not.
 *
 * A rule matches what udev knows of a device, or what sysfs says where there is no
 * udev. What stands on a device (partitions, logical volumes, arrays, loop devices)
 * has to be what the device has to be, unless a rule matches it by itself; what
 * stands on an attached volume is encrypted.
 */
#ifndef KC_POLICY_H
#define KC_POLICY_H

#include <stdbool.h>
#include <sys/types.h>

#include "conf.h"

/** enum kc_holds - what is on a device */
enum kc_holds {
	KC_HOLDS_EMPTY,		/* nothing: blank, an empty partition table, a create that did not finish */
	KC_HOLDS_VOLUME,	/* a kcache volume, whose header holds */
	KC_HOLDS_FOREIGN,	/* encrypted by somebody else */
	KC_HOLDS_OTHERS,	/* partitions, logical volumes, ...: these are looked at instead */
	KC_HOLDS_PLAINTEXT,
	KC_HOLDS_UNKNOWN,	/* data that no signature explains */
	KC_HOLDS_INVALID,	/* it says that it is a kcache volume, and breaks the header's rules */
	KC_HOLDS_UNREADABLE,
};

/**
 * struct kc_verdict - a block device that the policy is about
 * @rule: the rule that asks for a kcache volume; NULL where only forbid_plaintext is about it
 * @by_below: not the device itself matches @rule, but what it stands on
 * @text: a clause on what is there, "it holds an ext4 filesystem, mounted on /srv"
 */
struct kc_verdict {
	char node[256];
	const struct kc_rule *rule;
	bool by_below;
	enum kc_holds holds;
	bool violates;
	char text[640];
};

const char *kc_holds_name(enum kc_holds h);	/* "plaintext" */

/**
 * kc_policy_each() - call @fn for every block device that the policy is about, by node
 * @seen: receives how many block devices there are; may be NULL
 * @matched: c->n_rules flags: receives whether any device matches the rule; may be NULL
 *
 * Nothing is written, nothing is opened exclusively. What cannot be looked at is a violation.
 */
int kc_policy_each(const struct kc_conf *c, int (*fn)(const struct kc_verdict *v, void *data), void *data,
		   size_t *seen, bool *matched, struct kc_error *err);

/**
 * kc_policy_one() - the same for one device, or for a file, which stands on its filesystem's device
 * @about: receives whether the policy is about it; if not, @v has its node and nothing else
 */
int kc_policy_one(const struct kc_conf *c, const char *path, struct kc_verdict *v, bool *about,
		  struct kc_error *err);

/**
 * kc_policy_encrypted() - is what is written to @dev encrypted before it reaches a disk?
 *
 * By kcache or by anybody else.
 */
bool kc_policy_encrypted(dev_t dev);

#endif
