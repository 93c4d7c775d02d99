// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The map of a snapshot, which lies with backups where anybody may have written to it.
 * Input: the JSON of its first page, a NUL, bytes of which the rest is made.
 *
 * It is read as it stands; and, if its size can be told, as a file of the right length and
 * with a checksum that holds, which no fuzzer would find.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "fuzz.h"
#include "snap-map.h"

#define HEAD 4096
/* a longer one is read like a shorter one */
#define BLOCKS_MAX 300

static int file_of(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, (off_t)len) && pwrite(fd, bytes, len, 0) == (ssize_t)len);
	return fd;
}

static void check_map(const struct kc_snap_map *m)
{
	uint64_t k, bytes = 0, stored = 0, seen = 0;

	must(m->blocks && m->blocks <= KC_SNAP_BLOCKS_MAX && m->done <= m->blocks && m->header < m->size);
	must(kc_uuid_valid(m->id) && kc_uuid_valid(m->volume) && !m->parent[0] == !m->here);
	must(!m->parent[0] == !m->parent_sum[0] && (!m->here || kc_uuid_valid(m->parent)));
	for (k = 0; k < m->blocks; k++) {
		const uint64_t b = kc_snap_block(m, k);

		must(b < m->blocks && kc_snap_len(m, b) && kc_snap_len(m, b) <= KC_SNAP_BLOCK);
		seen += b;
		bytes += kc_snap_len(m, b);
		if (k < m->done && kc_snap_stored(m, b))
			stored += kc_snap_len(m, b);
	}
	must(seen == m->blocks * (m->blocks - 1) / 2 && bytes == m->size);
	must(kc_snap_file_size(m) == (m->here ? stored : m->size));
}

/* What was read is what is written. */
static void write_again(struct kc_snap_map *m)
{
	char sum[65];
	struct kc_snap_map again;
	int fd = memfd_create("map", MFD_CLOEXEC);

	memcpy(sum, m->own_sum, sizeof(sum));
	must(fd >= 0 && !kc_snap_map_write(fd, "map", m, 0, NULL));
	must(!kc_snap_map_read(fd, "map", true, &again, NULL));
	must(again.blocks == m->blocks && again.size == m->size && again.done == m->done);
	must(!strcmp(again.parent_sum, m->parent_sum) && !strcmp(again.own_sum, m->own_sum));
	must(m->done < m->blocks || !memcmp(again.sum, m->sum, m->blocks * KC_SNAP_SUM));
	kc_snap_map_free(&again);
	close(fd);
}

static bool look(int fd, bool partial)
{
	struct kc_error err = { 0 };
	struct kc_snap_map m;
	int r = kc_snap_map_read(fd, "map", partial, &m, &err);

	must(r == (int)err.code);
	if (r) {
		must(r == KC_TAMPERED && err.text[0] && fuzz_printable(err.text));
	} else {
		must(partial || m.done == m.blocks);
		must(!m.own_sum[0] == (m.done < m.blocks));
		check_map(&m);
		write_again(&m);
	}
	kc_snap_map_free(&m);
	return !r;
}

/* The number in "size": "...", and whether there is a parent; not strictly read. */
static size_t length_of(const char *head, bool *whole)
{
	const char *size = strstr(head, "\"size\""), *parent = strstr(head, "\"parent\"");
	uint64_t n = size && (size = strchr(size + 6, '"')) ? strtoull(size + 1, NULL, 10) : 0;
	const uint64_t blocks = n / KC_SNAP_BLOCK + (n % KC_SNAP_BLOCK != 0);

	if (!blocks || blocks > BLOCKS_MAX || !parent)
		return 0;
	parent += 8 + strspn(parent + 8, " :\t\n");
	*whole = strncmp(parent, "null", 4) == 0;
	return HEAD + blocks * KC_SNAP_SUM + (*whole ? 0 : (blocks + 7) / 8);
}

static void with_checksum(const uint8_t *head, const uint8_t *rest, size_t n)
{
	uint8_t bytes[HEAD + BLOCKS_MAX * (KC_SNAP_SUM + 1) + KC_SNAP_SUM];
	bool whole = false;
	size_t len, i;
	int fd;

	len = length_of((const char *)head, &whole);
	if (!len)
		return;
	memcpy(bytes, head, HEAD);
	for (i = HEAD; i < len; i++)
		bytes[i] = n ? rest[(i - HEAD) % n] : 0;
	must(EVP_Digest(bytes, len, bytes + len, NULL, EVP_sha256(), NULL));
	fd = file_of(bytes, len + KC_SNAP_SUM);
	look(fd, false);
	look(fd, true);
	/* one byte less, one byte more: no map */
	must(!ftruncate(fd, (off_t)(len + KC_SNAP_SUM - 1)) && !look(fd, false));
	must(!ftruncate(fd, (off_t)(len + KC_SNAP_SUM + 1)) && !look(fd, false));
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *nul = memchr(data, 0, len);
	size_t n = nul ? (size_t)(nul - data) : len;
	uint8_t head[HEAD + 1];
	int fd;

	fd = file_of(data, len);
	look(fd, false);
	look(fd, true);
	close(fd);
	if (n >= HEAD)
		return 0;
	memset(head, ' ', HEAD);
	memcpy(head, data, n);
	head[HEAD] = '\0';
	with_checksum(head, nul ? nul + 1 : NULL, nul ? len - n - 1 : 0);
	return 0;
}
