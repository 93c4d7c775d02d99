// SPDX-License-Identifier: GPL-2.0-only
/*
 * key.c, the cache: who shares an object, what a reload takes and does not take,
 * what is refused and with which words, and that with the last user all is gone.
 * Leases: lease.c. Wiping under load: crypt.c.
 *
 * Moved edges: allocation and freeing of key objects, which are counted
 * (rig.objects) and can fail (rig.fail_alloc).
 */
#include <linux/kobject.h>
#include <linux/sched/mm.h>

#include "fake.h"
#include "dm-kcache/trace.h"

static bool fails(void)
{
	return rig.fail_alloc && !--rig.fail_alloc;
}

static void *kzalloc_object(size_t bytes, gfp_t gfp)
{
	void *p = fails() ? NULL : kzalloc(bytes, gfp);

	if (p)
		atomic_inc(&rig.objects);
	return p;
}

static char *kstrdup_word(const char *s, gfp_t gfp)
{
	return fails() ? NULL : kstrdup(s, gfp);
}

/* Only what is cleared counts as freed. */
static void free_object(void *p)
{
	if (p)
		atomic_dec(&rig.objects);
	kfree_sensitive(p);
}

#define kzalloc(bytes, gfp) kzalloc_object(bytes, gfp)
#define kstrdup(s, gfp) kstrdup_word(s, gfp)
#define kfree_sensitive(p) free_object(p)
#include "dm-kcache/key.c"
#undef kzalloc
#undef kstrdup
#undef kfree_sensitive

unsigned int kunit_key_objects(void)
{
	struct kcache_key *key;
	unsigned int n = 0;

	mutex_lock(&kcache_keys_lock);
	list_for_each_entry(key, &kcache_keys, node)
		n++;
	mutex_unlock(&kcache_keys_lock);
	return n;
}

#define LINE RIG_LINE_PLAIN

/* What ->error says is what an administrator gets. */
static void refused(struct kunit *test, struct fake_md *md, const char *line,
		    int want, const char *why)
{
	struct kcache_target *kc;
	char *error;

	KUNIT_ASSERT_EQ_MSG(test, rig_try(md, line, &kc, &error), want, "%s",
			    line);
	KUNIT_EXPECT_STREQ(test, (const char *)error, why);
}

/* What the target's key encrypts is what the DEK encrypts. */
static bool works(struct kcache_target *kc, const u8 *dek)
{
	struct fake_bio *fb = rig_bio(kc, REQ_OP_WRITE, 0, 512);
	u8 want[512];

	memset(fb->buf, 0x11, sizeof(want));
	memset(want, 0x11, sizeof(want));
	reference_crypt(dek, 0, want, sizeof(want), true);
	return rig_do(fb) == BLK_STS_OK &&
	       !memcmp(rig.disk + (RIG_START << 9), want, sizeof(want));
}

static struct key *usual_key(void)
{
	return rig_key("logon", "kc:dek", rig_dek, KCACHE_KEY_SIZE);
}

static void targets_of_one_device_share_an_object(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *a, *b;
	struct key *key = usual_key();

	a = rig_target(md, LINE);
	b = rig_target(md, LINE);
	KUNIT_EXPECT_PTR_EQ(test, a->key, b->key);
	KUNIT_EXPECT_EQ(test, kunit_key_objects(), 1U);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	rig_forget(key);
	rig_drop(a);
	KUNIT_EXPECT_TRUE(test, works(b, rig_dek));
}

static void two_devices_share_nothing(struct kunit *test)
{
	struct fake_md *one = rig_md("one"), *two = rig_md("two");
	struct kcache_target *a, *b;

	usual_key();
	a = rig_target(one, LINE);
	b = rig_target(two, LINE);
	KUNIT_EXPECT_PTR_NE(test, a->key, b->key);
	KUNIT_EXPECT_EQ(test, kunit_key_objects(), 2U);
	kcache_key_wipe(md_of(one));
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(a->key));
	KUNIT_EXPECT_TRUE(test, kcache_key_valid(b->key));
	KUNIT_EXPECT_EQ(test, two->uevents, 0U);
}

/* The device is told by what it is, not by its name. */
static void two_devices_of_one_name_share_nothing(struct kunit *test)
{
	struct kcache_target *a, *b;

	usual_key();
	a = rig_target(rig_md("same"), LINE);
	b = rig_target(rig_md("same"), LINE);
	KUNIT_EXPECT_PTR_NE(test, a->key, b->key);
}

