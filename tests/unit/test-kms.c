// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client of the key helper against helpers that fail: this program is its
 * own fake helper (main() sees what it was started as), and what it does wrong
 * is named by the state directory that it is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "kms-fixture.h"
#include "kms-wire.h"

extern char **environ;

/* --- the fake helper ------------------------------------------------------------------------ */

static const uint8_t good_dek[KC_DEK_SIZE] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+";

#define ID "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11"
#define KEY "local:11111111-1111-4111-8111-111111111111"
#define HEAD "{\"id\":2,\"request_id\":\"" ID "\","

/* What is answered instead of an answer; "(...)" are not texts but deeds. */
static const struct {
	const char *mode;
	const char *answer;
} garbage_answers[] = {
	{ "not-json", "hello" },
	{ "empty-object", "{}" },
	{ "truncated", HEAD "\"result\":{\"key\":\"" KEY "\"" },
	{ "wrong-id", "{\"id\":1,\"request_id\":\"" ID "\",\"result\":{\"key\":\"" KEY "\",\"length\":64}}" },
	{ "text-id", "{\"id\":\"2\",\"request_id\":\"" ID "\",\"result\":{\"key\":\"" KEY "\",\"length\":64}}" },
	{ "no-request-id", "{\"id\":2,\"result\":{\"key\":\"" KEY "\",\"length\":64}}" },
	{ "result-array", HEAD "\"result\":[]}" },
	{ "trailing", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":64}} x" },
	{ "extra-member", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":64},\"more\":1}" },
	{ "extra-result", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":64,\"dek\":\"00\"}}" },
	{ "text-length", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":\"64\"}}" },
	{ "negative-length", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":-1}}" },
	{ "deep", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]" },
	{ "single-quotes", "{'id':2}" },
	{ "bad-utf8", HEAD "\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"\xff\xfe\",\"next\":\"\"}}" },
	{ "escape-sequence", HEAD "\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"\\u001b[2J\",\"next\":\"\"}}" },
	{ "c1-control", HEAD "\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"\\u009b2J\",\"next\":\"\"}}" },
	{ "nul-in-text", HEAD "\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"a\\u0000b\",\"next\":\"\"}}" },
	{ "error-code-0", HEAD "\"error\":{\"name\":\"X\",\"code\":0,\"text\":\"t\",\"next\":\"\"}}" },
	{ "error-code-10", HEAD "\"error\":{\"name\":\"X\",\"code\":10,\"text\":\"t\",\"next\":\"\"}}" },
	{ "error-no-text", HEAD "\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"\",\"next\":\"\"}}" },
	{ "error-no-next", HEAD "\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"t\"}}" },
	{ "error-and-result", HEAD "\"result\":{},\"error\":{\"name\":\"X\",\"code\":7,\"text\":\"t\",\"next\":\"\"}}" },
};

#define N_GARBAGE (sizeof(garbage_answers) / sizeof(garbage_answers[0]))

static const struct {
	const char *mode;
	const char *answer;
	const char *text;	/* part of the sentence */
} tampered_answers[] = {
	{ "half-a-dek", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":32}}", "has 32 bytes, not 64" },
	{ "too-much", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":65}}", "has 65 bytes, not 64" },
	{ "other-key", HEAD "\"result\":{\"key\":\"local:x\",\"length\":64}}", "answered for local:x" },
	{ "no-key", HEAD "\"result\":{\"length\":64}}", "answered for no key" },
	{ "nothing-written", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":64}}", "two equal halves" },
	{ "equal-halves", HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":64}}", "two equal halves" },
};

#define N_TAMPERED (sizeof(tampered_answers) / sizeof(tampered_answers[0]))

/* Describes this process the way DescribeKey describes a key. */
static void report_self(char *out, size_t size)
{
	int i, fds = 0, env = 0, last = -1;

	for (i = 0; i < 1024; i++)
		if (fcntl(i, F_GETFD) >= 0) {
			fds++;
			last = i;
		}
	while (environ[env])
		env++;
	snprintf(out, size, HEAD "\"result\":{\"provider\":\"local\",\"key\":\"" KEY "\",\"state\":\"Enabled\","
		 "\"version\":1,\"created\":\"\",\"deletion\":\"\",\"description\":\"env %d fds %d last %d tty %d leader %d secret %d\"}}",
		 env, fds, last, isatty(0), getsid(0) == getpid(), getenv("KC_TEST_SECRET") != NULL);
}

static void fake_helper(void)
{
	static char buf[KC_WIRE_MAX], big[KC_WIRE_MAX + 100];
	char mode[PATH_MAX];
	struct json_object *o;
	struct kc_error err = { 0 };
	const char *text = NULL;
	uint8_t *map;
	size_t i, len;
	ssize_t n;

	n = recv(KC_WIRE_SOCKET, buf, sizeof(buf), 0);
	o = n > 0 ? kc_wire_parse(buf, (size_t)n) : NULL;
	if (!o || !kc_wire_str(json_object_object_get(o, "params"), "state_dir", mode, sizeof(mode)))
		_exit(99);
	if (!strcmp(mode, "/dies-at-once"))
		_exit(3);
	text = "{\"id\":1,\"request_id\":\"" ID "\",\"result\":{}}";
	send(KC_WIRE_SOCKET, text, strlen(text), 0);
	if (!strcmp(mode, "/does-not-listen")) {
		sleep(10);	/* much longer than a signal needs */
		_exit(97);
	}
	n = recv(KC_WIRE_SOCKET, buf, sizeof(buf), 0);
	if (n <= 0)
		_exit(0);
	map = kc_secret_map(KC_WIRE_MAPPING, KC_DEK_SIZE, &err);
	text = NULL;
	if (!strcmp(mode, "/hangs")) {
		for (;;)
			pause();
	} else if (!strcmp(mode, "/is-killed")) {
		raise(SIGKILL);
	} else if (!strcmp(mode, "/closes")) {
		close(KC_WIRE_SOCKET);
		pause();
	} else if (!strcmp(mode, "/too-long")) {
		memset(big, ' ', sizeof(big));
		memcpy(big, "{}", 2);
		send(KC_WIRE_SOCKET, big, sizeof(big), 0);
		pause();
	} else if (!strcmp(mode, "/empty")) {
		send(KC_WIRE_SOCKET, "", 0, 0);
		pause();
	} else if (!strcmp(mode, "/good")) {
		memcpy(map, good_dek, KC_DEK_SIZE);
		text = HEAD "\"result\":{\"key\":\"" KEY "\",\"length\":64}}";
	} else if (!strcmp(mode, "/self")) {
		report_self(big, sizeof(big));
		text = big;
	}
	for (i = 0; i < N_GARBAGE; i++)
		if (!strcmp(mode + 1, garbage_answers[i].mode)) {
			memcpy(map, good_dek, KC_DEK_SIZE);
			text = garbage_answers[i].answer;
		}
	for (i = 0; i < N_TAMPERED; i++)
		if (!strcmp(mode + 1, tampered_answers[i].mode)) {
			if (!strcmp(mode, "/equal-halves"))
				memset(map, 0x5a, KC_DEK_SIZE);
			else if (strcmp(mode, "/nothing-written"))
				memcpy(map, good_dek, KC_DEK_SIZE);
			text = tampered_answers[i].answer;
		}
	if (!text)
		_exit(98);
	len = strlen(text);
	send(KC_WIRE_SOCKET, text, len, 0);
	while (recv(KC_WIRE_SOCKET, buf, sizeof(buf), 0) > 0)
		;
	_exit(0);
}

/* --- the tests ------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* No process of ours is left, neither running nor waiting to be reaped. */
static void no_child_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void use_fake(struct host *h, const char *mode)
{
	memset(h->helper, 0, sizeof(h->helper));
	assert_true(readlink("/proc/self/exe", h->helper, sizeof(h->helper) - 1) > 0);
	snprintf(h->state, sizeof(h->state), "/%s", mode);
}

/* What the helper shares with us holds nothing, whoever wrote to it. */
static void the_mapping_is_clear(void)
{
	static const uint8_t zeros[KC_DEK_SIZE];
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long at;
	char line[512];
	int found = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "secretmem") && !strstr(line, "kcache-secret"))
			continue;
		assert_int_equal(sscanf(line, "%lx-", &at), 1);
		assert_memory_equal((const void *)at, zeros, KC_DEK_SIZE);
		found++;
	}
	fclose(f);
	assert_int_equal(found, 1);
}

