// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The header area as plain bytes. What matters here is that a write is on the medium when it
 * is relied upon: flushed, and read back by O_DIRECT, not from the page cache that it went
 * through. Files on a filesystem without O_DIRECT are read after their pages were dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "area.h"

#define CHUNK (1U << 20)
/* for O_DIRECT; no device has larger logical blocks */
#define ALIGN 4096U
#define NEXT_DMESG "check the device and its cabling (dmesg)"

int kc_area_read(int fd, uint64_t at, uint8_t *buf, size_t len, struct kc_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kc_fail(err, KC_DEVICE, NEXT_DMESG, "cannot read it at byte %llu: %s",
				       (unsigned long long)(at + done), n ? strerror(errno) : "it ends there");
		done += (size_t)n;
	}
	return 0;
}

static int put(const struct kc_blk *b, uint64_t at, const uint8_t *buf, size_t len, struct kc_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(b->claim_fd, buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kc_fail(err, KC_DEVICE, NEXT_DMESG, "cannot write it at byte %llu: %s",
				       (unsigned long long)(at + done), n ? strerror(errno) : "nothing was written");
		done += (size_t)n;
	}
	return 0;
}

static int flush(const struct kc_blk *b, struct kc_error *err)
{
	if (!fsync(b->claim_fd))
		return 0;
	return kc_fail(err, KC_DEVICE, NEXT_DMESG, "cannot flush what was written: %s", strerror(errno));
}

/* From the medium, not from the page cache. @buf is aligned and has room to the next multiple of ALIGN. */
static int get_direct(const struct kc_blk *b, uint64_t at, uint8_t *buf, size_t len, struct kc_error *err)
{
	char path[64];
	ssize_t n = -1;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", b->fd);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd >= 0) {
		n = pread(fd, buf, (len + ALIGN - 1) / ALIGN * ALIGN, (off_t)at);
		close(fd);
	}
	if (n >= (ssize_t)len)
		return 0;
	/* tmpfs and the like; a device that cannot be read fails here once more */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kc_fail(err, KC_DEVICE, NULL, "cannot open it to read it back: %s", strerror(errno));
	posix_fadvise(fd, (off_t)at, (off_t)len, POSIX_FADV_DONTNEED);
	r = kc_area_read(fd, at, buf, len, err);
	close(fd);
	return r;
}

static int compare(const struct kc_blk *b, uint64_t at, const uint8_t *buf, size_t len, uint8_t *scratch,
		   struct kc_error *err)
{
	int r = get_direct(b, at, scratch, len, err);

	if (!r && memcmp(buf, scratch, len) != 0)
		r = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			    "the %zu bytes at byte %llu read back differently from what was written", len,
			    (unsigned long long)at);
	return r;
}

static uint8_t *chunks(size_t n, struct kc_error *err)
{
	void *p = NULL;

	if (posix_memalign(&p, ALIGN, n * CHUNK)) {
		kc_fail(err, KC_NOMEM, NULL, "out of memory");
		return NULL;
	}
	return p;
}

int kc_area_write(const struct kc_blk *b, uint64_t at, const uint8_t *buf, size_t len, struct kc_error *err)
{
	uint8_t *scratch = chunks(1, err);
	size_t done, n;
	int r = 0;

	if (!scratch)
		return KC_NOMEM;
	for (done = 0; !r && done < len; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		r = put(b, at + done, buf + done, n, err);
	}
	if (!r)
		r = flush(b, err);
	for (done = 0; !r && done < len; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		r = compare(b, at + done, buf + done, n, scratch, err);
	}
	free(scratch);
	return r;
}

/* One chunk, numbered in each of its blocks: a device that stores equal blocks once has none here. */
static void stamp(uint8_t *chunk, uint64_t at)
{
	uint64_t number;
	size_t i;

	for (i = 0; i < CHUNK; i += ALIGN) {
		number = at + i;
		memcpy(chunk + i, &number, sizeof(number));
	}
}

/**
 * struct pass - one pass over a range
 * @chunk: what is written; @scratch: what is read
 * @random: the blocks are numbered, else they are all the same
 */
struct pass {
	const struct kc_blk *b;
	uint64_t from, to;
	uint8_t *chunk, *scratch;
	bool random;
};

static int each_chunk(const struct pass *p, bool write, struct kc_error *err)
{
	uint64_t at;
	int r = 0;

	for (at = p->from; at < p->to; at += CHUNK) {
		size_t n = p->to - at < CHUNK ? (size_t)(p->to - at) : CHUNK;
		int failed;

		if (p->random)
			stamp(p->chunk, at);
		failed = write ? put(p->b, at, p->chunk, n, err) : compare(p->b, at, p->chunk, n, p->scratch, err);
		if (failed && !r)
			r = failed;
	}
	return r;
}

static int run_pass(const struct pass *p, struct kc_error *err)
{
	int r = each_chunk(p, true, err), failed;

	failed = flush(p->b, err);
	if (!r)
		r = failed;
	failed = each_chunk(p, false, err);
	return r ? r : failed;
}

static int fill_random(uint8_t *buf, size_t len, struct kc_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(buf + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kc_fail(err, KC_DEVICE, NULL, "the kernel gives no random numbers");
		done += (size_t)n;
	}
	return 0;
}

static int passes(const struct kc_blk *b, uint64_t from, uint64_t to, bool zeros, struct kc_error *err)
{
	struct pass p = { .b = b, .from = from, .to = to, .chunk = chunks(2, err), .random = true };
	int r, failed;

	if (!p.chunk)
		return KC_NOMEM;
	p.scratch = p.chunk + CHUNK;
	r = fill_random(p.chunk, CHUNK, err);
	if (!r)
		r = run_pass(&p, err);
	if (zeros) {
		memset(p.chunk, 0, CHUNK);
		p.random = false;
		failed = run_pass(&p, err);
		if (!r)
			r = failed;
	}
	free(p.chunk);
	return r;
}

int kc_area_random(const struct kc_blk *b, uint64_t from, uint64_t to, struct kc_error *err)
{
	return passes(b, from, to, false, err);
}

int kc_area_erase(const struct kc_blk *b, uint64_t from, uint64_t to, struct kc_error *err)
{
	return passes(b, from, to, true, err);
}
