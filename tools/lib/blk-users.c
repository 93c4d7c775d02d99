// SPDX-License-Identifier: GPL-2.0-or-later
/* Who uses a block device: for the sentence that tells an administrator whom to ask. */
#include <dirent.h>
#include <libmount/libmount.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blk.h"
#include "sysfs.h"

struct users {
	char *text;
	size_t size;
	unsigned int n;
};

static void __attribute__((format(printf, 2, 3))) add(struct users *u, const char *fmt, ...)
{
	size_t used = strlen(u->text);
	va_list ap;

	if (u->n++ && used + 3 < u->size)
		used += (size_t)snprintf(u->text + used, u->size - used, ", ");
	if (used >= u->size)
		return;
	va_start(ap, fmt);
	vsnprintf(u->text + used, u->size - used, fmt, ap);
	va_end(ap);
}

void kc_blk_name(dev_t dev, char *text, size_t size)
{
	char path[128], line[160], name[280];
	struct stat st;

	snprintf(text, size, "%u:%u", major(dev), minor(dev));
	if (kc_sysfs_attr(dev, "dm/name", line, sizeof(line))) {
		snprintf(name, sizeof(name), "/dev/mapper/%s", line);
	} else {
		ssize_t n;
		const char *base;
		char link[256];

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			return;
		link[n] = '\0';
		base = strrchr(link, '/');
		snprintf(name, sizeof(name), "/dev/%s", base ? base + 1 : link);
		for (char *p = name + strlen("/dev/"); *p; p++)
			if (*p == '!')	/* sysfs writes cciss/c0d0 as cciss!c0d0 */
				*p = '/';
	}
	if (stat(name, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev)
		snprintf(text, size, "%s", name);
}

static bool is_source(struct libmnt_fs *fs, dev_t dev)
{
	const char *source;
	struct stat st;

	if (mnt_fs_get_devno(fs) == dev)
		return true;
	/* btrfs and others mount under a device number of their own */
	source = mnt_fs_get_srcpath(fs);
	return source && *source == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

static void each_mount(dev_t dev, bool swaps, void (*fn)(struct users *u, const char *where), struct users *u)
{
	struct libmnt_table *t = mnt_new_table();
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	if (!t || !it)
		goto out;
	if (swaps ? mnt_table_parse_swaps(t, NULL) : mnt_table_parse_file(t, "/proc/self/mountinfo"))
		goto out;
	while (mnt_table_next_fs(t, it, &fs) == 0)
		if (is_source(fs, dev))
			fn(u, swaps ? "" : mnt_fs_get_target(fs));
out:
	mnt_free_iter(it);
	mnt_unref_table(t);
}

static void add_mount(struct users *u, const char *where)
{
	add(u, "mounted on %s", where ? where : "?");
}

static void add_swap(struct users *u, const char *where)
{
	(void)where;
	add(u, "used as swap");
}

static void first_mount(struct users *u, const char *where)
{
	if (!u->n++ && where)
		snprintf(u->text, u->size, "%s", where);
}

bool kc_blk_mountpoint(dev_t dev, char *text, size_t size)
{
	struct users u = { text, size, 0 };

	text[0] = '\0';
	each_mount(dev, false, first_mount, &u);
	return u.n != 0;
}

static void add_holders(struct users *u, const char *sysfs)
{
	char path[600], name[160];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/holders", sysfs);
	d = opendir(path);
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/block/%.255s/dm/name", e->d_name);
		if (kc_sysfs_line(path, name, sizeof(name)))
			add(u, "held by %s (%s)", e->d_name, name);
		else
			add(u, "held by %s", e->d_name);
	}
	closedir(d);
}

/* A disk is in use when one of its partitions is. */
static void add_partitions(struct users *u, const char *sysfs)
{
	char path[600];
	struct dirent *e;
	dev_t dev;
	DIR *d = opendir(sysfs);

	if (!d)
		return;
	while ((e = readdir(d))) {
		unsigned int before = u->n;

		snprintf(path, sizeof(path), "%s/%.255s/partition", sysfs, e->d_name);
		if (access(path, F_OK) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%.255s/dev", sysfs, e->d_name);
		if (!kc_sysfs_devno(path, &dev))
			continue;
		each_mount(dev, false, add_mount, u);
		each_mount(dev, true, add_swap, u);
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
		add_holders(u, path);
		if (u->n != before)
			add(u, "its partition %.255s is in use", e->d_name);
	}
	closedir(d);
}

/* Does process @pid have @dev open? Ourselves do not count. */
static bool has_open(const char *pid, dev_t dev)
{
	char path[600];
	struct dirent *e;
	struct stat st;
	bool yes = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!yes && (e = readdir(d)))
		yes = fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev;
	closedir(d);
	return yes;
}

static void add_processes(struct users *u, dev_t dev)
{
	char path[300], name[64];
	struct dirent *e;
	DIR *d = opendir("/proc");

	if (!d)
		return;
	while ((e = readdir(d)) && u->n < 4) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || atol(e->d_name) == (long)getpid() ||
		    !has_open(e->d_name, dev))
			continue;
		snprintf(path, sizeof(path), "/proc/%.255s/comm", e->d_name);
		if (kc_sysfs_line(path, name, sizeof(name)))
			add(u, "open in process %s (%s)", e->d_name, name);
	}
	closedir(d);
}

unsigned int kc_blk_held(dev_t dev, char *text, size_t size)
{
	struct users u = { text, size, 0 };
	char sysfs[64];

	text[0] = '\0';
	snprintf(sysfs, sizeof(sysfs), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	each_mount(dev, false, add_mount, &u);
	each_mount(dev, true, add_swap, &u);
	add_holders(&u, sysfs);
	add_partitions(&u, sysfs);
	return u.n;
}

unsigned int kc_blk_users(dev_t dev, char *text, size_t size)
{
	struct users u = { text, size, kc_blk_held(dev, text, size) };

	/* a scan of all processes: only if nothing else explains it */
	if (!u.n)
		add_processes(&u, dev);
	return u.n;
}
