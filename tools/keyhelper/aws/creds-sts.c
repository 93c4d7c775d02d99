// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Credentials of a role, from AWS's Security Token Service. Its answers are asked for
 * as JSON ("Accept: application/json"), which it gives in the shape of its XML.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aws.h"
#include "creds-private.h"
#include "strict.h"

#define CONNECT_MS 5000
#define TRY_MS 15000
#define FORM_MAX 98304	/* a web identity token has 20,000 characters at most, of which each may become three */

/* An HTML form: it may hold a web identity token, so it is in pages for secrets. */
struct form {
	char *data;
	size_t len;
	bool full;
};

static void put(struct form *f, const char *s, size_t n)
{
	if (!f->data || f->full || n > FORM_MAX - f->len) {
		f->full = true;
		return;
	}
	memcpy(f->data + f->len, s, n);
	f->len += n;
}

static void field(struct form *f, const char *name, const char *value)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c;
	char code[3];

	if (!value)
		return;
	if (f->len)
		put(f, "&", 1);
	put(f, name, strlen(name));
	put(f, "=", 1);
	for (; *value; value++) {
		c = (unsigned char)*value;
		code[0] = '%';
		code[1] = hex[c >> 4];
		code[2] = hex[c & 15];
		if (isalnum(c) || strchr("-_.~", c))
			put(f, value, 1);
		else
			put(f, code, sizeof(code));
	}
}

/* For CloudTrail: which host it was. */
static void session_name(char *out, size_t size)
{
	char host[256] = "host", *p;

	gethostname(host, sizeof(host) - 1);
	snprintf(out, size, "kcache-%.57s", host);
	for (p = out; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("=,.@_-", *p))
			*p = '-';
}

static int no_credentials(struct kh *k, const struct aws_role *role, const char *action, const char *code,
			  const char *message)
{
	kh_fail(k, KH_CREDENTIALS, "AWS STS refuses %s of %s (%s): %s", action, role->arn, role->by,
		*message ? message : code);
	kh_name(k, "%s", code);
	if (strstr(code, "ExpiredToken"))
		return kh_next(k, "have the token of %s renewed", role->by);
	return kh_next(k, "check the role's trust policy, and who asks for it (%s)", role->by);
}

/* Is it STS that is not well, or the identity provider that it asks? */
static bool passing(long status, const char *code)
{
	static const char *const codes[] = { "Throttling", "ThrottlingException", "RequestLimitExceeded",
					     "IDPCommunicationError", "ServiceUnavailable", "InternalFailure" };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(code, codes[i]))
			return true;
	return status >= 500 || status == 429;
}

static int refused(struct kh *k, const struct aws_role *role, const char *action, const struct aws_http *h)
{
	struct json_object *o = aws_json_parse(h->answer, h->answer_len), *e = NULL;
	char code[64], message[384];
	struct aws_error other;

	if (o)
		json_object_object_get_ex(o, "Error", &e);
	aws_json_text(e, "Code", code, sizeof(code));
	aws_json_text(e, "Message", message, sizeof(message));
	json_object_put(o);
	if (!*code) {
		aws_error_parse(h, &other);
		snprintf(code, sizeof(code), "%s", other.name);
		snprintf(message, sizeof(message), "%.380s", other.message);
	}
	if (*code && !passing(h->status, code))
		return no_credentials(k, role, action, code, message);
	/* a status alone is some proxy's as soon as it is STS's */
	kh_fail(k, KH_UNREACHABLE, "AWS STS cannot answer %s of %s now: %s (status %ld)", action, role->arn,
		*code ? code : "an answer that is none of STS", h->status);
	if (*code)
		kh_name(k, "%s", code);
	return -1;
}

/* { "<action>Response": { "<action>Result": { "Credentials": {...} } } } */
static int accepted(struct kh *k, const struct aws_role *role, const char *action, const struct aws_http *h,
		    struct aws_creds *c)
{
	static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration" };
	struct json_object *o = h->cut ? NULL : aws_json_parse(h->answer, h->answer_len), *v = o;
	char member[64], source[384];
	int r;

	snprintf(source, sizeof(source), "role %.250s (%.100s)", role->arn, role->by);
	snprintf(member, sizeof(member), "%sResponse", action);
	if (!json_object_object_get_ex(v, member, &v))
		v = NULL;
	snprintf(member, sizeof(member), "%sResult", action);
	if (!json_object_object_get_ex(v, member, &v) || !json_object_object_get_ex(v, "Credentials", &v))
		r = kh_fail(k, KH_GARBAGE, "AWS STS's answer to %s of %s is none", action, role->arn);
	else
		r = aws_creds_json(k, v, &names, true, source, c);
	json_object_put(o);
	return r;
}

