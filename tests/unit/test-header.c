// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The header: what is written is read back, what was edited is refused by name
 * before any key is asked for or before the key is used, and reading never writes.
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
#include <libcryptsetup.h>

#include "header.h"
#include "kdf.h"
#include "luks2-edit.h"
#include "volume.h"

static char *pristine;

static int make_pristine(void **state)
{
	volume_dir();
	pristine = volume_create("pristine");
	return 0;
}

static int remove_all(void **state)
{
	free(pristine);
	volume_dir_remove();
	return 0;
}

/* A copy to be edited, removed after the test. */
static int new_copy(void **state)
{
	*state = volume_copy(pristine, "copy");
	return 0;
}

static int remove_copy(void **state)
{
	unlink(*state);
	free(*state);
	return 0;
}

static int load(const char *path, struct kc_header *h, struct kc_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	assert_true(fd >= 0);
	r = kc_header_load(fd, h, err);
	close(fd);
	return r;
}

/* Where an attach would stop: at the rules, at the binding, or at the DEK; 0 nowhere. */
static int attach(const char *path, struct kc_error *err)
{
	struct kc_header h;
	struct kc_binding b;
	int r = load(path, &h, err);

	if (!r && h.unfinished)
		r = kc_fail(err, KC_DEVICE, NULL, "unfinished");
	if (!r)
		r = kc_header_binding(&h, &h.tokens[0], &b, err);
	if (!r)
		r = kc_header_verify_dek(&h, &h.tokens[0], volume_dek, err);
	kc_header_free(&h);
	return r;
}

static void refused(const char *path, enum kc_exit code, const char *says)
{
	struct kc_error err = { 0 };
	char before[65], after[65];

	volume_hash(path, before);
	if (attach(path, &err) != (int)code)
		fail_msg("exit %d, not %d for: %s (%s)", err.code, code, says, err.text);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say: %s", err.text, says);
	volume_hash(path, after);
	assert_string_equal(before, after);
}

static void what_is_written_is_read(void **state)
{
	const struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = 4096 };
	struct kc_error err = { 0 };
	struct kc_layout plan;
	struct kc_header h;

	assert_int_equal(kc_header_plan(pristine, &f, &plan, &err), 0);
	assert_int_equal(load(pristine, &h, &err), 0);
	assert_memory_equal(&plan, &h.layout, sizeof(plan));
	assert_string_equal(h.layout.uuid, VOLUME_UUID);
	assert_string_equal(h.layout.cipher, "aes-xts-plain64");
	assert_int_equal(h.layout.offset, 16 << 20);
	assert_int_equal(h.layout.key_bits, 512);
	assert_int_equal(h.layout.sector_size, 4096);
	assert_string_equal(h.flags, "");
	assert_false(h.unfinished);
	assert_int_equal(h.damaged_copy, 0);
	assert_int_equal(h.n_tokens, 1);
	assert_int_equal(h.tokens[0].slot, 0);
	assert_int_equal(h.tokens[0].binding.context.generation, 3);
	assert_non_null(strstr(h.json, "\"segments\""));
	kc_header_free(&h);
	assert_int_equal(attach(pristine, &err), 0);
}

/* The way out: any LUKS2 reader opens the volume with the derived passphrase, at once. */
static void keyslot_0_holds_the_same_key(void **state)
{
	char passphrase[KC_PASSPHRASE_LEN + 1], key[KC_DEK_SIZE];
	struct crypt_pbkdf_type pbkdf;
	struct crypt_device *cd;
	uint64_t area, keyslots;
	size_t size = sizeof(key);
	char *iterations = luks2_json(pristine, "/digests/0/iterations");

	assert_int_equal(kc_kdf_passphrase(volume_dek, passphrase, NULL), 0);
	assert_int_equal(crypt_init(&cd, pristine), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_volume_key_get(cd, CRYPT_ANY_SLOT, key, &size, passphrase,
					      KC_PASSPHRASE_LEN), 0);
	assert_int_equal(size, KC_DEK_SIZE);
	assert_memory_equal(key, volume_dek, KC_DEK_SIZE);
	assert_int_equal(crypt_keyslot_get_pbkdf(cd, 0, &pbkdf), 0);
	assert_string_equal(pbkdf.type, "pbkdf2");
	assert_int_equal(pbkdf.iterations, 1000);
	assert_string_equal(iterations, "1000");
	assert_int_equal(crypt_get_metadata_size(cd, &area, &keyslots), 0);
	assert_int_equal(area, 128 << 10);
	assert_int_equal(keyslots, (16 << 20) - 2 * (128 << 10));
	assert_string_equal(crypt_get_subsystem(cd), "kcache");
	assert_string_equal(crypt_get_label(cd), "test");
	crypt_free(cd);
	free(iterations);
}

