/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for secrets, and a process that does not leak them.
 *
 * Secrets live in pages of their own: locked, left out of core dumps, not
 * inherited over fork, wiped before they are given back. memfd_secret(2) is
 * used where the kernel offers it, because the kernel then clears the pages
 * even when the process is killed.
 */
#ifndef KC_SECRET_H
#define KC_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* The data key of a volume: AES-256-XTS, two AES-256 keys. */
#define KC_DEK_SIZE 64

/**
 * kc_secret_alloc() - zeroed memory for a secret; gone in a child after fork()
 * @size: bytes; rounded up to whole pages
 * @err: set where NULL is returned (KC_NOMEM, names RLIMIT_MEMLOCK)
 */
void *kc_secret_alloc(size_t size, struct kc_error *err);

/** kc_secret_free() - wipe and unmap; @p may be NULL, @size is what was asked for */
void kc_secret_free(void *p, size_t size);

/**
 * kc_secret_fd() - a memory file that a secret is handed over in
 * @size: bytes; the file has whole pages, zeroed
 * @err: set where -1 is returned
 *
 * memfd_secret(2), or memfd_create(2) where that is not there. Map it with
 * kc_secret_map() on both sides. Close-on-exec.
 */
int kc_secret_fd(size_t size, struct kc_error *err);

/** kc_secret_map() - map a file of kc_secret_fd() shared, locked, not dumped; kc_secret_free() undoes it */
void *kc_secret_map(int fd, size_t size, struct kc_error *err);

/**
 * kc_memfd() - a file in memory for what is no secret
 * @name: shown in /proc
 * @size: bytes, sparse; sealed, so that nobody shrinks it under a mapping
 * @err: set where -1 is returned
 */
int kc_memfd(const char *name, uint64_t size, struct kc_error *err);

/**
 * kc_harden_process() - make this process unattractive
 *
 * No core (RLIMIT_CORE, PR_SET_DUMPABLE), SSLKEYLOGFILE unset, umask 077.
 * To be called first thing in main().
 */
void kc_harden_process(void);

#endif