static int ask(struct kh *k, const struct aws_role *role, const char *action, const struct form *f,
	       const struct aws_signature *sign, const char *region, struct aws_creds *c)
{
	static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded; charset=utf-8",
					       "Accept: application/json", NULL };
	struct aws_http h = {
		.method = "POST", .headers = headers, .body = f->data, .body_len = f->len, .sign = sign,
		.connect_ms = CONNECT_MS, .total_ms = TRY_MS,
	};
	char url[300];
	int r;

	if (aws_endpoint(k, "sts", region, url, sizeof(url)))
		return -1;
	h.url = url;
	h.direct = aws_http_loopback(url);
	aws_process_dismiss();
	if (aws_http(k, &h))
		return -1;
	r = h.status == 200 ? accepted(k, role, action, &h, c) : refused(k, role, action, &h);
	aws_http_free(&h);
	return r;
}

/* The region that STS is asked in; a role's partition has one where it always was. */
static const char *region_of(struct kh *k, const struct aws_role *role)
{
	const char *region = role->region ? role->region : aws_region(k);

	if (!region && !strncmp(role->arn, "arn:aws:", 8))
		region = "us-east-1";
	if (region && aws_region_valid(region))
		return region;
	if (region)
		kh_fail(k, KH_CREDENTIALS, "\"%.60s\" is no region of AWS", region);
	else
		kh_fail(k, KH_CREDENTIALS, "no region is configured in which AWS STS could be asked for %s", role->arn);
	kh_next(k, "set AWS_REGION, or region in the profile");
	return NULL;
}

/* What both operations are asked. */
static int begin(struct kh *k, const struct aws_role *role, const char *action, struct form *f)
{
	char session[65];

	if (!kc_matches("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]+$", role->arn)) {
		kh_fail(k, KH_CREDENTIALS, "\"%.250s\" is no role's ARN (%s)", role->arn, role->by);
		return kh_next(k, "correct it");
	}
	if (role->duration && !kc_matches("^[0-9]{3,5}$", role->duration)) {
		kh_fail(k, KH_CREDENTIALS, "duration_seconds is \"%.40s\" (%s)", role->duration, role->by);
		return kh_next(k, "set it to a number from 900 to 43200");
	}
	f->data = kc_secret_alloc(FORM_MAX, NULL);
	if (!f->data)
		return kh_fail(k, KH_NO_MEMORY, "out of memory for a request");
	session_name(session, sizeof(session));
	field(f, "Action", action);
	field(f, "Version", "2011-06-15");
	field(f, "RoleArn", role->arn);
	field(f, "RoleSessionName", role->session ? role->session : session);
	field(f, "ExternalId", role->external_id);
	field(f, "DurationSeconds", role->duration);
	return 0;
}

int aws_sts_assume(struct kh *k, const struct aws_role *role, struct aws_creds *c)
{
	struct aws_signature sign = { .access_key = c->access_key, .secret = c->secret,
				      .session_token = c->session_token, .service = "sts" };
	struct form f = { 0 };
	int r;

	sign.region = region_of(k, role);
	r = sign.region ? begin(k, role, "AssumeRole", &f) : -1;
	if (!r && f.full)
		r = kh_fail(k, KH_CREDENTIALS, "what is to be sent to AWS STS for %s is too long", role->arn);
	if (!r)
		r = ask(k, role, "AssumeRole", &f, &sign, sign.region, c);
	kc_secret_free(f.data, FORM_MAX);
	return r;
}

int aws_sts_web(struct kh *k, const struct aws_role *role, const char *file, struct aws_creds *c)
{
	const char *region = region_of(k, role);
	struct aws_text token;
	struct form f = { 0 };
	int r;

	if (!region)
		return -1;
	r = aws_text_file(k, file, false, &token);
	if (r > 0) {
		kh_fail(k, KH_CREDENTIALS, "there is no web identity token %s (%s)", file, role->by);
		r = kh_next(k, "have it put there, or correct the path");
	}
	if (!r)
		r = aws_text_line(k, &token, file);
	if (!r)
		r = begin(k, role, "AssumeRoleWithWebIdentity", &f);
	if (!r) {
		field(&f, "WebIdentityToken", token.data);
		r = f.full ? kh_fail(k, KH_CREDENTIALS, "the web identity token %s is too long", file) :
			ask(k, role, "AssumeRoleWithWebIdentity", &f, NULL, region, c);
	}
	aws_text_free(&token);
	kc_secret_free(f.data, FORM_MAX);
	return r;
}

enum aws_found aws_creds_web(struct kh *k, struct aws_creds *c)
{
	const char *file = aws_env("AWS_WEB_IDENTITY_TOKEN_FILE");
	const struct aws_role role = {
		.arn = aws_env("AWS_ROLE_ARN"),
		.session = aws_env("AWS_ROLE_SESSION_NAME"),
		.by = "AWS_WEB_IDENTITY_TOKEN_FILE",
	};

	if (!file)
		return AWS_NONE;
	if (!role.arn) {
		kh_fail(k, KH_CREDENTIALS, "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not");
		return kh_next(k, "set both, or none");
	}
	return aws_sts_web(k, &role, file, c);
}
