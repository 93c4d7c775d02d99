// SPDX-License-Identifier: GPL-2.0-or-later
/* The device that is walked, its data, and what is right of them. One of each. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dm.h"
#include "walk.h"

/* Copies to and from user space fail with EFAULT, everything else for memory. */
const int plain_errors[] = { ENOMEM, EFAULT, 0 };

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

struct io io;
unsigned char *old_data, *new_data, *got, *apart;
static unsigned long generation;

void pattern(unsigned char *p, size_t size)
{
	unsigned long *word = (unsigned long *)p;
	size_t i;

	generation++;
	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = generation << 32 | i;
}

ssize_t transfer(int write, unsigned char *p)
{
	return write ? pwrite(io.fd, p, io.size, AT) : pread(io.fd, p, io.size, AT);
}

const char *reads_as(const unsigned char *want)
{
	memset(got, 0, io.size);
	if (transfer(0, got) != (ssize_t)io.size)
		return "a read afterwards fails";
	return memcmp(got, want, io.size) ? "a read afterwards has other data" : NULL;
}

void open_io(size_t size)
{
	io.fd = dm_open(DEV);
	io.size = size;
	pattern(old_data, size);
	if (transfer(1, old_data) != (ssize_t)size)
		die("a first write");
}

void init_buffers(void)
{
	unsigned char **p[] = { &old_data, &new_data, &got, &apart };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		*p[i] = aligned_alloc(MAX_IO, MAX_IO);
		if (!*p[i])
			die("memory");
		memset(*p[i], 0, MAX_IO);
	}
}

char driver[128];

void device(void)
{
	must(dm_create(DEV), "a device is made");
	/* the first table also registers the disk, which is not what is tested */
	must(dm_load(DEV, "kcache", SECTORS, TABLE), "a table is loaded");
}

void live_device(void)
{
	device();
	must(dm_resume(DEV), "it is resumed");
	open_io(64 * 1024);
}

void no_device(void)
{
	close(io.fd);
	must(dm_remove(DEV), "the device is removed");
}
