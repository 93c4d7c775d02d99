// SPDX-License-Identifier: GPL-2.0-or-later
/* From argv to struct kc_run: options, verb, arguments, and what does not go together. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "kcache.h"

const struct kc_option kc_options[OPT_COUNT] = {
#define X(id, name, s, type, arg, help) [id] = { name, s, type, arg, help },
	KC_OPTIONS(X)
#undef X
};

/* getopt_long() tells options apart by a number: above any character */
#define LONG_BASE 256

static int set_option(struct kc_run *r, enum kc_opt id, const char *value)
{
	const struct kc_option *o = &kc_options[id];
	unsigned long n;
	char *end;

	if (o->type == FLAG) {
		r->opt[id] = "";
		return 0;
	}
	if (r->opt[id])
		return kc_fail(&r->err, KC_USAGE, "give it once", "option --%s is there twice", o->name);
	if (!*value)
		return kc_fail(&r->err, KC_USAGE, NULL, "option --%s needs a value", o->name);
	if (o->type == NUMBER) {
		errno = 0;
		n = strtoul(value, &end, 10);
		if (errno || *end || *value < '0' || *value > '9' || n == 0 || n > UINT32_MAX)
			return kc_fail(&r->err, KC_USAGE, NULL, "--%s takes a number from 1 to %u, not `%s'",
				       o->name, UINT32_MAX, value);
		r->number[id] = (uint32_t)n;
	}
	r->opt[id] = value;
	return 0;
}

/* What getopt_long() took for a long option may be an abbreviation; those break scripts later. */
static bool spelt_out(const char *word, const struct kc_option *o)
{
	size_t len = strlen(o->name);

	if (strncmp(word, "--", 2) != 0)
		return false;
	word += 2;
	return strncmp(word, o->name, len) == 0 && (word[len] == '\0' || word[len] == '=');
}

static int bad_option(struct kc_run *r, int c, char **argv)
{
	const char *next = "see kcache --help";

	/* the letter is in optopt; a long option's number, or 0, if it was a word */
	if (c == ':' && optopt < LONG_BASE && optopt)
		return kc_fail(&r->err, KC_USAGE, next, "option -%c needs a value", optopt);
	if (c == ':')
		return kc_fail(&r->err, KC_USAGE, next, "option %s needs a value", argv[optind - 1]);
	if (optopt && optopt < LONG_BASE)
		return kc_fail(&r->err, KC_USAGE, next, "there is no option -%c", optopt);
	if (optopt)
		return kc_fail(&r->err, KC_USAGE, next, "option %s takes no value", argv[optind - 1]);
	return kc_fail(&r->err, KC_USAGE, next, "there is no option %s", argv[optind - 1]);
}

static int parse_options(int argc, char **argv, struct kc_run *r)
{
	struct option longs[OPT_COUNT + 1] = { 0 };
	char shorts[2 * OPT_COUNT + 2] = ":";
	const char *word;
	size_t n = 1;
	int c, id, ret;

	for (id = 0; id < OPT_COUNT; id++) {
		longs[id].name = kc_options[id].name;
		longs[id].has_arg = kc_options[id].type == FLAG ? no_argument : required_argument;
		longs[id].val = LONG_BASE + id;
		if (!kc_options[id].short_name)
			continue;
		shorts[n++] = kc_options[id].short_name;
		if (kc_options[id].type != FLAG)
			shorts[n++] = ':';
	}

	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return bad_option(r, c, argv);
		if (c >= LONG_BASE) {
			id = c - LONG_BASE;
			word = argv[optind - 1];
			if (kc_options[id].type != FLAG && optarg == word)
				word = argv[optind - 2];
			if (!spelt_out(word, &kc_options[id]))
				return kc_fail(&r->err, KC_USAGE, "spell it out",
					       "there is no option %s, only --%s", word, kc_options[id].name);
		} else {
			for (id = 0; id < OPT_COUNT && kc_options[id].short_name != c; id++)
				;
		}
		ret = set_option(r, (enum kc_opt)id, optarg);
		if (ret)
			return ret;
	}
	return 0;
}

static bool names_verb(const struct kc_verb *v, const char *name)
{
	return strcmp(v->name, name) == 0 || (v->alias && strcmp(v->alias, name) == 0);
}

