// SPDX-License-Identifier: GPL-2.0-or-later
/* Is a device blank? Signatures through libblkid, then the first and the last MiB. */
#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blk.h"

#define MIB (1024u * 1024u)

static blkid_probe probe_new(int fd, struct kc_error *err)
{
	blkid_probe p = blkid_new_probe();

	if (p && blkid_probe_set_device(p, fd, 0, 0) == 0 && blkid_probe_enable_superblocks(p, 1) == 0 &&
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_LABEL | BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
						 BLKID_SUBLKS_MAGIC) == 0 &&
	    blkid_probe_enable_partitions(p, 1) == 0 &&
	    blkid_probe_set_partitions_flags(p, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT) == 0)
		return p;
	blkid_free_probe(p);
	kc_fail(err, KC_NOMEM, NULL, "libblkid cannot look at it");
	return NULL;
}

static void append(char *found, size_t size, const char *what, const char *value)
{
	size_t used = strlen(found);

	snprintf(found + used, size - used, "%s%s%s%s", used ? ", " : "", what, value ? " " : "", value ? value : "");
}

static int find_signatures(const struct kc_blk *b, char *found, size_t size, struct kc_error *err)
{
	blkid_probe p = probe_new(b->fd, err);
	const char *type, *uuid;
	int r;

	if (!p)
		return err->code;
	/* 0 for each signature, 1 when there are no more */
	while ((r = blkid_do_probe(p)) == 0) {
		if (blkid_probe_lookup_value(p, "PTTYPE", &type, NULL) == 0) {
			append(found, size, "a partition table of type", type);
		} else if (blkid_probe_lookup_value(p, "TYPE", &type, NULL) == 0) {
			append(found, size, "a signature of", type);
			if (blkid_probe_lookup_value(p, "UUID", &uuid, NULL) == 0) {
				size_t used = strlen(found);

				snprintf(found + used, size - used, " (UUID %s)", uuid);
			}
		}
	}
	blkid_free_probe(p);
	if (r < 0)
		return kc_fail(err, KC_DEVICE, NULL, "cannot read it to see what is on it: %s", strerror(errno));
	return 0;
}

static int is_zero(const struct kc_blk *b, uint64_t from, size_t len, bool *zero, struct kc_error *err)
{
	unsigned char *buf = malloc(len);
	size_t done = 0;
	int ret = 0;

	if (!buf)
		return kc_fail(err, KC_NOMEM, NULL, "out of memory");
	while (done < len) {
		ssize_t n = pread(b->fd, buf + done, len - done, (off_t)(from + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ret = kc_fail(err, KC_DEVICE, NULL, "cannot read it at byte %llu: %s",
				      (unsigned long long)(from + done), n ? strerror(errno) : "it ends there");
			break;
		}
		done += (size_t)n;
	}
	*zero = done && buf[0] == 0 && memcmp(buf, buf + 1, done - 1) == 0;
	free(buf);
	return ret;
}

int kc_blk_blank(const struct kc_blk *b, char *found, size_t size, struct kc_error *err)
{
	size_t len = b->size < MIB ? (size_t)b->size : MIB;
	bool first = false, last = false;
	int ret;

	found[0] = '\0';
	if (!len)
		return 0;
	ret = find_signatures(b, found, size, err);
	if (!ret)
		ret = is_zero(b, 0, len, &first, err);
	if (!ret)
		ret = is_zero(b, b->size - len, len, &last, err);
	if (ret)
		return ret;
	if (!first)
		append(found, size, "data in the first MiB", NULL);
	if (!last)
		append(found, size, "data in the last MiB", NULL);
	return 0;
}

int kc_blk_wipe_signatures(struct kc_blk *b, struct kc_error *err)
{
	blkid_probe p = probe_new(b->claim_fd, err);
	int r;

	if (!p)
		return err->code;
	while ((r = blkid_do_probe(p)) == 0) {
		if (blkid_do_wipe(p, 0)) {
			r = -1;
			break;
		}
		/* what was hidden behind it: look again from the start of this one */
		blkid_probe_step_back(p);
	}
	if (r >= 0 && fsync(b->claim_fd))
		r = -1;
	blkid_free_probe(p);
	if (r < 0)
		return kc_fail(err, KC_DEVICE, NULL, "cannot remove the old signatures: %s", strerror(errno));
	return 0;
}
