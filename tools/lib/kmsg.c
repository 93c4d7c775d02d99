// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"

void kc_kmsg_mark(struct kc_kmsg *k)
{
	k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->fd >= 0)
		lseek(k->fd, 0, SEEK_END);
}

bool kc_kmsg_since(struct kc_kmsg *k, const char *prefix, char *text, size_t size)
{
	char record[8192], *line, *hit;
	bool found = false;
	ssize_t n;

	if (k->fd < 0)
		return false;
	/* a read is one record: "prio,seq,usec,flags;text\n dictionary"; EPIPE is a record overrun */
	while ((n = read(k->fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = '\0';
		line = strchr(record, ';');
		if (!line || !strstr(line, "device-mapper"))
			continue;
		hit = strstr(line, prefix);
		if (!hit)
			continue;
		hit += strlen(prefix);
		hit[strcspn(hit, "\n")] = '\0';
		snprintf(text, size, "%s", hit);
		found = true;
	}
	return found;
}

void kc_kmsg_close(struct kc_kmsg *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}
