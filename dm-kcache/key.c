// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key cache: one object per (mapped device, key description), shared by all
 * tables and segments of the device that name the key, so that a reload needs
 * no second unwrap and one wipe reaches every segment.
 *
 * Locking: kcache_keys_lock guards the list, the counts and every change of an
 * object's state or cipher. The data path takes no lock: it reads ->cipher
 * under rcu_read_lock() for as long as a piece of crypto takes, never for as
 * long as an I/O takes. A wipe therefore waits for crypto only, and all that
 * comes later, also reads whose data is still on its way, finds no cipher.
 *
 * Everything here is process context and sleeps.
 */
#include <linux/sched/mm.h>

#include "dm-kcache.h"

static DEFINE_MUTEX(kcache_keys_lock);
static LIST_HEAD(kcache_keys);

/* The same words wherever a key is refused: for the log and for ti->error. */
static char *reason(int r)
{
	switch (r) {
	case -ENOKEY:
		return "Key is not in a keyring of this process";
	case -EKEYREVOKED:
		return "Key has been revoked";
	case -EKEYEXPIRED:
		return "Key has expired";
	case -EKEYREJECTED:
		return "Key is another than the volume is attached with";
	case -EMSGSIZE:
		return "Key in the keyring is not of 64 bytes";
	case -EBADMSG:
		return "Key halves are equal: not an XTS key";
	case -EOPNOTSUPP:
		return "Key type is not supported by this kernel";
	case -ENOENT:
		return "Kernel has no xts(aes) cipher";
	case -ENOMEM:
		return "Out of memory for the key";
	default:
		return "Key cannot be used";
	}
}

/*
 * Fetch a key and make a cipher of it. Reasons that user space knows as EINVAL
 * only have numbers of their own until told_as() has the last word.
 */
static struct kcache_cipher *fetch(const char *type, const char *desc,
				   u8 check[KCACHE_CHECK_SIZE])
{
	struct kcache_cipher *cipher;
	u8 raw[KCACHE_KEY_SIZE];
	unsigned int noio;
	int r;

	/*
	 * A live device may have no key just now, and memory reclaim may wait
	 * for that device.
	 */
	noio = memalloc_noio_save();
	r = kcache_keyring_fetch(type, desc, raw);
	if (r)
		cipher = ERR_PTR(r == -EINVAL ? -EMSGSIZE : r);
	else if (!crypto_memneq(raw, raw + KCACHE_KEY_SIZE / 2,
				KCACHE_KEY_SIZE / 2))
		cipher = ERR_PTR(-EBADMSG);
	else
		cipher = kcache_cipher_new(raw);
	memzero_explicit(raw, sizeof(raw));

	if (!IS_ERR(cipher)) {
		r = kcache_cipher_check(cipher, check);
		if (r) {
			kcache_cipher_free(cipher);
			cipher = ERR_PTR(r);
		}
	}
	memalloc_noio_restore(noio);
	return cipher;
}

static int told_as(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG || r == -EOPNOTSUPP ? -EINVAL : r;
}

static void free_key(struct kcache_key *key)
{
	kfree(key->type);
	kfree(key->desc);
	kfree_sensitive(key);
}

static struct kcache_key *new_key(struct mapped_device *md, const char *type,
				  const char *desc)
{
	struct kcache_key *key = kzalloc(sizeof(*key), GFP_KERNEL);

	if (!key)
		return NULL;
	key->refs = 1;
	key->md = md;
	key->type = kstrdup(type, GFP_KERNEL);
	key->desc = kstrdup(desc, GFP_KERNEL);
	if (!key->type || !key->desc) {
		free_key(key);
		return NULL;
	}
	return key;
}

/* Put a cipher into an object; the one that was there is the caller's. */
static struct kcache_cipher *install(struct kcache_key *key,
				     struct kcache_cipher *cipher)
{
	strscpy(key->driver, kcache_cipher_driver(cipher), sizeof(key->driver));
	WRITE_ONCE(key->state, KCACHE_KEY_VALID);
	return rcu_replace_pointer(key->cipher, cipher,
				   lockdep_is_held(&kcache_keys_lock));
}

/**
 * kcache_key_get() - the key object that a table line names
 * @md: the mapped device of the table
 * @type: type of the key in the keyring
 * @desc: its description
 * @error: receives the reason of a refusal
 *
 * A live object of the device is taken even if the keyring has forgotten the
 * key by now, as it should. A wiped one is not revived by a reload: that takes
 * the key again, and makes an object of its own, so that the live table does
 * not get its key back before the new one is resumed.
 *
 * Context: Process context. Sleeps.
 * Return: the object, to be given back by kcache_key_put(), or an ERR_PTR():
 *	-EKEYREJECTED if the keyring holds another key under this description
 *	than the device was given before.
 */
