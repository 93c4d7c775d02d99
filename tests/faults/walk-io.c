// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads and writes: small and large, in pieces, NOWAIT, on a disk that fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dm.h"
#include "nth.h"
#include "walk.h"

/* Fewer bytes than asked for are an error of their own here. */
#define SHORT ENODATA

static const int io_errors[] = { ENOMEM, EFAULT, SHORT, 0 };
static const int nowait_errors[] = { ENOMEM, EFAULT, SHORT, EAGAIN, 0 };
static const int disk_errors[] = { ENOMEM, EFAULT, SHORT, EIO, 0 };

static void point_at(unsigned char *p)
{
	size_t each = io.size / io.pieces;
	int i;

	for (i = 0; i < io.pieces; i++) {
		io.iov[i].iov_base = io.pieces == 1 ? p : apart + 2 * i * each;
		io.iov[i].iov_len = each;
		if (io.pieces > 1)
			memcpy(io.iov[i].iov_base, p + i * each, each);
	}
}

static void gather(unsigned char *p)
{
	int i;

	for (i = 0; io.pieces > 1 && i < io.pieces; i++)
		memcpy(p + i * io.iov[i].iov_len, io.iov[i].iov_base, io.iov[i].iov_len);
}

/* The module's stash of pages would hide that there are no others. */
static void drain(void)
{
	/* shrinkers */
	write_file("/proc/sys/vm/drop_caches", "2");
}

static void before_write(void)
{
	pattern(new_data, io.size);
	point_at(new_data);
	drain();
}

static void before_read(void)
{
	memset(got, 0, io.size);
	point_at(got);
}

static int result(ssize_t n)
{
	if (n < 0)
		return -errno;
	return n == (ssize_t)io.size ? 0 : -SHORT;
}

static int do_write(void)
{
	return result(pwritev2(io.fd, io.iov, io.pieces, AT, io.flags));
}

static int do_read(void)
{
	return result(preadv2(io.fd, io.iov, io.pieces, AT, io.flags));
}

static const char *counters(void)
{
	if (strcmp(dm_word(DEV, "errors"), "0"))
		return "the target counts an error of its own";
	if ((io.flags & RWF_NOWAIT) && strcmp(dm_word(DEV, "deferred"), io.deferred))
		return "what must not wait went to a worker";
	return NULL;
}

static const char *after_write(int r, int injected)
{
	const char *wrong = NULL;
	unsigned char *swap;
	size_t i;

	if (transfer(0, got) != (ssize_t)io.size)
		return "a read afterwards fails";
	for (i = 0; i < io.size; i += 512)
		if (memcmp(got + i, new_data + i, 512) &&
		    (!r || memcmp(got + i, old_data + i, 512)))
			return "a sector is neither as before nor as written";
	if (injected) {
		/* what comes next works */
		if (transfer(1, new_data) != (ssize_t)io.size)
			return "a write afterwards fails";
		wrong = reads_as(new_data);
	}
	swap = old_data;
	old_data = new_data;
	new_data = swap;
	return wrong ? wrong : counters();
}

static const char *after_read(int r, int injected)
{
	const char *wrong = NULL;

	gather(got);
	if (!r && memcmp(got, old_data, io.size))
		return "other data was read";
	if (injected)
		wrong = reads_as(old_data);
	return wrong ? wrong : counters();
}

static void walk_both(const char *how, size_t size, int pieces, int flags, const int *errors)
{
	static char deferred[32];
	char name[128], bytes[32];

	io.size = size;
	io.pieces = pieces;
	io.flags = flags;
	snprintf(deferred, sizeof(deferred), "%s", dm_word(DEV, "deferred"));
	io.deferred = deferred;
	pattern(old_data, size);
	if (transfer(1, old_data) != (ssize_t)size)
		die("a write without faults");

	snprintf(bytes, sizeof(bytes), size % 1024 ? "%zu B" : "%zu KiB",
		 size % 1024 ? size : size / 1024);
	snprintf(name, sizeof(name), "write of %s, %s", bytes, how);
	walk(&(struct walk){ name, before_write, do_write, after_write, errors, 2 });
	snprintf(name, sizeof(name), "read of %s, %s", bytes, how);
	walk(&(struct walk){ name, before_read, do_read, after_read, errors, 1 });
}

/* What lies on the disk is dm-crypt's, and as written last. */
static void compare_with_dm_crypt(const char *options)
{
	const char *other = "faults-crypt";
	char line[256];

	snprintf(line, sizeof(line), LINE("%s"), options);
	must(dm_create(other), "a device of dm-crypt");
	must(dm_load(other, "crypt", SECTORS, line), "its table");
	must(dm_resume(other), "its resume");
	close(io.fd);
	io.fd = dm_open(other);
	if (reads_as(old_data)) {
		printf("not ok - dm-crypt reads what was written last\n");
		exit(1);
	}
	printf("ok - dm-crypt reads what was written last\n");
	close(io.fd);
	must(dm_remove(other), "it goes");
}

void walk_io(void)
{
	static const char *const units[] = { "1 sector_size:512", "1 sector_size:4096" };
	char line[256], how[64];
	unsigned int i;

	/* from here on without a word in the log */
	write_file("/proc/sys/vm/drop_caches", "4");
	for (i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), LINE("%s"), units[i]);
		must(dm_create(DEV), "a device is made");
		must(dm_load(DEV, "kcache", SECTORS, line), "a table is loaded");
		must(dm_resume(DEV), "it is resumed");
		open_io(MAX_IO);
		take_base();

		snprintf(how, sizeof(how), "%s", units[i] + 2);
		if (!i)
			walk_both(how, 512, 1, 0, io_errors);
		walk_both(how, 4096, 1, 0, io_errors);
		walk_both(how, 64 * 1024, 1, 0, io_errors);
		walk_both(how, MAX_IO, 1, 0, io_errors);

		/* as small as the device takes them */
		snprintf(how, sizeof(how), "%s, in 16 pieces", units[i] + 2);
		walk_both(how, i ? 64 * 1024 : 8 * 1024, 16, 0, io_errors);

		snprintf(how, sizeof(how), "%s, NOWAIT", units[i] + 2);
		walk_both(how, 4096, 1, RWF_NOWAIT, nowait_errors);
		walk_both(how, 64 * 1024, 1, RWF_NOWAIT, nowait_errors);

		snprintf(how, sizeof(how), "%s, the disk failing", units[i] + 2);
		write_file("/sys/block/ram0/make-it-fail", "1");
		walk_both(how, 4096, 1, 0, disk_errors);
		walk_both(how, MAX_IO, 1, 0, disk_errors);
		write_file("/sys/block/ram0/make-it-fail", "0");

		if (!atol(dm_word(DEV, "deferred"))) {
			printf("not ok - some write had to wait for its pages\n");
			exit(1);
		}
		compare_with_dm_crypt(units[i]);
		must(dm_remove(DEV), "it is removed");
	}
}
