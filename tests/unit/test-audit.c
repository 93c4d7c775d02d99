// SPDX-License-Identifier: GPL-2.0-or-later
/* The audit file: whole lines, one an event, whatever is in them and whoever writes at once. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "audit-chain.h"
#include "audit.h"
#include "kms-fixture.h"

static const struct kc_event attach = {
	.event = "attachVolume",
	.volume = "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11",
	.device = "/dev/vdb",
	.name = "data",
	.key = "local:11111111-1111-4111-8111-111111111111",
	.request_id = "22222222-2222-4222-8222-222222222222",
};

static bool journal_is_there(void)
{
	return !access("/run/systemd/journal/socket", F_OK);
}

static void write_event(struct host *h, const struct kc_event *e)
{
	struct kc_error err = { 0 };

	ok_or_show(kc_audit(&h->conf, e, &err), &err, "kc_audit");
}

/* Line @n of the file as JSON; NULL if there is none. */
static struct json_object *line(struct host *h, int n)
{
	struct json_object *o = NULL;
	char buf[8192];
	FILE *f = fopen(h->audit, "r");

	assert_non_null(f);
	while (n-- >= 0)
		if (!fgets(buf, sizeof(buf), f)) {
			fclose(f);
			return NULL;
		}
	fclose(f);
	o = json_tokener_parse(buf);
	if (!o)
		fail_msg("no JSON: %s", buf);
	return o;
}

static void has(struct json_object *o, const char *name, const char *value)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v))
		fail_msg("there is no %s", name);
	assert_string_equal(json_object_get_string(v), value);
}

