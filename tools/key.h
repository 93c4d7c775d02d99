/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs of kcache key share: one connection to the KMS, and how a key is shown. */
#ifndef KCACHE_KEY_H
#define KCACHE_KEY_H

#include <json-c/json.h>

#include "kcache.h"
#include "kms.h"

/**
 * struct key_verb - what one run of kcache key works with
 * @provider: whose key it is about
 * @aliases: array of { "alias", "key" }, NULL until key_aliases()
 */
struct key_verb {
	struct kc_run *r;
	struct kc_kms *kms;
	char provider[16];
	struct json_object *aliases;
};

/** key_run() - run @fn with a KMS; the provider is that of the key in r->arg[0], or --provider's */
int key_run(struct kc_run *r, int (*fn)(struct key_verb *v));

/** key_text() - a member that is text, "" if it is not there */
const char *key_text(struct json_object *o, const char *name);

/** key_args() - { "key": r->arg[0] } */
struct json_object *key_args(const struct key_verb *v);

/** key_call() - an operation; @args is put; @answer may be NULL */
int key_call(struct key_verb *v, const char *operation, struct json_object *args, struct json_object **answer);

/** key_all() - all pages of a list to an array; @args is put */
int key_all(struct key_verb *v, const char *operation, const char *member, struct json_object *args,
	    struct json_object **list);

/** key_aliases() - fill v->aliases; none of a provider that has or shows none */
int key_aliases(struct key_verb *v);

/** key_aliases_of() - the aliases of @key, an array of text */
struct json_object *key_aliases_of(const struct key_verb *v, const char *key);

/** key_add_info() - the members of key info as kcache prints them */
void key_add_info(const struct key_verb *v, struct json_object *o, struct json_object *info);

/** key_changed() - say, or print with --json, what a key is now; @info is put */
int key_changed(struct key_verb *v, struct json_object *info);

/** key_done() - with --json: { "version", "key" } and one member more, if it is not NULL; else say the sentence */
int key_done(struct key_verb *v, const char *member, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
