/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The question to the KMS that renews a lease: the header read, the DEK unwrapped and checked
 * as attach does, in a process of its own. Whatever hangs there, a disk, the network or the
 * audit log, hangs without the one that keeps the time.
 */
#ifndef KC_PROBE_H
#define KC_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dm.h"
#include "lease.h"
#include "token.h"

struct kc_run;

/**
 * struct kc_report - what came of it
 * @answer: of the KMS
 * @set: the kernel has been given the key
 * @key: which KMS key it was; empty if none worked
 * @lease, @on_revoke: what the header says now, under a mac that holds; with KC_ANSWER_YES
 * @err: why not
 */
struct kc_report {
	enum kc_answer answer;
	bool set;
	char key[KC_KEY_NAME_MAX];
	char request_id[128];
	uint32_t lease;
	enum kc_on_revoke on_revoke;
	struct kc_error err;
};

/**
 * struct kc_probe - one on its way
 * @pid: 0 when there is none
 * @pidfd: for signals that cannot hit another process
 * @fd: readable when it has ended
 * @asked: kc_boottime() of its start
 */
struct kc_probe {
	pid_t pid;
	int pidfd;
	int fd;
	int64_t asked;
};

#define KC_PROBE_INIT { .pidfd = -1, .fd = -1 }

/** kc_boottime() - milliseconds, of the clock that leases run on: also while the machine sleeps */
int64_t kc_boottime(void);

/**
 * kc_probe_start() - ask
 * @d: the volume as it is now
 * @set: give the kernel the key, if it is granted
 * @timeout: seconds for all that a KMS is asked
 * @lock: a descriptor that must not live on in it
 *
 * It is killed when this process ends.
 */
int kc_probe_start(struct kc_run *r, const struct kc_dm *d, bool set, unsigned int timeout, int lock,
		   struct kc_probe *p, struct kc_error *err);

/** kc_probe_end() - the report of one whose @fd is readable; one that died without is silence */
void kc_probe_end(struct kc_probe *p, struct kc_report *rep);

/** kc_probe_kill() - it took too long, or nobody wants to know any more */
void kc_probe_kill(struct kc_probe *p);

#endif
