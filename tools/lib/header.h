/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The LUKS2 header of a volume, through libcryptsetup only.
 *
 * Reading never writes: libcryptsetup repairs a damaged copy when it loads one,
 * so it is given a copy of the header area in memory, which is compared
 * afterwards with what the disk holds.
 */
#ifndef KC_HEADER_H
#define KC_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "canon.h"
#include "secret.h"
#include "token.h"

struct crypt_device;
struct kc_op;

/**
 * struct kc_header - a header that passed the strict rules
 * @layout: what was parsed; the dm table is built from this and nothing else
 * @layout_hex: its hash
 * @flags: config flags, sorted, joined by commas
 * @unfinished: subsystem "kcache" and no token: a create that did not finish
 * @damaged_copy: 0, or 1 (primary) or 2 (secondary) header copy damaged on the disk
 * @area: bytes of one copy of the metadata; only with @own_cd
 * @keyslots: bytes of the keyslots area, which follows the two copies; only with @own_cd
 * @tokens: the kcache tokens, by token number
 * @n_tokens: how many
 * @op: an operation that did not finish; only of kc_header_load_op()
 * @cd: libcryptsetup's context on the copy in memory, which has the metadata but
 *	not the keyslots area
 * @json: the whole LUKS2 metadata, for dump; owned by @cd
 * @copy_fd: that copy; only with @own_cd
 * @own_cd: kc_header_free() frees @cd
 * @with_op: an operation that did not finish is no error
 */
struct kc_header {
	struct kc_layout layout;
	char layout_hex[65];
	char flags[256];
	bool unfinished;
	int damaged_copy;
	uint64_t area;
	uint64_t keyslots;
	struct kc_token *tokens;
	unsigned int n_tokens;
	struct kc_op *op;
	struct crypt_device *cd;
	const char *json;
	int copy_fd;
	bool own_cd;
	bool with_op;
};

/**
 * kc_header_load() - read and check the header of a device or file
 * @fd: open for reading; not written, not closed; its size bounds the volume
 * @h: filled; kc_header_free() it also after an error
 *
 * Return: 0; KC_DEVICE if there is no LUKS2 header, or no kcache token and not
 * subsystem kcache; KC_TAMPERED if the header or a token breaks a rule (no KMS
 * may be asked then); KC_BUSY for an operation that did not finish (token kcache-op); an unfinished create is 0 with @h->unfinished.
 */
int kc_header_load(int fd, struct kc_header *h, struct kc_error *err);

/**
 * kc_header_load_bytes() - as kc_header_load(), of a header area that is in memory
 * @bytes, @len: what the device starts with, or would start with
 * @size: bytes of the device
 */
int kc_header_load_bytes(const uint8_t *bytes, size_t len, uint64_t size, struct kc_header *h, struct kc_error *err);

/**
 * kc_header_copy_area() - the header area of @h as it should be: a damaged copy of the metadata repaired
 * @fd: what @h was loaded from
 * @bytes: receives it, the caller frees
 * @len: both copies and the keyslots area
 *
 * KC_BUSY where the metadata on @fd are not what @h has any more: something else changes them.
 */
int kc_header_copy_area(const struct kc_header *h, int fd, uint8_t **bytes, size_t *len, struct kc_error *err);

/**
 * kc_header_load_op() - as kc_header_load(), also of a volume with an operation that did not finish
 *
 * @h->op is NULL where there is none. For who goes on with it, and for who only looks.
 */
int kc_header_load_op(int fd, struct kc_header *h, struct kc_error *err);

/**
 * kc_header_identity() - what a LUKS header says of itself, as far as it can be read at all
 * @fd: a device or file with a header that kc_header_load() may have refused
 * @uuid: receives its UUID, "" if there is none
 * @ours: whether its subsystem is kcache
 *
 * Return: whether there is a LUKS header, or one copy of one.
 */
bool kc_header_identity(int fd, char uuid[static KC_UUID_LEN + 1], bool *ours);

/**
 * kc_header_load_cd() - the same rules on a context that somebody else opened
 *
 * For the token plugin: @cd is libcryptsetup's own and stays the caller's. Whether
 * the data lies inside the device is left to libcryptsetup.
 */
