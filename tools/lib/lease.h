/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lease of a volume: what a header may say of it, what an answer of a KMS means for
 * it, and what follows. No I/O here: cmd-lease.c asks and acts.
 */
#ifndef KC_LEASE_H
#define KC_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "token.h"

#define KC_LEASE_DEFAULT 300	/* seconds, where --on-revoke asks for a lease and says no time */
#define KC_LEASE_MIN 5		/* there must be time for a probe, and for another */

/** kc_lease_check() - can these go together, whatever the volume has? @mode NULL, @seconds 0: not given */
int kc_lease_check(const char *mode, uint32_t seconds, struct kc_error *err);

/**
 * kc_lease_policy() - lease and on_revoke of a token as the command line wants them
 * @t: has the present ones; what is not given stays
 *
 * keep is no lease; fail and freeze have one.
 */
int kc_lease_policy(struct kc_token *t, const char *mode, uint32_t seconds, struct kc_error *err);

/**
 * enum kc_answer - what came of asking for the DEK; of several recipients' the greatest counts
 * @KC_ANSWER_YES: it was unwrapped, and it is the volume's
 * @KC_ANSWER_REFUSED: the KMS said that the key must not be used, or that there is none
 * @KC_ANSWER_DENIED: the KMS said that we may not use it: a grant may be on its way
 * @KC_ANSWER_SILENT: nothing that the owner of the key has said: the KMS is not there, too busy, does
 *	not know us; the header cannot be read or does not hold
 */
enum kc_answer { KC_ANSWER_YES, KC_ANSWER_REFUSED, KC_ANSWER_DENIED, KC_ANSWER_SILENT };

/** kc_answer() - of one recipient, by its error; @e->code 0 is yes */
enum kc_answer kc_answer(const struct kc_error *e);

/** kc_answer_worse() - of two recipients that both failed: nobody is refused while one may still say yes */
enum kc_answer kc_answer_worse(enum kc_answer a, enum kc_answer b);

const char *kc_answer_name(enum kc_answer a);	/* "granted", "refused", "denied", "silent" */

/**
 * enum kc_lease_act - what follows
 * @KC_LEASE_RENEW: tell the kernel that the lease begins anew
 * @KC_LEASE_SET: give the kernel the key again, which is away
 * @KC_LEASE_AGAIN: nothing; ask again very soon
 * @KC_LEASE_WAIT: nothing: the lease runs on
 * @KC_LEASE_REVOKE: do now what on_revoke says
 * @KC_LEASE_END: the key is away for good
 */
enum kc_lease_act { KC_LEASE_RENEW, KC_LEASE_SET, KC_LEASE_AGAIN, KC_LEASE_WAIT, KC_LEASE_REVOKE, KC_LEASE_END };

/**
 * struct kc_lease - what is remembered from one answer to the next
 * @mode: what the volume was attached with
 * @denied: the last answer, silence aside, was KC_ANSWER_DENIED
 * @told: with on_revoke keep: that it is refused was told, and not granted since
 */
struct kc_lease {
	enum kc_on_revoke mode;
	bool denied;
	bool told;
};

/**
 * kc_lease_step() - an answer has come
 * @valid: the kernel has the key now
 * @suspended: it is suspended; without a key, that is kcache suspend's work, and kcache resume's to undo
 */
enum kc_lease_act kc_lease_step(struct kc_lease *l, enum kc_answer a, bool valid, bool suspended);

/**
 * kc_lease_left() - what a renewal is worth, in seconds, 0 for nothing
 * @asked_ms: how long ago the KMS was asked: the lease counts from there, since the answer is
 *	no newer than that
 */
uint32_t kc_lease_left(uint32_t lease, int64_t asked_ms);

/**
 * kc_lease_pause() - from one question to the next, in milliseconds
 * @every_ms: from one answer to the next, as far as that can be
 * @took_ms: how long the last answer took, and so perhaps the next
 *
 * What is refused just after one question is heard with the answer to the next: no later than
 * @every_ms, if that takes no longer than half of it.
 */
int64_t kc_lease_pause(int64_t every_ms, int64_t took_ms);

#endif
