// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this host trusts. A file for each volume it has seen, replaced as a
 * whole under a lock on the folder; no secrets in it, but whoever can write it
 * decides which keys this host accepts.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pins.h"
#include "strict.h"

#define FILE_MAX 65536
#define KEYS_MAX 32
#define BACKUPS_MAX 16
/* so that a file with all of them stays below FILE_MAX, whatever has to be escaped in it */
#define PATH_LEN_MAX 1000
#define PATH_RE "^/[^[:cntrl:]]*$"
#define NEXT_OWNER "chown it to root and chmod it go-w"
#define NEXT_FORGET "if the file is damaged, remove it: the volume is then a new one to this host"

/* <state_dir>/volumes, and what its files are called in errors. */
struct folder {
	int fd;
	char path[4096];
};

static int io_failed(struct kc_error *err, const char *verb, const char *path)
{
	enum kc_exit code = errno == EACCES || errno == EPERM || errno == EROFS ? KC_PERM :
			    errno == ENOMEM ? KC_NOMEM : KC_DEVICE;

	return kc_fail(err, code, NULL, "cannot %s %s: %s", verb, path, strerror(errno));
}

static int no_memory(struct kc_error *err)
{
	return kc_fail(err, KC_NOMEM, NULL, "out of memory for the known volumes");
}

static int check_owner(int fd, const char *path, struct kc_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return io_failed(err, "examine", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
		return kc_fail(err, KC_PERM, NEXT_OWNER,
			       "%s belongs to user %u, mode %04o: others could let in any key",
			       path, st.st_uid, st.st_mode & 07777);
	return 0;
}

static int make_dir(const char *path, struct kc_error *err)
{
	return mkdir(path, 0700) && errno != EEXIST ? io_failed(err, "create", path) : 0;
}

/* @f->fd is -1 where there is no folder and none was to be made. */
static int open_folder(const struct kc_conf *c, bool create, struct folder *f, struct kc_error *err)
{
	int r;

	f->fd = -1;
	if (strlen(c->state_dir) + sizeof("/volumes/.uuid.json") + KC_UUID_LEN > sizeof(f->path))
		return kc_fail(err, KC_USAGE, NULL, "the path of state_dir is too long");
	snprintf(f->path, sizeof(f->path), "%s/volumes", c->state_dir);
	if (create) {
		r = make_dir(c->state_dir, err);
		if (!r)
			r = make_dir(f->path, err);
		if (r)
			return r;
	}
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0)
		return errno == ENOENT ? 0 : io_failed(err, "open", f->path);
	r = check_owner(f->fd, f->path, err);
	if (r) {
		close(f->fd);
		f->fd = -1;
	}
	return r;
}

static void close_folder(struct folder *f)
{
	if (f->fd >= 0)
		close(f->fd);
}

static struct kc_known *known(struct kc_strict *s)
{
	return s->data;
}

static int on_version(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, 1, 1, &n) ? 0 : kc_strict_bad(s, name, v, "1");
}

static int on_uuid(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_copy(v, "^" KC_UUID_RE "$", known(s)->uuid, sizeof(known(s)->uuid)) ?
		0 : kc_strict_bad(s, name, v, "a lower-case UUID");
}

static int on_lineage(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_copy(v, "^[0-9a-f]{32}$", known(s)->lineage, sizeof(known(s)->lineage)) ?
		0 : kc_strict_bad(s, name, v, "32 lower-case hex digits");
}

static int on_generation(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_u64(v, &known(s)->generation) && known(s)->generation ?
		0 : kc_strict_bad(s, name, v, "a generation");
}

static int on_keys(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_known *k = known(s);
	size_t i, n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;

	if (!n || n > KEYS_MAX)
		return kc_strict_bad(s, name, v, "a list of 1 to 32 keys");
	k->keys = calloc(n, sizeof(*k->keys));
	if (!k->keys)
		return no_memory(s->err);
	for (i = 0; i < n; i++) {
		const char *key = kc_strict_text(json_object_array_get_idx(v, i));

		if (!key || !kc_key_canonical(NULL, key))
			return kc_strict_bad(s, name, v, "a list of canonical key ids");
		k->keys[i] = strdup(key);
		if (!k->keys[i])
			return no_memory(s->err);
		k->n_keys++;
	}
	return 0;
}

static bool path_fits(const char *path)
{
	return path && strlen(path) <= PATH_LEN_MAX && kc_matches(PATH_RE, path);
}

