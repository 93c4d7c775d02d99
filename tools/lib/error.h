/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One error shape for everything in tools/: what a tired administrator reads
 * and what a script branches on are decided where the failure is understood,
 * and travel up unchanged.
 */
#ifndef KC_ERROR_H
#define KC_ERROR_H

#include <stdbool.h>

/**
 * enum kc_exit - the exit codes, a contract (kcache(8), EXIT STATUS)
 *
 * 1 to 5 are cryptsetup's. A function of the library returns 0 or one of these.
 */
enum kc_exit {
	KC_OK = 0,
	KC_USAGE = 1,		/* bad arguments, bad configuration */
	KC_PERM = 2,		/* not permitted, or bad KMS credentials */
	KC_NOMEM = 3,		/* out of memory (or of lockable memory) */
	KC_DEVICE = 4,		/* wrong device, or not a kcache volume */
	KC_BUSY = 5,		/* exists already, or in use */
	KC_KMS_RETRY = 6,	/* KMS unreachable for now: try again later */
	KC_KMS_REFUSED = 7,	/* KMS refuses: disabled, pending deletion, denied, no such key */
	KC_TAMPERED = 8,	/* header rules, context, mac, digest, pin or generation do not hold */
	KC_KEY_GONE = 9,	/* the attached volume's key is wiped, revoked or expired */
	KC_POLICY = 10,		/* policy violated */
};

/**
 * struct kc_error - why something failed
 * @code: what main() exits with; KC_OK while nothing failed
 * @text: one sentence without a full stop, naming the value that was wrong
 * @next: the next step for the administrator, a clause without a full stop; may be empty
 * @provider_error: the provider's own name for it ("DisabledException"); may be empty
 * @request_id: the provider's request id; may be empty
 *
 * Owned by the caller, on its stack, initialised with {0}. Never holds a secret.
 */
struct kc_error {
	enum kc_exit code;
	char text[768];
	char next[384];
	char provider_error[64];
	char request_id[128];
};

/**
 * kc_fail() - record a failure
 * @err: where; may be NULL. An error already recorded is kept: the first cause is the one told
 * @code: the exit code, never KC_OK
 * @next: the next step, or NULL
 * @fmt: the sentence (printf)
 *
 * Return: @code, so that a caller writes return kc_fail(...).
 */
int kc_fail(struct kc_error *err, enum kc_exit code, const char *next, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#ifdef __clang_analyzer__
/* it looks at one file at a time, and would go on after a failure as if it were none */
#define kc_fail(err, code, ...) ((void)(kc_fail)(err, code, __VA_ARGS__), (code))
#endif

/** kc_error_clear() - forget what was recorded, before another try */
void kc_error_clear(struct kc_error *err);

#endif
