// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache resize: an attached volume takes over the size its device has now, or a size
 * that is given. The key comes from the kernel's key cache: no KMS is asked, and
 * nothing is written, since a header of ours says "to the end of the device".
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "blk.h"
#include "kcache.h"
#include "live.h"
#include "loop.h"
#include "size.h"
#include "stop.h"

/**
 * struct resize - one resize on its way
 * @start: where the data begins on the device below, bytes
 * @room: what it has room for from there, bytes
 * @want: the size to be
 */
struct resize {
	struct kc_run *r;
	struct kc_dm d;
	unsigned int sector_size;
	uint64_t start;
	uint64_t room;
	uint64_t want;
};

int check_resize(struct kc_run *r)
{
	uint64_t bytes;
	int ret = check_name(r);

	if (!ret && kc_given(r, OPT_SIZE) && !kc_parse_size(r->opt[OPT_SIZE], &bytes))
		return kc_fail(&r->err, KC_USAGE, NULL,
			       "--size takes bytes, or a number of K, M, G or T (1024 each), not `%s'",
			       r->opt[OPT_SIZE]);
	return ret;
}

/* A table is loaded with its key in the cache, or not at all. */
static int refuse_keyless(struct kc_run *r, const struct kc_dm *d)
{
	char state[16], next[KC_DM_NAME_MAX + 32];

	kc_dm_key_state(d, state);
	snprintf(next, sizeof(next), "run kcache resume %s first", d->name);
	if (strcmp(state, "valid") != 0)
		return kc_fail(&r->err, KC_KEY_GONE, kc_dm_ephemeral(d) ? "detach it" : next,
			       "its key is %s, and without it the size cannot change", state);
	if (d->suspended)
		return kc_fail(&r->err, KC_BUSY, next, "it is suspended");
	return 0;
}

/* What the device below has room for, now. */
static int measure(struct resize *z)
{
	struct kc_error *err = &z->r->err;
	struct kc_blk blk = { .fd = -1, .claim_fd = -1 };
	const char *option;
	uint64_t start;
	int ret;

	if (sscanf(z->d.table, "%*s %*s %*s %*s %" SCNu64, &start) != 1)
		return kc_fail(err, KC_DEVICE, "see dmsetup table", "its table cannot be read: %s", z->d.table);
	z->start = start * 512;
	option = strstr(z->d.table, " sector_size:");
	if (!option || sscanf(option, " sector_size:%u", &z->sector_size) != 1)
		z->sector_size = 512;
	ret = kc_loop_grow(z->d.below, err);
	if (!ret)
		ret = kc_blk_open(z->r->device, &blk, err);
	if (!ret && blk.size > z->start)
		z->room = (blk.size - z->start) / z->sector_size * z->sector_size;
	kc_blk_close(&blk);
	return ret;
}

static int choose(struct resize *z)
{
	struct kc_error *err = &z->r->err;

	z->want = z->room;
	if (kc_given(z->r, OPT_SIZE))
		kc_parse_size(z->r->opt[OPT_SIZE], &z->want);
	if (z->want % z->sector_size)
		return kc_fail(err, KC_USAGE, NULL, "--size %s is no multiple of its sectors of %u bytes",
			       z->r->opt[OPT_SIZE], z->sector_size);
	if (z->want > z->room || !z->want)
		return kc_fail(err, KC_DEVICE, "make the device below larger first",
			       "the device below has room for %" PRIu64 " bytes, not for %" PRIu64, z->room, z->want);
	return 0;
}

