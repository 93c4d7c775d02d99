/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says of itself in small files. */
#ifndef KC_SYSFS_H
#define KC_SYSFS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** kc_sysfs_line() - the first line of a file, without its line feed, cut to fit; false if there is none */
bool kc_sysfs_line(const char *path, char *buf, size_t size);

/** kc_sysfs_devno() - "major:minor"; false if there is no such file, or something else in it */
bool kc_sysfs_devno(const char *path, dev_t *dev);

/** kc_sysfs_dir() - opens the folder @name ("slaves") of block device @dev; NULL if there is none */
DIR *kc_sysfs_dir(dev_t dev, const char *name);

/** kc_sysfs_attr() - kc_sysfs_line() of the file @name ("dm/uuid") of block device @dev */
bool kc_sysfs_attr(dev_t dev, const char *name, char *buf, size_t size);

/** kc_sysfs_attr_devno() - kc_sysfs_devno() of the file @name ("../dev") of block device @dev */
bool kc_sysfs_attr_devno(dev_t dev, const char *name, dev_t *out);

/** kc_sysfs_slave() - the device that entry @slave of @dev's folder "slaves" stands for */
bool kc_sysfs_slave(dev_t dev, const char *slave, dev_t *out);

#endif