static void every_sector_size_can_be_written(void **state)
{
	for (unsigned int size = 512; size <= 4096; size *= 2) {
		const struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = size };
		char *path = volume_blank("sector", (16 << 20) + size);
		struct kc_error err = { 0 };
		struct kc_header h;

		assert_int_equal(kc_header_write(path, &f, volume_dek, &err), 0);
		assert_int_equal(load(path, &h, &err), 0);
		assert_int_equal(h.layout.sector_size, size);
		kc_header_free(&h);
		unlink(path);
		free(path);
	}
}

static void planning_writes_nothing_and_refuses_what_cannot_be(void **state)
{
	struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = 4096 };
	char *path = volume_blank("plan", (16 << 20) + 4095);
	char before[65], after[65];
	struct kc_error err = { 0 };
	struct kc_layout l;

	volume_hash(path, before);
	assert_int_equal(kc_header_plan(path, &f, &l, &err), KC_DEVICE);
	assert_non_null(strstr(err.text, "has 16781311 bytes, a volume needs 16777216"));
	kc_error_clear(&err);
	assert_int_equal(kc_header_write(path, &f, volume_dek, &err), KC_DEVICE);
	volume_hash(path, after);
	assert_string_equal(before, after);

	assert_int_equal(truncate(path, (16 << 20) + 4096 + 512), 0);
	kc_error_clear(&err);
	assert_int_equal(kc_header_plan(path, &f, &l, &err), KC_DEVICE);
	assert_non_null(strstr(err.text, "no whole number of sectors of 4096"));
	f.sector_size = 512;
	assert_int_equal(kc_header_plan(path, &f, &l, NULL), 0);
	f.sector_size = 3000;
	assert_int_equal(kc_header_plan(path, &f, &l, NULL), KC_USAGE);
	f.sector_size = 512;
	f.uuid[0] = 'A';
	assert_int_equal(kc_header_plan(path, &f, &l, NULL), KC_USAGE);
	unlink(path);
	free(path);
	kc_error_clear(&err);
	f.uuid[0] = 'a';
	assert_int_equal(kc_header_plan("/nonexistent", &f, &l, &err), KC_DEVICE);
	kc_error_clear(&err);
	assert_int_equal(kc_header_plan("/dev/null", &f, &l, &err), KC_DEVICE);
}

static void a_damaged_copy_is_told_and_not_repaired(void **state)
{
	char *path = *state;
	struct kc_header h;

	for (int copy = 1; copy <= 2; copy++) {
		struct kc_error err = { 0 };
		char before[65], after[65];

		assert_int_equal(luks2_damage(path, copy), 0);
		volume_hash(path, before);
		if (load(path, &h, &err))
			fail_msg("%s", err.text);
		assert_int_equal(h.damaged_copy, copy);
		assert_int_equal(h.n_tokens, 1);
		kc_header_free(&h);
		assert_int_equal(attach(path, &err), 0);
		volume_hash(path, after);
		assert_string_equal(before, after);
		assert_int_equal(luks2_damage(path, copy), 0);	/* undone */
	}
	luks2_damage(path, 1);
	luks2_damage(path, 2);
	refused(path, KC_TAMPERED, "libcryptsetup refuses the LUKS2 header");
}

