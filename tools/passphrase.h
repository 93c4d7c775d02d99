/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A passphrase from a terminal, a file or standard input, in locked memory. */
#ifndef KCACHE_PASSPHRASE_H
#define KCACHE_PASSPHRASE_H

#include "kcache.h"

#define PASSPHRASE_MAX 1024

/**
 * passphrase_read() - from --passphrase-file ("-" is standard input), or from the terminal
 * @what: what it is for, asked on the terminal
 * @twice: ask again: it is a new one
 * @len: without the line feed at its end; 1 or more
 *
 * Return: the passphrase, to be passphrase_free()d, or NULL with r->err set.
 */
char *passphrase_read(struct kc_run *r, const char *what, bool twice, size_t *len);
void passphrase_free(char *p);

#endif
