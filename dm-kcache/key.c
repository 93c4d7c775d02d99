// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key cache: one object per (mapped device, key description), shared by all
 * tables and segments of the device that name the key, so that a reload needs
 * no second unwrap and one wipe reaches every segment.
 *
 * Life of an object: made with the first table that names it, valid until it is
 * wiped or its lease runs out, valid again by "key set", gone with the last
 * table. The deadline belongs to the object: no reload moves it further away.
 *
 * Locking. kcache_keys_lock (a mutex) guards the list, and who uses what. Inside
 * it, key->lock (a spinlock, interrupts off: the timer takes it) guards state,
 * cipher and deadline of one object. The data path takes neither: it reads
 * ->cipher under rcu_read_lock() for as long as a piece of crypto takes, never
 * for as long as an I/O takes. A wipe therefore waits for crypto only, and all
 * that comes later, also reads whose data is still on its way, finds no cipher.
 *
 * Everything here is process context and sleeps, but for the timer.
 */
#include <linux/kobject.h>
#include <linux/sched/mm.h>

#include "dm-kcache.h"
#include "trace.h"

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

/* Some of these have numbers of their own only until they leave this file. */
static int told_as(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG || r == -EOPNOTSUPP ? -EINVAL : r;
}

/* Fetch a key and make a cipher of it. */
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

/* ---- the object, under key->lock ---- */

static struct kcache_cipher *take_cipher(struct kcache_key *key,
					 enum kcache_key_state state)
{
	WRITE_ONCE(key->state, state);
	return rcu_replace_pointer(key->cipher, NULL,
				   lockdep_is_held(&key->lock));
}

static struct kcache_cipher *put_cipher(struct kcache_key *key,
					struct kcache_cipher *cipher)
{
	strscpy(key->driver, kcache_cipher_driver(cipher), sizeof(key->driver));
	WRITE_ONCE(key->state, KCACHE_KEY_VALID);
	return rcu_replace_pointer(key->cipher, cipher,
				   lockdep_is_held(&key->lock));
}

static void set_deadline(struct kcache_key *key, unsigned int seconds)
{
	key->deadline = KTIME_MAX;
	if (!seconds)
		return;
	key->deadline = ktime_add_ns(ktime_get_boottime(),
				     (u64)seconds * NSEC_PER_SEC);
	hrtimer_start(&key->timer, key->deadline, HRTIMER_MODE_ABS);
}

/* Hard interrupt: the state flips here, whether or not anybody else is alive. */
static enum hrtimer_restart deadline_reached(struct hrtimer *timer)
{
	struct kcache_key *key = container_of(timer, struct kcache_key, timer);
	enum hrtimer_restart again = HRTIMER_NORESTART;
	struct kcache_cipher *old;
	unsigned long flags;

	spin_lock_irqsave(&key->lock, flags);
	if (key->state != KCACHE_KEY_VALID || key->deadline == KTIME_MAX)
		goto out;
	if (ktime_before(ktime_get_boottime(), key->deadline)) {
		/* it was moved while we were on our way */
		hrtimer_set_expires(timer, key->deadline);
		again = HRTIMER_RESTART;
		goto out;
	}
	old = take_cipher(key, KCACHE_KEY_EXPIRED);
	old->next = key->dying;
	key->dying = old;
	queue_work(system_wq, &key->expired);
out:
	spin_unlock_irqrestore(&key->lock, flags);
	return again;
}

static void free_ciphers(struct kcache_cipher *list)
{
	struct kcache_cipher *cipher;

	while (list) {
		cipher = list;
		list = cipher->next;
		kcache_cipher_free(cipher);
	}
}

/* ---- telling the world, under kcache_keys_lock ---- */