/* One edited header a row. */
static const struct edit {
	const char *pointer;
	const char *json;
	const char *says;
} edits[] = {
	/* segment */
	{ "/segments/0/encryption", "\"cipher_null-ecb\"",
	  "LUKS2 segment 0: \"encryption\" is \"cipher_null-ecb\", not \"aes-xts-plain64\"" },
	{ "/segments/0/encryption", "\"aes-cbc-essiv:sha256\"", "\"encryption\" is \"aes-cbc-essiv:sha256\"" },
	{ "/segments/0/encryption", "\"aes-xts-plain\"", "\"encryption\" is \"aes-xts-plain\", not" },
	{ "/segments/0/offset", "\"16781312\"", "token 0: \"kcache:layout\" is" },
	{ "/segments/0/offset", "\"16777728\"", "\"offset\" is \"16777728\", not a multiple of 4096" },
	{ "/segments/0/offset", "\"016777216\"", "\"offset\" is \"016777216\", not" },
	{ "/segments/0/offset", "\"25165824\"", "the data starts at byte 25165824, the device ends at 25165824" },
	{ "/segments/0/sector_size", "512", "token 0: \"kcache:layout\" is" },
	{ "/segments/0/sector_size", "8192", "\"sector_size\" is 8192, not 512" },
	{ "/segments/0/sector_size", "1536", "\"sector_size\" is 1536, not 512" },
	{ "/segments/0/iv_tweak", "\"8\"", "token 0: \"kcache:layout\" is" },
	{ "/segments/0/iv_tweak", "\"1\"", "\"iv_tweak\" is \"1\", not a decimal number of whole sectors" },
	{ "/segments/0/iv_tweak", "\"00\"", "\"iv_tweak\" is \"00\", not" },
	{ "/segments/0/type", "\"linear\"", "LUKS2 segment 0: \"type\" is \"linear\", not \"crypt\"" },
	{ "/segments/0/size", "\"4194304\"", "\"size\" is \"4194304\", not \"dynamic\"" },
	{ "/segments/0/integrity",
	  "{\"type\":\"hmac(sha256)\",\"journal_encryption\":\"none\",\"journal_integrity\":\"none\"}",
	  "LUKS2 segment 0: there is an unexpected member \"integrity\"" },
	{ "/segments/0/flags", "[\"backup-final\"]", "libcryptsetup refuses" },
	{ "/segments/0/flags", "[\"in-reencryption\"]", "unexpected member \"flags\"" },
	{ "/segments/0/flags", "[]", "unexpected member \"flags\"" },
	{ "/segments/0/comment", "\"x\"", "unexpected member \"comment\"" },
	/* config */
	{ "/config/requirements", "{\"mandatory\":[\"from-the-future\"]}",
	  "LUKS2 config: \"requirements\" is {\"mandatory\":[\"from-the-future\"]}, not empty" },
	{ "/config/requirements", "{\"mandatory\":[\"online-reencrypt-v2\"]}", "libcryptsetup refuses" },
	{ "/config/requirements", "{\"optional\":[]}", "\"requirements\" is {\"optional\":[]}, not empty" },
	{ "/config/flags", "[\"allow-discards\"]", "token 0: its mac does not hold" },
	{ "/config/flags", "[\"no-such-flag\"]", "\"flags\" is [\"no-such-flag\"], not a list of known flags" },
	{ "/config/flags", "[\"no-journal\",\"no-journal\"]", "not a list of known flags, each of them once" },
	{ "/config/comment", "\"x\"", "LUKS2 config: there is an unexpected member \"comment\"" },
	{ "/comment", "{}", "LUKS2 metadata: there is an unexpected member \"comment\"" },
	/* digest */
	{ "/digests/0/iterations", "1000000000", "LUKS2 digest 0: \"iterations\" is 1000000000, not a number from 1 to 10000" },
	{ "/digests/0/iterations", "-1", "\"iterations\" is -1, not" },
	{ "/digests/0/iterations", "999", "a data key that the LUKS2 digest does not know" },
	{ "/digests/0/hash", "\"sha512\"", "LUKS2 digest 0: \"hash\" is \"sha512\", not \"sha256\"" },
	{ "/digests/0/type", "\"argon2\"", "LUKS2 digest 0: \"type\" is \"argon2\", not \"pbkdf2\"" },
	{ "/digests/0/salt", "\"AAAA\"", "LUKS2 digest 0: \"salt\" is \"AAAA\", not 32 bytes" },
	{ "/digests/0/salt", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "the LUKS2 digest does not know" },
	{ "/digests/0/digest", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "the LUKS2 digest does not know" },
	{ "/digests/0/digest", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "\"digest\" is \"AAAA" },
	{ "/digests/0/keyslots", "[]", "libcryptsetup refuses" },
	{ "/digests/0/keyslots", "[\"0\",\"0\"]", "LUKS2 digest 0: \"keyslots\" is [\"0\",\"0\"], not [\"0\"]" },
	{ "/digests/0/segments", "[\"0\",\"0\"]", "LUKS2 digest 0: \"segments\" is" },
	{ "/digests/0/comment", "1", "LUKS2 digest 0: there is an unexpected member" },
	{ "/digests/1", "{\"type\":\"pbkdf2\",\"keyslots\":[],\"segments\":[],\"hash\":\"sha256\",\"iterations\":1000,"
	  "\"salt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
	  "LUKS2 metadata: there are 2 digests, not 1" },
	/* keyslot */
	{ "/keyslots/0/key_size", "32", "LUKS2 keyslot 0: \"key_size\" is 32, not 64" },
	{ "/keyslots/0/kdf/iterations", "1000000000", "LUKS2 keyslot 0, kdf: \"iterations\" is 1000000000, not" },
	{ "/keyslots/0/kdf/hash", "\"sha1\"", "LUKS2 keyslot 0, kdf: \"hash\" is \"sha1\", not" },
	{ "/keyslots/0/kdf", "{\"type\":\"argon2id\",\"time\":4,\"memory\":1048576,\"cpus\":4,\"salt\":\"AAAA\"}",
	  "LUKS2 keyslot 0, kdf: \"type\" is \"argon2id\", not \"pbkdf2\"" },
	{ "/keyslots/0/af/stripes", "4000000", "LUKS2 keyslot 0, af: \"stripes\" is 4000000, not 4000" },
	{ "/keyslots/0/af/hash", "\"sha1\"", "LUKS2 keyslot 0, af: \"hash\" is \"sha1\"" },
	{ "/keyslots/0/area/encryption", "\"cipher_null-ecb\"", "LUKS2 keyslot 0, area: \"encryption\" is \"cipher_null-ecb\"" },
	{ "/keyslots/0/area/comment", "1", "LUKS2 keyslot 0, area: there is an unexpected member" },
	/* token: what the rules refuse, what the binding does, what the mac does */
	{ "/tokens/0/type", "\"other\"", "token 0: \"type\" is \"other\", not \"kcache\"" },
	{ "/tokens/0/keyslots", "[]", "token 0: \"keyslots\" is [], but there is a keyslot" },
	{ "/tokens/0/version", "2", "token 0: \"version\" is 2, not 1" },
	{ "/tokens/0/provider", "\"tpm2\"", "token 0: \"key\" is" },
	{ "/tokens/0/key", "\"local:11111111-2222-4333-8444-555555555556\"", "token 0: its mac does not hold" },
	{ "/tokens/0/wrapped_dek", "\"AAAA\"", "token 0: its mac does not hold" },
	{ "/tokens/0/context/kcache:id", "\"6b636163-6865-4a11-8bad-000000000002\"",
	  "token 0: \"kcache:id\" is \"6b636163-6865-4a11-8bad-000000000002\", but this is volume " VOLUME_UUID },
	{ "/tokens/0/context/kcache:layout", "\"0000000000000000000000000000000000000000000000000000000000000000\"",
	  "token 0: \"kcache:layout\" is \"0000" },
	{ "/tokens/0/context/kcache:generation", "\"4\"", "token 0: its mac does not hold" },
	{ "/tokens/0/lineage", "\"00000000000000000000000000000000\"", "token 0: its mac does not hold" },
	{ "/tokens/0/created", "\"2026-11-21T10:00:01Z\"", "token 0: its mac does not hold" },
	{ "/tokens/0/lease", "3601", "token 0: its mac does not hold" },
	{ "/tokens/0/on_revoke", "\"keep\"", "token 0: its mac does not hold" },
	{ "/tokens/0/mac", "\"0000000000000000000000000000000000000000000000000000000000000000\"",
	  "token 0: its mac does not hold" },
	{ "/tokens/0/more", "1", "token 0: there is an unexpected member \"more\"" },
	{ "/tokens/1", "{\"type\":\"luks2-keyring\",\"keyslots\":[\"0\"],\"key_description\":\"k\"}",
	  "token 1: \"type\" is \"luks2-keyring\", not \"kcache\"" },
};

