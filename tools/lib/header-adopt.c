// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A LUKS2 header of somebody else's: may the volume become ours in place, what is its key, and the
 * header that takes its place.
 *
 * That one is made by libcryptsetup in memory, as create makes one on a device, with the geometry
 * of the old one: the two copies of its metadata then lie where the old ones lie, and can take their
 * place one after the other. Nothing here writes to the device.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "area.h"
#include "header-private.h"
#include "strict.h"

/* two copies of the largest metadata that LUKS2 has */
#define METADATA_MAX (8U << 20)
/* larger copies kc_header_load() does not read */
#define AREA_MAX (128U << 10)
#define SLOTS_MAX 32

/* @value is from the disk: what a terminal would not show as it is does not get there. */
static int refuse(struct kc_error *err, const char *next, const char *what, const char *value)
{
	char shown[80], *p;

	snprintf(shown, sizeof(shown), "%s", value ? value : "");
	for (p = shown; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return kc_fail(err, KC_DEVICE, next, "it cannot be adopted: %s%s%s", what, shown[0] ? " " : "", shown);
}

/* From @from to @to, @len bytes at @at. */
static int copy_bytes(int from, int to, uint64_t at, uint64_t len, struct kc_error *err)
{
	uint8_t *buf = len ? malloc(len) : NULL;
	uint64_t done = 0;
	int r;

	if (!len)
		return 0;
	if (!buf)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");
	r = kc_area_read(from, at, buf, len, err);
	while (!r && done < len) {
		ssize_t n = pwrite(to, buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			r = kc_fail(err, KC_NOMEM, NULL, "cannot copy the header to memory: %s", strerror(errno));
		else
			done += (uint64_t)n;
	}
	free(buf);
	return r;
}

/* Did libcryptsetup have to repair the one or the other? */
static int find_damage(struct kc_foreign *f, int fd, struct kc_error *err)
{
	uint8_t *before = malloc(4 * f->area), *after;
	int r;

	if (!before)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");
	after = before + 2 * f->area;
	r = kc_area_read(fd, 0, before, 2 * f->area, err);
	if (!r)
		r = kc_area_read(f->copy_fd, 0, after, 2 * f->area, err);
	if (!r && memcmp(before, after, f->area))
		f->damaged_copy = 1;
	else if (!r && memcmp(before + f->area, after + f->area, f->area))
		f->damaged_copy = 2;
	free(before);
	return r;
}

static int load_copy(struct kc_foreign *f, int fd, uint64_t size, struct kc_error *err)
{
	uint64_t start = size < METADATA_MAX ? size : METADATA_MAX, end;
	struct kc_cslog log = { "" };
	char path[32], uuid[KC_UUID_LEN + 1];
	const char *type;
	bool ours;
	int r;

	f->copy_fd = kc_memfd("kcache-foreign", size, err);
	if (f->copy_fd < 0)
		return KC_NOMEM;
	r = copy_bytes(fd, f->copy_fd, 0, start, err);
	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->copy_fd);
	r = crypt_init(&f->cd, path);
	if (r < 0)
		return kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the copy of the header");
	kc_cslog_attach(f->cd, &log);
	r = crypt_load(f->cd, CRYPT_LUKS, NULL);
	kc_cslog_attach(f->cd, NULL);
	if (r == -ENOMEM)
		return kc_cs_fail(err, r, &log, "cannot load the header");
	if (r < 0 && kc_header_identity(fd, uuid, &ours))
		return refuse(err, "look at it with cryptsetup luksDump --debug", "libcryptsetup refuses its header:", log.text);
	if (r < 0)
		return kc_fail(err, KC_DEVICE, "name a LUKS2 volume, or make a new one with kcache create",
			       "there is no LUKS2 header%s%s", log.text[0] ? ": " : "", log.text);
	type = crypt_get_type(f->cd);
	if (!type || strcmp(type, CRYPT_LUKS2))
		return refuse(err, "convert it with cryptsetup convert --type luks2, then adopt it", "it is", "LUKS1, not LUKS2");
	if (crypt_get_metadata_size(f->cd, &f->area, &f->keyslots))
		return kc_fail(err, KC_DEVICE, NULL, "libcryptsetup does not say where the metadata are");
	end = 2 * f->area + f->keyslots;
	if (end > size)
		return refuse(err, NULL, "its header does not fit the device", NULL);
	r = find_damage(f, fd, err);
	if (!r && end > start)
		r = copy_bytes(fd, f->copy_fd, start, end - start, err);
	return r;
}

static struct json_object *metadata(struct crypt_device *cd)
{
	const char *json;

	return crypt_dump_json(cd, &json, 0) ? NULL : json_tokener_parse(json);
}

static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, name, &v);
	return v;
}

