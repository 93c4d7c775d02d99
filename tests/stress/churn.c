// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random reads and writes of part of a block device, or of a file, by one process
 * that remembers what must be there: what fsx is for file systems. Every read is
 * compared; after SIGTERM everything is read once more, past the page cache.
 *
 *   churn [-o OFFSET] [-u UNIT] [-S SEED] [-m MODES] [-e] PATH SIZE
 *
 * UNIT is the smallest direct I/O. MODES says how, a letter each, picked at random:
 * d direct, y direct and O_DSYNC, b through the page cache, m mapped, f fsync,
 * t truncate (a file that is the test's own).
 *
 * -e: EIO is no failure. What a write that failed has left is not known, until it
 * is written again: old and new bytes are right there, and nothing else. A write
 * that was said to be done must be there. For the direct modes only, because the
 * page cache forgets what it could not write.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_MAX (1UL << 20)

/* What is known of a unit. */
enum known {
	EXACT,		/* as in shadow */
	EITHER,		/* as in shadow or as in other: one write failed */
	UNKNOWN,	/* more than one failed */
};

static const char *path;
static size_t base, size, unit = 512, length;
static bool tolerant, is_file;
static uint64_t rnd_state = 88172645463325252ULL;
static int buffered, direct, dsync;
static unsigned char *map, *shadow, *other, *known, *buf;
static unsigned long reads, writes, errors, bytes;
static volatile sig_atomic_t stop;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	printf("churn %s: after %lu reads, %lu writes: ", path, reads, writes);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(1);
}

/* xorshift64*: the same load for the same seed on every machine */
static uint64_t rnd(void)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return rnd_state * 2685821657736338717ULL;
}

static size_t below(size_t n)
{
	return rnd() % n;
}

static void fill(unsigned char *p, size_t len)
{
	uint64_t x;

	for (; len >= 8; p += 8, len -= 8) {
		x = rnd();
		memcpy(p, &x, 8);
	}
	x = rnd();
	memcpy(p, &x, len);
}

/* Small I/O mostly, some of it large. */
static size_t pick_len(size_t step)
{
	size_t len = step * (1 + below((size_t)1 << below(12)));

	if (len > IO_MAX)
		len = IO_MAX;
	return len > size ? size : len;
}

static bool matches(size_t at, const unsigned char *got, size_t len)
{
	size_t done, part;

	if (!tolerant)
		return !memcmp(got, shadow + at, len);
	for (done = 0; done < len; done += part) {
		part = unit;
		if (known[(at + done) / unit] == UNKNOWN || !memcmp(got + done, shadow + at + done, part))
			continue;
		if (known[(at + done) / unit] == EXACT || memcmp(got + done, other + at + done, part))
			return false;
	}
	return true;
}

static void compare(const char *how, size_t at, const unsigned char *got, size_t len)
{
	size_t i;

	if (matches(at, got, len))
		return;
	for (i = 0; i < len && got[i] == shadow[at + i]; i++)
		;
	die("%s of %zu bytes at %zu: byte %zu is %02x and should be %02x", how, len, base + at,
	    base + at + i, got[i], shadow[at + i]);
}

static void failed(const char *what, size_t at, size_t len, ssize_t n)
{
	if (n >= 0)
		die("%s at %zu: %zd of %zu bytes", what, base + at, n, len);
	if (errno != EIO || !tolerant)
		die("%s of %zu bytes at %zu: %s", what, len, base + at, strerror(errno));
	errors++;
	usleep(2000);
}

static void write_done(size_t at, size_t len)
{
	memcpy(shadow + at, buf, len);
	if (tolerant)
		memset(known + at / unit, EXACT, len / unit);
	if (at + len > length)
		length = at + len;
	writes++;
	bytes += len;
}

static void write_failed(size_t at, size_t len)
{
	size_t i;

	for (i = at / unit; i < (at + len) / unit; i++) {
		known[i] = known[i] == EXACT ? EITHER : UNKNOWN;
		memcpy(other + i * unit, buf + (i * unit - at), unit);
	}
}

static void do_write(int fd, size_t step)
{
	size_t len = pick_len(step), at = below((size - len) / step + 1) * step;
	ssize_t n;

	fill(buf, len);
	n = pwrite(fd, buf, len, (off_t)(base + at));
	if (n == (ssize_t)len) {
		write_done(at, len);
		return;
	}
	if (n >= 0 && tolerant) {
		n = -1;
		errno = EIO;
	}
	failed("write", at, len, n);
	write_failed(at, len);
}

static void do_read(int fd, size_t step, bool whole)
{
	size_t len = pick_len(step), at = below((size - len) / step + 1) * step, want;
	ssize_t n;

	if (at >= length)
		return;
	want = at + len > length ? length - at : len;
	n = pread(fd, buf, len, (off_t)(base + at));
	if (n != (ssize_t)want) {
		failed("read", at, len, n);
		return;
	}
	compare(whole ? "last read" : "read", at, buf, want);
	reads++;
	bytes += want;
}