struct kcache_key *kcache_key_get(struct mapped_device *md, const char *type,
				  const char *desc, char **error)
{
	struct kcache_key *key, *fresh, *live = NULL;
	struct kcache_cipher *cipher;
	u8 check[KCACHE_CHECK_SIZE];
	int r = 0;

	fresh = new_key(md, type, desc);
	if (!fresh) {
		*error = reason(-ENOMEM);
		return ERR_PTR(-ENOMEM);
	}
	cipher = fetch(type, desc, check);
	if (IS_ERR(cipher)) {
		r = PTR_ERR(cipher);
		cipher = NULL;
		if (r != -ENOKEY)
			goto out;
	}

	mutex_lock(&kcache_keys_lock);
	list_for_each_entry(key, &kcache_keys, node) {
		if (key->md != md || strcmp(key->type, type) ||
		    strcmp(key->desc, desc))
			continue;
		if (cipher && crypto_memneq(key->check, check, sizeof(check)))
			r = -EKEYREJECTED;
		if (key->state == KCACHE_KEY_VALID)
			live = key;
	}
	if (live && (!r || r == -ENOKEY)) {
		live->refs++;
		r = 0;
	} else if (!r) {
		memcpy(fresh->check, check, sizeof(check));
		fresh->async = cipher->async;
		install(fresh, cipher);
		list_add(&fresh->node, &kcache_keys);
		live = fresh;
		fresh = NULL;
		cipher = NULL;
	}
	mutex_unlock(&kcache_keys_lock);
out:
	kcache_cipher_free(cipher);
	if (fresh)
		free_key(fresh);
	if (!r)
		return live;
	*error = reason(r);
	DMERR("%s: key %s:%s: %s", dm_device_name(md), type, desc, *error);
	return ERR_PTR(told_as(r));
}

/**
 * kcache_key_put() - give a key object back
 * @key: from kcache_key_get(); may be NULL
 *
 * With the last table goes the cipher: this is what detaching a volume is for.
 *
 * Context: Process context. Sleeps.
 */
void kcache_key_put(struct kcache_key *key)
{
	struct kcache_cipher *old;

	if (!key)
		return;
	mutex_lock(&kcache_keys_lock);
	if (--key->refs) {
		mutex_unlock(&kcache_keys_lock);
		return;
	}
	list_del(&key->node);
	old = rcu_replace_pointer(key->cipher, NULL,
				  lockdep_is_held(&kcache_keys_lock));
	mutex_unlock(&kcache_keys_lock);

	kcache_cipher_free(old);
	free_key(key);
}

/**
 * kcache_key_set() - give an object its key again
 * @key: the object
 * @type: type of the key in the keyring
 * @desc: its description, which need not be the one in the table
 *
 * Works on a live device too: the cipher is swapped, not re-keyed.
 *
 * Context: Process context. Sleeps.
 * Return: 0; -EKEYREJECTED for a key that is not the one the object had: the
 *	data would be read, and written, as something else.
 */
int kcache_key_set(struct kcache_key *key, const char *type, const char *desc)
{
	struct kcache_cipher *cipher, *old = NULL;
	u8 check[KCACHE_CHECK_SIZE];
	int r = 0;

	cipher = fetch(type, desc, check);
	if (IS_ERR(cipher)) {
		r = PTR_ERR(cipher);
		goto out;
	}
	/* Who may call the cipher has been settled when the table was made. */
	if (cipher->async && !key->async)
		r = -EOPNOTSUPP;
	else if (crypto_memneq(key->check, check, sizeof(check)))
		r = -EKEYREJECTED;
	if (r) {
		kcache_cipher_free(cipher);
		goto out;
	}

	mutex_lock(&kcache_keys_lock);
	old = install(key, cipher);
	mutex_unlock(&kcache_keys_lock);
	kcache_cipher_free(old);
out:
	if (r)
		DMERR("%s: key %s:%s: %s", dm_device_name(key->md), type, desc,
		      reason(r));
	return told_as(r);
}

/**
 * kcache_key_wipe() - take the key from every object of a mapped device
 * @md: the mapped device
 *
 * Context: Process context. Sleeps until crypto that is running has finished;
 *	never waits for a device.
 * Return: how many objects had a key.
 */
unsigned int kcache_key_wipe(struct mapped_device *md)
{
	struct kcache_cipher *old, *wiped = NULL;
	struct kcache_key *key;
	unsigned int n = 0;

	mutex_lock(&kcache_keys_lock);
	list_for_each_entry(key, &kcache_keys, node) {
		if (key->md != md || key->state != KCACHE_KEY_VALID)
			continue;
		WRITE_ONCE(key->state, KCACHE_KEY_WIPED);
		old = rcu_replace_pointer(key->cipher, NULL,
					  lockdep_is_held(&kcache_keys_lock));
		old->next = wiped;
		wiped = old;
		n++;
	}
	mutex_unlock(&kcache_keys_lock);

	while (wiped) {
		old = wiped;
		wiped = old->next;
		kcache_cipher_free(old);
	}
	return n;
}