static void every_edited_member_is_refused_by_name(void **state)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char *path = volume_copy(pristine, "edited");
		struct kc_error err = { 0 };

		assert_int_equal(luks2_edit_json(path, edits[i].pointer, edits[i].json), 0);
		if (edits[i].says)
			refused(path, KC_TAMPERED, edits[i].says);
		else if (attach(path, &err))
			fail_msg("%s: %s", edits[i].pointer, err.text);
		unlink(path);
		free(path);
	}
}

/* Members that libcryptsetup itself insists on: the sentence is its own, the exit code is ours. */
static void what_libcryptsetup_does_not_load_is_refused_too(void **state)
{
	static const char *const members[] = {
		"/segments/0/encryption", "/segments/0/iv_tweak", "/segments/0/sector_size", "/segments/0",
		"/digests/0/segments", "/digests/0", "/keyslots/0/kdf", "/keyslots/0", "/config/json_size",
		"/config", "/tokens/0/type",
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		char *path = volume_copy(pristine, "edited");

		assert_int_equal(luks2_edit_json(path, members[i], NULL), 0);
		refused(path, KC_TAMPERED, "libcryptsetup refuses the LUKS2 header");
		unlink(path);
		free(path);
	}
}

static void a_second_segment_is_refused(void **state)
{
	char *path = *state;

	assert_int_equal(luks2_edit_json(path, "/segments/0/size", "\"4096\""), 0);
	assert_int_equal(luks2_edit_json(path, "/digests/0/segments", "[\"0\",\"1\"]"), 0);
	assert_int_equal(luks2_edit_json(path, "/segments/1",
					 "{\"type\":\"crypt\",\"offset\":\"16781312\",\"size\":\"dynamic\","
					 "\"iv_tweak\":\"0\",\"encryption\":\"aes-xts-plain64\",\"sector_size\":4096}"), 0);
	refused(path, KC_TAMPERED, "LUKS2 metadata: there are 2 segments, not 1");
}

static void a_second_keyslot_is_refused(void **state)
{
	char *path = *state, passphrase[KC_PASSPHRASE_LEN + 1];
	struct crypt_device *cd;

	assert_int_equal(kc_kdf_passphrase(volume_dek, passphrase, NULL), 0);
	assert_int_equal(crypt_init(&cd, path), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_keyslot_add_by_volume_key(cd, 1, (const char *)volume_dek, KC_DEK_SIZE,
							 "back door", 9), 1);
	crypt_free(cd);
	refused(path, KC_TAMPERED, "LUKS2 metadata: there are 2 keyslots, not 1");
}

