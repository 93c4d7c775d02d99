// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing a header: format, keyslot, token, in this order, so that a power cut
 * leaves an unfinished create and never half a volume that attaches.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "header-private.h"
#include "kdf.h"
#include "strict.h"

#define METADATA_SIZE (128U << 10)
/*
 * libcryptsetup's own default, but given rather than taken from the device's
 * topology: the plan, which the KMS context holds, and the writing must agree,
 * and so must a copy of the volume on another kind of disk.
 */
#define DATA_OFFSET (16U << 20)
/* LUKS2's minimum: what the secrets have is 512 random bits, iterations add nothing */
#define ITERATIONS 1000

/* "NN":{...}, and room for the sequence number's digits and the like */
#define TOKEN_OVERHEAD 64

static int check_format(const struct kc_format *f, struct kc_error *err)
{
	if (!kc_uuid_valid(f->uuid))
		return kc_fail(err, KC_USAGE, NULL, "\"%s\" is not a lower-case UUID", f->uuid);
	if (f->sector_size < 512 || f->sector_size > 4096 || f->sector_size & (f->sector_size - 1))
		return kc_fail(err, KC_USAGE, "use 512, 1024, 2048 or 4096",
			       "there is no sector size %u", f->sector_size);
	if (f->label && strlen(f->label) > 47)
		return kc_fail(err, KC_USAGE, NULL, "the label \"%.60s\" has more than 47 bytes",
			       f->label);
	return 0;
}

int kc_header_plan(const char *path, const struct kc_format *f, struct kc_layout *l,
		   struct kc_error *err)
{
	uint64_t size = 0;
	int fd, r;

	memset(l, 0, sizeof(*l));
	r = check_format(f, err);
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NULL,
			       "cannot open %s: %s", path, strerror(errno));
	r = kc_device_size(fd, &size, err);
	close(fd);
	if (r)
		return r;
	if (size < (uint64_t)DATA_OFFSET + f->sector_size)
		return kc_fail(err, KC_DEVICE, "use a larger device",
			       "%s has %" PRIu64 " bytes, a volume needs %u for its header and at least one sector of %u",
			       path, size, DATA_OFFSET, f->sector_size);
	if ((size - DATA_OFFSET) % f->sector_size)
		return kc_fail(err, KC_DEVICE, "use a sector size of 512",
			       "%s has %" PRIu64 " bytes, no whole number of sectors of %u", path,
			       size, f->sector_size);
	memcpy(l->uuid, f->uuid, sizeof(l->uuid));
	snprintf(l->cipher, sizeof(l->cipher), "%s", KC_CIPHER);
	l->offset = DATA_OFFSET;
	l->key_bits = KC_DEK_SIZE * 8;
	l->sector_size = f->sector_size;
	return 0;
}

int kc_header_format(struct crypt_device *cd, const struct kc_layout *plan, uint64_t area, uint64_t keyslots,
		     const char *label, const uint8_t *dek)
{
	const struct crypt_pbkdf_type pbkdf = {
		.type = CRYPT_KDF_PBKDF2,
		.hash = "sha256",
		.iterations = ITERATIONS,
		.flags = CRYPT_PBKDF_NO_BENCHMARK,
	};
	struct crypt_params_luks2 params = {
		.pbkdf = &pbkdf,
		.sector_size = plan->sector_size,
		.label = label,
		.subsystem = KC_SUBSYSTEM,
	};
	int r;

	r = crypt_set_metadata_size(cd, area, keyslots);
	if (!r)
		r = crypt_set_data_offset(cd, plan->offset / 512);
	if (!r)
		r = crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", plan->uuid,
				 (const char *)dek, KC_DEK_SIZE, &params);
	/* the keyslot's own, as formatting used it for the digest alone */
	if (!r)
		r = crypt_set_pbkdf_type(cd, &pbkdf);
	return r;
}

int kc_header_add_keyslot(struct crypt_device *cd, int slot, const uint8_t *dek, struct kc_cslog *log,
			  struct kc_error *err)
{
	char *passphrase = kc_secret_alloc(KC_PASSPHRASE_LEN + 1, err);
	int r;

	if (!passphrase)
		return KC_NOMEM;
	r = kc_kdf_passphrase(dek, passphrase, err);
	if (!r) {
		r = crypt_keyslot_add_by_volume_key(cd, slot, (const char *)dek, KC_DEK_SIZE,
						    passphrase, KC_PASSPHRASE_LEN);
		r = r < 0 ? kc_cs_fail(err, r, log, "cannot write the keyslot") : 0;
	}
	kc_secret_free(passphrase, KC_PASSPHRASE_LEN + 1);
	return r;
}

