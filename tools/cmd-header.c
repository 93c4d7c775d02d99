// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache header backup and restore: the header area of a volume, both copies of the metadata and
 * the keyslots, to a file and back. The file is what cryptsetup luksHeaderBackup writes.
 *
 * A backup only reads, also of a volume that is attached. What is restored is checked by all
 * the rules that attach has before the first byte is written, and read back afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "area.h"
#include "audit.h"
#include "blk.h"
#include "header.h"
#include "kcache.h"
#include "pins.h"
#include "stop.h"

/**
 * struct header_verb - one backup or restore on its way
 * @file: the backup
 * @bytes, @len: the header area
 * @h: backup: of the device; restore: of the backup
 * @remembered: erase will list this backup
 */
struct header_verb {
	struct kc_run *r;
	const char *file;
	struct kc_blk blk;
	struct kc_header h;
	struct kc_known known;
	uint8_t *bytes;
	size_t len;
	bool remembered;
	bool written;
};

static void audit(const struct header_verb *v, const char *event, int ret)
{
	kc_audit_event(v->r, &(struct kc_event){
		.event = event,
		.volume = v->h.layout.uuid,
		.device = v->r->device,
		.name = v->file,
		.err = ret ? &v->r->err : NULL,
	});
}

static void done(struct header_verb *v)
{
	free(v->bytes);
	kc_known_free(&v->known);
	kc_header_free(&v->h);
	kc_blk_close(&v->blk);
}

static int unfinished(struct kc_run *r)
{
	return kc_fail(&r->err, KC_DEVICE, "run kcache create on it again: it will be completed",
		       "its creation did not finish, there is no key on it yet");
}

/* backup */

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* So that the name is there after a power cut, too. */
static int flush_folder(const char *file)
{
	char path[PATH_MAX];
	int fd, r;

	snprintf(path, sizeof(path), "%s", file);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* some filesystems cannot flush a folder, and do not have to */
	r = fsync(fd) && errno != EINVAL ? -1 : 0;
	close(fd);
	return r;
}