static void no_keyslot_still_attaches(void **state)
{
	char *path = *state;
	struct crypt_device *cd;
	struct kc_error err = { 0 };

	assert_int_equal(crypt_init(&cd, path), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_keyslot_destroy(cd, 0), 0);
	crypt_free(cd);
	if (attach(path, &err))
		fail_msg("%s", err.text);
}

static void another_uuid_is_refused(void **state)
{
	assert_int_equal(luks2_edit_field(*state, "uuid", "6b636163-6865-4a11-8bad-000000000002"), 0);
	refused(*state, KC_TAMPERED, "but this is volume 6b636163-6865-4a11-8bad-000000000002");
	assert_int_equal(luks2_edit_field(*state, "uuid", "6B636163-6865-4a11-8bad-000000000001"), 0);
	refused(*state, KC_TAMPERED, "the UUID is not a lower-case UUID");
}

static void another_subsystem_with_our_token_is_refused(void **state)
{
	assert_int_equal(luks2_edit_field(*state, "subsystem", ""), 0);
	refused(*state, KC_TAMPERED, "the subsystem is not \"kcache\"");
}

static void tokens_of_different_generations_are_refused(void **state)
{
	char *token = luks2_json(pristine, "/tokens/0");

	assert_int_equal(luks2_edit_json(*state, "/tokens/7", token), 0);
	assert_int_equal(luks2_edit_json(*state, "/tokens/7/context/kcache:generation", "\"4\""), 0);
	refused(*state, KC_TAMPERED, "tokens 0 and 7 are of different generations, 3 and 4");
	free(token);
}

/* Tokens are tried in the order of their numbers, wherever they stand in the JSON. */
static void tokens_come_in_the_order_of_their_numbers(void **state)
{
	char *token = luks2_json(pristine, "/tokens/0");
	struct kc_error err = { 0 };
	struct kc_header h;

	assert_int_equal(luks2_edit_json(*state, "/tokens/12", token), 0);
	assert_int_equal(luks2_edit_json(*state, "/tokens/0", NULL), 0);
	assert_int_equal(luks2_edit_json(*state, "/tokens/7", token), 0);
	assert_int_equal(luks2_edit_json(*state, "/tokens/0", token), 0);
	assert_int_equal(load(*state, &h, &err), 0);
	assert_int_equal(h.n_tokens, 3);
	assert_int_equal(h.tokens[0].slot, 0);
	assert_int_equal(h.tokens[1].slot, 7);
	assert_int_equal(h.tokens[2].slot, 12);
	kc_header_free(&h);
	free(token);
}

/* "07" and "4294967303" would be a second token 7. */
static void a_tokens_number_has_one_name(void **state)
{
	static const char *const names[] = { "07", "32", "4294967303" };
	char *token = luks2_json(pristine, "/tokens/0"), *path, pointer[32];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path = volume_copy(pristine, "slot");
		snprintf(pointer, sizeof(pointer), "/tokens/%s", names[i]);
		assert_int_equal(luks2_edit_json(path, pointer, token), 0);
		refused(path, KC_TAMPERED, "not the number of a token");
		free(path);
	}
	free(token);
}

static void an_operation_of_a_newer_kcache_is_busy(void **state)
{
	assert_int_equal(luks2_edit_json(*state, "/tokens/1", "{\"type\":\"kcache-op\",\"keyslots\":[]}"), 0);
	refused(*state, KC_BUSY, "token 1 is an operation that this kcache does not know");
}

static void what_is_not_ours_is_the_wrong_device(void **state)
{
	char *path = volume_blank("blank", VOLUME_SIZE);
	struct crypt_pbkdf_type pbkdf = { .type = CRYPT_KDF_PBKDF2, .hash = "sha256", .iterations = 1000,
					  .flags = CRYPT_PBKDF_NO_BENCHMARK };
	struct crypt_device *cd;
	struct kc_error err = { 0 };
	struct kc_header h;
	int fd;

	refused(path, KC_DEVICE, "there is no LUKS2 header");
	assert_int_equal(truncate(path, 1000), 0);
	refused(path, KC_DEVICE, "there is no LUKS2 header");
	assert_int_equal(truncate(path, 0), 0);
	refused(path, KC_DEVICE, "the device is empty");
	assert_int_equal(truncate(path, VOLUME_SIZE), 0);

	assert_int_equal(crypt_init(&cd, path), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &pbkdf), 0);
	assert_int_equal(crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", NULL, NULL, 64, NULL), 0);
	crypt_free(cd);
	refused(path, KC_DEVICE, "a LUKS2 volume, but not a kcache volume");
	luks2_damage(path, 1);
	luks2_damage(path, 2);
	refused(path, KC_DEVICE, "a LUKS volume, but not a kcache volume");
	unlink(path);
	free(path);

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(kc_header_load(fd, &h, &err), KC_DEVICE);
	kc_header_free(&h);
	close(fd);
}