/* Decrypt by a fake: its exit code, and nothing in the mapping but what a good answer left. */
static int decrypt(struct host *h, struct kc_error *err)
{
	static const uint8_t zeros[KC_DEK_SIZE];
	uint8_t wrapped[16] = { 1 };
	const uint8_t *dek = wrapped;
	struct kc_key_info info;
	struct kc_binding b;
	struct kc_kms *kms;
	int r;

	kms = open_kms(h);
	volume_context(&b, KEY);
	r = kc_kms_decrypt(kms, &b, wrapped, sizeof(wrapped), &dek, err);
	if (r) {
		assert_null(dek);
		assert_int_equal(err->code, r);
		the_mapping_is_clear();
	} else {
		assert_memory_equal(dek, good_dek, KC_DEK_SIZE);
		kc_kms_wipe(kms);
		assert_memory_equal(dek, zeros, KC_DEK_SIZE);
	}
	if (r == KC_KMS_RETRY) {
		/* and no more is asked of it */
		struct kc_error again = { 0 };

		assert_int_equal(kc_kms_describe(kms, KEY, &info, &again), KC_KMS_RETRY);
		assert_non_null(strstr(again.text, "not running"));
	}
	kc_kms_close(kms);
	no_child_is_left();
	return r;
}

static void a_good_answer_is_taken(void **state)
{
	struct kc_error err = { 0 };

	use_fake(*state, "good");
	ok_or_show(decrypt(*state, &err), &err, "decrypt");
}

