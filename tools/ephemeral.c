// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache create --ephemeral: scratch space. The key is made here, is wrapped by nobody and
 * written nowhere; with detach it is gone, and with it all that was written. No header:
 * the data begins where the device begins, which is how such a volume is told from others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "audit.h"
#include "ephemeral.h"
#include "kcache.h"
#include "open.h"
#include "stop.h"

#define MIB (1024u * 1024u)
/* where a second header of LUKS2 may begin, the farthest from the start that a signature is known to lie */
#define SIGNATURES (5 * MIB)

/**
 * struct scratch - one of them on its way
 * @overwrite: there is something on the device, and the user said to overwrite it
 */
struct scratch {
	struct kc_run *r;
	const char *name;
	struct kc_blk blk;
	struct kc_layout l;
	bool overwrite;
};

int kc_check_ephemeral(struct kc_run *r)
{
	static const enum kc_opt senseless[] = { OPT_KEY, OPT_LABEL, OPT_TIMEOUT, OPT_LEASE, OPT_ON_REVOKE };
	size_t i;

	if (!kc_given(r, OPT_EPHEMERAL))
		return !kc_given(r, OPT_DISCARDS) ? 0 :
		       kc_fail(&r->err, KC_USAGE, "give it to kcache attach",
			       "--allow-discards is for a volume that is attached at once, with --ephemeral");
	for (i = 0; i < sizeof(senseless) / sizeof(senseless[0]); i++)
		if (kc_given(r, senseless[i]))
			return kc_fail(&r->err, KC_USAGE, NULL,
				       "--%s makes no sense with --ephemeral: no KMS is asked, there is no header",
				       kc_options[senseless[i]].name);
	return kc_dm_check_name(r->opt[OPT_EPHEMERAL], &r->err);
}

static int plan(struct scratch *s)
{
	struct kc_error *err = &s->r->err;
	bool exists;

	if (kc_dm_exists(s->name, &exists, NULL) == 0 && exists)
		return kc_fail(err, KC_BUSY, "choose another name, or detach it",
			       "a mapped device of this name exists already");
	s->l.key_bits = KC_DEK_SIZE * 8;
	snprintf(s->l.cipher, sizeof(s->l.cipher), "aes-xts-plain64");
	s->l.sector_size = s->r->number[OPT_SECTOR_SIZE];
	if (!s->l.sector_size)
		s->l.sector_size = s->blk.size % 4096 ? 512 : 4096;
	if (!s->blk.size || s->blk.size % s->l.sector_size)
		return kc_fail(err, KC_DEVICE, s->blk.size ? "use --sector-size 512" : NULL,
			       "its size of %llu bytes is no multiple of %u", (unsigned long long)s->blk.size,
			       s->l.sector_size);
	return kc_new_uuid(s->l.uuid, err);
}

/* 64 bytes of the kernel's, in locked memory, for as long as it takes to hand them to the keyring. */
static int make_key(struct scratch *s, struct kc_keyring *key)
{
	struct kc_error *err = &s->r->err;
	uint8_t *dek;
	int ret;

	dek = kc_secret_alloc(KC_DEK_SIZE, err);
	if (!dek)
		return (int)err->code;
	/* the target refuses a key of equal halves, all zeros for instance */
	if (getrandom(dek, KC_DEK_SIZE, 0) == KC_DEK_SIZE)
		ret = kc_keyring_add(key, s->l.uuid, dek, err);
	else
		ret = kc_fail(err, KC_DEVICE, NULL, "the kernel gives no random numbers: %s", strerror(errno));
	kc_secret_free(dek, KC_DEK_SIZE);
	return ret;
}

/* Zeros through the volume are ciphertext on the device, whatever they are written over. */
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[64 * 1024];

	while (from < to) {
		size_t len = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
		ssize_t n = pwrite(fd, zeros, len, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		from += (uint64_t)n;
	}
	return 0;
}