static void an_unfinished_create_is_told_and_completed(void **state)
{
	const struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = 4096 };
	char *path = *state;
	struct kc_error err = { 0 };
	struct kc_header h;
	struct kc_token t;

	/* stopped before the token, then before the keyslot */
	assert_int_equal(luks2_edit_json(path, "/tokens/0", NULL), 0);
	assert_int_equal(load(path, &h, &err), 0);
	assert_true(h.unfinished);
	kc_header_free(&h);
	assert_int_equal(luks2_edit_json(path, "/digests/0/keyslots", "[]"), 0);
	assert_int_equal(luks2_edit_json(path, "/keyslots/0", NULL), 0);
	assert_int_equal(load(path, &h, &err), 0);
	assert_true(h.unfinished);
	assert_int_equal(h.n_tokens, 0);
	kc_header_free(&h);

	assert_int_equal(kc_header_write(path, &f, volume_dek, &err), 0);
	assert_int_equal(load(path, &h, &err), 0);
	volume_token(&t, &h.layout);
	assert_int_equal(kc_header_seal_token(&t, &h.layout, h.flags, volume_dek, &err), 0);
	kc_header_free(&h);
	assert_int_equal(kc_header_add_token(path, &t, &err), 0);
	assert_int_equal(attach(path, &err), 0);
}

static void an_unsealed_or_foreign_token_is_not_written(void **state)
{
	char before[65], after[65];
	struct kc_error err = { 0 };
	struct kc_header h;
	struct kc_token t;

	volume_hash(*state, before);
	assert_int_equal(load(*state, &h, &err), 0);
	volume_token(&t, &h.layout);
	assert_int_equal(kc_header_add_token(*state, &t, &err), KC_TAMPERED);	/* no lineage, no mac */
	kc_error_clear(&err);
	t = h.tokens[0];
	t.binding.context.id[0] = 'f';
	assert_int_equal(kc_header_seal_token(&t, &h.layout, "", volume_dek, &err), KC_TAMPERED);
	kc_error_clear(&err);
	assert_int_equal(kc_header_add_token(*state, &t, &err), KC_TAMPERED);
	kc_error_clear(&err);
	t = h.tokens[0];
	t.binding.context.generation++;
	assert_int_equal(kc_header_add_token(*state, &t, &err), KC_USAGE);
	kc_header_free(&h);
	volume_hash(*state, after);
	assert_string_equal(before, after);
}

static void at_most_eight_tokens(void **state)
{
	struct kc_error err = { 0 };
	struct kc_header h;
	struct kc_token t;
	char *token;

	assert_int_equal(load(*state, &h, &err), 0);
	t = h.tokens[0];
	kc_header_free(&h);
	/* the largest there can be: eight of them fit, with room for one more */
	t.wrapped_len = KC_WRAPPED_MAX;
	memset(t.wrapped, 0x5a, KC_WRAPPED_MAX);
	for (int i = 1; i < KC_RECIPIENTS_MAX; i++)
		if (kc_header_add_token(*state, &t, &err))
			fail_msg("token %d: %s", i, err.text);
	assert_int_equal(load(*state, &h, &err), 0);
	assert_int_equal(h.n_tokens, KC_RECIPIENTS_MAX);
	for (int i = 0; i < KC_RECIPIENTS_MAX; i++)
		assert_int_equal(h.tokens[i].slot, i);
	kc_header_free(&h);
	assert_int_equal(kc_header_add_token(*state, &t, &err), KC_USAGE);
	assert_non_null(strstr(err.text, "8 recipients already"));
	token = luks2_json(*state, "/tokens/0");
	assert_int_equal(luks2_edit_json(*state, "/tokens/8", token), 0);
	free(token);
	refused(*state, KC_TAMPERED, "there are 9 tokens, at most 8 may be");
}

/* The token of number @slot. */
static void token_of(const char *path, int slot, struct kc_token *t)
{
	struct kc_error err = { 0 };
	struct kc_header h;
	unsigned int i;

	assert_int_equal(load(path, &h, &err), 0);
	for (i = 0; i < h.n_tokens && h.tokens[i].slot != slot; i++)
		;
	assert_true(i < h.n_tokens);
	*t = h.tokens[i];
	kc_header_free(&h);
}

static unsigned int tokens(const char *path)
{
	struct kc_error err = { 0 };
	struct kc_header h;
	unsigned int n;

	assert_int_equal(load(path, &h, &err), 0);
	n = h.n_tokens;
	kc_header_free(&h);
	return n;
}

