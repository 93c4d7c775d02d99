/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks: a step is done again and again, and each time the next of the points
 * fails where the kernel can inject a failure (/proc/PID/fail-nth counts slab
 * and page allocations, copies to and from user space, and requests to disks
 * that are marked so), until the step comes to its end without reaching one.
 */
#ifndef FAULTS_NTH_H
#define FAULTS_NTH_H

/**
 * struct walk - one step, and what is right
 * @name: the sentence begins with it
 * @prepare: before each point, without faults; may be NULL
 * @run: the step: 0 or a negative errno. Little but the system call itself: a
 *	fault meets whatever the task does
 * @after: without faults; gets what @run returned and whether a fault was
 *	injected. Says what is wrong, or NULL; leaves all as @prepare wants it
 * @errors: what @run may fail with where a fault was injected, ends with 0
 * @least: points that there must be, lest a walk is not where it should be
 */
struct walk {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);
	const char *(*after)(int r, int injected);
	const int *errors;
	unsigned int least;
};

void nth_init(void);
void walk(const struct walk *w);
/* The same of about so many points before the end of the step; 0: of all. */
void walk_end(const struct walk *w, unsigned int last);

#endif
