// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * header-update: changes a volume's header as a rewrap does, by the library's own
 * means: a second token is added, then the first is removed. For the test that cuts
 * the power in the middle of it (power-cut.py).
 *
 *   header-update FILE make     a volume with one token, "old"
 *   header-update FILE update   from "old" to "new"; goes on where an earlier one stopped
 *   header-update FILE check    prints the tokens, if the header and each of them hold
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libcryptsetup.h>

#include "header.h"
#include "volume.h"

/* the two differ in what a rewrap changes: the wrapped DEK and the date */
#define NEW_DATE "2026-11-22T10:00:00Z"

static bool is_new(const struct kc_token *t)
{
	return strcmp(t->created, NEW_DATE) == 0;
}

static int load(const char *path, struct kc_header *h, struct kc_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	memset(h, 0, sizeof(*h));
	if (fd < 0)
		return kc_fail(err, KC_DEVICE, NULL, "cannot open %s", path);
	r = kc_header_load(fd, h, err);
	close(fd);
	return r;
}

static int make(const char *path, struct kc_error *err)
{
	const struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = 4096 };
	struct kc_layout l;
	struct kc_token t;
	int r;

	r = kc_header_plan(path, &f, &l, err);
	if (!r)
		r = kc_header_write(path, &f, volume_dek, err);
	if (r)
		return r;
	volume_token(&t, &l);
	r = kc_header_seal_token(&t, &l, "", volume_dek, err);
	return r ? r : kc_header_add_token(path, &t, err);
}

static int add_new(const char *path, const struct kc_header *h, struct kc_error *err)
{
	struct kc_token t = h->tokens[0];
	int r;

	t.slot = -1;
	strcpy(t.created, NEW_DATE);
	memset(t.wrapped, 0x5a, t.wrapped_len);
	r = kc_header_seal_token(&t, &h->layout, h->flags, volume_dek, err);
	return r ? r : kc_header_add_token(path, &t, err);
}

static int remove_old(const char *path, const struct kc_header *h, struct kc_error *err)
{
	struct crypt_device *cd;
	unsigned int i;
	int r;

	if (crypt_init(&cd, path))
		return kc_fail(err, KC_DEVICE, NULL, "libcryptsetup cannot open it");
	r = crypt_load(cd, CRYPT_LUKS2, NULL);
	for (i = 0; r >= 0 && i < h->n_tokens; i++)
		if (!is_new(&h->tokens[i]))
			r = crypt_token_json_set(cd, h->tokens[i].slot, NULL);
	crypt_free(cd);
	return r < 0 ? kc_fail(err, KC_DEVICE, NULL, "cannot remove the old token: %d", r) : 0;
}

static int update(const char *path, struct kc_error *err)
{
	struct kc_header h;
	bool added = false;
	unsigned int i;
	int r;

	r = load(path, &h, err);
	for (i = 0; i < h.n_tokens; i++)
		added = added || is_new(&h.tokens[i]);
	if (!r && !added) {
		r = add_new(path, &h, err);
		kc_header_free(&h);
		if (!r)
			r = load(path, &h, err);
	}
	if (!r)
		r = remove_old(path, &h, err);
	kc_header_free(&h);
	return r;
}

static int check(const char *path, struct kc_error *err)
{
	struct kc_header h;
	unsigned int i;
	int r;

	r = load(path, &h, err);
	if (!r && !h.n_tokens)
		r = kc_fail(err, KC_DEVICE, NULL, "no token is left");
	for (i = 0; !r && i < h.n_tokens; i++)
		r = kc_header_verify_dek(&h, &h.tokens[i], volume_dek, err);
	for (i = 0; !r && i < h.n_tokens; i++)
		printf("%s%s", i ? " " : "", is_new(&h.tokens[i]) ? "new" : "old");
	if (!r)
		puts("");
	kc_header_free(&h);
	return r;
}

int main(int argc, char **argv)
{
	struct kc_error err = { 0 };
	int r;

	if (argc == 3 && !strcmp(argv[2], "make")) {
		r = make(argv[1], &err);
	} else if (argc == 3 && !strcmp(argv[2], "update")) {
		r = update(argv[1], &err);
	} else if (argc == 3 && !strcmp(argv[2], "check")) {
		r = check(argv[1], &err);
	} else {
		fputs("usage: header-update FILE make|update|check\n", stderr);
		return 2;
	}
	if (r)
		fprintf(stderr, "header-update: %s\n", err.text);
	return r;
}