static void a_token_is_added_before_the_old_one_is_removed(void **state)
{
	struct kc_error err = { 0 };
	struct kc_token old, new, t;
	bool both = false;

	token_of(*state, 0, &old);
	new = old;
	memset(new.mac, 'a', 64);
	assert_int_equal(kc_header_replace_token(*state, &new, &old, &both, &err), 0);
	assert_true(both);
	assert_int_equal(tokens(*state), 2);
	token_of(*state, 1, &t);
	assert_string_equal(t.mac, new.mac);
	assert_int_equal(kc_header_remove_token(*state, &old, &err), 0);
	assert_int_equal(tokens(*state), 1);
	token_of(*state, 1, &old);
	assert_string_equal(old.mac, new.mac);
}

static void of_eight_tokens_one_is_written_over(void **state)
{
	struct kc_error err = { 0 };
	struct kc_token old, new, t;
	bool both = true;

	token_of(*state, 0, &old);
	new = old;
	for (int i = 1; i < KC_RECIPIENTS_MAX; i++) {
		memset(new.mac, '0' + i, 64);
		assert_int_equal(kc_header_add_token(*state, &new, &err), 0);
	}
	memset(new.mac, 'a', 64);
	token_of(*state, 3, &old);
	assert_int_equal(kc_header_replace_token(*state, &new, &old, &both, &err), 0);
	assert_false(both);
	assert_int_equal(tokens(*state), KC_RECIPIENTS_MAX);
	token_of(*state, 3, &t);
	assert_string_equal(t.mac, new.mac);
}

static void the_last_token_and_one_that_changed_stay(void **state)
{
	char before[65], after[65];
	struct kc_error err = { 0 };
	struct kc_token old, new;
	bool both;

	token_of(*state, 0, &old);
	volume_hash(*state, before);
	assert_int_equal(kc_header_remove_token(*state, &old, &err), KC_BUSY);
	assert_non_null(strstr(err.text, "token 0 is the last one"));
	volume_hash(*state, after);
	assert_string_equal(before, after);

	new = old;
	memset(new.mac, 'a', 64);
	kc_error_clear(&err);
	assert_int_equal(kc_header_add_token(*state, &new, &err), 0);
	volume_hash(*state, before);
	old.wrapped[0] ^= 1;
	assert_int_equal(kc_header_remove_token(*state, &old, &err), KC_BUSY);
	assert_non_null(strstr(err.text, "not there any more as it was read"));
	kc_error_clear(&err);
	assert_int_equal(kc_header_replace_token(*state, &new, &old, &both, &err), KC_BUSY);
	volume_hash(*state, after);
	assert_string_equal(before, after);
}

/* A header of cryptsetup's default size, as an adopted volume has: one token, and no room for two more. */
static void a_token_that_leaves_no_room_is_not_written(void **state)
{
	struct crypt_pbkdf_type pbkdf = { .type = CRYPT_KDF_PBKDF2, .hash = "sha256", .iterations = 1000,
					  .flags = CRYPT_PBKDF_NO_BENCHMARK };
	struct crypt_params_luks2 params = { .sector_size = 512, .subsystem = "kcache" };
	char *path = volume_blank("small", VOLUME_SIZE);
	char before[65], after[65];
	struct kc_error err = { 0 };
	struct crypt_device *cd;
	struct kc_token t, old;
	struct kc_header h;
	bool both;

	assert_int_equal(crypt_init(&cd, path), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &pbkdf), 0);
	assert_int_equal(crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", VOLUME_UUID,
				      (const char *)volume_dek, 64, &params), 0);
	crypt_free(cd);
	assert_int_equal(load(path, &h, &err), 0);
	volume_token(&t, &h.layout);
	t.has_keyslot = false;
	t.wrapped_len = 5000;	/* once it would fit */
	assert_int_equal(kc_header_seal_token(&t, &h.layout, h.flags, volume_dek, &err), 0);
	kc_header_free(&h);
	volume_hash(path, before);
	assert_int_equal(kc_header_add_token(path, &t, &err), KC_USAGE);
	assert_non_null(strstr(err.text, "the header has no room"));
	volume_hash(path, after);
	assert_string_equal(before, after);
	t.wrapped_len = 200;
	kc_error_clear(&err);
	assert_int_equal(kc_header_add_token(path, &t, &err), 0);
	/* nor in the place of another, if there were no room for the next of its kind after that */
	token_of(path, 0, &old);
	t.wrapped_len = 5000;
	assert_int_equal(kc_header_replace_token(path, &t, &old, &both, &err), KC_USAGE);
	assert_non_null(strstr(err.text, "the header has no room"));
	unlink(path);
	free(path);
}

