// SPDX-License-Identifier: GPL-2.0-only
/*
 * Key bytes out of the kernel keyring.
 *
 * The only place where the module sees a key that is not in a key schedule. The
 * caller owns the buffer and clears it. Process context only: request_key()
 * sleeps, and looks in the keyrings of the calling task.
 */
#include <keys/encrypted-type.h>
#include <keys/trusted-type.h>
#include <keys/user-type.h>
#include <linux/key.h>

#include "dm-kcache.h"

/* Readers, one a key type: payload and its length, under the key's semaphore. */

static const u8 *read_user(const struct key *key, unsigned int *len)
{
	const struct user_key_payload *ukp = user_key_payload_locked(key);

	if (!ukp)
		return NULL;
	*len = ukp->datalen;
	return ukp->data;
}

static const u8 *read_encrypted(const struct key *key, unsigned int *len)
{
	const struct encrypted_key_payload *ekp = key->payload.data[0];

	if (!ekp)
		return NULL;
	*len = ekp->decrypted_datalen;
	return ekp->decrypted_data;
}

static const u8 *read_trusted(const struct key *key, unsigned int *len)
{
	const struct trusted_key_payload *tkp = key->payload.data[0];

	if (!tkp)
		return NULL;
	*len = tkp->key_len;
	return tkp->key;
}

typedef const u8 *(*kcache_key_reader)(const struct key *key,
				       unsigned int *len);

/* Key types that a kernel lacks, or has in a module of their own, are unknown. */
static kcache_key_reader find_reader(const char *name, struct key_type **type)
{
	if (!strcmp(name, "logon")) {
		*type = &key_type_logon;
		return read_user;
	}
	if (!strcmp(name, "user")) {
		*type = &key_type_user;
		return read_user;
	}
	if (IS_REACHABLE(CONFIG_ENCRYPTED_KEYS) && !strcmp(name, "encrypted")) {
		*type = &key_type_encrypted;
		return read_encrypted;
	}
	if (IS_REACHABLE(CONFIG_TRUSTED_KEYS) && !strcmp(name, "trusted")) {
		*type = &key_type_trusted;
		return read_trusted;
	}
	return NULL;
}

/*
 * request_key() passes over an expired key and says that there is none; the same
 * of a revoked one, if another keyring of the task could be searched as well. The
 * difference is what an administrator needs to know, and what keeps a reload from
 * taking a key that was withdrawn for one that was forgotten: ask the keyrings.
 */
static int why_no_key(struct key_type *kt, const char *desc)
{
	const struct cred *cred = current_cred();
	struct key *rings[] = {
		cred->thread_keyring, cred->process_keyring, cred->session_keyring,
	};
	unsigned int i;
	key_ref_t ref;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		if (!rings[i])
			continue;
		ref = keyring_search(make_key_ref(rings[i], true), kt, desc,
				     true);
		if (!IS_ERR(ref))
			key_ref_put(ref);
		else if (PTR_ERR(ref) == -EKEYEXPIRED ||
			 PTR_ERR(ref) == -EKEYREVOKED)
			return PTR_ERR(ref);
	}
	return -ENOKEY;
}

/**
 * kcache_keyring_fetch() - copy a key out of the caller's keyrings
 * @type: type of the key, as kcache_parse_key() gave it
 * @desc: its description
 * @raw: receives the key; the caller clears it, whatever is returned
 *
 * Context: Process context. Sleeps.
 * Return: 0; -EOPNOTSUPP if this kernel has no such key type; -ENOKEY,
 *	-EKEYREVOKED or -EKEYEXPIRED as the keyring has it; -EINVAL for a key
 *	that is not of 64 bytes; or what request_key() says.
 */
int kcache_keyring_fetch(const char *type, const char *desc,
			 u8 raw[KCACHE_KEY_SIZE])
{
	kcache_key_reader read;
	struct key_type *kt;
	const u8 *payload;
	unsigned int len;
	struct key *key;
	int r;

	read = find_reader(type, &kt);
	if (!read)
		return -EOPNOTSUPP;
	key = request_key(kt, desc, NULL);
	if (IS_ERR(key))
		return PTR_ERR(key) == -ENOKEY ? why_no_key(kt, desc) :
						 PTR_ERR(key);

	down_read(&key->sem);
	/* It may have been revoked, or have expired, since it was found. */
	r = key_validate(key);
	if (!r) {
		payload = read(key, &len);
		if (!payload)
			r = -EKEYREVOKED;
		else if (len != KCACHE_KEY_SIZE)
			r = -EINVAL;
		else
			memcpy(raw, payload, KCACHE_KEY_SIZE);
	}
	up_read(&key->sem);
	key_put(key);
	return r;
}
