// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a key helper process. Whatever it does (hang, die, answer
 * nonsense), the caller comes back before its deadline and no process is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kms-proc.h"
#include "kms-wire.h"
#include "stop.h"

/* How long a helper that was told to finish, or that was killed, may take, milliseconds. */
#define GRACE_MS 1000

#define NEXT_INSTALL "install the key helper there, or set \"helper\" in kcache.conf to where it is"

/*
 * Who can change the helper's program gets every DEK. The check is on the path
 * that is executed: only root, or the caller, can change what it names.
 */
static int check_program(const char *path, struct kc_error *err)
{
	struct stat st;

	if (stat(path, &st))
		return kc_fail(err, errno == EACCES ? KC_PERM : KC_USAGE, NEXT_INSTALL,
			       "cannot find the key helper %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kc_fail(err, KC_USAGE, NEXT_INSTALL, "the key helper %s is not a file", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return kc_fail(err, KC_PERM, "make it root's own and writable to root alone, or install it anew",
			       "the key helper %s can be changed by others (uid %u, mode %04o)", path,
			       (unsigned int)st.st_uid, (unsigned int)(st.st_mode & 07777));
	return 0;
}

/*
 * In the child, between fork() and exec(): async-signal-safe calls only, since
 * the token plugin may run in a process with threads. @fds are moved up first
 * so that none of them is overwritten before its turn.
 */
static void __attribute__((noreturn)) child(const char *path, char *const envp[], pid_t parent, int sock,
					    int mapping, int status)
{
	static const struct sigaction dfl = { .sa_handler = SIG_DFL };
	char *const argv[] = { (char *)"kcache-keyhelper", NULL };
	sigset_t none;
	int i, e, null;

	for (i = 1; i < NSIG; i++)
		sigaction(i, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();	/* Ctrl-C is the command's to answer; its end ends us */

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	sock = fcntl(sock, F_DUPFD_CLOEXEC, 10);
	mapping = fcntl(mapping, F_DUPFD_CLOEXEC, 10);
	status = fcntl(status, F_DUPFD_CLOEXEC, 10);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (sock < 0 || mapping < 0 || status < 0 || null < 0)
		_exit(1);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0) ||
	    dup2(sock, KC_WIRE_SOCKET) < 0 || dup2(mapping, KC_WIRE_MAPPING) < 0 ||
	    dup2(status, KC_WIRE_MAPPING + 1) < 0 ||
	    fcntl(KC_WIRE_MAPPING + 1, F_SETFD, FD_CLOEXEC) ||
	    close_range(KC_WIRE_MAPPING + 2, ~0U, 0))
		_exit(1);

	execve(path, argv, envp);
	e = errno;
	if (write(KC_WIRE_MAPPING + 1, &e, sizeof(e)) < 0)
		_exit(2);
	_exit(1);
}

static bool wanted(const char *const *env, const char *entry)
{
	size_t n, name = strcspn(entry, "=");

	for (; env && *env; env++) {
		n = strlen(*env);
		if ((*env)[n - 1] == '*' ? !strncmp(*env, entry, n - 1) : n == name && !strncmp(*env, entry, n))
			return true;
	}
	return false;
}

/* The helper's environment: borrowed strings in an array that the caller frees. */
static char **environment(const char *const *env)
{
	size_t i, n = 0;
	char **out;

	while (environ && environ[n])
		n++;
	out = calloc(n + 3, sizeof(*out));
	if (!out)
		return NULL;
	out[0] = (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	out[1] = (char *)"LANG=C.UTF-8";
	for (i = 0, n = 2; environ && environ[i]; i++)
		if (wanted(env, environ[i]))
			out[n++] = environ[i];
	return out;
}

/* Up to @ms for the end of the process; reaps it. @how receives how it ended. */
static bool reap(struct kc_proc *p, int ms, char *how, size_t how_size)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };
	int64_t until = kc_wire_now() + ms, left = ms;
	siginfo_t si = { 0 };
	int r;

	snprintf(how, how_size, "ended");
	do {
		r = poll(&pfd, 1, (int)left);
		left = until - kc_wire_now();
	} while (r < 0 && errno == EINTR && left > 0);
	if (r <= 0)
		return false;
	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED))
		return true;	/* ECHILD: somebody else reaped it */
	if (si.si_code == CLD_EXITED)
		snprintf(how, how_size, "ended with status %d", si.si_status);
	else
		snprintf(how, how_size, "was killed by signal %d (%s)", si.si_status,
			 sigdescr_np(si.si_status) ? sigdescr_np(si.si_status) : "unknown");
	return true;
}

static void release(struct kc_proc *p)
{
	if (p->sock >= 0)
		close(p->sock);
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->sock = -1;
	p->pidfd = -1;
	p->pid = 0;
}

void kc_proc_kill(struct kc_proc *p)
{
	char how[80];

	if (!p->pid)
		return;
	if (p->pidfd >= 0)
		pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
	/* one that hangs in the kernel (a dead disk) is left to init */
	reap(p, GRACE_MS, how, sizeof(how));
	release(p);
}

void kc_proc_end(struct kc_proc *p)
{
	char how[80];

	if (!p->pid)
		return;
	shutdown(p->sock, SHUT_RDWR);
	if (!reap(p, GRACE_MS, how, sizeof(how)))
		kc_proc_kill(p);
	release(p);
}

