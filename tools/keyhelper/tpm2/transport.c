// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands to a TPM and answers from it, over a device or a socket: both carry
 * the TPM's own format, an answer says in its bytes 2 to 5 how long it is.
 *
 * tpm2-tss has TCTIs for both, but they wait without an end, are libraries that
 * would have to be loaded inside the sandbox, and open the device by its name
 * when no capability is left to open it with.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "seal.h"
#include "transport.h"

#define MAGIC 0x6b63616368652d74ULL
#define HEADER 10	/* tag, length, code */

#define DEVICE "device:"
#define SWTPM "swtpm:"

/* The kernel's device, opened before the sandbox; -errno where it could not be. */
static int device = -ENOENT;

void kt_prepare(void)
{
	device = open(KT_TCTI + strlen(DEVICE), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (device < 0)
		device = -errno;
}

static struct kt_transport *transport(TSS2_TCTI_CONTEXT *c)
{
	return (struct kt_transport *)c;
}

/* 0 when it is ready, or an RC; waits no longer than the deadline. */
static TSS2_RC ready(struct kt_transport *t, short events)
{
	struct pollfd pfd = { .fd = t->fd, .events = events };
	int r;

	do {
		r = poll(&pfd, 1, kh_time_left(t->k));
	} while (r < 0 && errno == EINTR);
	if (r > 0)
		return TSS2_RC_SUCCESS;
	if (r)
		t->broken = errno;
	else
		t->late = true;
	return TSS2_TCTI_RC_IO_ERROR;
}

static TSS2_RC broken(struct kt_transport *t, int e)
{
	t->broken = e;
	return TSS2_TCTI_RC_IO_ERROR;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *c, size_t size, const uint8_t *command)
{
	struct kt_transport *t = transport(c);
	size_t done = 0;
	ssize_t n;
	TSS2_RC rc;

	t->len = 0;
	while (done < size) {
		rc = ready(t, POLLOUT);
		if (rc)
			return rc;
		/* a device takes a command whole */
		n = write(t->fd, command + done, size - done);
		if (n > 0)
			done += (size_t)n;
		else if (!n || (errno != EINTR && errno != EAGAIN))
			return broken(t, n ? errno : EIO);
	}
	return TSS2_RC_SUCCESS;
}

/* How long the answer says that it is; 0 while that has not come. */
static size_t announced(const struct kt_transport *t)
{
	return t->len < HEADER ? 0 : (size_t)t->buf[2] << 24 | (size_t)t->buf[3] << 16 |
		(size_t)t->buf[4] << 8 | t->buf[5];
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *c, size_t *size, uint8_t *response, int32_t timeout)
{
	struct kt_transport *t = transport(c);
	size_t want = announced(t);
	ssize_t n;
	TSS2_RC rc;

	(void)timeout;	/* ours is the command's deadline */
	while (!want || t->len < want) {
		rc = ready(t, POLLIN);
		if (rc)
			return rc;
		n = read(t->fd, t->buf + t->len, (want ? want : sizeof(t->buf)) - t->len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return broken(t, n ? errno : ECONNRESET);
		t->len += (size_t)n;
		want = announced(t);
		if (want && (want < HEADER || want > sizeof(t->buf) || t->len > want))
			return TSS2_TCTI_RC_MALFORMED_RESPONSE;
	}
	if (response && *size < want)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	*size = want;
	if (response) {
		memcpy(response, t->buf, want);
		t->len = 0;
	}
	return TSS2_RC_SUCCESS;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *c)
{
	(void)c;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC poll_handles(TSS2_TCTI_CONTEXT *c, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	(void)c;
	(void)handles;
	(void)n;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *c, uint8_t locality)
{
	(void)c;
	(void)locality;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static int bad_tcti(struct kh *k, const char *tcti)
{
	kh_fail(k, KH_VALIDATION, "tpm2_tcti \"%.100s\" is no way to a TPM", tcti);
	return kh_next(k, "set it to " KT_TCTI " or swtpm:host=ADDRESS,port=N in kcache.conf");
}

static int unreachable(struct kh *k, const char *what, int e)
{
	/* permissions say nothing about a TPM */
	if (e == EACCES || e == EPERM) {
		kh_fail(k, KH_ACCESS_DENIED, "cannot open the TPM %s: %s", what, strerror(e));
		return kh_next(k, "run it as root, or as a member of the group that owns %s", what);
	}
	kh_fail(k, KH_UNREACHABLE, "there is no TPM at %s: %s", what, strerror(e));
	return kh_next(k, "switch the TPM on in the firmware, or correct tpm2_tcti in kcache.conf");
}

static int open_device(struct kh *k, const char *path, struct kt_transport *t)
{
	if (!strcmp(path, KT_TCTI + strlen(DEVICE))) {
		t->fd = device;
		t->borrowed = true;
		return device >= 0 ? 0 : unreachable(k, path, -device);
	}
	t->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return t->fd >= 0 ? 0 : unreachable(k, path, errno);
}

/* connect() within the deadline */
static int connect_to(struct kh *k, const char *what, const struct sockaddr *sa, socklen_t len,
		      struct kt_transport *t)
{
	socklen_t elen = sizeof(int);
	int e = 0;

	t->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return unreachable(k, what, errno);
	if (connect(t->fd, sa, len)) {
		/* EAGAIN: a local socket whose queue is full */
		if (errno != EINPROGRESS && errno != EAGAIN)
			return unreachable(k, what, errno);
		if (ready(t, POLLOUT))
			return t->late ? kh_fail(k, KH_TIMEOUT, "the TPM at %s did not answer in time", what) :
				unreachable(k, what, t->broken);
		if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &elen))
			e = errno;
	}
	return e ? unreachable(k, what, e) : 0;
}

static int open_local(struct kh *k, const char *path, struct kt_transport *t)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path))
		return bad_tcti(k, path);
	memcpy(un.sun_path, path, strlen(path));
	return connect_to(k, path, (struct sockaddr *)&un, sizeof(un), t);
}

