/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command: what a verb is, and what a verb is handed.
 *
 * A new verb is a file cmd-VERB.c, a prototype at the end of this file and a
 * row in verbs.c; a new option is a line in KC_OPTIONS below. Dispatch, help
 * and the refusal of options that a verb does not know come from these tables.
 */
#ifndef KCACHE_H
#define KCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "error.h"

struct json_object;

/*
 * Every option there is: X(enum, long name, short name or 0, type, argument, help).
 * Types: FLAG takes nothing; STRING anything but ""; NUMBER a decimal of 32 bits, not 0.
 */
#define KC_OPTIONS(X) \
	X(OPT_JSON, "json", 'J', FLAG, NULL, "print JSON (64-bit numbers as strings)") \
	X(OPT_BATCH, "batch-mode", 'q', FLAG, NULL, "ask nothing; never implies --force") \
	X(OPT_VERBOSE, "verbose", 'v', FLAG, NULL, "say what is being done") \
	X(OPT_DEBUG, "debug", 0, FLAG, NULL, "also what the libraries below say") \
	X(OPT_CONFIG, "config", 0, STRING, "FILE", "read FILE instead of " KC_CONF_DEFAULT) \
	X(OPT_HELP, "help", 'h', FLAG, NULL, "print help, of a verb if one is given") \
	X(OPT_VERSION, "version", 'V', FLAG, NULL, "print the version") \
	X(OPT_KEY, "key", 'k', STRING, "KEY", "KMS key, an alias or a canonical id") \
	X(OPT_FORCE, "force", 0, FLAG, NULL, "over what is there, and without asking") \
	X(OPT_DRY_RUN, "dry-run", 0, FLAG, NULL, "check, change nothing, ask no KMS") \
	X(OPT_SECTOR_SIZE, "sector-size", 0, NUMBER, "BYTES", "512, 1024, 2048 or 4096") \
	X(OPT_LABEL, "label", 0, STRING, "LABEL", "LUKS2 label of the volume") \
	X(OPT_EPHEMERAL, "ephemeral", 0, STRING, "NAME", "scratch space, mapped as NAME: its key is gone at detach") \
	X(OPT_READONLY, "readonly", 'r', FLAG, NULL, "attach read-only") \
	X(OPT_DISCARDS, "allow-discards", 0, FLAG, NULL, "pass discards (TRIM) down to the device") \
	X(OPT_GRANT_TOKEN, "grant-token", 0, STRING, "TOKEN", "by a grant that was made for this host just now") \
	X(OPT_LAZY, "lazy", 0, FLAG, NULL, "if in use, detach when the last user goes") \
	X(OPT_SIZE, "size", 0, STRING, "BYTES", "bytes, or a number of K, M, G or T of 1024 each") \
	X(OPT_TIMEOUT, "timeout", 't', NUMBER, "SECONDS", "deadline for all that a KMS is asked") \
	X(OPT_NO_HEADINGS, "no-headings", 'n', FLAG, NULL, "leave the headings out") \
	X(OPT_ALIAS, "alias", 0, STRING, "NAME", "call the new key local:alias/NAME") \
	X(OPT_DESCRIPTION, "description", 0, STRING, "TEXT", "say what the new key is for") \
	X(OPT_EXTERNAL, "external", 0, FLAG, NULL, "its material will be imported") \
	X(OPT_PROVIDER, "provider", 0, STRING, "NAME", "of which provider, instead of local") \
	X(OPT_DAYS, "days", 0, NUMBER, "DAYS", "how long to wait, or how often") \
	X(OPT_YEARLY, "yearly", 0, FLAG, NULL, "rotate by itself every 365 days") \
	X(OPT_NEVER, "never", 0, FLAG, NULL, "do not rotate by itself any more") \
	X(OPT_GRANTEE, "grantee", 0, STRING, "HOST", "whom the grant is for") \
	X(OPT_OPERATIONS, "operations", 0, STRING, "LIST", "what it allows, names between commas") \
	X(OPT_VOLUME, "volume", 0, STRING, "VOLUME", "only this volume, a device or a UUID") \
	X(OPT_VALID_TO, "valid-to", 0, STRING, "DATE", "until when the material is there, in UTC") \
	X(OPT_IMPORT_TOKEN, "import-token", 0, STRING, "TOKEN", "FILE is wrapped already, for this token") \
	X(OPT_FROM, "from", 0, STRING, "KEY", "the recipient under KEY, of several") \
	X(OPT_TO, "to", 0, STRING, "KEY", "with --all: the KMS key that takes over") \
	X(OPT_NEW_DEK, "new-dek", 0, FLAG, NULL, "give it a data key of its own: all data are encrypted anew") \
	X(OPT_ALL, "all", 0, FLAG, NULL, "all volumes of this host, and DEVICEs beside them") \
	X(OPT_SINCE, "since", 0, STRING, "WHEN", "from then on: 2026-11-25, 2h, 3d, today, ...") \
	X(OPT_ANCHOR, "anchor", 0, STRING, "FILE", "heads of the log, or a folder of a journal's files") \
	X(OPT_PASSPHRASE_FILE, "passphrase-file", 0, STRING, "FILE", "read the passphrase from FILE (- is stdin)") \
	X(OPT_KEY_FILE, "key-file", 0, STRING, "FILE", "all of FILE is the passphrase (- is stdin)") \
	X(OPT_PARENT, "parent", 0, STRING, "FILE", "only what has changed since the snapshot in FILE") \
	X(OPT_MAP, "map", 0, STRING, "FILE", "the snapshot's map, instead of the one beside it") \
	X(OPT_COW, "cow", 0, STRING, "PATH", "keep what is overwritten there: a blank device or a folder") \
	X(OPT_COW_SIZE, "cow-size", 0, NUMBER, "MIB", "room for it, instead of a fifth of the volume") \
	X(OPT_KEEP, "keep", 0, FLAG, NULL, "when the copy is interrupted, keep what the same command can go on with") \
	X(OPT_CANCEL, "cancel", 0, FLAG, NULL, "clear away what an interrupted snapshot has left") \
	X(OPT_LEASE, "lease", 0, NUMBER, "SECONDS", "how long it works without a word from its KMS (300)") \
	X(OPT_ON_REVOKE, "on-revoke", 0, STRING, "MODE", "keep, fail or freeze: what the KMS's refusal does") \
	X(OPT_INTERVAL, "interval", 0, NUMBER, "SECONDS", "from one probe of the KMS to the next (a third of the lease)") \
	X(OPT_ONCE, "once", 0, FLAG, NULL, "ask once, act by the answer, and end")

