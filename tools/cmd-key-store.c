// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key backup, restore, seal, unseal: the local keystore as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kdf.h"
#include "key.h"
#include "kms-wire.h"
#include "passphrase.h"
#include "secret.h"

#define MAGIC "kcache-backup 1\n"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define HEAD_LEN (MAGIC_LEN + 19)

/* The key helper opens it, from another directory for all it knows. */
static int whole_path(struct kc_run *r, const char *path, char out[static PATH_MAX])
{
	char here[PATH_MAX];
	int n;

	if (*path == '/')
		n = snprintf(out, PATH_MAX, "%s", path);
	else
		n = getcwd(here, sizeof(here)) ? snprintf(out, PATH_MAX, "%s/%s", here, path) : -1;
	return n > 0 && n < PATH_MAX ? 0 : kc_fail(&r->err, KC_USAGE, NULL, "the path %s is too long", path);
}

static void put_head(const struct kc_scrypt *s, uint8_t head[static HEAD_LEN])
{
	memcpy(head, MAGIC, MAGIC_LEN);
	head[MAGIC_LEN] = s->log_n;
	head[MAGIC_LEN + 1] = s->r;
	head[MAGIC_LEN + 2] = s->p;
	memcpy(head + MAGIC_LEN + 3, s->salt, sizeof(s->salt));
}

static int get_head(struct kc_run *r, const char *path, struct kc_scrypt *s)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint8_t head[HEAD_LEN];
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return kc_fail(&r->err, KC_USAGE, NULL, "cannot read %s: %s", path, strerror(error));
	if (n < (ssize_t)HEAD_LEN || memcmp(head, MAGIC, MAGIC_LEN) != 0)
		return kc_fail(&r->err, KC_USAGE, "name a file that kcache key backup has made",
			       "%s is no backup of a keystore", path);
	s->log_n = head[MAGIC_LEN];
	s->r = head[MAGIC_LEN + 1];
	s->p = head[MAGIC_LEN + 2];
	memcpy(s->salt, head + MAGIC_LEN + 3, sizeof(s->salt));
	return 0;
}

/* @operation with the key that scrypt makes of a passphrase; @args is put. */
static int with_passphrase(struct key_verb *v, const char *operation, struct json_object *args,
			   const struct kc_scrypt *s, const char *question, bool is_new)
{
	struct json_object *answer = NULL;
	struct kc_run *r = v->r;
	size_t len = 0;
	char *passphrase = passphrase_read(r, question, is_new, &len);
	uint8_t *key = passphrase ? kc_secret_alloc(32, &r->err) : NULL;
	int ret = key ? kc_scrypt(s, passphrase, len, key, &r->err) : (int)r->err.code;

	passphrase_free(passphrase);
	if (!ret)
		ret = kc_kms_admin_secret(v->kms, "local", operation, args, key, 32, &answer, &r->err);
	kc_secret_free(key, 32);
	kc_json_drop(answer);
	kc_json_drop(args);
	return ret;
}

static int file_done(struct key_verb *v, const char *path, const char *what)
{
	struct json_object *o;

	if (!kc_given(v->r, OPT_JSON)) {
		kc_say(v->r, "kcache: the keystore is %s %s", what, path);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "file", path);
	return kc_json_print(v->r, o);
}

static int backup(struct key_verb *v)
{
	struct json_object *args = kc_json_object();
	uint8_t head[HEAD_LEN];
	struct kc_run *r = v->r;
	struct kc_scrypt s;
	char path[PATH_MAX];
	int ret = whole_path(r, r->arg[0], path);

	if (!ret && !access(path, F_OK))
		ret = kc_fail(&r->err, KC_BUSY, "name a new file", "%s is there already", path);
	if (!ret && !kc_scrypt_new(&s))
		ret = kc_fail(&r->err, KC_NOMEM, NULL, "no random numbers for a backup");
	if (ret) {
		kc_json_drop(args);
		return ret;
	}
	put_head(&s, head);
	kc_json_str(args, "file", path);
	if (!kc_wire_add_blob(args, "header", head, sizeof(head))) {
		kc_json_drop(args);
		return kc_fail(&r->err, KC_NOMEM, NULL, "out of memory");
	}
	ret = with_passphrase(v, "BackupKeyStore", args, &s, "New passphrase for the backup", true);
	return ret ? ret : file_done(v, path, "in");
}

static int restore(struct key_verb *v)
{
	struct json_object *args;
	struct kc_run *r = v->r;
	struct kc_scrypt s;
	char path[PATH_MAX];
	int ret = whole_path(r, r->arg[0], path);

	if (!ret)
		ret = get_head(r, path, &s);
	if (ret)
		return ret;
	args = kc_json_object();
	kc_json_str(args, "file", path);
	ret = with_passphrase(v, "RestoreKeyStore", args, &s, "Passphrase of the backup", false);
	return ret ? ret : file_done(v, path, "back from");
}

static int reseal(struct key_verb *v, const char *operation)
{
	struct json_object *answer = NULL, *o;
	int ret = key_call(v, operation, kc_json_object(), &answer);

	if (!ret && kc_given(v->r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "sealed", key_text(answer, "sealed"));
		ret = kc_json_print(v->r, o);
	} else if (!ret && !strcmp(key_text(answer, "sealed"), "none")) {
		kc_say(v->r, "kcache: the keystore's root key is in a file that only its owner may read, and not sealed");
	} else if (!ret) {
		kc_say(v->r, "kcache: the keystore's root key is sealed with a %s; lose that, and every key is lost",
		       key_text(answer, "sealed"));
	}
	kc_json_drop(answer);
	return ret;
}

static int seal(struct key_verb *v)
{
	return reseal(v, "SealKeyStore");
}

static int unseal(struct key_verb *v)
{
	return reseal(v, "UnsealKeyStore");
}

/* Whatever the file is called: these are about the local keystore. */
static int local_run(struct kc_run *r, int (*fn)(struct key_verb *v))
{
	r->opt[OPT_PROVIDER] = "local";
	return key_run(r, fn);
}

int cmd_key_backup(struct kc_run *r)
{
	return local_run(r, backup);
}

int cmd_key_restore(struct kc_run *r)
{
	return local_run(r, restore);
}

int cmd_key_seal(struct kc_run *r)
{
	return local_run(r, seal);
}

int cmd_key_unseal(struct kc_run *r)
{
	return local_run(r, unseal);
}
