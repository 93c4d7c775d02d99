// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dm-snapshot under a volume.
 *
 * The snapshot is active before anything stands on the origin, and shows the device as it
 * is; what makes the instant is the moment in which the volume moves to the origin. The
 * origin comes up after the snapshot: it looks up its snapshots' chunk size, by which it
 * splits writes, only then.
 */
#include <errno.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "dm-private.h"
#include "dm-snap.h"

/* in the names of both, after the volume's: for people who see them in dmsetup ls */
#define MARK "-kcsnap-"
/* as libcryptsetup has them for its temporary devices */
#define HIDDEN (DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_OTHER_RULES_FLAG)

/* What a mapped device is: its UUID, number, and the first device that it stands on. */
struct mapped {
	char uuid[KC_DM_UUID_MAX];
	dev_t dev;
	dev_t below;
};

static bool examine(const char *name, struct mapped *m)
{
	struct dm_task *t = NULL;
	struct dm_deps *deps;
	struct dm_info info;
	bool found = false;

	memset(m, 0, sizeof(*m));
	if (kc_dm_new_task(&t, DM_DEVICE_DEPS, name, NULL))
		return false;
	if (kc_dm_run_task(t) == 0 && dm_task_get_info(t, &info) && info.exists) {
		found = true;
		snprintf(m->uuid, sizeof(m->uuid), "%s", dm_task_get_uuid(t) ? dm_task_get_uuid(t) : "");
		m->dev = makedev(info.major, info.minor);
		deps = dm_task_get_deps(t);
		if (deps && deps->count)
			m->below = (dev_t)deps->device[0];
	}
	dm_task_destroy(t);
	return found;
}

/* The store of a snapshot, whose table is "<origin> <COW> <kind> <chunk>". */
static dev_t cow_of(const char *name)
{
	char *target = NULL, *params = NULL;
	unsigned int ma = 0, mi = 0, origin_ma, origin_mi;
	uint64_t start, length;
	struct dm_task *t;

	if (kc_dm_new_task(&t, DM_DEVICE_TABLE, name, NULL))
		return 0;
	if (kc_dm_run_task(t) == 0) {
		dm_get_next_target(t, NULL, &start, &length, &target, &params);
		if (!params || sscanf(params, "%u:%u %u:%u", &origin_ma, &origin_mi, &ma, &mi) != 4)
			ma = mi = 0;
	}
	dm_task_destroy(t);
	return makedev(ma, mi);
}

/* "KCSNAP-<volume>-<id>-<kind>": the id and the kind; false if it is something else. */
static bool of_snapshot(const char *uuid, const char *volume, char id[static KC_UUID_LEN + 1], const char **kind)
{
	static const char hex[] = "0123456789abcdef";
	const char *p = uuid + strlen(KC_DM_SNAP_PREFIX);

	if (strncmp(uuid, KC_DM_SNAP_PREFIX, strlen(KC_DM_SNAP_PREFIX)) != 0 || strspn(p, hex) != 32 || p[32] != '-' ||
	    (volume && strncmp(p, volume, 32) != 0) || strspn(p + 33, hex) != 32 || p[65] != '-')
		return false;
	kc_dm_dash(p + 33, id);
	*kind = p + 66;
	return true;
}

/**
 * struct search - what kc_dm_snap_find() looks for
 * @volume: its UUID's digits, NULL for any
 * @stem: what the names begin with, NULL for any
 */
struct search {
	const char *volume;
	const char *stem;
	struct kc_dm_snap *s;
};

static int note_device(const char *name, void *data, struct kc_error *err)
{
	const struct search *want = data;
	struct kc_dm_snap *s = want->s;
	char id[KC_UUID_LEN + 1];
	struct mapped m;
	const char *kind;

	(void)err;
	/* by the name first: there may be thousands of others, each two calls */
	if (!strstr(name, MARK) || (want->stem && strncmp(name, want->stem, strlen(want->stem)) != 0))
		return 0;
	if (!examine(name, &m) || !of_snapshot(m.uuid, want->volume, id, &kind))
		return 0;
	/* of two, one at a time */
	if (s->id[0] && strcmp(s->id, id) != 0)
		return 0;
	snprintf(s->id, sizeof(s->id), "%s", id);
	if (strcmp(kind, "snap") == 0) {
		snprintf(s->snap, sizeof(s->snap), "%s", name);
		s->snap_dev = m.dev;
		s->cow = cow_of(name);
	} else if (strcmp(kind, "origin") == 0) {
		snprintf(s->origin, sizeof(s->origin), "%s", name);
		s->origin_dev = m.dev;
		s->below = m.below;
	}
	return 0;
}