/* What is there now must be what was planned, and pass the rules that attach will apply. */
static int check_written(struct crypt_device *cd, const struct kc_layout *plan, struct kc_error *err)
{
	struct kc_header h;
	char planned[65];
	int r = kc_canon_layout(plan, planned, err);

	if (r)
		return r;
	r = kc_header_load_cd(cd, &h, err);
	if (!r && strcmp(planned, h.layout_hex))
		r = kc_fail(err, KC_DEVICE, "report this as a bug, with the output of lsblk -t",
			    "the header came out with another layout than planned (offset %" PRIu64
			    ", sector size %u)", h.layout.offset, h.layout.sector_size);
	kc_header_free(&h);
	return r;
}

int kc_header_write(const char *path, const struct kc_format *f, const uint8_t dek[static KC_DEK_SIZE],
		    struct kc_error *err)
{
	struct kc_cslog log = { "" };
	struct crypt_device *cd;
	struct kc_layout plan;
	int r = kc_header_plan(path, f, &plan, err);

	if (r)
		return r;
	r = crypt_init(&cd, path);
	if (r < 0)
		return kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the device");
	kc_cslog_attach(cd, &log);
	r = kc_header_format(cd, &plan, METADATA_SIZE, 0, f->label, dek);
	if (r < 0)
		r = kc_cs_fail(err, r, &log, "cannot format the device");
	else
		r = kc_header_add_keyslot(cd, 0, dek, &log, err);
	if (!r)
		r = check_written(cd, &plan, err);
	crypt_free(cd);
	return r;
}

