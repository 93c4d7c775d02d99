/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the sources of AWS credentials. */
#ifndef KH_AWS_CREDS_PRIVATE_H
#define KH_AWS_CREDS_PRIVATE_H

#include <limits.h>
#include <stddef.h>

#include <json-c/json.h>

#include "creds.h"
#include "http.h"

#define AWS_PROFILE_MAX 128

/** enum aws_found - what a source answers */
enum aws_found {
	AWS_FAILED = -1,	/* after kh_fail() */
	AWS_FOUND,
	AWS_NONE,		/* it is not configured: ask the next one */
};

enum aws_found aws_creds_env(struct kh *k, struct aws_creds *c);
enum aws_found aws_creds_web(struct kh *k, struct aws_creds *c);
enum aws_found aws_creds_profile(struct kh *k, struct aws_creds *c);
enum aws_found aws_creds_container(struct kh *k, struct aws_creds *c);
enum aws_found aws_creds_imds(struct kh *k, struct aws_creds *c);

/** aws_imds_close() - wipe the session token that is kept */
void aws_imds_close(void);

/** aws_env() - a variable that is set and not empty, or NULL */
const char *aws_env(const char *name);

/** aws_env_true() - is this variable "true"? */
bool aws_env_true(const char *name);

/**
 * aws_creds_set() - copy credentials into memory of their own
 * @token: NULL or "" for none
 * @expires: as struct aws_creds
 * @source: printf(); where they come from
 *
 * Checks that each can stand in a header. What @c had is wiped, unless it is passed.
 */
int aws_creds_set(struct kh *k, struct aws_creds *c, const char *id, const char *secret, const char *token,
		  int64_t expires, const char *source, ...) __attribute__((format(printf, 7, 8)));

/** aws_creds_wipe() - wipe and free; @c may be empty */
void aws_creds_wipe(struct aws_creds *c);

/**
 * struct aws_text - a file, or what a program printed
 * @data: in memory of kc_secret_alloc(), with a NUL behind it
 * @size: of that memory
 */
struct aws_text {
	char *data;
	size_t len;
	size_t size;
};

/**
 * aws_text_read() - all of a descriptor, until the deadline
 * @what: its name, for messages
 *
 * Return: 0, or -1 after kh_fail(); NULs, or more than 64 KiB, are failures.
 */
int aws_text_read(struct kh *k, int fd, const char *what, struct aws_text *t);

/**
 * aws_text_file() - a regular file
 * @config: it says what to run and whom to be: nobody but root and the caller may write it
 *
 * Return: 0, 1 if there is none, or -1 after kh_fail().
 */
int aws_text_file(struct kh *k, const char *path, bool config, struct aws_text *t);

/** aws_text_line() - cut white space off the end, and be sure that what is left is one line */
int aws_text_line(struct kh *k, struct aws_text *t, const char *what);

void aws_text_free(struct aws_text *t);

/**
 * struct aws_ini - a file of profiles, parsed in place (creds-ini.c)
 * @path: its name, "" where there is none
 * @entries: "key = value" lines, in their order
 */
struct aws_ini {
	char path[PATH_MAX];
	struct aws_text text;
	struct aws_ini_entry {
		const char *profile;
		const char *key;
		const char *value;
	} *entries;
	size_t n;
};

/**
 * aws_ini_load() - parse a file; one that is not there has no profiles
 * @bare: sections are "[name]" (a credentials file), not "[profile name]" and "[default]"
 */
int aws_ini_load(struct kh *k, const char *path, bool bare, struct aws_ini *ini);

/** aws_ini_get() - a profile's value, NULL if it has none; key NULL: has it anything? */
const char *aws_ini_get(const struct aws_ini *ini, const char *profile, const char *key);

void aws_ini_free(struct aws_ini *ini);

/** struct aws_files - the two files of the AWS command line; the credentials file goes first */
struct aws_files {
	struct aws_ini credentials;
	struct aws_ini config;
};

/** aws_files_paths() - which they are; "" for one that can be nowhere */
void aws_files_paths(const struct kh *k, char config[static PATH_MAX], char credentials[static PATH_MAX]);

int aws_files_load(struct kh *k, const char *config, const char *credentials, struct aws_files *f);

/** aws_files_get() - a profile's value in either, "" counts as none */
const char *aws_files_get(const struct aws_files *f, const char *profile, const char *key);
bool aws_files_have(const struct aws_files *f, const char *profile);
void aws_files_free(struct aws_files *f);

/** struct aws_json_names - what a service calls the parts of credentials */
struct aws_json_names {
	const char *id, *secret, *token, *expires;
};

/**
 * aws_creds_json() - credentials out of a JSON object
 * @temporary: token and end must be there
 * @source: where it is from, for messages
 */
int aws_creds_json(struct kh *k, struct json_object *o, const struct aws_json_names *names, bool temporary,
		   const char *source, struct aws_creds *c);

/** aws_json_parse() - the one object that a text must be, or NULL; its strings are wiped by the helper's free() */
struct json_object *aws_json_parse(const char *text, size_t len);

/** aws_json_text() - a string member, printable, cut to @size - 1 bytes: for messages; "" if there is none */
void aws_json_text(struct json_object *o, const char *name, char *out, size_t size);

/** aws_iso_time() - ISO 8601 with a zone as seconds since the epoch, 0 if it is none */
int64_t aws_iso_time(const char *s);

/** struct aws_role - what STS is asked for; strings may be NULL where they say so */
struct aws_role {
	const char *arn;
	const char *session;	/* NULL: kcache-HOST */
	const char *external_id; /* NULL */
	const char *duration;	/* seconds, NULL */
	const char *region;	/* NULL: the host's */
	const char *by;		/* who says so, for messages */
};

/** aws_sts_assume() - AssumeRole, by @c, which receives the role's */
int aws_sts_assume(struct kh *k, const struct aws_role *role, struct aws_creds *c);

/** aws_sts_web() - AssumeRoleWithWebIdentity, by the token in @file */
int aws_sts_web(struct kh *k, const struct aws_role *role, const char *file, struct aws_creds *c);

/* The broker, of which only the process in creds-broker.c knows what it runs. */

/** struct aws_broker_order - the only message to it: what to run (the first), or to run it again */
struct aws_broker_order {
	int64_t deadline;	/* kc_wire_now() */
	char config[PATH_MAX];
	char credentials[PATH_MAX];
	char profile[AWS_PROFILE_MAX];
};

/** struct aws_broker_news - from it: first with the pipe's end that the program prints to, then how it ended */
struct aws_broker_news {
	enum { AWS_BROKER_RUNS, AWS_BROKER_ENDED, AWS_BROKER_KILLED, AWS_BROKER_REFUSES } what;
	int status;		/* of waitpid() */
	char text[512];		/* why not */
};

/** aws_broker() - the process: never returns */
void aws_broker(int sock) __attribute__((noreturn));

/** aws_process_start() - fork it; what is left of it is a socket */
int aws_process_start(void);

/** aws_process_run() - what a profile's credential_process prints, as credentials */
int aws_process_run(struct kh *k, const struct aws_files *f, const char *profile, struct aws_creds *c);

/**
 * aws_process_dismiss() - end the broker if it has run nothing yet
 *
 * Called before the first byte of a network is read: whoever takes this process
 * over by one finds no broker, or one that runs what it ran before.
 */
void aws_process_dismiss(void);

void aws_process_close(void);

#endif