static void garbage_is_no_answer(void **state)
{
	size_t i;

	for (i = 0; i < N_GARBAGE; i++) {
		struct kc_error err = { 0 };

		use_fake(*state, garbage_answers[i].mode);
		if (decrypt(*state, &err) != KC_KMS_RETRY)
			fail_msg("%s: %d %s", garbage_answers[i].mode, err.code, err.text);
		if (!strstr(err.text, "no valid answer to Decrypt"))
			fail_msg("%s: %s", garbage_answers[i].mode, err.text);
	}
}

static void an_overlong_answer_is_no_answer(void **state)
{
	struct kc_error err = { 0 };

	use_fake(*state, "too-long");
	assert_int_equal(decrypt(*state, &err), KC_KMS_RETRY);
	assert_non_null(strstr(err.text, "no valid answer"));
}

static void an_empty_message_is_no_answer(void **state)
{
	struct kc_error err = { 0 };

	use_fake(*state, "empty");
	assert_int_equal(decrypt(*state, &err), KC_KMS_RETRY);
}

static void a_dek_that_is_none_is_tampering(void **state)
{
	size_t i;

	for (i = 0; i < N_TAMPERED; i++) {
		struct kc_error err = { 0 };

		use_fake(*state, tampered_answers[i].mode);
		if (decrypt(*state, &err) != KC_TAMPERED || !strstr(err.text, tampered_answers[i].text))
			fail_msg("%s: %d %s", tampered_answers[i].mode, err.code, err.text);
	}
}

static void a_helper_that_dies_is_told_apart(void **state)
{
	struct kc_error err = { 0 };
	struct host *h = *state;
	struct kc_kms *kms;

	use_fake(h, "is-killed");
	assert_int_equal(decrypt(h, &err), KC_KMS_RETRY);
	assert_non_null(strstr(err.text, "was killed by signal 9"));

	kc_error_clear(&err);
	use_fake(h, "closes");
	assert_int_equal(decrypt(h, &err), KC_KMS_RETRY);
	assert_non_null(strstr(err.text, "closed its socket"));

	kc_error_clear(&err);
	use_fake(h, "dies-at-once");
	assert_int_equal(start_kms(h, &kms, &err), KC_KMS_RETRY);
	assert_null(kms);
	assert_non_null(strstr(err.text, "ended with status 3"));
	no_child_is_left();
}

