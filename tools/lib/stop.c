// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "stop.h"

static volatile sig_atomic_t noted;

/* The other end of what kc_stop_fd() gives: a signal between a check and a poll() must not be missed. */
static int wake[2] = { -1, -1 };

static void note(int sig)
{
	int e = errno;

	noted = sig;
	if (wake[1] >= 0 && write(wake[1], "", 1) < 0)
		noted = sig;	/* a full pipe wakes the reader as well */
	errno = e;
}

void kc_stop_install(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = note }, old;
	size_t i;

	/* without the pipe a wait lasts until its own deadline, no more */
	if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK))
		wake[0] = wake[1] = -1;
	sigemptyset(&sa.sa_mask);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		/* one that the caller ignores (nohup) stays ignored */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	/* a reader of our messages that goes away is no reason to leave work half done */
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

bool kc_stopped(void)
{
	return noted != 0;
}

int kc_stop_fd(void)
{
	return wake[0];
}

int kc_stop_check(struct kc_error *err)
{
	if (!noted)
		return 0;
	/* whatever failed because of the signal is not the cause */
	kc_error_clear(err);
	return kc_fail(err, KC_KMS_RETRY, "nothing was left behind, run it again", "interrupted by signal %d (%s)",
		       (int)noted, strsignal(noted));
}

void kc_stop_raise(void)
{
	if (!noted)
		return;
	signal(noted, SIG_DFL);
	raise(noted);
}
