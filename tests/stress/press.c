// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Uses more memory than there is, and knows what must be in it. Needs next to none
 * itself.
 *
 *   press anon MIB PASSES       anonymous memory: written whole, then read and written
 *                               anew PASSES times, first to last and at random
 *   press write PATH MIB SEED   dirty pages of a file or device; fsync at the end
 *   press check PATH MIB SEED   what was written is there, past the page cache
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define BLOCK 65536

static void die(const char *what)
{
	printf("press: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Every word says where it belongs, and which time it was written. */
static void fill(uint64_t *p, size_t len, uint64_t where, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		p[i] = (where + i * 8) * 0x9e3779b97f4a7c15ULL ^ seed;
}

static void check(const uint64_t *p, size_t len, uint64_t where, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len / 8; i++) {
		if (p[i] == ((where + i * 8) * 0x9e3779b97f4a7c15ULL ^ seed))
			continue;
		printf("press: byte %llu is wrong\n", (unsigned long long)(where + i * 8));
		exit(1);
	}
}

static void anon(size_t mib, unsigned int passes)
{
	size_t pages = mib << 8, i, n;
	uint8_t *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int *times = calloc(pages, sizeof(*times)), pass;

	if (area == MAP_FAILED || !times)
		die("no address space");
	for (i = 0; i < pages; i++)
		fill((uint64_t *)(area + i * PAGE), PAGE, i * PAGE, 0);
	for (pass = 1; pass <= passes; pass++) {
		for (n = 0; n < pages; n++) {
			i = pass & 1 ? n : (size_t)random() % pages;
			check((uint64_t *)(area + i * PAGE), PAGE, i * PAGE, times[i]);
			if (n & 1)
				continue;
			times[i] = pass;
			fill((uint64_t *)(area + i * PAGE), PAGE, i * PAGE, pass);
		}
	}
	for (i = 0; i < pages; i++)
		check((uint64_t *)(area + i * PAGE), PAGE, i * PAGE, times[i]);
}

static void each_block(const char *path, size_t mib, uint64_t seed, int writing)
{
	int fd = open(path, writing ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_DIRECT | O_CLOEXEC, 0600);
	size_t at, end = mib << 20;
	void *buf;

	if (fd < 0 || posix_memalign(&buf, PAGE, BLOCK))
		die(path);
	for (at = 0; at < end; at += BLOCK) {
		if (writing)
			fill(buf, BLOCK, at, seed);
		if ((writing ? pwrite(fd, buf, BLOCK, (off_t)at) : pread(fd, buf, BLOCK, (off_t)at)) != BLOCK)
			die(path);
		if (!writing)
			check(buf, BLOCK, at, seed);
	}
	if (writing && fsync(fd))
		die("fsync");
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "anon")) {
		anon(strtoul(argv[2], NULL, 10), (unsigned int)strtoul(argv[3], NULL, 10));
	} else if (argc == 5 && (!strcmp(argv[1], "write") || !strcmp(argv[1], "check"))) {
		each_block(argv[2], strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv[1][0] == 'w');
	} else {
		fputs("usage: press anon MIB PASSES\n"
		      "       press write|check PATH MIB SEED\n", stderr);
		return 2;
	}
	return 0;
}
