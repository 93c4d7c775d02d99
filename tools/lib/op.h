/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A longer operation on a volume: the token that says what runs (type "kcache-op"), and the
 * journal that says how far it is. Documentation/on-disk-format.md has both, byte by byte.
 */
#ifndef KC_OP_H
#define KC_OP_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "token.h"

#define KC_OP_TYPE "kcache-op"

/**
 * struct kc_op - clone --new-dek, the only operation there is
 * @slot: LUKS2 token number, -1 while it is not on a disk
 * @t, @n: the recipients of the volume that it will be: context, mac and DEK are that one's
 */
struct kc_op {
	int slot;
	struct kc_token t[KC_RECIPIENTS_MAX];
	unsigned int n;
};

/** kc_op_known() - is this token an operation that this kcache knows? */
bool kc_op_known(struct json_object *token);

/** kc_op_parse() - as strict as kc_token_parse(), which reads its recipients */
int kc_op_parse(struct json_object *token, int slot, struct kc_op *op, struct kc_error *err);

/** kc_op_format() - its JSON; the caller frees */
int kc_op_format(const struct kc_op *op, char **json, struct kc_error *err);

/* journal.c: in the keyslots area, where there is no keyslot while an operation runs */

#define KC_JOURNAL_START (1U << 20)
#define KC_JOURNAL_END (9U << 20)
/* the most that is under way at once */
#define KC_JOURNAL_CHUNK (2U << 20)
#define KC_JOURNAL_ALIGN 4096U

/**
 * struct kc_journal - the journal of one operation
 * @fd: the device, O_DIRECT where that can be
 * @uuid: of the volume to be: a record of another operation is none
 * @seq: of the newest record; 0 without one
 * @buf: a record: KC_JOURNAL_ALIGN bytes, then the chunk; aligned for O_DIRECT
 */
struct kc_journal {
	int fd;
	char uuid[KC_UUID_LEN + 1];
	uint64_t seq;
	uint8_t *buf;
};

/** kc_journal_data() - where the chunk of a record stands in memory */
static inline uint8_t *kc_journal_data(const struct kc_journal *j)
{
	return j->buf + KC_JOURNAL_ALIGN;
}

/** kc_journal_open() - kc_journal_close() it also after an error */
int kc_journal_open(struct kc_journal *j, int fd, const char *uuid, struct kc_error *err);
void kc_journal_close(struct kc_journal *j);

/**
 * kc_journal_read() - the newest record that is whole
 * @at, @len: which bytes of the data segment it has; @len is 0 without one
 */
int kc_journal_read(struct kc_journal *j, uint64_t *at, uint64_t *len, struct kc_error *err);

/**
 * kc_journal_settle() - take out what a torn record may have left in the place of the next one
 *
 * To be called before the chunk of the newest record is put back: a torn record of the chunk
 * behind it says that this one is done, and must not become whole by pieces of the next record,
 * which are the same where the data are (zeros of a sparse device). The chunk in memory stays.
 */
int kc_journal_settle(struct kc_journal *j, struct kc_error *err);

/**
 * kc_journal_write() - @len bytes at kc_journal_data(), as they are at @at of the data segment now
 *
 * When it returns 0 they are on the medium. The record before this one stays.
 */
int kc_journal_write(struct kc_journal *j, uint64_t at, uint64_t len, struct kc_error *err);

/* anew.c */

/**
 * struct kc_anew - data that are written anew in their place
 * @j: opened, on @raw
 * @raw: the device; its data begin at byte @offset
 * @from, @to: the data as they are read, and as they are written: mapped devices on that
 * @size: bytes of data; @block: what is read and written is a multiple of this
 * @step: called before each chunk with how much is done; non-zero ends it there
 */
struct kc_anew {
	struct kc_journal j;
	int raw;
	int from, to;
	uint64_t offset, size, block;
	int (*step)(void *data, uint64_t done, struct kc_error *err);
	void *data;
};

/**
 * kc_anew_run() - all of it, from where an earlier run stopped
 * @done: receives how far it came
 */
int kc_anew_run(struct kc_anew *a, uint64_t *done, struct kc_error *err);

#endif
