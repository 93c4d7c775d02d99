/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The key helper as a process: start it, exchange messages with it, end it. */
#ifndef KC_KMS_PROC_H
#define KC_KMS_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/**
 * struct kc_proc - a running key helper
 * @path: its program, borrowed
 * @env: what it gets of our environment: names or "PREFIX*", ended by NULL, borrowed; NULL for nothing
 * @pid: 0 when there is none any more
 * @pidfd: for signals that cannot hit another process
 * @sock: our end
 * @deadline: kc_wire_now() that no call goes beyond
 * @timeout: the seconds that the deadline was made from, for messages
 */
struct kc_proc {
	const char *path;
	const char *const *env;
	pid_t pid;
	int pidfd;
	int sock;
	int64_t deadline;
	unsigned int timeout;
};

/**
 * kc_proc_start() - fork() and exec() a key helper
 * @p: path, deadline and timeout are set; kc_proc_end() it whatever happens
 * @mapping: what it gets as file descriptor KC_WIRE_MAPPING
 *
 * The helper gets a socket, the mapping, our stderr, and nothing else: not a file
 * descriptor, not a terminal, of the environment what @env says. It is killed when the
 * calling thread ends.
 *
 * Return: 0; KC_PERM for a program that others may change or that cannot be
 * run, KC_USAGE for one that is not there, KC_NOMEM.
 */
int kc_proc_start(struct kc_proc *p, int mapping, struct kc_error *err);

/**
 * kc_proc_exchange() - send a message, receive the answer
 * @in: buffer of @in_size bytes
 * @in_len: receives the length of the answer, 1 to @in_size
 *
 * Return: 0, or KC_KMS_RETRY, the helper being dead then.
 */
int kc_proc_exchange(struct kc_proc *p, const char *out, size_t out_len, char *in, size_t in_size,
		     size_t *in_len, struct kc_error *err);

/** kc_proc_kill() - SIGKILL and reap, after an answer that cannot be trusted */
void kc_proc_kill(struct kc_proc *p);

/** kc_proc_end() - let it finish, briefly; then as kc_proc_kill() */
void kc_proc_end(struct kc_proc *p);

#endif
