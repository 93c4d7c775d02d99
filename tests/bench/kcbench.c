// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one I/O costs: a fixed number of O_DIRECT I/Os at random offsets, the
 * same ones on every run, and the guest's own clock before and after. Under
 * QEMU's icount that clock counts instructions.
 *
 * Prints one line: device, operation, bytes, ns per I/O in the best of the
 * rounds, and the voluntary context switches per I/O of that round.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 64
#define MAX_ROUNDS 1000

enum operation { READ, WRITE, MIX };
static const char *const operations[] = { "read", "write", "mix" };

struct result {
	double ns;
	double switches;
};

struct job {
	pthread_t thread;
	int fd;
	char *buffer;
	const off_t *offsets;
};

static enum operation operation;
static size_t size = 4096;
static unsigned int count = 400, warm = 400, rounds = 5, jobs = 1;
static pthread_barrier_t barrier;

/* xorshift64: the offsets are the same on every run */
static uint64_t next_random(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void do_ios(const struct job *job, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		off_t offset = job->offsets[i];
		bool write = operation == WRITE || (operation == MIX && (offset / (off_t)size) % 2);
		ssize_t done = write ? pwrite(job->fd, job->buffer, size, offset) :
				       pread(job->fd, job->buffer, size, offset);

		if (done != (ssize_t)size)
			err(1, "%s of %zu bytes at %lld", write ? "write" : "read", size,
			    (long long)offset);
	}
}

static void *run_job(void *arg)
{
	pthread_barrier_wait(&barrier);
	do_ios(arg, count);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

static struct result one_round(struct job *job)
{
	double start, end;
	long before, after;

	if (jobs == 1) {
		before = switches();
		start = now();
		do_ios(job, count);
		end = now();
		after = switches();
	} else {
		for (unsigned int j = 0; j < jobs; j++)
			if (pthread_create(&job[j].thread, NULL, run_job, &job[j]))
				errx(1, "cannot start a thread");
		before = switches();
		pthread_barrier_wait(&barrier);
		start = now();
		pthread_barrier_wait(&barrier);
		end = now();
		after = switches();
		for (unsigned int j = 0; j < jobs; j++)
			pthread_join(job[j].thread, NULL);
	}
	return (struct result){
		.ns = (end - start) / count / jobs,
		.switches = (double)(after - before) / count / jobs,
	};
}

/* Small pages on purpose: what most programs hand in. */
static char *new_buffer(void)
{
	size_t room = size < 4096 ? 4096 : size;
	char *buffer = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffer == MAP_FAILED)
		err(1, "no memory");
	madvise(buffer, room, MADV_NOHUGEPAGE);
	memset(buffer, 0x5a, room);
	return buffer;
}

static void usage(void)
{
	fputs("kcbench [options] DEVICE\n"
	      "  -o read|write|mix  operation (read)\n"
	      "  -s BYTES           size of an I/O (4096)\n"
	      "  -n N               I/Os in a round, of each job (400)\n"
	      "  -w N               I/Os beforehand, not counted (400)\n"
	      "  -r N               rounds (5)\n"
	      "  -j N               jobs at the same time (1)\n",
	      stderr);
	exit(2);
}

static unsigned int number(const char *text, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < 1 || n > max)
		errx(2, "%s: want a number from 1 to %u", text, max);
	return (unsigned int)n;
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "o:s:n:w:r:j:")) != -1) {
		switch (c) {
		case 'o':
			for (operation = READ; operation <= MIX; operation++)
				if (!strcmp(optarg, operations[operation]))
					break;
			if (operation > MIX)
				usage();
			break;
		case 's':
			size = number(optarg, 64 << 20);
			break;
		case 'n':
			count = number(optarg, 10000000);
			break;
		case 'w':
			warm = number(optarg, 10000000);
			break;
		case 'r':
			rounds = number(optarg, MAX_ROUNDS);
			break;
		case 'j':
			jobs = number(optarg, MAX_JOBS);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 1)
		usage();
}

/* Random units of the device for each job; all jobs range over all of it. */
static void choose_offsets(struct job *job, uint64_t bytes)
{
	unsigned int most = count > warm ? count : warm;

	for (unsigned int j = 0; j < jobs; j++) {
		off_t *offsets = calloc(most, sizeof(*offsets));

		if (!offsets)
			err(1, "no memory");
		for (unsigned int i = 0; i < most; i++)
			offsets[i] = (off_t)(next_random() % (bytes / size) * size);
		job[j].offsets = offsets;
		job[j].buffer = new_buffer();
	}
}

int main(int argc, char **argv)
{
	static struct job job[MAX_JOBS];
	struct result least = { .ns = INFINITY }, round;
	uint64_t bytes;
	int fd;

	options(argc, argv);
	fd = open(argv[optind], O_RDWR | O_DIRECT);
	if (fd < 0)
		err(1, "%s", argv[optind]);
	if (ioctl(fd, BLKGETSIZE64, &bytes))
		err(1, "%s: not a block device", argv[optind]);
	if (bytes < size)
		errx(1, "%s is smaller than an I/O", argv[optind]);
	choose_offsets(job, bytes);
	for (unsigned int j = 0; j < jobs; j++)
		job[j].fd = fd;
	pthread_barrier_init(&barrier, NULL, jobs + 1);

	do_ios(&job[0], warm);
	for (unsigned int r = 0; r < rounds; r++) {
		round = one_round(job);
		if (round.ns < least.ns)
			least = round;
	}
	printf("%s %s %zu %.1f %.3f\n", argv[optind], operations[operation], size, least.ns,
	       least.switches);
	return 0;
}
