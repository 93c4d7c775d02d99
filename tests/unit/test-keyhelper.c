// SPDX-License-Identifier: GPL-2.0-or-later
/* What the key helper has given up before it reads its first byte, and what its allocator leaves behind. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include <openssl/crypto.h>

#include "kms-fixture.h"
#include "provider.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* How a child that runs @fn ends: its exit status, or minus the signal. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The one child of this process: a running helper. */
static pid_t helper_pid(void)
{
	char path[64], line[256];
	struct dirent *e;
	pid_t found = 0;
	DIR *d = opendir("/proc");
	FILE *f;

	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%.20s/status", e->d_name);
		f = atoi(e->d_name) ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		while (fgets(line, sizeof(line), f))
			if (!strncmp(line, "PPid:", 5) && atoi(line + 5) == getpid())
				found = atoi(e->d_name);
		fclose(f);
	}
	closedir(d);
	assert_true(found > 0);
	return found;
}

static void proc_line(pid_t pid, const char *file, const char *name, char *out, size_t size)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "r");
	assert_non_null(f);
	*out = '\0';
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			snprintf(out, size, "%s", line + strlen(name) + strspn(line + strlen(name), " \t"));
	out[strcspn(out, "\n")] = '\0';
	fclose(f);
}

static void the_helper_has_given_up_its_privileges(void **state)
{
	static const struct { const char *file, *name, *value; } want[] = {
		{ "status", "CapInh:", "0000000000000000" },
		{ "status", "CapPrm:", "0000000000000000" },
		{ "status", "CapEff:", "0000000000000000" },
		{ "status", "CapAmb:", "0000000000000000" },
		{ "status", "NoNewPrivs:", "1" },
		{ "status", "Seccomp:", "2" },
		{ "limits", "Max core file size", "0                    0                    bytes     " },
	};
	struct kc_kms *kms = open_kms(*state);
	pid_t pid = helper_pid();
	char value[128];
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		proc_line(pid, want[i].file, want[i].name, value, sizeof(value));
		if (strcmp(value, want[i].value))
			fail_msg("%s is \"%s\"", want[i].name, value);
	}
	if (geteuid() == 0) {
		proc_line(pid, "status", "CapBnd:", value, sizeof(value));
		assert_string_equal(value, "0000000000000000");
		if (!SANITIZED) {
			/* the heap, and whatever OpenSSL keeps there, does not go to swap */
			proc_line(pid, "status", "VmLck:", value, sizeof(value));
			assert_true(atoi(value) > 1000);
		}
	}
	kc_kms_close(kms);
}

static int sandboxed_socket(void)
{
	return kh_sandbox(kh_provider) ? 100 : socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == ENOSYS ? 0 : 1;
}

static int sandboxed_fork(void)
{
	if (kh_sandbox(kh_provider))
		return 100;
	return fork() < 0 && errno == ENOSYS ? 0 : 1;
}

static int sandboxed_exec(void)
{
	char *const argv[] = { (char *)"true", NULL };

	if (kh_sandbox(kh_provider))
		return 100;
	execv("/bin/true", argv);
	return 1;
}

static int sandboxed_code(void)
{
	if (kh_sandbox(kh_provider))
		return 100;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ? 0 : 1;
}

static void the_filter_lets_nothing_out(void **state)
{
	assert_int_equal(in_child(sandboxed_socket), 0);
	assert_int_equal(in_child(sandboxed_fork), 0);
	assert_int_equal(in_child(sandboxed_exec), -SIGSYS);
	assert_int_equal(in_child(sandboxed_code), 0);
}

/* Reads freed memory, on purpose: what is found there is what a later reader would find. */
static int freed_block_is_clear(void)
{
	volatile uint8_t *p;
	int i, left = 0;

	if (kh_memory_init())
		return 100;
	p = OPENSSL_malloc(200);
	memset((void *)p, 0x5a, 200);
	OPENSSL_free((void *)p);
	/* the allocator keeps its own pointers in the first 16 bytes */
	for (i = 16; i < 200; i++)
		left += p[i] == 0x5a;
	return left != 0;
}

static int moved_block_is_clear(void)
{
	volatile uint8_t *p, *q;
	int i, left = 0;

	if (kh_memory_init())
		return 100;
	p = OPENSSL_malloc(200);
	memset((void *)p, 0x5a, 200);
	q = OPENSSL_realloc((void *)p, 5000);
	for (i = 16; i < 200; i++)
		left += p[i] == 0x5a;
	return left || q[199] != 0x5a;
}

static void openssl_leaves_nothing_in_freed_memory(void **state)
{
	if (SANITIZED)
		skip();
	assert_int_equal(in_child(freed_block_is_clear), 0);
	assert_int_equal(in_child(moved_block_is_clear), 0);
}

/* Documentation/kms-errors.md promises the errors of fault.c, row by row. */
static void the_errors_are_the_documented_ones(void **state)
{
	static const char *const retries[] = { "no", "once", "short", "yes" };
	static char doc[20000];
	char row[128];
	FILE *f = fopen(KC_TESTDIR "/../../Documentation/kms-errors.md", "r");
	int e;

	assert_non_null(f);
	assert_true(fread(doc, 1, sizeof(doc) - 1, f) > 1000);
	fclose(f);
	for (e = KH_OK + 1; e < KH_N_ERRORS; e++) {
		snprintf(row, sizeof(row), "\n| %s | %d | %s |", kh_error_name((enum kh_error)e),
			 kh_error_exit((enum kh_error)e), retries[kh_error_retry((enum kh_error)e)]);
		if (!strstr(doc, row))
			fail_msg("the document has no row \"%s\"", row + 1);
	}
}

static int by_hand(void)
{
	char path[PATH_MAX];

	find_helper(path);
	close(3);
	fclose(stderr);
	execl(path, path, NULL);
	return 100;
}

static void started_by_hand_it_says_what_it_is(void **state)
{
	assert_int_equal(in_child(by_hand), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_helper_has_given_up_its_privileges, host_up, host_down),
		cmocka_unit_test(the_filter_lets_nothing_out),
		cmocka_unit_test(openssl_leaves_nothing_in_freed_memory),
		cmocka_unit_test(the_errors_are_the_documented_ones),
		cmocka_unit_test(started_by_hand_it_says_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