static int on_backups(struct kc_strict *s, const char *name, struct json_object *v)
{
	struct kc_known *k = known(s);
	size_t i, n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;

	if (!n || n > BACKUPS_MAX)
		return kc_strict_bad(s, name, v, "a list of 1 to 16 paths");
	k->backups = calloc(n, sizeof(*k->backups));
	if (!k->backups)
		return no_memory(s->err);
	for (i = 0; i < n; i++) {
		const char *path = kc_strict_text(json_object_array_get_idx(v, i));

		if (!path_fits(path))
			return kc_strict_bad(s, name, v, "a list of absolute paths");
		k->backups[i] = strdup(path);
		if (!k->backups[i])
			return no_memory(s->err);
		k->n_backups++;
	}
	return 0;
}

static const struct kc_member known_members[] = {
	{ "version", on_version, false },
	{ "uuid", on_uuid, false },
	{ "lineage", on_lineage, false },
	{ "generation", on_generation, false },
	{ "keys", on_keys, false },
	{ "backups", on_backups, true },
};

/* A whole small file as text; ENOENT is 0 with NULL in @text. */
static int read_file(const struct folder *f, const char *name, const char *path, char **text,
		     struct kc_error *err)
{
	int fd = openat(f->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r;
	size_t len = 0;
	ssize_t n = 1;

	*text = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : io_failed(err, "open", path);
	r = check_owner(fd, path, err);
	if (!r) {
		*text = malloc(FILE_MAX + 1);
		r = *text ? 0 : no_memory(err);
	}
	while (!r && n > 0 && len < FILE_MAX) {
		n = read(fd, *text + len, FILE_MAX - len);
		if (n < 0)
			r = io_failed(err, "read", path);
		else
			len += (size_t)n;
	}
	if (!r)
		(*text)[len] = '\0';
	close(fd);
	return r;
}

static int load(const struct folder *f, const char *uuid, struct kc_known *k, struct kc_error *err)
{
	char name[KC_UUID_LEN + 8], path[sizeof(f->path) + sizeof(name)];
	struct kc_strict s = { .what = path, .next = NEXT_FORGET, .data = k, .err = err };
	struct json_object *o = NULL;
	char *text;
	int r;

	memset(k, 0, sizeof(*k));
	snprintf(name, sizeof(name), "%s.json", uuid);
	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	r = read_file(f, name, path, &text, err);
	if (!r && text) {
		r = kc_strict_parse(&s, text, FILE_MAX, &o);
		if (!r)
			r = kc_strict_object(&s, o, known_members, KC_COUNT(known_members));
		if (!r && strcmp(k->uuid, uuid))
			r = kc_fail(err, KC_TAMPERED, NEXT_FORGET, "%s is of volume %s", path,
				    k->uuid);
	}
	json_object_put(o);
	free(text);
	if (r)
		kc_known_free(k);
	return r;
}

int kc_known_load(const struct kc_conf *c, const char *uuid, struct kc_known *k, struct kc_error *err)
{
	struct folder f;
	int r;

	memset(k, 0, sizeof(*k));
	if (!kc_uuid_valid(uuid))
		return kc_fail(err, KC_USAGE, NULL, "\"%.40s\" is not a lower-case UUID", uuid);
	r = open_folder(c, false, &f, err);
	if (!r && f.fd >= 0)
		r = load(&f, uuid, k, err);
	close_folder(&f);
	return r;
}

static void free_list(char **list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void kc_known_free(struct kc_known *k)
{
	free_list(k->keys, k->n_keys);
	free_list(k->backups, k->n_backups);
	memset(k, 0, sizeof(*k));
}

/* @text to the end of a list of at most @max, whose oldest goes: status takes the last key for the one in use. */
static int add_last(char ***list, size_t *n, size_t max, const char *text, struct kc_error *err)
{
	char **more, *copy = strdup(text);
	size_t i;

	more = copy ? reallocarray(*list, *n + 1, sizeof(*more)) : NULL;
	if (!more) {
		free(copy);
		return no_memory(err);
	}
	*list = more;
	for (i = 0; i < *n && strcmp(more[i], text); i++)
		;
	if (i == *n && *n == max)
		i = 0;
	if (i < *n) {
		free(more[i]);
		memmove(more + i, more + i + 1, (*n - i - 1) * sizeof(*more));
		(*n)--;
	}
	more[(*n)++] = copy;
	return 0;
}

static bool add(struct json_object *o, const char *name, struct json_object *v)
{
	if (v && !json_object_object_add(o, name, v))
		return true;
	json_object_put(v);
	return false;
}

/* NULL when out of memory. */
static struct json_object *to_array(char **list, size_t n)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; array && i < n; i++) {
		struct json_object *text = json_object_new_string(list[i]);