static void the_deadline_holds_for_a_helper_that_hangs(void **state)
{
	struct kc_error err = { 0 };
	struct host *h = *state;
	int64_t start = now_ms();

	use_fake(h, "hangs");
	h->conf.timeout = 1;
	assert_int_equal(decrypt(h, &err), KC_KMS_RETRY);
	assert_in_range(now_ms() - start, 900, 1900);
	assert_non_null(strstr(err.text, "within 1 seconds"));
}

static void a_share_of_the_deadline_holds_and_the_next_one_gets_the_rest(void **state)
{
	struct kc_error err = { 0 };
	struct host *h = *state;
	struct kc_key_info info;
	struct kc_kms *kms;
	int64_t start;

	use_fake(h, "hangs");
	h->conf.timeout = 3;
	assert_int_equal(kc_kms_open(&h->conf, &kms, &err), 0);
	start = now_ms();
	kc_kms_share(kms, 3);
	assert_int_equal(kc_kms_describe(kms, KEY, &info, &err), KC_KMS_RETRY);
	assert_in_range(now_ms() - start, 900, 1500);
	assert_non_null(strstr(err.text, "within 1 seconds"));
	/* started anew, it hangs once more, and until the deadline of all */
	kc_error_clear(&err);
	kc_kms_share(kms, 1);
	assert_int_equal(kc_kms_describe(kms, KEY, &info, &err), KC_KMS_RETRY);
	assert_in_range(now_ms() - start, 2900, 3900);
	assert_non_null(strstr(err.text, "within 2 seconds"));
	kc_kms_close(kms);
	no_child_is_left();
}

