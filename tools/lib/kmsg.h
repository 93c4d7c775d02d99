/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's sentence for a refused table: device-mapper gives an errno only, the reason goes to the log. */
#ifndef KC_KMSG_H
#define KC_KMSG_H

#include <stdbool.h>
#include <stddef.h>

/** struct kc_kmsg - a place in the kernel's log; @fd is -1 where the log cannot be read */
struct kc_kmsg {
	int fd;
};

/** kc_kmsg_mark() - remember the end of the log */
void kc_kmsg_mark(struct kc_kmsg *k);

/**
 * kc_kmsg_since() - what followed @prefix in the last device-mapper line since the mark
 *
 * Return: false if there is none.
 */
bool kc_kmsg_since(struct kc_kmsg *k, const char *prefix, char *text, size_t size);
void kc_kmsg_close(struct kc_kmsg *k);

#endif
