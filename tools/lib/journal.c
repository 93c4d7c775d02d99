// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal of an operation that writes data anew in its place. Before a chunk is written
 * over, what is there goes to the journal; the newest record that is whole therefore says how
 * far the operation is, and has what may be half written. Two places are written in turn, so
 * that a record that was torn leaves the one before it.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "op.h"

#define MAGIC "kcache journal 1"
#define SLOT_SIZE ((KC_JOURNAL_END - KC_JOURNAL_START) / 2)

/** struct record - the start of a record; numbers are little-endian; zeros to KC_JOURNAL_ALIGN, then the chunk */
struct record {
	char magic[16];
	char uuid[40];
	uint64_t seq;
	uint64_t at;
	uint64_t len;
	uint8_t sha256[32];	/* over the members before it, then the chunk */
};

_Static_assert(sizeof(struct record) == 112, "no padding");
_Static_assert(KC_JOURNAL_ALIGN + KC_JOURNAL_CHUNK <= SLOT_SIZE, "a record fits");

static uint64_t place(uint64_t seq)
{
	return KC_JOURNAL_START + seq % 2 * SLOT_SIZE;
}

static int checksum(const struct kc_journal *j, const struct record *r, uint64_t len, uint8_t md[static 32],
		    struct kc_error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
		 EVP_DigestUpdate(ctx, r, offsetof(struct record, sha256)) &&
		 EVP_DigestUpdate(ctx, kc_journal_data(j), len) && EVP_DigestFinal_ex(ctx, md, NULL);

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : kc_fail(err, KC_NOMEM, "check OpenSSL's installation", "OpenSSL could not do SHA-256");
}

int kc_journal_open(struct kc_journal *j, int fd, const char *uuid, struct kc_error *err)
{
	void *p = NULL;

	memset(j, 0, sizeof(*j));
	j->fd = fd;
	memcpy(j->uuid, uuid, sizeof(j->uuid));
	if (posix_memalign(&p, KC_JOURNAL_ALIGN, KC_JOURNAL_ALIGN + KC_JOURNAL_CHUNK))
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a journal");
	j->buf = p;
	return 0;
}

void kc_journal_close(struct kc_journal *j)
{
	free(j->buf);
	j->buf = NULL;
}

static int failed(struct kc_error *err, const char *what)
{
	return kc_fail(err, KC_DEVICE, "check the device and its cabling (dmesg), then run the same command again",
		       "cannot %s the journal: %s", what, strerror(errno));
}

/* One of the two, if it is whole; the chunk is in j->buf then. */
static int read_slot(struct kc_journal *j, unsigned int slot, struct record *r, bool *whole, struct kc_error *err)
{
	const size_t size = KC_JOURNAL_ALIGN + KC_JOURNAL_CHUNK;
	uint8_t md[32];
	int ret;

	*whole = false;
	if (pread(j->fd, j->buf, size, (off_t)place(slot)) != (ssize_t)size)
		return failed(err, "read");
	memcpy(r, j->buf, sizeof(*r));
	if (memcmp(r->magic, MAGIC, sizeof(r->magic)) != 0 || strncmp(r->uuid, j->uuid, sizeof(r->uuid)) ||
	    le64toh(r->len) > KC_JOURNAL_CHUNK || le64toh(r->seq) % 2 != slot)
		return 0;
	ret = checksum(j, r, le64toh(r->len), md, err);
	*whole = !ret && !memcmp(md, r->sha256, sizeof(md));
	return ret;
}

int kc_journal_read(struct kc_journal *j, uint64_t *at, uint64_t *len, struct kc_error *err)
{
	struct record r[2] = { 0 };
	bool whole[2];
	unsigned int newest;
	int ret;

	*at = *len = 0;
	ret = read_slot(j, 0, &r[0], &whole[0], err);
	if (!ret)
		ret = read_slot(j, 1, &r[1], &whole[1], err);
	if (ret || (!whole[0] && !whole[1]))
		return ret;
	newest = whole[1] && (!whole[0] || le64toh(r[1].seq) > le64toh(r[0].seq));
	/* the second one's chunk is in memory now */
	if (!newest)
		ret = read_slot(j, 0, &r[0], &whole[0], err);
	if (!ret && !whole[newest])
		return kc_fail(err, KC_DEVICE, "replace the device", "the journal reads back differently each time");
	j->seq = le64toh(r[newest].seq);
	*at = le64toh(r[newest].at);
	*len = le64toh(r[newest].len);
	return ret;
}

int kc_journal_settle(struct kc_journal *j, struct kc_error *err)
{
	memset(j->buf, 0, KC_JOURNAL_ALIGN);
	if (pwrite(j->fd, j->buf, KC_JOURNAL_ALIGN, (off_t)place(j->seq + 1)) != KC_JOURNAL_ALIGN || fdatasync(j->fd))
		return failed(err, "write");
	return 0;
}

int kc_journal_write(struct kc_journal *j, uint64_t at, uint64_t len, struct kc_error *err)
{
	const size_t size = KC_JOURNAL_ALIGN + (len + KC_JOURNAL_ALIGN - 1) / KC_JOURNAL_ALIGN * KC_JOURNAL_ALIGN;
	struct record r = { .magic = MAGIC, .seq = htole64(j->seq + 1), .at = htole64(at), .len = htole64(len) };
	int ret;

	memcpy(r.uuid, j->uuid, sizeof(j->uuid));
	ret = checksum(j, &r, len, r.sha256, err);
	if (ret)
		return ret;
	memset(j->buf, 0, KC_JOURNAL_ALIGN);
	memcpy(j->buf, &r, sizeof(r));
	if (pwrite(j->fd, j->buf, size, (off_t)place(j->seq + 1)) != (ssize_t)size || fdatasync(j->fd))
		return failed(err, "write");
	j->seq++;
	return 0;
}
