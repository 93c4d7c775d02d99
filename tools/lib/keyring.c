// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <keyutils.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "keyring.h"

/* If this process is stopped in between: the kernel drops the key by itself. */
#define KEY_SECONDS 30

int kc_keyring_add(struct kc_keyring *k, const char *uuid, const uint8_t dek[static KC_DEK_SIZE],
		   struct kc_error *err)
{
	unsigned long long nonce;
	key_serial_t id;

	k->serial = 0;
	if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
		return kc_fail(err, KC_DEVICE, NULL, "the kernel gives no random numbers: %s", strerror(errno));
	snprintf(k->desc, sizeof(k->desc), "kcache:%s:%016llx", uuid, nonce);
	id = add_key("logon", k->desc, dek, KC_DEK_SIZE, KEY_SPEC_PROCESS_KEYRING);
	if (id < 0 && (errno == EDQUOT || errno == ENOMEM))
		return kc_fail(err, KC_NOMEM, "see /proc/key-users and kernel.keys.root_maxkeys",
			       "no room for a key in the kernel: %s", strerror(errno));
	if (id < 0)
		return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NULL,
			       "cannot put a key into the process keyring: %s", strerror(errno));
	k->serial = id;
	if (keyctl_set_timeout(id, KEY_SECONDS)) {
		int e = errno;

		kc_keyring_drop(k, NULL);
		return kc_fail(err, KC_DEVICE, NULL, "cannot set a timeout on a key: %s", strerror(e));
	}
	return 0;
}

int kc_keyring_drop(struct kc_keyring *k, struct kc_error *err)
{
	key_serial_t id = k->serial;
	int ret = 0;

	if (!id)
		return 0;
	k->serial = 0;
	/* revoking frees the payload after an RCU grace period; unlinking alone waits for the collector */
	if (keyctl_revoke(id))
		ret = kc_fail(err, KC_DEVICE, "end this process; its keyring goes with it",
			      "cannot revoke key %s: %s", k->desc, strerror(errno));
	if (keyctl_unlink(id, KEY_SPEC_PROCESS_KEYRING) && !ret)
		ret = kc_fail(err, KC_DEVICE, "end this process; its keyring goes with it",
			      "cannot unlink key %s: %s", k->desc, strerror(errno));
	return ret;
}