static void only_the_volumes_own_key_is_accepted(void **state)
{
	uint8_t other[KC_DEK_SIZE], halves[KC_DEK_SIZE];
	struct kc_error err = { 0 };
	struct kc_header h;

	memcpy(other, volume_dek, sizeof(other));
	other[63] ^= 1;
	memset(halves, 0x11, sizeof(halves));
	assert_int_equal(load(pristine, &h, &err), 0);
	assert_int_equal(kc_header_verify_dek(&h, &h.tokens[0], volume_dek, &err), 0);
	assert_int_equal(kc_header_verify_dek(&h, &h.tokens[0], other, &err), KC_TAMPERED);
	assert_non_null(strstr(err.text, "the LUKS2 digest does not know"));
	kc_error_clear(&err);
	assert_int_equal(kc_header_verify_dek(&h, &h.tokens[0], halves, &err), KC_TAMPERED);
	assert_non_null(strstr(err.text, "halves"));
	kc_error_clear(&err);
	assert_int_equal(kc_header_seal_token(&h.tokens[0], &h.layout, "", halves, &err), KC_TAMPERED);
	kc_header_free(&h);
}

/* The mac is right, as from somebody who has the DEK, and the lineage still is not believed. */
static void a_wrong_lineage_under_a_right_mac_is_refused(void **state)
{
	struct kc_error err = { 0 };
	struct kc_bytes canon;
	struct kc_header h;

	assert_int_equal(load(pristine, &h, &err), 0);
	h.tokens[0].lineage[0] ^= 1;
	assert_int_equal(kc_canon_token(&h.tokens[0], h.flags, h.layout_hex, &canon, &err), 0);
	assert_int_equal(kc_kdf_mac(volume_dek, &canon, h.tokens[0].mac, &err), 0);
	kc_bytes_free(&canon);
	assert_int_equal(kc_header_verify_dek(&h, &h.tokens[0], volume_dek, &err), KC_TAMPERED);
	assert_non_null(strstr(err.text, "\"lineage\" is"));
	kc_header_free(&h);
}

static void persistent_flags_are_part_of_the_mac(void **state)
{
	struct kc_error err = { 0 };
	struct kc_header h;
	struct kc_token t;

	assert_int_equal(luks2_edit_json(*state, "/config/flags", "[\"no-write-workqueue\",\"allow-discards\"]"), 0);
	assert_int_equal(load(*state, &h, &err), 0);
	assert_string_equal(h.flags, "allow-discards,no-write-workqueue");
	t = h.tokens[0];
	assert_int_equal(kc_header_seal_token(&t, &h.layout, h.flags, volume_dek, &err), 0);
	assert_int_equal(kc_header_verify_dek(&h, &t, volume_dek, &err), 0);
	assert_string_not_equal(t.mac, h.tokens[0].mac);
	kc_header_free(&h);
}

static void an_empty_header_can_be_freed(void **state)
{
	struct kc_header h = { 0 };

	kc_header_free(&h);
	kc_header_free(&h);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

#define EDITS(f) cmocka_unit_test_setup_teardown(f, new_copy, remove_copy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(keyslot_0_holds_the_same_key),
		cmocka_unit_test(every_sector_size_can_be_written),
		cmocka_unit_test(planning_writes_nothing_and_refuses_what_cannot_be),
		EDITS(a_damaged_copy_is_told_and_not_repaired),
		cmocka_unit_test(every_edited_member_is_refused_by_name),
		cmocka_unit_test(what_libcryptsetup_does_not_load_is_refused_too),
		EDITS(a_second_segment_is_refused),
		EDITS(a_second_keyslot_is_refused),
		EDITS(no_keyslot_still_attaches),
		EDITS(another_uuid_is_refused),
		EDITS(another_subsystem_with_our_token_is_refused),
		EDITS(tokens_of_different_generations_are_refused),
		EDITS(tokens_come_in_the_order_of_their_numbers),
		EDITS(a_tokens_number_has_one_name),
		EDITS(an_operation_of_a_newer_kcache_is_busy),
		cmocka_unit_test(what_is_not_ours_is_the_wrong_device),
		EDITS(an_unfinished_create_is_told_and_completed),
		EDITS(an_unsealed_or_foreign_token_is_not_written),
		EDITS(at_most_eight_tokens),
		EDITS(a_token_is_added_before_the_old_one_is_removed),
		EDITS(of_eight_tokens_one_is_written_over),
		EDITS(the_last_token_and_one_that_changed_stay),
		cmocka_unit_test(a_token_that_leaves_no_room_is_not_written),
		cmocka_unit_test(only_the_volumes_own_key_is_accepted),
		cmocka_unit_test(a_wrong_lineage_under_a_right_mac_is_refused),
		EDITS(persistent_flags_are_part_of_the_mac),
		cmocka_unit_test(an_empty_header_can_be_freed),
	};

	return cmocka_run_group_tests(tests, make_pristine, remove_all);
}