		if (!text || json_object_array_add(array, text)) {
			json_object_put(text);
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

/* NULL when out of memory. */
static char *to_json(const struct kc_known *k)
{
	struct json_object *o = json_object_new_object();
	char generation[24];
	char *text = NULL;

	snprintf(generation, sizeof(generation), "%" PRIu64, k->generation);
	if (o && add(o, "version", json_object_new_int(1)) &&
	    add(o, "uuid", json_object_new_string(k->uuid)) &&
	    add(o, "lineage", json_object_new_string(k->lineage)) &&
	    add(o, "generation", json_object_new_string(generation)) &&
	    add(o, "keys", to_array(k->keys, k->n_keys)) &&
	    (!k->n_backups || add(o, "backups", to_array(k->backups, k->n_backups))) &&
	    asprintf(&text, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
						JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
		text = NULL;
	json_object_put(o);
	return text;
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* The old file or the new one, whatever happens. The lock makes the temporary name ours. */
static int replace(const struct folder *f, const struct kc_known *k, struct kc_error *err)
{
	char name[KC_UUID_LEN + 8], tmp[KC_UUID_LEN + 8], path[sizeof(f->path) + sizeof(tmp)];
	char *text = to_json(k);
	bool ok;
	int fd, r = 0;

	if (!text)
		return no_memory(err);
	snprintf(name, sizeof(name), "%s.json", k->uuid);
	snprintf(tmp, sizeof(tmp), ".%s.tmp", k->uuid);
	snprintf(path, sizeof(path), "%s/%s", f->path, tmp);
	fd = openat(f->fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = io_failed(err, "create", path);
	} else {
		ok = write_all(fd, text, strlen(text)) && !fsync(fd);
		if (!ok)
			r = io_failed(err, "write", path);
		close(fd);
		if (!r && (renameat(f->fd, tmp, f->fd, name) || fsync(f->fd)))
			r = io_failed(err, "rename", path);
		if (r)
			unlinkat(f->fd, tmp, 0);
	}
	free(text);
	return r;
}

static int remember(const struct folder *f, const struct kc_header *h, const struct kc_token *t,
		    struct kc_error *err)
{
	const char *key = t->binding.key;
	uint64_t generation = t->binding.context.generation;
	struct kc_known k;
	int r = load(f, h->layout.uuid, &k, err);

	if (r)
		return r;
	if (k.uuid[0] && generation < k.generation)
		r = kc_fail(err, KC_TAMPERED, NULL,
			    "generation %" PRIu64 " of volume %s is older than %" PRIu64
			    ", which this host has seen", generation, k.uuid, k.generation);
	else if (k.uuid[0] && generation == k.generation && !strcmp(k.lineage, t->lineage) &&
		 !strcmp(k.keys[k.n_keys - 1], key))
		goto out;	/* nothing new */
	if (!r) {
		memcpy(k.uuid, h->layout.uuid, sizeof(k.uuid));
		memcpy(k.lineage, t->lineage, sizeof(k.lineage));
		k.generation = generation;
		r = add_last(&k.keys, &k.n_keys, KEYS_MAX, key, err);
	}
	if (!r)
		r = replace(f, &k, err);
out:
	kc_known_free(&k);
	return r;
}

int kc_known_save(const struct kc_conf *c, const struct kc_header *h, const struct kc_token *t,
		  struct kc_error *err)
{
	struct folder f;
	int r = open_folder(c, true, &f, err);

	if (r)
		return r;
	/* two attaches at once must not lose one another's keys; closing unlocks */
	if (flock(f.fd, LOCK_EX))
		r = io_failed(err, "lock", f.path);
	if (!r)
		r = remember(&f, h, t, err);
	close_folder(&f);
	return r;
}

static int forget(const struct folder *f, const char *uuid, const char *key, struct kc_error *err)
{
	struct kc_known k;
	size_t i;
	int r = load(f, uuid, &k, err);

	for (i = 0; !r && i < k.n_keys && strcmp(k.keys[i], key); i++)
		;
	if (!r && i < k.n_keys && k.n_keys > 1) {
		free(k.keys[i]);
		memmove(k.keys + i, k.keys + i + 1, (k.n_keys - i - 1) * sizeof(*k.keys));
		k.n_keys--;
		r = replace(f, &k, err);
	}
	kc_known_free(&k);
	return r;
}

int kc_known_forget(const struct kc_conf *c, const char *uuid, const char *key, struct kc_error *err)
{
	struct folder f;
	int r = open_folder(c, false, &f, err);

	if (r || f.fd < 0)
		return r;
	if (flock(f.fd, LOCK_EX))
		r = io_failed(err, "lock", f.path);
	if (!r)
		r = forget(&f, uuid, key, err);
	close_folder(&f);
	return r;
}

static int remember_backup(const struct folder *f, const char *uuid, const char *path, struct kc_error *err)
{
	struct kc_known k;
	int r = load(f, uuid, &k, err);

	if (!r && !k.uuid[0])
		r = kc_fail(err, KC_DEVICE, "attach it once", "this host does not know volume %s", uuid);
	if (!r)
		r = add_last(&k.backups, &k.n_backups, BACKUPS_MAX, path, err);
	if (!r)
		r = replace(f, &k, err);
	kc_known_free(&k);
	return r;
}

int kc_known_backup(const struct kc_conf *c, const char *uuid, const char *path, struct kc_error *err)
{
	struct folder f;
	int r;

	if (!path_fits(path))
		return kc_fail(err, KC_USAGE, NULL,
			       "a path that is remembered is absolute, without control characters, and has at most %d bytes",
			       PATH_LEN_MAX);
	r = open_folder(c, true, &f, err);
	if (r)
		return r;
	if (flock(f.fd, LOCK_EX))
		r = io_failed(err, "lock", f.path);
	if (!r)
		r = remember_backup(&f, uuid, path, err);
	close_folder(&f);
	return r;
}

int kc_known_remove(const struct kc_conf *c, const char *uuid, struct kc_error *err)
{
	char name[KC_UUID_LEN + 8];
	struct folder f;
	int r = open_folder(c, false, &f, err);

	if (r || f.fd < 0)
		return r;
	snprintf(name, sizeof(name), "%s.json", uuid);
	if (flock(f.fd, LOCK_EX))
		r = io_failed(err, "lock", f.path);
	else if ((unlinkat(f.fd, name, 0) && errno != ENOENT) || fsync(f.fd))
		r = io_failed(err, "remove a volume from", f.path);
	close_folder(&f);
	return r;
}

static int is_volume(const struct dirent *d)
{
	return kc_matches("^" KC_UUID_RE "\\.json$", d->d_name);
}

int kc_known_each(const struct kc_conf *c, int (*fn)(const struct kc_known *k, void *data), void *data,
		  struct kc_error *err)
{
	struct dirent **names = NULL;
	struct folder f;
	int i, n = 0, r, stop = 0;

	r = open_folder(c, false, &f, err);
	if (!r && f.fd >= 0) {
		n = scandirat(f.fd, ".", &names, is_volume, alphasort);
		if (n < 0)
			r = io_failed(err, "list", f.path);
	}
	/* one damaged file does not hide the others; its error is returned after them */
	for (i = 0; i < n && !stop; i++) {
		struct kc_known k;
		int failed;

		names[i]->d_name[KC_UUID_LEN] = '\0';
		failed = load(&f, names[i]->d_name, &k, err);
		if (failed)
			r = r ? r : failed;
		else if (k.uuid[0])
			stop = fn(&k, data);
		kc_known_free(&k);
	}
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	close_folder(&f);
	return r;
}

/* An entry of allow_keys: the very key, or everything that a '*' at its end leaves open. */
static bool allows(const char *entry, const char *key)
{
	size_t len = strlen(entry);

	if (len && entry[len - 1] == '*')
		return !strncmp(entry, key, len - 1);
	return !strcmp(entry, key);
}

static bool pinned(const struct kc_conf *c, const struct kc_known *k, const char *named, const char *key)
{
	size_t i;

	for (i = 0; i < c->n_allow_keys; i++)
		if (allows(c->allow_keys[i], key))
			return true;
	for (i = 0; i < k->n_keys; i++)
		if (!strcmp(k->keys[i], key))
			return true;
	return named && !strcmp(named, key);
}

int kc_pin_age(const struct kc_token *t, const struct kc_known *k, struct kc_error *err)
{
	const struct kc_context *ctx = &t->binding.context;

	if (k->uuid[0] && ctx->generation < k->generation)
		return kc_fail(err, KC_TAMPERED, "an old header was put back: restore the newest one",
			       "token %d is of generation %" PRIu64 ", this host has seen %" PRIu64,
			       t->slot, ctx->generation, k->generation);
	if (k->uuid[0] && ctx->generation == k->generation && strcmp(t->lineage, k->lineage))
		return kc_fail(err, KC_TAMPERED, KC_NEXT_EDITED,
			       "token %d is for another data key (lineage %s) than this host knows the volume by (%s)",
			       t->slot, t->lineage, k->lineage);
	return 0;
}

int kc_pin_check(const struct kc_conf *c, const struct kc_token *t, const struct kc_known *k,
		 const char *named, struct kc_error *err)
{
	int r = kc_pin_age(t, k, err);

	if (r)
		return r;
	if (!pinned(c, k, named, t->binding.key))
		return kc_fail(err, KC_TAMPERED,
			       "if you trust this key, name it once with --key, or put allow_key into kcache.conf",
			       "token %d is under key %s, which this host does not pin", t->slot,
			       t->binding.key);
	return 0;
}
