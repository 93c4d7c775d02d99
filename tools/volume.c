// SPDX-License-Identifier: GPL-2.0-or-later
/* What several verbs do. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "audit.h"
#include "blk.h"
#include "header.h"
#include "kcache.h"

void kc_audit_event(struct kc_run *r, const struct kc_event *e)
{
	struct kc_error err = { 0 };

	if (kc_audit(&r->conf, e, &err))
		kc_warn(r, "the audit event %s was not written: %s", e->event, err.text);
}

int kc_volume_id(struct kc_run *r, const char *volume, char id[static KC_UUID_LEN + 1])
{
	struct kc_header h = { 0 };
	int fd, ret;

	if (kc_uuid_valid(volume)) {
		memcpy(id, volume, KC_UUID_LEN + 1);
		return 0;
	}
	snprintf(r->device, sizeof(r->device), "%s", volume);
	fd = open(volume, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return kc_fail(&r->err, KC_DEVICE, "name a volume by its device or its UUID", "cannot open it: %m");
	ret = kc_header_load(fd, &h, &r->err);
	if (!ret)
		memcpy(id, h.layout.uuid, KC_UUID_LEN + 1);
	kc_header_free(&h);
	close(fd);
	return ret;
}

void kc_now(char text[static 32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Version 4 (RFC 4122, 4.4): libuuid would be one more library for this. */
int kc_new_uuid(char uuid[static KC_UUID_LEN + 1], struct kc_error *err)
{
	unsigned char u[16];

	if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
		return kc_fail(err, KC_DEVICE, NULL, "the kernel gives no random numbers");
	u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
	u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
	snprintf(uuid, KC_UUID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return 0;
}

int kc_take_device(struct kc_run *r, struct kc_blk *b)
{
	int ret;

	ret = kc_blk_open(r->device, b, &r->err);
	if (!ret)
		ret = kc_blk_refuse_leg(b, &r->err);
	if (!ret && b->zoned)
		ret = kc_fail(&r->err, KC_DEVICE, NULL, "zoned devices are not supported");
	return ret ? ret : kc_blk_claim(b, true, &r->err);
}

int kc_refuse_contents(struct kc_run *r, const struct kc_blk *b, bool *overwrite)
{
	char found[512], question[640];
	int ret;

	*overwrite = false;
	ret = kc_blk_blank(b, found, sizeof(found), &r->err);
	if (ret || !found[0])
		return ret;
	snprintf(question, sizeof(question), "it is not blank: %s. Everything on it will be lost.", found);
	*overwrite = kc_given(r, OPT_FORCE) || kc_ask_yes(r, question);
	if (*overwrite)
		return 0;
	return kc_fail(&r->err, KC_BUSY, "check that it is the right one, then use --force", "it is not blank: %s",
		       found);
}

void kc_warn_damaged(const struct kc_run *r, const struct kc_header *h)
{
	if (h->damaged_copy)
		kc_warn(r, "the %s copy of its header is damaged; the other one is good and was used; see kcache repair",
			h->damaged_copy == 1 ? "first" : "second");
}