enum kc_opt {
#define X(id, name, s, type, arg, help) id,
	KC_OPTIONS(X)
#undef X
	OPT_COUNT
};

#define KC_OPT(id) (UINT64_C(1) << (id))

/* what every verb takes */
#define KC_OPTS_GLOBAL (KC_OPT(OPT_JSON) | KC_OPT(OPT_BATCH) | KC_OPT(OPT_VERBOSE) | KC_OPT(OPT_DEBUG) | \
			KC_OPT(OPT_CONFIG) | KC_OPT(OPT_HELP) | KC_OPT(OPT_VERSION))

#define KC_MAX_ARGS 64

/**
 * struct kc_run - one run of the command, handed to a verb
 * @verb: the row
 * @arg: positional arguments after the verb, NULL where there are no more
 * @n_arg: how many; within what the row allows
 * @opt: value of each option: NULL if not given, "" for a given flag
 * @number: value of a NUMBER option that was given
 * @conf: loaded before the handler runs if the row asks for it
 * @volume: what an error is about: a name or UUID, set by the handler once known
 * @device: the device it is about, set by the handler
 * @err: why it failed; main() prints it and exits with its code
 */
struct kc_run {
	const struct kc_verb *verb;
	const char *arg[KC_MAX_ARGS + 1];
	int n_arg;
	const char *opt[OPT_COUNT];
	uint32_t number[OPT_COUNT];
	struct kc_conf conf;
	char volume[192];
	char device[256];
	struct kc_error err;
};

