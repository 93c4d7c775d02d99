/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking who sits at the terminal for the PIN of a token. */
#ifndef KC_PIN_H
#define KC_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/** kc_pin_allow() - this process may ask: a command that somebody typed, not a plugin or a service */
void kc_pin_allow(void);

/** kc_pin_possible() - it may, and there is a terminal */
bool kc_pin_possible(void);

/**
 * kc_pin_ask() - read a PIN from the controlling terminal, without echo
 * @what: whose, for the prompt
 * @deadline: kc_wire_now() when waiting ends
 * @pin: @size bytes, not terminated; wiped on an error
 *
 * Return: 0, or KC_PERM where none came.
 */
int kc_pin_ask(const char *what, int64_t deadline, char *pin, size_t size, size_t *len, struct kc_error *err);

#endif
