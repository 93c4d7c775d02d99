// SPDX-License-Identifier: GPL-2.0-or-later
/* The local keystore under several processes at once, and under those that are killed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "keystore-fixture.h"

static void a_locked_keystore_is_waited_for_until_the_deadline(void **state)
{
	struct host *h = *state;
	struct timespec a, b;
	sqlite3 *db;
	int dir;

	h->conf.timeout = 3;
	assert_int_equal(sqlite3_open(path_of(h, DB_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; PRAGMA user_version = 2",
				      NULL, NULL, NULL), SQLITE_OK);
	clock_gettime(CLOCK_MONOTONIC, &a);
	refused(h, KC_KMS_RETRY, "DependencyTimeoutException", "stayed locked");
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_in_range(b.tv_sec - a.tv_sec, 2, 4);
	sqlite3_close(db);

	dir = open(h->state, O_RDONLY);
	flock(dir, LOCK_EX);
	refused(h, KC_KMS_RETRY, "DependencyTimeoutException", "stayed locked");
	close(dir);
}

/* Runs @fn in @n processes at once; each writes what it got to a pipe that is returned. */
static int crowd(struct host *h, int n, void (*fn)(struct host *h, int out), pid_t *pids)
{
	int out[2], i;

	assert_int_equal(pipe(out), 0);
	for (i = 0; i < n; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			close(out[0]);
			fn(h, out[1]);
			_exit(0);
		}
	}
	close(out[1]);
	return out[0];
}

static void say(int out, const char *key)
{
	char line[KC_UUID_LEN + 8];

	memset(line, ' ', sizeof(line));
	memcpy(line, key, strlen(key));
	line[sizeof(line) - 1] = '\n';
	if (write(out, line, sizeof(line)) != sizeof(line))
		_exit(1);
}

static void use_default(struct host *h, int out)
{
	struct kc_key_info info;
	struct kc_error err;

	if (describe(h, "alias/kcache", &info, &err)) {
		fprintf(stderr, "%d %s [%s]\n", err.code, err.text, err.provider_error);
		_exit(1);
	}
	say(out, info.key);
}

static void all_at_once_get_one_default_key(void **state)
{
	struct host *h = *state;
	char line[KC_UUID_LEN + 8], first[sizeof(line)];
	pid_t pids[24];
	int round, out, n, status, i;

	for (round = 0; round < 4; round++) {
		snprintf(h->state, sizeof(h->state), "%s/state%d", h->dir, round);
		out = crowd(h, 24, use_default, pids);
		for (n = 0; read(out, line, sizeof(line)) == sizeof(line); n++) {
			if (!n)
				memcpy(first, line, sizeof(line));
			assert_memory_equal(first, line, sizeof(line));
		}
		close(out);
		for (i = 0; i < 24; i++) {
			waitpid(pids[i], &status, 0);
			assert_int_equal(status, 0);
		}
		assert_int_equal(n, 24);
	}
}

static void create_for_ever(struct host *h, int out)
{
	for (;;) {
		struct json_object *answer, *v;
		struct kc_error err = { 0 };
		struct kc_kms *kms;

		if (start_kms(h, &kms, &err) ||
		    kc_kms_admin(kms, "local", "CreateKey", NULL, &answer, &err)) {
			fprintf(stderr, "%d %s [%s]\n", err.code, err.text, err.provider_error);
			_exit(1);
		}
		json_object_object_get_ex(answer, "key", &v);
		say(out, json_object_get_string(v));
		json_object_put(answer);
		kc_kms_close(kms);
	}
}

static void nap_us(long us)
{
	const struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

static void no_key_is_lost_when_processes_are_killed(void **state)
{
	struct host *h = *state;
	char line[KC_UUID_LEN + 8];
	struct kc_error err = { 0 };
	struct kc_key_info info;
	struct kc_kms *kms;
	int round, out, i, status, n = 0;
	pid_t pids[6];

	h->conf.audit_file = (char *)"none";
	for (round = 0; round < 12; round++) {
		out = crowd(h, 6, create_for_ever, pids);
		/* the first of them has begun */
		assert_int_equal(read(out, line, sizeof(line)), sizeof(line));
		nap_us(3000 * round + 700);
		for (i = 0; i < 6; i++)
			kill(pids[i], SIGKILL);
		for (i = 0; i < 6; i++) {
			waitpid(pids[i], &status, 0);
			assert_true(WIFSIGNALED(status));
		}
		kms = open_kms(h);
		do {
			n++;
			line[KC_UUID_LEN + 6] = '\0';
			ok_or_show(kc_kms_describe(kms, line, &info, &err), &err, line);
		} while (read(out, line, sizeof(line)) == sizeof(line));
		kc_kms_close(kms);
		close(out);
	}
	assert_true(n >= 12);
}

static void a_keystore_killed_while_it_is_made_is_made_by_the_next(void **state)
{
	struct host *h = *state;
	struct kc_key_info info;
	struct kc_error err;
	pid_t pid;
	int round, fd[2];
	char c;

	h->conf.audit_file = (char *)"none";
	for (round = 0; round < 60; round++) {
		snprintf(h->state, sizeof(h->state), "%s/state%d", h->dir, round);
		assert_int_equal(pipe(fd), 0);
		pid = fork();
		if (!pid) {
			struct kc_kms *kms;

			memset(&err, 0, sizeof(err));
			if (start_kms(h, &kms, &err) || write(fd[1], "x", 1) != 1)
				_exit(1);
			kc_kms_describe(kms, "alias/kcache", &info, &err);
			pause();
		}
		assert_int_equal(read(fd[0], &c, 1), 1);
		nap_us(150 * round);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd[0]);
		close(fd[1]);
		if (describe(h, "alias/kcache", &info, &err))
			fail_msg("after a kill at %d us: %s", 150 * round, err.text);
		assert_false(exists(h, KEY_FILE ".new"));
	}
}

int main(void)
{
#define ON_HOST(fn) cmocka_unit_test_setup_teardown(fn, host_up, host_down)
#define ON_KEYSTORE(fn) cmocka_unit_test_setup_teardown(fn, keystore_up, host_down)
	const struct CMUnitTest tests[] = {
		ON_KEYSTORE(a_locked_keystore_is_waited_for_until_the_deadline),
		ON_HOST(all_at_once_get_one_default_key),
		ON_HOST(no_key_is_lost_when_processes_are_killed),
		ON_HOST(a_keystore_killed_while_it_is_made_is_made_by_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
