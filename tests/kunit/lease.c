// SPDX-License-Identifier: GPL-2.0-only
/*
 * key.c, the deadline: a clock that the test moves, and timers that fire when it
 * says so. What ends a lease, what moves it nearer, and that nothing moves it
 * away or brings a key back but "key set".
 */
#include "fake.h"

#define LINE RIG_LINE_PLAIN

static struct kcache_target *leased(struct fake_md *md, const char *options)
{
	char line[RIG_LINE];

	rig_key("logon", "kc:dek", rig_dek, KCACHE_KEY_SIZE);
	snprintf(line, sizeof(line), "%s %s", LINE, options);
	return rig_target(md, line);
}

static void expect_valid(struct kunit *test, struct kcache_target *kc, long left)
{
	KUNIT_EXPECT_EQ(test, kc->key->state, KCACHE_KEY_VALID);
	KUNIT_EXPECT_TRUE(test, kcache_key_valid(kc->key));
	KUNIT_EXPECT_EQ(test, kcache_key_seconds_left(kc->key), left);
}

static void expect_gone(struct kunit *test, struct kcache_target *kc,
			enum kcache_key_state state)
{
	KUNIT_EXPECT_EQ(test, kc->key->state, state);
	KUNIT_EXPECT_FALSE(test, kcache_key_valid(kc->key));
	KUNIT_EXPECT_EQ(test, kcache_key_seconds_left(kc->key), 0L);
}

static void without_a_lease_there_is_no_deadline(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "");

	KUNIT_EXPECT_EQ(test, clock_timers(), 0U);
	expect_valid(test, kc, -1);
	clock_advance(SECONDS(100ULL * 365 * 86400));
	expect_valid(test, kc, -1);
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 5), -EINVAL);
	/* nor does a resume make one */
	kcache_key_cap(kc);
	expect_valid(test, kc, -1);
}

static void a_lease_runs_out_at_its_second(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");

	expect_valid(test, kc, 60);
	clock_advance(1);
	expect_valid(test, kc, 60);
	clock_advance(SECONDS(1) - 1);
	expect_valid(test, kc, 59);
	clock_advance(SECONDS(59) - 1);
	expect_valid(test, kc, 1);
	clock_advance(1);
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
	KUNIT_EXPECT_EQ(test, clock_timers(), 0U);
}

/* The longest there is: it must not wrap around. */
static void the_longest_lease(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:4294967295");

	expect_valid(test, kc, 4294967295L);
	clock_advance(SECONDS(4294967294ULL));
	expect_valid(test, kc, 1);
	clock_advance(SECONDS(1));
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
}

static void expiry_clears_the_key_and_tells(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc = leased(md, "1 lease:60");

	md->audits = 0;
	clock_advance(SECONDS(60));
	flush_work(&kc->key->expired);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&rig.ciphers), 0,
			    "the key schedule is still there");
	KUNIT_EXPECT_STREQ(test, (const char *)md->uevent, "KCACHE_KEY=expired");
	KUNIT_EXPECT_STREQ(test, (const char *)md->audit, "lease_expired");
	KUNIT_EXPECT_EQ(test, md->uevents, 1U);
	KUNIT_EXPECT_EQ(test, md->audits, 1U);
	KUNIT_EXPECT_EQ(test, md->table_events, 1U);
}

/* The state is not a matter of the timer's being on time, or of the worker. */
static void io_after_the_deadline_fails(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");
	struct fake_bio *early = rig_bio(kc, REQ_OP_READ, 0, 4096);
	struct fake_bio *late = rig_bio(kc, REQ_OP_READ, 0, 4096);

	/* asked in time, answered too late: the data stays ciphertext */
	rig.hold = true;
	rig_map(early);
	clock_advance(SECONDS(60));
	rig.hold = false;
	rig_answer();
	KUNIT_EXPECT_EQ(test, rig_wait(early), BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, rig_do(late), BLK_STS_IOERR);
	/* the second was not even asked for */
	KUNIT_EXPECT_EQ(test, rig.submitted, 1U);
}

static void a_timer_that_fires_early_arms_itself_again(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");
	ktime_t deadline = kc->key->deadline;

	clock_advance(SECONDS(59));
	clock_fire_early(&kc->key->timer);
	expect_valid(test, kc, 1);
	KUNIT_EXPECT_TRUE(test, clock_armed(&kc->key->timer));
	KUNIT_EXPECT_EQ(test, clock_expires(&kc->key->timer), deadline);
	clock_advance(SECONDS(1));
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
}

