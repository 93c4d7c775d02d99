// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Device-mapper and the keyring by bare system calls; see dm.h.
 */
#include "dm.h"

#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
	printf("not ok - %s: %s\n", what, strerror(errno));
	exit(1);
}

void must(int r, const char *what)
{
	if (!r)
		return;
	errno = -r;
	die(what);
}

/* ---- device-mapper ---- */

static union {
	struct dm_ioctl io;
	char bytes[8192];
} arg;

static int run(unsigned long cmd)
{
	static int control = -1;

	if (control < 0) {
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
		if (control < 0)
			die("device-mapper can be opened");
	}
	return ioctl(control, cmd, &arg.io) ? -errno : 0;
}

static void fill(const char *name, unsigned int flags)
{
	memset(&arg, 0, sizeof(arg));
	arg.io.version[0] = DM_VERSION_MAJOR;
	arg.io.data_size = sizeof(arg);
	arg.io.data_start = sizeof(arg.io);
	arg.io.flags = flags;
	snprintf(arg.io.name, sizeof(arg.io.name), "%s", name);
}

int dm_create(const char *name)
{
	fill(name, 0);
	return run(DM_DEV_CREATE);
}

int dm_remove(const char *name)
{
	fill(name, 0);
	return run(DM_DEV_REMOVE);
}

int dm_load(const char *name, const char *type, unsigned long long sectors,
	    const char *params)
{
	struct dm_target_spec *spec = (void *)(arg.bytes + sizeof(arg.io));

	fill(name, 0);
	arg.io.target_count = 1;
	spec->length = sectors;
	strcpy(spec->target_type, type);
	strcpy((char *)(spec + 1), params);
	return run(DM_TABLE_LOAD);
}

int dm_clear(const char *name)
{
	fill(name, 0);
	return run(DM_TABLE_CLEAR);
}

int dm_suspend(const char *name)
{
	fill(name, DM_SUSPEND_FLAG);
	return run(DM_DEV_SUSPEND);
}

int dm_resume(const char *name)
{
	fill(name, 0);
	return run(DM_DEV_SUSPEND);
}

int dm_message(const char *name, const char *text)
{
	struct dm_target_msg *msg = (void *)(arg.bytes + sizeof(arg.io));

	fill(name, 0);
	strcpy(msg->message, text);
	return run(DM_TARGET_MSG);
}

int dm_status(const char *name, bool inactive, char *text, size_t size)
{
	struct dm_target_spec *spec;
	int r;

	fill(name, DM_NOFLUSH_FLAG | (inactive ? DM_QUERY_INACTIVE_TABLE_FLAG : 0));
	r = run(DM_TABLE_STATUS);
	if (!r && !arg.io.target_count)
		r = -ENODATA;
	if (r)
		return r;
	spec = (void *)(arg.bytes + arg.io.data_start);
	snprintf(text, size, "%s", (char *)(spec + 1));
	return 0;
}

static unsigned int flags_of(const char *name)
{
	fill(name, 0);
	if (run(DM_DEV_STATUS))
		die("a device tells its state");
	return arg.io.flags;
}

bool dm_has_inactive(const char *name)
{
	return flags_of(name) & DM_INACTIVE_PRESENT_FLAG;
}

bool dm_is_suspended(const char *name)
{
	return flags_of(name) & DM_SUSPEND_FLAG;
}

int dm_open(const char *name)
{
	char path[32];
	int fd;

	flags_of(name);
	snprintf(path, sizeof(path), "/dev/dm-%u", minor(arg.io.dev));
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

const char *dm_word(const char *name, const char *word)
{
	static char text[512];
	size_t n = strlen(word);
	char *w, *save;

	if (dm_status(name, false, text, sizeof(text)))
		return "";
	for (w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (!strncmp(w, word, n) && w[n] == ':')
			return w + n + 1;
	return "";
}

/* ---- the key ---- */

static unsigned char raw[64];
static key_serial_t key;

void key_renew(void)
{
	if (key) {
		keyctl_unlink(key, KEY_SPEC_SESSION_KEYRING);
		keyctl_unlink(key, KEY_SPEC_USER_KEYRING);
	}
	/* where it cannot be found by a search, only its user has a right to it */
	key = add_key("logon", DESC, raw, sizeof(raw), KEY_SPEC_SESSION_KEYRING);
	if (key < 0 || keyctl_setperm(key, KEY_POS_ALL | KEY_USR_ALL) ||
	    keyctl_link(key, KEY_SPEC_USER_KEYRING) ||
	    keyctl_unlink(key, KEY_SPEC_SESSION_KEYRING))
		die("a key can be added");
}

void key_show(void)
{
	if (keyctl_link(key, KEY_SPEC_SESSION_KEYRING))
		die("a key can be linked");
}

void key_hide(void)
{
	keyctl_unlink(key, KEY_SPEC_SESSION_KEYRING);
}

void key_revoke(void)
{
	if (keyctl_revoke(key))
		die("a key can be revoked");
}

/* The shortest time there is. */
void key_expire(void)
{
	struct timespec t = { .tv_sec = 1, .tv_nsec = 50 * 1000 * 1000 };

	if (keyctl_set_timeout(key, 1))
		die("a key can be given a time");
	nanosleep(&t, NULL);
}

void key_init(void)
{
	if (keyctl_join_session_keyring(NULL) < 0)
		die("a session keyring");
	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		die("random bytes");
	key_renew();
	key_show();
}

static long number_in(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die(path);
	close(fd);
	return atol(text);
}

/* ---- what must not be left behind ---- */

/* References to the drivers of xts(aes): each key schedule holds one. */
static long cipher_refs(void)
{
	static char text[128 * 1024];
	size_t n = 0;
	ssize_t k;
	long refs = 0;
	char *at, *driver, *ref;
	int fd = open("/proc/crypto", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("/proc/crypto");
	while ((k = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += k;
	close(fd);
	text[n] = 0;
	for (at = text; (driver = strstr(at, "\ndriver ")); at = driver + 1) {
		ref = strstr(driver, "\nrefcnt ");
		*strchr(driver + 1, '\n') = 0;
		if (ref && strstr(driver + 1, "xts"))
			refs += atol(strchr(ref, ':') + 1);
	}
	return refs;
}

static long module_refs(void)
{
	return number_in("/sys/module/dm_kcache/refcnt");
}

static struct {
	long cipher, module;
} base;

void take_base(void)
{
	base.cipher = cipher_refs();
	base.module = module_refs();
}

const char *leaks(void)
{
	if (module_refs() != base.module)
		return "a table is left";
	if (cipher_refs() != base.cipher)
		return "a key schedule is left";
	return NULL;
}
