// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache.conf. What it allows is what this host attaches, so a file that
 * somebody else may write is refused, and so is every line not understood.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "token.h"

#define NEXT_OWNER "chown it to root and chmod it go-w"
#define NEXT_EDIT "correct the line, kcache.conf(5) describes the file"

struct source {
	const char *path;
	unsigned int line;
	unsigned int seen;	/* a bit for each row of settings[] */
	struct kc_conf *c;
	struct kc_error *err;
};

static int bad_value(struct source *s, const char *name, const char *value, const char *expected)
{
	return kc_fail(s->err, KC_USAGE, NEXT_EDIT, "%s:%u: %s is \"%.80s\", not %s", s->path,
		       s->line, name, value, expected);
}

static int no_memory(struct kc_error *err)
{
	return kc_fail(err, KC_NOMEM, NULL, "out of memory for the configuration");
}

static int replace(struct source *s, char **where, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return no_memory(s->err);
	free(*where);
	*where = copy;
	return 0;
}

static int set_path(struct source *s, const char *name, const char *value, char **where)
{
	if (value[0] != '/')
		return bad_value(s, name, value, "an absolute path");
	return replace(s, where, value);
}

/* Where a setting is that kcache policy shows. */
static int note(struct source *s, char **where)
{
	char *text;

	if (asprintf(&text, "%s:%u", s->path, s->line) < 0)
		return no_memory(s->err);
	free(*where);
	*where = text;
	return 0;
}

static int set_default_key(struct source *s, const char *name, const char *value)
{
	if (strlen(value) >= KC_KEY_NAME_MAX || strchr(value, ' '))
		return bad_value(s, name, value, "the name of a key");
	if (replace(s, &s->c->default_key, value))
		return KC_NOMEM;
	return note(s, &s->c->default_key_where);
}

static int set_state_dir(struct source *s, const char *name, const char *value)
{
	return set_path(s, name, value, &s->c->state_dir);
}

static int set_audit_file(struct source *s, const char *name, const char *value)
{
	if (!strcmp(value, "none"))
		return replace(s, &s->c->audit_file, value);
	if (value[0] != '/')
		return bad_value(s, name, value, "an absolute path or none");
	return replace(s, &s->c->audit_file, value);
}

/* Words between blanks, no shell: nothing that one would treat in its own way. */
static int set_audit_anchor(struct source *s, const char *name, const char *value)
{
	size_t command = value[0] == '|';

	if (value[command] != '/' || (command && strpbrk(value, "\"'\\$`;&<>()*?[]{}~")))
		return bad_value(s, name, value, "an absolute path, or |/PATH ARGUMENT... without quotes and the like");
	return replace(s, &s->c->audit_anchor, value);
}

static int set_helper(struct source *s, const char *name, const char *value)
{
	return set_path(s, name, value, &s->c->helper);
}

static int set_timeout(struct source *s, const char *name, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long v = digits && digits <= 4 ? strtoul(value, NULL, 10) : 0;

	if (value[digits] || v < 1 || v > 3600)
		return bad_value(s, name, value, "a number of seconds from 1 to 3600");
	s->c->timeout = (unsigned int)v;
	return 0;
}

/*
 * A pattern ends in a '*' that stands for a whole key id, and an ARN names its
 * region and account all the same: an open account would let anybody's in.
 */
static bool is_pattern(const char *value)
{
	static const char any_key[] = "00000000-0000-0000-0000-000000000000";
	size_t len = strlen(value);
	char sample[KC_KEY_NAME_MAX + sizeof(any_key)];

	if (!len || len >= KC_KEY_NAME_MAX || value[len - 1] != '*')
		return false;
	if (!strcmp(value, "local:*") || !strcmp(value, "pkcs11:*") || !strcmp(value, "tpm2:*"))
		return true;
	snprintf(sample, sizeof(sample), "%.*s%s", (int)len - 1, value, any_key);
	return kc_key_canonical("aws", sample);
}