/* It was armed for the old deadline, and is on its way when that is moved. */
static void a_timer_that_a_renewal_overtakes(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");

	clock_advance(SECONDS(59));
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 60), 0);
	clock_advance(SECONDS(30));
	clock_fire_early(&kc->key->timer);
	expect_valid(test, kc, 30);
	clock_advance(SECONDS(30));
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
}

static void a_timer_after_a_wipe_does_nothing(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc = leased(md, "1 lease:60");

	kcache_key_wipe(md_of(md));
	clock_advance(SECONDS(61));
	flush_work(&kc->key->expired);
	/* wiped, and not expired since */
	expect_gone(test, kc, KCACHE_KEY_WIPED);
	KUNIT_EXPECT_STREQ(test, (const char *)md->uevent, "KCACHE_KEY=wiped");
}

static void renewal_sets_what_is_left(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");

	clock_advance(SECONDS(50));
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 60), 0);
	expect_valid(test, kc, 60);
	/* less is less */
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 5), 0);
	expect_valid(test, kc, 5);
	clock_advance(SECONDS(5));
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
}

static void renewal_is_never_above_the_tables_lease(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");

	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 61), 0);
	expect_valid(test, kc, 60);
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, UINT_MAX), 0);
	expect_valid(test, kc, 60);
}

static void renewal_never_revives(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc = leased(md, "1 lease:60");

	clock_advance(SECONDS(60));
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 60), -EKEYEXPIRED);
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);

	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
	kcache_key_wipe(md_of(md));
	KUNIT_EXPECT_EQ(test, kcache_key_renew(kc, 60), -ENOKEY);
	expect_gone(test, kc, KCACHE_KEY_WIPED);
	/* nor later */
	clock_advance(SECONDS(120));
	expect_gone(test, kc, KCACHE_KEY_WIPED);
}

static void set_starts_the_lease_anew(struct kunit *test)
{
	struct kcache_target *kc = leased(rig_md("one"), "1 lease:60");

	clock_advance(SECONDS(60));
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
	KUNIT_EXPECT_EQ(test, kcache_key_set(kc, "logon", "kc:dek"), 0);
	expect_valid(test, kc, 60);
	flush_work(&kc->key->expired);
	expect_valid(test, kc, 60);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers), 1);
	clock_advance(SECONDS(60));
	expect_gone(test, kc, KCACHE_KEY_EXPIRED);
}

/* ---- reloads ---- */

static void a_reload_does_not_extend(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *old = leased(md, "1 lease:60"), *new;

	clock_advance(SECONDS(50));
	new = leased(md, "1 lease:60");
	KUNIT_EXPECT_PTR_EQ(test, new->key, old->key);
	expect_valid(test, new, 10);
	/* nor does its being resumed */
	kcache_key_cap(new);
	expect_valid(test, new, 10);
	clock_advance(SECONDS(10));
	expect_gone(test, new, KCACHE_KEY_EXPIRED);
}

static void a_reload_with_a_longer_lease_does_not_extend(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *new;

	leased(md, "1 lease:60");
	clock_advance(SECONDS(50));
	new = leased(md, "1 lease:3600");
	kcache_key_cap(new);
	expect_valid(test, new, 10);
	/* only who renews does, by the new table's limit */
	KUNIT_EXPECT_EQ(test, kcache_key_renew(new, 5000), 0);
	expect_valid(test, new, 3600);
}

static void a_reload_without_a_lease_does_not_extend(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *new;

	leased(md, "1 lease:60");
	new = leased(md, "");
	kcache_key_cap(new);
	expect_valid(test, new, 60);
	clock_advance(SECONDS(60));
	expect_gone(test, new, KCACHE_KEY_EXPIRED);
}

static void a_shorter_lease_counts_when_it_is_resumed(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *new;

	leased(md, "1 lease:3600");
	new = leased(md, "1 lease:60");
	/* loaded is not live */
	expect_valid(test, new, 3600);
	kcache_key_cap(new);
	expect_valid(test, new, 60);
	clock_advance(SECONDS(60));
	expect_gone(test, new, KCACHE_KEY_EXPIRED);
}

static void a_lease_counts_where_there_was_none(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *new;

	leased(md, "");
	new = leased(md, "1 lease:60");
	kcache_key_cap(new);
	expect_valid(test, new, 60);
}

static void cap_does_not_revive(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc = leased(md, "1 lease:60");

	kcache_key_wipe(md_of(md));
	kcache_key_cap(kc);
	expect_gone(test, kc, KCACHE_KEY_WIPED);
	clock_advance(SECONDS(120));
	expect_gone(test, kc, KCACHE_KEY_WIPED);
}

