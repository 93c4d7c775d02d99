// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Data written anew in their place, chunk by chunk: to the journal as they are, flush; anew,
 * flush. The newest record of the journal is the chunk that may be half written. It is put
 * back and done again; what is before it is done, what is behind it is not.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "op.h"

static int io_failed(struct kc_error *err, const char *what, uint64_t at)
{
	return kc_fail(err, KC_DEVICE, "check the device and its cabling (dmesg), then run the same command again",
		       "cannot %s its data at byte %llu: %m", what, (unsigned long long)at);
}

static int put_back(struct kc_anew *a, uint64_t at, uint64_t len, struct kc_error *err)
{
	if (pwrite(a->raw, kc_journal_data(&a->j), len, (off_t)(a->offset + at)) != (ssize_t)len || fdatasync(a->raw))
		return io_failed(err, "put back", at);
	return 0;
}

static int chunk(struct kc_anew *a, uint8_t *plain, uint64_t at, uint64_t len, struct kc_error *err)
{
	int r;

	if (pread(a->raw, kc_journal_data(&a->j), len, (off_t)(a->offset + at)) != (ssize_t)len ||
	    pread(a->from, plain, len, (off_t)at) != (ssize_t)len)
		return io_failed(err, "read", at);
	r = kc_journal_write(&a->j, at, len, err);
	if (r)
		return r;
	/* on the medium before the next one's record, which says that this one is done */
	if (pwrite(a->to, plain, len, (off_t)at) != (ssize_t)len || fdatasync(a->to))
		return io_failed(err, "write", at);
	return 0;
}

static int resume(struct kc_anew *a, uint64_t *at, struct kc_error *err)
{
	uint64_t len;
	int r = kc_journal_read(&a->j, at, &len, err);

	if (!r && (*at > a->size || len > a->size - *at || *at % a->block || len % a->block))
		r = kc_fail(err, KC_TAMPERED, NULL, "the journal has byte %llu, the data end at %llu",
			    (unsigned long long)*at, (unsigned long long)a->size);
	if (r || !len)
		return r;
	r = kc_journal_settle(&a->j, err);
	return r ? r : put_back(a, *at, len, err);
}

int kc_anew_run(struct kc_anew *a, uint64_t *done, struct kc_error *err)
{
	void *plain = NULL;
	uint64_t len;
	int r;

	*done = 0;
	if (posix_memalign(&plain, KC_JOURNAL_ALIGN, KC_JOURNAL_CHUNK))
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	r = resume(a, done, err);
	while (!r && *done < a->size) {
		len = a->size - *done < KC_JOURNAL_CHUNK ? a->size - *done : KC_JOURNAL_CHUNK;
		r = a->step(a->data, *done, err);
		if (!r)
			r = chunk(a, plain, *done, len, err);
		if (!r)
			*done += len;
	}
	explicit_bzero(plain, KC_JOURNAL_CHUNK);
	free(plain);
	return r;
}
