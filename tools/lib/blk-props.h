/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What udev knows of a block device, or sysfs where there is no udev. */
#ifndef KC_BLK_PROPS_H
#define KC_BLK_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * kc_blk_property() - a property of udev's, "ID_SERIAL"
 *
 * Without udev's database there are those of the kernel's uevent (DEVNAME, DEVTYPE, ...), and
 * ID_SERIAL, ID_SERIAL_SHORT, ID_MODEL, ID_WWN (a partition has its disk's), DM_NAME and DM_UUID,
 * as udev would write them.
 *
 * Run by udev for this very device, what its rules have found so far comes first.
 *
 * Return: false if the device has none of this name.
 */
bool kc_blk_property(dev_t dev, const char *name, char *value, size_t size);

#endif
