// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to try again: after a random time below a limit that doubles (AWS's "full
 * jitter": hosts that failed together do not come back together), by what the table
 * of errors says, and never beyond the deadline.
 */
#include <time.h>

#include <openssl/rand.h>

#include "aws.h"
#include "kms-wire.h"

#define FIRST_MS 200
#define CAP_MS 20000
#define GRANT_MS 30000		/* so long a new grant may need to get everywhere */
#define LAST_TRY_MS 1000	/* what is left for a try that comes at the very end */

static void pause_ms(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static int64_t random_below(int64_t limit)
{
	uint64_t v = 0;

	/* without random numbers the whole time is waited, which is as safe */
	if (limit <= 0 || RAND_bytes((unsigned char *)&v, sizeof(v)) != 1)
		return limit > 0 ? limit - 1 : 0;
	return (int64_t)(v % (uint64_t)limit);
}

void aws_retry_start(struct aws_retry *r, int64_t deadline, bool grants)
{
	*r = (struct aws_retry){
		.now = kc_wire_now, .pause = pause_ms, .below = random_below,
		.deadline = deadline, .grants = grants,
	};
}

static int64_t backoff(const struct aws_retry *r)
{
	int64_t limit = FIRST_MS;
	unsigned int i;

	for (i = 1; i < r->tries && limit < CAP_MS; i++)
		limit *= 2;
	return r->below(limit < CAP_MS ? limit : CAP_MS);
}

bool aws_retry(struct aws_retry *r, enum kh_error e, bool *fresh)
{
	int64_t now = r->now(), end = r->deadline, wait;

	*fresh = false;
	r->tries++;
	switch (kh_error_retry(e)) {
	case KH_RETRY_NEVER:
		return false;
	case KH_RETRY_ONCE:
		if (r->refreshed || now >= end)
			return false;
		r->refreshed = true;
		*fresh = true;
		return true;
	case KH_RETRY_SHORT:
		if (!r->grants)
			return false;
		if (!r->refused_at)
			r->refused_at = now;
		if (end > r->refused_at + GRANT_MS)
			end = r->refused_at + GRANT_MS;
		break;
	case KH_RETRY:
		break;
	}
	wait = backoff(r);
	/* rather a last try early than time that is not used */
	if (wait > end - now - LAST_TRY_MS) {
		wait = end - now - LAST_TRY_MS;
		if (r->last || wait < 0)
			return false;
		r->last = true;
	}
	if (wait)
		r->pause(wait);
	return true;
}
