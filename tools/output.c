// SPDX-License-Identifier: GPL-2.0-or-later
/* What the command prints: data on stdout, talk on stderr, one line an error. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kcache.h"

static void print_subject(const struct kc_run *r)
{
	fputs("kcache: ", stderr);
	if (r->volume[0] && r->device[0])
		fprintf(stderr, "%s (%s): ", r->volume, r->device);
	else if (r->volume[0] || r->device[0])
		fprintf(stderr, "%s: ", r->volume[0] ? r->volume : r->device);
}

void kc_print_error(const struct kc_run *r)
{
	const struct kc_error *e = &r->err;

	/* data already printed comes first where both streams are one */
	fflush(stdout);
	print_subject(r);
	fputs(e->text, stderr);
	if (e->provider_error[0] && e->request_id[0])
		fprintf(stderr, " [%s, request %s]", e->provider_error, e->request_id);
	else if (e->provider_error[0])
		fprintf(stderr, " [%s]", e->provider_error);
	else if (e->request_id[0])
		fprintf(stderr, " [request %s]", e->request_id);
	if (e->next[0])
		fprintf(stderr, "; %s", e->next);
	fputc('\n', stderr);
}

void kc_warn(const struct kc_run *r, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	print_subject(r);
	fputs("warning: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void kc_say(const struct kc_run *r, const char *fmt, ...)
{
	va_list ap;

	if (kc_given(r, OPT_BATCH))
		return;
	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void kc_verbose(const struct kc_run *r, const char *fmt, ...)
{
	va_list ap;

	if (!kc_given(r, OPT_VERBOSE) && !kc_given(r, OPT_DEBUG))
		return;
	fflush(stdout);
	print_subject(r);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool kc_ask_yes(const struct kc_run *r, const char *question)
{
	char *line = NULL;
	size_t size = 0;
	bool yes;

	if (kc_given(r, OPT_BATCH) || !isatty(STDIN_FILENO))
		return false;
	fflush(stdout);
	print_subject(r);
	fprintf(stderr, "%s\nType YES to go on: ", question);
	fflush(stderr);
	yes = getline(&line, &size, stdin) > 0 && strcmp(line, "YES\n") == 0;
	free(line);
	return yes;
}

const char *kc_size_text(uint64_t bytes, char *buf)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1024;
		u++;
	}
	if (u)
		snprintf(buf, 24, "%.1f %s", v, units[u]);
	else
		snprintf(buf, 24, "%" PRIu64 " B", bytes);
	return buf;
}

static struct json_object *must(struct json_object *o)
{
	if (!o) {
		fputs("kcache: out of memory\n", stderr);
		exit(KC_NOMEM);
	}
	return o;
}

struct json_object *kc_json_object(void)
{
	return must(json_object_new_object());
}

struct json_object *kc_json_array(void)
{
	return must(json_object_new_array());
}

struct json_object *kc_json_new(void)
{
	struct json_object *o = kc_json_object();

	kc_json_int(o, "version", 1);
	return o;
}

void kc_json_put(struct json_object *o, const char *name, struct json_object *value)
{
	if (json_object_object_add(o, name, value) != 0)
		must(NULL);
}

void kc_json_push(struct json_object *array, struct json_object *value)
{
	if (json_object_array_add(array, value) != 0)
		must(NULL);
}

void kc_json_str(struct json_object *o, const char *name, const char *value)
{
	/* json-c writes a NULL object as null */
	kc_json_put(o, name, value && *value ? must(json_object_new_string(value)) : NULL);
}

void kc_json_u64(struct json_object *o, const char *name, uint64_t value)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%" PRIu64, value);
	kc_json_str(o, name, buf);
}

void kc_json_int(struct json_object *o, const char *name, int value)
{
	kc_json_put(o, name, must(json_object_new_int(value)));
}

void kc_json_bool(struct json_object *o, const char *name, bool value)
{
	kc_json_put(o, name, must(json_object_new_boolean(value)));
}

void kc_json_drop(struct json_object *o)
{
	json_object_put(o);
}

int kc_json_print(struct kc_run *r, struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE);
	int ret = 0;

	if (text)
		puts(text);
	else
		ret = kc_fail(&r->err, KC_NOMEM, NULL, "out of memory while printing");
	json_object_put(o);
	return ret;
}