/**
 * struct kc_verb - a row of the table of verbs
 * @name: one word, or two ("key create")
 * @alias: another name, or NULL
 * @args: positional arguments for the usage line, or ""
 * @help: one line
 * @min_args, @max_args: how many
 * @opts: KC_OPT() bits of what it takes beyond KC_OPTS_GLOBAL
 * @needs_conf: load the configuration first
 * @run: the handler; returns 0 or an exit code, with r->err filled
 * @check: refuses bad values before anything is touched, or NULL; returns as @run
 */
struct kc_verb {
	const char *name;
	const char *alias;
	const char *args;
	const char *help;
	int min_args, max_args;
	uint64_t opts;
	bool needs_conf;
	int (*run)(struct kc_run *r);
	int (*check)(struct kc_run *r);
};

extern const struct kc_verb kc_verbs[];	/* the last has a NULL name */

/* help.c */
void kc_print_usage(const struct kc_verb *v);		/* NULL for all verbs */
void kc_print_group(const char *group);			/* "key": its verbs */

/* options.c */
int kc_parse(int argc, char **argv, struct kc_run *r);

/** struct kc_option - a line of KC_OPTIONS */
struct kc_option {
	const char *name;
	char short_name;
	enum kc_opt_type { FLAG, STRING, NUMBER } type;
	const char *arg;
	const char *help;
};

extern const struct kc_option kc_options[OPT_COUNT];

static inline bool kc_given(const struct kc_run *r, enum kc_opt o)
{
	return r->opt[o] != NULL;
}

/* output.c: data on stdout, talk on stderr */

/** kc_print_error() - "kcache: VOLUME (DEVICE): sentence [ProviderError, request ID]; next step" */
void kc_print_error(const struct kc_run *r);

