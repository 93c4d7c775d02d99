// SPDX-License-Identifier: GPL-2.0-or-later
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "stop.h"

static volatile sig_atomic_t noted;

static void note(int sig)
{
	noted = sig;
}

void kc_stop_install(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = note }, old;
	size_t i;

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
