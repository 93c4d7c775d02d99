// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages for secrets. memfd_secret(2) pages are out of the kernel's direct map,
 * locked, and cleared by the kernel when the last mapping goes, also when the
 * process is killed; where the kernel has none (Debian 12: secretmem.enable=0),
 * ordinary locked pages must do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "secret.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447	/* the same number on every architecture */
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U	/* since 6.3 */
#endif

#define NEXT_MEMLOCK "raise RLIMIT_MEMLOCK (ulimit -l) and try again"

/* Whole pages; 0 where @size is 0 or does not fit. */
static size_t pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!size || size > SIZE_MAX - page)
		return 0;
	return (size + page - 1) / page * page;
}

static int no_memory(struct kc_error *err, size_t size)
{
	struct rlimit lim = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &lim);
	return kc_fail(err, KC_NOMEM, NEXT_MEMLOCK,
		       "cannot lock %zu bytes of memory for a secret (RLIMIT_MEMLOCK is %llu bytes): %s",
		       size, (unsigned long long)lim.rlim_cur, strerror(errno));
}

int kc_memfd(const char *name, uint64_t size, struct kc_error *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		kc_fail(err, KC_NOMEM, NULL, "cannot create a file in memory: %s", strerror(errno));
		return -1;
	}
	if (size > INT64_MAX || ftruncate(fd, (off_t)size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		kc_fail(err, KC_NOMEM, NULL, "cannot create a file of %llu bytes in memory: %s",
			(unsigned long long)size, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* Its size can be set only once, so that no peer can shrink it under a mapping. */
static int secretmem_fd(size_t len)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int kc_secret_fd(size_t size, struct kc_error *err)
{
	size_t len = pages(size);
	int fd;

	if (!len) {
		errno = EINVAL;
		no_memory(err, size);
		return -1;
	}
	fd = secretmem_fd(len);
	if (fd < 0)
		fd = kc_memfd("kcache-secret", len, err);
	return fd;
}

void *kc_secret_map(int fd, size_t size, struct kc_error *err)
{
	size_t len = pages(size);
	struct stat st;
	void *p;

	/* the size is checked because a page beyond the end of the file is a SIGBUS */
	errno = EINVAL;
	if (!len || fstat(fd, &st) || st.st_size < (off_t)len) {
		no_memory(err, size);
		return NULL;
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		no_memory(err, size);
		return NULL;
	}
	/*
	 * secretmem is locked and left out of dumps from birth; mlock() of it
	 * fails because it cannot be pinned, which tells the two kinds apart:
	 * only it has no name under which it could be sealed.
	 */
	if (fcntl(fd, F_GET_SEALS) >= 0 && mlock(p, len)) {
		no_memory(err, size);
		munmap(p, len);
		return NULL;
	}
	madvise(p, len, MADV_DONTDUMP);
	madvise(p, len, MADV_DONTFORK);
	return p;
}

static void *locked_pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* the advice is best effort: an old kernel's refusal leaves no secret anywhere new */
	madvise(p, len, MADV_DONTDUMP);
	madvise(p, len, MADV_DONTFORK);
	if (mlock(p, len)) {
		int e = errno;

		munmap(p, len);
		errno = e;
		return NULL;
	}
	return p;
}

void *kc_secret_alloc(size_t size, struct kc_error *err)
{
	size_t len = pages(size);
	void *p = NULL;
	int fd;

	if (!len) {
		errno = EINVAL;
		no_memory(err, size);
		return NULL;
	}
	fd = secretmem_fd(len);
	if (fd >= 0) {
		p = kc_secret_map(fd, size, NULL);
		close(fd);
	}
	if (!p)
		p = locked_pages(len);
	if (!p)
		no_memory(err, size);
	return p;
}

void kc_secret_free(void *p, size_t size)
{
	if (!p)
		return;
	explicit_bzero(p, pages(size));
	munmap(p, pages(size));
}

void kc_harden_process(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	unsetenv("SSLKEYLOGFILE");
	umask(077);
}
