// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The token plugin: the shared object that was built, loaded as libcryptsetup
 * loads it, with the real key helper and a keystore of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <libcryptsetup.h>

#include "header.h"
#include "kms.h"
#include "luks2-edit.h"
#include "pins.h"
#include "volume.h"

#define PLUGIN KC_TOOLSDIR "/libcryptsetup-token-kcache.so"
#define HELPER KC_TOOLSDIR "/kcache-keyhelper"

static crypt_token_handler handler = { .name = "kcache" };
static crypt_token_version_func version;
static char conf_path[128], *pristine;
static const char *dir;
static struct kc_key_info key;

/* What the plugin and libcryptsetup say. */
static char said[4096];

static void listen_to(int level, const char *msg, void *data)
{
	if (level == CRYPT_LOG_ERROR || level == CRYPT_LOG_NORMAL)
		strncat(said, msg, sizeof(said) - strlen(said) - 1);
}

static void configure(int timeout, const char *more)
{
	FILE *f = fopen(conf_path, "we");

	assert_non_null(f);
	fprintf(f, "state_dir = %s/state\naudit_file = %s/audit.jsonl\ntimeout = %d\n%s\n", dir, dir,
		timeout, more);
	fclose(f);
	assert_int_equal(chmod(conf_path, 0644), 0);
}

static struct kc_conf configuration(void)
{
	struct kc_error err = { 0 };
	struct kc_conf c;

	if (kc_conf_load(NULL, &c, &err))
		fail_msg("%s", err.text);
	return c;
}

static void succeed(int r, const struct kc_error *err)
{
	if (r)
		fail_msg("%s (%s)", err->text, err->next);
}

/* A volume as kcache create makes it: the DEK comes from the KMS. */
static void create_volume(void)
{
	const struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = 4096 };
	struct kc_conf c = configuration();
	struct kc_error err = { 0 };
	struct kc_kms *kms;
	struct kc_layout l;
	struct kc_token t;
	const uint8_t *dek;

	pristine = volume_blank("pristine", VOLUME_SIZE);
	succeed(kc_kms_open(&c, &kms, &err), &err);
	succeed(kc_kms_describe(kms, "local:alias/kcache", &key, &err), &err);
	succeed(kc_header_plan(pristine, &f, &l, &err), &err);
	volume_token(&t, &l);
	strcpy(t.binding.key, key.key);
	succeed(kc_kms_generate(kms, &t.binding, t.wrapped, &t.wrapped_len, &err), &err);
	succeed(kc_kms_decrypt(kms, &t.binding, t.wrapped, t.wrapped_len, &dek, &err), &err);
	succeed(kc_header_write(pristine, &f, dek, &err), &err);
	succeed(kc_header_seal_token(&t, &l, "", dek, &err), &err);
	succeed(kc_header_add_token(pristine, &t, &err), &err);
	kc_kms_close(kms);
	kc_conf_free(&c);
}

static int setup_all(void **state)
{
	void *so = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);

	if (!so)
		fail_msg("%s", dlerror());
	/* by the very symbol version, as libcryptsetup does */
	handler.open = (crypt_token_open_func)dlvsym(so, CRYPT_TOKEN_ABI_OPEN, CRYPT_TOKEN_ABI_VERSION1);
	handler.buffer_free = (crypt_token_buffer_free_func)dlvsym(so, CRYPT_TOKEN_ABI_BUFFER_FREE,
								    CRYPT_TOKEN_ABI_VERSION1);
	handler.validate = (crypt_token_validate_func)dlvsym(so, CRYPT_TOKEN_ABI_VALIDATE,
							     CRYPT_TOKEN_ABI_VERSION1);
	handler.dump = (crypt_token_dump_func)dlvsym(so, CRYPT_TOKEN_ABI_DUMP, CRYPT_TOKEN_ABI_VERSION1);
	version = (crypt_token_version_func)dlvsym(so, CRYPT_TOKEN_ABI_VERSION, CRYPT_TOKEN_ABI_VERSION1);
	assert_non_null(handler.open);
	assert_non_null(handler.buffer_free);
	assert_non_null(handler.validate);
	assert_non_null(handler.dump);
	assert_non_null(version);

	dir = volume_dir();
	umask(022);
	snprintf(conf_path, sizeof(conf_path), "%s/kcache.conf", dir);
	setenv("KCACHE_CONFIG", conf_path, 1);
	configure(20, "helper = " HELPER);
	create_volume();
	/* libcryptsetup calls this one from here on, wherever its own folder for plugins is */
	assert_int_equal(crypt_token_register(&handler), 0);
	return 0;
}

