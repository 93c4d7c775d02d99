// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Credentials of a container (ECS, EKS Pod Identity): an HTTP service of its host,
 * which the environment names. Whoever sets that variable must not be able to send
 * our authorization token to just any host without TLS.
 */
#include <stdio.h>
#include <string.h>

#include "creds-private.h"
#include "strict.h"

#define ECS_HOST "http://169.254.170.2"
#define CONNECT_MS 2000
#define TRY_MS 5000

/* ECS's and EKS's own addresses, as the SDKs have them; elsewhere on this machine, or TLS. */
static bool allowed(const char *url)
{
	static const char *const hosts[] = { ECS_HOST, "http://169.254.170.23", "http://[fd00:ec2::23]" };
	size_t i, n;

	if (!kc_matches("^https?://([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[!-~]*)?$", url))
		return false;
	if (!strncmp(url, "https:", 6) || aws_http_loopback(url))
		return true;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		n = strlen(hosts[i]);
		if (!strncmp(url, hosts[i], n) && (!url[n] || url[n] == '/' || url[n] == ':'))
			return true;
	}
	return false;
}

static int address(struct kh *k, const char *relative, const char *full, char *url, size_t size)
{
	if (relative && (*relative != '/' || !kc_matches("^[!-~]+$", relative))) {
		kh_fail(k, KH_CREDENTIALS, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not /PATH");
		return kh_next(k, "leave it as the container's host has set it");
	}
	if (snprintf(url, size, "%s%s", relative ? ECS_HOST : full, relative ? relative : "") < (int)size && allowed(url))
		return 0;
	kh_fail(k, KH_CREDENTIALS, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https://, nor on this machine, nor ECS's or EKS's");
	return kh_next(k, "leave it as the container's host has set it");
}

/* "Authorization: TOKEN" in pages for secrets, or nothing where there is no token. */
static int authorization(struct kh *k, struct aws_text *t)
{
	const char *file = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct aws_text read = { 0 };
	int r;

	memset(t, 0, sizeof(*t));
	if (file) {
		r = aws_text_file(k, file, false, &read);
		if (r > 0)
			r = kh_fail(k, KH_CREDENTIALS, "there is no %s, which AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names", file);
		if (!r)
			r = aws_text_line(k, &read, file);
		if (r) {
			aws_text_free(&read);
			return r;
		}
		token = read.data;
	}
	if (!token)
		return 0;
	t->size = strlen(token) + sizeof("Authorization: ");
	t->data = kc_secret_alloc(t->size, NULL);
	if (t->data)
		t->len = (size_t)snprintf(t->data, t->size, "Authorization: %s", token);
	aws_text_free(&read);
	return t->data ? aws_text_line(k, t, "AWS_CONTAINER_AUTHORIZATION_TOKEN") :
		kh_fail(k, KH_NO_MEMORY, "out of memory for a token");
}

static int refused(struct kh *k, const struct aws_http *h)
{
	struct json_object *o = aws_json_parse(h->answer, h->answer_len);
	char code[64], message[256];

	aws_json_text(o, "code", code, sizeof(code));
	aws_json_text(o, "message", message, sizeof(message));
	json_object_put(o);
	if (h->status >= 500 || h->status == 429)
		return kh_fail(k, KH_UNREACHABLE, "the container's credentials service cannot answer now: status %ld %s %s",
			       h->status, code, message);
	kh_fail(k, KH_CREDENTIALS, "the container's credentials service refuses: status %ld %s %s", h->status, code, message);
	return kh_next(k, "check the role of the task or pod, and its authorization token");
}

static int ask(struct kh *k, const char *url, const char *header, struct aws_creds *c)
{
	static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "Token", "Expiration" };
	const char *const headers[] = { "Accept: application/json", header, NULL };
	struct aws_http h = {
		.method = "GET", .url = url, .headers = headers, .direct = !strncmp(url, "http:", 5),
		.connect_ms = CONNECT_MS, .total_ms = TRY_MS,
	};
	struct json_object *o;
	int r;

	if (aws_http(k, &h))
		return -1;
	if (h.status != 200) {
		r = refused(k, &h);
	} else {
		o = h.cut ? NULL : aws_json_parse(h.answer, h.answer_len);
		r = o ? aws_creds_json(k, o, &names, false, "the container's credentials service", c) :
			kh_fail(k, KH_GARBAGE, "the container's credentials service gives no JSON");
		json_object_put(o);
	}
	aws_http_free(&h);
	return r;
}

enum aws_found aws_creds_container(struct kh *k, struct aws_creds *c)
{
	const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	struct aws_text header;
	char url[2048];
	int r;

	if (!relative && !full)
		return AWS_NONE;
	aws_process_dismiss();
	r = address(k, relative, full, url, sizeof(url));
	if (r)
		return AWS_FAILED;
	r = authorization(k, &header);
	if (!r)
		r = ask(k, url, header.data, c);
	aws_text_free(&header);
	return r ? AWS_FAILED : AWS_FOUND;
}
