// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The map's file: a page of JSON for people and for what the numbers mean, the sums, the
 * bits of an incremental, and a SHA-256 over all of it. While a copy is on its way the
 * same file keeps how far it is, without the checksum at the end.
 *
 * A checksum is against accidents. Who can write a snapshot can write its map: what holds
 * against that is the mac in the volume's header, which attach checks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "snap-map.h"
#include "strict.h"

#define HEAD 4096
#define TYPE "kcache-snapshot"
#define NEXT_OTHER "use another copy of it"
#define PIECE (1U << 20)

int kc_snap_io_failed(struct kc_error *err, const char *doing, const char *path)
{
	const int e = errno;

	if (e == ENOSPC || e == EDQUOT || e == EFBIG)
		return kc_fail(err, KC_DEVICE, "make room, or name a place on another disk", "cannot %s %s: %s", doing,
			       path, strerror(e));
	if (e == ENODATA)
		return kc_fail(err, KC_TAMPERED, NEXT_OTHER, "cannot %s %s: it is cut off", doing, path);
	return kc_fail(err, e == EACCES || e == EPERM || e == EROFS ? KC_PERM : e == ENOMEM ? KC_NOMEM : KC_DEVICE,
		       NULL, "cannot %s %s: %s", doing, path, strerror(e));
}