static int set_allow_key(struct source *s, const char *name, const char *value)
{
	struct kc_conf *c = s->c;
	char **keys;

	if (!is_pattern(value) && (strchr(value, '*') || !kc_key_canonical(NULL, value)))
		return bad_value(s, name, value,
				 "a canonical key id (no alias), or one with a whole trailing *");
	keys = reallocarray(c->allow_keys, c->n_allow_keys + 1, sizeof(*keys));
	if (!keys)
		return no_memory(s->err);
	c->allow_keys = keys;
	keys[c->n_allow_keys] = NULL;
	if (replace(s, &keys[c->n_allow_keys], value))
		return KC_NOMEM;
	c->n_allow_keys++;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "PROPERTY=GLOB ...": names as udev writes them, at least one, none without a glob. */
static bool is_match(const char *p)
{
	bool any = false;

	while (*p) {
		size_t len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

		if (!len || p[len] != '=' || !p[len + 1] || is_blank(p[len + 1]))
			return false;
		for (p += len + 1; *p && !is_blank(*p); p++)
			;
		while (is_blank(*p))
			p++;
		any = true;
	}
	return any;
}

static int add_rule(struct source *s, const char *name, const char *value, bool exempt)
{
	struct kc_conf *c = s->c;
	struct kc_rule *rules;

	if (!is_match(value))
		return bad_value(s, name, value, "PROPERTY=GLOB words, each with a name and a glob");
	rules = reallocarray(c->rules, c->n_rules + 1, sizeof(*rules));
	if (!rules)
		return no_memory(s->err);
	c->rules = rules;
	rules += c->n_rules++;
	*rules = (struct kc_rule){ .exempt = exempt };
	if (replace(s, &rules->match, value))
		return KC_NOMEM;
	return note(s, &rules->where);
}

static int set_require(struct source *s, const char *name, const char *value)
{
	return add_rule(s, name, value, false);
}

static int set_exempt(struct source *s, const char *name, const char *value)
{
	return add_rule(s, name, value, true);
}

static int set_forbid(struct source *s, const char *name, const char *value)
{
	bool yes = !strcmp(value, "yes");

	if (!yes && strcmp(value, "no") != 0)
		return bad_value(s, name, value, "yes or no");
	s->c->forbid_plaintext = yes;
	return note(s, &s->c->forbid_where);
}

/* Handed to the provider's key helper, which knows what it means. */
static int set_provider(struct source *s, const char *name, const char *value)
{
	struct kc_conf *c = s->c;
	size_t i;

	for (i = 0; i < c->n_settings && strcmp(c->settings[i].name, name); i++)
		;
	if (i == c->n_settings) {
		c->settings[i].name = name;
		c->settings[i].value = NULL;
		c->n_settings++;
	}
	return replace(s, &c->settings[i].value, value);
}

static int set_provider_path(struct source *s, const char *name, const char *value)
{
	return value[0] == '/' ? set_provider(s, name, value) : bad_value(s, name, value, "an absolute path");
}

/* What the root key of the local keystore is sealed with: a file, or a credential of systemd's. */
static int set_seal(struct source *s, const char *name, const char *value)
{
	bool file = !strncmp(value, "file:/", 6);
	bool credential = !strncmp(value, "credential:", 11) && value[11] && value[11] != '.' && !strchr(value, '/');

	return file || credential ? set_provider(s, name, value) :
		bad_value(s, name, value, "file:/PATH or credential:NAME");
}

static const struct {
	const char *name;
	bool list;
	int (*set)(struct source *s, const char *name, const char *value);
} settings[] = {
	{ "default_key", false, set_default_key },
	{ "state_dir", false, set_state_dir },
	{ "audit_file", false, set_audit_file },
	{ "audit_anchor", false, set_audit_anchor },
	{ "helper", false, set_helper },
	{ "timeout", false, set_timeout },
	{ "allow_key", true, set_allow_key },
	{ "require", true, set_require },
	{ "exempt", true, set_exempt },
	{ "forbid_plaintext", false, set_forbid },
	{ "keystore_seal", false, set_seal },
	{ "pkcs11_module", false, set_provider_path },
	{ "pkcs11_module_args", false, set_provider },
	{ "pkcs11_pin_file", false, set_provider_path },
	{ "tpm2_tcti", false, set_provider },
	{ "aws_config_file", false, set_provider_path },
	{ "aws_ca_file", false, set_provider_path },
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define BLANK " \t\r\n"

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, BLANK);
	for (len = strlen(s); len && strchr(BLANK, s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

static int parse_line(struct source *s, char *line)
{
	char *name = trim(line), *value;
	size_t i;

	if (!*name || *name == '#')
		return 0;
	value = strchr(name, '=');
	if (!value)
		return kc_fail(s->err, KC_USAGE, NEXT_EDIT, "%s:%u: \"%.80s\" is not \"name = value\"",
			       s->path, s->line, name);
	*value++ = '\0';
	name = trim(name);
	value = trim(value);
	for (i = 0; i < N_SETTINGS && strcmp(name, settings[i].name); i++)
		;
	if (i == N_SETTINGS)
		return kc_fail(s->err, KC_USAGE, NEXT_EDIT, "%s:%u: there is no setting \"%.80s\"",
			       s->path, s->line, name);
	if (!settings[i].list && s->seen & 1U << i)
		return kc_fail(s->err, KC_USAGE, NEXT_EDIT, "%s:%u: %s is set twice in this file",
			       s->path, s->line, name);
	s->seen |= 1U << i;
	if (!*value)
		return bad_value(s, name, value, "a value");
	return settings[i].set(s, settings[i].name, value);
}

/* Nobody but root and the caller may write it: the group neither, nor by an ACL (its mask is there). */
static int check_owner(int fd, const char *path, bool dir, struct kc_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return kc_fail(err, KC_PERM, NULL, "cannot examine %s: %s", path, strerror(errno));
	if (!dir && !S_ISREG(st.st_mode))
		return kc_fail(err, KC_USAGE, NULL, "%s is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return kc_fail(err, KC_PERM, NEXT_OWNER,
			       "%s belongs to user %u, who could let in any key", path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return kc_fail(err, KC_PERM, NEXT_OWNER,
			       "%s may be written by others (mode %04o), who could let in any key",
			       path, st.st_mode & 07777);
	return 0;
}

static int open_failed(const char *path, struct kc_error *err)
{
	enum kc_exit code = errno == EACCES || errno == EPERM ? KC_PERM : KC_USAGE;

	return kc_fail(err, code, NULL, "cannot open the configuration %s: %s", path,
		       strerror(errno));
}

/* @dirfd and @name say where, @path is what it is called in an error. */
static int load_file(int dirfd, const char *name, const char *path, bool optional,
		     struct kc_conf *c, struct kc_error *err)
{
	struct source s = { .path = path, .c = c, .err = err };
	/* O_NONBLOCK: a fifo must not hang us before it is refused */
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *f;
	int r;

	if (fd < 0)
		return optional && errno == ENOENT ? 0 : open_failed(path, err);
	r = check_owner(fd, path, false, err);
	f = r ? NULL : fdopen(fd, "re");
	if (!f) {
		close(fd);
		return r ? r : no_memory(err);
	}
	while (!r && (len = getline(&line, &size, f)) > 0) {
		s.line++;
		if (strlen(line) != (size_t)len)
			r = kc_fail(err, KC_USAGE, NEXT_EDIT, "%s:%u: there is a NUL byte", path,
				    s.line);
		else
			r = parse_line(&s, line);
	}
	if (!r && ferror(f))
		r = kc_fail(err, KC_USAGE, NULL, "cannot read %s: %s", path, strerror(errno));
	free(line);
	fclose(f);
	return r;
}

static int is_conf(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 5 && !strcmp(d->d_name + len - 5, ".conf");
}

static int by_strcmp(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* All of <path>.d/, or nothing if it is not there. */
static int load_dir(const char *path, struct kc_conf *c, struct kc_error *err)
{
	struct dirent **names = NULL;
	char *dir = NULL, *file = NULL;
	int fd, n = 0, i, r = 0;

	if (asprintf(&dir, "%s.d", path) < 0)
		return no_memory(err);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = errno == ENOENT ? 0 : open_failed(dir, err);
		goto out;
	}
	r = check_owner(fd, dir, true, err);
	if (r)
		goto out;
	n = scandirat(fd, ".", &names, is_conf, by_strcmp);
	if (n < 0)
		r = open_failed(dir, err);
	for (i = 0; !r && i < n; i++) {
		if (asprintf(&file, "%s/%s", dir, names[i]->d_name) < 0) {
			file = NULL;
			r = no_memory(err);
		} else {
			r = load_file(fd, names[i]->d_name, file, false, c, err);
		}
		free(file);
		file = NULL;
	}
out:
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (fd >= 0)
		close(fd);
	free(dir);
	return r;
}

int kc_conf_load(const char *path, struct kc_conf *c, struct kc_error *err)
{
	bool optional = false;
	int r;

	memset(c, 0, sizeof(*c));
	if (!path)
		path = secure_getenv("KCACHE_CONFIG");
	if (!path) {
		path = KC_CONF_DEFAULT;
		optional = true;
	}
	c->default_key = strdup("local:alias/kcache");
	c->state_dir = strdup("/var/lib/kcache");
	c->audit_file = strdup("/var/log/kcache/audit.jsonl");
	c->helper = strdup(KC_LIBEXECDIR "/kcache-keyhelper");
	c->timeout = 60;
	if (!c->default_key || !c->state_dir || !c->audit_file || !c->helper)
		return no_memory(err);
	r = load_file(AT_FDCWD, path, path, optional, c, err);
	return r ? r : load_dir(path, c, err);
}

void kc_conf_free(struct kc_conf *c)
{
	size_t i;

	for (i = 0; i < c->n_allow_keys; i++)
		free(c->allow_keys[i]);
	free(c->allow_keys);
	for (i = 0; i < c->n_rules; i++) {
		free(c->rules[i].match);
		free(c->rules[i].where);
	}
	free(c->rules);
	free(c->default_key_where);
	free(c->forbid_where);
	for (i = 0; i < c->n_settings; i++)
		free(c->settings[i].value);
	free(c->default_key);
	free(c->state_dir);
	free(c->audit_file);
	free(c->audit_anchor);
	free(c->helper);
	memset(c, 0, sizeof(*c));
}
