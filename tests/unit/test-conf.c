// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache.conf: defaults, order, and that nothing wrong goes unseen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf.h"

#define LOCAL_KEY "local:11111111-2222-4333-8444-555555555555"
#define ARN "arn:aws:kms:eu-central-1:111122223333:key/"
#define ID "11111111-2222-4333-8444-555555555555"

static char dir[64], path[80], extra[96];

static int new_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/kcache-conf-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/kcache.conf", dir);
	snprintf(extra, sizeof(extra), "%s.d", path);
	umask(022);
	return 0;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void write_conf(const char *file, const char *text)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void refused(const char *text, enum kc_exit code, const char *says)
{
	struct kc_error err = { 0 };
	struct kc_conf c;

	write_conf(path, text);
	if (kc_conf_load(path, &c, &err) != (int)code)
		fail_msg("%s: code %d, text \"%s\"", text, err.code, err.text);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say: %s", err.text, says);
	kc_conf_free(&c);
}

static void an_empty_file_is_the_defaults(void **state)
{
	struct kc_error err = { 0 };
	struct kc_conf c;

	write_conf(path, "\n  # nothing = here\n");
	assert_int_equal(kc_conf_load(path, &c, &err), 0);
	assert_string_equal(c.default_key, "local:alias/kcache");
	assert_string_equal(c.state_dir, "/var/lib/kcache");
	assert_string_equal(c.audit_file, "/var/log/kcache/audit.jsonl");
	assert_null(c.audit_anchor);
	assert_non_null(strstr(c.helper, "/kcache-keyhelper"));
	assert_int_equal(c.timeout, 60);
	assert_int_equal(c.n_allow_keys, 0);
	kc_conf_free(&c);
}

static void every_setting_is_read(void **state)
{
	struct kc_error err = { 0 };
	struct kc_conf c;

	write_conf(path, "default_key=local:alias/other\n state_dir = /srv/a b \r\naudit_file=none\n"
			 "audit_anchor = |/bin/logger -n loghost\n"
			 "helper = /opt/h\ntimeout = 5\nallow_key = " LOCAL_KEY "\nallow_key = tpm2:*");
	setenv("KCACHE_CONFIG", path, 1);
	assert_int_equal(kc_conf_load(NULL, &c, &err), 0);
	unsetenv("KCACHE_CONFIG");
	assert_string_equal(c.default_key, "local:alias/other");
	assert_string_equal(c.state_dir, "/srv/a b");
	assert_string_equal(c.audit_file, "none");
	assert_string_equal(c.audit_anchor, "|/bin/logger -n loghost");
	assert_string_equal(c.helper, "/opt/h");
	assert_int_equal(c.timeout, 5);
	assert_int_equal(c.n_allow_keys, 2);
	assert_string_equal(c.allow_keys[0], LOCAL_KEY);
	assert_string_equal(c.allow_keys[1], "tpm2:*");
	kc_conf_free(&c);
}

static void a_later_file_wins_and_lists_add_up(void **state)
{
	struct kc_error err = { 0 };
	struct kc_conf c;
	char file[128];

	write_conf(path, "timeout = 1\nallow_key = local:*\n");
	assert_int_equal(mkdir(extra, 0755), 0);
	snprintf(file, sizeof(file), "%s/20.conf", extra);
	write_conf(file, "timeout = 20\nallow_key = tpm2:*\n");
	snprintf(file, sizeof(file), "%s/10.conf", extra);
	write_conf(file, "timeout = 10\nallow_key = pkcs11:*\n");
	snprintf(file, sizeof(file), "%s/30.conf.bak", extra);
	write_conf(file, "not read\n");
	assert_int_equal(kc_conf_load(path, &c, &err), 0);
	assert_int_equal(c.timeout, 20);
	assert_int_equal(c.n_allow_keys, 3);
	assert_string_equal(c.allow_keys[0], "local:*");
	assert_string_equal(c.allow_keys[1], "pkcs11:*");
	assert_string_equal(c.allow_keys[2], "tpm2:*");
	kc_conf_free(&c);

	write_conf(file, "");
	snprintf(file, sizeof(file), "%s/40.conf", extra);
	write_conf(file, "allow_keys = local:*\n");
	assert_int_equal(kc_conf_load(path, &c, &err), KC_USAGE);
	assert_non_null(strstr(err.text, "40.conf:1: there is no setting \"allow_keys\""));
	kc_conf_free(&c);
}

static void what_is_not_understood_is_an_error(void **state)
{
	refused("allow_keys = local:*\n", KC_USAGE, "kcache.conf:1: there is no setting \"allow_keys\"");
	refused("\nAllow_key = local:*\n", KC_USAGE, ":2: there is no setting \"Allow_key\"");
	refused("timeout\n", KC_USAGE, "\"timeout\" is not \"name = value\"");
	refused("timeout =\n", KC_USAGE, "timeout is \"\", not a value");
	refused("timeout = 0\n", KC_USAGE, "timeout is \"0\", not a number of seconds");
	refused("timeout = 1m\n", KC_USAGE, "timeout is \"1m\"");
	refused("timeout = -1\n", KC_USAGE, "timeout is \"-1\"");
	refused("timeout = 3601\n", KC_USAGE, "timeout is \"3601\"");
	refused("timeout = 1\ntimeout = 2\n", KC_USAGE, ":2: timeout is set twice");
	refused("state_dir = var\n", KC_USAGE, "state_dir is \"var\", not an absolute path");
	refused("helper = h\n", KC_USAGE, "helper is \"h\"");
	refused("audit_file = a\n", KC_USAGE, "audit_file is \"a\"");
	refused("audit_anchor = a\n", KC_USAGE, "audit_anchor is \"a\", not an absolute path");
	refused("audit_anchor = | /bin/x\n", KC_USAGE, "audit_anchor is \"| /bin/x\"");
	refused("audit_anchor = |/bin/x >y\n", KC_USAGE, "audit_anchor is \"|/bin/x >y\"");
	refused("default_key = a b\n", KC_USAGE, "default_key is \"a b\"");
}