/* What the names of both begin with. */
static void stem_of(const char *name, char stem[static KC_DM_NAME_MAX])
{
	snprintf(stem, KC_DM_NAME_MAX, "%.90s" MARK, name);
}

int kc_dm_snap_find(const char *volume, const char *name, struct kc_dm_snap *s, struct kc_error *err)
{
	char hex[33], stem[KC_DM_NAME_MAX];
	struct search want = { volume ? hex : NULL, name ? stem : NULL, NULL };

	memset(s, 0, sizeof(*s));
	want.s = s;
	kc_dm_undash(volume ? volume : "", hex);
	stem_of(name ? name : "", stem);
	return kc_dm_each_name(note_device, &want, err);
}

dev_t kc_dm_snap_below(dev_t dev)
{
	struct dm_task *t = NULL;
	struct dm_deps *deps;
	const char *uuid;

	if (kc_dm_new_task(&t, DM_DEVICE_DEPS, NULL, NULL))
		return dev;
	if (dm_task_set_major(t, (int)major(dev)) && dm_task_set_minor(t, (int)minor(dev)) && kc_dm_run_task(t) == 0) {
		uuid = dm_task_get_uuid(t);
		deps = dm_task_get_deps(t);
		if (uuid && strncmp(uuid, KC_DM_SNAP_PREFIX, strlen(KC_DM_SNAP_PREFIX)) == 0 && deps && deps->count)
			dev = (dev_t)deps->device[0];
	}
	dm_task_destroy(t);
	return dev;
}

/* Create, load and resume a device with one target, which nobody is to look at. */
static int make(const char *name, const char *uuid, uint64_t bytes, const char *target, const char *params,
		bool read_only, dev_t *dev, struct kc_error *err)
{
	struct dm_info info;
	uint32_t cookie = 0;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_CREATE, name, err);
	if (ret)
		return ret;
	if (!dm_task_set_uuid(t, uuid) || !dm_task_add_target(t, 0, bytes / 512, target, params) ||
	    (read_only && !dm_task_set_ro(t)) ||
	    !dm_task_set_cookie(t, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK | HIDDEN)) {
		dm_task_destroy(t);
		return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
	}
	e = kc_dm_run_task(t);
	dm_udev_wait(cookie);
	if (!e && !dm_task_get_info(t, &info))
		e = ENXIO;
	if (!e)
		*dev = makedev(info.major, info.minor);
	dm_task_destroy(t);
	dm_task_update_nodes();
	if (e == EINVAL)
		return kc_fail(err, KC_DEVICE, "as root: modprobe dm-snapshot; dmesg may have the reason",
			       "the kernel does not map a %s device for it", target);
	return e ? kc_dm_task_failed(err, e, "map a device for the snapshot") : 0;
}

int kc_dm_snap_make(const struct kc_dm *d, const char *id, uint64_t bytes, dev_t cow, struct kc_dm_snap *s,
		    struct kc_error *err)
{
	char volume[33], hex[33], stem[KC_DM_NAME_MAX], uuid[KC_DM_UUID_MAX], params[96];
	int ret;

	memset(s, 0, sizeof(*s));
	kc_dm_undash(d->volume, volume);
	kc_dm_undash(id, hex);
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->below = d->below;
	s->cow = cow;
	stem_of(d->name, stem);
	/* the id keeps two apart */
	snprintf(s->snap, sizeof(s->snap), "%.104s%.8s", stem, hex);
	snprintf(s->origin, sizeof(s->origin), "%.104s%.8s-origin", stem, hex);

	snprintf(uuid, sizeof(uuid), "%s%s-%s-snap", KC_DM_SNAP_PREFIX, volume, hex);
	snprintf(params, sizeof(params), "%u:%u %u:%u N %u", major(d->below), minor(d->below), major(cow), minor(cow),
		 KC_DM_SNAP_CHUNK);
	ret = make(s->snap, uuid, bytes, "snapshot", params, true, &s->snap_dev, err);
	if (ret) {
		s->snap[0] = s->origin[0] = '\0';
		return ret;
	}
	snprintf(uuid, sizeof(uuid), "%s%s-%s-origin", KC_DM_SNAP_PREFIX, volume, hex);
	snprintf(params, sizeof(params), "%u:%u", major(d->below), minor(d->below));
	ret = make(s->origin, uuid, bytes, "snapshot-origin", params, d->read_only, &s->origin_dev, err);
	if (ret) {
		s->origin[0] = '\0';
		kc_dm_snap_drop(s, false, NULL);
	}
	return ret;
}

