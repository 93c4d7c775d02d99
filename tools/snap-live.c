// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking a snapshot of a volume in use, and clearing up.
 *
 * Whatever ends a snapshot in the middle, what it leaves are two mapped devices under the
 * volume, which works on: kc_snap_clear() is what the end of a snapshot, its cancelling,
 * the next one and detach have in common.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "blk.h"
#include "kcache.h"
#include "snap-cow.h"
#include "snap-live.h"
#include "stop.h"

/* what is written out within this is soon written out again, frozen */
#define SOON_MS 100
#define ROUNDS 4

int kc_snap_lock(const char *name, struct kc_error *err)
{
	char node[KC_DM_NAME_MAX + 16];
	int fd, e;

	snprintf(node, sizeof(node), "/dev/mapper/%s", name);
	fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		kc_fail(err, errno == EACCES ? KC_PERM : KC_DEVICE, NULL, "cannot open %s: %s", node, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		e = errno;
		close(fd);
		kc_fail(err, KC_BUSY, "wait for it, or end it", e == EWOULDBLOCK ?
			"a snapshot of it is being taken by another process" : "cannot lock it for a snapshot");
		return -1;
	}
	return fd;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Most of what is dirty goes to the disk now: while the file system is frozen, everybody waits for it. */
static void write_out(const struct kc_dm *d)
{
	char where[4096];
	uint64_t start;
	int fd, i;

	if (!kc_blk_mountpoint(d->dev, where, sizeof(where)))
		return;
	fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	for (i = 0; fd >= 0 && i < ROUNDS && !kc_stopped(); i++) {
		start = now_ms();
		if (syncfs(fd) || now_ms() - start < SOON_MS)
			break;
	}
	if (fd >= 0)
		close(fd);
}

int kc_snap_take(struct kc_run *r, const struct kc_dm *d, const char *id, uint64_t bytes, const char *folder,
		 struct kc_dm_snap *s, uint64_t *ms)
{
	struct kc_error *err = &r->err;
	struct kc_cow cow;
	int ret;

	ret = kc_cow_open(&cow, r, d, bytes, folder);
	if (!ret)
		ret = kc_stop_check(err);
	if (!ret)
		ret = kc_dm_snap_make(d, id, bytes, cow.dev, s, err);
	/* the snapshot keeps the store now */
	kc_cow_close(&cow);
	if (ret)
		return ret;
	write_out(d);
	ret = kc_stop_check(err);
	if (!ret)
		ret = kc_dm_move(d, s->origin_dev, true, ms, err);
	if (ret)
		kc_dm_snap_drop(s, false, NULL);
	return ret;
}

/* The volume leaves the origin, if it stands on one. */
static int put_back(const char *name, struct kc_error *err)
{
	char key[32];
	struct kc_dm d;
	bool found;

	/* a name that is somebody else's by now */
	if (kc_dm_get(name, &d, &found, NULL) || !found || !d.origin)
		return 0;
	if (kc_dm_word(d.info, "key", key, sizeof(key)) && strcmp(key, "valid") != 0)
		return kc_fail(err, KC_KEY_GONE, "detach it", "its key is %s, and no other table takes that", key);
	return kc_dm_move(&d, d.below, false, NULL, err);
}

int kc_snap_clear(const char *volume, const char *name, struct kc_error *err)
{
	struct kc_dm_snap s;
	int ret, fd, moved;

	moved = put_back(name, err);
	for (;;) {
		ret = kc_dm_snap_find(volume, volume ? NULL : name, &s, err);
		if (ret || !s.id[0])
			return ret ? ret : moved;
		fd = kc_cow_hold(s.cow);
		/* an origin with the volume on it goes when the volume does */
		ret = kc_dm_snap_drop(&s, moved != 0, err);
		kc_cow_blank(fd);
		if (ret || moved)
			return moved ? moved : ret;
	}
}
