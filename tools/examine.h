/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Would a volume attach now, and if not, why? A ladder of steps, each told as it is
 * taken; check makes a line of them, doctor shows them. Nothing is changed: a header is
 * read, a DEK is unwrapped by its KMS, verified and wiped, and what the KMS was asked
 * is in the audit log as always.
 */
#ifndef KC_EXAMINE_H
#define KC_EXAMINE_H

#include "kcache.h"

enum kc_step_result { KC_STEP_OK, KC_STEP_WARNING, KC_STEP_FAILED };

/**
 * struct kc_steps - where the steps are told
 * @tell: @name is "device", "header", ...; @e has the sentence, the next step, and for
 *	KC_STEP_FAILED the exit code
 * @code: of what failed: KC_KMS_RETRY if any of it may be tried again, else the first one's
 * @first: the failure that @code is of
 */
struct kc_steps {
	struct kc_run *r;
	void (*tell)(enum kc_step_result result, const char *name, const struct kc_error *e, void *data);
	void *data;
	int code;
	struct kc_error first;
};

void kc_step_ok(struct kc_steps *s, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** kc_step_warn() - @next may be NULL */
void kc_step_warn(struct kc_steps *s, const char *name, const char *next, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** kc_step_failed() - returns @e's code */
int kc_step_failed(struct kc_steps *s, const char *name, const struct kc_error *e);

/**
 * struct kc_examined - what came of it
 * @attached: name of the mapped device, if it is attached
 * @key: the first recipient that opens it; empty if none does
 */
struct kc_examined {
	char uuid[40];
	char attached[128];
	char key[1024];
};

/**
 * kc_examine_volume() - every step of an attach of @device, short of mapping it
 *
 * Each recipient is asked, also after one has opened it: the others are warned of.
 *
 * Return: 0 if it would attach, or is attached and would again; s->code otherwise.
 */
int kc_examine_volume(struct kc_steps *s, const char *device, struct kc_examined *x);

/* examine-host.c: what all volumes of a host need */

/** kc_examine_module() - is the target there, or can the running kernel load it? */
int kc_examine_module(struct kc_steps *s);

/** kc_examine_kernels() - is the module there for every installed kernel? a warning for each without */
void kc_examine_kernels(struct kc_steps *s);

/** kc_examine_host() - all the rest: state, keystore, helpers, audit, clock, keyring, swap, crash dumps */
void kc_examine_host(struct kc_steps *s);

#endif