/** kc_warn() - one line on stderr, also with -q */
void kc_warn(const struct kc_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** kc_say() - one line on stderr, not with -q */
void kc_say(const struct kc_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** kc_verbose() - one line on stderr, with -v or --debug */
void kc_verbose(const struct kc_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** kc_ask_yes() - a typed YES on the terminal; false without one, and with -q */
bool kc_ask_yes(const struct kc_run *r, const char *question);

/** kc_size_text() - bytes for people, "16.0 MiB"; @buf of 24 bytes */
const char *kc_size_text(uint64_t bytes, char *buf);

/*
 * JSON. Members are added in the order they are to be seen in. A number that
 * may need more than 53 bits is a string: not every reader has integers.
 * Running out of memory ends the process: nothing is half done while printing.
 */
struct json_object *kc_json_new(void);			/* {"version": 1} */
struct json_object *kc_json_object(void);
struct json_object *kc_json_array(void);
void kc_json_str(struct json_object *o, const char *name, const char *value);	/* NULL or "": null */
void kc_json_u64(struct json_object *o, const char *name, uint64_t value);	/* as a string */
void kc_json_int(struct json_object *o, const char *name, int value);
void kc_json_bool(struct json_object *o, const char *name, bool value);
void kc_json_put(struct json_object *o, const char *name, struct json_object *value);	/* takes @value */
void kc_json_push(struct json_object *array, struct json_object *value);	/* takes @value */
void kc_json_drop(struct json_object *o);
int kc_json_print(struct kc_run *r, struct json_object *o);			/* prints and puts @o */

/* volume.c: what several verbs do */

struct kc_blk;
struct kc_event;
struct kc_header;

/** kc_audit_event() - write an audit event; not being able to is a warning: a full log must not hold a volume */
void kc_audit_event(struct kc_run *r, const struct kc_event *e);

/** kc_volume_id() - the UUID of a volume that is named by it, or by its device */
int kc_volume_id(struct kc_run *r, const char *volume, char id[static 37]);

/** kc_now() - RFC 3339, UTC, seconds */
void kc_now(char text[static 32]);

/** kc_new_uuid() - a random UUID of 36 characters and a NUL */
int kc_new_uuid(char uuid[static 37], struct kc_error *err);

/** kc_take_device() - open and claim @r->device, which is to be overwritten */
int kc_take_device(struct kc_run *r, struct kc_blk *b);

/**
 * kc_refuse_contents() - KC_BUSY if a device is not blank, unless --force or a typed YES says to overwrite it
 * @overwrite: receives whether there is something to overwrite
 */
int kc_refuse_contents(struct kc_run *r, const struct kc_blk *b, bool *overwrite);

/** kc_warn_damaged() - say it if one of the two header copies is damaged */
void kc_warn_damaged(const struct kc_run *r, const struct kc_header *h);

/*
 * The verbs. A handler takes r->arg and r->opt, fills r->volume and r->device as soon
 * as it knows them, prints its data to stdout, and returns 0 or kc_fail(&r->err, ...).
 */
int cmd_create(struct kc_run *r);
int check_create(struct kc_run *r);
int cmd_attach(struct kc_run *r);
int check_attach(struct kc_run *r);
int cmd_detach(struct kc_run *r);
int check_name(struct kc_run *r);	/* NAME of a verb that takes it first */
int cmd_suspend(struct kc_run *r);
int cmd_resume(struct kc_run *r);
int cmd_lease(struct kc_run *r);
int check_lease(struct kc_run *r);
int cmd_resize(struct kc_run *r);
int check_resize(struct kc_run *r);
int cmd_status(struct kc_run *r);
int cmd_list(struct kc_run *r);
int cmd_dump(struct kc_run *r);
int cmd_rewrap(struct kc_run *r);
int check_rewrap(struct kc_run *r);
int cmd_recipient_add(struct kc_run *r);
int cmd_recipient_remove(struct kc_run *r);
int check_recipient(struct kc_run *r);
int cmd_recipient_list(struct kc_run *r);
int cmd_adopt(struct kc_run *r);
int check_adopt(struct kc_run *r);
int cmd_repair(struct kc_run *r);
int cmd_header_backup(struct kc_run *r);
int cmd_header_restore(struct kc_run *r);
int cmd_clone(struct kc_run *r);
int cmd_erase(struct kc_run *r);
int cmd_audit_list(struct kc_run *r);
int check_audit_list(struct kc_run *r);
int cmd_audit_verify(struct kc_run *r);
int check_audit_verify(struct kc_run *r);
int cmd_check(struct kc_run *r);
int cmd_doctor(struct kc_run *r);
int cmd_policy(struct kc_run *r);
int cmd_policy_check(struct kc_run *r);
int cmd_snapshot(struct kc_run *r);
int check_snapshot(struct kc_run *r);
int cmd_restore(struct kc_run *r);
int check_restore(struct kc_run *r);
int cmd_key_create(struct kc_run *r);
int cmd_key_list(struct kc_run *r);
int cmd_key_describe(struct kc_run *r);
int cmd_key_enable(struct kc_run *r);
int cmd_key_disable(struct kc_run *r);
int cmd_key_rotate(struct kc_run *r);
int check_key_rotate(struct kc_run *r);
int cmd_key_schedule_deletion(struct kc_run *r);
int check_key_days(struct kc_run *r);
int cmd_key_cancel_deletion(struct kc_run *r);
int cmd_key_alias(struct kc_run *r);
int cmd_key_unalias(struct kc_run *r);
int cmd_key_grant(struct kc_run *r);
int check_key_grant(struct kc_run *r);
int cmd_key_grants(struct kc_run *r);
int cmd_key_revoke(struct kc_run *r);
int cmd_key_retire(struct kc_run *r);
int cmd_key_policy(struct kc_run *r);
int cmd_key_import(struct kc_run *r);
int cmd_key_import_parameters(struct kc_run *r);
int cmd_key_forget(struct kc_run *r);
int cmd_key_backup(struct kc_run *r);
int cmd_key_restore(struct kc_run *r);
int cmd_key_seal(struct kc_run *r);
int cmd_key_unseal(struct kc_run *r);

#endif
