/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a provider of keys is to the key helper: one small interface, with the
 * operations and the errors of AWS KMS.
 */
#ifndef KH_PROVIDER_H
#define KH_PROVIDER_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "error.h"
#include "kms.h"
#include "secret.h"
#include "token.h"

#define KH_KEY_SIZE 32	/* AES-256 */
#define KH_HASH 32	/* SHA-256 */

/**
 * enum kh_error - what may go wrong, for all providers
 *
 * Each has one row in fault.c: KMS's name for it, the exit code, a next step.
 */
enum kh_error {
	KH_OK,
	KH_VALIDATION,		/* a request that cannot be right */
	KH_UNSUPPORTED,		/* nothing here knows that operation or provider */
	KH_NOT_FOUND,
	KH_DISABLED,
	KH_PENDING_DELETION,
	KH_PENDING_IMPORT,
	KH_DENIED,		/* by the KMS: a policy or a grant */
	KH_POLICY,		/* what the key was sealed to is not so now (a TPM's PCRs) */
	KH_LOCKED,		/* too many wrong PINs */
	KH_INVALID_CIPHERTEXT,	/* wrong context or altered: no more is told */
	KH_INCORRECT_KEY,
	KH_ALREADY_EXISTS,
	KH_INVALID_USAGE,	/* a key that is not symmetric, or not for encryption */
	KH_INVALID_GRANT,
	KH_ACCESS_DENIED,	/* by the permissions of files */
	KH_CREDENTIALS,		/* none, expired, or wrong: says nothing about the key */
	KH_UNAVAILABLE,		/* the keystore is damaged or incomplete: says nothing about the key */
	KH_KEY_STATE,		/* the key cannot be used now, and nobody says why */
	KH_KEY_STORE,		/* a custom key store is not connected */
	KH_THROTTLED,
	KH_UNREACHABLE,		/* DNS, TCP, TLS, or no device */
	KH_GARBAGE,		/* an answer that nobody can read */
	KH_TIMEOUT,
	KH_INTERNAL,
	KH_NO_MEMORY,
	KH_N_ERRORS
};

/** enum kh_retry - what may come of the same request, sent again */
enum kh_retry {
	KH_RETRY_NEVER,
	KH_RETRY_ONCE,		/* with new credentials */
	KH_RETRY_SHORT,		/* for up to 30 s: a new grant may not have got everywhere */
	KH_RETRY,		/* until the deadline */
};

#define KH_GRANT_TOKEN_MAX 8193	/* KMS's limit, with a NUL */

/**
 * struct kh_secrets - all plaintext keys of this process, in pages of kc_secret_alloc()
 * @plain: a DEK and what is wrapped with it
 * @scratch: a library's structure that a key has to be in
 * @pin, @pin_len: of a token; stays as long as the helper
 *
 * Pages are to be had before the sandbox only: it locks what is there, and may
 * use up the limit.
 */
struct kh_secrets {
	uint8_t root[KH_KEY_SIZE];
	uint8_t kek[KH_KEY_SIZE];
	uint8_t dek[KC_DEK_SIZE];
	uint8_t plain[128];
	uint64_t scratch[128];
	char pin[256];
	size_t pin_len;
};

/**
 * struct kh - the state of the helper
 * @state_dir: where a provider keeps what it keeps
 * @settings: the provider's own settings of kcache.conf, name to text; may be NULL
 * @operation: of this request, as the command names it
 * @grant_token: of this request, "" for none
 * @request_id: of this request; a provider whose service gives one puts it here
 * @deadline: kc_wire_now() when the command stops waiting
 * @secrets: scratch; wiped after every request
 * @error, @text, @next: the failure of this request
 * @name: the table's name for it, or the provider's own
 * @keystore: the local provider's, while it is open
 * @private: another provider's own state
 */
struct kh {
	char state_dir[PATH_MAX];
	struct json_object *settings;
	const char *operation;
	char grant_token[KH_GRANT_TOKEN_MAX];
	char request_id[128];
	int64_t deadline;
	struct kh_secrets *secrets;
	enum kh_error error;
	char name[64];
	char text[768];
	char next[384];
	struct keystore *keystore;
	void *private;
};

/**
 * kh_fail() - record why a request fails; the first cause is kept
 *
 * Return: -1, so that a caller writes return kh_fail(...).
 */