int kc_dm_snap_usage(const struct kc_dm_snap *s, uint64_t *used, uint64_t *total, struct kc_error *err)
{
	char *target = NULL, *params = NULL, text[64];
	uint64_t start, length, u = 0, n = 0;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_STATUS, s->snap, err);
	if (ret)
		return ret;
	e = kc_dm_run_task(t);
	if (e) {
		dm_task_destroy(t);
		return e == ENXIO ? kc_fail(err, KC_DEVICE, "run it again", "somebody has removed the snapshot %s",
					    s->snap) :
				    kc_dm_task_failed(err, e, "ask for the state of the snapshot");
	}
	dm_get_next_target(t, NULL, &start, &length, &target, &params);
	snprintf(text, sizeof(text), "%s", params ? params : "");
	dm_task_destroy(t);
	/* "used/total metadata", in sectors; else a word: Invalid, Overflow, Unknown */
	if (sscanf(text, "%" SCNu64 "/%" SCNu64, &u, &n) != 2)
		return kc_fail(err, KC_DEVICE,
			       "give it more room with --cow-size or --cow, or take it when less is written; the volume is unharmed",
			       "what was overwritten meanwhile did not fit into the COW store, or it failed: the snapshot is lost (%s)",
			       text[0] ? text : "no status");
	if (used)
		*used = u * 512;
	if (total)
		*total = n * 512;
	return 0;
}

int kc_dm_snap_drop(struct kc_dm_snap *s, bool deferred, struct kc_error *err)
{
	int ret = 0;

	if (s->snap[0])
		ret = kc_dm_remove(s->snap, false, err);
	if (!ret)
		s->snap[0] = '\0';
	if (!ret && s->origin[0])
		ret = kc_dm_remove(s->origin, deferred, err);
	if (!ret)
		s->origin[0] = '\0';
	return ret;
}

/* The table of @d with another device: "<cipher> <key> <iv_offset> <device> <offset> ...". */
static int table_on(const struct kc_dm *d, dev_t below, char *text, size_t size, struct kc_error *err)
{
	const char *p = d->table, *rest;
	int word;

	for (word = 0; word < 3; word++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	rest = p + strcspn(p, " ");
	if (strcmp(d->target, "kcache") != 0 || !*rest)
		return kc_fail(err, KC_DEVICE, "see dmsetup table", "its table is not one of kcache alone: `%s'",
			       d->target);
	if ((size_t)snprintf(text, size, "%.*s%u:%u%s", (int)(p - d->table), d->table, major(below), minor(below),
			     rest) >= size)
		return kc_fail(err, KC_DEVICE, NULL, "its table is too long");
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/*
 * The loaded table comes into force. A resume of a device that runs suspends it first, so
 * that all of it is one system call: whoever kills us meanwhile leaves no device suspended
 * and no filesystem frozen.
 */
static int swap_tables(const char *name, bool freeze, uint64_t *us, struct kc_error *err)
{
	uint32_t cookie = 0;
	struct dm_task *t;
	uint64_t start;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_RESUME, name, err);
	if (ret)
		return ret;
	/* without the freeze, I/O that waits for a key goes on waiting in the other table */
	if ((!freeze && (!dm_task_skip_lockfs(t) || !dm_task_no_flush(t))) ||
	    !dm_task_set_cookie(t, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK)) {
		dm_task_destroy(t);
		return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
	}
	start = now_us();
	e = kc_dm_run_task(t);
	*us = now_us() - start;
	dm_udev_wait(cookie);
	dm_task_destroy(t);
	dm_task_update_nodes();
	/* EINVAL: it was not suspended, which is all that some kernels say */
	if ((e == EBUSY || e == EINVAL) && freeze)
		return kc_fail(err, KC_BUSY, "see dmesg, and whether somebody else has frozen it",
			       "the filesystem on it cannot be frozen");
	return e ? kc_dm_task_failed(err, e, "put another table in the place of its own") : 0;
}

int kc_dm_move(const struct kc_dm *d, dev_t below, bool freeze, uint64_t *ms, struct kc_error *err)
{
	char table[sizeof(d->table) + 32];
	uint64_t us = 0;
	int ret;

	ret = table_on(d, below, table, sizeof(table), err);
	/* the key comes from the module's cache: same mapped device, same description */
	if (!ret)
		ret = kc_dm_load(d->name, d->size, "kcache", table, d->read_only, err);
	if (!ret) {
		ret = swap_tables(d->name, freeze, &us, err);
		if (ret)
			kc_dm_clear(d->name, NULL);
	}
	if (ms)
		*ms = (us + 999) / 1000;
	return ret;
}