/* Nothing on the device is destroyed by it, but what uses the volume would lose its end. */
static int refuse_cut(struct resize *z)
{
	static const char next[] = "make that smaller first, or use --force";
	struct kc_error *err = &z->r->err;
	char node[KC_DM_NAME_MAX + 16], what[256];
	uint64_t end;
	int ret;

	if (z->want >= z->d.size || kc_given(z->r, OPT_FORCE))
		return 0;
	snprintf(node, sizeof(node), "/dev/mapper/%s", z->d.name);
	ret = kc_blk_reach(node, z->d.dev, what, sizeof(what), &end, err);
	if (ret || !what[0] || end <= z->want)
		return ret;
	if (end == UINT64_MAX)
		return kc_fail(err, KC_BUSY, next, "what is on it (%s) may reach beyond %" PRIu64 " bytes", what,
			       z->want);
	return kc_fail(err, KC_BUSY, next, "what is on it (%s) reaches to byte %" PRIu64 ", beyond %" PRIu64, what, end,
		       z->want);
}

/*
 * The new table comes into force in one call: the kernel has I/O wait, changes the
 * table and goes on, so that nothing stays suspended if this process ends.
 */
static int change(struct resize *z)
{
	struct kc_error *err = &z->r->err;
	struct kc_dm now;
	bool found;
	int ret;

	ret = kc_stop_check(err);
	if (!ret)
		ret = kc_dm_load(z->d.name, z->want, "kcache", z->d.table, z->d.read_only, err);
	if (ret)
		return ret;
	ret = kc_dm_resume(z->d.name, err);
	if (!ret)
		return 0;
	kc_dm_clear(z->d.name, NULL);
	if (kc_dm_find(z->d.name, &now, &found, NULL) == 0 && found && now.suspended)
		kc_dm_resume(z->d.name, NULL);
	return ret;
}

/* Did the key go while we were at it? Then that is the cause. */
static void blame(struct resize *z)
{
	struct kc_dm now;
	char state[16];
	bool found;

	if (kc_dm_get(z->d.name, &now, &found, NULL) || !found)
		return;
	kc_dm_key_state(&now, state);
	if (strcmp(state, "wiped") != 0 && strcmp(state, "expired") != 0)
		return;
	kc_error_clear(&z->r->err);
	refuse_keyless(z->r, &now);
}

static int print_result(struct resize *z)
{
	char was[24], is[24], room[24];
	struct json_object *o;

	if (kc_given(z->r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "name", z->d.name);
		kc_json_str(o, "uuid", z->d.volume);
		kc_json_str(o, "device", z->r->device);
		kc_json_u64(o, "old_size", z->d.size);
		kc_json_u64(o, "size", z->want);
		kc_json_u64(o, "room", z->room);
		return kc_json_print(z->r, o);
	}
	if (z->want == z->d.size)
		kc_say(z->r, "%s has this size already: %s", z->d.name, kc_size_text(z->want, is));
	else
		kc_say(z->r, "%s: %s, was %s", z->d.name, kc_size_text(z->want, is), kc_size_text(z->d.size, was));
	if (z->want < z->room)
		kc_say(z->r, "not kept beyond this attachment: attached again, it has all of the device, %s",
		       kc_size_text(z->room, room));
	return 0;
}

static int resize(struct resize *z)
{
	int ret;

	ret = refuse_keyless(z->r, &z->d);
	if (!ret)
		ret = measure(z);
	if (!ret)
		ret = choose(z);
	if (!ret)
		ret = refuse_cut(z);
	return ret;
}

int cmd_resize(struct kc_run *r)
{
	struct resize z = { .r = r };
	int ret;

	ret = kc_live_get(r, &z.d);
	/* the origin has the size that the device had */
	if (!ret && z.d.origin)
		ret = kc_fail(&r->err, KC_BUSY, "wait for it, or run kcache snapshot --cancel on one that was interrupted",
			      "a snapshot of it is being taken");
	if (!ret)
		ret = resize(&z);
	if (ret)
		return ret;
	if (z.want == z.d.size)
		return print_result(&z);
	kc_stop_install();
	ret = change(&z);
	if (ret)
		blame(&z);
	kc_audit_event(r, &(struct kc_event){
		.event = "modifyVolume",
		.volume = z.d.volume,
		.device = r->device,
		.name = z.d.name,
		.err = ret ? &r->err : NULL,
	});
	return ret ? (int)r->err.code : print_result(&z);
}
