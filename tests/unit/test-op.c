// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An operation on a volume: its token is read as strictly as others, and of its journal the
 * newest record that is whole counts, whatever was torn.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "header.h"
#include "luks2-edit.h"
#include "op.h"
#include "volume.h"

#define OTHER_UUID "6b636163-6865-4a11-8bad-000000000002"
#define SLOT ((KC_JOURNAL_END - KC_JOURNAL_START) / 2)

static char *path;
static int fd;
static struct kc_journal j;

static int setup(void **state)
{
	struct kc_error err = { 0 };

	volume_dir();
	path = volume_blank("disk", KC_JOURNAL_END);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 || kc_journal_open(&j, fd, VOLUME_UUID, &err);
}

static int teardown(void **state)
{
	kc_journal_close(&j);
	close(fd);
	free(path);
	volume_dir_remove();
	return 0;
}

static void put(uint64_t at, uint64_t len, int byte)
{
	struct kc_error err = { 0 };

	memset(kc_journal_data(&j), byte, len);
	assert_int_equal(kc_journal_write(&j, at, len, &err), 0);
}

/* As the next run finds it. */
static void found(uint64_t at, uint64_t len, int byte)
{
	struct kc_error err = { 0 };
	struct kc_journal again;
	uint64_t a, l, i;

	assert_int_equal(kc_journal_open(&again, fd, VOLUME_UUID, &err), 0);
	assert_int_equal(kc_journal_read(&again, &a, &l, &err), 0);
	assert_int_equal(a, at);
	assert_int_equal(l, len);
	for (i = 0; i < len; i++)
		assert_int_equal(kc_journal_data(&again)[i], byte);
	kc_journal_close(&again);
}

static void spoil(off_t at)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void without_a_record_nothing_is_done(void **state)
{
	found(0, 0, 0);
}

static void the_newest_record_counts(void **state)
{
	uint64_t at;

	for (at = 0; at < 5; at++) {
		put(at * KC_JOURNAL_CHUNK, KC_JOURNAL_CHUNK, (int)at + 1);
		found(at * KC_JOURNAL_CHUNK, KC_JOURNAL_CHUNK, (int)at + 1);
	}
	put(at * KC_JOURNAL_CHUNK, 512, 77);
	found(at * KC_JOURNAL_CHUNK, 512, 77);
}

static void a_run_goes_on_with_the_numbers_of_the_one_before(void **state)
{
	struct kc_error err = { 0 };
	uint64_t at, len;

	put(0, 4096, 1);
	put(4096, 4096, 2);
	put(8192, 4096, 3);
	kc_journal_close(&j);
	assert_int_equal(kc_journal_open(&j, fd, VOLUME_UUID, &err), 0);
	assert_int_equal(kc_journal_read(&j, &at, &len, &err), 0);
	assert_int_equal(j.seq, 3);
	put(8192, 4096, 4);
	found(8192, 4096, 4);
}

/* Record 2 is in the first place, 3 in the second. */
static void a_torn_record_leaves_the_one_before(void **state)
{
	static const off_t in_record[] = {
		0, 16, 57, 64, 72, 80, KC_JOURNAL_ALIGN, KC_JOURNAL_ALIGN + 8191,
	};
	size_t i;

	put(0, 8192, 1);
	put(8192, 8192, 2);
	put(16384, 8192, 3);
	for (i = 0; i < sizeof(in_record) / sizeof(in_record[0]); i++) {
		spoil(KC_JOURNAL_START + SLOT + in_record[i]);
		found(8192, 8192, 2);
		spoil(KC_JOURNAL_START + SLOT + in_record[i]);
		found(16384, 8192, 3);
	}
	/* what lies behind the chunk is no part of it */
	spoil(KC_JOURNAL_START + SLOT + KC_JOURNAL_ALIGN + 8192);
	found(16384, 8192, 3);
	spoil(KC_JOURNAL_START);
	found(16384, 8192, 3);
	spoil(KC_JOURNAL_START + SLOT);
	found(0, 0, 0);
}

static void a_record_of_another_operation_is_none(void **state)
{
	struct kc_error err = { 0 };
	struct kc_journal other;

	assert_int_equal(kc_journal_open(&other, fd, OTHER_UUID, &err), 0);
	memset(kc_journal_data(&other), 9, 4096);
	assert_int_equal(kc_journal_write(&other, 4096, 4096, &err), 0);
	kc_journal_close(&other);
	found(0, 0, 0);
}

static void a_device_that_ends_is_an_error(void **state)
{
	struct kc_error err = { 0 };
	uint64_t at, len;

	assert_int_equal(ftruncate(fd, KC_JOURNAL_START), 0);
	assert_int_equal(kc_journal_read(&j, &at, &len, &err), KC_DEVICE);
}

/* The token. */

static struct kc_header header;

