// SPDX-License-Identifier: GPL-2.0-or-later
/* Which keys this host accepts, and what it remembers of the volumes it has seen. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pins.h"

#define UUID "6b636163-6865-4a11-8bad-000000000001"
#define UUID2 "6b636163-6865-4a11-8bad-000000000002"
#define KEY "local:11111111-2222-4333-8444-555555555555"
#define KEY2 "local:11111111-2222-4333-8444-555555555556"
#define ACCOUNT "arn:aws:kms:eu-central-1:111122223333:key/"
#define OTHER_ACCOUNT "arn:aws:kms:eu-central-1:999922223333:key/"
#define ID "11111111-2222-4333-8444-555555555555"

static char base[64], state_dir[80], folder[96], file[192];
static struct kc_conf conf;
static struct kc_header header;
static struct kc_token token;

static int setup(void **state)
{
	snprintf(base, sizeof(base), "/tmp/kcache-pins-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(state_dir, sizeof(state_dir), "%s/state", base);
	snprintf(folder, sizeof(folder), "%s/volumes", state_dir);
	snprintf(file, sizeof(file), "%s/%s.json", folder, UUID);
	memset(&conf, 0, sizeof(conf));
	conf.state_dir = state_dir;
	memset(&header, 0, sizeof(header));
	strcpy(header.layout.uuid, UUID);
	memset(&token, 0, sizeof(token));
	strcpy(token.binding.key, KEY);
	strcpy(token.lineage, "0123456789abcdef0123456789abcdef");
	token.binding.context.generation = 3;
	umask(0);
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", base);
	return system(command);
}

static void save(void)
{
	struct kc_error err = { 0 };

	if (kc_known_save(&conf, &header, &token, &err))
		fail_msg("%s", err.text);
}

static struct kc_known loaded(void)
{
	struct kc_error err = { 0 };
	struct kc_known k;

	if (kc_known_load(&conf, UUID, &k, &err))
		fail_msg("%s", err.text);
	return k;
}

static void check(enum kc_exit code, const char *named, const char *says)
{
	struct kc_error err = { 0 };
	struct kc_known k = loaded();

	assert_int_equal(kc_pin_check(&conf, &token, &k, named, &err), code);
	if (says && !strstr(err.text, says))
		fail_msg("\"%s\" does not say: %s", err.text, says);
	kc_known_free(&k);
}

static void allow(char *key)
{
	static char *keys[1];

	keys[0] = key;
	conf.allow_keys = keys;
	conf.n_allow_keys = 1;
}

static void a_volume_never_seen_is_empty(void **state)
{
	struct kc_known k = loaded();
	struct stat st;

	assert_int_equal(k.uuid[0], 0);
	assert_int_equal(k.n_keys, 0);
	kc_known_free(&k);
	assert_int_equal(stat(state_dir, &st), -1);	/* asking creates nothing */
}