static void an_event_is_a_line_with_all_that_is_known(void **state)
{
	struct host *h = *state;
	struct json_object *o;
	struct stat st;
	char host[65] = "";

	write_event(h, &attach);
	o = line(h, 0);
	has(o, "event", "attachVolume");
	has(o, "result", "succeeded");
	has(o, "volume", attach.volume);
	has(o, "device", "/dev/vdb");
	has(o, "name", "data");
	has(o, "key", attach.key);
	has(o, "request-id", attach.request_id);
	gethostname(host, sizeof(host) - 1);
	has(o, "host", host);
	assert_int_equal(json_object_get_int(json_object_object_get(o, "uid")), getuid());
	assert_int_equal(json_object_get_int(json_object_object_get(o, "pid")), getpid());
	assert_int_equal(strlen(json_object_get_string(json_object_object_get(o, "time"))), 24);
	assert_false(json_object_object_get_ex(o, "cause", NULL));
	has(o, "previous", KC_CHAIN_BEGIN);
	has(o, "seq", "1");
	assert_true(kc_chain_valid(json_object_get_string(json_object_object_get(o, "chain"))));
	json_object_put(o);
	assert_null(line(h, 1));

	assert_int_equal(stat(h->audit, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	*strrchr(h->audit, '/') = '\0';
	assert_int_equal(stat(h->audit, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_failure_has_its_cause(void **state)
{
	struct host *h = *state;
	struct kc_event e = { .event = "Decrypt" };
	struct kc_error cause = { .provider_error = "DisabledException" };
	struct json_object *o;

	kc_fail(&cause, KC_KMS_REFUSED, NULL, "local:x is disabled");
	e.err = &cause;
	write_event(h, &attach);
	write_event(h, &e);
	o = line(h, 1);
	has(o, "event", "Decrypt");
	has(o, "result", "failed");
	has(o, "cause", "local:x is disabled");
	has(o, "error", "DisabledException");
	has(o, "exit-code", "7");
	assert_false(json_object_object_get_ex(o, "volume", NULL));
	json_object_put(o);
}

static void names_cannot_forge_a_line(void **state)
{
	struct host *h = *state;
	struct kc_event e = attach;
	struct json_object *o;

	e.name = "x\"}\n{\"event\":\"detachVolume\"}\n\x1b[2J";
	write_event(h, &e);
	o = line(h, 0);
	has(o, "name", e.name);
	has(o, "event", "attachVolume");
	json_object_put(o);
	assert_null(line(h, 1));
}

static void a_line_that_a_power_cut_left_half_is_closed(void **state)
{
	struct host *h = *state;
	struct json_object *o;
	FILE *f;

	write_event(h, &attach);
	f = fopen(h->audit, "a");
	fputs("{\"time\":\"2026", f);
	fclose(f);
	write_event(h, &attach);
	o = line(h, 2);
	has(o, "event", "attachVolume");
	json_object_put(o);
	assert_null(line(h, 3));
}

static void refused(struct host *h, int code, const char *text)
{
	struct kc_error err = { 0 };

	assert_int_equal(kc_audit(&h->conf, &attach, &err), code);
	if (!strstr(err.text, text) || !strstr(err.text, h->conf.audit_file))
		fail_msg("%s", err.text);
	assert_true(strlen(err.next) > 10);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
	struct host *h = *state;
	char away[128];

	if (journal_is_there())
		skip();	/* the journal has the event then, and it is no error */
	write_event(h, &attach);
	chmod(h->audit, 0620);
	refused(h, KC_PERM, "only uid");
	chmod(h->audit, 0602);
	refused(h, KC_PERM, "only uid");
	chmod(h->audit, 0640);	/* a log may be read by a group */
	write_event(h, &attach);

	snprintf(away, sizeof(away), "%s/away", h->dir);
	assert_int_equal(rename(h->audit, away), 0);
	assert_int_equal(symlink(away, h->audit), 0);
	refused(h, KC_DEVICE, "Too many levels");
	unlink(h->audit);
	mkdir(h->audit, 0700);
	refused(h, KC_DEVICE, "Is a directory");
	h->conf.audit_file = (char *)"/dev/full";
	refused(h, KC_PERM, "is not a file");
	h->conf.audit_file = (char *)"/proc/nothing/audit.jsonl";
	refused(h, KC_DEVICE, "No such file");
}

static void none_is_the_journal_alone(void **state)
{
	struct host *h = *state;

	h->conf.audit_file = (char *)"none";
	write_event(h, &attach);
	assert_int_equal(access(h->audit, F_OK), -1);
	assert_int_equal(access("none", F_OK), -1);
}

static void a_full_disk_leaves_no_half_line(void **state)
{
	struct host *h = *state;
	struct json_object *o;
	struct stat st;
	off_t before;
	pid_t pid;
	int status;

	if (journal_is_there())
		skip();
	write_event(h, &attach);
	stat(h->audit, &st);
	before = st.st_size;
	pid = fork();
	if (!pid) {
		const struct rlimit lim = { (rlim_t)before + 20, (rlim_t)before + 20 };
		struct kc_error err = { 0 };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &lim);
		_exit(kc_audit(&h->conf, &attach, &err));
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), KC_DEVICE);
	stat(h->audit, &st);
	assert_int_equal(st.st_size, before);
	/* nor a gap in the chain */
	write_event(h, &attach);
	o = line(h, 1);
	has(o, "seq", "2");
	assert_false(json_object_object_get_ex(o, "previous", NULL));
	json_object_put(o);
}

/* A journal of this test's own: where libsystemd sends entries to. Its socket, or -1. */
static int private_journal(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) || mkdir("/run/systemd", 0755) || mkdir("/run/systemd/journal", 0755) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The entry has the line @text, between line feeds. */
static bool has_field(const char *entry, const char *text)
{
	char want[256];

	snprintf(want, sizeof(want), "\n%s\n", text);
	return strstr(entry, want) || !strncmp(entry, want + 1, strlen(want) - 1);
}

static int journal_gets(struct host *h)
{
	struct kc_error err = { 0 };
	char entry[8192] = "", want[256];
	struct json_object *o;
	int fd = private_journal();

	if (fd < 0)
		return 77;
	if (kc_audit(&h->conf, &attach, &err) || recv(fd, entry, sizeof(entry) - 1, MSG_DONTWAIT) <= 0)
		return 1;
	o = line(h, 0);
	snprintf(want, sizeof(want), "KCACHE_CHAIN=%s", json_object_get_string(json_object_object_get(o, "chain")));
	if (!has_field(entry, want) || !has_field(entry, "KCACHE_SEQ=1") || !has_field(entry, "SYSLOG_IDENTIFIER=kcache") ||
	    !has_field(entry, "KCACHE_REQUEST_ID=22222222-2222-4222-8222-222222222222"))
		return 2;
	snprintf(want, sizeof(want), "KCACHE_TIME=%s", json_object_get_string(json_object_object_get(o, "time")));
	json_object_put(o);
	if (!has_field(entry, want))
		return 3;
	snprintf(want, sizeof(want), "KCACHE_AUDIT_FILE=%s", h->audit);
	if (!has_field(entry, want))
		return 4;
	/* what is not in the file has no place in its chain; and it is no failure, it is recorded here */
	chmod(h->audit, 0602);
	memset(entry, 0, sizeof(entry));
	if (kc_audit(&h->conf, &attach, &err) || recv(fd, entry, sizeof(entry) - 1, MSG_DONTWAIT) <= 0 ||
	    !has_field(entry, "KCACHE_EVENT=attachVolume") || strstr(entry, "KCACHE_SEQ") || strstr(entry, "KCACHE_AUDIT_FILE"))
		return 5;
	memset(entry, 0, sizeof(entry));
	return recv(fd, entry, sizeof(entry) - 1, MSG_DONTWAIT) > 0 && strstr(entry, "only uid") ? 0 : 6;
}

static void the_journal_is_an_anchor(void **state)
{
	int status;
	pid_t pid;

	if (geteuid())
		skip();
	pid = fork();
	if (!pid)
		_exit(journal_gets(*state));
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void forms_are_strict(void **state)
{
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TIME " 2026-11-25T02:40:00.123Z"
	static const struct {
		const char *line;
		enum kc_anchor_form form;
	} anchors[] = {
		{ "7 " HEX TIME, KC_ANCHOR_GOOD },
		{ "123456789012345 " HEX TIME, KC_ANCHOR_GOOD },
		{ "", KC_ANCHOR_INCOMPLETE },
		{ "7", KC_ANCHOR_INCOMPLETE },
		{ "7 " HEX, KC_ANCHOR_INCOMPLETE },
		{ "7 " HEX " 2026-11-25T02:40:00.123", KC_ANCHOR_INCOMPLETE },
		{ "7 " HEX TIME " ", KC_ANCHOR_BAD },
		{ "07 " HEX TIME, KC_ANCHOR_BAD },
		{ "1234567890123456 " HEX TIME, KC_ANCHOR_BAD },
		{ "-7 " HEX TIME, KC_ANCHOR_BAD },
		{ " 7 " HEX TIME, KC_ANCHOR_BAD },
		{ "7 0" HEX TIME, KC_ANCHOR_BAD },
		{ "7 x", KC_ANCHOR_BAD },
	};
	static const struct {
		const char *line;
		bool good;
	} lines[] = {
		{ "{\"a\":1,\"seq\":7,\"chain\":\"" HEX "\"}", true },
		{ "{\"a\":1,\"seq\":7,\"chain\":\"" HEX "\"} ", false },
		{ "{\"a\":1,\"seq\":07,\"chain\":\"" HEX "\"}", false },
		{ "{\"a\":1,\"seq\":,\"chain\":\"" HEX "\"}", false },
		{ "{\"a\":1,\"seq\":1234567890123456,\"chain\":\"" HEX "\"}", false },
		{ "{,\"seq\":7,\"chain\":\"" HEX "\"}", false },
		{ "\"a\":1,\"seq\":7,\"chain\":\"" HEX "\"}", false },
		{ "{\"a\":1,\"chain\":\"" HEX "\"}", false },
		{ "{\"a\":1,\"seq\":7,\"chain\":\"0" HEX "\"}", false },
		{ "{\"a\":\",\\\"seq\\\":7,\\\"chain\\\":\\\"" HEX "\"}", false },
		{ HEX "\"}", false },
		{ "\"}", false },
		{ "", false },
	};
	char when[KC_CHAIN_TIME + 1];
	struct kc_chain c;
	size_t i, body;

	for (i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++)
		if (kc_anchor_line(anchors[i].line, strlen(anchors[i].line), &c, when) != anchors[i].form)
			fail_msg("%s", anchors[i].line);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (kc_chain_line(lines[i].line, strlen(lines[i].line), &c, &body) != lines[i].good)
			fail_msg("%s", lines[i].line);
	assert_true(kc_chain_line(lines[0].line, strlen(lines[0].line), &c, &body));
	assert_int_equal(c.seq, 7);
	assert_string_equal(c.value, HEX);
	assert_memory_equal(lines[0].line + body, ",\"chain\"", 8);
}

static void many_writers_lose_nothing(void **state)
{
	enum { WRITERS = 8, EVENTS = 40 };
	struct host *h = *state;
	int i, n, status, seen[WRITERS] = { 0 };
	struct json_object *o;
	char name[16], seq[16];

	for (i = 0; i < WRITERS; i++)
		if (!fork()) {
			struct kc_event e = attach;

			snprintf(name, sizeof(name), "%d", i);
			e.name = name;
			for (n = 0; n < EVENTS; n++) {
				struct kc_error err = { 0 };

				if (kc_audit(&h->conf, &e, &err))
					_exit(1);
			}
			_exit(0);
		}
	for (i = 0; i < WRITERS; i++) {
		wait(&status);
		assert_int_equal(status, 0);
	}
	for (n = 0; (o = line(h, n)); n++) {
		seen[atoi(json_object_get_string(json_object_object_get(o, "name")))]++;
		snprintf(seq, sizeof(seq), "%d", n + 1);
		has(o, "seq", seq);
		assert_int_equal(json_object_object_get_ex(o, "previous", NULL), n == 0);
		json_object_put(o);
	}
	assert_int_equal(n, WRITERS * EVENTS);
	for (i = 0; i < WRITERS; i++)
		assert_int_equal(seen[i], EVENTS);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, host_up, host_down)
	const struct CMUnitTest tests[] = {
		T(an_event_is_a_line_with_all_that_is_known),
		T(a_failure_has_its_cause),
		T(names_cannot_forge_a_line),
		T(a_line_that_a_power_cut_left_half_is_closed),
		T(a_file_that_others_may_write_is_refused),
		T(none_is_the_journal_alone),
		T(a_full_disk_leaves_no_half_line),
		T(the_journal_is_an_anchor),
		T(forms_are_strict),
		T(many_writers_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
