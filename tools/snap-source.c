// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a snapshot copies. The header is no part of what dm-snapshot keeps: who changes it
 * writes to the volume's device, past the origin. So its blocks are read into memory at once,
 * looked at as attach does, and read again where a change was under way: any header that is
 * whole opens the data of the instant.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "header.h"
#include "kcache.h"
#include "snap-live.h"
#include "snap-source.h"
#include "stop.h"

/* a header that is being changed is whole again within this many looks at it */
#define HEADER_TRIES 5
#define HEADER_WAIT_US 20000

static const char mapper[] = "/dev/mapper/";

/* A word is a name in /dev/mapper; a path is a device, unless it is that of a volume. */
static const char *name_of(const char *arg)
{
	struct kc_dm d;
	bool found;

	if (!strchr(arg, '/'))
		return arg;
	if (strncmp(arg, mapper, strlen(mapper)) != 0 || strchr(arg + strlen(mapper), '/'))
		return "";
	return kc_dm_find(arg + strlen(mapper), &d, &found, NULL) == 0 && found ? arg + strlen(mapper) : "";
}

/* An attached volume, with nobody else at work on a snapshot of it. */
static int find_mapped(struct kc_source *s)
{
	struct kc_run *r = s->r;
	struct kc_error *err = &r->err;
	char key[32];
	bool found;
	int ret;

	ret = kc_dm_get(s->name, &s->d, &found, err);
	if (!ret && !found)
		ret = kc_fail(err, KC_DEVICE, "see kcache list; the device of one that is not attached is named by its path",
			      "no volume of this name is attached");
	if (ret)
		return ret;
	snprintf(s->volume, sizeof(s->volume), "%s", s->d.volume);
	if (s->d.suspended)
		return kc_fail(err, KC_BUSY, "resume it first", "it is suspended");
	if (strcmp(s->d.target, "kcache") != 0)
		return kc_fail(err, KC_DEVICE, "see dmsetup table", "its target is `%s', not kcache", s->d.target);
	if (!kc_dm_word(s->d.info, "key", key, sizeof(key)) || strcmp(key, "valid") != 0)
		return kc_fail(err, KC_KEY_GONE, "detach it, and copy its device", "its key is %s", key);
	s->lock = kc_snap_lock(s->name, err);
	if (s->lock < 0)
		return (int)err->code;
	kc_blk_name(s->d.below, r->device, sizeof(r->device));
	ret = kc_blk_open(r->device, &s->blk, err);
	s->bytes = s->blk.size;
	return ret;
}

static int load_header(struct kc_source *s, int fd, struct kc_header *h, struct kc_error *err)
{
	int ret = kc_header_load(fd, h, err);

	if (!ret && h->unfinished)
		ret = kc_fail(err, KC_DEVICE, "run kcache create on it again: it will be completed",
			      "its creation did not finish, there is no key on it yet");
	if (!ret && s->volume[0] && strcmp(s->volume, h->layout.uuid) != 0)
		ret = kc_fail(err, KC_TAMPERED, "see kcache dump", "its header is one of volume %s", h->layout.uuid);
	return ret;
}

static int find_unmapped(struct kc_source *s, const char *device)
{
	struct kc_error *err = &s->r->err;
	struct kc_header h = { 0 };
	int ret;

	snprintf(s->r->device, sizeof(s->r->device), "%s", device);
	ret = kc_blk_open(s->r->device, &s->blk, err);
	if (!ret)
		ret = kc_blk_refuse_leg(&s->blk, err);
	/* nobody attaches it meanwhile; whoever has it attached is named, and is to be named to us */
	if (!ret)
		ret = kc_blk_claim(&s->blk, false, err);
	if (!ret)
		ret = load_header(s, s->blk.fd, &h, err);
	if (!ret)
		snprintf(s->volume, sizeof(s->volume), "%s", h.layout.uuid);
	s->bytes = s->blk.size;
	kc_header_free(&h);
	return ret;
}

int kc_source_find(struct kc_source *s, struct kc_run *r, const char *arg)
{
	int ret;

	*s = (struct kc_source){
		.r = r,
		.name = name_of(arg),
		.lock = -1,
		.fd = -1,
		.header = -1,
		.blk = { .fd = -1, .claim_fd = -1 },
	};
	snprintf(r->volume, sizeof(r->volume), "%s", s->name);
	if (s->name[0])
		return find_mapped(s);
	ret = find_unmapped(s, arg);
	if (s->volume[0])
		snprintf(r->volume, sizeof(r->volume), "%s", s->volume);
	return ret;
}

void kc_source_close(struct kc_source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->header >= 0)
		close(s->header);
	if (s->r)
		kc_blk_close(&s->blk);
	if (s->r && s->lock >= 0)
		close(s->lock);
	s->fd = s->header = s->lock = -1;
}

int kc_source_take(struct kc_source *s, const char *id, const char *folder)
{
	int ret;

	if (!s->name[0])
		return 0;
	ret = kc_snap_take(s->r, &s->d, id, s->bytes, folder, &s->s, &s->ms);
	s->taken = !ret;
	return ret;
}

static int open_source(struct kc_source *s)
{
	struct kc_error *err = &s->r->err;
	char node[KC_DM_NAME_MAX + 16];

	if (!s->name[0]) {
		s->fd = dup(s->blk.fd);
		if (!s->blk.is_file)
			posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	} else {
		snprintf(node, sizeof(node), "%s%s", mapper, s->s.snap);
		/* past the page cache: what it shows must not be what was read of it before */
		s->fd = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	}
	return s->fd >= 0 ? 0 : kc_snap_io_failed(err, "open", s->name[0] ? node : s->r->device);
}

