// SPDX-License-Identifier: GPL-2.0-only
/*
 * A clock that stands still until a test moves it, and the timers of key.c on it:
 * see fake.h and seams.h.
 */
#include "fake.h"

struct fake_timer {
	struct hrtimer *timer;
	ktime_t expires;
};

/* taken by key.c under its own lock, with interrupts off */
static DEFINE_RAW_SPINLOCK(clock_lock);
static struct fake_timer clock_timer[32];
static ktime_t clock_now;

ktime_t fake_now(void)
{
	return READ_ONCE(clock_now);
}

static struct fake_timer *find_timer(struct hrtimer *timer)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(clock_timer); i++)
		if (clock_timer[i].timer == timer)
			return &clock_timer[i];
	return NULL;
}

void fake_timer_start(struct hrtimer *timer, ktime_t expires)
{
	struct fake_timer *t;
	unsigned long flags;

	raw_spin_lock_irqsave(&clock_lock, flags);
	hrtimer_set_expires(timer, expires);
	t = find_timer(timer) ?: find_timer(NULL);
	if (t) {
		t->timer = timer;
		t->expires = expires;
	}
	raw_spin_unlock_irqrestore(&clock_lock, flags);
	WARN_ON(!t);
}

int fake_timer_cancel(struct hrtimer *timer)
{
	struct fake_timer *t;
	unsigned long flags;

	raw_spin_lock_irqsave(&clock_lock, flags);
	t = find_timer(timer);
	if (t)
		t->timer = NULL;
	raw_spin_unlock_irqrestore(&clock_lock, flags);
	return !!t;
}

bool clock_armed(struct hrtimer *timer)
{
	return find_timer(timer);
}

ktime_t clock_expires(struct hrtimer *timer)
{
	struct fake_timer *t = find_timer(timer);

	return t ? t->expires : KTIME_MAX;
}

unsigned int clock_timers(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(clock_timer); i++)
		n += !!clock_timer[i].timer;
	return n;
}

/* As the interrupt would: with interrupts off, and armed again if it says so. */
static void fire(struct hrtimer *timer)
{
	enum hrtimer_restart again;
	unsigned long flags;

	fake_timer_cancel(timer);
	local_irq_save(flags);
	again = timer->function(timer);
	local_irq_restore(flags);
	if (again == HRTIMER_RESTART)
		fake_timer_start(timer, hrtimer_get_expires(timer));
}

/* A timer may be on its way while the deadline is moved. */
void clock_fire_early(struct hrtimer *timer)
{
	fire(timer);
}

void clock_advance(u64 ns)
{
	unsigned int i, rounds = 0;
	bool any;

	WRITE_ONCE(clock_now, ktime_add_ns(clock_now, ns));
	do {
		any = false;
		for (i = 0; i < ARRAY_SIZE(clock_timer); i++) {
			if (!clock_timer[i].timer ||
			    ktime_after(clock_timer[i].expires, clock_now))
				continue;
			any = true;
			fire(clock_timer[i].timer);
		}
	} while (any && ++rounds < 100);
	/* a timer that arms itself in the past is an interrupt storm */
	KUNIT_EXPECT_LT(rig.test, rounds, 100U);
}

/* Not 0, and not a round number. */
void clock_reset(void)
{
	memset(clock_timer, 0, sizeof(clock_timer));
	clock_now = ms_to_ktime(1000123);
}
