// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The head of the audit file's chain, handed to where the administrator keeps it: a
 * file, on another disk or append-only, or a command that takes it somewhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audit-file.h"

/* how long a command may take: events wait for it */
#define COMMAND_MS 5000
#define ARGS_MAX 32

/* A command that hung once is not waited for again by this process: it may have many events. */
static bool hangs;

static int to_file(const char *path, const char *text, struct kc_error *err)
{
	struct stat st;
	char line[256], last = '\n';
	int fd, r;

	r = kc_log_open("audit_anchor", AT_FDCWD, path, path, O_APPEND, &fd, err);
	if (!r) {
		snprintf(line, sizeof(line), "\n%s", text);
		if (flock(fd, LOCK_EX) || fstat(fd, &st) ||
		    (st.st_size && pread(fd, &last, 1, st.st_size - 1) != 1) ||
		    kc_log_append(fd, line, strlen(line), st.st_size, last == '\n'))
			r = kc_fail(err, KC_DEVICE, "see kcache.conf(5), audit_anchor", "cannot write %s: %s", path,
				    strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static int no_command(const char *path, const char *why, struct kc_error *err)
{
	return kc_fail(err, KC_DEVICE, "see kcache.conf(5), audit_anchor", "audit_anchor's %s %s", path, why);
}

/* It runs as who runs us: nobody else may change it. */
static int check_program(const char *path, struct kc_error *err)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return no_command(path, "is not a program", err);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return no_command(path, "can be changed by others", err);
	return 0;
}

/* The line, to be read from a pipe that nobody writes to any more. */
static int filled_pipe(const char *text)
{
	ssize_t n = (ssize_t)strlen(text);
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	if (write(fds[1], text, (size_t)n) != n) {
		close(fds[0]);
		fds[0] = -1;
	}
	close(fds[1]);
	return fds[0];
}

/* Not fork(): a volume key may be in this process. No shell, no environment of ours, no open file. */
static int start(char *const argv[], int in, pid_t *pid)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
	char *const env[] = { path, locale, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int e;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	e = posix_spawn_file_actions_adddup2(&files, in, 0);
	if (!e)
		e = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (!e)
		e = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	if (!e)
		e = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (!e) {
		posix_spawnattr_setsigdefault(&attr, &all);
		posix_spawnattr_setsigmask(&attr, &none);
		posix_spawnattr_setpgroup(&attr, 0);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
		e = posix_spawn(pid, argv[0], &files, &attr, argv, env);
	}
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return e;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* true if it has ended in time; a signal that came for us does not end the wait */
static bool ended(pid_t pid)
{
	int64_t until = now_ms() + COMMAND_MS, left;
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int n = -1;

	while (p.fd >= 0 && (left = until - now_ms()) > 0) {
		n = poll(&p, 1, (int)left);
		if (n >= 0 || errno != EINTR)
			break;
	}
	if (p.fd >= 0)
		close(p.fd);
	return n == 1;
}

static int finish(const char *path, pid_t pid, struct kc_error *err)
{
	bool in_time = ended(pid);
	char why[64];
	int status = 0;

	hangs = !in_time;
	if (!in_time)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		snprintf(why, sizeof(why), "took longer than %d seconds", COMMAND_MS / 1000);
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(why, sizeof(why), "ended with exit code %d", WEXITSTATUS(status));
	else
		return 0;
	return no_command(path, why, err);
}

static int to_command(const char *command, const char *text, struct kc_error *err)
{
	char *copy = strdup(command), *argv[ARGS_MAX + 1], *rest = NULL, *word;
	int in = filled_pipe(text), n = 0, r = 0, e;
	pid_t pid;

	for (word = copy ? strtok_r(copy, " \t", &rest) : NULL; word && n < ARGS_MAX;
	     word = strtok_r(NULL, " \t", &rest))
		argv[n++] = word;
	argv[n] = NULL;
	if (!n || in < 0)
		r = kc_fail(err, KC_NOMEM, NULL, "out of memory or file descriptors for audit_anchor");
	if (!r && hangs)
		r = no_command(argv[0], "hung before, and is not run again by this process", err);
	if (!r)
		r = check_program(argv[0], err);
	if (!r) {
		e = start(argv, in, &pid);
		r = e ? no_command(argv[0], strerror(e), err) : finish(argv[0], pid, err);
	}
	if (in >= 0)
		close(in);
	free(copy);
	return r;
}

int kc_anchor_write(const char *anchor, const char *text, struct kc_error *err)
{
	return kc_anchor_is_command(anchor) ? to_command(anchor + 1, text, err) : to_file(anchor, text, err);
}
