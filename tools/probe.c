// SPDX-License-Identifier: GPL-2.0-or-later
/* A child for each question. It ends with its parent, and is killed when it is too late. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kcache.h"
#include "kms.h"
#include "live.h"
#include "open.h"
#include "probe.h"

/* a report arrives whole or not at all */
_Static_assert(sizeof(struct kc_report) <= PIPE_BUF, "one write()");

/* How long one that was killed may take to be gone, milliseconds. */
#define GRACE_MS 1000

int64_t kc_boottime(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ask(struct kc_run *r, const struct kc_dm *d, bool set, struct kc_report *rep)
{
	struct kc_volume v = KC_VOLUME_INIT;
	int ret;

	rep->answer = KC_ANSWER_SILENT;
	ret = kc_live_header(r, d, &v);
	if (!ret)
		ret = kc_volume_unwrap(r, &v);
	if (!ret || v.answer != KC_ANSWER_YES)
		rep->answer = v.answer;
	if (!ret) {
		snprintf(rep->key, sizeof(rep->key), "%s", v.used->binding.key);
		snprintf(rep->request_id, sizeof(rep->request_id), "%s", kc_kms_request_id(v.kms));
		rep->lease = v.used->lease;
		rep->on_revoke = v.used->on_revoke;
		if (set) {
			ret = kc_live_set_key(r, d, &v);
			rep->set = !ret;
		}
	}
	rep->err = r->err;
	kc_volume_free(&v);
}

static void __attribute__((noreturn)) child(struct kc_run *r, const struct kc_dm *d, bool set, unsigned int timeout,
					    int lock, pid_t parent, int out)
{
	struct kc_report rep;

	memset(&rep, 0, sizeof(rep));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	close(lock);
	/* locked memory is not inherited */
	mlockall(MCL_CURRENT | MCL_FUTURE);
	kc_error_clear(&r->err);
	if (timeout < r->conf.timeout)
		r->conf.timeout = timeout;
	ask(r, d, set, &rep);
	if (write(out, &rep, sizeof(rep)) != (ssize_t)sizeof(rep))
		_exit(1);
	_exit(0);
}

int kc_probe_start(struct kc_run *r, const struct kc_dm *d, bool set, unsigned int timeout, int lock,
		   struct kc_probe *p, struct kc_error *err)
{
	pid_t parent = getpid();
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC))
		return kc_fail(err, KC_NOMEM, "raise RLIMIT_NOFILE (ulimit -n)", "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	p->asked = kc_boottime();
	p->pid = fork();
	if (!p->pid) {
		close(pipes[0]);
		child(r, d, set, timeout, lock, parent, pipes[1]);
	}
	close(pipes[1]);
	if (p->pid < 0) {
		p->pid = 0;
		close(pipes[0]);
		return kc_fail(err, KC_NOMEM, NULL, "cannot start a process: %s", strerror(errno));
	}
	p->fd = pipes[0];
	p->pidfd = pidfd_open(p->pid, 0);
	if (p->pidfd >= 0)
		return 0;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
	close(p->fd);
	p->fd = -1;
	return kc_fail(err, KC_NOMEM, NULL, "cannot watch a process: %s", strerror(errno));
}

static void reap(struct kc_probe *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	/* one that hangs in the kernel (a dead disk) is left to init */
	if (poll(&pfd, 1, GRACE_MS) > 0)
		waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED);
	close(p->pidfd);
	close(p->fd);
	p->pid = 0;
	p->pidfd = -1;
	p->fd = -1;
}

void kc_probe_end(struct kc_probe *p, struct kc_report *rep)
{
	if (read(p->fd, rep, sizeof(*rep)) != (ssize_t)sizeof(*rep)) {
		memset(rep, 0, sizeof(*rep));
		rep->answer = KC_ANSWER_SILENT;
		kc_fail(&rep->err, KC_KMS_RETRY, "look at the kernel log and the journal",
			"the process that asks the KMS ended without an answer");
	}
	reap(p);
}

void kc_probe_kill(struct kc_probe *p)
{
	if (!p->pid)
		return;
	pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
	reap(p);
}
