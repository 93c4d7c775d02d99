// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a volume's header, and checking a DEK against it.
 *
 * libcryptsetup repairs a damaged header copy as soon as it reads one. So it is
 * never shown the device: it gets a copy in memory, sparse and of the same
 * size, and what it changed there says which copy on the disk is damaged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <linux/fs.h>
#include <openssl/crypto.h>

#include "area.h"
#include "header-private.h"
#include "kdf.h"
#include "strict.h"

/*
 * Two copies of the metadata area, 128 KiB each as create makes them. A header with
 * larger ones is not of our making; libcryptsetup does not load it from so little.
 */
#define COPY_MAX (256U << 10)

#define NEXT_BACKUP "put it back with kcache header restore, from a backup of it"

static void cslog(int level, const char *msg, void *data)
{
	struct kc_cslog *log = data;
	size_t i;

	if (!log || level != CRYPT_LOG_ERROR)
		return;
	for (i = 0; i < sizeof(log->text) - 1 && msg[i] && msg[i] != '\n'; i++)
		log->text[i] = msg[i] >= ' ' && msg[i] <= '~' ? msg[i] : '?';
	log->text[i] = '\0';
}

void kc_cslog_attach(struct crypt_device *cd, struct kc_cslog *log)
{
	crypt_set_log_callback(cd, cslog, log);
}

int kc_cs_fail(struct kc_error *err, int r, const struct kc_cslog *log, const char *what)
{
	enum kc_exit code = r == -ENOMEM ? KC_NOMEM :
			    r == -EBUSY ? KC_BUSY :
			    r == -EACCES || r == -EPERM || r == -EROFS ? KC_PERM : KC_DEVICE;
	const char *why = log && log->text[0] ? log->text : strerror(-r);

	return kc_fail(err, code, r == -EBUSY ? "see who holds it with lsblk and fuser" : NULL,
		       "%s: %s", what, why);
}

int kc_device_size(int fd, uint64_t *size, struct kc_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return kc_fail(err, KC_DEVICE, NULL, "cannot examine the device: %s",
			       strerror(errno));
	if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return kc_fail(err, KC_DEVICE, NULL, "this is neither a block device nor a file");
	if (ioctl(fd, BLKGETSIZE64, size))
		return kc_fail(err, KC_DEVICE, NULL, "cannot get the size of the device: %s",
			       strerror(errno));
	return 0;
}

/* Exactly @len bytes from the start of @fd. */
static int read_start(int fd, uint8_t *buf, size_t len, struct kc_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kc_fail(err, KC_DEVICE, "check the device and its cabling (dmesg)",
				       "cannot read byte %zu of the device: %s", done,
				       n ? strerror(errno) : "it ends there");
		done += (size_t)n;
	}
	return 0;
}

static int write_start(int fd, const uint8_t *buf, size_t len, struct kc_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, buf + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kc_fail(err, KC_NOMEM, NULL,
				       "cannot copy the header to memory: %s", strerror(errno));
		done += (size_t)n;
	}
	return 0;
}

bool kc_header_identity(int fd, char uuid[static KC_UUID_LEN + 1], bool *ours)
{
	char luks_only[] = "crypto_LUKS";
	char *filter[] = { luks_only, NULL };
	blkid_probe pr = blkid_new_probe();
	const char *value;
	bool luks = false;

	uuid[0] = '\0';
	*ours = false;
	if (pr && !blkid_probe_set_device(pr, fd, 0, 0)) {
		blkid_probe_enable_superblocks(pr, 1);
		/* the subsystem counts as a label */
		blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL);
		blkid_probe_filter_superblocks_type(pr, BLKID_FLTR_ONLYIN, filter);
		luks = !blkid_do_probe(pr);
		if (luks && !blkid_probe_lookup_value(pr, "SUBSYSTEM", &value, NULL))
			*ours = !strcmp(value, KC_SUBSYSTEM);
		if (luks && !blkid_probe_lookup_value(pr, "UUID", &value, NULL) && kc_uuid_valid(value))
			memcpy(uuid, value, KC_UUID_LEN + 1);
	}
	blkid_free_probe(pr);
	return luks;
}

/* libcryptsetup would not load it: is it a header of ours all the same? */
static int not_loaded(int fd, const struct kc_cslog *log, struct kc_error *err)
{
	char uuid[KC_UUID_LEN + 1];
	bool ours, luks = kc_header_identity(fd, uuid, &ours);

	if (ours)
		return kc_fail(err, KC_TAMPERED, NEXT_BACKUP,
			       "libcryptsetup refuses the LUKS2 header%s%s", log->text[0] ? ": " : "",
			       log->text);
	if (luks)
		return kc_fail(err, KC_DEVICE, "use cryptsetup for it",
			       "this is a LUKS volume, but not a kcache volume");
	return kc_fail(err, KC_DEVICE, "name a device that kcache create has made",
		       "there is no LUKS2 header%s%s", log->text[0] ? ": " : "", log->text);
}