static void another_description_is_another_object(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *a, *b, *c;

	usual_key();
	rig_key("logon", "kc:two", rig_other_dek, KCACHE_KEY_SIZE);
	rig_key("user", "kc:dek", rig_dek, KCACHE_KEY_SIZE);
	a = rig_target(md, LINE);
	b = rig_target(md, "aes-xts-plain64 :64:logon:kc:two 0 /dev/disk 64");
	c = rig_target(md, "aes-xts-plain64 :64:user:kc:dek 0 /dev/disk 64");
	KUNIT_EXPECT_EQ(test, kunit_key_objects(), 3U);
	KUNIT_EXPECT_TRUE(test, works(a, rig_dek));
	KUNIT_EXPECT_TRUE(test, works(b, rig_other_dek));
	KUNIT_EXPECT_TRUE(test, works(c, rig_dek));
	/* one wipe answers for all segments of the device */
	kcache_key_wipe(md_of(md));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
	KUNIT_EXPECT_EQ(test, a->key->state, KCACHE_KEY_WIPED);
	KUNIT_EXPECT_EQ(test, b->key->state, KCACHE_KEY_WIPED);
	KUNIT_EXPECT_EQ(test, c->key->state, KCACHE_KEY_WIPED);
}

static void a_reload_takes_the_live_object(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct key *key = usual_key();
	struct kcache_target *old, *new;
	struct kcache_key *object;

	old = rig_target(md, LINE);
	object = old->key;
	rig_forget(key);
	/* the keyring has forgotten the key, as it should */
	new = rig_target(md, LINE " 1 allow_discards");
	KUNIT_EXPECT_PTR_EQ(test, new->key, object);
	rig_drop(old);
	KUNIT_EXPECT_TRUE(test, works(new, rig_dek));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
}

static void a_reload_with_the_key_there_takes_the_live_object(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *old, *new;

	usual_key();
	old = rig_target(md, LINE);
	new = rig_target(md, LINE);
	KUNIT_EXPECT_PTR_EQ(test, new->key, old->key);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.objects), 1);
}

static void a_wiped_object_is_not_revived_by_a_reload(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct key *key = usual_key();
	struct kcache_target *old, *new;

	old = rig_target(md, LINE);
	rig_forget(key);
	kcache_key_wipe(md_of(md));
	refused(test, md, LINE, -ENOKEY,
		"Key is not in a keyring of this process");
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(old->key));

	/* with the key in the keyring again it makes an object of its own */
	usual_key();
	new = rig_target(md, LINE);
	KUNIT_EXPECT_PTR_NE(test, new->key, old->key);
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(old->key));
	KUNIT_EXPECT_TRUE(test, works(new, rig_dek));
}

static void a_wiped_object_still_knows_its_key(struct kunit *test)
{
	struct fake_md *md = rig_md("one");

	usual_key();
	rig_target(md, LINE);
	kcache_key_wipe(md_of(md));
	rig_key("logon", "kc:dek", rig_other_dek, KCACHE_KEY_SIZE);
	refused(test, md, LINE, -EKEYREJECTED,
		"Key is another than the volume is attached with");
}

static void another_key_is_rejected(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc;

	usual_key();
	kc = rig_target(md, LINE);
	rig_key("logon", "kc:dek", rig_other_dek, KCACHE_KEY_SIZE);
	refused(test, md, LINE, -EKEYREJECTED,
		"Key is another than the volume is attached with");
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"),
			-EKEYREJECTED);
	/* and nothing has changed */
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
	/* another device may have it */
	kc = rig_target(rig_md("two"), LINE);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_other_dek));
}

static void refusals_of_the_keyring(struct kunit *test)
{
	static const u8 equal[KCACHE_KEY_SIZE];
	struct fake_md *md = rig_md("one");
	struct key *key;

	refused(test, md, LINE, -ENOKEY,
		"Key is not in a keyring of this process");
	key = rig_key("logon", "kc:dek", rig_dek, 63);
	refused(test, md, LINE, -EINVAL,
		"Key in the keyring is not of 64 bytes");
	rig_key("logon", "kc:dek", equal, KCACHE_KEY_SIZE);
	refused(test, md, LINE, -EINVAL, "Key halves are equal: not an XTS key");
	usual_key();
	key->expiry = ktime_get_real_seconds() - 1;
	refused(test, md, LINE, -EKEYEXPIRED, "Key has expired");
	key->expiry = TIME64_MAX;
	key_revoke(key);
	refused(test, md, LINE, -EKEYREVOKED, "Key has been revoked");
	refused(test, md, "aes-xts-plain64 :64:trusted:kc:dek 0 /dev/disk 64",
		-EINVAL, "Key type is not supported by this kernel");
	KUNIT_EXPECT_EQ(test, kunit_key_objects(), 0U);
}

/*
 * Another keyring of the task that could be searched, and has no key, must not make
 * a revoked or expired one look like one that was never there.
 */
