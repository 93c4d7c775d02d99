// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PIN of a token, typed in. From /dev/tty, so that pipes stay what they
 * are; read(2) straight into the caller's locked memory; the terminal is as it
 * was afterwards, also when a signal ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "kms-wire.h"
#include "pin.h"
#include "stop.h"

static bool allowed;

void kc_pin_allow(void)
{
	allowed = true;
}

static int open_tty(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

bool kc_pin_possible(void)
{
	int tty = allowed ? open_tty() : -1;

	if (tty >= 0)
		close(tty);
	return tty >= 0;
}

/* One line of the terminal: it comes whole. 0, or an exit code. */
static int read_line(int tty, int64_t deadline, char *pin, size_t size, size_t *len, struct kc_error *err)
{
	struct pollfd pfd[] = { { .fd = tty, .events = POLLIN }, { .fd = kc_stop_fd(), .events = POLLIN } };
	int64_t left;
	ssize_t n;
	int r;

	do {
		r = kc_stop_check(err);
		if (r)
			return r;
		left = deadline - kc_wire_now();
		if (left <= 0)
			return kc_fail(err, KC_PERM, "try again, or raise --timeout", "no PIN was typed in time");
		r = poll(pfd, 2, left > INT_MAX ? INT_MAX : (int)left);
	} while ((r < 0 && errno == EINTR) || !pfd[0].revents);
	n = read(tty, pin, size);
	if (n > 0 && pin[n - 1] == '\n')
		*len = (size_t)n - 1;
	else if (n > 0)
		return kc_fail(err, KC_PERM, NULL, "a PIN has fewer than %zu characters", size);
	return *len ? 0 : kc_fail(err, KC_PERM, NULL, "no PIN was typed");
}

int kc_pin_ask(const char *what, int64_t deadline, char *pin, size_t size, size_t *len, struct kc_error *err)
{
	struct termios was = { 0 }, quiet;
	int tty = open_tty(), r;

	*len = 0;
	r = tty < 0 || tcgetattr(tty, &was);
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	quiet.c_lflag |= ICANON | ISIG;
	if (r || tcsetattr(tty, TCSAFLUSH, &quiet)) {
		r = kc_fail(err, KC_PERM, "set pkcs11_pin_file in kcache.conf", "cannot ask for the PIN of %s: %s", what,
			    strerror(errno));
		if (tty >= 0)
			close(tty);
		return r;
	}
	dprintf(tty, "PIN for %s: ", what);
	r = read_line(tty, deadline, pin, size, len, err);
	tcsetattr(tty, TCSAFLUSH, &was);
	dprintf(tty, "\n");
	close(tty);
	if (r)
		explicit_bzero(pin, size);
	return r;
}
