// SPDX-License-Identifier: GPL-2.0-or-later
/* A passphrase from a terminal, a file or standard input, in locked memory: never argv or the environment. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "passphrase.h"
#include "secret.h"
#include "stop.h"

/* To the end, or with @line to the end of the line; one byte at a time there, so that nothing after it is lost. */
static ssize_t read_all(int fd, char *out, size_t max, bool line)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = kc_stop_fd(), .events = POLLIN } };
	size_t len = 0;
	ssize_t n;

	while (len < max) {
		/* who has asked us to stop does not have to type the rest first */
		if ((poll(p, 2, -1) < 0 && errno != EINTR) || kc_stopped())
			return -1;
		if (!p[0].revents)
			continue;
		n = read(fd, out + len, line ? 1 : max - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		len += (size_t)n;
		if (!n || (line && out[len - 1] == '\n'))
			break;
	}
	return (ssize_t)len;
}

static int from_terminal(struct kc_run *r, const char *question, char *out, ssize_t *n)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios was, quiet;

	if (tty < 0 || kc_given(r, OPT_BATCH) || tcgetattr(tty, &was)) {
		if (tty >= 0)
			close(tty);
		return kc_fail(&r->err, KC_PERM, "give it with --passphrase-file FILE, or - for standard input",
			       "there is no terminal to ask for a passphrase on");
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(tty, TCSAFLUSH, &quiet);
	dprintf(tty, "%s: ", question);
	*n = read_all(tty, out, PASSPHRASE_MAX + 1, true);
	tcsetattr(tty, TCSAFLUSH, &was);
	dprintf(tty, "\n");
	close(tty);
	return 0;
}

static int from_file(struct kc_run *r, char *out, ssize_t *n)
{
	const char *path = r->opt[OPT_PASSPHRASE_FILE];
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	*n = fd < 0 ? -1 : read_all(fd, out, PASSPHRASE_MAX + 1, false);
	if (*n < 0)
		kc_fail(&r->err, KC_PERM, NULL, "cannot read the passphrase from %s: %s", path, strerror(errno));
	if (fd > STDIN_FILENO)
		close(fd);
	return *n < 0 ? KC_PERM : 0;
}

static int check(struct kc_run *r, const char *p, ssize_t n, size_t *len)
{
	*len = n > 0 ? (size_t)n : 0;
	if (*len && p[*len - 1] == '\n')
		(*len)--;
	if (*len && n <= PASSPHRASE_MAX)
		return 0;
	return kc_fail(&r->err, KC_USAGE, NULL, "a passphrase has 1 to %d bytes", PASSPHRASE_MAX);
}

char *passphrase_read(struct kc_run *r, const char *what, bool twice, size_t *len)
{
	char *p = kc_secret_alloc(2 * (PASSPHRASE_MAX + 1), &r->err), *again;
	ssize_t n = 0, m = 0;
	int ret;

	if (!p)
		return NULL;
	again = p + PASSPHRASE_MAX + 1;
	if (kc_given(r, OPT_PASSPHRASE_FILE)) {
		ret = from_file(r, p, &n);
	} else {
		ret = from_terminal(r, what, p, &n);
		if (!ret && twice)
			ret = from_terminal(r, "The same again", again, &m);
		if (!ret && twice && (n != m || n < 0 || memcmp(p, again, (size_t)n) != 0))
			ret = kc_fail(&r->err, KC_USAGE, "type it again", "the two passphrases are not the same");
	}
	if (!ret)
		ret = kc_stop_check(&r->err);
	if (!ret)
		ret = check(r, p, n, len);
	if (!ret)
		return p;
	passphrase_free(p);
	return NULL;
}

void passphrase_free(char *p)
{
	kc_secret_free(p, 2 * (PASSPHRASE_MAX + 1));
}