static void refusals_with_a_second_keyring(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct key *key;

	rig_second_keyring();
	refused(test, md, LINE, -ENOKEY,
		"Key is not in a keyring of this process");
	key = usual_key();
	key->expiry = ktime_get_real_seconds() - 1;
	refused(test, md, LINE, -EKEYEXPIRED, "Key has expired");
	key->expiry = TIME64_MAX;
	key_revoke(key);
	refused(test, md, LINE, -EKEYREVOKED, "Key has been revoked");
}

/* A missing key is no matter for a live object; one that is known to be bad is. */
static void a_revoked_key_is_an_error_for_a_reload(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct key *key = usual_key();
	struct kcache_target *kc = rig_target(md, LINE);

	key_revoke(key);
	refused(test, md, LINE, -EKEYREVOKED, "Key has been revoked");
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
}

static void refusals_of_the_crypto_api(struct kunit *test)
{
	struct fake_md *md = rig_md("one");

	usual_key();
	rig.cipher_error = -ENOENT;
	refused(test, md, LINE, -ENOENT, "Kernel has no xts(aes) cipher");
	rig.cipher_error = -ENOMEM;
	refused(test, md, LINE, -ENOMEM, "Out of memory for the key");
	rig.cipher_error = -EPROTO;
	refused(test, md, LINE, -EPROTO, "Key cannot be used");
}

/* The object itself, and each of its strings. */
static void no_memory_for_an_object(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc;
	unsigned int i;
	char *error;

	usual_key();
	for (i = 1; i <= 3; i++) {
		rig.fail_alloc = i;
		refused(test, md, LINE, -ENOMEM, "Out of memory for the key");
		KUNIT_EXPECT_EQ(test, atomic_read(&rig.objects), 0);
	}
	rig.fail_alloc = 4;
	KUNIT_EXPECT_EQ(test, rig_try(md, LINE, &kc, &error), 0);
	KUNIT_EXPECT_EQ_MSG(test, rig.fail_alloc, 1, "one more allocation to fail");
	rig.fail_alloc = 0;
}

static void the_last_user_frees_everything(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *a, *b;

	usual_key();
	a = rig_target(md, LINE " 1 lease:60");
	b = rig_target(md, LINE " 1 lease:60");
	KUNIT_EXPECT_EQ(test, clock_timers(), 1U);
	rig_drop(a);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.objects), 1);
	KUNIT_EXPECT_EQ(test, clock_timers(), 1U);
	rig_drop(b);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&rig.ciphers), 0,
			    "the key schedule is still there");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&rig.objects), 0,
			    "the key object is still there, or was not cleared");
	KUNIT_EXPECT_EQ(test, kunit_key_objects(), 0U);
	KUNIT_EXPECT_EQ_MSG(test, clock_timers(), 0U, "its timer may still fire");
}

static void putting_nothing_is_fine(struct kunit *test)
{
	struct kcache_target kc = { };

	kcache_key_put(&kc);
}

/* The last table goes while the work of an expiry is on its way. */
static void last_put_after_an_expiry(struct kunit *test)
{
	struct kcache_target *kc;

	usual_key();
	kc = rig_target(rig_md("one"), LINE " 1 lease:60");
	clock_advance(SECONDS(61));
	rig_drop(kc);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.objects), 0);
}

/* ---- messages ---- */

static void set_gives_the_key_back(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc;

	usual_key();
	kc = rig_target(md, LINE);
	kcache_key_wipe(md_of(md));
	KUNIT_EXPECT_FALSE(test, works(kc, rig_dek));
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
	KUNIT_EXPECT_EQ(test, kc->key->state, KCACHE_KEY_VALID);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
}

static void set_takes_the_same_key_under_any_name(struct kunit *test)
{
	struct kcache_target *kc;

	usual_key();
	kc = rig_target(rig_md("one"), LINE);
	rig_key("user", "elsewhere", rig_dek, KCACHE_KEY_SIZE);
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "user", "elsewhere"), 0);
	/* the table keeps the name that it was loaded with */
	KUNIT_EXPECT_STREQ(test, (const char *)kc->key->type, "logon");
	KUNIT_EXPECT_STREQ(test, (const char *)kc->key->desc, "kc:dek");
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
}

static void set_acts_on_the_object_of_its_target(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *a, *b;

	usual_key();
	rig_key("logon", "kc:two", rig_other_dek, KCACHE_KEY_SIZE);
	a = rig_target(md, LINE);
	b = rig_target(md, "aes-xts-plain64 :64:logon:kc:two 0 /dev/disk 64");
	kcache_key_wipe(md_of(md));
	KUNIT_EXPECT_EQ(test, kcache_key_set(b, "logon", "kc:two"), 0);
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(a->key));
	KUNIT_EXPECT_TRUE(test, works(b, rig_other_dek));
}