static void do_mapped(void)
{
	size_t len = pick_len(1), at;

	if (len > length)
		len = length;
	if (!len)
		return;
	at = below(length - len + 1);
	if (rnd() & 1) {
		fill(buf, len);
		memcpy(map + at, buf, len);
		write_done(at, len);
	} else {
		memcpy(buf, map + at, len);
		compare("mapped read", at, buf, len);
		reads++;
	}
}

static void do_truncate(void)
{
	size_t to = below(size + 1);

	if (ftruncate(buffered, (off_t)to))
		die("truncate: %s", strerror(errno));
	if (to < length)
		memset(shadow + to, 0, length - to);
	length = to;
}

static void one(char mode)
{
	switch (mode) {
	case 'd':
	case 'y':
		if (rnd() & 1)
			do_write(mode == 'y' ? dsync : direct, unit);
		else
			do_read(direct, unit, false);
		break;
	case 'b':
		if (rnd() & 1)
			do_write(buffered, 1);
		else
			do_read(buffered, 1, false);
		break;
	case 'm':
		do_mapped();
		break;
	case 'f':
		if (fsync(buffered))
			die("fsync: %s", strerror(errno));
		break;
	case 't':
		do_truncate();
		break;
	}
}

/* At the end: what nobody can know is written once more, then all of it is read. */
static void verify(void)
{
	size_t at, len, want;
	ssize_t n;

	for (at = 0; tolerant && at < size; at += unit) {
		if (known[at / unit] == EXACT)
			continue;
		fill(buf, unit);
		if (pwrite(direct, buf, unit, (off_t)(base + at)) != (ssize_t)unit)
			die("write at the end at %zu: %s", base + at, strerror(errno));
		write_done(at, unit);
	}
	if (fsync(buffered))
		die("fsync at the end: %s", strerror(errno));
	posix_fadvise(buffered, (off_t)base, (off_t)size, POSIX_FADV_DONTNEED);
	for (at = 0; at < length; at += len) {
		len = size - at < IO_MAX ? size - at : IO_MAX;
		want = length - at < len ? length - at : len;
		n = pread(direct, buf, len, (off_t)(base + at));
		if (n != (ssize_t)want)
			die("read at the end at %zu: %zd of %zu bytes: %s", base + at, n, want, strerror(errno));
		compare("read at the end", at, buf, want);
	}
}

static void on_term(int sig)
{
	stop = sig;
}

static void set_up(void)
{
	size_t at, len;
	struct stat st;

	buffered = open(path, O_RDWR | O_CLOEXEC);
	if (buffered < 0 && errno == ENOENT)
		buffered = open(path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
	direct = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
	dsync = open(path, O_RDWR | O_CLOEXEC | O_DIRECT | O_DSYNC);
	if (buffered < 0 || direct < 0 || dsync < 0 || fstat(buffered, &st))
		die("open: %s", strerror(errno));
	is_file = S_ISREG(st.st_mode);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffered, (off_t)base);
	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	shadow = calloc(1, size);
	other = calloc(1, tolerant ? size : 1);
	known = calloc(1, size / unit + 1);
	if (!shadow || !other || !known || posix_memalign((void **)&buf, 4096, IO_MAX))
		die("out of memory");
	if (is_file)
		return;
	/* a device holds something already */
	for (at = 0; at < size; at += len) {
		len = size - at < IO_MAX ? size - at : IO_MAX;
		fill(buf, len);
		if (pwrite(direct, buf, len, (off_t)(base + at)) != (ssize_t)len)
			die("write at the start: %s", strerror(errno));
		write_done(at, len);
	}
}

int main(int argc, char **argv)
{
	const struct sigaction sa = { .sa_handler = on_term };
	const char *modes = "d";
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "o:u:S:m:e")) != -1) {
		switch (c) {
		case 'o':
			base = strtoul(optarg, NULL, 0);
			break;
		case 'u':
			unit = strtoul(optarg, NULL, 0);
			break;
		case 'S':
			rnd_state ^= strtoul(optarg, NULL, 0) * 0x9e3779b97f4a7c15ULL;
			break;
		case 'm':
			modes = optarg;
			break;
		case 'e':
			tolerant = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2) {
		fputs("usage: churn [-o OFFSET] [-u UNIT] [-S SEED] [-m MODES] [-e] PATH SIZE\n", stderr);
		return 2;
	}
	path = argv[optind];
	size = strtoul(argv[optind + 1], NULL, 0) / unit * unit;
	sigaction(SIGTERM, &sa, NULL);
	set_up();
	puts("churn: begun");
	while (!stop)
		one(modes[below(strlen(modes))]);
	verify();
	printf("churn %s: %lu reads, %lu writes, %lu MiB, %lu errors: every byte is right\n", path, reads,
	       writes, bytes >> 20, errors);
	return 0;
}