/* One change of a key: log, uevent, and audit record and dm event per target. */
static void announce(struct kcache_key *key, const char *op)
{
	const char *state = kcache_key_state_name(READ_ONCE(key->state));
	struct kcache_target *kc;
	char *env[2] = { };
	unsigned int noio;
	char word[32];

	/* memory reclaim may wait for I/O that waits for the key */
	noio = memalloc_noio_save();
	trace_kcache_key_state(key->md, key->desc, op, state);
	DMINFO("%s: %s: key %s:%s is %s", dm_device_name(key->md), op,
	       key->type, key->desc, state);
	list_for_each_entry(kc, &key->targets, node) {
		dm_audit_log_ti(AUDIT_DM_CTRL, DM_MSG_PREFIX, op, kc->ti, 1);
		dm_table_event(kc->ti->table);
	}
	snprintf(word, sizeof(word), "KCACHE_KEY=%s", state);
	env[0] = word;
	kobject_uevent_env(&disk_to_dev(dm_disk(key->md))->kobj, KOBJ_CHANGE,
			   env);
	memalloc_noio_restore(noio);
}

static void after_expiry(struct work_struct *work)
{
	struct kcache_key *key = container_of(work, struct kcache_key, expired);
	struct kcache_cipher *dying;

	spin_lock_irq(&key->lock);
	dying = key->dying;
	key->dying = NULL;
	spin_unlock_irq(&key->lock);

	free_ciphers(dying);
	mutex_lock(&kcache_keys_lock);
	announce(key, "lease_expired");
	mutex_unlock(&kcache_keys_lock);
}

/* ---- making and freeing an object ---- */

static void free_key(struct kcache_key *key)
{
	if (!key)
		return;
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
	spin_lock_init(&key->lock);
	INIT_LIST_HEAD(&key->targets);
	INIT_WORK(&key->expired, after_expiry);
	hrtimer_setup(&key->timer, deadline_reached, CLOCK_BOOTTIME,
		      HRTIMER_MODE_ABS);
	key->md = md;
	key->type = kstrdup(type, GFP_KERNEL);
	key->desc = kstrdup(desc, GFP_KERNEL);
	if (!key->type || !key->desc) {
		free_key(key);
		return NULL;
	}
	return key;
}

static void warn_if_slow(struct kcache_key *key, struct kcache_cipher *cipher)
{
	if (kcache_cipher_slow(cipher))
		DMWARN("%s: slow cipher driver %s: no better xts(aes) in this kernel or CPU",
		       dm_device_name(key->md), kcache_cipher_driver(cipher));
}

/**
 * kcache_key_get() - find or make the key object that a table line names
 * @kc: the target; receives the object in ->key
 * @type: type of the key in the keyring
 * @desc: its description
 * @error: receives the reason of a refusal
 *
 * A live object of the device is taken even if the keyring has forgotten the
 * key by now, as it should. One without its key is not revived by a reload: that
 * takes the key again, and makes an object of its own, so that the live table
 * does not get its key back before the new one is resumed.
 *
 * Context: Process context. Sleeps.
 * Return: 0, or a negative errno with ->key NULL: -EKEYREJECTED if the keyring
 *	holds another key under this description than the device had before.
 */
int kcache_key_get(struct kcache_target *kc, const char *type, const char *desc,
		   char **error)
{
	struct mapped_device *md = dm_table_get_md(kc->ti->table);
	struct kcache_key *key, *fresh, *live = NULL;
	struct kcache_cipher *cipher;
	u8 check[KCACHE_CHECK_SIZE];
	int r = 0;

	fresh = new_key(md, type, desc);
	if (!fresh) {
		*error = reason(-ENOMEM);
		return -ENOMEM;
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
		if (READ_ONCE(key->state) == KCACHE_KEY_VALID)
			live = key;
	}
	if (live && r == -ENOKEY)
		r = 0;
	if (!r && !live) {
		live = fresh;
		fresh = NULL;
		memcpy(live->check, check, sizeof(check));
		live->async = cipher->async;
		warn_if_slow(live, cipher);
		spin_lock_irq(&live->lock);
		put_cipher(live, cipher);
		set_deadline(live, kc->lease);
		spin_unlock_irq(&live->lock);
		cipher = NULL;
		list_add(&live->node, &kcache_keys);
		trace_kcache_key_state(md, desc, "key_load", "valid");
	}
	if (!r) {
		kc->key = live;
		list_add(&kc->node, &live->targets);
	}
	mutex_unlock(&kcache_keys_lock);
out:
	kcache_cipher_free(cipher);
	free_key(fresh);
	if (r) {
		*error = reason(r);
		DMERR("%s: key %s:%s: %s", dm_device_name(md), type, desc,
		      *error);
	}
	return told_as(r);
}

