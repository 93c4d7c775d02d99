// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walks over the points of failure of a step; see nth.h.
 */
#include "nth.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"

/* A step that takes longer hangs; STRETCH of the VM for a machine that is busy. */
#define PATIENCE 20

static int nth_fd = -1;
static const char *volatile at_walk;
static volatile unsigned int at_point;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* Who hangs cannot say so; the kernel's stack does. */
static void *watch(void *main_thread)
{
	const char *stretch = getenv("STRETCH");
	unsigned int last = 0;
	int waited = 0;
	const char *last_walk = NULL;
	char path[64], stack[4096];
	ssize_t n;
	int fd;

	for (;;) {
		sleep(1);
		waited = at_walk == last_walk && at_point == last ? waited + 1 : 0;
		last_walk = at_walk;
		last = at_point;
		if (!last_walk || waited < PATIENCE * (stretch ? atoi(stretch) : 1))
			continue;
		printf("not ok - %s: point %u returns\n", last_walk, last);
		snprintf(path, sizeof(path), "/proc/%d/stack", *(pid_t *)main_thread);
		fd = open(path, O_RDONLY);
		n = read(fd, stack, sizeof(stack));
		/* the last word, for lib-faults.sh; _exit() would wait for that thread */
		printf("%.*s\nhangs\n", n > 0 ? (int)n : 0, stack);
		_exit(1);
	}
	return NULL;
}

void nth_init(void)
{
	static const char *const attributes[] = {
		"failslab", "fail_page_alloc", "fail_usercopy", "fail_make_request",
	};
	static pid_t self;
	pthread_t thread;
	char path[64];
	unsigned int i;

	for (i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", attributes[i]);
		put(path, "0");
	}
	/* also what may wait for memory, and single pages */
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "0");
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "0");
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "0");
	put("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	/* a page fault of ours would be a point as well, and end us */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("memory can be locked");
	self = getpid();
	if (pthread_create(&thread, NULL, watch, &self))
		die("a thread");
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		die("/proc/thread-self/fail-nth");
}

static void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(nth_fd, text, len, 0) != len)
		die("fail-nth can be set");
}

/*
 * Returns how many points were left to go: none if it was reached. Reading and
 * writing copy data, which are points too: a read that fails had one left.
 */
static unsigned int disarm(void)
{
	char text[16] = "";
	ssize_t n = pread(nth_fd, text, sizeof(text) - 1, 0);

	while (pwrite(nth_fd, "0", 1, 0) != 1)
		;
	return n > 0 ? strtoul(text, NULL, 10) : 1;
}

/* The step once, without a fault, to know its points: where its end begins. */
static unsigned int first_point(const struct walk *w, unsigned int last)
{
	const unsigned int many = 1000000;
	const char *wrong;
	unsigned int n;
	int r;

	if (!last)
		return 1;
	if (w->prepare)
		w->prepare();
	arm(many);
	r = w->run();
	n = many - disarm();
	wrong = r ? "it fails without a fault" : w->after(r, 0);
	if (wrong) {
		printf("not ok - %s: %s\n", w->name, wrong);
		exit(1);
	}
	return n > last ? n - last : 1;
}

static int among(const int *errors, int e)
{
	for (; *errors; errors++)
		if (*errors == e)
			return 1;
	return 0;
}

void walk_end(const struct walk *w, unsigned int last)
{
	unsigned int n, first, failed = 0, count[200] = { 0 };
	const char *wrong = NULL;
	struct timespec t0, t1;
	int r, injected, e;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	at_walk = w->name;
	first = first_point(w, last);
	for (n = first;; n++) {
		at_point = n;
		if (w->prepare)
			w->prepare();
		arm(n);
		r = w->run();
		injected = !disarm();

		if (r && !injected)
			wrong = "fails without a fault";
		else if (r && !among(w->errors, -r))
			wrong = "an errno that says something else";
		else
			wrong = w->after(r, injected);
		if (wrong) {
			printf("not ok - %s: point %u: %s (%d, %s)\n", w->name, n, wrong, -r,
			       r ? strerrorname_np(-r) : "no error");
			exit(1);
		}
		if (!injected)
			break;
		failed += !!r;
		count[-r]++;
	}
	at_walk = NULL;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	n -= first;
	if (n < w->least) {
		printf("not ok - %s: %u points, there must be %u\n", w->name, n, w->least);
		exit(1);
	}
	printf("ok - %s: %u points, each clean; %u end in an error", w->name, n, failed);
	for (e = 1, r = 0; e < 200; e++)
		if (count[e])
			printf("%s%s %u", r++ ? ", " : " (", strerrorname_np(e), count[e]);
	printf("%s\n# %.1f s\n", r ? ")" : "",
	       (t1.tv_sec - t0.tv_sec) + (t1.tv_nsec - t0.tv_nsec) / 1e9);
	fflush(stdout);
}

void walk(const struct walk *w)
{
	walk_end(w, 0);
}
