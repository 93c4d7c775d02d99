// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The chain's forms, parsed by hand: what reads a log after a power cut, or after
 * somebody wrote in it, must take any bytes.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "audit-chain.h"

#define SEQ ",\"seq\":"
#define CHAIN ",\"chain\":\""
#define END "\"}"

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool kc_chain_valid(const char *value)
{
	return strspn(value, "0123456789abcdef") == KC_CHAIN_HEX && !value[KC_CHAIN_HEX];
}

bool kc_chain_value(const char *before, const char *body, size_t len, char out[static KC_CHAIN_HEX + 1])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int i;
	bool ok;

	ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(ctx, before, KC_CHAIN_HEX) == 1 && EVP_DigestUpdate(ctx, "\n", 1) == 1 &&
	     EVP_DigestUpdate(ctx, body, len) == 1 && EVP_DigestUpdate(ctx, "}\n", 2) == 1 &&
	     EVP_DigestFinal_ex(ctx, md, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	for (i = 0; ok && i < KC_CHAIN_HEX / 2; i++)
		snprintf(out + 2 * (size_t)i, 3, "%02x", md[i]);
	return ok;
}

/* Does the text that ends at @*end end with @what? Then @*end is before it. */
static bool take_back(const char *line, size_t *end, const char *what)
{
	size_t n = strlen(what);

	if (*end < n || memcmp(line + *end - n, what, n) != 0)
		return false;
	*end -= n;
	return true;
}

/* From the end: nothing before the last members can look like them, quotes in strings are escaped. */
bool kc_chain_line(const char *line, size_t len, struct kc_chain *c, size_t *body)
{
	size_t end = len, digits = 0, i;

	if (!len || line[0] != '{' || !take_back(line, &end, END) || end < KC_CHAIN_HEX)
		return false;
	end -= KC_CHAIN_HEX;
	for (i = 0; i < KC_CHAIN_HEX; i++)
		if (!is_hex(line[end + i]))
			return false;
	memcpy(c->value, line + end, KC_CHAIN_HEX);
	c->value[KC_CHAIN_HEX] = '\0';
	if (!take_back(line, &end, CHAIN))
		return false;
	*body = end;
	while (digits < end && is_digit(line[end - digits - 1]))
		digits++;
	if (!digits || digits > KC_SEQ_DIGITS || line[end - digits] == '0')
		return false;
	c->seq = 0;
	for (i = end - digits; i < end; i++)
		c->seq = c->seq * 10 + (uint64_t)(line[i] - '0');
	end -= digits;
	return take_back(line, &end, SEQ) && end > 1;
}

bool kc_chain_tail(const char *text, size_t len, struct kc_chain *c)
{
	size_t end = len, start, body;

	for (; end; end = start ? start - 1 : 0) {
		for (start = end; start && text[start - 1] != '\n'; start--)
			;
		if (kc_chain_line(text + start, end - start, c, &body))
			return true;
	}
	return false;
}

/*
 * The form of an anchor's line, a character each: d a digit, h a hex digit, others
 * themselves. The number before it has no fixed length.
 */
enum kc_anchor_form kc_anchor_line(const char *line, size_t len, struct kc_chain *c,
				   char when[static KC_CHAIN_TIME + 1])
{
	static const char form[] = " hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
				   " dddd-dd-ddTdd:dd:dd.dddZ";
	size_t digits = 0, i;

	c->seq = 0;
	for (; digits < len && is_digit(line[digits]); digits++) {
		if (digits == KC_SEQ_DIGITS || line[0] == '0')
			return KC_ANCHOR_BAD;
		c->seq = c->seq * 10 + (uint64_t)(line[digits] - '0');
	}
	if (!digits && len)
		return KC_ANCHOR_BAD;
	for (i = 0; i < sizeof(form) - 1 && digits + i < len; i++) {
		char x = line[digits + i];

		if (form[i] == 'd' ? !is_digit(x) : form[i] == 'h' ? !is_hex(x) : x != form[i])
			return KC_ANCHOR_BAD;
	}
	if (digits + i < len)
		return KC_ANCHOR_BAD;
	if (i < sizeof(form) - 1)
		return KC_ANCHOR_INCOMPLETE;
	memcpy(c->value, line + digits + 1, KC_CHAIN_HEX);
	c->value[KC_CHAIN_HEX] = '\0';
	memcpy(when, line + len - KC_CHAIN_TIME, KC_CHAIN_TIME);
	when[KC_CHAIN_TIME] = '\0';
	return KC_ANCHOR_GOOD;
}