int kc_snap_pread(int fd, void *buf, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENODATA;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int kc_snap_pwrite(int fd, const void *buf, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static uint64_t count(uint64_t bytes)
{
	return bytes / KC_SNAP_BLOCK + (bytes % KC_SNAP_BLOCK != 0);
}

/* bytes of the bits of an incremental */
static size_t bits(const struct kc_snap_map *m)
{
	return m->parent[0] ? (size_t)(m->blocks + 7) / 8 : 0;
}

int kc_snap_map_new(struct kc_snap_map *m, struct kc_error *err)
{
	m->blocks = count(m->size);
	m->sum = calloc(m->blocks ? m->blocks : 1, sizeof(*m->sum));
	if (m->parent[0])
		m->here = calloc(bits(m) ? bits(m) : 1, 1);
	if (!m->sum || (m->parent[0] && !m->here))
		return kc_fail(err, KC_NOMEM, NULL, "out of memory for the map of a snapshot");
	return 0;
}

void kc_snap_map_free(struct kc_snap_map *m)
{
	free(m->sum);
	free(m->here);
	memset(m, 0, sizeof(*m));
}

uint64_t kc_snap_block(const struct kc_snap_map *m, uint64_t k)
{
	return k + 1 < m->blocks ? k + 1 : 0;
}

uint64_t kc_snap_header(const struct kc_snap_map *m)
{
	return count(m->header);
}

uint32_t kc_snap_len(const struct kc_snap_map *m, uint64_t b)
{
	const uint64_t left = m->size - b * KC_SNAP_BLOCK;

	return left < KC_SNAP_BLOCK ? (uint32_t)left : KC_SNAP_BLOCK;
}

bool kc_snap_is_zero(const struct kc_snap_map *m, uint64_t b)
{
	static const uint8_t zero[KC_SNAP_SUM];

	return memcmp(m->sum[b], zero, sizeof(zero)) == 0;
}

bool kc_snap_has(const struct kc_snap_map *m, uint64_t b)
{
	return !m->here || m->here[b / 8] & 1U << b % 8;
}

bool kc_snap_stored(const struct kc_snap_map *m, uint64_t b)
{
	return kc_snap_has(m, b) && !kc_snap_is_zero(m, b);
}

void kc_snap_set(struct kc_snap_map *m, uint64_t b)
{
	if (m->here)
		m->here[b / 8] = (uint8_t)(m->here[b / 8] | 1U << b % 8);
}

uint64_t kc_snap_file_size(const struct kc_snap_map *m)
{
	uint64_t k, bytes = 0;

	if (!m->here)
		return m->size;
	for (k = 0; k < m->done; k++)
		if (kc_snap_stored(m, kc_snap_block(m, k)))
			bytes += kc_snap_len(m, kc_snap_block(m, k));
	return bytes;
}

int kc_snap_sum(const void *data, size_t len, uint8_t sum[static KC_SNAP_SUM], struct kc_error *err)
{
	const char *p = data;

	/* each byte is as the one before it, and the first is 0 */
	if (!len || (!p[0] && !memcmp(p, p + 1, len - 1)))
		memset(sum, 0, KC_SNAP_SUM);
	else if (!EVP_Digest(data, len, sum, NULL, EVP_sha256(), NULL))
		return kc_fail(err, KC_NOMEM, NULL, "OpenSSL cannot compute a SHA-256");
	return 0;
}

static struct kc_snap_map *map(struct kc_strict *s)
{
	return s->data;
}

static int on_type(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_is(v, TYPE) ? 0 : kc_strict_bad(s, name, v, "\"" TYPE "\"");
}

static int on_version(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, 1, 1, &n) ? 0 : kc_strict_bad(s, name, v, "1, the version this kcache knows");
}

static int on_uuid(struct kc_strict *s, const char *name, struct json_object *v, char *out)
{
	return kc_strict_copy(v, "^" KC_UUID_RE "$", out, KC_UUID_LEN + 1) ?
		0 : kc_strict_bad(s, name, v, "a lower-case UUID");
}

static int on_id(struct kc_strict *s, const char *name, struct json_object *v)
{
	return on_uuid(s, name, v, map(s)->id);
}

static int on_parent(struct kc_strict *s, const char *name, struct json_object *v)
{
	return v ? on_uuid(s, name, v, map(s)->parent) : 0;
}

static int on_parent_sum(struct kc_strict *s, const char *name, struct json_object *v)
{
	/* after the parent: both, or neither */
	if (!v && !map(s)->parent[0])
		return 0;
	return map(s)->parent[0] && kc_strict_copy(v, "^[0-9a-f]{64}$", map(s)->parent_sum, 65) ?
		0 : kc_strict_bad(s, name, v, "the SHA-256 of the parent's map");
}

static int on_volume(struct kc_strict *s, const char *name, struct json_object *v)
{
	return on_uuid(s, name, v, map(s)->volume);
}

static int on_lineage(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_copy(v, "^[0-9a-f]{32}$", map(s)->lineage, sizeof(map(s)->lineage)) ?
		0 : kc_strict_bad(s, name, v, "32 lower-case hex digits");
}

static int on_generation(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_u64(v, &map(s)->generation) && map(s)->generation ?
		0 : kc_strict_bad(s, name, v, "a generation");
}

static int on_created(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_copy(v, "^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z$", map(s)->created,
			      sizeof(map(s)->created)) ?
		0 : kc_strict_bad(s, name, v, "a time like 2026-11-21T10:00:00Z");
}

static int on_block(struct kc_strict *s, const char *name, struct json_object *v)
{
	int64_t n;

	return kc_strict_int(v, KC_SNAP_BLOCK, KC_SNAP_BLOCK, &n) ?
		0 : kc_strict_bad(s, name, v, "524288, the block size this kcache knows");
}

static int on_size(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_u64(v, &map(s)->size) && map(s)->size && !(map(s)->size % 512) &&
	       count(map(s)->size) <= KC_SNAP_BLOCKS_MAX ?
		0 : kc_strict_bad(s, name, v, "the size of a device");
}

static int on_header(struct kc_strict *s, const char *name, struct json_object *v)
{
	/* after the size */
	return kc_strict_u64(v, &map(s)->header) && map(s)->header < map(s)->size ?
		0 : kc_strict_bad(s, name, v, "the size of a header");
}

static int on_done(struct kc_strict *s, const char *name, struct json_object *v)
{
	return kc_strict_u64(v, &map(s)->done) && map(s)->done <= count(map(s)->size) ?
		0 : kc_strict_bad(s, name, v, "a number of blocks");
}

static const struct kc_member members[] = {
	{ "type", on_type, false },
	{ "version", on_version, false },
	{ "id", on_id, false },
	{ "parent", on_parent, false },
	{ "parent_sum", on_parent_sum, false },
	{ "volume", on_volume, false },
	{ "lineage", on_lineage, false },
	{ "generation", on_generation, false },
	{ "created", on_created, false },
	{ "block_size", on_block, false },
	{ "size", on_size, false },
	{ "header", on_header, false },
	{ "done", on_done, false },
};

static int parse_head(const char *head, const char *path, struct kc_snap_map *m, struct kc_error *err)
{
	struct kc_strict s = { .what = path, .next = NEXT_OTHER, .data = m, .err = err };
	struct json_object *o;
	int ret;

	ret = kc_strict_parse(&s, head, HEAD, &o);
	if (!ret)
		ret = kc_strict_object(&s, o, members, KC_COUNT(members));
	json_object_put(o);
	return ret;
}

static void quoted(const char *value, char *out, size_t size)
{
	if (*value)
		snprintf(out, size, "\"%s\"", value);
	else
		snprintf(out, size, "null");
}

/* Nothing in it needs escaping: UUIDs, hex, digits, a date. */
static void print_head(const struct kc_snap_map *m, char head[static HEAD + 1])
{
	char parent[48], parent_sum[80];
	size_t n;

	quoted(m->parent, parent, sizeof(parent));
	quoted(m->parent_sum, parent_sum, sizeof(parent_sum));
	n = (size_t)snprintf(head, HEAD,
			     "{\n  \"type\": \"%s\",\n  \"version\": 1,\n  \"id\": \"%s\",\n  \"parent\": %s,\n"
			     "  \"parent_sum\": %s,\n  \"volume\": \"%s\",\n  \"lineage\": \"%s\",\n"
			     "  \"generation\": \"%" PRIu64 "\",\n  \"created\": \"%s\",\n  \"block_size\": %u,\n"
			     "  \"size\": \"%" PRIu64 "\",\n  \"header\": \"%" PRIu64 "\",\n  \"done\": \"%" PRIu64 "\"\n}",
			     TYPE, m->id, parent, parent_sum, m->volume, m->lineage, m->generation, m->created,
			     KC_SNAP_BLOCK, m->size, m->header, m->done);
	memset(head + n, ' ', HEAD - n);
	head[HEAD - 1] = '\n';
	head[HEAD] = '\0';
}

static void hex(const uint8_t sum[static KC_SNAP_SUM], char text[static 65])
{
	int i;

	for (i = 0; i < KC_SNAP_SUM; i++)
		snprintf(text + (ptrdiff_t)2 * i, 3, "%02x", sum[i]);
}

static int checksum(const char *head, const struct kc_snap_map *m, uint8_t sum[static KC_SNAP_SUM],
		    struct kc_error *err)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) && EVP_DigestUpdate(c, head, HEAD) &&
		  EVP_DigestUpdate(c, m->sum, m->blocks * KC_SNAP_SUM) &&
		  (!m->here || EVP_DigestUpdate(c, m->here, bits(m))) && EVP_DigestFinal_ex(c, sum, NULL);

	EVP_MD_CTX_free(c);
	return ok ? 0 : kc_fail(err, KC_NOMEM, NULL, "OpenSSL cannot compute a SHA-256");
}