/* "host=ADDRESS,port=N", an address and no name: there is no resolver here */
static int open_swtpm(struct kh *k, const char *tcti, struct kt_transport *t)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const char *s = tcti + strlen(SWTPM), *port;
	char host[INET6_ADDRSTRLEN];
	unsigned long n;
	char *end;

	if (!strncmp(s, "path=/", 6))
		return open_local(k, s + 5, t);
	port = strstr(s, ",port=");
	if (strncmp(s, "host=", 5) != 0 || !port || (size_t)(port - s - 5) >= sizeof(host))
		return bad_tcti(k, tcti);
	snprintf(host, sizeof(host), "%.*s", (int)(port - s - 5), s + 5);
	port += 6;
	n = strtoul(port, &end, 10);
	if (*port < '0' || *port > '9' || *end || !n || n > 65535)
		return bad_tcti(k, tcti);
	in.sin_port = htons((uint16_t)n);
	in6.sin6_port = htons((uint16_t)n);
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
		return connect_to(k, s, (struct sockaddr *)&in, sizeof(in), t);
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
		return connect_to(k, s, (struct sockaddr *)&in6, sizeof(in6), t);
	return bad_tcti(k, tcti);
}

int kt_connect(struct kh *k, const char *tcti, struct kt_transport *t)
{
	int r;

	if (!tcti)
		tcti = KT_TCTI;
	memset(t, 0, sizeof(*t));
	t->k = k;
	t->fd = -1;
	t->common.magic = MAGIC;
	t->common.version = 1;
	t->common.transmit = transmit;
	t->common.receive = receive;
	t->common.cancel = cancel;
	t->common.getPollHandles = poll_handles;
	t->common.setLocality = set_locality;
	if (!strncmp(tcti, DEVICE "/", strlen(DEVICE "/")))
		r = open_device(k, tcti + strlen(DEVICE), t);
	else if (!strncmp(tcti, SWTPM, strlen(SWTPM)))
		r = open_swtpm(k, tcti, t);
	else
		r = bad_tcti(k, tcti);
	if (r)
		kt_disconnect(t);
	return r;
}

void kt_disconnect(struct kt_transport *t)
{
	if (t->fd >= 0 && !t->borrowed)
		close(t->fd);
	t->fd = -1;
	explicit_bzero(t->buf, sizeof(t->buf));
}
