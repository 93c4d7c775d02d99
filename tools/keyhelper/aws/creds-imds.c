// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The instance metadata service, version 2 only: a session token is fetched with PUT
 * and sent with each GET. There is no way back to version 1, whatever is answered:
 * whoever can make this host send a GET somewhere could have its credentials by that.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "creds-private.h"
#include "kms-wire.h"
#include "strict.h"

#define TOKEN_PATH "/latest/api/token"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define TOKEN_HEADER "X-aws-ec2-metadata-token: "
#define TTL 21600	/* seconds, the longest there is */
#define CONNECT_MS 1000
#define TRY_MS 2000
#define TRIES 3

/* The header with the session token, until it ends (kc_wire_now()). */
static struct {
	char *header;
	size_t size;
	int64_t ends;
} session;

static void forget(void)
{
	kc_secret_free(session.header, session.size);
	memset(&session, 0, sizeof(session));
}

void aws_imds_close(void)
{
	forget();
}

/* A machine of EC2 says so in its firmware: there the service is, and silence will pass. */
static bool is_ec2(void)
{
	static const char *const files[][2] = {
		{ "/sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2" },
		{ "/sys/hypervisor/uuid", "ec2" },
	};
	char text[64];
	ssize_t n = 0;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		fd = open(files[i][0], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text));
		close(fd);
		if (n >= (ssize_t)strlen(files[i][1]) && !memcmp(text, files[i][1], strlen(files[i][1])))
			return true;
	}
	return false;
}

/* The service's address; another one only on this machine, for tests and proxies there. */
static int address(struct kh *k, const char **base)
{
	const char *given = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	static char url[128];
	size_t len;

	*base = mode && !strcasecmp(mode, "IPv6") ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
	if (!given)
		return 0;
	len = strlen(given);
	if (len && given[len - 1] == '/')
		len--;
	snprintf(url, sizeof(url), "%.*s", (int)len, given);
	if (len < sizeof(url) && kc_matches("^http://([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$", url) &&
	    (aws_http_loopback(url) || !strcmp(url, "http://169.254.169.254") || !strcmp(url, "http://[fd00:ec2::254]"))) {
		*base = url;
		return 0;
	}
	kh_fail(k, KH_CREDENTIALS, "AWS_EC2_METADATA_SERVICE_ENDPOINT is neither the service's own address nor on this machine");
	return kh_next(k, "unset it, or set it to http://127.0.0.1:PORT");
}

/* One request; 0 for any answer. @expected: the service has to be there. */
static int request(struct kh *k, const char *base, const char *path, const char *method, const char *header,
		   bool expected, struct aws_http *h)
{
	const char *const headers[] = { header, NULL };
	char url[384];	/* both have their own limits, below half of it */
	int r;

	memset(h, 0, sizeof(*h));
	h->method = method;
	h->url = url;
	h->headers = headers;
	h->direct = true;
	h->connect_ms = CONNECT_MS;
	h->total_ms = TRY_MS;
	snprintf(url, sizeof(url), "%s%s", base, path);
	r = aws_http(k, h);
	/* it is over: what it was asked by is gone with this function */
	h->url = NULL;
	h->headers = NULL;
	if (!r)
		return 0;
	if (!expected && (k->error == KH_UNREACHABLE || k->error == KH_TIMEOUT) && kh_time_left(k)) {
		kh_forget(k);
		kh_fail(k, KH_CREDENTIALS, "there are no AWS credentials: none is configured, and this machine is none of EC2, "
			"or its instance metadata service is out of reach");
		return kh_next(k, "give this host credentials; in a container on EC2, raise the instance's "
			       "HttpPutResponseHopLimit to 2");
	}
	return -1;
}

static int refused(struct kh *k, const char *what, long status)
{
	if (status >= 500 || status == 429 || status == 401)
		return kh_fail(k, KH_UNREACHABLE, "the instance metadata service cannot give %s now: status %ld", what, status);
	kh_fail(k, KH_CREDENTIALS, "the instance metadata service does not give %s: status %ld", what, status);
	if (status == 404 && !strcmp(what, "a role"))
		return kh_next(k, "attach an instance profile with a role to this instance");
	if (status == 403)
		return kh_next(k, "switch this instance's metadata service on (HttpEndpoint)");
	return kh_next(k, "version 2 of the service is needed; version 1 is never used");
}

