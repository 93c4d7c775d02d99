// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache.conf, out of a file in memory. What it says decides which keys this host
 * accepts, so an accepted pattern is looked at once more, and a configuration
 * that is written out says the same when it is read again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "fuzz.h"
#include "strict.h"
#include "token.h"

static int fd = -1;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fd = memfd_create("kcache.conf", 0);
	must(fd >= 0 && !fchmod(fd, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return 0;
}

static int load(const void *text, size_t len, struct kc_conf *c)
{
	struct kc_error err = { 0 };
	int r;

	must(!ftruncate(fd, 0) && pwrite(fd, text, len, 0) == (ssize_t)len);
	r = kc_conf_load(path, c, &err);
	must(r == (int)err.code && (!r || (r == KC_USAGE && err.text[0])));
	return r;
}

/* An open account would let anybody's key in. */
static bool pattern(const char *s)
{
	return kc_matches("^(local|pkcs11|tpm2):\\*$", s) ||
	       kc_matches("^arn:aws(-[a-z]+)*:kms:[a-z]+(-[a-z]+)+-[0-9]+:[0-9]{12}:key/\\*$", s);
}

static void check(const struct kc_conf *c)
{
	size_t i;

	must(c->default_key[0] && strlen(c->default_key) < KC_KEY_NAME_MAX && !strchr(c->default_key, ' '));
	must(c->state_dir[0] == '/' && c->helper[0] == '/');
	must(c->audit_file[0] == '/' || !strcmp(c->audit_file, "none"));
	must(!c->audit_anchor || c->audit_anchor[c->audit_anchor[0] == '|'] == '/');
	must(c->timeout >= 1 && c->timeout <= 3600);
	for (i = 0; i < c->n_allow_keys; i++) {
		must(strlen(c->allow_keys[i]) < KC_KEY_NAME_MAX);
		must(strchr(c->allow_keys[i], '*') ? pattern(c->allow_keys[i]) :
						     kc_key_canonical(NULL, c->allow_keys[i]));
	}
	for (i = 0; i < c->n_rules; i++)
		must(c->rules[i].where[0] &&
		     kc_matches("^[A-Za-z0-9_]+=[^ \t]+([ \t]+[A-Za-z0-9_]+=[^ \t]+)*$", c->rules[i].match));
}

static void check_again(const struct kc_conf *c)
{
	struct kc_conf d;
	char *text;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);

	must(f);
	fprintf(f, "default_key=%s\nstate_dir=%s\naudit_file=%s\nhelper=%s\ntimeout=%u\n", c->default_key,
		c->state_dir, c->audit_file, c->helper, c->timeout);
	if (c->audit_anchor)
		fprintf(f, "audit_anchor=%s\n", c->audit_anchor);
	for (i = 0; i < c->n_allow_keys; i++)
		fprintf(f, "allow_key=%s\n", c->allow_keys[i]);
	for (i = 0; i < c->n_rules; i++)
		fprintf(f, "%s=%s\n", c->rules[i].exempt ? "exempt" : "require", c->rules[i].match);
	fprintf(f, "forbid_plaintext=%s\n", c->forbid_plaintext ? "yes" : "no");
	must(!fclose(f));
	must(!load(text, len, &d));
	must(!strcmp(c->default_key, d.default_key) && !strcmp(c->state_dir, d.state_dir) &&
	     !strcmp(c->audit_file, d.audit_file) && !strcmp(c->helper, d.helper) &&
	     !c->audit_anchor == !d.audit_anchor && (!c->audit_anchor || !strcmp(c->audit_anchor, d.audit_anchor)) &&
	     c->timeout == d.timeout && c->n_allow_keys == d.n_allow_keys && c->n_rules == d.n_rules &&
	     c->forbid_plaintext == d.forbid_plaintext);
	for (i = 0; i < c->n_allow_keys; i++)
		must(!strcmp(c->allow_keys[i], d.allow_keys[i]));
	for (i = 0; i < c->n_rules; i++)
		must(c->rules[i].exempt == d.rules[i].exempt && !strcmp(c->rules[i].match, d.rules[i].match));
	kc_conf_free(&d);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kc_conf c;

	if (!load(data, len, &c)) {
		check(&c);
		check_again(&c);
	}
	kc_conf_free(&c);
	return 0;
}