/* Metadata that kcache never writes: of a volume of ours somebody has edited them. */
static int too_large(const struct kc_header *h, struct kc_error *err)
{
	const char *subsystem = crypt_get_subsystem(h->cd);

	if (subsystem && !strcmp(subsystem, KC_SUBSYSTEM))
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "LUKS2 header: the metadata areas do not fit into the device");
	return kc_fail(err, KC_DEVICE, "use cryptsetup for it", "this is a LUKS2 volume, but not a kcache volume");
}

/* Which copy did libcryptsetup have to repair in memory? */
static int find_damage(struct kc_header *h, const uint8_t *before, size_t len, struct kc_error *err)
{
	uint8_t *after = malloc(len);
	int r = after ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");

	if (!r)
		r = read_start(h->copy_fd, after, len, err);
	if (!r && (crypt_get_metadata_size(h->cd, &h->area, &h->keyslots) || h->area > len / 2))
		r = too_large(h, err);
	if (!r && memcmp(before, after, h->area))
		h->damaged_copy = 1;
	else if (!r && memcmp(before + h->area, after + h->area, h->area))
		h->damaged_copy = 2;
	free(after);
	return r;
}

static int load_copy(struct kc_header *h, const uint8_t *bytes, size_t len, uint64_t size,
		     struct kc_error *err)
{
	struct kc_cslog log = { "" };
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->copy_fd);
	r = crypt_init(&h->cd, path);
	if (r < 0)
		return kc_cs_fail(err, r, NULL, "libcryptsetup cannot open the copy of the header");
	kc_cslog_attach(h->cd, &log);
	r = crypt_load(h->cd, CRYPT_LUKS2, NULL);
	kc_cslog_attach(h->cd, NULL);
	if (r == -ENOMEM)
		return kc_cs_fail(err, r, &log, "cannot load the header");
	if (r < 0)
		return not_loaded(h->copy_fd, &log, err);
	r = find_damage(h, bytes, len, err);
	if (r)
		return r;
	if (crypt_dump_json(h->cd, &h->json, 0))
		return kc_fail(err, KC_NOMEM, NULL, "libcryptsetup cannot give out the metadata");
	return kc_header_rules(h, size, err);
}

static int load(int fd, struct kc_header *h, bool with_op, struct kc_error *err)
{
	uint8_t *bytes = NULL;
	uint64_t size;
	size_t len;
	int r;

	memset(h, 0, sizeof(*h));
	h->copy_fd = -1;
	h->own_cd = true;
	h->with_op = with_op;
	r = kc_device_size(fd, &size, err);
	if (r)
		return r;
	if (!size)
		return kc_fail(err, KC_DEVICE, NULL, "the device is empty, there is no LUKS2 header");
	len = size < COPY_MAX ? (size_t)size : COPY_MAX;
	bytes = malloc(len);
	if (!bytes)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");
	r = read_start(fd, bytes, len, err);
	if (!r) {
		h->copy_fd = kc_memfd("kcache-header", size, err);
		r = h->copy_fd < 0 ? KC_NOMEM : write_start(h->copy_fd, bytes, len, err);
	}
	if (!r)
		r = load_copy(h, bytes, len, size, err);
	free(bytes);
	return r;
}

int kc_header_load_bytes(const uint8_t *bytes, size_t len, uint64_t size, struct kc_header *h, struct kc_error *err)
{
	int fd, r;

	memset(h, 0, sizeof(*h));
	h->copy_fd = -1;
	fd = kc_memfd("kcache-area", size, err);
	if (fd < 0)
		return KC_NOMEM;
	r = write_start(fd, bytes, len < size ? len : (size_t)size, err);
	if (!r)
		r = kc_header_load(fd, h, err);
	close(fd);
	return r;
}

int kc_header_copy_area(const struct kc_header *h, int fd, uint8_t **bytes, size_t *len, struct kc_error *err)
{
	size_t metadata = 2 * h->area, good = h->damaged_copy == 1 ? h->area : 0;
	uint8_t *repaired = malloc(metadata);
	int r;

	*len = metadata + h->keyslots;
	*bytes = malloc(*len);
	r = repaired && *bytes ? 0 : kc_fail(err, KC_NOMEM, NULL, "out of memory for a header");
	/* in this order: metadata that are then still those of @h are those of the keyslots */
	if (!r)
		r = kc_area_read(fd, metadata, *bytes + metadata, *len - metadata, err);
	if (!r)
		r = read_start(fd, *bytes, metadata, err);
	if (!r)
		r = read_start(h->copy_fd, repaired, metadata, err);
	if (!r && memcmp(*bytes + good, repaired + good, h->damaged_copy ? h->area : metadata) != 0)
		r = kc_fail(err, KC_BUSY, "try again", "something else changes the header");
	if (!r)
		memcpy(*bytes, repaired, metadata);
	free(repaired);
	if (r) {
		free(*bytes);
		*bytes = NULL;
	}
	return r;
}

int kc_header_load(int fd, struct kc_header *h, struct kc_error *err)
{
	return load(fd, h, false, err);
}