static int remove_all(void **state)
{
	free(pristine);
	volume_dir_remove();
	return 0;
}

static int setup(void **state)
{
	configure(20, "helper = " HELPER "\nallow_key = local:*");
	said[0] = '\0';
	*state = volume_copy(pristine, "copy");
	return 0;
}

static int teardown(void **state)
{
	unlink(*state);
	free(*state);
	return 0;
}

static struct crypt_device *loaded(const char *path)
{
	struct crypt_device *cd;

	assert_int_equal(crypt_init(&cd, path), 0);
	crypt_set_log_callback(cd, listen_to, NULL);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	return cd;
}

/* The handler by itself: its own error numbers, before libcryptsetup translates them. */
static void refused(const char *path, int error, const char *says)
{
	struct crypt_device *cd = loaded(path);
	char *buffer = NULL, before[65], after[65];
	size_t len = 0;
	int r;

	volume_hash(path, before);
	r = handler.open(cd, 0, &buffer, &len, NULL);
	if (r != error || !strstr(said, says))
		fail_msg("returned %d, said: %s", r, said);
	assert_null(buffer);
	crypt_free(cd);
	volume_hash(path, after);
	assert_string_equal(before, after);
}

static void libcryptsetup_opens_the_volume(void **state)
{
	struct crypt_device *cd = loaded(*state);

	assert_int_equal(crypt_activate_by_token(cd, NULL, 0, NULL, 0), 0);
	assert_int_equal(crypt_activate_by_token(cd, NULL, CRYPT_ANY_TOKEN, NULL, 0), 0);
	assert_string_equal(said, "");
	crypt_free(cd);
}

