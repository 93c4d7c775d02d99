/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing who may unwrap a volume's DEK: what recipient add, recipient remove and rewrap
 * have in common. Nothing but the header is written, so that all of it works on a volume
 * that is attached.
 */
#ifndef KC_RECIPIENT_H
#define KC_RECIPIENT_H

#include "blk.h"
#include "header.h"
#include "kms.h"
#include "pins.h"
#include "unwrap.h"

struct kc_run;

/**
 * struct kc_change - one volume whose recipients change
 * @h: as it is on the disk now
 * @known: what this host knew of the volume before
 * @key: the key that is to be a recipient
 * @as: what new copies are bound to where it is not @h's own layout: a clone's; or NULL
 * @wrapped_by: how its copy was made, "ReEncrypt" or "Encrypt"; NULL if it was there already
 * @proven_by: "Decrypt" once the KMS has opened a copy that stays
 * @request_id: of that
 * @dek: that DEK, in a key helper's mapping
 * @slot: the token number of the copy that stays
 * @with_op: set before: a volume with an operation that did not finish is no error
 */
struct kc_change {
	struct kc_run *r;
	struct kc_blk blk;
	struct kc_header h;
	struct kc_known known;
	struct kc_kms *kms;
	struct kc_key_info key;
	const struct kc_layout *as;
	const char *wrapped_by;
	const char *proven_by;
	char request_id[128];
	const uint8_t *dek;
	int slot;
	bool with_op;
};

/**
 * kc_change_open() - the device, its header, and what is known of it
 * @write: it is to be written: claimed as attach does, unless it is attached
 *
 * Return: 0; KC_BUSY if something else than the volume itself uses the device; KC_DEVICE also for
 * a create that did not finish. kc_change_close() it also after an error.
 */
int kc_change_open(struct kc_change *c, const char *device, bool write);
void kc_change_close(struct kc_change *c);

/** kc_change_target() - the key that is to be a recipient: resolved, and usable now */
int kc_change_target(struct kc_run *r, struct kc_kms *kms, const char *name, struct kc_key_info *key);

/** kc_count_under() - how many recipients are under @key; @one receives one of them, it may be NULL */
unsigned int kc_count_under(const struct kc_header *h, const char *key, const struct kc_token **one);

/**
 * kc_change_prove() - have one of the recipients in @u open the volume: it may be relied upon
 *
 * Fills @c->dek, @c->slot, @c->proven_by.
 */
int kc_change_prove(struct kc_change *c, struct kc_unwrap *u);

/**
 * kc_change_wrap() - a copy of the DEK for @c->key, opened again by its KMS and checked
 * @from: rewrap: the token whose place is to be taken; lease, on_revoke and date are copied from
 *	it once its mac holds. NULL to take lease and on_revoke from whichever recipient unwrapped
 * @u: the recipients to ask where the KMS cannot wrap anew by itself
 * @t: receives a sealed token
 *
 * Nothing has been written then. @c->dek is what @t was opened to.
 */
int kc_change_wrap(struct kc_change *c, const struct kc_token *from, struct kc_unwrap *u, struct kc_token *t);

/**
 * kc_change_written() - read the header again, and check there with @c->dek the copy that stays
 * @t: that token
 */
int kc_change_written(struct kc_change *c, const struct kc_token *t);

/**
 * kc_change_remember() - this host accepts the key of @stays, and not that of @gone any more
 * @gone: or NULL
 *
 * A new key is remembered before its copy is written (its KMS has opened it by then), an old
 * one forgotten after its copy has gone: whenever the power goes, what is there is accepted.
 */
void kc_change_remember(struct kc_change *c, const struct kc_token *stays, const char *gone);

/**
 * kc_reseal() - kcache rewrap DEVICE --on-revoke MODE --lease SECONDS: in all tokens, under their mac
 *
 * The wrapped DEKs stay; one of them is unwrapped, since a mac is made with the DEK.
 */
int kc_reseal(struct kc_run *r);

/** kc_change_drop() - take out all tokens under @key but @stays, which is checked after each */
int kc_change_drop(struct kc_change *c, const char *key, const struct kc_token *stays);

#endif