static void what_is_saved_is_loaded(void **state)
{
	struct kc_known k;
	struct stat st;

	save();
	k = loaded();
	assert_string_equal(k.uuid, UUID);
	assert_string_equal(k.lineage, token.lineage);
	assert_int_equal(k.generation, 3);
	assert_int_equal(k.n_keys, 1);
	assert_string_equal(k.keys[0], KEY);
	kc_known_free(&k);
	assert_int_equal(stat(state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void keys_add_up_with_the_last_one_last(void **state)
{
	struct kc_known k;

	save();
	strcpy(token.binding.key, KEY2);
	save();
	strcpy(token.binding.key, KEY);
	save();
	k = loaded();
	assert_int_equal(k.n_keys, 2);
	assert_string_equal(k.keys[0], KEY2);
	assert_string_equal(k.keys[1], KEY);
	kc_known_free(&k);
	for (int i = 0; i < 40; i++) {
		snprintf(token.binding.key, sizeof(token.binding.key),
			 "local:11111111-2222-4333-8444-0000000000%02d", i);
		save();
	}
	k = loaded();
	assert_int_equal(k.n_keys, 32);
	assert_string_equal(k.keys[31], "local:11111111-2222-4333-8444-000000000039");
	kc_known_free(&k);
}

static void the_generation_only_grows(void **state)
{
	struct kc_error err = { 0 };
	struct kc_known k;

	save();
	token.binding.context.generation = 4;
	token.lineage[0] = 'f';
	save();
	k = loaded();
	assert_int_equal(k.generation, 4);
	assert_int_equal(k.lineage[0], 'f');
	kc_known_free(&k);
	token.binding.context.generation = 3;
	assert_int_equal(kc_known_save(&conf, &header, &token, &err), KC_TAMPERED);
	k = loaded();
	assert_int_equal(k.generation, 4);
	kc_known_free(&k);
}

static void saving_the_same_again_writes_nothing(void **state)
{
	struct stat before, after;

	save();
	assert_int_equal(stat(file, &before), 0);
	save();
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

/* The rename is what makes it atomic: a reader never sees half a file, a crash leaves the old one. */
static void a_file_is_replaced_as_a_whole(void **state)
{
	struct stat before, after;
	char tmp[192];

	save();
	assert_int_equal(stat(file, &before), 0);
	snprintf(tmp, sizeof(tmp), "%s/.%s.tmp", folder, UUID);
	close(open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));	/* left by a crash */
	token.binding.context.generation++;
	save();
	assert_int_equal(stat(file, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(access(tmp, F_OK), -1);
}

static void attaches_at_once_lose_nothing(void **state)
{
	struct kc_known k;
	int status;

	for (int i = 0; i < 8; i++) {
		if (fork())
			continue;
		snprintf(token.binding.key, sizeof(token.binding.key),
			 "local:11111111-2222-4333-8444-00000000000%d", i);
		_exit(kc_known_save(&conf, &header, &token, NULL));
	}
	for (int i = 0; i < 8; i++) {
		wait(&status);
		assert_int_equal(status, 0);
	}
	k = loaded();
	assert_int_equal(k.n_keys, 8);
	kc_known_free(&k);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(file, 0600);
}

#define GOOD "\"version\":1,\"lineage\":\"0123456789abcdef0123456789abcdef\",\"generation\":\"3\""

static void a_damaged_file_is_an_error_and_no_new_volume(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} files[] = {
		{ "", "is not JSON" },
		{ "{", "is not JSON" },
		{ "{" GOOD ",\"uuid\":\"" UUID2 "\",\"keys\":[\"" KEY "\"]}", "is of volume " UUID2 },
		{ "{" GOOD ",\"uuid\":\"" UUID "\"}", "\"keys\" is missing" },
		{ "{" GOOD ",\"uuid\":\"" UUID "\",\"keys\":[]}", "\"keys\" is []" },
		{ "{" GOOD ",\"uuid\":\"" UUID "\",\"keys\":[\"local:*\"]}", "not a list of canonical key ids" },
		{ "{" GOOD ",\"uuid\":\"" UUID "\",\"keys\":[\"" KEY "\"],\"x\":1}", "unexpected member \"x\"" },
		{ "{" GOOD ",\"uuid\":\"" UUID "\",\"keys\":[\"" KEY "\"],\"backups\":[]}", "not a list of 1 to 16 paths" },
		{ "{" GOOD ",\"uuid\":\"" UUID "\",\"keys\":[\"" KEY "\"],\"backups\":[\"b\"]}", "not a list of absolute paths" },
		{ "{\"version\":2}", "\"version\" is 2, not 1" },
	};

	save();
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct kc_error err = { 0 };
		struct kc_known k;

		write_file(files[i].text);
		assert_int_equal(kc_known_load(&conf, UUID, &k, &err), KC_TAMPERED);
		if (!strstr(err.text, files[i].says) || !strstr(err.text, file))
			fail_msg("\"%s\" does not say: %s", err.text, files[i].says);
		kc_error_clear(&err);
		assert_int_equal(kc_known_save(&conf, &header, &token, &err), KC_TAMPERED);
	}
}

static void a_file_or_folder_that_others_may_write_is_refused(void **state)
{
	struct kc_error err = { 0 };
	struct kc_known k;

	save();
	chmod(file, 0620);
	assert_int_equal(kc_known_load(&conf, UUID, &k, &err), KC_PERM);
	chmod(file, 0600);
	chmod(folder, 0702);
	kc_error_clear(&err);
	assert_int_equal(kc_known_load(&conf, UUID, &k, &err), KC_PERM);
	assert_non_null(strstr(err.text, folder));
	chmod(folder, 0700);
}

static void no_path_is_made_of_anything_but_a_uuid(void **state)
{
	struct kc_error err = { 0 };
	struct kc_known k;

	assert_int_equal(kc_known_load(&conf, "../../etc/passwd", &k, &err), KC_USAGE);
}

static int collect(const struct kc_known *k, void *data)
{
	strcat(data, k->uuid + 35);
	return 0;
}

static int stop_at_once(const struct kc_known *k, void *data)
{
	strcat(data, k->uuid + 35);
	return 1;
}

static void every_known_volume_is_visited(void **state)
{
	struct kc_error err = { 0 };
	char seen[8] = "", other[192];

	assert_int_equal(kc_known_each(&conf, collect, seen, &err), 0);
	assert_string_equal(seen, "");
	save();
	strcpy(header.layout.uuid, UUID2);
	save();
	snprintf(other, sizeof(other), "%s/notes.txt", folder);
	close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(kc_known_each(&conf, collect, seen, &err), 0);
	assert_string_equal(seen, "12");
	seen[0] = '\0';
	assert_int_equal(kc_known_each(&conf, stop_at_once, seen, &err), 0);
	assert_string_equal(seen, "1");
	seen[0] = '\0';
	write_file("{");
	assert_int_equal(kc_known_each(&conf, collect, seen, &err), KC_TAMPERED);
	assert_string_equal(seen, "2");
}

static void an_unpinned_key_is_refused(void **state)
{
	check(KC_TAMPERED, NULL, "token 0 is under key " KEY ", which this host does not pin");
	check(KC_TAMPERED, KEY2, "does not pin");
	check(0, KEY, NULL);
}

static void configuration_pins(void **state)
{
	allow(KEY2);
	check(KC_TAMPERED, NULL, "does not pin");
	allow(KEY);
	check(0, NULL, NULL);
	allow("local:*");
	check(0, NULL, NULL);
	allow("tpm2:*");
	check(KC_TAMPERED, NULL, "does not pin");
	allow(ACCOUNT "*");
	strcpy(token.binding.key, ACCOUNT ID);
	check(0, NULL, NULL);
	strcpy(token.binding.key, OTHER_ACCOUNT ID);
	check(KC_TAMPERED, NULL, "does not pin");
}

static void a_known_volume_pins_its_keys(void **state)
{
	save();
	check(0, NULL, NULL);
	strcpy(token.binding.key, KEY2);
	check(KC_TAMPERED, NULL, "does not pin");
	check(0, KEY2, NULL);
}

static void a_key_that_is_forgotten_pins_no_more(void **state)
{
	struct kc_error err = { 0 };

	/* nothing is known of it yet */
	assert_int_equal(kc_known_forget(&conf, header.layout.uuid, KEY2, &err), 0);
	save();
	strcpy(token.binding.key, KEY2);
	save();
	check(0, NULL, NULL);
	assert_int_equal(kc_known_forget(&conf, header.layout.uuid, KEY2, &err), 0);
	check(KC_TAMPERED, NULL, "does not pin");
	strcpy(token.binding.key, KEY);
	check(0, NULL, NULL);
	/* the last one stays, and with it what is known of the generation */
	assert_int_equal(kc_known_forget(&conf, header.layout.uuid, KEY, &err), 0);
	check(0, NULL, NULL);
}

static void an_older_generation_is_refused_whatever_is_named(void **state)
{
	save();
	token.binding.context.generation = 2;
	allow("local:*");
	check(KC_TAMPERED, KEY, "token 0 is of generation 2, this host has seen 3");
	token.binding.context.generation = 4;
	check(0, NULL, NULL);
}

static void another_lineage_is_refused_unless_the_generation_grew(void **state)
{
	save();
	token.lineage[0] = 'f';
	allow("local:*");
	check(KC_TAMPERED, KEY, "token 0 is for another data key");
	token.binding.context.generation = 4;
	check(0, NULL, NULL);
}

static void backups_are_remembered_beside_the_keys(void **state)
{
	struct kc_error err = { 0 };
	struct kc_known k;
	char path[64];

	/* of a volume that was never seen there is nothing to say which key it has */
	assert_int_equal(kc_known_backup(&conf, UUID, "/b", &err), KC_DEVICE);
	assert_int_equal(access(file, F_OK), -1);
	save();
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/backups/\"%d\"", i);
		assert_int_equal(kc_known_backup(&conf, UUID, path, NULL), 0);
	}
	assert_int_equal(kc_known_backup(&conf, UUID, "/backups/\"7\"", NULL), 0);
	strcpy(token.binding.key, KEY2);
	save();
	k = loaded();
	assert_int_equal(k.n_keys, 2);
	assert_int_equal(k.n_backups, 16);
	assert_string_equal(k.backups[0], "/backups/\"4\"");
	assert_string_equal(k.backups[15], "/backups/\"7\"");
	kc_known_free(&k);
	assert_int_equal(kc_known_forget(&conf, UUID, KEY2, NULL), 0);
	k = loaded();
	assert_int_equal(k.n_keys, 1);
	assert_int_equal(k.n_backups, 16);
	kc_known_free(&k);
}

static void a_path_that_cannot_be_remembered_is_refused(void **state)
{
	static char longest[1002];
	struct kc_known k;

	save();
	assert_int_equal(kc_known_backup(&conf, UUID, "relative", NULL), KC_USAGE);
	assert_int_equal(kc_known_backup(&conf, UUID, "/line\nfeed", NULL), KC_USAGE);
	memset(longest, '"', sizeof(longest) - 1);
	longest[0] = '/';
	assert_int_equal(kc_known_backup(&conf, UUID, longest, NULL), KC_USAGE);
	/* with the most, and the longest, the file is read again */
	for (int i = 0; i < 16; i++) {
		longest[1000] = '\0';
		longest[999] = (char)('a' + i);
		assert_int_equal(kc_known_backup(&conf, UUID, longest, NULL), 0);
	}
	k = loaded();
	assert_int_equal(k.n_backups, 16);
	kc_known_free(&k);
}

static void a_volume_that_is_removed_was_never_seen(void **state)
{
	struct kc_error err = { 0 };

	assert_int_equal(kc_known_remove(&conf, UUID, &err), 0);
	save();
	check(0, NULL, NULL);
	assert_int_equal(kc_known_remove(&conf, UUID, &err), 0);
	check(KC_TAMPERED, NULL, "does not pin");
	assert_int_equal(kc_known_remove(&conf, UUID, &err), 0);
}

/* For a header that is put back: how old it is, and no more. */
static void its_age_does_not_ask_for_a_pin(void **state)
{
	struct kc_error err = { 0 };
	struct kc_known k;

	save();
	k = loaded();
	strcpy(token.binding.key, KEY2);
	assert_int_equal(kc_pin_age(&token, &k, &err), 0);
	token.binding.context.generation = 2;
	assert_int_equal(kc_pin_age(&token, &k, &err), KC_TAMPERED);
	assert_non_null(strstr(err.text, "is of generation 2, this host has seen 3"));
	token.binding.context.generation = 3;
	token.lineage[0] = 'f';
	assert_int_equal(kc_pin_age(&token, &k, NULL), KC_TAMPERED);
	kc_known_free(&k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_volume_never_seen_is_empty),
		TEST(what_is_saved_is_loaded),
		TEST(keys_add_up_with_the_last_one_last),
		TEST(the_generation_only_grows),
		TEST(saving_the_same_again_writes_nothing),
		TEST(a_file_is_replaced_as_a_whole),
		TEST(attaches_at_once_lose_nothing),
		TEST(a_damaged_file_is_an_error_and_no_new_volume),
		TEST(a_file_or_folder_that_others_may_write_is_refused),
		TEST(no_path_is_made_of_anything_but_a_uuid),
		TEST(every_known_volume_is_visited),
		TEST(an_unpinned_key_is_refused),
		TEST(configuration_pins),
		TEST(a_known_volume_pins_its_keys),
		TEST(a_key_that_is_forgotten_pins_no_more),
		TEST(an_older_generation_is_refused_whatever_is_named),
		TEST(another_lineage_is_refused_unless_the_generation_grew),
		TEST(backups_are_remembered_beside_the_keys),
		TEST(a_path_that_cannot_be_remembered_is_refused),
		TEST(a_volume_that_is_removed_was_never_seen),
		TEST(its_age_does_not_ask_for_a_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