int kc_header_load_cd(struct crypt_device *cd, struct kc_header *h, struct kc_error *err);

void kc_header_free(struct kc_header *h);

/**
 * kc_header_binding() - what to ask the KMS with for token @t
 *
 * id and layout recomputed from the header; a token that says otherwise is KC_TAMPERED.
 */
int kc_header_binding(const struct kc_header *h, const struct kc_token *t, struct kc_binding *b,
		      struct kc_error *err);

/**
 * kc_header_verify_dek() - is this the volume's key, and is the token as it was written?
 *
 * LUKS2 digest, then mac, then lineage, in this order; equal key halves refused.
 *
 * Return: 0 or KC_TAMPERED.
 */
int kc_header_verify_dek(const struct kc_header *h, const struct kc_token *t,
			 const uint8_t dek[static KC_DEK_SIZE], struct kc_error *err);

/**
 * struct kc_format - a header to be written
 * @uuid: lower case, chosen by the caller (the context holds it)
 * @sector_size: 512 to 4096
 * @label: LUKS2 label or NULL
 */
struct kc_format {
	char uuid[KC_UUID_LEN + 1];
	unsigned int sector_size;
	const char *label;
};

/**
 * kc_header_plan() - the layout that kc_header_write() will give @path
 *
 * Writes nothing. KC_DEVICE if the device is too small, or if the room for data
 * is no whole number of sectors.
 */
int kc_header_plan(const char *path, const struct kc_format *f, struct kc_layout *l, struct kc_error *err);

/**
 * kc_header_write() - format @path: header with @dek as volume key, then keyslot 0; no token yet
 *
 * What was there before is overwritten. The layout that results is compared with
 * kc_header_plan()'s. libcryptsetup opens a block device exclusively: the caller
 * must not hold it open with O_EXCL. A power cut leaves either no header or an
 * unfinished create.
 */
int kc_header_write(const char *path, const struct kc_format *f, const uint8_t dek[static KC_DEK_SIZE],
		    struct kc_error *err);

/**
 * kc_header_seal_token() - fill lineage and mac of a token from the DEK
 * @l: the layout
 * @flags: as in struct kc_header
 */
int kc_header_seal_token(struct kc_token *t, const struct kc_layout *l, const char *flags,
			 const uint8_t dek[static KC_DEK_SIZE], struct kc_error *err);

/**
 * kc_header_add_token() - write a sealed token, the last step of create; reads it back
 *
 * KC_USAGE, and nothing is written, where there would be no room left for one
 * more token of its size, or 8 are there already.
 */
int kc_header_add_token(const char *path, const struct kc_token *t, struct kc_error *err);

/**
 * kc_header_replace_token() - as kc_header_add_token(), for a token that takes the place of @old
 * @old: the token that is to go, as it was read
 * @both: receives whether both are there now, and kc_header_remove_token() of @old is to follow
 *
 * Where 8 are there already, there is no room beside them: the new one is written over the old
 * one in one update of the header, after which a reader finds the one or the other.
 */
int kc_header_replace_token(const char *path, const struct kc_token *t, const struct kc_token *old, bool *both,
			    struct kc_error *err);

/**
 * kc_header_repair() - write a damaged copy anew from the good one
 * @h: as it was loaded, with @damaged_copy set
 *
 * libcryptsetup does it, as with every header that it loads from a device. What is there
 * afterwards is read, and must be what @h is.
 */
int kc_header_repair(const char *path, const struct kc_header *h, struct kc_error *err);

/**
 * kc_header_remove_token() - take a token out; reads back that it is gone
 * @old: the token, as it was read
 *
 * KC_BUSY, and nothing is written, for the last one, and for one that is not there any more as
 * it was read: somebody else changes the header.
 */
int kc_header_remove_token(const char *path, const struct kc_token *old, struct kc_error *err);

/**
 * struct kc_foreign - a LUKS2 volume of somebody else's, that may become ours in place
 * @area, @keyslots: bytes of one copy of the metadata, and of the keyslots area
 * @layout: what it will have
 * @label: its own, "" for none
 * @n_keyslots, @n_tokens: what opens it now
 * @tokens: their types, "systemd-tpm2, clevis"
 * @damaged_copy: as in struct kc_header
 * @cd: libcryptsetup's context on a copy in memory of the whole header area
 */
