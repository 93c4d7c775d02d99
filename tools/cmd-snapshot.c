// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache snapshot: header and ciphertext of a volume at one instant, while it is in use.
 *
 * Under the volume dm-snapshot keeps what is overwritten; what it shows is copied block by
 * block, and then the volume stands on its own device again. No key is needed for any of
 * it. A volume that is not attached is copied as it lies there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "kcache.h"
#include "snap-chain.h"
#include "snap-copy.h"
#include "snap-live.h"
#include "snap-source.h"
#include "stop.h"

/* where the COW store of a copy to a device goes, without --cow */
#define FOLDER_DEFAULT "/var/tmp"

/**
 * struct snapshot - one on its way
 * @src: what is copied
 * @file: where to
 * @to_device: no file of our own: no incremental, and a map only with --map
 * @part, @map, @map_part: files beside @file; the map's are empty where there is none
 * @resumed: an earlier run took it
 */
struct snapshot {
	struct kc_run *r;
	struct kc_source src;
	const char *file;
	bool to_device;
	struct kc_snap_map m, parent;
	struct kc_out out;
	int map_fd;
	char part[KC_SNAP_PATH_MAX], map[KC_SNAP_PATH_MAX], map_part[KC_SNAP_PATH_MAX];
	bool resumed;
};

int check_snapshot(struct kc_run *r)
{
	static const enum kc_opt copies[] = { OPT_PARENT, OPT_MAP, OPT_COW, OPT_COW_SIZE, OPT_KEEP, OPT_FORCE };
	const bool cancel = kc_given(r, OPT_CANCEL);
	size_t i;

	if (cancel && strncmp(r->arg[0], "/dev/mapper/", 12) == 0)
		r->arg[0] += 12;
	for (i = 0; cancel && i < sizeof(copies) / sizeof(copies[0]); i++)
		if (kc_given(r, copies[i]))
			return kc_fail(&r->err, KC_USAGE, NULL, "--cancel copies nothing: --%s does not go with it",
				       kc_options[copies[i]].name);
	if (cancel != (r->n_arg == 1))
		return kc_fail(&r->err, KC_USAGE, NULL, cancel ?
			       "--cancel takes the name of a volume and nothing else" :
			       "where to is missing; usage: kcache snapshot NAME FILE|DEVICE [options]");
	return cancel || !strchr(r->arg[0], '/') ? kc_dm_check_name(r->arg[0], &r->err) : 0;
}

static int choose_id(char id[static KC_UUID_LEN + 1], struct kc_error *err)
{
	uint8_t u[16];

	if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
		return kc_fail(err, KC_NOMEM, NULL, "the kernel gives no random bytes");
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	snprintf(id, KC_UUID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
		 u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return 0;
}

/* --- where it goes ------------------------------------------------------------ */

static int exists(struct snapshot *s, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0 || kc_given(s->r, OPT_FORCE))
		return 0;
	return kc_fail(&s->r->err, KC_BUSY, "name another file, or use --force to replace it", "%s exists", path);
}

/* Never onto the volume itself: the copy would grow what it copies. */
static int refuse_itself(struct snapshot *s, const char *path, dev_t dev)
{
	if (!s->src.name[0] || !kc_blk_lies_on(dev, s->src.d.dev))
		return 0;
	return kc_fail(&s->r->err, KC_BUSY, "name a place on another disk", "%s lies on the volume itself", path);
}

static int choose_paths(struct snapshot *s)
{
	const char *map = s->r->opt[OPT_MAP];
	struct kc_error *err = &s->r->err;
	char folder[KC_SNAP_PATH_MAX];
	struct stat st;
	int ret = 0;

	s->file = s->r->arg[1];
	if (stat(s->file, &st) == 0) {
		s->to_device = S_ISBLK(st.st_mode);
		if (!s->to_device && !S_ISREG(st.st_mode))
			return kc_fail(err, KC_DEVICE, NULL, "%s is neither a block device nor a file", s->file);
	}
	if (s->to_device && kc_given(s->r, OPT_PARENT))
		return kc_fail(err, KC_USAGE, "name a file", "an incremental is a file, %s is a device", s->file);
	if (!s->to_device)
		ret = kc_snap_path(s->part, s->file, ".part", err);
	if (!ret && (map || !s->to_device))
		ret = kc_snap_path(s->map, map ? map : s->file, map ? "" : ".map", err);
	if (!ret && s->map[0])
		ret = kc_snap_path(s->map_part, s->map, ".part", err);
	if (!ret && !s->to_device)
		ret = exists(s, s->file);
	if (!ret && s->map[0])
		ret = exists(s, s->map);
	if (ret)
		return ret;
	if (s->to_device)
		return refuse_itself(s, s->file, st.st_rdev);
	snprintf(folder, sizeof(folder), "%s", s->file);
	if (stat(dirname(folder), &st))
		return kc_fail(err, KC_DEVICE, NULL, "cannot make %s: %s", s->file, strerror(errno));
	return refuse_itself(s, s->file, st.st_dev);
}