static void the_passphrase_comes_in_memory_of_its_own(void **state)
{
	struct crypt_device *cd = loaded(*state);
	char *buffer = NULL;
	size_t len = 0;

	assert_int_equal(handler.open(cd, 0, &buffer, &len, NULL), 0);
	assert_int_equal(len, 128);
	assert_int_equal(strspn(buffer, "0123456789abcdef"), 128);
	assert_int_equal((uintptr_t)buffer % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
	handler.buffer_free(buffer, len);
	assert_int_equal(handler.open(cd, 1, &buffer, &len, NULL), -ENOENT);
	crypt_free(cd);
}

static void an_unpinned_key_is_refused(void **state)
{
	configure(20, "helper = " HELPER);
	refused(*state, -EPERM, "which this host does not pin");
}

static void a_known_volume_needs_no_configuration(void **state)
{
	struct kc_error err = { 0 };
	struct crypt_device *cd;
	struct kc_header h;
	struct kc_conf c;
	char file[160];
	int fd = open(*state, O_RDONLY | O_CLOEXEC);

	configure(20, "helper = " HELPER);
	c = configuration();
	succeed(kc_header_load(fd, &h, &err), &err);
	succeed(kc_known_save(&c, &h, &h.tokens[0], &err), &err);
	cd = loaded(*state);
	assert_int_equal(crypt_activate_by_token(cd, NULL, 0, NULL, 0), 0);
	crypt_free(cd);

	/* and what it is known by is held against it */
	h.tokens[0].binding.context.generation++;
	succeed(kc_known_save(&c, &h, &h.tokens[0], &err), &err);
	refused(*state, -EPERM, "is of generation 3, this host has seen 4");
	snprintf(file, sizeof(file), "%s/state/volumes/" VOLUME_UUID ".json", dir);
	assert_int_equal(unlink(file), 0);
	kc_header_free(&h);
	close(fd);
	kc_conf_free(&c);
}

static void an_edited_header_is_refused_before_the_kms_is_asked(void **state)
{
	configure(20, "helper = /nonexistent\nallow_key = local:*");
	assert_int_equal(luks2_edit_json(*state, "/segments/0/encryption", "\"cipher_null-ecb\""), 0);
	refused(*state, -EPERM, "\"encryption\" is \"cipher_null-ecb\", not \"aes-xts-plain64\"");
}

static void an_edited_layout_is_refused(void **state)
{
	assert_int_equal(luks2_edit_json(*state, "/segments/0/iv_tweak", "\"8\""), 0);
	refused(*state, -EPERM, "\"kcache:layout\" is");
}

static void an_edited_wrapped_key_is_refused(void **state)
{
	assert_int_equal(luks2_edit_json(*state, "/tokens/0/wrapped_dek", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAA\""), 0);
	refused(*state, -EPERM, "InvalidCiphertextException");
}

static void an_edited_lease_is_refused(void **state)
{
	assert_int_equal(luks2_edit_json(*state, "/tokens/0/lease", "0"), 0);
	refused(*state, -EPERM, "its mac does not hold");
}

static void set_key(const char *operation)
{
	struct json_object *params = json_object_new_object(), *answer = NULL;
	struct kc_conf c = configuration();
	struct kc_error err = { 0 };
	struct kc_kms *kms;

	json_object_object_add(params, "key", json_object_new_string(key.key));
	succeed(kc_kms_open(&c, &kms, &err), &err);
	succeed(kc_kms_admin(kms, "local", operation, params, &answer, &err), &err);
	json_object_put(answer);
	json_object_put(params);
	kc_kms_close(kms);
	kc_conf_free(&c);
}

static void a_disabled_key_is_refused(void **state)
{
	set_key("DisableKey");
	refused(*state, -EPERM, "DisabledException");
	set_key("EnableKey");
}

static void a_helper_that_hangs_is_given_up(void **state)
{
	char helper[128], more[256];
	FILE *f;

	snprintf(helper, sizeof(helper), "%s/hang", dir);
	f = fopen(helper, "we");
	assert_non_null(f);
	fputs("#!/bin/sh\nexec sleep 1000\n", f);
	fclose(f);
	assert_int_equal(chmod(helper, 0755), 0);
	snprintf(more, sizeof(more), "helper = %s\nallow_key = local:*", helper);
	configure(1, more);
	refused(*state, -EAGAIN, "kcache: ");
}

#define ARN "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-4333-8444-555555555555"

/* The first recipient under a key of AWS, the second as it was. */
static void two_recipients(const char *path)
{
	char *token = luks2_json(path, "/tokens/0");

	assert_int_equal(luks2_edit_json(path, "/tokens/1", token), 0);
	assert_int_equal(luks2_edit_json(path, "/tokens/0/provider", "\"aws\""), 0);
	assert_int_equal(luks2_edit_json(path, "/tokens/0/key", "\"" ARN "\""), 0);
	free(token);
}

/* Where one recipient's provider is not built, or hangs, libcryptsetup goes on to the next. */
static void the_next_recipient_is_asked(void **state)
{
	char helper[128], hangs[136], more[256];
	struct crypt_device *cd;
	struct timespec from, to;
	FILE *f;

	two_recipients(*state);
	snprintf(helper, sizeof(helper), "%s/helper", dir);
	assert_int_equal(symlink(HELPER, helper), 0);
	snprintf(more, sizeof(more), "helper = %s\nallow_key = local:*\nallow_key = " ARN, helper);
	configure(20, more);
	refused(*state, -EPERM, "built without provider \"aws\"");
	cd = loaded(*state);
	assert_int_equal(crypt_activate_by_token(cd, NULL, CRYPT_ANY_TOKEN, NULL, 0), 0);

	snprintf(hangs, sizeof(hangs), "%s-aws", helper);
	f = fopen(hangs, "we");
	assert_non_null(f);
	fputs("#!/bin/sh\nexec sleep 1000\n", f);
	fclose(f);
	assert_int_equal(chmod(hangs, 0755), 0);
	configure(2, more);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(crypt_activate_by_token(cd, NULL, CRYPT_ANY_TOKEN, NULL, 0), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_non_null(strstr(said, "did not answer within 1 seconds"));
	assert_true(to.tv_sec - from.tv_sec <= 2);
	crypt_free(cd);
}

static void an_unreadable_configuration_is_an_error(void **state)
{
	configure(20, "helper = " HELPER "\nallow_keys = local:*");
	refused(*state, -EINVAL, "there is no setting \"allow_keys\"");
}

static void luksDump_shows_the_token(void **state)
{
	struct crypt_device *cd = loaded(*state);

	assert_int_equal(crypt_dump(cd), 0);
	assert_non_null(strstr(said, "\tProvider:   local\n"));
	assert_non_null(strstr(said, key.key));
	assert_non_null(strstr(said, "\tGeneration: 3\n"));
	assert_non_null(strstr(said, "\tLease:      3600\n"));
	crypt_free(cd);
	assert_int_equal(luks2_edit_json(*state, "/tokens/0/provider", "\"\\u001b[2J\""), 0);
	said[0] = '\0';
	cd = loaded(*state);
	assert_int_equal(crypt_dump(cd), 0);
	assert_non_null(strstr(said, "the token was edited or is damaged"));
	assert_null(strchr(said, '\033'));
	crypt_free(cd);
}

static void validate_follows_the_strict_rules(void **state)
{
	struct crypt_device *cd = loaded(*state);
	char *json = luks2_json(*state, "/tokens/0");

	assert_int_equal(handler.validate(cd, json), 0);
	assert_int_equal(handler.validate(cd, "{\"type\":\"kcache\",\"keyslots\":[]}"), -EINVAL);
	assert_non_null(strstr(said, "the token: \"version\" is missing"));
	assert_non_null(version());
	free(json);
	crypt_free(cd);
}

#ifndef __SANITIZE_ADDRESS__	/* whose runtime stock cryptsetup does not have */
/* The real cryptsetup, with the plugin in its folder, in a mount namespace of our own. */
static void stock_cryptsetup_opens_the_volume(void **state)
{
	char command[512];
	int status;
	pid_t pid;

	if (geteuid() != 0 || access("/sbin/cryptsetup", X_OK))
		skip();
	snprintf(command, sizeof(command), "cp %s %s", PLUGIN, dir);
	assert_int_equal(system(command), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(dir, crypt_token_external_path(), NULL, MS_BIND, NULL))
			_exit(77);
		execl("/sbin/cryptsetup", "cryptsetup", "open", "--test-passphrase", "--token-only",
		      (char *)*state, NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(libcryptsetup_opens_the_volume),
		TEST(the_passphrase_comes_in_memory_of_its_own),
		TEST(an_unpinned_key_is_refused),
		TEST(a_known_volume_needs_no_configuration),
		TEST(an_edited_header_is_refused_before_the_kms_is_asked),
		TEST(an_edited_layout_is_refused),
		TEST(an_edited_wrapped_key_is_refused),
		TEST(an_edited_lease_is_refused),
		TEST(a_disabled_key_is_refused),
		TEST(a_helper_that_hangs_is_given_up),
		TEST(the_next_recipient_is_asked),
		TEST(an_unreadable_configuration_is_an_error),
		TEST(luksDump_shows_the_token),
		TEST(validate_follows_the_strict_rules),
#ifndef __SANITIZE_ADDRESS__
		TEST(stock_cryptsetup_opens_the_volume),
#endif
	};

	return cmocka_run_group_tests(tests, setup_all, remove_all);
}
