// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include <openssl/evp.h>

#include "volume.h"

const uint8_t volume_dek[KC_DEK_SIZE] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";

static char dir[64];

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

const char *volume_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kcache-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return dir;
}

void volume_dir_remove(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	run(command);
}

char *volume_blank(const char *name, uint64_t size)
{
	char *path;
	int fd;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
	return path;
}

void volume_token(struct kc_token *t, const struct kc_layout *l)
{
	struct kc_binding *b = &t->binding;

	memset(t, 0, sizeof(*t));
	t->slot = -1;
	t->has_keyslot = true;
	strcpy(b->provider, "local");
	strcpy(b->key, VOLUME_KEY);
	b->version = KC_TOKEN_VERSION;
	strcpy(b->context.id, l->uuid);
	assert_int_equal(kc_canon_layout(l, b->context.layout, NULL), 0);
	b->context.generation = 3;
	t->wrapped_len = 100;
	memset(t->wrapped, 0xa5, t->wrapped_len);
	strcpy(t->created, "2026-11-21T10:00:00Z");
	t->lease = 3600;
	t->on_revoke = KC_REVOKE_FAIL;
}

char *volume_create(const char *name)
{
	const struct kc_format f = { .uuid = VOLUME_UUID, .sector_size = 4096, .label = "test" };
	char *path = volume_blank(name, VOLUME_SIZE);
	struct kc_error err = { 0 };
	struct kc_layout l;
	struct kc_token t;

	if (kc_header_plan(path, &f, &l, &err) || kc_header_write(path, &f, volume_dek, &err))
		fail_msg("%s", err.text);
	volume_token(&t, &l);
	if (kc_header_seal_token(&t, &l, "", volume_dek, &err) || kc_header_add_token(path, &t, &err))
		fail_msg("%s", err.text);
	return path;
}

char *volume_copy(const char *path, const char *name)
{
	char command[256], *copy;

	assert_true(asprintf(&copy, "%s/%s", dir, name) > 0);
	snprintf(command, sizeof(command), "cp --sparse=always %s %s", path, copy);
	run(command);
	return copy;
}

void volume_hash(const char *path, char hex[static 65])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char md[32];
	static char buf[1 << 20];
	ssize_t n;

	assert_true(fd >= 0);
	assert_true(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		EVP_DigestUpdate(ctx, buf, (size_t)n);
	EVP_DigestFinal_ex(ctx, md, NULL);
	EVP_MD_CTX_free(ctx);
	close(fd);
	kc_hex(md, sizeof(md), hex);
}
