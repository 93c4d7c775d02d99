/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ties the lines of the audit file together: each one ends with a number and
 * a hash over the hash of the line before and its own bytes. Text in, text out;
 * Documentation/audit.md has it byte by byte.
 */
#ifndef KC_AUDIT_CHAIN_H
#define KC_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KC_CHAIN_HEX 64
#define KC_CHAIN_TIME 24	/* 2026-11-25T02:40:00.123Z */
/* what the first line of all follows */
#define KC_CHAIN_BEGIN "0000000000000000000000000000000000000000000000000000000000000000"
/* so many digits a seq has at most: a JSON number that no reader rounds */
#define KC_SEQ_DIGITS 15

/** struct kc_chain - a line's place: its number, from 1, and its hash in lower-case hex */
struct kc_chain {
	uint64_t seq;
	char value[KC_CHAIN_HEX + 1];
};

/**
 * kc_chain_value() - the chain value of a line
 * @before: that of the line before, or KC_CHAIN_BEGIN
 * @body: the line up to its member "chain", without the closing brace
 *
 * Return: false where OpenSSL has no SHA-256.
 */
bool kc_chain_value(const char *before, const char *body, size_t len, char out[static KC_CHAIN_HEX + 1]);

/**
 * kc_chain_line() - is this a line with its place, by its form?
 * @line: without the line feed
 * @c: its place
 * @body: so many bytes of it come before the member "chain"
 *
 * Whether the place is true is kc_chain_value()'s to say.
 */
bool kc_chain_line(const char *line, size_t len, struct kc_chain *c, size_t *body);

/** kc_chain_tail() - the last such line in @text, which begins with the beginning of a line */
bool kc_chain_tail(const char *text, size_t len, struct kc_chain *c);

/** kc_chain_valid() - is it 64 digits of lower-case hex? */
bool kc_chain_valid(const char *value);

enum kc_anchor_form { KC_ANCHOR_GOOD, KC_ANCHOR_INCOMPLETE, KC_ANCHOR_BAD };

/**
 * kc_anchor_line() - a line of an anchor, "SEQ CHAIN TIME" without the line feed
 *
 * Return: KC_ANCHOR_INCOMPLETE for what a power cut leaves of one: its beginning.
 */
enum kc_anchor_form kc_anchor_line(const char *line, size_t len, struct kc_chain *c,
				   char when[static KC_CHAIN_TIME + 1]);

#endif