static int members(struct json_object *o)
{
	return o && json_object_is_type(o, json_type_object) ? json_object_object_length(o) : 0;
}

/* As header-rules.c has it, told to somebody who has a volume and no mistake in it. */
static int check_segment(struct kc_foreign *f, struct json_object *o, struct kc_error *err)
{
	static const char *const known[] = { "type", "offset", "size", "iv_tweak", "encryption", "sector_size" };
	struct json_object *segments = member(o, "segments"), *s = member(segments, "0");
	const char *cipher;
	size_t i;
	int64_t n;

	if (members(segments) != 1 || !s)
		return refuse(err, "finish or undo with cryptsetup what has split it", "its data has several segments", NULL);
	json_object_object_foreach(s, name, v) {
		(void)v;
		for (i = 0; i < KC_COUNT(known) && strcmp(name, known[i]); i++)
			;
		if (i == KC_COUNT(known))
			return refuse(err, "copy its data to a volume of kcache create", "its segment has", name);
	}
	if (!kc_strict_is(member(s, "type"), "crypt"))
		return refuse(err, NULL, "its segment is of another type than crypt", NULL);
	cipher = kc_strict_text(member(s, "encryption"));
	if (!cipher || strcmp(cipher, KC_CIPHER))
		return refuse(err, "reencrypt it: cryptsetup reencrypt --cipher aes-xts-plain64 --key-size 512; then adopt it",
			      "kcache has aes-xts-plain64, its cipher is", cipher);
	if (crypt_get_volume_key_size(f->cd) != KC_DEK_SIZE)
		return refuse(err, "reencrypt it: cryptsetup reencrypt --cipher aes-xts-plain64 --key-size 512; then adopt it",
			      "kcache has AES-256, its key is of 256 bits, for AES-128", NULL);
	if (!kc_strict_is(member(s, "size"), "dynamic"))
		return refuse(err, "copy its data to a volume of kcache create", "its data has a fixed size", NULL);
	if (!kc_strict_is(member(s, "iv_tweak"), "0"))
		return refuse(err, "copy its data to a volume of kcache create", "its IVs do not start at 0", NULL);
	if (!kc_strict_int(member(s, "sector_size"), 512, 4096, &n) || !kc_strict_u64(member(s, "offset"), &f->layout.offset) ||
	    !f->layout.offset || f->layout.offset % 4096)
		return refuse(err, "copy its data to a volume of kcache create", "its data starts at no multiple of 4096 bytes", NULL);
	f->layout.sector_size = (unsigned int)n;
	return 0;
}

static int check_config(struct json_object *o, struct kc_error *err)
{
	struct json_object *list = member(member(member(o, "config"), "requirements"), "mandatory");

	if (!list || !json_object_array_length(list))
		return 0;
	return refuse(err, "finish it with cryptsetup reencrypt --resume-only", "it needs what kcache has not:",
		      json_object_to_json_string(list));
}

static void list_tokens(struct kc_foreign *f, struct json_object *tokens)
{
	size_t used = 0;

	f->n_tokens = (unsigned int)members(tokens);
	if (!f->n_tokens)
		return;
	json_object_object_foreach(tokens, slot, v) {
		const char *type = kc_strict_text(member(v, "type"));

		(void)slot;
		if (type && kc_matches("^[A-Za-z0-9_-]{1,40}$", type) && used < sizeof(f->tokens))
			used += (size_t)snprintf(f->tokens + used, sizeof(f->tokens) - used, "%s%s", used ? ", " : "", type);
	}
}