/**
 * kcache_key_put() - a target gives its key object back
 * @kc: the target; may have none
 *
 * With the last target goes the cipher: this is what detaching a volume is for.
 *
 * Context: Process context. Sleeps.
 */
void kcache_key_put(struct kcache_target *kc)
{
	struct kcache_key *key = kc->key;
	struct kcache_cipher *old;
	bool last;

	if (!key)
		return;
	kc->key = NULL;
	mutex_lock(&kcache_keys_lock);
	list_del(&kc->node);
	last = list_empty(&key->targets);
	if (last)
		list_del(&key->node);
	mutex_unlock(&kcache_keys_lock);
	if (!last)
		return;

	trace_kcache_key_state(key->md, key->desc, "key_drop", "wiped");
	spin_lock_irq(&key->lock);
	old = take_cipher(key, KCACHE_KEY_WIPED);
	spin_unlock_irq(&key->lock);
	hrtimer_cancel(&key->timer);
	cancel_work_sync(&key->expired);
	free_ciphers(key->dying);
	kcache_cipher_free(old);
	free_key(key);
}

/* ---- messages ---- */

/**
 * kcache_key_set() - give an object its key again
 * @kc: the target whose object it is; the object gets its lease anew
 * @type: type of the key in the keyring
 * @desc: its description, which need not be the one in the table
 *
 * Works on a live device too: the cipher is swapped, not re-keyed. What waits
 * for the key starts over.
 *
 * Context: Process context. Sleeps.
 * Return: 0; -EKEYREJECTED for a key that is not the one the object had: the
 *	data would be read, and written, as something else.
 */
int kcache_key_set(struct kcache_target *kc, const char *type, const char *desc)
{
	struct kcache_cipher *cipher, *old;
	struct kcache_key *key = kc->key;
	u8 check[KCACHE_CHECK_SIZE];
	struct kcache_target *user;
	int r = 0;

	cipher = fetch(type, desc, check);
	if (IS_ERR(cipher))
		r = PTR_ERR(cipher);
	else if (crypto_memneq(key->check, check, sizeof(check)))
		r = -EKEYREJECTED;
	else if (cipher->async && !key->async)
		/* who may call it was settled when the table was loaded */
		r = -EOPNOTSUPP;
	if (r) {
		DMERR("%s: key %s:%s: %s", dm_device_name(key->md), type, desc,
		      reason(r));
		if (!IS_ERR(cipher))
			kcache_cipher_free(cipher);
		return told_as(r);
	}

	mutex_lock(&kcache_keys_lock);
	spin_lock_irq(&key->lock);
	old = put_cipher(key, cipher);
	set_deadline(key, kc->lease);
	spin_unlock_irq(&key->lock);
	list_for_each_entry(user, &key->targets, node)
		kcache_park_release(user);
	announce(key, "key_set");
	mutex_unlock(&kcache_keys_lock);
	kcache_cipher_free(old);
	return 0;
}

/**
 * kcache_key_wipe() - take the key from every object of a mapped device
 * @md: the mapped device, or NULL for all there are
 *
 * Context: Process context. Sleeps until crypto that is running has finished;
 *	never waits for a device.
 */