static int read_device(struct kc_source *s, uint64_t b, void *block, struct kc_error *err)
{
	const uint64_t at = b * KC_SNAP_BLOCK;
	const uint32_t len = kc_snap_len(s->m, b);

	if (!kc_snap_pread(s->fd, block, len, at)) {
		if (!s->name[0])
			posix_fadvise(s->fd, (off_t)at, len, POSIX_FADV_DONTNEED);
		return 0;
	}
	/* one that is lost gives errors: why is the better story */
	if (s->name[0] && kc_dm_snap_usage(&s->s, NULL, NULL, err)) {
		s->lost = true;
		return KC_DEVICE;
	}
	return kc_fail(err, KC_DEVICE, "check the device and its cabling (dmesg)", "cannot read it at byte %" PRIu64
		       ": %s", at, strerror(errno));
}

int kc_source_read(void *data, uint64_t b, void *block, struct kc_error *err)
{
	struct kc_source *s = data;

	/* the header's blocks were read before */
	if (b >= kc_snap_header(s->m))
		return read_device(s, b, block, err);
	if (kc_snap_pread(s->header, block, kc_snap_len(s->m, b), b * KC_SNAP_BLOCK))
		return kc_snap_io_failed(err, "read", "the header in memory");
	return 0;
}

int kc_source_good(void *data, struct kc_error *err)
{
	struct kc_source *s = data;
	int ret = s->name[0] ? kc_dm_snap_usage(&s->s, NULL, NULL, err) : 0;

	s->lost |= ret != 0;
	return ret;
}

/* The blocks of the header into memory, as they are now. */
static int stage_header(struct kc_source *s, void *block)
{
	struct kc_error *err = &s->r->err;
	uint64_t b;
	int ret = 0;

	for (b = 0; !ret && b < kc_snap_header(s->m); b++) {
		ret = read_device(s, b, block, err);
		if (!ret && kc_snap_pwrite(s->header, block, kc_snap_len(s->m, b), b * KC_SNAP_BLOCK))
			ret = kc_snap_io_failed(err, "keep", "the header in memory");
	}
	return ret;
}

/* What the device's header says about itself, for the map. */
static int look_at_header(struct kc_source *s, int fd, bool *damaged)
{
	struct kc_error *err = &s->r->err;
	struct kc_header h = { 0 };
	int ret = load_header(s, fd, &h, err);

	if (!ret && s->m->blocks && s->m->header != h.layout.offset)
		ret = kc_fail(err, KC_TAMPERED, "run it again", "its header has changed its length");
	if (!ret) {
		s->m->header = h.layout.offset;
		s->m->generation = h.tokens[0].binding.context.generation;
		snprintf(s->m->lineage, sizeof(s->m->lineage), "%s", h.tokens[0].lineage);
		*damaged = h.damaged_copy;
	}
	kc_header_free(&h);
	return ret;
}

/* Those that an earlier run has copied go with the header as it is now, or not at all. */
static int same_header(struct kc_source *s, void *block)
{
	struct kc_error *err = &s->r->err;
	uint8_t sum[KC_SNAP_SUM];
	int ret = 0;
	uint64_t b;

	/* the order of copying: from 1 on */
	for (b = 1; !ret && b < kc_snap_header(s->m) && b <= s->m->done; b++) {
		ret = kc_source_read(s, b, block, err);
		if (!ret)
			ret = kc_snap_sum(block, kc_snap_len(s->m, b), sum, err);
		if (!ret && memcmp(sum, s->m->sum[b], sizeof(sum)) != 0) {
			s->lost = true;
			ret = kc_fail(err, KC_BUSY, "run it again", "its header has changed since the copy was begun");
		}
	}
	return ret;
}

static int read_header(struct kc_source *s)
{
	struct kc_error *err = &s->r->err;
	bool damaged = false;
	void *block;
	int ret, i;

	s->header = kc_memfd("kcache-snapshot-header", s->bytes, err);
	if (s->header < 0)
		return (int)err->code;
	block = aligned_alloc(4096, KC_SNAP_BLOCK);
	if (!block)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for a block");
	for (i = 0;; i++) {
		kc_error_clear(err);
		ret = look_at_header(s, s->blk.fd, &damaged);
		if (!ret && !s->m->sum)
			ret = kc_snap_map_new(s->m, err);
		if (!ret)
			ret = stage_header(s, block);
		if (!ret)
			ret = look_at_header(s, s->header, &damaged);
		if ((!ret && !damaged) || s->lost || kc_stopped() || i + 1 == HEADER_TRIES)
			break;
		usleep(HEADER_WAIT_US);
	}
	if (!ret)
		ret = same_header(s, block);
	free(block);
	if (!ret && damaged)
		kc_warn(s->r, "one copy of its header is damaged, and so it is in the snapshot; the other one is good");
	return ret ? ret : kc_stop_check(err);
}

int kc_source_open(struct kc_source *s, struct kc_snap_map *m)
{
	int ret;

	s->m = m;
	ret = open_source(s);
	return ret ? ret : read_header(s);
}

int kc_source_stood(struct kc_source *s)
{
	struct kc_dm d;
	bool found;

	if (!s->name[0])
		return 0;
	if (kc_dm_get(s->name, &d, &found, NULL) == 0 && found && d.origin == s->s.origin_dev)
		return 0;
	s->lost = true;
	return kc_fail(&s->r->err, KC_BUSY, "run it again",
		       "somebody has given the volume another table meanwhile: the snapshot is lost");
}