static int check(struct kc_foreign *f, struct json_object *o, struct kc_error *err)
{
	const char *uuid = crypt_get_uuid(f->cd), *label = crypt_get_label(f->cd);
	char value[32];
	int r;

	r = check_config(o, err);
	if (!r)
		r = check_segment(f, o, err);
	if (r)
		return r;
	if (!uuid || !kc_uuid_valid(uuid))
		return refuse(err, "give it one with cryptsetup luksUUID --uuid", "its UUID is none in lower case:", uuid);
	snprintf(value, sizeof(value), "%" PRIu64 " KiB", f->area >> 10);
	if (f->area > AREA_MAX)
		return refuse(err, "copy its data to a volume of kcache create", "kcache reads metadata of at most 128 KiB, its has",
			      value);
	memcpy(f->layout.uuid, uuid, sizeof(f->layout.uuid));
	snprintf(f->layout.cipher, sizeof(f->layout.cipher), "%s", KC_CIPHER);
	f->layout.key_bits = KC_DEK_SIZE * 8;
	snprintf(f->label, sizeof(f->label), "%s", label ? label : "");
	f->n_keyslots = (unsigned int)members(member(o, "keyslots"));
	list_tokens(f, member(o, "tokens"));
	return 0;
}

int kc_foreign_load(int fd, struct kc_foreign *f, struct kc_error *err)
{
	struct json_object *o;
	uint64_t size;
	int r;

	memset(f, 0, sizeof(*f));
	f->copy_fd = -1;
	r = kc_device_size(fd, &size, err);
	if (!r && !size)
		r = kc_fail(err, KC_DEVICE, NULL, "the device is empty, there is no LUKS2 header");
	if (!r)
		r = load_copy(f, fd, size, err);
	if (r)
		return r;
	o = metadata(f->cd);
	if (!o)
		return kc_fail(err, KC_NOMEM, NULL, "libcryptsetup cannot give out the metadata");
	r = check(f, o, err);
	json_object_put(o);
	return r;
}

void kc_foreign_free(struct kc_foreign *f)
{
	crypt_free(f->cd);
	if (f->copy_fd >= 0)
		close(f->copy_fd);
	f->cd = NULL;
	f->copy_fd = -1;
}

int kc_foreign_key(const struct kc_foreign *f, const char *passphrase, size_t len, uint8_t dek[static KC_DEK_SIZE],
		   struct kc_error *err)
{
	struct kc_cslog log = { "" };
	size_t size = KC_DEK_SIZE;
	int r;

	kc_cslog_attach(f->cd, &log);
	r = crypt_volume_key_get(f->cd, CRYPT_ANY_SLOT, (char *)dek, &size, passphrase, len);
	kc_cslog_attach(f->cd, NULL);
	if (r == -EPERM || r == -ENOENT)
		return kc_fail(err, KC_PERM, "type the passphrase of a keyslot, or name its key file with --key-file",
			       "no keyslot opens with that");
	if (r < 0)
		return kc_cs_fail(err, r, &log, "cannot open a keyslot");
	if (size != KC_DEK_SIZE)
		return refuse(err, NULL, "the keyslot holds a key of another size than the volume's", NULL);
	if (!CRYPTO_memcmp(dek, dek + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2))
		return refuse(err, "reencrypt it: cryptsetup reencrypt --key-size 512; then adopt it",
			      "the two halves of its key are equal, which AES-XTS must not have", NULL);
	return 0;
}

/* Where keyslot @slot lies. */
static bool keyslot_place(struct json_object *o, const char *slot, uint64_t *at, uint64_t *len)
{
	struct json_object *area = member(member(member(o, "keyslots"), slot), "area");

	return kc_strict_u64(member(area, "offset"), at) && kc_strict_u64(member(area, "size"), len);
}

