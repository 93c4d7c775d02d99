// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The only process of a key helper that may run a program: it was forked before the
 * sandbox, holds no secret and no descriptor but a socket, and runs one command line,
 * the credential_process of one profile. Which one, it is told once, before the helper
 * has read a byte from a network; it reads the line itself, from a file that nobody but
 * root and the caller can write. Whoever takes the helper over later can have that
 * command run again, and nothing else.
 *
 * The program's standard output is a pipe whose end the helper gets; it is killed with
 * all that it started when it is too late, or when the helper is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "creds-private.h"
#include "kms-wire.h"

#define WORDS_MAX 64

static struct broker {
	int sock;
	bool ordered;	/* there was an order, and no other one is looked at */
	bool ready;	/* @argv is what there is to run */
	struct aws_broker_news refusal;	/* why it is not */
	char line[4096];
	char *argv[WORDS_MAX + 1];
} b;

/* Words as a shell makes them of blanks, quotes and backslashes, and of nothing else. */
static bool split(char *s, char *argv[WORDS_MAX + 1])
{
	char *out = s, quote;
	int n = 0;

	for (;;) {
		s += strspn(s, " \t");
		if (!*s)
			break;
		if (n == WORDS_MAX)
			return false;
		argv[n++] = out;
		for (quote = '\0'; *s && (quote || (*s != ' ' && *s != '\t')); s++) {
			if (quote ? *s == quote : *s == '"' || *s == '\'') {
				quote = quote ? '\0' : *s;
				continue;
			}
			if (*s == '\\' && quote != '\'' && !*++s)
				return false;
			*out++ = *s;
		}
		if (quote)
			return false;
		/* the NUL may stand where the next blank is */
		if (*s)
			s++;
		*out++ = '\0';
	}
	argv[n] = NULL;
	return n > 0;
}

/* A program that others can write is theirs. */
static bool check_program(const char *path, struct aws_broker_news *news)
{
	struct stat st;

	if (*path != '/')
		snprintf(news->text, sizeof(news->text), "\"%.200s\" is no absolute path, and no PATH is searched", path);
	else if (stat(path, &st))
		snprintf(news->text, sizeof(news->text), "%.200s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || access(path, X_OK))
		snprintf(news->text, sizeof(news->text), "%.200s is no program", path);
	else if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		snprintf(news->text, sizeof(news->text), "%.200s may be written by others than its owner, root or the caller",
			 path);
	else
		return true;
	return false;
}

/* The line of the order, once and for all. */
static void learn(const struct aws_broker_order *o)
{
	struct aws_broker_news *news = &b.refusal;
	static struct kh k;
	struct aws_files f;
	const char *line;

	b.ordered = true;
	news->what = AWS_BROKER_REFUSES;
	k.deadline = o->deadline;
	if (aws_files_load(&k, o->config, o->credentials, &f)) {
		snprintf(news->text, sizeof(news->text), "%.500s", k.text);
		return;
	}
	line = aws_files_get(&f, o->profile, "credential_process");
	if (!line || strlen(line) >= sizeof(b.line)) {
		snprintf(news->text, sizeof(news->text), "there is none, or it is too long");
	} else {
		memcpy(b.line, line, strlen(line) + 1);
		if (!split(b.line, b.argv))
			snprintf(news->text, sizeof(news->text), "a quote has no end, or there are too many words");
		else
			b.ready = check_program(b.argv[0], news);
	}
	aws_files_free(&f);
}

/* @fd goes with it, if it is none of -1. */
static bool tell(const struct aws_broker_news *news, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = (void *)news, .iov_len = sizeof(*news) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		m.msg_control = control.buf;
		m.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(b.sock, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*news);
}

static void signals(void (*what)(int))
{
	signal(SIGINT, what);
	signal(SIGTERM, what);
	signal(SIGHUP, what);
	signal(SIGPIPE, what);
}

static void child(int out) __attribute__((noreturn));
static void child(int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signals(SIG_DFL);
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execv(b.argv[0], b.argv);
	_exit(127);
}

/* Until it ends, or it is too late, or nobody is left who waits for it. */
static void wait_for(pid_t pid, int64_t deadline, struct aws_broker_news *news)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = b.sock, .events = 0 } };
	int64_t left;
	int r;

	news->what = AWS_BROKER_KILLED;
	while (fd >= 0 && (left = deadline - kc_wire_now()) > 0) {
		r = poll(p, 2, left > INT_MAX ? INT_MAX : (int)left);
		if (r > 0 || (r < 0 && errno != EINTR))
			break;
	}
	if (p[0].revents)
		news->what = AWS_BROKER_ENDED;
	/* with what it has started, which could hold the pipe open */
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &news->status, 0) < 0 && errno == EINTR)
		;
	if (fd >= 0)
		close(fd);
	if (p[1].revents)
		_exit(0);
}

static void run(const struct aws_broker_order *o)
{
	struct aws_broker_news news = { .what = AWS_BROKER_RUNS };
	int out[2];
	pid_t pid;

	if (!b.ordered)
		learn(o);
	if (!b.ready) {
		tell(&b.refusal, -1);
		return;
	}
	if (pipe2(out, O_CLOEXEC))
		_exit(1);
	pid = fork();
	if (!pid)
		child(out[1]);
	close(out[1]);
	if (pid < 0 || !tell(&news, out[0]))
		_exit(1);
	close(out[0]);
	wait_for(pid, o->deadline, &news);
	tell(&news, -1);
}

void aws_broker(int sock)
{
	static struct aws_broker_order o;
	ssize_t n;

	b.sock = 3;	/* where nothing is needed any more: the socket to the command */
	if (dup2(sock, b.sock) < 0 || close_range(4, ~0U, 0) || fcntl(b.sock, F_SETFD, FD_CLOEXEC))
		_exit(1);
	prctl(PR_SET_NAME, "kcache-broker");
	/* a ^C is the command's, whose end this process sees */
	signals(SIG_IGN);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	for (;;) {
		n = recv(b.sock, &o, sizeof(o), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(o))
			_exit(0);
		o.config[sizeof(o.config) - 1] = '\0';
		o.credentials[sizeof(o.credentials) - 1] = '\0';
		o.profile[sizeof(o.profile) - 1] = '\0';
		run(&o);
	}
}
