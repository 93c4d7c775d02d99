// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files of the AWS command line: "[profile NAME]" sections of "key = value"
 * lines. Small and strict: a line that is none of these, or a key that a profile
 * has twice, is an error; comments are whole lines. Indented lines are settings of
 * one service ("s3 =") and of no interest here, as are sections that are no profile
 * ("[sso-session x]").
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "creds-private.h"

#define ENTRIES_MAX 4096

static char *trim(char *s)
{
	size_t len;

	while (*s && isspace((unsigned char)*s))
		s++;
	for (len = strlen(s); len && isspace((unsigned char)s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

/* The profile that a section is, NULL for another kind of section; -1 for none at all. */
static int section(char *line, bool bare, const char **profile)
{
	size_t len = strlen(line);
	char *name;

	if (line[len - 1] != ']')
		return -1;
	line[len - 1] = '\0';
	name = trim(line + 1);
	if (!*name || (!bare && !strcmp(name, "profile")))
		return -1;
	*profile = NULL;
	if (bare || !strcmp(name, "default"))
		*profile = name;
	else if (!strncmp(name, "profile", 7) && isspace((unsigned char)name[7]))
		*profile = trim(name + 7);
	return 0;
}

static int add(struct aws_ini *ini, const char *profile, const char *key, const char *value)
{
	struct aws_ini_entry *e;

	if (ini->n == ENTRIES_MAX)
		return -1;
	if (!(ini->n & (ini->n - 1))) {
		e = reallocarray(ini->entries, ini->n ? 2 * ini->n : 1, sizeof(*e));
		if (!e)
			return -1;
		ini->entries = e;
	}
	e = &ini->entries[ini->n++];
	e->profile = profile;
	e->key = key;
	e->value = value;
	return 0;
}

static int bad_line(struct kh *k, const struct aws_ini *ini, unsigned int n, const char *why)
{
	/* the line is not shown: it may be a secret */
	kh_fail(k, KH_CREDENTIALS, "%s:%u: %s", ini->path, n, why);
	return kh_next(k, "correct the line");
}

static int setting(struct kh *k, struct aws_ini *ini, unsigned int n, const char *profile, char *line)
{
	char *value = strchr(line, '='), *key, *p;

	if (!value)
		return bad_line(k, ini, n, "this is not \"key = value\"");
	*value++ = '\0';
	key = trim(line);
	value = trim(value);
	for (p = key; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!*key)
		return bad_line(k, ini, n, "there is no key before the =");
	if (!profile)
		return 0;
	if (aws_ini_get(ini, profile, key))
		return bad_line(k, ini, n, "the profile has this key already");
	return add(ini, profile, key, value) ? kh_fail(k, KH_NO_MEMORY, "%s has too many lines", ini->path) : 0;
}

static int parse(struct kh *k, struct aws_ini *ini, bool bare)
{
	char *next = ini->text.data, *line;
	const char *profile = NULL;
	bool in_section = false;
	unsigned int n = 0;
	int r = 0;

	while (!r && (line = strsep(&next, "\n"))) {
		bool indented = isspace((unsigned char)*line);

		n++;
		line = trim(line);
		if (!*line || *line == '#' || *line == ';' || (indented && in_section))
			continue;
		if (*line == '[') {
			if (section(line, bare, &profile))
				return bad_line(k, ini, n, "this is not \"[NAME]\"");
			in_section = true;
			if (profile)
				r = add(ini, profile, "", "");
		} else if (!in_section) {
			return bad_line(k, ini, n, "this is before the first \"[profile NAME]\"");
		} else {
			r = setting(k, ini, n, profile, line);
		}
	}
	return r;
}

int aws_ini_load(struct kh *k, const char *path, bool bare, struct aws_ini *ini)
{
	int r;

	memset(ini, 0, sizeof(*ini));
	if (!*path)
		return 0;
	memcpy(ini->path, path, strlen(path) + 1);
	r = aws_text_file(k, path, true, &ini->text);
	if (r > 0)
		return 0;
	if (!r)
		r = parse(k, ini, bare);
	if (r)
		aws_ini_free(ini);
	return r;
}

const char *aws_ini_get(const struct aws_ini *ini, const char *profile, const char *key)
{
	size_t i;

	for (i = 0; i < ini->n; i++)
		if (!strcmp(ini->entries[i].profile, profile) && !strcmp(ini->entries[i].key, key ? key : ""))
			return ini->entries[i].value;
	return NULL;
}

void aws_ini_free(struct aws_ini *ini)
{
	aws_text_free(&ini->text);
	free(ini->entries);
	ini->entries = NULL;
	ini->n = 0;
}