static void set_refuses_what_a_table_would(struct kunit *test)
{
	struct kcache_target *kc;
	struct key *key;

	key = usual_key();
	kc = rig_target(rig_md("one"), LINE);
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:none"), -ENOKEY);
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "trusted", "kc:dek"), -EINVAL);
	rig_key("logon", "kc:short", rig_dek, 32);
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:short"), -EINVAL);
	key_revoke(key);
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"),
			-EKEYREVOKED);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
}

/* Who may call the cipher was settled when the table was loaded. */
static void set_never_brings_a_driver_that_answers_later(struct kunit *test)
{
	struct kcache_target *kc;

	usual_key();
	kc = rig_target(rig_md("one"), LINE);
	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), -EINVAL);
	rig.cipher = NULL;
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
}

static void a_driver_that_answers_later_may_be_followed_by_another(struct kunit *test)
{
	struct kcache_target *kc;

	rig.cipher = "cryptd(xts(ecb(aes-generic)))";
	usual_key();
	kc = rig_target(rig_md("one"), LINE);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
	rig.cipher = NULL;
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
	KUNIT_EXPECT_TRUE(test, kc->key->async);
	KUNIT_EXPECT_TRUE(test, works(kc, rig_dek));
}

static void events_tell_of_wipe_and_set(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc;

	usual_key();
	kc = rig_target(md, LINE);
	rig_target(md, LINE);
	md->audits = 0;
	kcache_key_wipe(md_of(md));
	KUNIT_EXPECT_STREQ(test, (const char *)md->uevent, "KCACHE_KEY=wiped");
	KUNIT_EXPECT_STREQ(test, (const char *)md->audit, "key_wipe");
	/* one uevent an object, the others one a target */
	KUNIT_EXPECT_EQ(test, md->uevents, 1U);
	KUNIT_EXPECT_EQ(test, md->audits, 2U);
	KUNIT_EXPECT_EQ(test, md->table_events, 2U);

	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
	KUNIT_EXPECT_STREQ(test, (const char *)md->uevent, "KCACHE_KEY=valid");
	KUNIT_EXPECT_STREQ(test, (const char *)md->audit, "key_set");
	KUNIT_EXPECT_EQ(test, md->uevents, 2U);
	KUNIT_EXPECT_EQ(test, md->table_events, 4U);
}

static void wipe_of_all_devices(struct kunit *test)
{
	struct kcache_target *a, *b;

	usual_key();
	a = rig_target(rig_md("one"), LINE);
	b = rig_target(rig_md("two"), LINE);
	KUNIT_EXPECT_TRUE(test, kcache_key_any_valid());
	kcache_key_wipe(md_of(NULL));
	KUNIT_EXPECT_FALSE(test, kcache_key_any_valid());
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(a->key));
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(b->key));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
}

static void a_wipe_twice_is_fine(struct kunit *test)
{
	struct fake_md *md = rig_md("one");

	usual_key();
	rig_target(md, LINE);
	kcache_key_wipe(md_of(md));
	kcache_key_wipe(md_of(md));
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 0);
}

static struct kunit_case key_cases[] = {
	KUNIT_CASE(targets_of_one_device_share_an_object),
	KUNIT_CASE(two_devices_share_nothing),
	KUNIT_CASE(two_devices_of_one_name_share_nothing),
	KUNIT_CASE(another_description_is_another_object),
	KUNIT_CASE(a_reload_takes_the_live_object),
	KUNIT_CASE(a_reload_with_the_key_there_takes_the_live_object),
	KUNIT_CASE(a_wiped_object_is_not_revived_by_a_reload),
	KUNIT_CASE(a_wiped_object_still_knows_its_key),
	KUNIT_CASE(another_key_is_rejected),
	KUNIT_CASE(refusals_of_the_keyring),
	KUNIT_CASE(refusals_with_a_second_keyring),
	KUNIT_CASE(a_revoked_key_is_an_error_for_a_reload),
	KUNIT_CASE(refusals_of_the_crypto_api),
	KUNIT_CASE(no_memory_for_an_object),
	KUNIT_CASE(the_last_user_frees_everything),
	KUNIT_CASE(putting_nothing_is_fine),
	KUNIT_CASE(last_put_after_an_expiry),
	KUNIT_CASE(set_gives_the_key_back),
	KUNIT_CASE(set_takes_the_same_key_under_any_name),
	KUNIT_CASE(set_acts_on_the_object_of_its_target),
	KUNIT_CASE(set_refuses_what_a_table_would),
	KUNIT_CASE(set_never_brings_a_driver_that_answers_later),
	KUNIT_CASE(a_driver_that_answers_later_may_be_followed_by_another),
	KUNIT_CASE(events_tell_of_wipe_and_set),
	KUNIT_CASE(wipe_of_all_devices),
	KUNIT_CASE(a_wipe_twice_is_fine),
	{ }
};

struct kunit_suite kcache_key_suite = {
	.name = "kcache-key",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = key_cases,
};
