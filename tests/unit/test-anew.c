// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Data written anew in their place survive a power cut at any moment, and a second one while
 * the first is made good. The device is in memory here, with a write cache that a cut loses,
 * keeps, or keeps a half of; the two mapped devices are two ciphers over it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "op.h"

#define UUID "6b636163-6865-4a11-8bad-000000000001"
#define BLOCK 4096U
/* three chunks, the last one short */
#define SIZE (2 * KC_JOURNAL_CHUNK + 2 * BLOCK)
#define OFFSET KC_JOURNAL_END

enum { RAW = 9000, FROM, TO };
enum cut { LOST, WHOLE, FIRST_HALF, SECOND_HALF, CUTS };

static uint8_t disk[OFFSET + SIZE], pristine[OFFSET + SIZE], scratch[KC_JOURNAL_CHUNK];

/* what was written and not flushed: where, and what was there before */
static uint8_t undo[KC_JOURNAL_ALIGN + KC_JOURNAL_CHUNK];
static size_t undo_at, undo_len;

/* the power goes at event number cut_at, a write or a flush; 0 for never */
static unsigned int events, cut_at;
static enum cut how;

/* All chunks are alike in the plaintext and in both ciphers, as the unwritten parts of a sparse device are. */
static uint8_t plain(size_t i)
{
	return (uint8_t)(i * 193 + (i >> 7) + (i >> 12) * 3);
}

static uint8_t cipher(int fd, size_t i)
{
	return fd == FROM ? (uint8_t)(i * 131 + (i >> 9) + 17) : (uint8_t)(i * 77 + (i >> 8) + 91);
}

/* What the cut leaves of the cache. */
static void lose(void)
{
	size_t half = undo_len / 2 / 512 * 512;

	if (how == LOST)
		memcpy(disk + undo_at, undo, undo_len);
	else if (how == FIRST_HALF)
		memcpy(disk + undo_at + half, undo + half, undo_len - half);
	else if (how == SECOND_HALF)
		memcpy(disk + undo_at, undo, half);
	undo_len = 0;
}

static int event(void)
{
	events++;
	if (cut_at && events == cut_at)
		lose();
	if (!cut_at || events < cut_at)
		return 0;
	errno = EIO;
	return -1;
}

/* These stand in for the C library's in what is tested. */

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
	size_t i;

	if (fd != RAW)
		at += OFFSET;
	assert_true((size_t)at + len <= sizeof(disk));
	memcpy(buf, disk + at, len);
	for (i = 0; fd != RAW && i < len; i++)
		((uint8_t *)buf)[i] ^= cipher(fd, (size_t)at - OFFSET + i);
	return (ssize_t)len;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	size_t i;

	assert_int_not_equal(fd, FROM);
	if (fd != RAW)
		at += OFFSET;
	assert_true((size_t)at + len <= sizeof(disk));
	/* nothing is written while something else may not be on the medium yet */
	assert_int_equal(undo_len, 0);
	if (cut_at && events >= cut_at) {
		errno = EIO;
		return -1;
	}
	undo_at = (size_t)at;
	undo_len = len;
	memcpy(undo, disk + at, len);
	memcpy(disk + at, buf, len);
	for (i = 0; fd != RAW && i < len; i++)
		disk[(size_t)at + i] ^= cipher(fd, (size_t)at - OFFSET + i);
	return event() ? -1 : (ssize_t)len;
}

int fdatasync(int fd)
{
	if (event())
		return -1;
	undo_len = 0;
	return 0;
}

/* One run of it; the power goes at event @at. */

static int step(void *data, uint64_t done, struct kc_error *err)
{
	assert_int_equal(done % BLOCK, 0);
	return 0;
}