static int load_parent(struct snapshot *s)
{
	struct kc_error *err = &s->r->err;
	char map[KC_SNAP_PATH_MAX];
	struct stat old, st;
	int ret;

	if (!kc_given(s->r, OPT_PARENT))
		return 0;
	ret = kc_snap_path(map, s->r->opt[OPT_PARENT], ".map", err);
	/* the map says all that has to be known: its blocks may be in a vault by now */
	if (!ret)
		ret = kc_snap_load(map, &s->parent, err);
	if (!ret && stat(map, &old) == 0 && stat(s->map, &st) == 0 && old.st_ino == st.st_ino && old.st_dev == st.st_dev)
		ret = kc_fail(err, KC_USAGE, "name another file", "%s would take the place of its own parent", s->file);
	if (!ret && strcmp(s->parent.volume, s->src.volume) != 0)
		ret = kc_fail(err, KC_TAMPERED, "name a snapshot of this volume with --parent",
			      "%s is a snapshot of volume %s, not of %s", s->r->opt[OPT_PARENT], s->parent.volume,
			      s->src.volume);
	if (!ret && s->parent.size != s->src.bytes)
		ret = kc_fail(err, KC_TAMPERED, "take a full snapshot",
			      "its device has %" PRIu64 " bytes, but had %" PRIu64 " when %s was taken", s->src.bytes,
			      s->parent.size, s->r->opt[OPT_PARENT]);
	return ret;
}

/* --- the instant -------------------------------------------------------------- */

/* What an earlier run has left is of the same copy, and as good as on the first day. */
static bool goes_on(struct snapshot *s)
{
	int fd = open(s->map_part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool good;

	if (fd < 0)
		return false;
	good = kc_snap_map_read(fd, s->map_part, true, &s->m, NULL) == 0 && strcmp(s->m.id, s->src.s.id) == 0 &&
	       s->m.size == s->src.bytes && strcmp(s->m.parent, s->parent.id) == 0 &&
	       strcmp(s->m.parent_sum, s->parent.own_sum) == 0 && access(s->part, F_OK) == 0;
	close(fd);
	if (!good)
		kc_snap_map_free(&s->m);
	return good;
}

static int find_left(struct snapshot *s)
{
	struct kc_error *err = &s->r->err;
	int ret;

	ret = kc_dm_snap_find(s->src.volume, NULL, &s->src.s, err);
	if (ret || !s->src.s.id[0])
		return ret;
	if (s->src.s.snap[0] && s->src.s.origin[0] && s->src.d.origin == s->src.s.origin_dev && !s->to_device &&
	    kc_dm_snap_usage(&s->src.s, NULL, NULL, NULL) == 0 && goes_on(s)) {
		s->resumed = s->src.taken = true;
		kc_say(s->r, "kcache: %s: going on with the snapshot of %s", s->src.name, s->m.created);
		return 0;
	}
	kc_say(s->r, "kcache: %s: an earlier snapshot did not end: clearing it away", s->src.name);
	ret = kc_snap_clear(s->src.volume, s->src.name, err);
	memset(&s->src.s, 0, sizeof(s->src.s));
	/* it stands on its device again */
	return ret ? ret : kc_dm_get(s->src.name, &s->src.d, &(bool){ false }, err);
}

static int take(struct snapshot *s)
{
	struct kc_error *err = &s->r->err;
	char folder[KC_SNAP_PATH_MAX], id[KC_UUID_LEN + 1];
	int ret;

	ret = choose_id(id, err);
	if (ret)
		return ret;
	snprintf(folder, sizeof(folder), "%s", s->file);
	ret = kc_source_take(&s->src, id, s->to_device ? FOLDER_DEFAULT : dirname(folder));
	if (ret)
		return ret;
	if (s->src.taken)
		kc_say(s->r, "kcache: %s: frozen for %" PRIu64 " ms", s->src.name, s->src.ms);

	snprintf(s->m.id, sizeof(s->m.id), "%s", id);
	snprintf(s->m.parent, sizeof(s->m.parent), "%s", s->parent.id);
	snprintf(s->m.parent_sum, sizeof(s->m.parent_sum), "%s", s->parent.own_sum);
	snprintf(s->m.volume, sizeof(s->m.volume), "%s", s->src.volume);
	kc_now(s->m.created);
	s->m.size = s->src.bytes;
	return 0;
}

/* --- the copy ------------------------------------------------------------------- */

static int open_out(struct snapshot *s)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (s->resumed ? 0 : O_TRUNC);
	struct kc_error *err = &s->r->err;
	int ret = 0;

	/* a device was opened before anything was frozen */
	if (!s->to_device)
		ret = kc_out_file(&s->out, s->part, &s->m, s->resumed, err);
	if (!ret && s->map[0]) {
		s->map_fd = open(s->map_part, flags, 0600);
		ret = s->map_fd < 0 ? kc_snap_io_failed(err, "make", s->map_part) : 0;
	}
	/* so that an interrupted one is known again from the first moment on */
	if (!ret && s->map[0] && !s->resumed)
		ret = kc_snap_map_write(s->map_fd, s->map_part, &s->m, 0, err);
	return ret ? ret : kc_out_begin(&s->out, &s->m, err);
}