/* A volume with an operation, as clone --new-dek leaves it; the path of its file. */
static char *with_op(struct kc_op *op)
{
	struct kc_error err = { 0 };
	char *volume = volume_create("volume"), *json;
	struct kc_layout l;
	int r, in = open(volume, O_RDONLY | O_CLOEXEC);

	assert_int_equal(kc_header_load(in, &header, &err), 0);
	l = header.layout;
	memcpy(l.uuid, OTHER_UUID, sizeof(l.uuid));
	memset(op, 0, sizeof(*op));
	volume_token(&op->t[0], &l);
	memcpy(op->t[0].binding.context.id, OTHER_UUID, sizeof(l.uuid));
	op->t[0].binding.context.generation = header.tokens[0].binding.context.generation + 1;
	assert_int_equal(kc_canon_layout(&l, op->t[0].binding.context.layout, &err), 0);
	assert_int_equal(kc_header_seal_token(&op->t[0], &l, "", volume_dek, &err), 0);
	op->n = 1;
	kc_header_free(&header);
	close(in);
	assert_int_equal(luks2_edit_json(volume, "/keyslots/0", NULL), 0);
	assert_int_equal(luks2_edit_json(volume, "/digests/0/keyslots", "[]"), 0);
	assert_int_equal(luks2_edit_json(volume, "/tokens/0/keyslots", "[]"), 0);
	r = kc_op_format(op, &json, &err);
	assert_int_equal(r, 0);
	assert_int_equal(luks2_edit_json(volume, "/tokens/1", json), 0);
	free(json);
	return volume;
}

static void loads(const char *volume, bool op_too, int code, const char *says)
{
	struct kc_error err = { 0 };
	int in = open(volume, O_RDONLY | O_CLOEXEC);
	int r = op_too ? kc_header_load_op(in, &header, &err) : kc_header_load(in, &header, &err);

	close(in);
	if (r != code || (says && !strstr(err.text, says)))
		print_message("%d: %s\n", r, err.text);
	assert_int_equal(r, code);
	if (says)
		assert_non_null(strstr(err.text, says));
}

static void an_operation_is_for_who_asks_for_it(void **state)
{
	struct kc_op op;
	char *volume = with_op(&op);

	loads(volume, false, KC_BUSY, "being cloned with a new data key");
	assert_null(header.op);
	kc_header_free(&header);
	loads(volume, true, 0, NULL);
	assert_non_null(header.op);
	assert_int_equal(header.n_tokens, 1);
	assert_int_equal(header.op->n, 1);
	assert_string_equal(header.op->t[0].mac, op.t[0].mac);
	kc_header_free(&header);
	free(volume);
}

static void an_edited_one_is_refused(void **state)
{
	static const struct {
		const char *pointer;
		const char *json;
		int code;
		const char *says;
	} edits[] = {
		{ "/tokens/1/version", "2", KC_BUSY, "does not know" },
		{ "/tokens/1/operation", "\"rotate\"", KC_BUSY, "does not know" },
		{ "/tokens/1/more", "1", KC_TAMPERED, "unexpected member" },
		{ "/tokens/1/tokens", "[]", KC_TAMPERED, "1 to 8 tokens" },
		{ "/tokens/1/tokens/0/keyslots", "[]", KC_TAMPERED, "not of one volume" },
		{ "/tokens/1/tokens/0/mac", NULL, KC_TAMPERED, "\"mac\" is missing" },
		{ "/tokens/1/tokens/0/type", "\"kcache-op\"", KC_TAMPERED, "\"type\"" },
		{ "/tokens/1/tokens/0/context/kcache:generation", "\"7\"", KC_TAMPERED, "none that this volume can have" },
		{ "/tokens/1/tokens/0/context/kcache:id", "\"" VOLUME_UUID "\"", KC_TAMPERED, "none that this volume can have" },
		{ "/tokens/0", NULL, KC_TAMPERED, "none that this volume can have" },
	};
	size_t i;

	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct kc_op op;
		char *volume = with_op(&op);

		assert_int_equal(luks2_edit_json(volume, edits[i].pointer, edits[i].json), 0);
		loads(volume, true, edits[i].code, edits[i].says);
		kc_header_free(&header);
		free(volume);
	}
}

static void two_operations_are_refused(void **state)
{
	struct kc_error err = { 0 };
	struct kc_op op;
	char *volume = with_op(&op), *json;

	assert_int_equal(kc_op_format(&op, &json, &err), 0);
	assert_int_equal(luks2_edit_json(volume, "/tokens/2", json), 0);
	free(json);
	loads(volume, true, KC_TAMPERED, "two operations");
	kc_header_free(&header);
	free(volume);
}

/* The header that comes of it: bound to the DEK that is given, or none. */
static void the_result_is_of_the_new_dek(void **state)
{
	uint8_t wrong[KC_DEK_SIZE];
	struct kc_error err = { 0 };
	struct kc_header result;
	struct kc_op op;
	char *volume = with_op(&op);
	int out;

	loads(volume, true, 0, NULL);
	assert_int_equal(kc_header_op_result(&header, VOLUME_SIZE, volume_dek, &result, &out, &err), 0);
	assert_string_equal(result.layout.uuid, OTHER_UUID);
	assert_int_equal(result.n_tokens, 1);
	assert_true(result.tokens[0].has_keyslot);
	assert_int_equal(result.layout.offset, header.layout.offset);
	kc_header_free(&result);
	close(out);
	memcpy(wrong, volume_dek, sizeof(wrong));
	wrong[7] ^= 1;
	assert_int_equal(kc_header_op_result(&header, VOLUME_SIZE, wrong, &result, &out, &err), KC_TAMPERED);
	assert_int_equal(out, -1);
	kc_header_free(&result);
	kc_header_free(&header);
	free(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_record_nothing_is_done, setup, teardown),
		cmocka_unit_test_setup_teardown(the_newest_record_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_run_goes_on_with_the_numbers_of_the_one_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_record_leaves_the_one_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_of_another_operation_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_that_ends_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(an_operation_is_for_who_asks_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(an_edited_one_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(two_operations_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_result_is_of_the_new_dek, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
