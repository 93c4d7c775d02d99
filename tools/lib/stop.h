/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP in the middle of something that must not stop
 * there: they are noted, the work ends at its next safe point, cleans up as
 * after any failure, and the process then ends by the signal it was sent.
 */
#ifndef KC_STOP_H
#define KC_STOP_H

#include <stdbool.h>

#include "error.h"

/** kc_stop_install() - note signals from here on; waiting system calls return EINTR */
void kc_stop_install(void);

/** kc_stopped() - has one come? */
bool kc_stopped(void);

/**
 * kc_stop_fd() - becomes readable when a signal comes, for poll()
 *
 * -1 if kc_stop_install() was not called: poll() passes over it.
 */
int kc_stop_fd(void);

/** kc_stop_check() - 0, or a failure that says "interrupted" */
int kc_stop_check(struct kc_error *err);

/** kc_stop_raise() - end by the signal that was noted; returns if there was none */
void kc_stop_raise(void);

#endif
