// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A request to KMS (AWS JSON 1.1 over HTTPS, signed) and what is read from its
 * answer. Anything may answer there: KMS, a load balancer before it, a proxy.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "aws.h"
#include "creds.h"
#include "kms-wire.h"

#define DEPTH_MAX 16
#define CONNECT_MS 5000
#define TRY_MS 15000	/* for one try: a server that drips must not use up the deadline */

/* Strict JSON, one object, nothing after it; NULL for anything else. */
static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *o;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
			       JSON_TOKENER_ALLOW_TRAILING_CHARS);
	o = json_tokener_parse_ex(tok, text, (int)len);
	if (json_tokener_get_error(tok) == json_tokener_success) {
		size_t end = json_tokener_get_parse_end(tok);

		while (end < len && strchr(" \t\r\n", text[end]))
			end++;
		if (end == len && json_object_is_type(o, json_type_object)) {
			json_tokener_free(tok);
			return o;
		}
	}
	json_object_put(o);
	json_tokener_free(tok);
	return NULL;
}

/* Texts of others are shown on terminals and in logs. */
static void copy_printable(char *out, size_t size, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len && i < size - 1 && s[i]; i++)
		out[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : ' ';
	while (i && out[i - 1] == ' ')
		i--;
	out[i] = '\0';
}

/* "com.amazonaws.kms#Name" and "Name:http://..." to "Name"; "" if that is no name. */
static void bare_name(const char *s, size_t len, char *out, size_t size)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *hash = memrchr(s, '#', len), *colon;

	*out = '\0';
	if (hash) {
		len -= (size_t)(hash + 1 - s);
		s = hash + 1;
	}
	colon = memchr(s, ':', len);
	if (colon)
		len = (size_t)(colon - s);
	if (!len || len >= size)
		return;
	memcpy(out, s, len);
	out[len] = '\0';
	if (strspn(out, letters) != len)
		*out = '\0';
}

static void read_json(struct json_object *o, struct aws_error *e)
{
	static const char *const types[] = { "__type", "code", "Code" };
	static const char *const messages[] = { "message", "Message", "errorMessage" };
	const char *s;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]) && !e->name[0]; i++) {
		s = aws_string(o, types[i]);
		if (s)
			bare_name(s, strlen(s), e->name, sizeof(e->name));
	}
	for (i = 0; i < sizeof(messages) / sizeof(messages[0]) && !e->message[0]; i++) {
		s = aws_string(o, messages[i]);
		if (s)
			copy_printable(e->message, sizeof(e->message), s, strlen(s));
	}
}

/* The text of the first <tag> of an XML error; NULL without one. */
static const char *xml_text(const char *body, const char *tag, size_t *len)
{
	char open[32], close[32];
	const char *s, *end;

	snprintf(open, sizeof(open), "<%s>", tag);
	snprintf(close, sizeof(close), "</%s>", tag);
	s = strstr(body, open);
	if (!s)
		return NULL;
	s += strlen(open);
	end = strstr(s, close);
	if (!end)
		return NULL;
	*len = (size_t)(end - s);
	return s;
}

static void read_xml(const char *body, struct aws_error *e)
{
	const char *s;
	size_t len;

	s = xml_text(body, "Code", &len);
	if (s)
		bare_name(s, len, e->name, sizeof(e->name));
	s = xml_text(body, "Message", &len);
	if (s && e->name[0])
		copy_printable(e->message, sizeof(e->message), s, len);
	s = xml_text(body, "RequestId", &len);
	if (!s)
		s = xml_text(body, "RequestID", &len);
	if (s && !e->request_id[0])
		copy_printable(e->request_id, sizeof(e->request_id), s, len);
}

static void read_headers(const struct aws_http *h, struct aws_error *e)
{
	static const char *const ids[] = { "x-amzn-RequestId", "x-amz-request-id" };
	char value[256];
	time_t date;
	size_t i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]) && !e->request_id[0]; i++)
		if (aws_http_header(h, ids[i], value, sizeof(value)))
			copy_printable(e->request_id, sizeof(e->request_id), value, strlen(value));
	/* where a load balancer took the body away */
	if (!e->name[0] && aws_http_header(h, "x-amzn-ErrorType", value, sizeof(value)))
		bare_name(value, strlen(value), e->name, sizeof(e->name));
	if (aws_http_header(h, "Date", value, sizeof(value))) {
		date = curl_getdate(value, NULL);
		if (date > 0)
			e->skew = (int64_t)(time(NULL) - date);
	}
}