static void the_helper_inherits_nothing(void **state)
{
	struct kc_error err = { 0 };
	struct kc_key_info info;
	struct kc_kms *kms;
	int fds[20];
	size_t i;

	for (i = 0; i < 20; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	setenv("KC_TEST_SECRET", "hunter2", 1);
	use_fake(*state, "self");
	kms = open_kms(*state);
	ok_or_show(kc_kms_describe(kms, KEY, &info, &err), &err, "describe");
	/* 0 to 2, the socket, the mapping; PATH and LANG */
	assert_string_equal(info.description, "env 2 fds 5 last 4 tty 0 leader 1 secret 0");
	kc_kms_close(kms);
	unsetenv("KC_TEST_SECRET");
	for (i = 0; i < 20; i++)
		close(fds[i]);
}

static void expect_open(struct host *h, int code, const char *text)
{
	struct kc_error err = { 0 };
	struct kc_kms *kms = (struct kc_kms *)h;

	assert_int_equal(start_kms(h, &kms, &err), code);
	assert_null(kms);
	if (!strstr(err.text, text) || !strstr(err.text, h->helper))
		fail_msg("%s", err.text);
	assert_true(strlen(err.next) > 10);
	no_child_is_left();
}

static void a_helper_that_cannot_be_run_says_why(void **state)
{
	struct host *h = *state;
	FILE *f;

	snprintf(h->helper, sizeof(h->helper), "%s/nothing", h->dir);
	expect_open(h, KC_USAGE, "No such file");

	snprintf(h->helper, sizeof(h->helper), "%s", h->dir);
	expect_open(h, KC_USAGE, "is not a file");

	snprintf(h->helper, sizeof(h->helper), "%s/helper", h->dir);
	f = fopen(h->helper, "w");
	fputs("no program\n", f);
	fclose(f);
	chmod(h->helper, 0644);
	expect_open(h, KC_PERM, "Permission denied");
	chmod(h->helper, 0755);
	expect_open(h, KC_PERM, "Exec format error");
	chmod(h->helper, 0757);
	expect_open(h, KC_PERM, "can be changed by others");
	chmod(h->helper, 0775);
	expect_open(h, KC_PERM, "can be changed by others");
	if (geteuid() == 0) {
		chmod(h->helper, 0755);
		assert_int_equal(chown(h->helper, 65534, 0), 0);
		expect_open(h, KC_PERM, "can be changed by others");
	}
}

static void an_ignored_sigchld_does_no_harm(void **state)
{
	struct kc_error err = { 0 };
	struct kc_key_info info;
	struct kc_kms *kms;

	signal(SIGCHLD, SIG_IGN);
	kms = open_kms(*state);
	ok_or_show(kc_kms_describe(kms, "alias/kcache", &info, &err), &err, "describe");
	kc_kms_close(kms);
	signal(SIGCHLD, SIG_DFL);
	no_child_is_left();
}

static void the_helper_does_not_outlive_the_command(void **state)
{
	struct host *h = *state;
	int gone[2], status;
	char c;
	pid_t pid;

	/* an orphan becomes the child of the nearest subreaper */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(gone), 0);
	pid = fork();
	if (!pid) {
		struct kc_error err = { 0 };
		struct kc_kms *kms;

		use_fake(h, "does-not-listen");
		if (start_kms(h, &kms, &err))
			_exit(1);
		if (write(gone[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(gone[1]);
	assert_int_equal(read(gone[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* its helper is ours now: it ends by the signal that its parent's death sends */
	pid = waitpid(-1, &status, 0);
	assert_true(pid > 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	no_child_is_left();
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	close(gone[0]);
}

static void every_call_is_in_the_audit_file(void **state)
{
	struct host *h = *state;
	struct kc_error err = { 0 };
	char line[4096];
	FILE *f;

	use_fake(h, "good");
	ok_or_show(decrypt(h, &err), &err, "decrypt");
	use_fake(h, "half-a-dek");
	assert_int_equal(decrypt(h, &err), KC_TAMPERED);

	f = fopen(h->audit, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, "\"event\":\"Decrypt\",\"result\":\"succeeded\""));
	assert_non_null(strstr(line, "\"volume\":\"" ID "\""));
	assert_non_null(strstr(line, "\"key\":\"" KEY "\""));
	assert_non_null(strstr(line, "\"request-id\":\"" ID "\""));
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, "\"event\":\"Decrypt\",\"result\":\"failed\""));
	assert_non_null(strstr(line, "has 32 bytes"));
	assert_null(fgets(line, sizeof(line), f));
	fclose(f);
}

static void a_key_use_that_can_be_recorded_nowhere_fails(void **state)
{
	struct host *h = *state;
	struct kc_error err = { 0 };

	if (!access("/run/systemd/journal/socket", F_OK))
		skip();	/* the journal has it then */
	use_fake(h, "good");
	snprintf(h->audit, sizeof(h->audit), "%s/missing/log/audit.jsonl", h->dir);
	assert_int_equal(decrypt(h, &err), KC_DEVICE);
	assert_non_null(strstr(err.text, "cannot write the audit file"));
	kc_error_clear(&err);
	h->conf.audit_file = (char *)"none";
	ok_or_show(decrypt(h, &err), &err, "decrypt");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, host_up, host_down)
	const struct CMUnitTest tests[] = {
		T(a_good_answer_is_taken),
		T(garbage_is_no_answer),
		T(an_overlong_answer_is_no_answer),
		T(an_empty_message_is_no_answer),
		T(a_dek_that_is_none_is_tampering),
		T(a_helper_that_dies_is_told_apart),
		T(the_deadline_holds_for_a_helper_that_hangs),
		T(a_share_of_the_deadline_holds_and_the_next_one_gets_the_rest),
		T(the_helper_inherits_nothing),
		T(a_helper_that_cannot_be_run_says_why),
		T(an_ignored_sigchld_does_no_harm),
		T(the_helper_does_not_outlive_the_command),
		T(every_call_is_in_the_audit_file),
		T(a_key_use_that_can_be_recorded_nowhere_fails),
	};
	int type;
	socklen_t len = sizeof(type);

	if (!strcmp(program_invocation_name, "kcache-keyhelper") &&
	    !getsockopt(KC_WIRE_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET)
		fake_helper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
