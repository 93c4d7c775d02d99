// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Another identity for a header: a new UUID, and tokens that are bound to it. libcryptsetup
 * makes the new header, in memory; it reaches the device as a whole, so that there is no
 * moment at which the tokens belong to another UUID than the one beside them.
 */
#include <stdlib.h>
#include <string.h>

#include "area.h"
#include "header-private.h"

static int set_token(struct kc_header *h, int slot, const struct kc_token *t, size_t *longest, struct kc_error *err)
{
	struct kc_cslog log = { "" };
	char *json = NULL;
	int r = 0;

	if (t)
		r = kc_token_format(t, &json, err);
	if (r)
		return r;
	if (json && strlen(json) > *longest)
		*longest = strlen(json);
	kc_cslog_attach(h->cd, &log);
	r = crypt_token_json_set(h->cd, slot, json);
	kc_cslog_attach(h->cd, NULL);
	free(json);
	return r < 0 ? kc_cs_fail(err, r, &log, t ? "cannot make the new token" : "cannot take the old token out") : 0;
}

/* On the copy in memory. The old tokens go first, for the sake of the room that there is. */
static int edit(struct kc_header *h, const struct kc_header *from, const char *uuid, const struct kc_token *t,
		unsigned int n, size_t *longest, struct kc_error *err)
{
	struct kc_cslog log = { "" };
	unsigned int i;
	int r;

	kc_cslog_attach(h->cd, &log);
	r = crypt_set_uuid(h->cd, uuid);
	kc_cslog_attach(h->cd, NULL);
	if (r < 0)
		return kc_cs_fail(err, r, &log, "cannot set the UUID");
	r = 0;
	for (i = 0; !r && i < from->n_tokens; i++)
		r = set_token(h, from->tokens[i].slot, NULL, longest, err);
	for (i = 0; !r && i < n; i++)
		r = set_token(h, from->tokens[i].slot, &t[i], longest, err);
	return r;
}

int kc_header_identity_plan(int fd, const struct kc_header *from, const char *uuid, const struct kc_token *t,
			    unsigned int n, struct kc_header *to, struct kc_error *err)
{
	struct kc_header h;
	size_t longest = 0;
	int r;

	memset(to, 0, sizeof(*to));
	r = kc_header_load(fd, &h, err);
	if (!r && (strcmp(h.json, from->json) || strcmp(h.layout.uuid, from->layout.uuid)))
		r = kc_fail(err, KC_BUSY, "try again", "something else has changed the header meanwhile");
	if (!r)
		r = edit(&h, from, uuid, t, n, &longest, err);
	if (!r)
		r = kc_header_load(h.copy_fd, to, err);
	/* its recipients can be changed as those of any volume */
	if (!r)
		r = kc_header_room(to, longest, longest, err);
	if (!r && (strcmp(to->layout.uuid, uuid) || to->n_tokens != n || to->area != from->area))
		r = kc_fail(err, KC_DEVICE, "report this as a bug", "the new header is not as it was planned");
	kc_header_free(&h);
	return r;
}

int kc_header_identity_write(const struct kc_blk *b, const struct kc_header *from, const struct kc_header *to,
			     struct kc_error *err)
{
	/* a damaged copy is the one that can be spared */
	unsigned int first = from->damaged_copy == 2;
	uint8_t *bytes = malloc(2 * to->area);
	unsigned int i;
	int r;

	if (!bytes)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");
	r = kc_area_read(to->copy_fd, 0, bytes, 2 * to->area, err);
	for (i = 0; !r && i < 2; i++) {
		uint64_t at = (first ^ i) * to->area;

		r = kc_area_write(b, at, bytes + at, to->area, err);
	}
	free(bytes);
	return r;
}