int kc_header_load_op(int fd, struct kc_header *h, struct kc_error *err)
{
	return load(fd, h, true, err);
}

int kc_header_load_cd(struct crypt_device *cd, struct kc_header *h, struct kc_error *err)
{
	const char *type = crypt_get_type(cd);

	memset(h, 0, sizeof(*h));
	h->copy_fd = -1;
	h->cd = cd;
	if (!type || strcmp(type, CRYPT_LUKS2))
		return kc_fail(err, KC_DEVICE, NULL, "this is not a LUKS2 volume");
	if (crypt_dump_json(cd, &h->json, 0))
		return kc_fail(err, KC_NOMEM, NULL, "libcryptsetup cannot give out the metadata");
	return kc_header_rules(h, 0, err);
}

void kc_header_free(struct kc_header *h)
{
	if (h->own_cd) {
		crypt_free(h->cd);
		if (h->copy_fd >= 0)
			close(h->copy_fd);
	}
	free(h->tokens);
	free(h->op);
	memset(h, 0, sizeof(*h));
}

int kc_header_binding(const struct kc_header *h, const struct kc_token *t, struct kc_binding *b,
		      struct kc_error *err)
{
	*b = t->binding;
	memcpy(b->context.id, h->layout.uuid, sizeof(b->context.id));
	memcpy(b->context.layout, h->layout_hex, sizeof(b->context.layout));
	if (strcmp(t->binding.context.id, b->context.id))
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "token %d: \"kcache:id\" is \"%s\", but this is volume %s", t->slot,
			       t->binding.context.id, b->context.id);
	if (strcmp(t->binding.context.layout, b->context.layout))
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "token %d: \"kcache:layout\" is \"%s\", but the header (%s, offset %"
			       PRIu64 ", sector size %u, iv_tweak %" PRIu64 ") makes it %s",
			       t->slot, t->binding.context.layout, h->layout.cipher,
			       h->layout.offset, h->layout.sector_size, h->layout.iv_tweak,
			       b->context.layout);
	return 0;
}

static int token_mac(const struct kc_token *t, const char *flags, const char *layout_hex,
		     const uint8_t *dek, char mac[static 65], struct kc_error *err)
{
	struct kc_bytes canon;
	int r = kc_canon_token(t, flags, layout_hex, &canon, err);

	if (r)
		return r;
	r = kc_kdf_mac(dek, &canon, mac, err);
	kc_bytes_free(&canon);
	return r;
}

static int check_halves(const uint8_t *dek, struct kc_error *err)
{
	if (CRYPTO_memcmp(dek, dek + KC_DEK_SIZE / 2, KC_DEK_SIZE / 2))
		return 0;
	return kc_fail(err, KC_TAMPERED, "do not use this volume: its key is not a random one",
		       "the two halves of the data key are equal, which AES-XTS must not have");
}

int kc_header_verify_dek(const struct kc_header *h, const struct kc_token *t,
			 const uint8_t dek[static KC_DEK_SIZE], struct kc_error *err)
{
	struct kc_binding b;
	char mac[65], lineage[33];
	int r = check_halves(dek, err);

	if (!r)
		r = kc_header_binding(h, t, &b, err);
	if (r)
		return r;
	r = crypt_volume_key_verify(h->cd, (const char *)dek, KC_DEK_SIZE);
	if (r == -ENOMEM)
		return kc_cs_fail(err, r, NULL, "cannot check the data key");
	if (r < 0)
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "token %d holds a data key that the LUKS2 digest does not know",
			       t->slot);
	r = token_mac(t, h->flags, h->layout_hex, dek, mac, err);
	if (r)
		return r;
	if (CRYPTO_memcmp(mac, t->mac, sizeof(mac)))
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "token %d: its mac does not hold: a member of it or the header's flags (%s) were edited",
			       t->slot, h->flags[0] ? h->flags : "none");
	r = kc_kdf_lineage(dek, lineage, err);
	if (r)
		return r;
	if (CRYPTO_memcmp(lineage, t->lineage, sizeof(lineage)))
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "token %d: \"lineage\" is \"%s\", not that of its data key", t->slot,
			       t->lineage);
	return 0;
}

int kc_header_seal_token(struct kc_token *t, const struct kc_layout *l, const char *flags,
			 const uint8_t dek[static KC_DEK_SIZE], struct kc_error *err)
{
	char layout_hex[65];
	int r = check_halves(dek, err);

	if (!r)
		r = kc_canon_layout(l, layout_hex, err);
	if (r)
		return r;
	if (strcmp(t->binding.context.id, l->uuid) ||
	    strcmp(t->binding.context.layout, layout_hex))
		return kc_fail(err, KC_TAMPERED, NULL,
			       "a token of volume %s was to be sealed for volume %s",
			       t->binding.context.id, l->uuid);
	r = kc_kdf_lineage(dek, t->lineage, err);
	return r ? r : token_mac(t, flags, layout_hex, dek, t->mac, err);
}
