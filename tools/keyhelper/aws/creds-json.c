// SPDX-License-Identifier: GPL-2.0-or-later
/* Credentials as services and programs write them: a JSON object, with a date in it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "creds-private.h"

struct json_object *aws_json_parse(const char *text, size_t len)
{
	struct json_tokener *t = json_tokener_new_ex(16);
	struct json_object *o;
	size_t end;

	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	o = len > INT_MAX ? NULL : json_tokener_parse_ex(t, text, (int)len);
	end = json_tokener_get_parse_end(t);
	while (end < len && isspace((unsigned char)text[end]))
		end++;
	if (end != len || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(t);
	return o;
}

/* A string member without NULs in it, or NULL. */
static const char *string(struct json_object *o, const char *name)
{
	struct json_object *v;
	const char *s;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v) ||
	    !json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

void aws_json_text(struct json_object *o, const char *name, char *out, size_t size)
{
	const char *s = string(o, name);
	char *p;

	snprintf(out, size, "%s", s ? s : "");
	for (p = out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

/* "Z", "+02:00", "+0200"; the seconds that are to be taken off, or false. */
static bool zone(const char *s, int *seconds)
{
	int hours, minutes, n = 0;

	*seconds = 0;
	if (!strcmp(s, "Z") || !strcmp(s, "z"))
		return true;
	if ((*s != '+' && *s != '-') || strspn(s + 1, "0123456789:") != strlen(s + 1))
		return false;
	if (sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 && sscanf(s + 1, "%2d%2d%n", &hours, &minutes, &n) != 2)
		return false;
	*seconds = (hours * 60 + minutes) * (*s == '-' ? -60 : 60);
	return !s[1 + n] && hours < 24 && minutes < 60;
}

int64_t aws_iso_time(const char *s)
{
	struct tm tm = { 0 };
	int offset;

	s = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!s)
		return 0;
	if (*s == '.')
		s += 1 + strspn(s + 1, "0123456789");
	return zone(s, &offset) ? (int64_t)timegm(&tm) - offset : 0;
}

/* A date, as text or as seconds since the epoch; 0 if it is none. */
static int64_t date(struct json_object *o, const char *name)
{
	const char *s = string(o, name);
	struct json_object *v;
	double d;

	if (s)
		return aws_iso_time(s);
	if (!json_object_object_get_ex(o, name, &v) ||
	    (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double)))
		return 0;
	d = json_object_get_double(v);
	return d > 0 && d < 1e12 ? (int64_t)d : 0;
}

int aws_creds_json(struct kh *k, struct json_object *o, const struct aws_json_names *names, bool temporary,
		   const char *source, struct aws_creds *c)
{
	const char *id = string(o, names->id), *secret = string(o, names->secret);
	const char *token = string(o, names->token);
	int64_t expires = json_object_is_type(o, json_type_object) ? date(o, names->expires) : 0;

	if (!id || !secret || (temporary && (!token || !expires)))
		return kh_fail(k, KH_GARBAGE, "what %s gave are no AWS credentials: %s is missing", source,
			       !id ? names->id : !secret ? names->secret : !token ? names->token : names->expires);
	/* one that cannot be read is not one that never comes */
	if (!expires && json_object_object_get_ex(o, names->expires, NULL))
		return kh_fail(k, KH_GARBAGE, "what %s gave as %s is no date", source, names->expires);
	return aws_creds_set(k, c, id, secret, token, expires, "%s", source);
}
