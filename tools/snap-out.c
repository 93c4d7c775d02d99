// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the blocks of a snapshot go.
 *
 * The copy must not push out of the page cache what the host works with: what has been
 * written is started on its way to the disk at once and dropped one window later.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kcache.h"
#include "snap-out.h"

#define WINDOW (UINT64_C(16) << 20)

int kc_out_file(struct kc_out *o, const char *path, const struct kc_snap_map *m, bool resume, struct kc_error *err)
{
	*o = (struct kc_out){
		.kind = m->here ? KC_OUT_PACKED : KC_OUT_IMAGE,
		.path = path,
		.blk = { .fd = -1, .claim_fd = -1 },
	};
	/* ciphertext, but whose blocks change is nobody else's business */
	o->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (resume ? 0 : O_TRUNC), 0600);
	if (o->fd < 0)
		return kc_snap_io_failed(err, "make", path);
	if (m->here)
		o->at = resume ? kc_snap_file_size(m) : 0;
	if (ftruncate(o->fd, (off_t)(m->here ? o->at : m->size)))
		return kc_snap_io_failed(err, "make", path);
	o->flushed = o->at;
	return 0;
}

/* An error line begins with the device that it is about: another one is named in it. */
static const char *subject(const struct kc_run *r, const char *path)
{
	return strcmp(r->device, path) == 0 ? "it" : path;
}

static int may_overwrite(struct kc_out *o, struct kc_run *r)
{
	const char *name = subject(r, o->path);
	char found[512], question[640];
	int ret;

	ret = kc_blk_blank(&o->blk, found, sizeof(found), &r->err);
	if (ret || !found[0])
		return ret;
	snprintf(question, sizeof(question), "%s is not blank: %s. Everything on it will be lost.", name, found);
	if (kc_given(r, OPT_FORCE) || kc_ask_yes(r, question))
		return 0;
	return kc_fail(&r->err, KC_BUSY, "check that it is the right one, then use --force", "%s is not blank: %s",
		       name, found);
}

int kc_out_device(struct kc_out *o, struct kc_run *r, const char *path, const struct kc_snap_map *m)
{
	const char *name = subject(r, path);
	struct kc_error *err = &r->err;
	int ret;

	*o = (struct kc_out){ .kind = KC_OUT_DEVICE, .path = path, .fd = -1 };
	ret = kc_blk_open(path, &o->blk, err);
	if (!ret)
		ret = kc_blk_refuse_leg(&o->blk, err);
	if (!ret && o->blk.zoned)
		ret = kc_fail(err, KC_DEVICE, NULL, "zoned devices are not supported");
	if (!ret && o->blk.size < m->size)
		ret = kc_fail(err, KC_DEVICE, "use a larger one", "%s has %" PRIu64 " bytes, %" PRIu64 " are needed",
			      name, o->blk.size, m->size);
	if (!ret)
		ret = kc_blk_claim(&o->blk, true, err);
	if (ret)
		return ret;
	o->fd = o->blk.claim_fd;
	return may_overwrite(o, r);
}

/* In the fastest way that the device or file system has, which on a sparse one takes no room. */
static int put_zeros(struct kc_out *o, uint64_t at, uint64_t len, struct kc_error *err)
{
	uint64_t range[2] = { at, len };
	static const char zeros[65536];
	uint64_t n;

	if (o->blk.is_file ? !fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len) :
			     !ioctl(o->fd, BLKZEROOUT, range))
		return 0;
	for (; len; at += n, len -= n) {
		n = len < sizeof(zeros) ? len : sizeof(zeros);
		if (kc_snap_pwrite(o->fd, zeros, n, at))
			return kc_snap_io_failed(err, "write", o->path);
	}
	return 0;
}

int kc_out_begin(struct kc_out *o, const struct kc_snap_map *m, struct kc_error *err)
{
	int ret;

	if (o->kind != KC_OUT_DEVICE)
		return 0;
	ret = kc_blk_wipe_signatures(&o->blk, err);
	if (!ret)
		ret = put_zeros(o, 0, kc_snap_len(m, 0), err);
	if (!ret && fsync(o->fd))
		ret = kc_snap_io_failed(err, "write", o->path);
	return ret;
}

/* Ahead of the next window: this one goes to the disk, the one before has arrived there. */
static void give_back(struct kc_out *o, uint64_t end)
{
	if (end < o->flushed + WINDOW && end > o->flushed)
		return;
	sync_file_range(o->fd, (off_t)o->flushed, 0, SYNC_FILE_RANGE_WRITE);
	if (o->flushed >= WINDOW) {
		const off_t before = (off_t)(o->flushed - WINDOW);

		sync_file_range(o->fd, before, (off_t)WINDOW, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
							      SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(o->fd, before, (off_t)WINDOW, POSIX_FADV_DONTNEED);
	}
	o->flushed = end;
}

int kc_out_put(struct kc_out *o, const struct kc_snap_map *m, uint64_t b, const void *data, struct kc_error *err)
{
	const uint64_t at = o->kind == KC_OUT_PACKED ? o->at : b * KC_SNAP_BLOCK;
	const uint32_t len = kc_snap_len(m, b);

	if (o->kind == KC_OUT_NONE)
		return 0;
	if (kc_snap_is_zero(m, b))
		return o->kind == KC_OUT_DEVICE ? put_zeros(o, at, len, err) : 0;
	if (o->kind == KC_OUT_PACKED && !kc_snap_has(m, b))
		return 0;
	if (kc_snap_pwrite(o->fd, data, len, at))
		return kc_snap_io_failed(err, "write", o->path);
	o->at += len;
	o->bytes += len;
	give_back(o, at + len);
	return 0;
}

int kc_out_sync(struct kc_out *o, struct kc_error *err)
{
	return o->kind == KC_OUT_NONE || !fsync(o->fd) ? 0 : kc_snap_io_failed(err, "write", o->path);
}

void kc_out_close(struct kc_out *o)
{
	if (o->kind == KC_OUT_DEVICE)
		kc_blk_close(&o->blk);
	else if (o->kind != KC_OUT_NONE && o->fd >= 0)
		close(o->fd);
	o->kind = KC_OUT_NONE;
}