struct kc_foreign {
	uint64_t area;
	uint64_t keyslots;
	struct kc_layout layout;
	char label[48];
	unsigned int n_keyslots;
	unsigned int n_tokens;
	char tokens[128];
	int damaged_copy;
	struct crypt_device *cd;
	int copy_fd;
};

/**
 * kc_foreign_load() - read such a header, and refuse what attach could not map
 * @fd: as for kc_header_load()
 *
 * KC_DEVICE, with what stands in the way and how it is put right, for LUKS1, another cipher or key
 * size, several segments, integrity, an unfinished reencryption and the like. kc_foreign_free() it
 * also after an error.
 */
int kc_foreign_load(int fd, struct kc_foreign *f, struct kc_error *err);
void kc_foreign_free(struct kc_foreign *f);

/**
 * kc_foreign_key() - its volume key
 * @dek: in memory of kc_secret_alloc()
 *
 * Return: 0; KC_PERM if the passphrase opens no keyslot.
 */
int kc_foreign_key(const struct kc_foreign *f, const char *passphrase, size_t len, uint8_t dek[static KC_DEK_SIZE],
		   struct kc_error *err);

/**
 * kc_foreign_image() - the header that takes its place, in memory: no token yet
 * @size: bytes of the device
 * @fd: receives a file of that size; kc_header_add_token() works on its /proc/self/fd path
 *
 * Of the same geometry, UUID, label, flags and volume key, as kcache create would write it. Its
 * keyslot is where the old header has none, so that both can be on the device: KC_DEVICE where
 * there is no such place.
 */
int kc_foreign_image(const struct kc_foreign *f, uint64_t size, const uint8_t dek[static KC_DEK_SIZE], int *fd,
		     struct kc_error *err);

/** kc_header_keyslot() - where keyslot 0 of @h lies on the device; false if it has none */
bool kc_header_keyslot(const struct kc_header *h, uint64_t *at, uint64_t *len);
/*
 * header-identity.c: another identity. UUID and tokens have to change at once, since a token is
 * bound to the UUID; libcryptsetup writes the one or the other. So it makes the new header in
 * memory, and that is written as a whole, one copy after the other.
 */

struct kc_blk;

/**
 * kc_header_identity_plan() - the header that @from is to become
 * @fd: the device that @from was read from
 * @uuid: the new one
 * @t, @n: the new recipients, sealed for that
 * @to: in memory, loaded under the strict rules; kc_header_free() it also after an error
 *
 * Writes nothing. KC_BUSY where the device does not have @from any more; KC_USAGE where there is
 * no room.
 */
int kc_header_identity_plan(int fd, const struct kc_header *from, const char *uuid, const struct kc_token *t,
			    unsigned int n, struct kc_header *to, struct kc_error *err);

/**
 * kc_header_op_plan() - @from with an operation, and without its keyslot
 * @op: what is to run
 *
 * As kc_header_identity_plan().
 */
int kc_header_op_plan(int fd, const struct kc_header *from, const struct kc_op *op, struct kc_header *to,
		      struct kc_error *err);

/**
 * kc_header_op_result() - the header that the volume will have when @from's operation is done
 * @size: bytes of the device
 * @dek: the new one: the header has its digest and a keyslot
 * @to: in memory; kc_header_free() it also after an error
 * @fd: receives a memory file with that header and its keyslot, -1 on an error; the caller closes it
 *
 * KC_TAMPERED where one of the operation's tokens is not bound to that header and DEK.
 */
int kc_header_op_result(const struct kc_header *from, uint64_t size, const uint8_t dek[static KC_DEK_SIZE],
			struct kc_header *to, int *fd, struct kc_error *err);

/**
 * kc_header_identity_write() - put it on the device
 * @b: claimed for writing
 *
 * Whenever the power goes, the device has the one header or the other, whole: a copy that is good
 * stays until the other one has been written, flushed and read back.
 */
int kc_header_identity_write(const struct kc_blk *b, const struct kc_header *from, const struct kc_header *to,
			     struct kc_error *err);

#endif