/* Has the old header nothing where keyslot @slot of the new one lies? */
static int is_free(const struct kc_foreign *f, struct crypt_device *cd, int slot, bool *free_place, struct kc_error *err)
{
	struct json_object *old = metadata(f->cd), *new = metadata(cd), *slots;
	uint64_t at = 0, len = 0, other, other_len;
	char name[8];

	snprintf(name, sizeof(name), "%d", slot);
	*free_place = old && new && keyslot_place(new, name, &at, &len);
	slots = member(old, "keyslots");
	if (*free_place && members(slots)) {
		json_object_object_foreach(slots, n, v) {
			(void)v;
			if (!keyslot_place(old, n, &other, &other_len) || (at < other + other_len && other < at + len))
				*free_place = false;
		}
	}
	json_object_put(old);
	json_object_put(new);
	return old && new ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for the metadata");
}

/*
 * Keyslot 0 where the old header has none. libcryptsetup takes the first place that is free: the
 * ones before it are held by keyslots that go again.
 */
static int place_keyslot(const struct kc_foreign *f, struct crypt_device *cd, const uint8_t *dek, struct kc_cslog *log,
			 struct kc_error *err)
{
	bool found = false;
	int slot, last = 0, r = 0;

	for (slot = 1; !r && !found && slot < SLOTS_MAX; slot++) {
		struct kc_error full = { 0 };

		if (kc_header_add_keyslot(cd, slot, dek, log, &full))
			break;
		last = slot;
		r = is_free(f, cd, slot, &found, err);
	}
	if (!r && found && crypt_keyslot_destroy(cd, last) >= 0)
		r = kc_header_add_keyslot(cd, 0, dek, log, err);
	if (!r && found)
		r = is_free(f, cd, 0, &found, err);
	for (slot = 1; !r && slot < last; slot++)
		if (crypt_keyslot_destroy(cd, slot) < 0)
			r = kc_fail(err, KC_DEVICE, NULL, "libcryptsetup cannot make the new header: %s", log->text);
	if (!r && !found)
		r = refuse(err, "remove one of them with cryptsetup luksKillSlot", "its keyslots leave no room for one more", NULL);
	return r;
}

static int check_image(int fd, const struct kc_layout *plan, struct kc_error *err)
{
	struct kc_header h;
	char planned[65];
	int r = kc_canon_layout(plan, planned, err);

	if (r)
		return r;
	r = kc_header_load(fd, &h, err);
	if (!r && strcmp(planned, h.layout_hex))
		r = kc_fail(err, KC_DEVICE, "report this as a bug, with the output of cryptsetup luksDump",
			    "the new header came out with another layout than the old one");
	kc_header_free(&h);
	return r;
}

int kc_foreign_image(const struct kc_foreign *f, uint64_t size, const uint8_t dek[static KC_DEK_SIZE], int *fd,
		     struct kc_error *err)
{
	struct crypt_device *cd = NULL;
	struct kc_cslog log = { "" };
	uint32_t flags = 0;
	char path[32];
	int r;

	*fd = kc_memfd("kcache-image", size, err);
	if (*fd < 0)
		return KC_NOMEM;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	r = crypt_init(&cd, path);
	if (r < 0) {
		r = kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the new header");
	} else {
		kc_cslog_attach(cd, &log);
		r = kc_header_format(cd, &f->layout, f->area, f->keyslots, f->label[0] ? f->label : NULL, dek);
		if (r >= 0)
			r = crypt_persistent_flags_get(f->cd, CRYPT_FLAGS_ACTIVATION, &flags);
		if (r >= 0 && flags)
			r = crypt_persistent_flags_set(cd, CRYPT_FLAGS_ACTIVATION, flags);
		r = r < 0 ? kc_cs_fail(err, r, &log, "cannot make the new header") :
			    place_keyslot(f, cd, dek, &log, err);
	}
	crypt_free(cd);
	if (!r)
		r = check_image(*fd, &f->layout, err);
	if (r) {
		close(*fd);
		*fd = -1;
	}
	return r;
}

bool kc_header_keyslot(const struct kc_header *h, uint64_t *at, uint64_t *len)
{
	struct json_object *o = metadata(h->cd);
	bool found = keyslot_place(o, "0", at, len);

	json_object_put(o);
	return found;
}
