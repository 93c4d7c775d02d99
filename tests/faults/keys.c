// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A key that is revoked, expires or is unlinked between any two steps of a
 * device's life, and while those steps are running. Prints a sentence for each.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"

#define DEV "faults"
#define SECTORS 16384
#define LINE "aes-xts-plain64 :64:logon:" DESC " 0 /dev/ram0 0 1 sector_size:4096"
#define SIZE 65536

static unsigned char *data, *got;
static int io_fd = -1;

static int load(void)
{
	return dm_load(DEV, "kcache", SECTORS, LINE);
}

static int resume(void)
{
	return dm_resume(DEV);
}

static int wipe(void)
{
	return dm_message(DEV, "key wipe");
}

static int set(void)
{
	return dm_message(DEV, "key set :64:logon:" DESC);
}

static bool reads(void)
{
	memset(got, 0, SIZE);
	return pread(io_fd, got, SIZE, 0) == SIZE && !memcmp(got, data, SIZE);
}

/* What happens to the key, and what the kernel calls it then. */
static const struct {
	const char *name;
	void (*happens)(void);
	int found;	/* by who needs the key */
	int cached;	/* by who finds it in the cache: an absent key is fine */
} events[] = {
	{ "revoked", key_revoke, -EKEYREVOKED, -EKEYREVOKED },
	{ "expired", key_expire, -EKEYEXPIRED, -EKEYEXPIRED },
	{ "unlinked", key_hide, -ENOKEY, 0 },
};

static const struct {
	const char *name;
	int (*step)(void);
	enum { NO_KEY, KEY, CACHE } needs;
} steps[] = {
	{ "ctr", load, KEY },
	{ "resume", resume, NO_KEY },
	{ "reload", load, CACHE },
	{ "resume of the new table", resume, NO_KEY },
	{ "key wipe", wipe, NO_KEY },
	{ "key set", set, KEY },
};

#define NR_EVENTS (sizeof(events) / sizeof(*events))
#define NR_STEPS (sizeof(steps) / sizeof(*steps))

static const char *life(unsigned int before, unsigned int e)
{
	const char *wrong = NULL;
	unsigned int i;
	int r, want;

	must(dm_create(DEV), "a device is made");
	for (i = 0; i < NR_STEPS && !wrong; i++) {
		if (i == before)
			events[e].happens();
		want = i < before || steps[i].needs == NO_KEY ? 0 :
		       steps[i].needs == KEY ? events[e].found : events[e].cached;
		r = steps[i].step();
		if (r != want) {
			printf("# %s: %s instead of %s\n", steps[i].name,
			       r ? strerrorname_np(-r) : "no error",
			       want ? strerrorname_np(-want) : "no error");
			wrong = "a step ends otherwise";
		} else if (!i && r) {
			if (dm_has_inactive(DEV))
				wrong = "a table is there in spite of the error";
			break;
		}
		if (i == 1)
			io_fd = dm_open(DEV);
		if (i == 4 && (pread(io_fd, got, SIZE, 0) >= 0 || errno != EIO))
			wrong = "it reads without a key";
		if (i >= 1 && i < 4 && !wrong && !reads())
			wrong = "it does not read what was written";
	}
	key_renew();
	if (!wrong && i == NR_STEPS) {
		if (strcmp(dm_word(DEV, "key"), "wiped"))
			wrong = "the key is in another state";
		key_show();
		must(set(), "the key is set again");
		if (!wrong && !reads())
			wrong = "it does not read what was written, with the key again";
	}
	key_hide();
	if (io_fd >= 0)
		close(io_fd);
	io_fd = -1;
	must(dm_remove(DEV), "it is removed");
	if (!wrong)
		wrong = leaks();
	key_show();
	return wrong;
}

/* ---- at any time ---- */

static atomic_bool stop;
static unsigned int changes;

static void *churn(void *arg)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	unsigned int e;

	(void)arg;
	while (!atomic_load(&stop)) {
		/* expiry takes a second: now and then */
		e = changes % 16 == 15 ? 1 : changes % 2 * 2;
		events[e].happens();
		nanosleep(&pause, NULL);
		key_renew();
		key_show();
		nanosleep(&pause, NULL);
		changes++;
	}
	return NULL;
}

static bool known(int r)
{
	return !r || r == -ENOKEY || r == -EKEYREVOKED || r == -EKEYEXPIRED;
}

static const char *race(unsigned int seconds, unsigned int *refused, unsigned int *passed)
{
	time_t end = time(NULL) + seconds;
	const char *wrong = NULL;
	pthread_t thread;
	int r;

	must(dm_create(DEV), "a device is made");
	must(load(), "a table is loaded");
	must(resume(), "it is resumed");
	io_fd = dm_open(DEV);
	if (pthread_create(&thread, NULL, churn, NULL))
		die("a thread");
	while (!wrong && time(NULL) < end) {
		r = load();
		if (!known(r))
			wrong = "a reload fails otherwise";
		else if (r ? dm_has_inactive(DEV) : !dm_has_inactive(DEV))
			wrong = "a reload has left half a table, or none";
		else if (resume())
			wrong = "a resume fails";
		else if (!reads())
			wrong = "it does not read what was written";
		++*(r ? refused : passed);
		must(wipe(), "the key is wiped");
		do {
			r = set();
			++*(r ? refused : passed);
		} while (known(r) && r && time(NULL) < end + 10);
		if (r)
			wrong = "key set fails otherwise";
		else if (!wrong && !reads())
			wrong = "it does not read what was written, after key set";
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	if (!wrong && (!*refused || !*passed))
		wrong = "keys did not come and go";
	close(io_fd);
	must(dm_remove(DEV), "it is removed");
	return wrong ? wrong : leaks();
}

int main(void)
{
	unsigned int e, i, refused = 0, passed = 0, bad = 0;
	const char *wrong;

	setvbuf(stdout, NULL, _IOLBF, 0);
	data = aligned_alloc(4096, SIZE);
	got = aligned_alloc(4096, SIZE);
	if (!data || !got)
		die("memory");
	for (i = 0; i < SIZE; i++)
		data[i] = i * 7 + i / 251;
	key_init();

	must(dm_create(DEV), "a device is made");
	must(load(), "a table is loaded");
	must(resume(), "it is resumed");
	io_fd = dm_open(DEV);
	if (pwrite(io_fd, data, SIZE, 0) != SIZE)
		die("a write");
	close(io_fd);
	must(dm_remove(DEV), "it is removed");
	take_base();

	for (e = 0; e < NR_EVENTS; e++) {
		for (i = 0; i < NR_STEPS; i++) {
			wrong = life(i, e);
			printf("%sok - a key %s before %s: each step ends as it should%s%s\n",
			       wrong ? "not " : "", events[e].name, steps[i].name,
			       wrong ? ": " : "", wrong ? wrong : "");
			bad += !!wrong;
		}
	}
	wrong = race(10, &refused, &passed);
	printf("%sok - keys that come and go all the time: %u changes, %u refusals, %u keys taken, each clean%s%s\n",
	       wrong ? "not " : "", changes, refused, passed, wrong ? ": " : "",
	       wrong ? wrong : "");
	return bad || wrong ? 1 : 0;
}
