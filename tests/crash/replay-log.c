// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replays the log of device-mapper's log-writes target onto a device, piece by
 * piece, so that the device is as a power cut would have left it at that moment.
 *
 *   replay-log LOG list
 *	a line for each entry: number, kind (write, flush, fua, discard, mark),
 *	first sector, sectors, and the text of a mark
 *   replay-log LOG apply DEVICE FROM TO
 *	applies the entries FROM to TO - 1
 *
 * The log is what Documentation/admin-guide/device-mapper/log-writes.rst and the
 * structures in drivers/md/dm-log-writes.c say: a super block in the first sector,
 * then the entries, each a sector of its own and behind it the data. Sectors are
 * of the size that the super block names.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC 0x6a736677736872ULL
#define LOG_VERSION 1

#define LOG_FLUSH (1 << 0)
#define LOG_FUA (1 << 1)
#define LOG_DISCARD (1 << 2)
#define LOG_MARK (1 << 3)

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sectorsize;
} __attribute__((packed));

struct log_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
};

/**
 * struct replay - a log that is being read
 * @fd: the log
 * @at: byte where the next entry is
 * @sectorsize: bytes
 * @nr_entries: how many there are
 * @e: the entry that was read last, in this machine's order
 * @data: byte where its data is
 * @mark: its text, if it is a mark
 */
struct replay {
	int fd;
	uint64_t at;
	uint32_t sectorsize;
	uint64_t nr_entries;
	struct log_entry e;
	uint64_t data;
	char mark[4096];
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	fputs("replay-log: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void read_all(int fd, void *buf, size_t len, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, (char *)buf + done, len - done, (off_t)(at + done));
		if (n <= 0)
			die("the log ends at byte %" PRIu64 ": %s", at + done, n ? strerror(errno) : "end of file");
		done += (size_t)n;
	}
}

static void write_all(int fd, const void *buf, size_t len, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(fd, (const char *)buf + done, len - done, (off_t)(at + done));
		if (n <= 0)
			die("cannot write to byte %" PRIu64 ": %s", at + done, strerror(errno));
		done += (size_t)n;
	}
}

static void open_log(struct replay *r, const char *path)
{
	struct log_super s;

	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		die("cannot open %s: %s", path, strerror(errno));
	read_all(r->fd, &s, sizeof(s), 0);
	if (le64toh(s.magic) != LOG_MAGIC)
		die("%s is no log of log-writes", path);
	if (le64toh(s.version) != LOG_VERSION)
		die("the log is of version %" PRIu64, le64toh(s.version));
	r->nr_entries = le64toh(s.nr_entries);
	r->sectorsize = le32toh(s.sectorsize);
	if (r->sectorsize < 512 || r->sectorsize > sizeof(r->mark) || r->sectorsize & (r->sectorsize - 1))
		die("the log has sectors of %" PRIu32 " bytes", r->sectorsize);
	r->at = r->sectorsize;
}

/* A discard carries no data; the data of a mark is in its own sector. */
static void next_entry(struct replay *r)
{
	struct log_entry e;

	read_all(r->fd, &e, sizeof(e), r->at);
	r->e.sector = le64toh(e.sector);
	r->e.nr_sectors = le64toh(e.nr_sectors);
	r->e.flags = le64toh(e.flags);
	r->e.data_len = le64toh(e.data_len);
	r->mark[0] = '\0';
	if (r->e.flags & LOG_MARK) {
		if (r->e.data_len > r->sectorsize - sizeof(e))
			die("a mark of %" PRIu64 " bytes at byte %" PRIu64, r->e.data_len, r->at);
		read_all(r->fd, r->mark, r->e.data_len, r->at + sizeof(e));
		r->mark[r->e.data_len] = '\0';
	} else if (r->e.data_len) {
		die("data that is no write's at byte %" PRIu64, r->at);
	}
	r->data = r->at + r->sectorsize;
	r->at = r->data;
	if (!(r->e.flags & LOG_DISCARD))
		r->at += r->e.nr_sectors * r->sectorsize;
}

static const char *kind(const struct log_entry *e)
{
	if (e->flags & LOG_MARK)
		return "mark";
	if (e->flags & LOG_FLUSH)
		return "flush";
	if (e->flags & LOG_FUA)
		return "fua";
	if (e->flags & LOG_DISCARD)
		return "discard";
	return "write";
}

static void list(struct replay *r)
{
	uint64_t i;

	for (i = 0; i < r->nr_entries; i++) {
		next_entry(r);
		printf("%" PRIu64 " %s %" PRIu64 " %" PRIu64 " %s\n", i, kind(&r->e), r->e.sector,
		       r->e.nr_sectors, r->mark);
	}
}

/* A discarded block may read as anything: zeroes here, as after a trim. */
static void apply_one(struct replay *r, int out)
{
	static char buf[1 << 20];
	uint64_t left = r->e.nr_sectors * r->sectorsize, done = 0;

	if (r->e.flags & LOG_MARK)
		return;
	if (r->e.flags & LOG_DISCARD)
		memset(buf, 0, sizeof(buf));
	while (left) {
		size_t len = left < sizeof(buf) ? left : sizeof(buf);

		if (!(r->e.flags & LOG_DISCARD))
			read_all(r->fd, buf, len, r->data + done);
		write_all(out, buf, len, r->e.sector * r->sectorsize + done);
		done += len;
		left -= len;
	}
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		die("\"%s\" is no number", text);
	return n;
}

static void apply(struct replay *r, const char *device, uint64_t from, uint64_t to)
{
	int out = open(device, O_WRONLY | O_CLOEXEC);
	uint64_t i;

	if (out < 0)
		die("cannot open %s: %s", device, strerror(errno));
	if (from > to || to > r->nr_entries)
		die("the log has %" PRIu64 " entries", r->nr_entries);
	for (i = 0; i < to; i++) {
		next_entry(r);
		if (i >= from)
			apply_one(r, out);
	}
	if (fsync(out) || close(out))
		die("cannot write %s: %s", device, strerror(errno));
}

int main(int argc, char **argv)
{
	static struct replay r;

	if (argc == 3 && !strcmp(argv[2], "list")) {
		open_log(&r, argv[1]);
		list(&r);
	} else if (argc == 6 && !strcmp(argv[2], "apply")) {
		open_log(&r, argv[1]);
		apply(&r, argv[3], number(argv[4]), number(argv[5]));
	} else {
		fputs("usage: replay-log LOG list\n"
		      "       replay-log LOG apply DEVICE FROM TO\n", stderr);
		return 2;
	}
	return fflush(stdout) ? 1 : 0;
}
