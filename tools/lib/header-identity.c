// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Another identity for a header: a new UUID, and tokens that are bound to it. libcryptsetup
 * makes the new header, in memory; it reaches the device as a whole, so that there is no
 * moment at which the tokens belong to another UUID than the one beside them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "area.h"
#include "header-private.h"
#include "op.h"

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

static int unlock(struct kc_header *h, const struct kc_op *op, struct kc_error *err)
{
	struct kc_cslog log = { "" };
	char *json;
	int r = kc_op_format(op, &json, err);

	if (r)
		return r;
	kc_cslog_attach(h->cd, &log);
	r = h->tokens[0].has_keyslot ? crypt_keyslot_destroy(h->cd, 0) : 0;
	if (r < 0)
		r = kc_cs_fail(err, r, &log, "cannot take the keyslot out");
	else if ((r = crypt_token_json_set(h->cd, CRYPT_ANY_TOKEN, json)) < 0)
		r = kc_cs_fail(err, r, &log, "the header has no room for the operation; take a recipient out");
	else
		r = 0;
	kc_cslog_attach(h->cd, NULL);
	free(json);
	return r;
}

int kc_header_op_plan(int fd, const struct kc_header *from, const struct kc_op *op, struct kc_header *to,
		      struct kc_error *err)
{
	struct kc_header h;
	int r;

	memset(to, 0, sizeof(*to));
	r = kc_header_load(fd, &h, err);
	if (!r && (strcmp(h.json, from->json) || strcmp(h.layout.uuid, from->layout.uuid)))
		r = kc_fail(err, KC_BUSY, "try again", "something else has changed the header meanwhile");
	if (!r)
		r = unlock(&h, op, err);
	if (!r)
		r = kc_header_load_op(h.copy_fd, to, err);
	kc_header_free(&h);
	return r;
}

/* What formatting does not take over: flags. Then the tokens, as they are. */
static int fill(const char *path, const struct kc_header *from, struct kc_error *err)
{
	struct kc_cslog log = { "" };
	struct crypt_device *cd;
	uint32_t flags = 0;
	unsigned int i;
	int r;

	r = crypt_persistent_flags_get(from->cd, CRYPT_FLAGS_ACTIVATION, &flags);
	if (r < 0)
		return kc_cs_fail(err, r, NULL, "cannot read the flags");
	r = crypt_init(&cd, path);
	if (r < 0)
		return kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the copy of the header");
	kc_cslog_attach(cd, &log);
	r = crypt_load(cd, CRYPT_LUKS2, NULL);
	if (r >= 0 && flags)
		r = crypt_persistent_flags_set(cd, CRYPT_FLAGS_ACTIVATION, flags);
	crypt_free(cd);
	if (r < 0)
		return kc_cs_fail(err, r, &log, "cannot make the new header");
	for (i = 0, r = 0; !r && i < from->op->n; i++)
		r = kc_header_add_token(path, &from->op->t[i], err);
	return r;
}

/* Its keyslot must not lie where the journal does. */
static int check_keyslot_area(const struct kc_header *h, struct kc_error *err)
{
	uint64_t at, len;

	if (!crypt_keyslot_area(h->cd, 0, &at, &len) && at >= 2 * h->area && at + len <= KC_JOURNAL_START)
		return 0;
	return kc_fail(err, KC_DEVICE, "report this as a bug", "the new keyslot does not lie before the journal");
}

int kc_header_op_result(const struct kc_header *from, uint64_t size, const uint8_t dek[static KC_DEK_SIZE],
			struct kc_header *to, int *fd, struct kc_error *err)
{
	struct kc_format f = { .sector_size = from->layout.sector_size, .label = crypt_get_label(from->cd) };
	struct kc_layout l = from->layout;
	char path[32];
	unsigned int i;
	int r;

	memset(to, 0, sizeof(*to));
	memcpy(f.uuid, from->op->t[0].binding.context.id, sizeof(f.uuid));
	memcpy(l.uuid, f.uuid, sizeof(l.uuid));
	*fd = kc_memfd("kcache-header", size, err);
	if (*fd < 0)
		return (int)err->code;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	r = kc_header_write(path, &f, dek, err);
	if (!r)
		r = fill(path, from, err);
	if (!r)
		r = kc_header_load(*fd, to, err);
	if (!r)
		r = check_keyslot_area(to, err);
	for (i = 0; !r && i < to->n_tokens; i++)
		r = kc_header_verify_dek(to, &to->tokens[i], dek, err);
	/* the data stay where they are */
	if (!r && (to->area != from->area || to->layout.offset != l.offset || to->layout.iv_tweak != l.iv_tweak))
		r = kc_fail(err, KC_DEVICE, "copy its data to a new volume",
			    "its data do not begin where those of a new volume do");
	if (r) {
		close(*fd);
		*fd = -1;
	}
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