static void an_expired_object_is_not_taken_by_a_reload(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *old = leased(md, "1 lease:60"), *new;

	clock_advance(SECONDS(60));
	/* with the key in the keyring: an object of its own, with its own lease */
	new = leased(md, "1 lease:60");
	KUNIT_EXPECT_PTR_NE(test, new->key, old->key);
	expect_valid(test, new, 60);
	expect_gone(test, old, KCACHE_KEY_EXPIRED);
}

static void each_device_has_its_own_deadline(struct kunit *test)
{
	struct kcache_target *a = leased(rig_md("one"), "1 lease:60");
	struct kcache_target *b;

	clock_advance(SECONDS(30));
	b = leased(rig_md("two"), "1 lease:60");
	KUNIT_EXPECT_EQ(test, clock_timers(), 2U);
	clock_advance(SECONDS(30));
	expect_gone(test, a, KCACHE_KEY_EXPIRED);
	expect_valid(test, b, 30);
}

/* Every way through the states, by random steps, against a model. */
static void random_steps(struct kunit *test)
{
	struct fake_md *md = rig_md("one");
	struct kcache_target *kc = leased(md, "1 lease:60");
	enum kcache_key_state state = KCACHE_KEY_VALID;
	unsigned int i, seconds;
	long left = 60;
	int r;

	for (i = 0; i < 600; i++) {
		switch (rig_below(12)) {
		case 0:
			kcache_key_wipe(md_of(md));
			/* an expired key that is wiped is a wiped one */
			state = KCACHE_KEY_WIPED;
			break;
		case 1:
			KUNIT_ASSERT_EQ(test, kcache_key_set(kc, "logon",
							     "kc:dek"), 0);
			state = KCACHE_KEY_VALID;
			left = 60;
			break;
		case 2:
		case 3:
		case 4:
			seconds = 1 + rig_below(120);
			r = kcache_key_renew(kc, seconds);
			KUNIT_ASSERT_EQ(test, r, state == KCACHE_KEY_VALID ? 0 :
					state == KCACHE_KEY_WIPED ? -ENOKEY :
								    -EKEYEXPIRED);
			if (!r)
				left = min(seconds, 60U);
			break;
		case 5:
			kcache_key_cap(kc);
			break;
		case 6:
			clock_fire_early(&kc->key->timer);
			break;
		default:
			seconds = rig_below(20);
			clock_advance(SECONDS(seconds));
			if (state != KCACHE_KEY_VALID)
				break;
			left -= seconds;
			if (left <= 0)
				state = KCACHE_KEY_EXPIRED;
		}
		KUNIT_ASSERT_EQ_MSG(test, kc->key->state, state, "step %u", i);
		KUNIT_ASSERT_EQ(test, kcache_key_valid(kc->key),
				state == KCACHE_KEY_VALID);
		KUNIT_ASSERT_EQ_MSG(test, kcache_key_seconds_left(kc->key),
				    state == KCACHE_KEY_VALID ? left : 0L,
				    "step %u", i);
	}
	flush_work(&kc->key->expired);
	KUNIT_EXPECT_EQ(test, atomic_read(&rig.ciphers),
			state == KCACHE_KEY_VALID);
}

static struct kunit_case lease_cases[] = {
	KUNIT_CASE(without_a_lease_there_is_no_deadline),
	KUNIT_CASE(a_lease_runs_out_at_its_second),
	KUNIT_CASE(the_longest_lease),
	KUNIT_CASE(expiry_clears_the_key_and_tells),
	KUNIT_CASE(io_after_the_deadline_fails),
	KUNIT_CASE(a_timer_that_fires_early_arms_itself_again),
	KUNIT_CASE(a_timer_that_a_renewal_overtakes),
	KUNIT_CASE(a_timer_after_a_wipe_does_nothing),
	KUNIT_CASE(renewal_sets_what_is_left),
	KUNIT_CASE(renewal_is_never_above_the_tables_lease),
	KUNIT_CASE(renewal_never_revives),
	KUNIT_CASE(set_starts_the_lease_anew),
	KUNIT_CASE(a_reload_does_not_extend),
	KUNIT_CASE(a_reload_with_a_longer_lease_does_not_extend),
	KUNIT_CASE(a_reload_without_a_lease_does_not_extend),
	KUNIT_CASE(a_shorter_lease_counts_when_it_is_resumed),
	KUNIT_CASE(a_lease_counts_where_there_was_none),
	KUNIT_CASE(cap_does_not_revive),
	KUNIT_CASE(an_expired_object_is_not_taken_by_a_reload),
	KUNIT_CASE(each_device_has_its_own_deadline),
	KUNIT_CASE(random_steps),
	{ }
};

struct kunit_suite kcache_lease_suite = {
	.name = "kcache-lease",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = lease_cases,
};
