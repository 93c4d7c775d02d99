/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far something long is, for whoever sits at the terminal. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kcache.h"

/**
 * struct kc_progress - something long on its way
 * @total: bytes in all
 * @before: how many of them an earlier run had done: they say nothing about the speed of this one
 * @start, @shown: ms of the monotonic clock
 * @on: somebody looks: standard error is a terminal, and -q was not given
 * @line: a line stands on the terminal, without a line feed yet
 */
struct kc_progress {
	uint64_t total;
	uint64_t before;
	uint64_t start;
	uint64_t shown;
	bool on;
	bool line;
};

/**
 * kc_progress_begin() - start the clock
 * @total: bytes of work
 * @before: done by an earlier run that this one goes on from, else 0
 */
void kc_progress_begin(struct kc_progress *p, const struct kc_run *r, uint64_t total, uint64_t before);

/** kc_progress() - @done bytes of the total are done, @before among them; cheap, to be called for every block */
void kc_progress(struct kc_progress *p, uint64_t done);

/**
 * kc_progress_end() - to be called in any case, before anything else is said
 * @done: bytes; a last line says the time and the speed if that is all of them
 */
void kc_progress_end(struct kc_progress *p, uint64_t done);

/**
 * kc_progress_text() - "Progress:  12.3%, ETA 02m11s, 1.2 GiB done, speed 410.0 MiB/s"
 * @ms: since kc_progress_begin()
 */
void kc_progress_text(const struct kc_progress *p, uint64_t done, uint64_t ms, char *text, size_t size);

#endif