static uint64_t bits_at(const struct kc_snap_map *m)
{
	return HEAD + m->blocks * KC_SNAP_SUM;
}

static int read_body(int fd, const char *path, bool partial, const char *head, struct kc_snap_map *m,
		     struct kc_error *err)
{
	const uint64_t end = bits_at(m) + bits(m);
	uint8_t stored[KC_SNAP_SUM], sum[KC_SNAP_SUM];
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return kc_snap_io_failed(err, "examine", path);
	if (m->done < m->blocks && !partial)
		return kc_fail(err, KC_TAMPERED, NEXT_OTHER, "%s is of a snapshot that was not finished: %" PRIu64
			       " of %" PRIu64 " blocks", path, m->done, m->blocks);
	/* before room is made for it */
	if ((uint64_t)st.st_size != end + KC_SNAP_SUM && !(partial && (uint64_t)st.st_size == end))
		return kc_fail(err, KC_TAMPERED, NEXT_OTHER, "%s has %lld bytes, not %" PRIu64
			       ": it is cut off, or something was added", path, (long long)st.st_size,
			       end + KC_SNAP_SUM);
	ret = kc_snap_map_new(m, err);
	if (ret)
		return ret;
	if (kc_snap_pread(fd, m->sum, m->blocks * KC_SNAP_SUM, HEAD) ||
	    kc_snap_pread(fd, m->here, bits(m), bits_at(m)))
		return kc_snap_io_failed(err, "read", path);
	if (m->done < m->blocks)
		return 0;
	if (kc_snap_pread(fd, stored, sizeof(stored), end))
		return kc_snap_io_failed(err, "read", path);
	ret = checksum(head, m, sum, err);
	if (!ret && memcmp(sum, stored, sizeof(sum)) != 0)
		return kc_fail(err, KC_TAMPERED, NEXT_OTHER, "%s is damaged: its checksum does not hold", path);
	hex(sum, m->own_sum);
	return ret;
}

int kc_snap_map_read(int fd, const char *path, bool partial, struct kc_snap_map *m, struct kc_error *err)
{
	char head[HEAD + 1];
	int ret;

	memset(m, 0, sizeof(*m));
	if (kc_snap_pread(fd, head, HEAD, 0))
		return errno == ENODATA ? kc_fail(err, KC_TAMPERED, NEXT_OTHER, "%s is no map of a snapshot", path) :
					  kc_snap_io_failed(err, "read", path);
	head[HEAD] = '\0';
	ret = parse_head(head, path, m, err);
	if (ret)
		return ret;
	m->blocks = count(m->size);
	return read_body(fd, path, partial, head, m, err);
}

/* The sums of blocks @from to @to in the order of copying, which wraps round once. */
static int write_sums(int fd, const struct kc_snap_map *m, uint64_t from, uint64_t to)
{
	while (from < to) {
		const uint64_t b = kc_snap_block(m, from);
		uint64_t n = to - from;

		if (n > m->blocks - b)
			n = m->blocks - b;
		if (kc_snap_pwrite(fd, m->sum[b], n * KC_SNAP_SUM, HEAD + b * KC_SNAP_SUM))
			return -1;
		from += n;
	}
	return 0;
}

int kc_snap_map_write(int fd, const char *path, struct kc_snap_map *m, uint64_t from, struct kc_error *err)
{
	const uint64_t end = bits_at(m) + bits(m);
	uint8_t sum[KC_SNAP_SUM];
	char head[HEAD + 1];
	int ret;

	print_head(m, head);
	/* what the head counts is there before it is counted */
	if ((!from && ftruncate(fd, (off_t)end)) || write_sums(fd, m, from, m->done) ||
	    kc_snap_pwrite(fd, m->here, bits(m), bits_at(m)) || kc_snap_pwrite(fd, head, HEAD, 0))
		return kc_snap_io_failed(err, "write", path);
	if (m->done < m->blocks)
		return 0;
	ret = checksum(head, m, sum, err);
	if (ret)
		return ret;
	if (kc_snap_pwrite(fd, sum, sizeof(sum), end) || fsync(fd))
		return kc_snap_io_failed(err, "write", path);
	hex(sum, m->own_sum);
	return 0;
}
