// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is left to the helper once it reads its first byte of input: files that
 * its user owns, one socket, one mapping. No capability, no new program, no
 * network, no other process; a provider that needs more names it.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "provider.h"

#define HEAP_BYTES (1 << 20)

/*
 * Files (SQLite), memory, time, the socket, and what glibc needs to run and end.
 *
 * Anything else fails with ENOSYS instead of killing: it is as little done, and
 * a later glibc or SQLite that tries a new system call first falls back to the
 * old one instead of taking every volume of the host with it.
 */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(readv),
	SCMP_SYS(writev), SCMP_SYS(lseek), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(fcntl), SCMP_SYS(flock),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(renameat2),
	SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(utimensat), SCMP_SYS(umask),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(prlimit64),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(tgkill), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(sigaltstack), SCMP_SYS(rseq), SCMP_SYS(set_robust_list),
};

/* What no library falls back from, and only somebody who took the process over would try. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(connect), SCMP_SYS(bind),
	SCMP_SYS(mount), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(bpf),
	SCMP_SYS(add_key), SCMP_SYS(keyctl), SCMP_SYS(request_key),
};

static bool among(const int *syscalls, int nr)
{
	for (; syscalls && *syscalls >= 0; syscalls++)
		if (*syscalls == nr)
			return true;
	return false;
}

/* What a provider names is let through, also where others would die of it (a network). */
static int deny(scmp_filter_ctx ctx, const struct kh_provider *p)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (!among(p->syscalls, deadly[i]))
			r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	return r;
}

static int allow(scmp_filter_ctx ctx, const struct kh_provider *p)
{
	const int *nr;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (nr = p->syscalls; !r && nr && *nr >= 0; nr++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *nr, 0);
	/* a thread shares all that this process has given up; clone3() fails, and the C library falls back to this */
	if (!r && p->threads)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD));
	/* no memory becomes code any more */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

static int filter(const struct kh_provider *p)
{
	scmp_filter_ctx ctx = seccomp_init(p->foreign_code ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int r = ctx ? deny(ctx, p) : -ENOMEM;

	if (!r && !p->foreign_code)
		r = allow(ctx, p);
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);	/* a tree, not 100 comparisons */
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	int cap;

	/* EINVAL: beyond the last capability; EPERM: no CAP_SETPCAP, so there is nothing to lose */
	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL && errno != EPERM)
			return -errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, none) ? -errno : 0;
}

/*
 * What can be written now is locked. Code and constants are not: they hold no secret
 * and are never swapped, and a provider's libraries alone would fill the limit, so
 * that nothing were left of it for the secrets of later.
 */
static void lock_writable(void)
{
	unsigned long start, end;
	char line[PATH_MAX + 128], perm[5];
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, perm) == 3 && !strncmp(perm, "rw", 2))
			mlock2((void *)start, end - start, MLOCK_ONFAULT);
	if (f)
		fclose(f);
}

/* Nothing of the heap, of OpenSSL's key schedules or of the stack goes to swap. */
static void lock_memory(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	void *heap;

	if (!setrlimit(RLIMIT_MEMLOCK, &all)) {
		mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
		return;
	}
	/*
	 * Another user, and root of a container, may have to keep the limit. What is
	 * locked is what is there, so the heap is made as large as it will need to be.
	 */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	heap = malloc(HEAP_BYTES);
	if (heap)
		explicit_bzero(heap, 1);	/* or the compiler leaves both out */
	free(heap);
	lock_writable();
}

int kh_sandbox(const struct kh_provider *p)
{
	int r;

	lock_memory();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		fprintf(stderr, "kcache-keyhelper: cannot set no_new_privs: %s\n", strerror(errno));
		return -1;
	}
	r = drop_capabilities();
	if (r) {
		fprintf(stderr, "kcache-keyhelper: cannot drop capabilities: %s\n", strerror(-r));
		return -1;
	}
	r = filter(p);
	if (r) {
		fprintf(stderr, "kcache-keyhelper: cannot install the system call filter: %s\n", strerror(-r));
		return -1;
	}
	return 0;
}