static void a_policy_is_read_with_its_places(void **state)
{
	struct kc_error err = { 0 };
	char file[128], where[160];
	struct kc_conf c;

	write_conf(path, "default_key = local:alias/a\nforbid_plaintext = yes\nrequire = ID_SERIAL=vol*\n");
	assert_int_equal(mkdir(extra, 0755), 0);
	snprintf(file, sizeof(file), "%s/10.conf", extra);
	write_conf(file, "# more\nexempt = ID_BUS=usb  ID_MODEL=*stick*\nforbid_plaintext = no\nrequire = DEVNAME=/dev/vd?\n");
	assert_int_equal(kc_conf_load(path, &c, &err), 0);
	assert_int_equal(c.n_rules, 3);
	assert_false(c.rules[0].exempt);
	assert_string_equal(c.rules[0].match, "ID_SERIAL=vol*");
	assert_true(c.rules[1].exempt);
	assert_string_equal(c.rules[1].match, "ID_BUS=usb  ID_MODEL=*stick*");
	snprintf(where, sizeof(where), "%s:2", file);
	assert_string_equal(c.rules[1].where, where);
	assert_string_equal(c.rules[2].match, "DEVNAME=/dev/vd?");
	assert_false(c.forbid_plaintext);
	snprintf(where, sizeof(where), "%s:3", file);
	assert_string_equal(c.forbid_where, where);
	snprintf(where, sizeof(where), "%s:1", path);
	assert_string_equal(c.default_key_where, where);
	kc_conf_free(&c);

	refused("require = sdb\n", KC_USAGE, "require is \"sdb\", not PROPERTY=GLOB words");
	refused("require = ID_SERIAL\n", KC_USAGE, "require is \"ID_SERIAL\"");
	refused("require = ID_SERIAL=\n", KC_USAGE, "require is \"ID_SERIAL=\"");
	refused("require = ID_SERIAL= vol\n", KC_USAGE, "require is \"ID_SERIAL= vol\"");
	refused("require = ID_SERIAL=a vol\n", KC_USAGE, "require is \"ID_SERIAL=a vol\"");
	refused("require = =a\n", KC_USAGE, "require is \"=a\"");
	refused("require = ID-X=a\n", KC_USAGE, "require is \"ID-X=a\"");
	refused("exempt =\n", KC_USAGE, "exempt is \"\", not a value");
	refused("forbid_plaintext = 1\n", KC_USAGE, "forbid_plaintext is \"1\", not yes or no");
	refused("forbid_plaintext = no\nforbid_plaintext = yes\n", KC_USAGE, ":2: forbid_plaintext is set twice");
}

static void an_open_pattern_is_refused(void **state)
{
	static const char *const wrong[] = {
		"*", "l*", "local*", "local:1*", "local:alias/x", "arn:*", "arn:aws:kms:*",
		"arn:aws:kms:eu-central-1:*", "arn:aws:kms:eu-central-1:111122223333:*",
		"arn:aws:kms:*:111122223333:key/*", ARN "1*", "local:**", "local:*,tpm2:*",
		"arn:aws:kms:eu-central-1:111122223333:alias/*", "nothing",
	};
	struct kc_error err = { 0 };
	char text[256];
	struct kc_conf c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "allow_key = %s\n", wrong[i]);
		refused(text, KC_USAGE, "not a canonical key id");
	}
	write_conf(path, "allow_key = " ARN "*\nallow_key = " ARN ID "\n");
	assert_int_equal(kc_conf_load(path, &c, &err), 0);
	assert_int_equal(c.n_allow_keys, 2);
	kc_conf_free(&c);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
	struct kc_error err = { 0 };
	struct kc_conf c;

	write_conf(path, "");
	assert_int_equal(chmod(path, 0664), 0);
	refused("", KC_PERM, "may be written by others (mode 0664)");
	assert_int_equal(chmod(path, 0646), 0);
	refused("", KC_PERM, "may be written by others (mode 0646)");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(mkdir(extra, 0777), 0);
	assert_int_equal(chmod(extra, 0777), 0);
	assert_int_equal(kc_conf_load(path, &c, &err), KC_PERM);
	assert_non_null(strstr(err.text, "kcache.conf.d may be written by others"));
	kc_conf_free(&c);
	if (geteuid() == 0) {
		assert_int_equal(chmod(extra, 0755), 0);
		assert_int_equal(chown(path, 4711, 0), 0);
		refused("", KC_PERM, "belongs to user 4711");
	}
}

static void a_file_named_but_not_there_is_an_error(void **state)
{
	struct kc_error err = { 0 };
	struct kc_conf c;

	assert_int_equal(kc_conf_load(path, &c, &err), KC_USAGE);
	assert_non_null(strstr(err.text, path));
	kc_conf_free(&c);
	kc_error_clear(&err);
	assert_int_equal(kc_conf_load(dir, &c, &err), KC_USAGE);
	assert_non_null(strstr(err.text, "not a regular file"));
	kc_conf_free(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, new_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_file_is_the_defaults),
		TEST(every_setting_is_read),
		TEST(a_later_file_wins_and_lists_add_up),
		TEST(what_is_not_understood_is_an_error),
		TEST(a_policy_is_read_with_its_places),
		TEST(an_open_pattern_is_refused),
		TEST(a_file_that_others_may_write_is_refused),
		TEST(a_file_named_but_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