void aws_error_parse(const struct aws_http *h, struct aws_error *e)
{
	struct json_object *o = h->cut ? NULL : parse(h->answer, h->answer_len);

	memset(e, 0, sizeof(*e));
	e->status = h->status;
	if (o)
		read_json(o, e);
	else if (!h->cut && h->answer_len && strlen(h->answer) == h->answer_len)
		read_xml(h->answer, e);
	json_object_put(o);
	read_headers(h, e);
}

const char *aws_string(struct json_object *o, const char *name)
{
	struct json_object *v;
	const char *s;

	if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

void aws_time(struct json_object *o, const char *name, char out[static 32])
{
	struct json_object *v;
	struct tm tm;
	double d;
	time_t t;

	*out = '\0';
	if (!json_object_object_get_ex(o, name, &v) ||
	    !(json_object_is_type(v, json_type_double) || json_object_is_type(v, json_type_int)))
		return;
	d = json_object_get_double(v);
	if (!(d > 0 && d < 253402300800.0))	/* the year 10000 */
		return;
	t = (time_t)d;
	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		*out = '\0';
}

int aws_garbage(struct kh *k, const struct aws_call *c, const char *what)
{
	kh_fail(k, KH_GARBAGE, "AWS KMS's answer to %s for %s has %s", c->operation, c->key ? c->key : c->region, what);
	return kh_next(k, "check that what answers there is AWS KMS, and no proxy");
}

/* One try. */
static int ask_once(struct kh *k, const struct aws_call *c, const char *url, const char *body, size_t len,
		    bool fresh, struct json_object **answer)
{
	char target[96];
	const char *headers[] = { target, "Content-Type: application/x-amz-json-1.1", NULL };
	struct aws_http h = {
		.method = "POST", .url = url, .headers = headers, .body = body, .body_len = len,
		.direct = aws_http_loopback(url), .connect_ms = CONNECT_MS, .total_ms = TRY_MS,
	};
	struct aws_signature sign;
	struct aws_creds creds = { 0 };
	struct aws_error e;
	int r = 0;

	if (aws_creds_get(k, fresh, &creds))
		return -1;
	sign = (struct aws_signature){
		.access_key = creds.access_key, .secret = creds.secret, .session_token = creds.session_token,
		.region = c->region, .service = "kms",
	};
	h.sign = &sign;
	snprintf(target, sizeof(target), "X-Amz-Target: TrentService.%s", c->operation);
	if (aws_http(k, &h))
		return -1;
	if (h.status >= 200 && h.status < 300 && !h.cut)
		*answer = h.answer_len ? parse(h.answer, h.answer_len) : json_object_new_object();
	aws_error_parse(&h, &e);
	if (e.request_id[0])
		snprintf(k->request_id, sizeof(k->request_id), "%s", e.request_id);
	if (h.cut)
		r = aws_garbage(k, c, "no end");
	else if (!*answer)
		r = aws_error_fail(k, c, creds.source, &e);
	aws_http_free(&h);
	return r;
}

/* What is told where time ran out: the last real reason. */
struct reason {
	enum kh_error error;
	char name[sizeof(((struct kh *)0)->name)];
	char text[sizeof(((struct kh *)0)->text)];
	char next[sizeof(((struct kh *)0)->next)];
};

static void keep_reason(const struct kh *k, struct reason *why)
{
	if (k->error == KH_TIMEOUT && why->error != KH_OK)
		return;
	why->error = k->error;
	memcpy(why->name, k->name, sizeof(why->name));
	memcpy(why->text, k->text, sizeof(why->text));
	memcpy(why->next, k->next, sizeof(why->next));
}

static int tell_reason(struct kh *k, const struct reason *why, unsigned int tries)
{
	kh_forget(k);
	if (tries > 1)
		kh_fail(k, why->error, "%.700s (tried %u times)", why->text, tries);
	else
		kh_fail(k, why->error, "%s", why->text);
	kh_name(k, "%s", why->name);
	return kh_next(k, "%s", why->next);
}

int aws_ask(struct kh *k, const struct aws_call *c, struct json_object *params, struct json_object **answer)
{
	struct reason why = { .error = KH_OK };
	struct aws_retry retry;
	char url[300];
	const char *body;
	bool fresh = false;
	size_t len;

	*answer = NULL;
	if (aws_endpoint(k, "kms", c->region, url, sizeof(url)))
		return -1;
	body = json_object_to_json_string_length(params, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
						 &len);
	if (!body)
		return kh_fail(k, KH_NO_MEMORY, "out of memory");
	aws_retry_start(&retry, k->deadline, c->grants);
	do {
		kh_forget(k);
		if (!ask_once(k, c, url, body, len, fresh, answer))
			return 0;
		keep_reason(k, &why);
	} while (aws_retry(&retry, k->error, &fresh));
	return tell_reason(k, &why, retry.tries);
}
