// SPDX-License-Identifier: GPL-2.0-or-later
/* Small files of sysfs: one read() each, as many are asked for on a host with many devices. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sysfs.h"

bool kc_sysfs_line(const char *path, char *buf, size_t size)
{
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

bool kc_sysfs_devno(const char *path, dev_t *dev)
{
	unsigned int ma, mi;
	char line[32];

	if (!kc_sysfs_line(path, line, sizeof(line)) || sscanf(line, "%u:%u", &ma, &mi) != 2)
		return false;
	*dev = makedev(ma, mi);
	return true;
}

/* a name longer than there is in sysfs is cut, and then is none */
static void block_path(char path[static PATH_MAX], dev_t dev, const char *name)
{
	snprintf(path, PATH_MAX, "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), name);
}

DIR *kc_sysfs_dir(dev_t dev, const char *name)
{
	char path[PATH_MAX];

	block_path(path, dev, name);
	return opendir(path);
}

bool kc_sysfs_attr(dev_t dev, const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];

	block_path(path, dev, name);
	return kc_sysfs_line(path, buf, size);
}

bool kc_sysfs_attr_devno(dev_t dev, const char *name, dev_t *out)
{
	char path[PATH_MAX];

	block_path(path, dev, name);
	return kc_sysfs_devno(path, out);
}

bool kc_sysfs_slave(dev_t dev, const char *slave, dev_t *out)
{
	char name[300];

	snprintf(name, sizeof(name), "slaves/%.255s/dev", slave);
	return kc_sysfs_attr_devno(dev, name, out);
}
