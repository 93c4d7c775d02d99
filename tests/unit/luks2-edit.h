/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A generator of malformed LUKS2 headers: edits the metadata in place, in both
 * copies, and makes their checksums right again, as an attacker would who can
 * write the disk. libcryptsetup would validate what it writes, so this writes
 * raw bytes; offsets are those of the LUKS2 specification, 2.1.
 *
 * Every function returns 0, or -1 after a line on stderr.
 */
#ifndef LUKS2_EDIT_H
#define LUKS2_EDIT_H

/**
 * luks2_edit_json() - set, add or remove a member of the JSON area
 * @path: device or file
 * @pointer: RFC 6901, "/segments/0/encryption"
 * @json: the new value as JSON, "\"cipher_null-ecb\""; NULL removes the member
 */
int luks2_edit_json(const char *path, const char *pointer, const char *json);

/** luks2_edit_field() - set a text of the binary header: "uuid", "label" or "subsystem" */
int luks2_edit_field(const char *path, const char *field, const char *text);

/** luks2_damage() - flip a bit in copy 1 or 2 without telling its checksum */
int luks2_damage(const char *path, int copy);

/** luks2_json() - the JSON area of the first copy, or the part of it at @pointer; free() it */
char *luks2_json(const char *path, const char *pointer);

#endif
