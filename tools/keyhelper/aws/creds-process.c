// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * credential_process, from this side of the sandbox, which can run no program: an
 * order goes to the broker (creds-broker.c), and back comes the end of the pipe that
 * the program prints to, so that no other process ever holds what it prints.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "creds-private.h"

static int sock = -1;
static bool used;

int aws_process_start(void)
{
	pid_t broker;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		fprintf(stderr, "kcache-keyhelper: no socket for credential_process: %s\n", strerror(errno));
		return -1;
	}
	used = false;
	broker = fork();
	if (!broker)
		aws_broker(sv[1]);
	if (broker < 0)
		fprintf(stderr, "kcache-keyhelper: no process for credential_process: %s\n", strerror(errno));
	close(sv[1]);
	sock = sv[0];
	if (broker < 0)
		aws_process_close();
	return broker < 0 ? -1 : 0;
}

void aws_process_close(void)
{
	if (sock >= 0)
		close(sock);
	sock = -1;
}

void aws_process_dismiss(void)
{
	if (!used)
		aws_process_close();
}

/* The broker's next word; @fd receives the descriptor that came with it, or -1. */
static int hear(struct kh *k, struct aws_broker_news *news, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = news, .iov_len = sizeof(*news) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct cmsghdr *c;
	ssize_t n;
	int r;

	*fd = -1;
	do
		r = poll(&p, 1, kh_time_left(k));
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return kh_fail(k, KH_TIMEOUT, "credential_process did not end in time");
	n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	if (n != (ssize_t)sizeof(*news))
		return kh_fail(k, KH_INTERNAL, "the process that runs credential_process has ended");
	news->text[sizeof(news->text) - 1] = '\0';
	return 0;
}

static int order(struct kh *k, const struct aws_files *f, const char *profile)
{
	static struct aws_broker_order o;

	if (sock < 0) {
		kh_fail(k, KH_CREDENTIALS, "the profile has a credential_process since this command began");
		return kh_next(k, "try again");
	}
	memset(&o, 0, sizeof(o));
	o.deadline = k->deadline;
	memcpy(o.config, f->config.path, sizeof(o.config));
	memcpy(o.credentials, f->credentials.path, sizeof(o.credentials));
	snprintf(o.profile, sizeof(o.profile), "%s", profile);
	used = true;
	return send(sock, &o, sizeof(o), MSG_NOSIGNAL) == (ssize_t)sizeof(o) ? 0 :
		kh_fail(k, KH_INTERNAL, "the process that runs credential_process has ended");
}

static int how_it_ended(struct kh *k, const char *profile, const struct aws_broker_news *news)
{
	if (news->what == AWS_BROKER_KILLED)
		return kh_fail(k, KH_TIMEOUT, "credential_process of profile \"%s\" did not end in time", profile);
	if (news->what == AWS_BROKER_REFUSES) {
		kh_fail(k, KH_CREDENTIALS, "cannot run credential_process of profile \"%s\": %s", profile, news->text);
		return kh_next(k, "correct it in the profile");
	}
	if (news->what == AWS_BROKER_ENDED && news->status == 0)
		return 0;
	if (WIFSIGNALED(news->status))
		kh_fail(k, KH_CREDENTIALS, "credential_process of profile \"%s\" was killed by signal %d", profile,
			WTERMSIG(news->status));
	else
		kh_fail(k, KH_CREDENTIALS, "credential_process of profile \"%s\" ended with exit code %d", profile,
			WEXITSTATUS(news->status));
	return kh_next(k, "run it by hand to see why");
}

/* What it prints, when it has ended well. */
static int output(struct kh *k, const char *profile, struct aws_text *t)
{
	struct aws_broker_news news = { 0 };
	int fd, r;

	memset(t, 0, sizeof(*t));
	if (hear(k, &news, &fd)) {
		aws_process_close();
		return -1;
	}
	if (news.what != AWS_BROKER_RUNS || fd < 0) {
		if (fd >= 0)
			close(fd);
		return how_it_ended(k, profile, &news);
	}
	r = aws_text_read(k, fd, "what credential_process prints", t);
	close(fd);
	if (!r)
		r = hear(k, &news, &fd);
	if (!r)
		return how_it_ended(k, profile, &news);
	/* it may still be at work, and its next word would be this order's: with the broker it ends */
	aws_process_close();
	return -1;
}

static int credentials(struct kh *k, const char *profile, const struct aws_text *t, struct aws_creds *c)
{
	static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration" };
	struct json_object *o = aws_json_parse(t->data, t->len), *version;
	char source[AWS_PROFILE_MAX + 64];
	int r;

	snprintf(source, sizeof(source), "credential_process of profile \"%s\"", profile);
	if (!o || !json_object_object_get_ex(o, "Version", &version) ||
	    !json_object_is_type(version, json_type_int) || json_object_get_int64(version) != 1)
		r = kh_fail(k, KH_CREDENTIALS, "%s does not print { \"Version\": 1, ... }", source);
	else
		r = aws_creds_json(k, o, &names, false, source, c);
	json_object_put(o);
	return r;
}

int aws_process_run(struct kh *k, const struct aws_files *f, const char *profile, struct aws_creds *c)
{
	struct aws_text t = { 0 };
	int r = order(k, f, profile);

	if (!r)
		r = output(k, profile, &t);
	if (!r)
		r = credentials(k, profile, &t, c);
	aws_text_free(&t);
	return r;
}
