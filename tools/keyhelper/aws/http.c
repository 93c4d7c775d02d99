// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HTTP by libcurl. Each request has a handle of its own, whose buffers (answers,
 * headers with credentials) are wiped and freed with it; connections stay in a
 * share. libcurl's allocator is the wiping one.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "http.h"

#define ANSWER_FIRST 16384

static CURLSH *share;

/* One transfer, while it runs. */
struct transfer {
	struct aws_http *h;
	CURL *curl;
	struct curl_slist *headers;
	size_t size;	/* of h->answer, with room for a NUL */
	bool too_long;
	bool no_memory;
	char error[CURL_ERROR_SIZE];
};

int aws_http_init(void)
{
	/* before curl looks for it: TLS secrets are not written anywhere */
	unsetenv("SSLKEYLOGFILE");
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, kh_wiping_malloc, kh_wiping_free, kh_wiping_realloc,
				 kh_wiping_strdup, kh_wiping_calloc))
		return -1;
	share = curl_share_init();
	if (!share || curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) ||
	    curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS))
		return -1;
	return 0;
}

void aws_http_close(void)
{
	curl_share_cleanup(share);
	share = NULL;
}

bool aws_http_loopback(const char *url)
{
	CURLU *u = curl_url();
	struct in_addr v4;
	struct in6_addr v6;
	char *host = NULL;
	bool is = false;
	size_t len;

	if (u && !curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_get(u, CURLUPART_HOST, &host, 0)) {
		len = strlen(host);
		if (*host == '[' && host[len - 1] == ']') {
			host[len - 1] = '\0';
			is = inet_pton(AF_INET6, host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
		} else {
			is = !strcasecmp(host, "localhost") ||
				(inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
		}
	}
	curl_free(host);
	curl_url_cleanup(u);
	return is;
}

/* Room for @more bytes and a NUL; the old pages are wiped. */
static bool grow(struct transfer *t, size_t more)
{
	size_t need = t->h->answer_len + more + 1, size = t->size ? t->size : ANSWER_FIRST;
	char *p;

	if (need <= t->size)
		return true;
	while (size < need)
		size *= 2;
	p = kc_secret_alloc(size, NULL);
	if (!p)
		return false;
	if (t->h->answer) {
		memcpy(p, t->h->answer, t->h->answer_len);
		kc_secret_free(t->h->answer, t->size);
	}
	t->h->answer = p;
	t->size = size;
	return true;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	if (n > AWS_ANSWER_MAX - t->h->answer_len) {
		t->too_long = true;
		return 0;
	}
	if (!grow(t, n)) {
		t->no_memory = true;
		return 0;
	}
	memcpy(t->h->answer + t->h->answer_len, data, n);
	t->h->answer_len += n;
	return n;
}

/* What is beyond AWS_HEADERS_MAX is not needed. */
static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct aws_http *h = t->h;

	(void)one;
	/* of several answers to one request ("100 Continue") the last counts */
	if (n > 5 && !memcmp(data, "HTTP/", 5))
		h->answer_headers_len = 0;
	if (n < AWS_HEADERS_MAX - h->answer_headers_len) {
		memcpy(h->answer_headers + h->answer_headers_len, data, n);
		h->answer_headers_len += n;
	}
	return n;
}

bool aws_http_header(const struct aws_http *h, const char *name, char *out, size_t size)
{
	const char *p = h->answer_headers, *end = p ? p + h->answer_headers_len : NULL, *eol;
	size_t n = strlen(name);

	*out = '\0';
	for (; p && p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (!eol)
			break;
		if ((size_t)(eol - p) <= n || strncasecmp(p, name, n) || p[n] != ':')
			continue;
		p += n + 1;
		while (p < eol && (*p == ' ' || *p == '\t'))
			p++;
		n = (size_t)(eol - p);
		while (n && (p[n - 1] == '\r' || p[n - 1] == ' '))
			n--;
		if (n >= size)
			n = size - 1;
		memcpy(out, p, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

void aws_http_free(struct aws_http *h)
{
	/* kc_secret_free() counts in pages; what was grown to is a power of two of them */
	size_t size = ANSWER_FIRST;

	while (size < h->answer_len + 1)
		size *= 2;
	kc_secret_free(h->answer, size);
	kh_wiping_free(h->answer_headers);
	h->answer = NULL;
	h->answer_len = 0;
	h->answer_headers = NULL;
	h->answer_headers_len = 0;
	h->status = 0;
	h->cut = false;
}

static bool add_header(struct transfer *t, const char *line)
{
	struct curl_slist *l = curl_slist_append(t->headers, line);

	if (l)
		t->headers = l;
	return l != NULL;
}

/* What would end a header line and begin another one. */
static bool one_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static int set_headers(struct kh *k, struct transfer *t)
{
	const struct aws_signature *s = t->h->sign;
	const char *const *line;
	char *token = NULL;
	bool ok = true;

	for (line = t->h->headers; line && *line; line++)
		if (!add_header(t, *line))
			return kh_fail(k, KH_NO_MEMORY, "out of memory");
	if (!s || !s->session_token || !*s->session_token)
		return 0;
	if (!one_line(s->session_token))
		return kh_fail(k, KH_CREDENTIALS, "the session token has blanks or control characters in it");
	if (asprintf(&token, "X-Amz-Security-Token: %s", s->session_token) < 0)
		token = NULL;
	ok = token && add_header(t, token);
	kh_wiping_free(token);
	return ok ? 0 : kh_fail(k, KH_NO_MEMORY, "out of memory");
}

#define SET(option, value) (ok = ok && curl_easy_setopt(t->curl, option, value) == CURLE_OK)

static int set_signature(struct kh *k, struct transfer *t)
{
	const struct aws_signature *s = t->h->sign;
	char scope[128];
	bool ok = true;

	if (!s)
		return 0;
	if (!*s->access_key || !one_line(s->access_key) || !*s->secret || !one_line(s->secret))
		return kh_fail(k, KH_CREDENTIALS, "the access key is empty or has blanks or control characters in it");
	snprintf(scope, sizeof(scope), "aws:amz:%s:%s", s->region, s->service);
	SET(CURLOPT_AWS_SIGV4, scope);
	SET(CURLOPT_USERNAME, s->access_key);
	SET(CURLOPT_PASSWORD, s->secret);
	return ok ? 0 : kh_fail(k, KH_NO_MEMORY, "out of memory");
}

/* A private CA replaces the system's; there is nothing to switch verification off. */
static bool set_tls(struct kh *k, struct transfer *t)
{
	const char *ca = kh_setting(k, "aws_ca_file");
	bool ok = true;

	if (!ca)
		ca = getenv("AWS_CA_BUNDLE");
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (ca && *ca) {
		SET(CURLOPT_CAINFO, ca);
		SET(CURLOPT_CAPATH, NULL);
		SET(CURLOPT_PROXY_CAINFO, ca);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	return ok;
}

static bool set_method(struct transfer *t)
{
	const struct aws_http *h = t->h;
	bool ok = true;

	if (h->body) {
		SET(CURLOPT_POSTFIELDS, h->body);
		SET(CURLOPT_POSTFIELDSIZE, (long)h->body_len);
	}
	if (strcmp(h->method, h->body ? "POST" : "GET"))
		SET(CURLOPT_CUSTOMREQUEST, h->method);
	return ok;
}

static bool set_up(struct kh *k, struct transfer *t, int left)
{
	const struct aws_http *h = t->h;
	bool ok = true;

	SET(CURLOPT_URL, h->url);
	SET(CURLOPT_SHARE, share);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* names are resolved in a thread, which a deadline does not wait for */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_USERAGENT, "kcache/" KC_VERSION);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_TIMEOUT_MS, (long)(h->total_ms && h->total_ms < left ? h->total_ms : left));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(h->connect_ms && h->connect_ms < left ? h->connect_ms : left));
	if (h->direct)
		SET(CURLOPT_PROXY, "");
	return ok && set_tls(k, t) && set_method(t);
}

/* "host:port" of a URL, for messages: it may not be shown with what else a URL can hold. */
static void shown_host(const char *url, char *out, size_t size)
{
	const char *s = strstr(url, "://"), *at;
	int n;

	s = s ? s + 3 : url;
	n = (int)strcspn(s, "/?#");
	at = memrchr(s, '@', (size_t)n);
	if (at) {
		n -= (int)(at + 1 - s);
		s = at + 1;
	}
	snprintf(out, size, "%.*s", n, s);
}

static int no_answer(struct kh *k, struct transfer *t, CURLcode r)
{
	const char *why = t->error[0] ? t->error : curl_easy_strerror(r);
	curl_off_t connected = 0;
	char host[300];

	shown_host(t->h->url, host, sizeof(host));
	curl_easy_getinfo(t->curl, CURLINFO_CONNECT_TIME_T, &connected);
	switch (r) {
	case CURLE_OUT_OF_MEMORY:
		return kh_fail(k, KH_NO_MEMORY, "out of memory");
	case CURLE_OPERATION_TIMEDOUT:
		if (connected)
			return kh_fail(k, KH_TIMEOUT, "no answer from %s in time: %s", host, why);
		return kh_fail(k, KH_UNREACHABLE, "cannot reach %s: %s", host, why);
	case CURLE_SSL_CACERT_BADFILE:
		kh_fail(k, KH_VALIDATION, "cannot use the certificates to check %s by: %s", host, why);
		return kh_next(k, "correct aws_ca_file in kcache.conf, or AWS_CA_BUNDLE");
	case CURLE_PEER_FAILED_VERIFICATION:
		kh_fail(k, KH_UNREACHABLE, "%s is not who it says it is: %s", host, why);
		return kh_next(k, "check this host's clock, and that a proxy's CA is in aws_ca_file of kcache.conf");
	default:
		return kh_fail(k, KH_UNREACHABLE, "cannot reach %s: %s", host, why);
	}
}

static int perform(struct kh *k, struct transfer *t)
{
	struct aws_http *h = t->h;
	CURLcode r = curl_easy_perform(t->curl);

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &h->status);
	if (t->no_memory || !grow(t, 0))
		return kh_fail(k, KH_NO_MEMORY, "out of memory for an answer");
	h->answer[h->answer_len] = '\0';
	if (!r)
		return 0;
	/* it did answer: what of it there is */
	h->cut = h->status && (r == CURLE_PARTIAL_FILE || r == CURLE_RECV_ERROR || t->too_long);
	return h->cut ? 0 : no_answer(k, t, r);
}

int aws_http(struct kh *k, struct aws_http *h)
{
	struct transfer t = { .h = h };
	int r = -1, left = kh_time_left(k);

	if (!left)
		return kh_fail(k, KH_TIMEOUT, "the time for this command is over");
	h->answer_headers = calloc(1, AWS_HEADERS_MAX);
	t.curl = curl_easy_init();
	if (!h->answer_headers || !t.curl)
		kh_fail(k, KH_NO_MEMORY, "out of memory");
	else if (!set_headers(k, &t) && !set_signature(k, &t))
		r = set_up(k, &t, left) ? perform(k, &t) : kh_fail(k, KH_NO_MEMORY, "cannot set up a request");
	if (t.curl)
		curl_easy_cleanup(t.curl);
	curl_slist_free_all(t.headers);
	if (r)
		aws_http_free(h);
	return r;
}
