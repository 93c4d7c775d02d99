/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device-mapper and the keyring by bare system calls, for tests that inject
 * failures: between a call and its kernel there is no library that allocates,
 * retries or asks for more. One caller at a time.
 *
 * Functions return 0 or a negative errno unless they say otherwise.
 */
#ifndef FAULTS_DM_H
#define FAULTS_DM_H

#include <stdbool.h>
#include <stddef.h>

#define DESC "kcache:faults"

int dm_create(const char *name);
int dm_remove(const char *name);
int dm_load(const char *name, const char *type, unsigned long long sectors,
	    const char *params);
int dm_clear(const char *name);
int dm_suspend(const char *name);
int dm_resume(const char *name);
int dm_message(const char *name, const char *text);
int dm_status(const char *name, bool inactive, char *text, size_t size);
bool dm_has_inactive(const char *name);
bool dm_is_suspended(const char *name);
int dm_open(const char *name);

/* A word "name:value" of the status of a live table; "" where there is none. */
const char *dm_word(const char *name, const char *word);

/*
 * The test's key. It lies in the user's keyring, which the kernel does not look
 * into; key_show() links it where it does, key_hide() takes it away from there.
 */
void key_init(void);
void key_show(void);
void key_hide(void);
/* What may become of it. key_renew() makes it anew, the same bytes. */
void key_revoke(void);
void key_expire(void);
void key_renew(void);

/*
 * What must not be left behind: tables, key schedules. take_base() remembers what
 * there is, leaks() says what is there besides, or NULL.
 */
void take_base(void);
const char *leaks(void);

/* Says why and ends: what is asked for here does not fail unless it is broken. */
void die(const char *what) __attribute__((noreturn));
void must(int r, const char *what);

#endif
