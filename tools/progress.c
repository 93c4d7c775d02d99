// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Progress and the time that is left, as cryptsetup shows them: one line that is written
 * anew twice a second, on standard error, and only where that is a terminal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define EVERY_MS 500

/* back to the first column, and the rest of the line erased */
#define NEW_LINE "\r\033[K"

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void time_text(uint64_t ms, char *text, size_t size)
{
	const uint64_t s = ms / 1000;

	if (s < 3600)
		snprintf(text, size, "%02" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, "%02" PRIu64 "h%02" PRIu64 "m%02" PRIu64 "s", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(text, size, "%" PRIu64 " days", s / 86400);
}

/* bytes a second of this run; 0 where it has none to show yet */
static double speed(const struct kc_progress *p, uint64_t done, uint64_t ms)
{
	return ms && done > p->before ? (double)(done - p->before) * 1000 / (double)ms : 0;
}

void kc_progress_text(const struct kc_progress *p, uint64_t done, uint64_t ms, char *text, size_t size)
{
	const double v = speed(p, done, ms);
	char eta[32] = "--", bytes[24], rate[24];

	if (done > p->total)
		done = p->total;
	if (v > 0)
		time_text((uint64_t)((double)(p->total - done) * 1000 / v), eta, sizeof(eta));
	snprintf(text, size, "Progress: %5.1f%%, ETA %s, %s done, speed %s/s",
		 p->total ? (double)done * 100 / (double)p->total : 100.0, eta, kc_size_text(done, bytes),
		 kc_size_text((uint64_t)v, rate));
}

void kc_progress_begin(struct kc_progress *p, const struct kc_run *r, uint64_t total, uint64_t before)
{
	*p = (struct kc_progress){
		.total = total,
		.before = before,
		.start = now_ms(),
		.on = !kc_given(r, OPT_BATCH) && isatty(STDERR_FILENO),
	};
	p->shown = p->start;
}

void kc_progress(struct kc_progress *p, uint64_t done)
{
	uint64_t now;
	char text[160];

	if (!p->on)
		return;
	now = now_ms();
	if (now - p->shown < EVERY_MS)
		return;
	p->shown = now;
	p->line = true;
	kc_progress_text(p, done, now - p->start, text, sizeof(text));
	fprintf(stderr, NEW_LINE "%s", text);
	fflush(stderr);
}

void kc_progress_end(struct kc_progress *p, uint64_t done)
{
	const uint64_t ms = now_ms() - p->start;
	char taken[32], bytes[24], rate[24];

	if (!p->on)
		return;
	p->on = false;
	if (done < p->total) {
		/* the line stays, as far as it came */
		if (p->line)
			fputc('\n', stderr);
		return;
	}
	time_text(ms, taken, sizeof(taken));
	fprintf(stderr, "%sFinished, time %s, %s done, speed %s/s\n", p->line ? NEW_LINE : "", taken,
		kc_size_text(done, bytes), kc_size_text((uint64_t)speed(p, done, ms), rate));
}