static int new_session(struct kh *k, const char *base, bool expected)
{
	char want[64], ttl[32];
	struct aws_http h;
	int r = 0;

	snprintf(want, sizeof(want), "X-aws-ec2-metadata-token-ttl-seconds: %d", TTL);
	if (request(k, base, TOKEN_PATH, "PUT", want, expected, &h))
		return -1;
	if (h.status != 200)
		r = refused(k, "a session token", h.status);
	else if (h.cut || h.answer_len > 1024 || !kc_matches("^[!-~]+$", h.answer))
		r = kh_fail(k, KH_GARBAGE, "the instance metadata service gave a session token that is none");
	if (!r) {
		aws_http_header(&h, "X-aws-ec2-metadata-token-ttl-seconds", ttl, sizeof(ttl));
		session.ends = kc_wire_now() + (*ttl ? strtol(ttl, NULL, 10) : TTL) * 1000;
		session.size = sizeof(TOKEN_HEADER) + h.answer_len;
		session.header = kc_secret_alloc(session.size, NULL);
		if (session.header)
			snprintf(session.header, session.size, TOKEN_HEADER "%s", h.answer);
		else
			r = kh_fail(k, KH_NO_MEMORY, "out of memory for a token");
	}
	aws_http_free(&h);
	return r;
}

/* GET with a session that is good; one that the service has forgotten is replaced once. */
static int get(struct kh *k, const char *base, const char *path, const char *what, bool expected, struct aws_http *h)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (session.ends <= kc_wire_now())
			forget();
		if (!session.header && new_session(k, base, expected))
			return -1;
		if (request(k, base, path, "GET", session.header, expected, h))
			return -1;
		if (h->status == 200 && !h->cut)
			return 0;
		if (h->status != 401 || i)
			break;
		aws_http_free(h);
		forget();
	}
	if (h->cut)
		kh_fail(k, KH_UNREACHABLE, "the instance metadata service broke off in the middle of %s", what);
	else
		refused(k, what, h->status);
	aws_http_free(h);
	return -1;
}

/* { "Code": "Success", "AccessKeyId", "SecretAccessKey", "Token", "Expiration" } */
static int role_credentials(struct kh *k, const struct aws_http *h, const char *role, struct aws_creds *c)
{
	static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "Token", "Expiration" };
	struct json_object *o = aws_json_parse(h->answer, h->answer_len);
	char code[64], source[160];
	int r;

	snprintf(source, sizeof(source), "the instance's role %.64s", role);
	aws_json_text(o, "Code", code, sizeof(code));
	if (!o) {
		r = kh_fail(k, KH_GARBAGE, "the instance metadata service gave no JSON for role %s", role);
	} else if (*code && strcmp(code, "Success")) {
		kh_fail(k, KH_CREDENTIALS, "the instance metadata service has no credentials of role %s: %s", role, code);
		r = kh_next(k, "check the role's trust policy: EC2 must be allowed to assume it");
	} else {
		r = aws_creds_json(k, o, &names, true, source, c);
	}
	json_object_put(o);
	return r;
}

static int fetch(struct kh *k, const char *base, bool expected, struct aws_creds *c)
{
	char role[128], path[sizeof(ROLE_PATH) + sizeof(role)];
	struct aws_http h;
	int r;

	if (get(k, base, ROLE_PATH, "a role", expected, &h))
		return -1;
	snprintf(role, sizeof(role), "%.*s", (int)strcspn(h.answer, "\r\n"), h.answer);
	aws_http_free(&h);
	if (!kc_matches("^[A-Za-z0-9+=,.@_-]{1,64}$", role))
		return kh_fail(k, KH_GARBAGE, "the instance metadata service gave a role's name that is none");
	snprintf(path, sizeof(path), ROLE_PATH "%s", role);
	if (get(k, base, path, "the role's credentials", expected, &h))
		return -1;
	r = role_credentials(k, &h, role, c);
	aws_http_free(&h);
	return r;
}

enum aws_found aws_creds_imds(struct kh *k, struct aws_creds *c)
{
	const char *base;
	bool expected;
	int i, r;

	if (aws_env_true("AWS_EC2_METADATA_DISABLED"))
		return AWS_NONE;
	aws_process_dismiss();
	if (address(k, &base))
		return AWS_FAILED;
	expected = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT") || is_ec2();
	r = fetch(k, base, expected, c);
	/* it has moments without an answer, and is not worth a whole new try of the command */
	for (i = 1; r && i < TRIES && kh_error_retry(k->error) == KH_RETRY && kh_time_left(k) > TRY_MS; i++) {
		kh_forget(k);
		r = fetch(k, base, expected, c);
	}
	return r ? AWS_FAILED : AWS_FOUND;
}
