// SPDX-License-Identifier: GPL-2.0-or-later
/* Secret pages are locked, not dumped, not inherited and wiped, with memfd_secret(2) and without. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <seccomp.h>

#include "secret.h"

/* The VmFlags line of the mapping at @p. */
static void vm_flags(const void *p, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long from, to;
	bool here = false;

	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)p && (uintptr_t)p < to;
		if (here && !strncmp(line, "VmFlags:", 8))
			snprintf(out, size, "%s", line);
	}
	fclose(f);
}

static void is_protected(const void *p)
{
	char flags[512];

	vm_flags(p, flags, sizeof(flags));
#ifndef __SANITIZE_ADDRESS__	/* which makes mlock() do nothing */
	assert_non_null(strstr(flags, " lo"));	/* locked */
#endif
	assert_non_null(strstr(flags, " dd"));	/* not in a core dump */
	assert_non_null(strstr(flags, " dc"));	/* not inherited over fork */
}

static void pages_are_zeroed_locked_and_private(void **state)
{
	struct kc_error err = { 0 };
	unsigned char *p = kc_secret_alloc(KC_DEK_SIZE, &err);

	assert_non_null(p);
	for (size_t i = 0; i < (size_t)sysconf(_SC_PAGESIZE); i++)
		assert_int_equal(p[i], 0);
	is_protected(p);
	p[0] = 1;
	kc_secret_free(p, KC_DEK_SIZE);
	kc_secret_free(NULL, KC_DEK_SIZE);
}

static void a_mapping_given_back_is_wiped(void **state)
{
	struct kc_error err = { 0 };
	int fd = kc_secret_fd(KC_DEK_SIZE, &err);
	unsigned char *a, *b;

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	a = kc_secret_map(fd, KC_DEK_SIZE, &err);
	b = kc_secret_map(fd, KC_DEK_SIZE, &err);
	close(fd);
	assert_non_null(a);
	assert_non_null(b);
	is_protected(a);
	memset(a, 0x5a, KC_DEK_SIZE);
	assert_int_equal(b[KC_DEK_SIZE - 1], 0x5a);
	kc_secret_free(a, KC_DEK_SIZE);
	for (size_t i = 0; i < KC_DEK_SIZE; i++)
		assert_int_equal(b[i], 0);
	kc_secret_free(b, KC_DEK_SIZE);
}

static void nobody_can_shrink_the_file_under_a_mapping(void **state)
{
	struct kc_error err = { 0 };
	int fd = kc_secret_fd(KC_DEK_SIZE, &err);

	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

static void a_file_too_small_is_not_mapped(void **state)
{
	struct kc_error err = { 0 };
	int fd = kc_memfd("small", 16, &err);

	assert_true(fd >= 0);
	assert_null(kc_secret_map(fd, KC_DEK_SIZE, &err));
	assert_int_equal(err.code, KC_NOMEM);
	close(fd);
}

static void the_limit_is_named(void **state)
{
	struct kc_error err = { 0 };

	assert_null(kc_secret_alloc(SIZE_MAX - 1, &err));
	assert_int_equal(err.code, KC_NOMEM);
	assert_non_null(strstr(err.text, "RLIMIT_MEMLOCK"));
	kc_error_clear(&err);
	assert_int_equal(kc_secret_fd(0, &err), -1);
	assert_int_equal(err.code, KC_NOMEM);
}

/* Every test above once more where the kernel has no memfd_secret(). */
static void the_same_without_memfd_secret(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		const struct CMUnitTest again[] = {
			cmocka_unit_test(pages_are_zeroed_locked_and_private),
			cmocka_unit_test(a_mapping_given_back_is_wiped),
			cmocka_unit_test(nobody_can_shrink_the_file_under_a_mapping),
			cmocka_unit_test(the_limit_is_named),
		};
		scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

		if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), 447, 0) ||
		    seccomp_load(ctx) || syscall(447, 0) != -1 || errno != ENOSYS)
			_exit(99);
		seccomp_release(ctx);
		/* its report must not be counted twice */
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(98);
		_exit(cmocka_run_group_tests(again, NULL, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_hardened_process_leaves_no_core(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct rlimit lim;

		setenv("SSLKEYLOGFILE", "/dev/null", 1);
		kc_harden_process();
		getrlimit(RLIMIT_CORE, &lim);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || lim.rlim_max != 0 ||
		      getenv("SSLKEYLOGFILE") || umask(0) != 077);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_zeroed_locked_and_private),
		cmocka_unit_test(a_mapping_given_back_is_wiped),
		cmocka_unit_test(nobody_can_shrink_the_file_under_a_mapping),
		cmocka_unit_test(a_file_too_small_is_not_mapped),
		cmocka_unit_test(the_limit_is_named),
		cmocka_unit_test(the_same_without_memfd_secret),
		cmocka_unit_test(a_hardened_process_leaves_no_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