/*
 * What was there before must not be found there again: its header would be taken for a
 * volume whose data is lost. After the device is mapped, so that nothing is lost if it cannot be.
 */
static int overwrite(struct scratch *s)
{
	uint64_t size = s->blk.size;
	char node[KC_DM_NAME_MAX + 16];
	int fd, ret;

	snprintf(node, sizeof(node), "/dev/mapper/%s", s->name);
	fd = open(node, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write_zeros(fd, 0, size < SIGNATURES ? size : SIGNATURES) == 0 &&
	    write_zeros(fd, size < MIB ? 0 : size - MIB, size) == 0 && fsync(fd) == 0) {
		close(fd);
		return 0;
	}
	ret = kc_fail(&s->r->err, KC_DEVICE, NULL, "cannot overwrite what was on it: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	kc_dm_remove(s->name, false, NULL);
	return ret;
}

static int map(struct scratch *s)
{
	const struct kc_dm_options o = { .discards = kc_given(s->r, OPT_DISCARDS) };
	struct kc_error *err = &s->r->err;
	struct kc_keyring key = { 0 };
	int ret, loop;
	dev_t below;

	ret = kc_stop_check(err);
	if (!ret)
		ret = kc_map_below(&s->blk, false, &below, &loop, err);
	if (ret)
		return ret;
	ret = make_key(s, &key);
	if (!ret)
		ret = kc_map(s->name, &s->blk, below, &s->l, &key, &o, err);
	if (!ret && s->overwrite)
		ret = overwrite(s);
	if (loop >= 0)
		close(loop);
	return ret;
}

static int print_result(struct scratch *s)
{
	bool dry_run = kc_given(s->r, OPT_DRY_RUN);
	char node[KC_DM_NAME_MAX + 16], size[24];
	struct json_object *o;

	snprintf(node, sizeof(node), "/dev/mapper/%s", s->name);
	if (kc_given(s->r, OPT_JSON)) {
		o = kc_json_new();
		kc_json_str(o, "name", s->name);
		kc_json_str(o, "path", node);
		kc_json_str(o, "uuid", dry_run ? NULL : s->l.uuid);
		kc_json_str(o, "device", s->r->device);
		kc_json_int(o, "sector_size", (int)s->l.sector_size);
		kc_json_u64(o, "offset", 0);
		kc_json_u64(o, "size", s->blk.size);
		kc_json_bool(o, "ephemeral", true);
		kc_json_bool(o, "dry_run", dry_run);
		return kc_json_print(s->r, o);
	}
	kc_size_text(s->blk.size, size);
	if (dry_run) {
		kc_say(s->r, "%s would become scratch space of %s as %s; nothing was changed", s->r->device, size, node);
		return 0;
	}
	puts(node);
	kc_say(s->r, "scratch space of %s on %s; what is written there is lost with kcache detach %s", size,
	       s->r->device, s->name);
	return 0;
}

int kc_create_ephemeral(struct kc_run *r)
{
	struct scratch s = { .r = r, .name = r->opt[OPT_EPHEMERAL], .blk = { .fd = -1, .claim_fd = -1 } };
	int ret;

	snprintf(r->volume, sizeof(r->volume), "%s", s.name);
	ret = kc_take_device(r, &s.blk);
	if (!ret)
		ret = plan(&s);
	if (!ret)
		ret = kc_refuse_contents(r, &s.blk, &s.overwrite);
	if (!ret && !kc_given(r, OPT_DRY_RUN)) {
		ret = map(&s);
		if (ret && kc_stopped())
			ret = kc_stop_check(&r->err);
		kc_audit_event(r, &(struct kc_event){
			.event = "createVolume",
			.kind = "ephemeral",
			.volume = s.l.uuid,
			.device = r->device,
			.name = s.name,
			.err = ret ? &r->err : NULL,
		});
	}
	if (!ret)
		ret = print_result(&s);
	kc_blk_close(&s.blk);
	return ret;
}
