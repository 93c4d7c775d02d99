// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "grant.h"
#include "kms.h"
#include "kms-wire.h"

#define RETIRE_SECONDS 10

/* A grant as it lies in STATE_DIR/grants/UUID: two lines. */
struct grant {
	char key[KC_KEY_NAME_MAX];
	char token[KC_GRANT_TOKEN_MAX + 1];
};

int kc_grant_check(const char *token, struct kc_error *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-";
	size_t len = strlen(token);

	if (len && len <= KC_GRANT_TOKEN_MAX && strspn(token, letters) == len)
		return 0;
	return kc_fail(err, KC_USAGE, "give the token as it was printed when the grant was made",
		       "this is no grant token (1 to %d characters of base64)", KC_GRANT_TOKEN_MAX);
}

static int io_failed(struct kc_error *err, const char *what, const char *path)
{
	return kc_fail(err, errno == EACCES || errno == EPERM || errno == EROFS ? KC_PERM : KC_DEVICE,
		       "its grant will not be retired at detach", "cannot %s %s: %s", what, path, strerror(errno));
}

/* -1 where there is none and none was to be made */
static int open_folder(const struct kc_conf *c, bool make, struct kc_error *err)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/grants", c->state_dir);
	if (make && ((mkdir(c->state_dir, 0700) && errno != EEXIST) || (mkdir(path, 0700) && errno != EEXIST))) {
		io_failed(err, "make", path);
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && make)
		io_failed(err, "open", path);
	return fd;
}

/* The old file or the new one. Two attaches of one volume are not: it can be attached once. */
static int write_file(int folder, const char *uuid, const char *key, const char *token, struct kc_error *err)
{
	char tmp[KC_UUID_LEN + 8];
	int fd, n;

	snprintf(tmp, sizeof(tmp), ".%.*s.tmp", KC_UUID_LEN, uuid);
	fd = openat(folder, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_failed(err, "create", tmp);
	n = dprintf(fd, "%s\n%s\n", key, token);
	if (close(fd) || n < 0 || renameat(folder, tmp, folder, uuid)) {
		io_failed(err, "write", tmp);
		unlinkat(folder, tmp, 0);
		return (int)(err ? err->code : KC_DEVICE);
	}
	return 0;
}

int kc_grant_remember(const struct kc_conf *c, const char *uuid, const char *key, const char *token,
		      struct kc_error *err)
{
	int r = 0, folder = open_folder(c, token != NULL, err);

	if (folder < 0)
		return token ? (int)(err ? err->code : KC_DEVICE) : 0;
	if (token)
		r = write_file(folder, uuid, key, token, err);
	else
		unlinkat(folder, uuid, 0);
	close(folder);
	return r;
}

/* Takes the grant out of its file: nobody else retires it. */
static bool take(const struct kc_conf *c, const char *uuid, struct grant *g)
{
	int folder = open_folder(c, false, NULL), fd;
	char line[2][sizeof(g->token) + 1];
	bool ok = false;
	FILE *f;

	if (folder < 0)
		return false;
	fd = openat(folder, uuid, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (f) {
		ok = fgets(line[0], sizeof(line[0]), f) && fgets(line[1], sizeof(line[1]), f);
		fclose(f);
	} else if (fd >= 0) {
		close(fd);
	}
	ok = !unlinkat(folder, uuid, 0) && ok;
	close(folder);
	if (!ok)
		return false;
	line[0][strcspn(line[0], "\n")] = '\0';
	line[1][strcspn(line[1], "\n")] = '\0';
	snprintf(g->key, sizeof(g->key), "%.*s", KC_KEY_NAME_MAX - 1, line[0]);
	snprintf(g->token, sizeof(g->token), "%.*s", KC_GRANT_TOKEN_MAX, line[1]);
	return kc_key_canonical(NULL, g->key) && !kc_grant_check(g->token, NULL);
}

static void retire(const struct kc_conf *c, const struct grant *g)
{
	struct kc_conf brief = *c;
	struct json_object *args = json_object_new_object(), *answer = NULL;
	struct kc_error err = { 0 };
	struct kc_kms *kms = NULL;
	char provider[16];

	if (brief.timeout > RETIRE_SECONDS)
		brief.timeout = RETIRE_SECONDS;
	kc_key_provider(g->key, provider);
	if (kc_wire_add_str(args, "key", g->key) && kc_wire_add_str(args, "grant_token", g->token) &&
	    !kc_kms_open(&brief, &kms, &err))
		kc_kms_admin(kms, provider, "RetireGrant", args, &answer, &err);
	kc_kms_close(kms);
	json_object_put(answer);
	json_object_put(args);
}

void kc_grant_retire(const struct kc_conf *c, const char *uuid)
{
	struct grant g;
	int null;

	if (!take(c, uuid, &g) || fork())
		return;
	/* whoever waits for the output of detach must not wait for this */
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(1);
	close_range(3, ~0U, 0);
	retire(c, &g);
	_exit(0);
}
