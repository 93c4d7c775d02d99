/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What header.c, header-rules.c and header-write.c share, and nobody else. */
#ifndef KC_HEADER_PRIVATE_H
#define KC_HEADER_PRIVATE_H

#include <libcryptsetup.h>

#include "header.h"

#define KC_SUBSYSTEM "kcache"
#define KC_CIPHER "aes-xts-plain64"

/** struct kc_cslog - the last error libcryptsetup told, one line, printable */
struct kc_cslog {
	char text[256];
};

/** kc_cslog_attach() - nothing that @cd has to say is printed; @log may be NULL to drop it */
void kc_cslog_attach(struct crypt_device *cd, struct kc_cslog *log);

/**
 * kc_cs_fail() - record what libcryptsetup failed in
 * @r: its negative errno
 * @what: "cannot format the device"
 */
int kc_cs_fail(struct kc_error *err, int r, const struct kc_cslog *log, const char *what);

/**
 * kc_header_format() - a header of ours with keyslot 0 in @cd, no token
 * @plan: its UUID, offset and sector size
 * @area, @keyslots: bytes of one copy of the metadata and of the keyslots area, 0 for the rest before the data
 * @label: or NULL
 */
int kc_header_format(struct crypt_device *cd, const struct kc_layout *plan, uint64_t area, uint64_t keyslots,
		     const char *label, const uint8_t *dek);

/** kc_header_add_keyslot() - keyslot @slot, with the passphrase that is derived from @dek */
int kc_header_add_keyslot(struct crypt_device *cd, int slot, const uint8_t *dek, struct kc_cslog *log,
			  struct kc_error *err);

/** kc_device_size() - bytes of a block device or file */
int kc_device_size(int fd, uint64_t *size, struct kc_error *err);

/**
 * kc_header_room() - is there room for @len bytes of token, now, and once more when @old_len
 * bytes of another have gone?
 */
int kc_header_room(const struct kc_header *h, size_t len, size_t old_len, struct kc_error *err);

/**
 * kc_header_rules() - check the LUKS2 metadata, fill layout, flags and tokens
 * @h: @cd and @json are set
 * @size: of the device in bytes, 0 if unknown
 */
int kc_header_rules(struct kc_header *h, uint64_t size, struct kc_error *err);

#endif
