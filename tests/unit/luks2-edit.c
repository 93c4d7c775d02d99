// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <openssl/evp.h>

#include "luks2-edit.h"

#define BIN_SIZE 4096
#define AREA_MAX (4U << 20)
#define OFF_HDR_SIZE 8
#define OFF_CSUM 448
#define CSUM_SIZE 64
#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static const struct {
	const char *name;
	size_t offset;
	size_t size;
} fields[] = {
	{ "label", 24, 48 },
	{ "uuid", 168, 40 },
	{ "subsystem", 208, 48 },
};

/* One copy: the 4 KiB binary header with the JSON area behind it. */
struct copy {
	uint8_t *bytes;
	size_t size;
};

static int complain(const char *what)
{
	fprintf(stderr, "luks2-edit: %s\n", what);
	return -1;
}

/* The size stands in the first copy, which is also where a second one begins. */
static int read_copy(int fd, int second, struct copy *c)
{
	uint8_t head[BIN_SIZE];
	uint64_t size;

	c->bytes = NULL;
	if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, "LUKS\xba\xbe\0\2", 8))
		return complain("there is no LUKS2 header at the start");
	memcpy(&size, head + OFF_HDR_SIZE, sizeof(size));
	size = be64toh(size);
	if (size <= BIN_SIZE || size > AREA_MAX)
		return complain("the header's size makes no sense");
	c->size = (size_t)size;
	c->bytes = malloc(c->size + 1);
	if (!c->bytes || pread(fd, c->bytes, c->size, second ? (off_t)size : 0) != (ssize_t)size) {
		free(c->bytes);
		c->bytes = NULL;
		return complain("cannot read a header copy");
	}
	c->bytes[c->size] = '\0';
	return 0;
}

static int write_copy(int fd, int second, struct copy *c)
{
	size_t len;

	memset(c->bytes + OFF_CSUM, 0, CSUM_SIZE);
	if (!EVP_Q_digest(NULL, "SHA256", NULL, c->bytes, c->size, c->bytes + OFF_CSUM, &len))
		return complain("no SHA-256");
	if (pwrite(fd, c->bytes, c->size, second ? (off_t)c->size : 0) != (ssize_t)c->size ||
	    fsync(fd))
		return complain("cannot write a header copy");
	return 0;
}

/* Apply @edit to both copies. */
static int edit_both(const char *path, int (*edit)(struct copy *c, const char *a, const char *b),
		     const char *a, const char *b)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), second, r = 0;

	if (fd < 0)
		return complain("cannot open the device");
	for (second = 0; !r && second < 2; second++) {
		struct copy c;

		r = read_copy(fd, second, &c);
		if (!r)
			r = edit(&c, a, b);
		if (!r)
			r = write_copy(fd, second, &c);
		free(c.bytes);
	}
	close(fd);
	return r;
}

static int set_member(struct json_object **root, const char *pointer, const char *json)
{
	struct json_object *v;
	enum json_tokener_error error;
	char parent[256];
	char *slash;

	if (json) {
		v = json_tokener_parse_verbose(json, &error);
		if (error != json_tokener_success)
			return complain("the value is not JSON");
		return json_pointer_set(root, pointer, v) ? complain("there is no such place") : 0;
	}
	snprintf(parent, sizeof(parent), "%s", pointer);
	slash = strrchr(parent, '/');
	if (!slash)
		return complain("there is no such place");
	*slash = '\0';
	if (json_pointer_get(*root, parent, &v) || !json_object_is_type(v, json_type_object))
		return complain("there is no such place");
	json_object_object_del(v, slash + 1);
	return 0;
}

static int edit_json(struct copy *c, const char *pointer, const char *json)
{
	struct json_object *root = json_tokener_parse((char *)c->bytes + BIN_SIZE);
	const char *text;
	int r;

	if (!root)
		return complain("the JSON area does not parse");
	r = set_member(&root, pointer, json);
	text = json_object_to_json_string_ext(root, PLAIN);
	if (!r && strlen(text) >= c->size - BIN_SIZE)
		r = complain("the edited JSON does not fit");
	if (!r) {
		memset(c->bytes + BIN_SIZE, 0, c->size - BIN_SIZE);
		memcpy(c->bytes + BIN_SIZE, text, strlen(text));
	}
	json_object_put(root);
	return r;
}

int luks2_edit_json(const char *path, const char *pointer, const char *json)
{
	return edit_both(path, edit_json, pointer, json);
}

static int edit_field(struct copy *c, const char *field, const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(field, fields[i].name))
			continue;
		if (strlen(text) >= fields[i].size)
			return complain("the text is too long");
		memset(c->bytes + fields[i].offset, 0, fields[i].size);
		memcpy(c->bytes + fields[i].offset, text, strlen(text));
		return 0;
	}
	return complain("there is no such field");
}

int luks2_edit_field(const char *path, const char *field, const char *text)
{
	return edit_both(path, edit_field, field, text);
}

int luks2_damage(const char *path, int copy)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), r = -1;
	off_t where;
	struct copy c;

	if (fd < 0)
		return complain("cannot open the device");
	if (!read_copy(fd, 0, &c)) {
		where = (copy == 2 ? (off_t)c.size : 0) + BIN_SIZE + 2;
		c.bytes[0] = 0;
		if (pread(fd, c.bytes, 1, where) == 1) {
			c.bytes[0] ^= 1;
			r = pwrite(fd, c.bytes, 1, where) == 1 && !fsync(fd) ?
				0 : complain("cannot write");
		}
	}
	free(c.bytes);
	close(fd);
	return r;
}

char *luks2_json(const char *path, const char *pointer)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct json_object *root = NULL, *v;
	char *text = NULL;
	struct copy c;

	if (fd < 0 || read_copy(fd, 0, &c)) {
		complain("cannot read the header");
	} else {
		root = json_tokener_parse((char *)c.bytes + BIN_SIZE);
		if (root && !json_pointer_get(root, pointer, &v))
			text = strdup(json_object_to_json_string_ext(v, PLAIN));
		free(c.bytes);
	}
	json_object_put(root);
	if (fd >= 0)
		close(fd);
	return text;
}