int kh_fail(struct kh *k, enum kh_error e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** kh_next() - a next step that names what the table's cannot; after kh_fail(), returns -1 too */
int kh_next(struct kh *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** kh_name() - what the provider itself calls the failure ("CKR_PIN_LOCKED"); after kh_fail(), returns -1 too */
int kh_name(struct kh *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** kh_forget() - no failure yet, as before kh_fail(): for who tries again */
void kh_forget(struct kh *k);

#ifdef __clang_analyzer__
/* it looks at one file at a time, and would go on after a failure as if it were none */
#define kh_fail(k, e, ...) ((void)(kh_fail)(k, e, __VA_ARGS__), -1)
#define kh_next(k, ...) ((void)(kh_next)(k, __VA_ARGS__), -1)
#define kh_name(k, ...) ((void)(kh_name)(k, __VA_ARGS__), -1)
#endif

const char *kh_error_name(enum kh_error e);
enum kc_exit kh_error_exit(enum kh_error e);
enum kh_retry kh_error_retry(enum kh_error e);

/** kh_time_left() - milliseconds until the deadline, 0 if it has passed */
int kh_time_left(const struct kh *k);

/**
 * kh_admin_fn - an operation whose arguments and answer are JSON
 * @args: read with kc_wire_*()
 * @result: an empty object to be filled
 */
typedef int (*kh_admin_fn)(struct kh *k, struct json_object *args, struct json_object *result);

struct kh_admin_op {
	const char *name;
	kh_admin_fn fn;
};

/**
 * struct kh_provider - a provider
 * @name: as in a token
 * @prepare: before the sandbox and before any input: loads what cannot be loaded later; may be NULL
 * @syscalls: what the sandbox lets through beside what all providers need, ended by -1; NULL for nothing
 * @threads: its libraries start threads (never processes)
 * @foreign_code: libraries of somebody else run in here (a PKCS#11 module): the sandbox only denies
 * @claims: is this the name of a key of this provider?
 * @describe: resolve a name; makes the managed default key
 * @generate: wrap a new random DEK; no plaintext is left anywhere
 * @encrypt: wrap @dek
 * @decrypt: unwrap to @dek exactly KC_DEK_SIZE bytes, or fail
 * @re_encrypt: wrap anew without the plaintext leaving the provider
 * @list_aliases: a page of aliases; NULL where there is no such thing
 * @create_grant: { "key", "grantee", "operations": [...], "context"?: {...} } -> { "grant_id", "grant_token"? };
 *	NULL without grants
 * @retire_grant: { "key", "grant_id" | "grant_token" } -> {}; NULL without grants
 * @admin: further operations, ended by a NULL name
 * @close: let go of everything; the process ends
 *
 * The functions return 0, or -1 after kh_fail(). A wrapped DEK has at most
 * KC_WRAPPED_MAX bytes. Every DEK is bound to all members of its kc_binding;
 * the key in it is canonical (checked by the caller).
 */
struct kh_provider {
	const char *name;
	int (*prepare)(struct kh *k);
	const int *syscalls;
	bool threads;
	bool foreign_code;
	bool (*claims)(const char *key);
	int (*describe)(struct kh *k, const char *key, struct kc_key_info *info);
	int (*generate)(struct kh *k, const struct kc_binding *b, uint8_t *wrapped, size_t *len);
	int (*encrypt)(struct kh *k, const struct kc_binding *b, const uint8_t *dek, uint8_t *wrapped,
		       size_t *len);
	int (*decrypt)(struct kh *k, const struct kc_binding *b, const uint8_t *wrapped, size_t len,
		       uint8_t *dek);
	int (*re_encrypt)(struct kh *k, const struct kc_binding *from, const uint8_t *old, size_t old_len,
			  const struct kc_binding *to, uint8_t *wrapped, size_t *len);
	kh_admin_fn list_aliases;
	kh_admin_fn create_grant;
	kh_admin_fn retire_grant;
	const struct kh_admin_op *admin;
	void (*close)(struct kh *k);
};

/* The provider of this key helper: each has a program of its own. */
extern const struct kh_provider *const kh_provider;

/** kh_serve() - answer requests on @sock until its other end closes; the exit status */
int kh_serve(struct kh *k, int sock, uint8_t *mapping);

/** kh_memory_init() - OpenSSL's memory is wiped when freed; before any other use of OpenSSL */
int kh_memory_init(void);

/* An allocator that wipes what is freed, in the forms that libraries take one in. */
void *kh_wiping_malloc(size_t size);
void *kh_wiping_calloc(size_t n, size_t size);
void *kh_wiping_realloc(void *p, size_t size);
void kh_wiping_free(void *p);
char *kh_wiping_strdup(const char *s);

/**
 * kh_sandbox() - give up everything that serving does not need
 *
 * Locks memory, drops all capabilities, and installs the system call filter.
 * To be called when OpenSSL is loaded and before any input is read.
 */
int kh_sandbox(const struct kh_provider *p);

/** kh_binding_hash() - SHA-256 over the canonical binding, for devices that bind no context or only a short one */
int kh_binding_hash(struct kh *k, const struct kc_binding *b, uint8_t out[static KH_HASH]);

/** kh_wipe_stack() - what library calls that have returned left on the stack */
void kh_wipe_stack(void);

/** kh_new_dek() - a random one in @k's secrets, to be wiped by the caller */
int kh_new_dek(struct kh *k);

/** kh_setting() - a setting of kcache.conf, NULL if it is not there */
const char *kh_setting(const struct kh *k, const char *name);

#endif
