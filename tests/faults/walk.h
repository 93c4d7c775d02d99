/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one device that the walks share, with its data, and the walks themselves. */
#ifndef FAULTS_WALK_H
#define FAULTS_WALK_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define DEV "faults"
#define SECTORS 16384
#define LINE(options) "aes-xts-plain64 :64:logon:" DESC " 0 /dev/ram0 0 " options
#define TABLE LINE("2 sector_size:4096 lease:3600")
#define MAX_IO (1 << 20)
#define AT (1 << 20)	/* where on the device */

/**
 * struct io - what is read and written, always at the same place
 * @size: bytes, at most MAX_IO
 * @flags: of preadv2() and pwritev2()
 * @iov, @pieces: the buffer, apart from each other, so that they stay pieces
 * @deferred: the counter of that name before the walk: NOWAIT must not raise it
 */
extern struct io {
	int fd;
	size_t size;
	int flags;
	struct iovec iov[64];
	int pieces;
	const char *deferred;
} io;

/* MAX_IO bytes each: what is there, what is to be there, what was read; and room for pieces */
extern unsigned char *old_data, *new_data, *got, *apart;
/* the cipher's driver: a shortage of memory must not choose a slower one */
extern char driver[128];
extern const int plain_errors[];

void write_file(const char *path, const char *text);
void init_buffers(void);

/* a pattern that was not there before */
void pattern(unsigned char *p, size_t size);
ssize_t transfer(int write, unsigned char *p);
/* opens the device and writes old_data */
void open_io(size_t size);
/* what is wrong with what is read, or NULL */
const char *reads_as(const unsigned char *want);

/* made, with a table that is not in force; in force, and opened; closed and removed */
void device(void);
void live_device(void);
void no_device(void);

void walk_tables(void);
void walk_messages(void);
void walk_io(void);

#endif