static int put_in_place(struct snapshot *s, const char *from, const char *to)
{
	struct kc_error *err = &s->r->err;
	char folder[KC_SNAP_PATH_MAX];
	int fd, ret = 0;

	if (rename(from, to))
		return kc_snap_io_failed(err, "make", to);
	snprintf(folder, sizeof(folder), "%s", to);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		ret = kc_snap_io_failed(err, "write", to);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int copy(struct snapshot *s)
{
	struct kc_copy c = {
		.read = kc_source_read,
		.good = kc_source_good,
		.data = &s->src,
		.parent = s->parent.sum ? &s->parent : NULL,
		.made = &s->m,
		.map = &s->m,
		.out = &s->out,
		.map_fd = s->map_fd,
		.map_path = s->map_part,
	};
	int ret;

	ret = open_out(s);
	c.map_fd = s->map_fd;
	if (!ret)
		ret = kc_copy(&c, s->r);
	if (!ret)
		ret = kc_source_stood(&s->src);
	/* the file last: where it is, there is its map */
	if (!ret && s->map[0])
		ret = put_in_place(s, s->map_part, s->map);
	if (!ret && !s->to_device)
		ret = put_in_place(s, s->part, s->file);
	return ret;
}

/*
 * What a failed copy leaves. With --keep what was taken stays, and the same command goes on with
 * it; but not what is lost already, and not what has not got so far that there is a map of it.
 */
static bool stays(const struct snapshot *s)
{
	return kc_given(s->r, OPT_KEEP) && s->src.taken && !s->src.lost && !s->to_device && s->map_fd >= 0;
}

static int end(struct snapshot *s, int ret)
{
	struct kc_error after = { 0 };

	/* before what it reads is to go */
	if (s->src.fd >= 0)
		close(s->src.fd);
	s->src.fd = -1;
	if (ret && stays(s)) {
		kc_say(s->r, "kcache: %s: what was copied stays: the same command goes on with it, kcache snapshot --cancel %s clears it away",
		       s->src.name, s->src.name);
		return ret;
	}
	if (ret && s->part[0] && s->out.kind != KC_OUT_NONE)
		unlink(s->part);
	if (ret && s->map_fd >= 0)
		unlink(s->map_part);
	if (!s->src.taken || !kc_snap_clear(s->src.volume, s->src.name, &after))
		return ret;
	if (ret) {
		kc_warn(s->r, "and the volume still stands on what was made for the snapshot: %s", after.text);
		return ret;
	}
	return kc_fail(&s->r->err, after.code, "detach it when that is possible",
		       "the snapshot is complete, but the volume still stands on what was made for it: %s", after.text);
}

static int snapshot(struct snapshot *s)
{
	struct kc_error *err = &s->r->err;
	int ret;

	ret = kc_source_find(&s->src, s->r, s->r->arg[0]);
	if (!ret)
		ret = choose_paths(s);
	if (!ret)
		ret = load_parent(s);
	if (!ret && s->src.name[0])
		ret = find_left(s);
	if (!ret && s->to_device) {
		s->m.size = s->src.bytes;
		ret = kc_out_device(&s->out, s->r, s->file, &s->m);
	}
	if (!ret)
		ret = kc_stop_check(err);
	if (!ret && !s->resumed)
		ret = take(s);
	if (!ret)
		ret = kc_source_open(&s->src, &s->m);
	if (!ret)
		ret = copy(s);
	if (ret && kc_stopped())
		ret = kc_stop_check(err);
	return ret;
}

static uint64_t changed(const struct kc_snap_map *m)
{
	uint64_t b, n = 0;

	for (b = 0; b < m->blocks; b++)
		n += kc_snap_has(m, b);
	return n;
}

static int print_result(struct snapshot *s)
{
	const uint64_t stored = s->to_device ? s->out.bytes : 0;
	struct json_object *o;
	uint64_t bytes = stored, b;
	char size[24], all[24];

	/* a resumed one has written the rest only */
	for (b = 0; !s->to_device && b < s->m.blocks; b++)
		if (kc_snap_stored(&s->m, b))
			bytes += kc_snap_len(&s->m, b);
	kc_say(s->r, "kcache: %s: %s of %s in %s", s->r->volume, kc_size_text(bytes, size),
	       kc_size_text(s->src.bytes, all), s->file);
	if (!kc_given(s->r, OPT_JSON)) {
		puts(s->m.id);
		return 0;
	}
	o = kc_json_new();
	kc_json_str(o, "snapshot", s->m.id);
	kc_json_str(o, "parent", s->m.parent);
	kc_json_str(o, "uuid", s->src.volume);
	kc_json_str(o, "name", s->src.name);
	kc_json_str(o, "device", s->r->device);
	kc_json_str(o, "path", s->file);
	kc_json_str(o, "map", s->map);
	kc_json_str(o, "created", s->m.created);
	kc_json_u64(o, "size", s->src.bytes);
	kc_json_u64(o, "stored_bytes", bytes);
	kc_json_u64(o, "blocks", s->m.blocks);
	kc_json_u64(o, "changed_blocks", changed(&s->m));
	kc_json_u64(o, "frozen_ms", s->src.ms);
	kc_json_bool(o, "resumed", s->resumed);
	return kc_json_print(s->r, o);
}

/* --cancel: whatever is left of earlier ones. */
static int clear_left(struct kc_run *r)
{
	struct kc_error *err = &r->err;
	const char *name = r->arg[0];
	struct kc_dm_snap left;
	bool found, was_there;
	struct kc_dm d;
	int lock = -1, ret;

	snprintf(r->volume, sizeof(r->volume), "%s", name);
	ret = kc_dm_find(name, &d, &found, err);
	if (!ret && found) {
		lock = kc_snap_lock(name, err);
		ret = lock < 0 ? (int)err->code : 0;
	}
	if (!ret)
		ret = kc_dm_snap_find(found ? d.volume : NULL, name, &left, err);
	was_there = !ret && (left.id[0] || (found && d.origin));
	if (!ret)
		ret = kc_snap_clear(found ? d.volume : NULL, name, err);
	if (lock >= 0)
		close(lock);
	if (ret || !kc_given(r, OPT_JSON)) {
		if (!ret)
			kc_say(r, "kcache: %s: %s", name, was_there ? "the snapshot is cancelled; its .part files may be removed" :
				"there was no snapshot to cancel");
		return ret;
	}
	struct json_object *o = kc_json_new();

	kc_json_str(o, "name", name);
	kc_json_str(o, "snapshot", left.id);
	kc_json_bool(o, "cancelled", was_there);
	return kc_json_print(r, o);
}

int cmd_snapshot(struct kc_run *r)
{
	struct snapshot s = {
		.r = r,
		.map_fd = -1,
	};
	int ret;

	if (kc_given(r, OPT_CANCEL))
		return clear_left(r);
	kc_stop_install();
	ret = end(&s, snapshot(&s));
	/* what is no volume at all is a slip of the keyboard, not an event */
	if (s.src.volume[0])
		kc_audit_event(r, &(struct kc_event){
			.event = "createSnapshot",
			.volume = s.src.volume,
			.device = r->device,
			.name = s.src.name,
			.snapshot = s.m.id,
			.file = s.file,
			.err = ret ? &r->err : NULL,
		});
	if (!ret)
		ret = print_result(&s);
	kc_out_close(&s.out);
	kc_snap_map_free(&s.m);
	kc_snap_map_free(&s.parent);
	if (s.map_fd >= 0)
		close(s.map_fd);
	kc_source_close(&s.src);
	return ret;
}