static int late(struct kc_proc *p, struct kc_error *err)
{
	kc_proc_kill(p);
	return kc_fail(err, KC_KMS_RETRY, "try again, or raise \"timeout\" in kcache.conf",
		       "the key helper did not answer within %u seconds", p->timeout);
}

static int died(struct kc_proc *p, struct kc_error *err)
{
	char how[80];

	if (!reap(p, GRACE_MS, how, sizeof(how)))
		snprintf(how, sizeof(how), "closed its socket");
	kc_proc_kill(p);
	release(p);
	return kc_fail(err, KC_KMS_RETRY, "try again; if it stays, look at the kernel log and the journal",
		       "the key helper %s %s before it answered", p->path, how);
}

/*
 * Wait for exec(): @fd is closed by it, or carries the errno of its failure.
 * Return: 0, that errno, or ETIME.
 */
static int exec_errno(const struct kc_proc *p, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t left;
	int e = 0, r;

	do {
		left = p->deadline - kc_wire_now();
		r = left > 0 ? poll(&pfd, 1, left > INT_MAX ? INT_MAX : (int)left) : 0;
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return ETIME;
	return read(fd, &e, sizeof(e)) == (ssize_t)sizeof(e) ? e : 0;
}

/* fork(), and a file descriptor for the child. */
static int spawn(struct kc_proc *p, int sock, int mapping, int status, struct kc_error *err)
{
	char **envp = environment(p->env);
	pid_t parent = getpid();

	/* before fork(): the child of a process with threads allocates nothing */
	p->pid = envp ? fork() : -1;
	if (p->pid < 0) {
		free(envp);
		p->pid = 0;
		return kc_fail(err, KC_NOMEM, NULL, "cannot start the key helper: %s", strerror(errno));
	}
	if (!p->pid)
		child(p->path, envp, parent, sock, mapping, status);
	free(envp);
	p->pidfd = pidfd_open(p->pid, 0);
	if (p->pidfd >= 0)
		return 0;
	kc_fail(err, KC_NOMEM, NULL, "cannot watch the key helper: %s", strerror(errno));
	/* no such process: SIGCHLD is ignored here, and it is dead already */
	if (errno != ESRCH)
		kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
	return KC_NOMEM;
}

int kc_proc_start(struct kc_proc *p, int mapping, struct kc_error *err)
{
	int sv[2] = { -1, -1 }, status[2] = { -1, -1 }, e, r, i;

	p->pid = 0;
	p->pidfd = -1;
	p->sock = -1;
	r = check_program(p->path, err);
	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) || pipe2(status, O_CLOEXEC)) {
		r = kc_fail(err, KC_NOMEM, "raise RLIMIT_NOFILE (ulimit -n)",
			    "cannot make a socket to the key helper: %s", strerror(errno));
		goto out;
	}
	r = spawn(p, sv[1], mapping, status[1], err);
	if (r)
		goto out;
	p->sock = sv[0];
	sv[0] = -1;
	close(status[1]);
	status[1] = -1;
	e = exec_errno(p, status[0]);
	if (e == ETIME) {
		r = late(p, err);
	} else if (e) {
		kc_proc_kill(p);
		r = kc_fail(err, e == ENOENT ? KC_USAGE : KC_PERM, NEXT_INSTALL,
			    "cannot run the key helper %s: %s", p->path, strerror(e));
	}
out:
	for (i = 0; i < 2; i++) {
		if (sv[i] >= 0)
			close(sv[i]);
		if (status[i] >= 0)
			close(status[i]);
	}
	return r;
}

/* Wait until the socket is ready for @events. 0, or what kind of failure it was. */
static int ready(struct kc_proc *p, short events, struct kc_error *err)
{
	/* the second: a signal between the check and poll() */
	struct pollfd pfd[] = {
		{ .fd = p->sock, .events = events },
		{ .fd = kc_stop_fd(), .events = POLLIN },
	};
	struct kc_error unheard = { 0 };
	int64_t left;
	int r;

	do {
		r = kc_stop_check(err ? err : &unheard);
		if (r) {
			kc_proc_kill(p);
			return r;
		}
		left = p->deadline - kc_wire_now();
		if (left <= 0)
			return late(p, err);
		r = poll(pfd, 2, left > INT_MAX ? INT_MAX : (int)left);
	} while ((r < 0 && errno == EINTR) || (r > 0 && !pfd[0].revents));
	return r > 0 ? 0 : late(p, err);
}

int kc_proc_exchange(struct kc_proc *p, const char *out, size_t out_len, char *in, size_t in_size,
		     size_t *in_len, struct kc_error *err)
{
	ssize_t n;
	int r;

	if (!p->pid)
		return kc_fail(err, KC_KMS_RETRY, "try again", "the key helper is not running any more");
	do {
		r = ready(p, POLLOUT, err);
		if (r)
			return r;
		n = send(p->sock, out, out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n != (ssize_t)out_len)
		return died(p, err);
	do {
		r = ready(p, POLLIN, err);
		if (r)
			return r;
		n = recv(p->sock, in, in_size, MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n <= 0)
		return died(p, err);
	*in_len = (size_t)n;	/* more than @in_size if it was cut: the reader refuses that */
	return 0;
}
