/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about a block device (or a plain file that stands for one), and who uses it. */
#ifndef KC_BLK_H
#define KC_BLK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/**
 * struct kc_blk - an opened device
 * @path: as the user gave it; borrowed
 * @fd: open for reading, not exclusive: pins the device, so that its number cannot be reused
 * @claim_fd: the exclusive open while it is claimed, -1 otherwise
 * @is_file: a regular file
 * @dev: the device's own number, 0:0 for a file
 * @size: bytes
 * @sector_size: logical, 512 for a file
 * @read_only: the device refuses writes
 * @zoned: host-aware or host-managed zones
 */
struct kc_blk {
	const char *path;
	int fd;
	int claim_fd;
	bool is_file;
	dev_t dev;
	uint64_t size;
	unsigned int sector_size;
	bool read_only;
	bool zoned;
};

/**
 * kc_blk_open() - open for reading and collect the facts
 *
 * Return: 0; KC_DEVICE if it is not there, no block device or file, or unreadable; KC_PERM.
 * kc_blk_close() it also after an error.
 */
int kc_blk_open(const char *path, struct kc_blk *b, struct kc_error *err);
void kc_blk_close(struct kc_blk *b);

/**
 * kc_blk_claim() - open exclusively, so that nobody mounts or maps it meanwhile
 * @writable: also ask for write access
 *
 * Return: 0; KC_BUSY naming who holds it; KC_DEVICE if @writable and read-only.
 */
int kc_blk_claim(struct kc_blk *b, bool writable, struct kc_error *err);

/** kc_blk_release() - give the claim up, just before somebody else claims it for us */
void kc_blk_release(struct kc_blk *b);

/**
 * kc_blk_users() - who uses a device: mount points, swap, holders, partitions in use, processes
 * @text: receives "mounted on /mnt, held by dm-1 (data)"; empty if nobody was found
 *
 * Return: how many were found.
 */
unsigned int kc_blk_users(dev_t dev, char *text, size_t size);

/** kc_blk_held() - the same without processes: who keeps others from opening it exclusively */
unsigned int kc_blk_held(dev_t dev, char *text, size_t size);

/** kc_blk_mountpoint() - the first mount point of a device; false if there is none */
bool kc_blk_mountpoint(dev_t dev, char *text, size_t size);

/**
 * kc_blk_lies_on() - does what is written to @top end up on @base?
 *
 * Down through partitions, mapped devices and loop devices, whose files lie on file systems,
 * which lie on devices. @top may be the st_dev of a file. True if they are the same.
 */
bool kc_blk_lies_on(dev_t top, dev_t base);

/** kc_blk_name() - "/dev/sdb" or "/dev/mapper/data" of a device number, "8:16" if it has no node */
void kc_blk_name(dev_t dev, char *text, size_t size);

/**
 * kc_blk_blank() - is there anything on it?
 * @found: receives what was found, "ext4 filesystem, data in the last MiB"; empty if blank
 *
 * Anything: a signature that libblkid knows, or a first or last MiB that is not all zeros.
 */
int kc_blk_blank(const struct kc_blk *b, char *found, size_t size, struct kc_error *err);

/** kc_blk_wipe_signatures() - remove every signature that libblkid knows; needs a writable claim */
int kc_blk_wipe_signatures(struct kc_blk *b, struct kc_error *err);

/**
 * kc_blk_reach() - how far does what is on a device reach?
 * @node: the device
 * @dev: its number
 * @what: receives what it is, "ext4" or "held by dm-3 (top)"; empty if nothing is known to be there
 * @end: receives bytes from the start, UINT64_MAX if that cannot be told
 */
int kc_blk_reach(const char *node, dev_t dev, char *what, size_t size, uint64_t *end, struct kc_error *err);

/**
 * kc_blk_holder() - a mapped device on top of @b whose device-mapper UUID starts with @prefix
 * @name: receives its name
 */
bool kc_blk_holder(const struct kc_blk *b, const char *prefix, char *name, size_t size);

/**
 * kc_blk_scan() - call @fn for each block device that carries a LUKS header of subsystem kcache
 * @fn: node and LUKS UUID; stops the scan with non-zero
 *
 * A device that something else stands on (a mirror's leg, a multipath path) is passed over:
 * the one on top is the one to use. So is what cannot be read.
 */
int kc_blk_scan(int (*fn)(const char *node, const char *uuid, void *data), void *data, struct kc_error *err);

/** kc_blk_stands_on() - does @top stand on @base, directly or further down? sysfs says so */
bool kc_blk_stands_on(dev_t top, dev_t base);

/**
 * kc_blk_vital() - would this host come to a halt if I/O to @dev waited?
 * @needed: paths that must stay within reach, NULL at the end; ones that are not there count by their folder
 * @text: receives what stands on it: "the root filesystem", "swap", "/var, where /var/lib/kcache is"
 *
 * Also through what is stacked on @dev, a logical volume for instance.
 */
bool kc_blk_vital(dev_t dev, const char *const needed[], char *text, size_t size);

/**
 * kc_blk_shutdown() - shut down every filesystem on @dev, also through what is stacked on it (FS_IOC_SHUTDOWN)
 * @told: for each, what came of it: 0 or an errno; ENOTTY where a filesystem cannot, ESTALE where its
 *	mount point is out of reach under another one
 *
 * Nothing is written out first: what is dirty is lost, as with a disk that has gone. What is
 * mounted in another mount namespace alone is not seen.
 */
void kc_blk_shutdown(dev_t dev, void (*told)(const char *mountpoint, int e, void *data), void *data);

/** kc_blk_refuse_leg() - KC_BUSY if @b is one path of a multipath device */
int kc_blk_refuse_leg(const struct kc_blk *b, struct kc_error *err);

/**
 * kc_blk_refuse_twins() - KC_BUSY if another block device carries the same LUKS UUID
 * @area: bytes of one copy of the header: the second, which a twin has too, lies behind it
 *
 * Devices stacked on one another (a mirror and its legs) are one device seen
 * twice: told by sysfs slaves, ancestors and descendants of @b are skipped. Two
 * devices side by side on the same base are not: a snapshot is no choice to make.
 * Not looked at: the plaintext of an attached volume, and what cannot be read now
 * (suspended, or standing on a volume that waits for its key).
 */
int kc_blk_refuse_twins(const struct kc_blk *b, const char *uuid, uint64_t area, struct kc_error *err);

#endif