void kcache_key_wipe(struct mapped_device *md)
{
	struct kcache_cipher *old, *wiped = NULL;
	struct kcache_key *key;

	mutex_lock(&kcache_keys_lock);
	list_for_each_entry(key, &kcache_keys, node) {
		if (md && key->md != md)
			continue;
		spin_lock_irq(&key->lock);
		old = take_cipher(key, KCACHE_KEY_WIPED);
		spin_unlock_irq(&key->lock);
		if (old) {
			old->next = wiped;
			wiped = old;
		}
		announce(key, "key_wipe");
	}
	mutex_unlock(&kcache_keys_lock);
	free_ciphers(wiped);
}

/**
 * kcache_key_wipe_for_good() - wipe all keys there are; nothing waits for them
 *
 * Context: Process context. Sleeps as kcache_key_wipe() does.
 */
void kcache_key_wipe_for_good(void)
{
	struct kcache_target *kc;
	struct kcache_key *key;

	kcache_park_never_again();
	kcache_key_wipe(NULL);
	mutex_lock(&kcache_keys_lock);
	list_for_each_entry(key, &kcache_keys, node)
		list_for_each_entry(kc, &key->targets, node)
			kcache_park_fail(kc);
	mutex_unlock(&kcache_keys_lock);
}

/**
 * kcache_key_renew() - set the time that is left of a lease
 * @kc: the target that was asked; its table's lease is the most there can be
 * @seconds: from now
 *
 * Context: Process context.
 * Return: 0; -EINVAL without a lease; -EKEYEXPIRED or -ENOKEY if the key is gone
 *	already: renewing brings no key back.
 */
int kcache_key_renew(struct kcache_target *kc, unsigned int seconds)
{
	struct kcache_key *key = kc->key;
	int r = 0;

	if (!kc->lease)
		return -EINVAL;
	spin_lock_irq(&key->lock);
	if (key->state == KCACHE_KEY_EXPIRED)
		r = -EKEYEXPIRED;
	else if (key->state != KCACHE_KEY_VALID)
		r = -ENOKEY;
	else
		set_deadline(key, min(seconds, kc->lease));
	spin_unlock_irq(&key->lock);
	return r;
}

/**
 * kcache_key_cap() - a table with a lease comes to life
 * @kc: its target
 *
 * The object may be shared with an older table that had a longer lease, or none.
 * A deadline that is there is brought nearer, never moved away: neither by a
 * table with a longer lease nor by one without.
 *
 * Context: Process context.
 */
void kcache_key_cap(struct kcache_target *kc)
{
	struct kcache_key *key = kc->key;
	ktime_t latest;

	if (!kc->lease)
		return;
	spin_lock_irq(&key->lock);
	latest = ktime_add_ns(ktime_get_boottime(),
			      (u64)kc->lease * NSEC_PER_SEC);
	if (key->state == KCACHE_KEY_VALID && ktime_after(key->deadline, latest))
		set_deadline(key, kc->lease);
	spin_unlock_irq(&key->lock);
}

/* ---- questions ---- */

/**
 * kcache_key_seconds_left() - of the lease, rounded up
 * @key: the key
 *
 * Context: Process context.
 * Return: seconds, 0 once the key is gone, or -1 without a lease.
 */
long kcache_key_seconds_left(struct kcache_key *key)
{
	s64 left = -1;

	spin_lock_irq(&key->lock);
	if (key->deadline != KTIME_MAX) {
		left = ktime_to_ns(ktime_sub(key->deadline,
					     ktime_get_boottime()));
		if (left < 0 || key->state != KCACHE_KEY_VALID)
			left = 0;
		left = DIV_ROUND_UP_ULL(left, NSEC_PER_SEC);
	}
	spin_unlock_irq(&key->lock);
	return left;
}

/**
 * kcache_key_any_valid() - is there a key in the cache?
 *
 * Context: Process context. Sleeps.
 * Return: true if there is one.
 */
bool kcache_key_any_valid(void)
{
	struct kcache_key *key;
	bool any = false;

	mutex_lock(&kcache_keys_lock);
	list_for_each_entry(key, &kcache_keys, node)
		any |= READ_ONCE(key->state) == KCACHE_KEY_VALID;
	mutex_unlock(&kcache_keys_lock);
	return any;
}