static int run(unsigned int at, enum cut c)
{
	struct kc_anew a = { .raw = RAW, .from = FROM, .to = TO, .offset = OFFSET, .size = SIZE, .block = BLOCK,
			     .step = step };
	struct kc_error err = { 0 };
	uint64_t done;
	int r;

	events = 0;
	cut_at = at;
	how = c;
	assert_int_equal(kc_journal_open(&a.j, RAW, UUID, &err), 0);
	r = kc_anew_run(&a, &done, &err);
	kc_journal_close(&a.j);
	assert_int_equal(r, (int)err.code);
	if (!r)
		assert_int_equal(done, SIZE);
	return r;
}

static void begin(void)
{
	memcpy(disk, pristine, sizeof(disk));
	undo_len = 0;
}

static bool whole(void)
{
	size_t i;

	for (i = 0; i < SIZE; i++)
		if ((disk[OFFSET + i] ^ cipher(TO, i)) != plain(i))
			return false;
	return true;
}

static int setup(void **state)
{
	size_t i;

	/* what a keyslot has left */
	for (i = 0; i < OFFSET; i++)
		pristine[i] = (uint8_t)(i * 7 + (i >> 11));
	for (i = 0; i < SIZE; i++)
		pristine[OFFSET + i] = plain(i) ^ cipher(FROM, i);
	return 0;
}

static void without_a_cut_all_is_anew(void **state)
{
	begin();
	assert_int_equal(run(0, LOST), 0);
	/* for each chunk: its record, a flush, itself, a flush */
	assert_int_equal(events, 3 * 4);
	assert_true(whole());
	/* and the same again settles the journal, puts the last chunk back and does it once more */
	assert_int_equal(run(0, LOST), 0);
	assert_int_equal(events, 2 + 2 + 4);
	assert_true(whole());
}

static void a_cut_at_any_moment_loses_nothing(void **state)
{
	unsigned int at;
	int c;

	for (at = 1; at <= 3 * 4; at++) {
		for (c = 0; c < CUTS; c++) {
			begin();
			assert_int_equal(run(at, (enum cut)c), KC_DEVICE);
			assert_int_equal(run(0, LOST), 0);
			if (!whole())
				fail_msg("cut at event %u, kind %d", at, c);
		}
	}
}

static void nor_does_a_second_one(void **state)
{
	unsigned int at, again;

	/* in the middle of each write */
	for (at = 1; at <= 3 * 4; at += 2) {
		for (again = 1;; again++) {
			begin();
			assert_int_equal(run(at, FIRST_HALF), KC_DEVICE);
			if (!run(again, again % 2 ? SECOND_HALF : FIRST_HALF))
				break;
			assert_int_equal(run(0, LOST), 0);
			if (!whole())
				fail_msg("cut at event %u, then at %u", at, again);
		}
		assert_true(whole());
	}
}

static void a_journal_that_reaches_beyond_the_data_is_refused(void **state)
{
	struct kc_anew a = { .raw = RAW, .from = FROM, .to = TO, .offset = OFFSET, .size = SIZE, .block = BLOCK,
			     .step = step };
	static const uint64_t bad[][2] = { { SIZE, BLOCK }, { SIZE + BLOCK, BLOCK }, { 512, BLOCK }, { 0, 512 } };
	struct kc_error err = { 0 };
	uint64_t done;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		events = cut_at = 0;
		kc_error_clear(&err);
		assert_int_equal(kc_journal_open(&a.j, RAW, UUID, &err), 0);
		assert_int_equal(kc_journal_write(&a.j, bad[i][0], bad[i][1], &err), 0);
		memcpy(scratch, disk + OFFSET, sizeof(scratch));
		assert_int_equal(kc_anew_run(&a, &done, &err), KC_TAMPERED);
		assert_memory_equal(scratch, disk + OFFSET, sizeof(scratch));
		kc_journal_close(&a.j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_cut_all_is_anew),
		cmocka_unit_test(a_cut_at_any_moment_loses_nothing),
		cmocka_unit_test(nor_does_a_second_one),
		cmocka_unit_test(a_journal_that_reaches_beyond_the_data_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