/* Finds the verb that @args start with, two words before one; *used is how many words it took. */
static const struct kc_verb *find_verb(char **args, int n, int *used)
{
	const struct kc_verb *v;
	size_t len;

	for (v = kc_verbs; v->name; v++) {
		const char *blank = strchr(v->name, ' ');

		if (!blank || n < 2)
			continue;
		len = (size_t)(blank - v->name);
		if (strlen(args[0]) == len && strncmp(args[0], v->name, len) == 0 &&
		    strcmp(args[1], blank + 1) == 0) {
			*used = 2;
			return v;
		}
	}
	*used = 1;
	for (v = kc_verbs; v->name; v++)
		if (names_verb(v, args[0]))
			return v;
	return NULL;
}

static bool is_group(const char *word)
{
	const struct kc_verb *v;
	size_t len = strlen(word);

	for (v = kc_verbs; v->name; v++)
		if (strncmp(v->name, word, len) == 0 && v->name[len] == ' ')
			return true;
	return false;
}

static int check_options(struct kc_run *r)
{
	int id;

	for (id = 0; id < OPT_COUNT; id++)
		if (r->opt[id] && !((r->verb->opts | KC_OPTS_GLOBAL) & KC_OPT(id)))
			return kc_fail(&r->err, KC_USAGE, NULL, "kcache %s does not take --%s; see kcache %s --help",
				       r->verb->name, kc_options[id].name, r->verb->name);
	return 0;
}

static int unknown_verb(struct kc_run *r, char **args, int n)
{
	if (!is_group(args[0]))
		return kc_fail(&r->err, KC_USAGE, "see kcache --help", "there is no verb `%s'", args[0]);
	if (kc_given(r, OPT_HELP)) {
		kc_print_group(args[0]);
		return 0;
	}
	if (n < 2)
		return kc_fail(&r->err, KC_USAGE, NULL, "kcache %s needs another word; see kcache %s --help",
			       args[0], args[0]);
	return kc_fail(&r->err, KC_USAGE, NULL, "there is no verb `%s %s'; see kcache %s --help",
		       args[0], args[1], args[0]);
}

/**
 * kc_parse() - read the command line
 * @r: zeroed; r->verb stays NULL where nothing is left to do (--help, --version)
 *
 * No verb is "status". Nothing is touched here, not even the configuration.
 *
 * Return: 0 or KC_USAGE.
 */
int kc_parse(int argc, char **argv, struct kc_run *r)
{
	static char status[] = "status";
	char *no_verb[] = { status };
	const struct kc_verb *v;
	char **args = no_verb;
	int i, used, ret, n = 1;

	ret = parse_options(argc, argv, r);
	if (ret)
		return ret;

	if (optind < argc) {
		args = argv + optind;
		n = argc - optind;
	} else if (kc_given(r, OPT_HELP)) {
		kc_print_usage(NULL);
		return 0;
	}
	if (kc_given(r, OPT_VERSION))
		return 0;

	v = find_verb(args, n, &used);
	if (!v)
		return unknown_verb(r, args, n);
	if (kc_given(r, OPT_HELP)) {
		/* "policy" is a verb and a group of them, "audit" is short for one of its group */
		if (used == 2 || !is_group(args[0]) || strcmp(v->name, args[0]) == 0)
			kc_print_usage(v);
		if (used == 1 && is_group(args[0]))
			kc_print_group(args[0]);
		return 0;
	}
	r->verb = v;
	ret = check_options(r);
	if (ret)
		return ret;
	args += used;
	n -= used;
	if (n < v->min_args || n > v->max_args)
		return kc_fail(&r->err, KC_USAGE, NULL, "%s arguments; usage: kcache %s%s%s [options]",
			       n < v->min_args ? "missing" : "too many", v->name, *v->args ? " " : "", v->args);
	for (i = 0; i < n; i++) {
		if (!*args[i])
			return kc_fail(&r->err, KC_USAGE, NULL,
				       "argument %d is empty; usage: kcache %s %s [options]", i + 1, v->name, v->args);
		r->arg[i] = args[i];
	}
	r->n_arg = n;
	return v->check ? v->check(r) : 0;
}