int kc_header_room(const struct kc_header *h, size_t len, size_t old_len, struct kc_error *err)
{
	struct json_object *o = json_tokener_parse(h->json), *config, *size;
	uint64_t area = 0;
	size_t used;

	if (!o)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for the metadata");
	if (json_object_object_get_ex(o, "config", &config) &&
	    json_object_object_get_ex(config, "json_size", &size))
		kc_strict_u64(size, &area);
	/* h->json is pretty, on the disk it is not */
	used = strlen(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	len += TOKEN_OVERHEAD;
	if (used + len <= area && used + 2 * len <= area + old_len)
		return 0;
	return kc_fail(err, KC_USAGE, "remove a recipient first",
		       "the header has no room: %zu of %" PRIu64
		       " bytes are used, the token and one more like it need %zu", used, area, 2 * len);
}

/* The token that was read as @t, or NULL if it is not there any more. */
static const struct kc_token *find_token(const struct kc_header *h, const struct kc_token *t)
{
	unsigned int i;

	for (i = 0; i < h->n_tokens; i++)
		if (h->tokens[i].slot == t->slot && !strcmp(h->tokens[i].mac, t->mac) &&
		    !strcmp(h->tokens[i].binding.key, t->binding.key) &&
		    h->tokens[i].wrapped_len == t->wrapped_len &&
		    !memcmp(h->tokens[i].wrapped, t->wrapped, t->wrapped_len))
			return &h->tokens[i];
	return NULL;
}

static int changed(const struct kc_token *t, struct kc_error *err)
{
	return kc_fail(err, KC_BUSY, "see kcache recipient list, then try again",
		       "token %d is not there any more as it was read: something else changes the header", t->slot);
}

/* What @edit is told, and tells. */
struct edit {
	const char *path;
	const struct kc_token *t;	/* to be written, or NULL */
	const struct kc_token *old;	/* to go, or NULL */
	char *json;			/* of @t */
	bool both;
};

static int check_new(const struct kc_header *h, const struct edit *e, struct kc_error *err)
{
	const struct kc_token *t = e->t;
	struct kc_binding b;

	if (h->n_tokens >= KC_RECIPIENTS_MAX && !e->old)
		return kc_fail(err, KC_USAGE, "remove a recipient first",
			       "the volume has %u recipients already, the most there can be",
			       h->n_tokens);
	if (h->n_tokens &&
	    h->tokens[0].binding.context.generation != t->binding.context.generation)
		return kc_fail(err, KC_USAGE, NULL,
			       "the new token is of generation %" PRIu64 ", the volume of %" PRIu64,
			       t->binding.context.generation,
			       h->tokens[0].binding.context.generation);
	return kc_header_binding(h, t, &b, err);
}

/*
 * The token as a reader will find it: from the device, through the strict rules. NULL in
 * @json: there must be none.
 */
static int read_back(const char *path, int slot, const char *json, struct kc_error *err)
{
	struct kc_header h;
	char *found = NULL;
	unsigned int i;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return kc_fail(err, KC_DEVICE, NULL, "cannot open %s: %s", path, strerror(errno));
	r = kc_header_load(fd, &h, err);
	close(fd);
	for (i = 0; !r && i < h.n_tokens && !found; i++)
		if (h.tokens[i].slot == slot)
			r = kc_token_format(&h.tokens[i], &found, err);
	if (!r && (json ? !found || strcmp(found, json) : found != NULL))
		r = kc_fail(err, KC_DEVICE, "check the device (dmesg)",
			    "token %d does not read back as it was written", slot);
	free(found);
	kc_header_free(&h);
	return r;
}

static int old_length(const struct kc_token *old, size_t *len, struct kc_error *err)
{
	char *json;
	int r = kc_token_format(old, &json, err);

	*len = r ? 0 : strlen(json);
	free(json);
	return r;
}

static int set_token(struct crypt_device *cd, struct edit *e, const struct kc_header *h, struct kc_cslog *log,
		     struct kc_error *err)
{
	int slot = CRYPT_ANY_TOKEN, r;
	size_t old_len = 0;

	r = check_new(h, e, err);
	if (!r && e->old)
		r = old_length(e->old, &old_len, err);
	if (!r)
		r = kc_header_room(h, strlen(e->json), old_len, err);
	if (r)
		return r;
	e->both = e->old && h->n_tokens < KC_RECIPIENTS_MAX;
	if (e->old && !e->both)
		slot = e->old->slot;
	slot = crypt_token_json_set(cd, slot, e->json);
	if (slot < 0)
		return kc_cs_fail(err, slot, log, "cannot write the token");
	return read_back(e->path, slot, e->json, err);
}

static int unset_token(struct crypt_device *cd, const struct edit *e, const struct kc_header *h,
		       struct kc_cslog *log, struct kc_error *err)
{
	int r;

	if (h->n_tokens < 2)
		return kc_fail(err, KC_BUSY, "add another one first, or destroy the volume with kcache create --force",
			       "token %d is the last one: without it nobody opens the volume", e->old->slot);
	r = crypt_token_json_set(cd, e->old->slot, NULL);
	if (r < 0)
		return kc_cs_fail(err, r, log, "cannot remove the token");
	return read_back(e->path, e->old->slot, NULL, err);
}

/*
 * What is checked is what is then written: libcryptsetup refuses to write where somebody
 * else has written since it read the header.
 */
static int change(struct edit *e, struct kc_error *err)
{
	struct kc_cslog log = { "" };
	struct crypt_device *cd;
	struct kc_header h = { 0 };
	int r = crypt_init(&cd, e->path);

	if (r < 0)
		return kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the device");
	kc_cslog_attach(cd, &log);
	r = crypt_load(cd, CRYPT_LUKS2, NULL);
	if (r < 0)
		r = kc_cs_fail(err, r, &log, "cannot load the header");
	else
		r = kc_header_load_cd(cd, &h, err);
	if (!r && e->old && !find_token(&h, e->old))
		r = changed(e->old, err);
	if (!r && e->t)
		r = set_token(cd, e, &h, &log, err);
	else if (!r && e->old)
		r = unset_token(cd, e, &h, &log, err);
	kc_header_free(&h);
	crypt_free(cd);
	return r;
}

static int write_token(struct edit *e, struct kc_error *err)
{
	struct kc_token parsed;
	int r = kc_token_format(e->t, &e->json, err);

	if (r)
		return r;
	/* a token that no reader would accept is not written */
	r = kc_token_parse(e->json, -1, &parsed, err);
	if (!r)
		r = change(e, err);
	free(e->json);
	return r;
}

int kc_header_add_token(const char *path, const struct kc_token *t, struct kc_error *err)
{
	struct edit e = { .path = path, .t = t };

	return write_token(&e, err);
}

int kc_header_replace_token(const char *path, const struct kc_token *t, const struct kc_token *old, bool *both,
			    struct kc_error *err)
{
	struct edit e = { .path = path, .t = t, .old = old };
	int r = write_token(&e, err);

	*both = !r && e.both;
	return r;
}

int kc_header_remove_token(const char *path, const struct kc_token *old, struct kc_error *err)
{
	struct edit e = { .path = path, .old = old };

	return change(&e, err);
}

int kc_header_repair(const char *path, const struct kc_header *h, struct kc_error *err)
{
	struct kc_header now = { .copy_fd = -1 };
	struct kc_cslog log = { "" };
	struct crypt_device *cd;
	int fd, r = crypt_init(&cd, path);

	if (r < 0)
		return kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the device");
	kc_cslog_attach(cd, &log);
	r = crypt_load(cd, CRYPT_LUKS2, NULL);
	crypt_free(cd);
	if (r < 0)
		return kc_cs_fail(err, r, &log, "cannot load the header");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kc_fail(err, KC_DEVICE, NULL, "cannot open %s: %s", path, strerror(errno));
	r = kc_header_load(fd, &now, err);
	close(fd);
	if (!r && now.damaged_copy)
		r = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			    "the %s copy of the header is damaged still", now.damaged_copy == 1 ? "first" : "second");
	if (!r && strcmp(now.json, h->json) != 0)
		r = kc_fail(err, KC_BUSY, "see kcache dump, then try again", "something else changes the header");
	kc_header_free(&now);
	return r;
}