static int write_file(struct header_verb *v)
{
	struct kc_error *err = &v->r->err;
	int fd = open(v->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	bool ok;

	if (fd < 0 && errno == EEXIST)
		return kc_fail(err, KC_BUSY, "name a new file", "%s exists already", v->file);
	if (fd < 0)
		return kc_fail(err, errno == EACCES || errno == EPERM || errno == EROFS ? KC_PERM : KC_DEVICE, NULL,
			       "cannot create %s: %s", v->file, strerror(errno));
	ok = !write_all(fd, v->bytes, v->len) && !fsync(fd);
	if (close(fd))
		ok = false;
	if (ok && !flush_folder(v->file))
		return 0;
	kc_fail(err, KC_DEVICE, NULL, "cannot write %s: %s", v->file, strerror(errno));
	unlink(v->file);
	return KC_DEVICE;
}

/* What is in the file is what restore will read: proven while the device still has it. */
static int prove_file(struct header_verb *v)
{
	struct kc_error *err = &v->r->err;
	uint8_t *back = malloc(v->len);
	int fd = open(v->file, O_RDONLY | O_CLOEXEC), ret;

	if (!back || fd < 0)
		ret = kc_fail(err, back ? KC_DEVICE : KC_NOMEM, NULL, "cannot read %s back", v->file);
	else
		ret = kc_area_read(fd, 0, back, v->len, err);
	if (!ret && memcmp(back, v->bytes, v->len) != 0)
		ret = kc_fail(err, KC_DEVICE, "use another medium", "%s reads back differently from what was written",
			      v->file);
	if (fd >= 0)
		close(fd);
	if (ret)
		unlink(v->file);
	free(back);
	return ret;
}

static void remember(struct header_verb *v)
{
	struct kc_error err = { 0 };
	char *path = realpath(v->file, NULL);

	if (!path || kc_known_backup(&v->r->conf, v->h.layout.uuid, path, &err))
		kc_warn(v->r, "kcache erase will not list this backup: %s", path ? err.text : strerror(errno));
	else
		v->remembered = true;
	free(path);
}

static int backup(struct header_verb *v)
{
	struct kc_run *r = v->r;
	int ret;

	ret = kc_blk_open(r->device, &v->blk, &r->err);
	if (!ret)
		ret = kc_header_load(v->blk.fd, &v->h, &r->err);
	if (ret)
		return ret;
	snprintf(r->volume, sizeof(r->volume), "%s", v->h.layout.uuid);
	if (v->h.unfinished)
		return unfinished(r);
	kc_warn_damaged(r, &v->h);
	ret = kc_header_copy_area(&v->h, v->blk.fd, &v->bytes, &v->len, &r->err);
	if (!ret)
		ret = kc_stop_check(&r->err);
	if (!ret)
		ret = write_file(v);
	if (ret)
		return ret;
	v->written = true;
	ret = prove_file(v);
	if (!ret)
		remember(v);
	return ret;
}

static int print_backup(struct header_verb *v)
{
	struct json_object *o;

	if (!kc_given(v->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_str(o, "uuid", v->h.layout.uuid);
	kc_json_str(o, "device", v->r->device);
	kc_json_str(o, "file", v->file);
	kc_json_u64(o, "bytes", v->len);
	kc_json_u64(o, "generation", v->h.tokens[0].binding.context.generation);
	kc_json_int(o, "damaged_copy", v->h.damaged_copy);
	kc_json_bool(o, "remembered", v->remembered);
	return kc_json_print(v->r, o);
}

int cmd_header_backup(struct kc_run *r)
{
	struct header_verb v = { .r = r, .file = r->arg[1], .blk = { .fd = -1, .claim_fd = -1 }, .h = { .copy_fd = -1 } };
	char size[24];
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	kc_stop_install();
	ret = backup(&v);
	if (v.written)
		audit(&v, "createHeaderBackup", ret);
	if (!ret)
		ret = print_backup(&v);
	if (!ret)
		kc_say(r, "the header, %s, is in %s\nit opens the data as long as one of its KMS keys does, also after kcache erase: keep it as safe as the device",
		       kc_size_text(v.len, size), v.file);
	done(&v);
	return ret;
}

/* restore */

static int read_file(struct header_verb *v)
{
	struct kc_error *err = &v->r->err, why = { 0 };
	struct kc_blk b;
	int ret;

	ret = kc_blk_open(v->file, &b, &why);
	if (!ret) {
		/* an image of the whole device is as good: its start is what is wanted */
		v->len = b.size < KC_AREA_MAX ? (size_t)b.size : KC_AREA_MAX;
		v->bytes = malloc(v->len + 1);
		ret = v->bytes ? kc_area_read(b.fd, 0, v->bytes, v->len, &why) : kc_fail(&why, KC_NOMEM, NULL, "out of memory");
	}
	if (!ret)
		ret = kc_header_load_bytes(v->bytes, v->len, v->blk.size, &v->h, &why);
	kc_blk_close(&b);
	if (ret)
		return kc_fail(err, why.code, ret == KC_DEVICE ? "name a file that kcache header backup has written" : why.next,
			       "%.200s is no header for this device: %.500s", v->file, why.text);
	if (v->h.unfinished)
		return kc_fail(err, KC_DEVICE, "name another backup", "%s is of a create that did not finish, it has no key",
			       v->file);
	if (2 * v->h.area + v->h.keyslots > v->len)
		return kc_fail(err, KC_DEVICE, "name another backup", "%s has %zu bytes, the header in it needs %llu", v->file,
			       v->len, (unsigned long long)(2 * v->h.area + v->h.keyslots));
	if (2 * v->h.area + v->h.keyslots > v->h.layout.offset)
		return kc_fail(err, KC_TAMPERED, "name another backup", "the header in %s reaches into the data", v->file);
	v->len = 2 * v->h.area + v->h.keyslots;
	return 0;
}

static int wrong_volume(struct header_verb *v, const char *uuid)
{
	return kc_fail(&v->r->err, KC_DEVICE, "check that it is the right device and the right file; erase it first if it is",
		       "the backup is of volume %s, the device is volume %s", v->h.layout.uuid, uuid);
}

/* The device has a header that holds: it must be an older or newer one of the same volume. */
static int compare(struct header_verb *v, const struct kc_header *now)
{
	const struct kc_token *t = v->h.tokens;
	struct kc_error *err = &v->r->err;

	if (strcmp(now->layout.uuid, v->h.layout.uuid) != 0)
		return wrong_volume(v, now->layout.uuid);
	if (strcmp(now->layout_hex, v->h.layout_hex) != 0)
		return kc_fail(err, KC_TAMPERED, "name another backup",
			       "the backup has another layout than the device: with it the data could not be read");
	/* what a header says of itself anyone may have written: --force goes over it, but not over what this host knows */
	if (now->n_tokens && !kc_given(v->r, OPT_FORCE) &&
	    now->tokens[0].binding.context.generation > t->binding.context.generation)
		return kc_fail(err, KC_TAMPERED, "name a newer backup",
			       "the backup is of generation %llu, the header on the device of %llu",
			       (unsigned long long)t->binding.context.generation,
			       (unsigned long long)now->tokens[0].binding.context.generation);
	return 0;
}

/* No header that holds: does it say at least whose it is? */
static int compare_identity(struct header_verb *v)
{
	struct kc_error *err = &v->r->err;
	char uuid[KC_UUID_LEN + 1], found[300] = "";
	bool ours;
	int ret;

	if (kc_header_identity(v->blk.fd, uuid, &ours) && uuid[0])
		return strcmp(uuid, v->h.layout.uuid) ? wrong_volume(v, uuid) : 0;
	if (kc_given(v->r, OPT_FORCE))
		return 0;
	ret = kc_blk_blank(&v->blk, found, sizeof(found), err);
	if (ret)
		return ret;
	return kc_fail(err, KC_DEVICE, "if it is the right device, use --force",
		       "there is no header on it that says whether it is volume %s (%s)", v->h.layout.uuid,
		       found[0] ? found : "it is blank");
}

static int check_age(struct header_verb *v)
{
	bool pinned = false;
	unsigned int i;
	int ret;

	ret = kc_known_load(&v->r->conf, v->h.layout.uuid, &v->known, &v->r->err);
	for (i = 0; !ret && i < v->h.n_tokens; i++) {
		ret = kc_pin_age(&v->h.tokens[i], &v->known, &v->r->err);
		pinned |= !ret && !kc_pin_check(&v->r->conf, &v->h.tokens[i], &v->known, NULL, NULL);
	}
	if (!ret && !pinned)
		kc_warn(v->r, "this host pins none of its keys (%s, ...): name one with --key when you attach it",
			v->h.tokens[0].binding.key);
	return ret;
}

static int look(struct header_verb *v)
{
	struct kc_header now = { .copy_fd = -1 };
	struct kc_run *r = v->r;
	struct kc_error why = { 0 };
	int ret;

	ret = kc_blk_open(r->device, &v->blk, &r->err);
	if (!ret)
		ret = kc_blk_refuse_leg(&v->blk, &r->err);
	if (!ret)
		ret = kc_blk_claim(&v->blk, true, &r->err);
	if (!ret)
		ret = read_file(v);
	if (ret)
		return ret;
	snprintf(r->volume, sizeof(r->volume), "%s", v->h.layout.uuid);
	ret = kc_header_load(v->blk.fd, &now, &why);
	/* half of its data may be under a key that the file does not have */
	if (ret == KC_BUSY && !kc_given(r, OPT_FORCE))
		r->err = why;
	else
		ret = ret ? compare_identity(v) : compare(v, &now);
	kc_header_free(&now);
	return ret ? ret : check_age(v);
}

static int ask(struct header_verb *v)
{
	struct kc_run *r = v->r;
	char question[512];

	if (kc_given(r, OPT_DRY_RUN) || kc_given(r, OPT_FORCE))
		return 0;
	snprintf(question, sizeof(question), "The header on it will be replaced by the one of generation %llu, under %u KMS key%s.",
		 (unsigned long long)v->h.tokens[0].binding.context.generation, v->h.n_tokens, v->h.n_tokens == 1 ? "" : "s");
	if (kc_ask_yes(r, question))
		return 0;
	return kc_fail(&r->err, KC_PERM, "type YES at the question, or use --force in a script",
		       "it was not restored, as nobody has agreed to that");
}

/*
 * The keyslots, then one copy after the other: what is there at any moment is the header from
 * before, the new one, or nothing, where there was nothing before.
 */
static int put(struct header_verb *v)
{
	uint64_t area = v->h.area;
	struct kc_error *err = &v->r->err;
	struct kc_header h = { .copy_fd = -1 };
	int ret;

	/* the last point at which nothing has been written */
	if (kc_stop_check(err))
		return (int)err->code;
	v->written = true;
	ret = kc_area_write(&v->blk, 2 * area, v->bytes + 2 * area, v->len - 2 * area, err);
	if (!ret)
		ret = kc_area_write(&v->blk, area, v->bytes + area, area, err);
	if (!ret)
		ret = kc_area_write(&v->blk, 0, v->bytes, area, err);
	/* as attach will see it */
	if (!ret)
		ret = kc_header_load(v->blk.fd, &h, err);
	if (!ret && (h.damaged_copy || strcmp(h.layout_hex, v->h.layout_hex) || h.n_tokens != v->h.n_tokens ||
		     strcmp(h.tokens[0].mac, v->h.tokens[0].mac)))
		ret = kc_fail(err, KC_DEVICE, "the device does not keep what is written to it: replace it",
			      "the header reads back differently from what was written");
	kc_header_free(&h);
	return ret;
}

static int restore(struct header_verb *v)
{
	int ret;

	ret = look(v);
	if (!ret)
		ret = ask(v);
	if (ret || kc_given(v->r, OPT_DRY_RUN))
		return ret;
	/* both copies whole, whatever the file has */
	ret = kc_area_read(v->h.copy_fd, 0, v->bytes, 2 * v->h.area, &v->r->err);
	return ret ? ret : put(v);
}

static int print_restore(struct header_verb *v)
{
	bool dry = kc_given(v->r, OPT_DRY_RUN);
	struct json_object *o;

	if (!kc_given(v->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_str(o, "uuid", v->h.layout.uuid);
	kc_json_str(o, "device", v->r->device);
	kc_json_str(o, "file", v->file);
	kc_json_u64(o, "bytes", v->len);
	kc_json_u64(o, "generation", v->h.tokens[0].binding.context.generation);
	kc_json_bool(o, "restored", !dry);
	kc_json_bool(o, "dry_run", dry);
	return kc_json_print(v->r, o);
}

int cmd_header_restore(struct kc_run *r)
{
	struct header_verb v = { .r = r, .file = r->arg[1], .blk = { .fd = -1, .claim_fd = -1 }, .h = { .copy_fd = -1 } };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	kc_stop_install();
	ret = restore(&v);
	if (ret && v.written && !r->err.next[0])
		snprintf(r->err.next, sizeof(r->err.next), "run the same command again");
	/* an older header that was to be put back is worth an event, a slip of the keyboard is not */
	if (v.written || r->err.code == KC_TAMPERED)
		audit(&v, "restoreHeaderBackup", ret);
	if (!ret)
		ret = print_restore(&v);
	if (!ret && kc_given(r, OPT_DRY_RUN))
		kc_say(r, "the header in %s would be written to %s; nothing was changed", v.file, r->device);
	else if (!ret)
		kc_say(r, "the header in %s is on %s, and reads back as it should\nnext: kcache attach %s NAME", v.file, r->device,
		       r->device);
	done(&v);
	return ret;
}
