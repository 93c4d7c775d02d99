// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a chain. Each block comes from the newest link that has it; whether that is
 * right is decided by the newest map alone, which knows every block of its instant.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "header-private.h"
#include "snap-chain.h"

#define NEXT_CHAIN "give all files of the chain, the full one first, then each one that was made with --parent of the one before"

int kc_snap_path(char path[static KC_SNAP_PATH_MAX], const char *file, const char *suffix, struct kc_error *err)
{
	if ((size_t)snprintf(path, KC_SNAP_PATH_MAX, "%s%s", file, suffix) >= KC_SNAP_PATH_MAX)
		return kc_fail(err, KC_USAGE, NULL, "the path of the snapshot's file is too long");
	return 0;
}

int kc_snap_load(const char *path, struct kc_snap_map *m, struct kc_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int ret;

	if (fd < 0)
		return kc_fail(err, errno == EACCES ? KC_PERM : KC_DEVICE, "it is made together with the snapshot",
			       "cannot open the map %s: %s", path, strerror(errno));
	ret = kc_snap_map_read(fd, path, false, m, err);
	close(fd);
	return ret;
}

static int check_size(const struct kc_link *l, struct kc_error *err)
{
	const uint64_t want = kc_snap_file_size(&l->m);
	uint64_t size = 0;
	int ret;

	ret = kc_device_size(l->fd, &size, err);
	if (!ret && size < want)
		ret = kc_fail(err, KC_TAMPERED, "use another copy of it", "%s has %" PRIu64 " bytes, not %" PRIu64
			      ": it is cut off", l->path, size, want);
	return ret;
}

static int open_link(struct kc_link *l, const char *file, const char *map, struct kc_error *err)
{
	char beside[KC_SNAP_PATH_MAX];
	int ret;

	l->path = file;
	l->fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0)
		return kc_fail(err, errno == EACCES ? KC_PERM : KC_DEVICE, NULL, "cannot open the snapshot %s: %s",
			       file, strerror(errno));
	posix_fadvise(l->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (!map) {
		ret = kc_snap_path(beside, file, ".map", err);
		if (ret)
			return ret;
		map = beside;
	}
	ret = kc_snap_load(map, &l->m, err);
	return ret ? ret : check_size(l, err);
}

/* Does @l build on @on, which is NULL for the first? */
static int check_link(const struct kc_link *l, const struct kc_link *on, struct kc_error *err)
{
	if (!on)
		return !l->m.parent[0] ? 0 : kc_fail(err, KC_TAMPERED, NEXT_CHAIN,
			"%s is an incremental: snapshot %s, which it builds on, is missing before it", l->path,
			l->m.parent);
	if (!l->m.parent[0])
		return kc_fail(err, KC_TAMPERED, NEXT_CHAIN, "%s is a full snapshot: it builds on none before it",
			       l->path);
	if (strcmp(l->m.parent, on->m.id) != 0)
		return kc_fail(err, KC_TAMPERED, NEXT_CHAIN, "%s builds on snapshot %s, but %s is snapshot %s", l->path,
			       l->m.parent, on->path, on->m.id);
	if (strcmp(l->m.parent_sum, on->m.own_sum) != 0 || strcmp(l->m.volume, on->m.volume) != 0 ||
	    l->m.size != on->m.size)
		return kc_fail(err, KC_TAMPERED, "use the map that was there when the incremental was made",
			       "%s builds on another map of snapshot %s than that of %s", l->path, l->m.parent,
			       on->path);
	return 0;
}

int kc_chain_open(struct kc_chain *c, const char *const *files, size_t n, const char *map, struct kc_error *err)
{
	int ret = 0;

	c->n = 0;
	c->link = calloc(n, sizeof(*c->link));
	if (!c->link)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a chain of %zu snapshots", n);
	while (!ret && c->n < n) {
		struct kc_link *l = &c->link[c->n];

		c->n++;
		ret = open_link(l, files[c->n - 1], map, err);
		if (!ret)
			ret = check_link(l, c->n > 1 ? l - 1 : NULL, err);
	}
	return ret;
}

void kc_chain_close(struct kc_chain *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		if (c->link[i].fd >= 0)
			close(c->link[i].fd);
		kc_snap_map_free(&c->link[i].m);
	}
	free(c->link);
	c->link = NULL;
	c->n = 0;
}

const struct kc_snap_map *kc_chain_map(const struct kc_chain *c)
{
	return &c->link[c->n - 1].m;
}

int kc_chain_read(struct kc_chain *c, uint64_t b, void *data, struct kc_error *err)
{
	const struct kc_snap_map *m = kc_chain_map(c);
	const uint32_t len = kc_snap_len(m, b);
	struct kc_link *from = NULL;
	uint8_t sum[KC_SNAP_SUM];
	uint64_t at = 0;
	size_t i;
	int ret;

	for (i = 0; i < c->n; i++) {
		struct kc_link *l = &c->link[i];

		if (!kc_snap_has(&l->m, b))
			continue;
		from = l;
		at = l->m.here ? l->at : b * KC_SNAP_BLOCK;
		if (kc_snap_stored(&l->m, b))
			l->at += len;
	}
	if (!from)	/* a full one has all of them */
		return kc_fail(err, KC_TAMPERED, NEXT_CHAIN, "no link of the chain has block %" PRIu64, b);
	memset(data, 0, len);
	if (!kc_snap_is_zero(&from->m, b)) {
		if (kc_snap_pread(from->fd, data, len, at))
			return kc_snap_io_failed(err, "read", from->path);
		posix_fadvise(from->fd, (off_t)at, len, POSIX_FADV_DONTNEED);
	}
	ret = kc_snap_sum(data, len, sum, err);
	if (!ret && memcmp(sum, m->sum[b], sizeof(sum)) != 0)
		ret = kc_fail(err, KC_TAMPERED, "use another copy of it",
			      "%s is damaged: block %" PRIu64 " (byte %" PRIu64 ") is not what was copied", from->path,
			      b, at);
	return ret;
}
