// SPDX-License-Identifier: GPL-2.0-or-later
/* udev properties of block devices: by libsystemd where udev runs, by sysfs where it does not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <systemd/sd-device.h>
#include <unistd.h>

#include "blk-props.h"
#include "sysfs.h"

/* One line of a file of sysfs, without the blanks around it; false if it is not there or empty. */
static bool attribute(dev_t dev, const char *file, char *value, size_t size)
{
	char text[256];
	size_t len, lead;

	if (!kc_sysfs_attr(dev, file, text, sizeof(text)))
		return false;
	lead = strspn(text, " \t");
	for (len = strlen(text); len > lead && strchr(" \t", text[len - 1]); len--)
		;
	text[len] = '\0';
	snprintf(value, size, "%s", text + lead);
	return value[0] != '\0';
}

/* The same of the disk, if @dev is a partition; NVMe and SCSI have it one level down. */
static bool of_disk(dev_t dev, const char *file, char *value, size_t size)
{
	static const char *const at[] = { "", "device/", "../", "../device/" };
	char path[80];
	size_t i;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", at[i], file);
		if (attribute(dev, path, value, size))
			return true;
	}
	return false;
}

static void no_blanks(char *s)
{
	for (; *s; s++)
		if (*s == ' ' || *s == '\t')
			*s = '_';
}

/* udev: ID_SERIAL is MODEL_SERIAL where there is a model, as NVMe has one, and the serial alone for virtio. */
static bool serial(dev_t dev, bool whole, char *value, size_t size)
{
	char model[128], text[128];

	if (!of_disk(dev, "serial", text, sizeof(text)))
		return false;
	if (whole && of_disk(dev, "model", model, sizeof(model)))
		snprintf(value, size, "%s_%s", model, text);
	else
		snprintf(value, size, "%s", text);
	no_blanks(value);
	return true;
}

static bool from_sysfs(dev_t dev, const char *name, char *value, size_t size)
{
	bool found = false;

	if (!strcmp(name, "ID_SERIAL") || !strcmp(name, "ID_SERIAL_SHORT"))
		return serial(dev, !strcmp(name, "ID_SERIAL"), value, size);
	if (!strcmp(name, "DM_NAME"))
		return attribute(dev, "dm/name", value, size);
	if (!strcmp(name, "DM_UUID"))
		return attribute(dev, "dm/uuid", value, size);
	if (!strcmp(name, "ID_WWN"))
		found = of_disk(dev, "wwid", value, size);
	else if (!strcmp(name, "ID_MODEL"))
		found = of_disk(dev, "model", value, size);
	if (found)
		no_blanks(value);
	return found;
}

/*
 * A program that udev runs for a device (IMPORT{program}) has what the rules have found so far
 * in its environment; in the database it is only when they are through.
 */
static const char *from_udev(dev_t dev, const char *name)
{
	const char *subsystem = secure_getenv("SUBSYSTEM"), *ma = secure_getenv("MAJOR"), *mi = secure_getenv("MINOR");
	char devno[2][16];

	snprintf(devno[0], sizeof(devno[0]), "%u", major(dev));
	snprintf(devno[1], sizeof(devno[1]), "%u", minor(dev));
	if (!subsystem || strcmp(subsystem, "block") || !ma || strcmp(ma, devno[0]) || !mi || strcmp(mi, devno[1]))
		return NULL;
	return secure_getenv(name);
}

bool kc_blk_property(dev_t dev, const char *name, char *value, size_t size)
{
	const char *text = from_udev(dev, name);
	sd_device *sd = NULL;
	bool found;

	if (text && *text) {
		snprintf(value, size, "%s", text);
		return true;
	}
	found = sd_device_new_from_devnum(&sd, 'b', dev) >= 0 &&
		sd_device_get_property_value(sd, name, &text) >= 0 && text && *text;
	if (found)
		snprintf(value, size, "%s", text);
	sd_device_unref(sd);
	return found || from_sysfs(dev, name, value, size);
}
