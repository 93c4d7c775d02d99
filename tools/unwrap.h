/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recipients of a volume, and its DEK unwrapped by one of them. */
#ifndef KC_UNWRAP_H
#define KC_UNWRAP_H

#include "header.h"
#include "kms.h"
#include "lease.h"
#include "pins.h"

struct kc_run;

/**
 * struct kc_unwrap - who is to be asked, and what came of it
 * @named: canonical id of a key that the command line names: it need not be pinned; "" or NULL for none
 * @tokens, @n: the recipients to ask, in order
 * @reserve: how many shares of the time left stay for what is to be asked afterwards
 * @used: the recipient whose DEK was good
 * @dek: in a key helper's mapping; NULL until unwrapped and verified
 * @answer: of all that were asked; KC_ANSWER_SILENT where nobody was
 */
struct kc_unwrap {
	struct kc_kms *kms;
	const struct kc_header *h;
	const struct kc_known *known;
	const char *named;
	const struct kc_token *tokens[KC_RECIPIENTS_MAX];
	unsigned int n;
	unsigned int reserve;
	const struct kc_token *used;
	const uint8_t *dek;
	enum kc_answer answer;
};

/** kc_unwrap_under() - ask also the recipients under @key, or all of them for NULL */
void kc_unwrap_under(struct kc_unwrap *u, const char *key);

/**
 * kc_unwrap() - ask them in order, until one gives a DEK that holds
 *
 * Each has an equal share of the time that is left then, so that a slow one leaves
 * something for those after it; what it does not need is theirs. Of several, each that
 * fails is told on stderr.
 *
 * Return: 0; KC_KMS_RETRY if any may be tried again, else the first one's failure.
 */
int kc_unwrap(struct kc_run *r, struct kc_unwrap *u);

/**
 * kc_resolve_key() - the canonical id of a key that the command line names
 *
 * An alias is asked of the KMS; a canonical id is not, since its key may be gone.
 */
int kc_resolve_key(struct kc_run *r, struct kc_kms *kms, const struct kc_header *h, const char *name,
		   char key[static KC_KEY_NAME_MAX]);

#endif
