// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is walked (nth.h): the constructor, reloads, suspend and resume, removal,
 * messages, reads and writes, and the loading of the module. Prints a sentence a
 * walk; the first that does not hold ends the program.
 *
 *   walk tables | messages | io
 *   walk module FILE.ko
 *
 * The device below is a RAM disk (/dev/ram0): it completes where it was asked, so
 * that the way back of a read is in the walk too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dm.h"
#include "nth.h"

#define DEV "faults"
#define SECTORS 16384
#define LINE(options) "aes-xts-plain64 :64:logon:" DESC " 0 /dev/ram0 0 " options
#define TABLE LINE("2 sector_size:4096 lease:3600")

/* Copies to and from user space fail with EFAULT, everything else for memory. */
static const int plain_errors[] = { ENOMEM, EFAULT, 0 };

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* A key object that nobody holds would serve a table whose key is nowhere. */
static const char *key_left(void)
{
	int r;

	key_hide();
	r = dm_load(DEV, "kcache", SECTORS, TABLE);
	key_show();
	if (r == -ENOKEY)
		return NULL;
	return r ? "a table without a key is refused for another reason" :
		   "a key is left in the cache";
}

/* ---- data ---- */

#define MAX_IO (1 << 20)
#define AT (1 << 20)

static struct {
	int fd;
	size_t size;
	int flags;
	struct iovec iov[64];
	int pieces;
	const char *deferred;
} io;
/* In pieces: apart from each other, so that they stay pieces. */
static unsigned char *old_data, *new_data, *got, *apart;
static unsigned long generation;

static void pattern(unsigned char *p, size_t size)
{
	unsigned long *word = (unsigned long *)p;
	size_t i;

	generation++;
	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = generation << 32 | i;
}

static ssize_t transfer(int write, unsigned char *p)
{
	return write ? pwrite(io.fd, p, io.size, AT) : pread(io.fd, p, io.size, AT);
}

static const char *reads_as(const unsigned char *want)
{
	memset(got, 0, io.size);
	if (transfer(0, got) != (ssize_t)io.size)
		return "a read afterwards fails";
	return memcmp(got, want, io.size) ? "a read afterwards has other data" : NULL;
}

static void open_io(size_t size)
{
	io.fd = dm_open(DEV);
	io.size = size;
	pattern(old_data, size);
	if (transfer(1, old_data) != (ssize_t)size)
		die("a first write");
}

static void init_buffers(void)
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

/* ---- tables ---- */

static char driver[128];

static void device(void)
{
	must(dm_create(DEV), "a device is made");
	/* the first table also registers the disk, which is not what is tested */
	must(dm_load(DEV, "kcache", SECTORS, TABLE), "a table is loaded");
}

static void live_device(void)
{
	device();
	must(dm_resume(DEV), "it is resumed");
	open_io(64 * 1024);
}

static void no_device(void)
{
	close(io.fd);
	must(dm_remove(DEV), "the device is removed");
}

static int load(void)
{
	return dm_load(DEV, "kcache", SECTORS, TABLE);
}

static const char *loaded(int r)
{
	bool there = dm_has_inactive(DEV);
	char text[512], *word;

	/* where only the answer could not be copied, the table is there */
	if (r ? there && r != -EFAULT : !there)
		return there ? "a table is there in spite of the error" : "no table is there";
	if (!there)
		return NULL;
	/* a shortage of memory must not choose a slower driver */
	must(dm_status(DEV, true, text, sizeof(text)), "the new table has a status");
	word = strstr(text, "driver:");
	if (!word || strncmp(word, driver, strlen(driver)))
		return "another driver of the cipher";
	must(dm_clear(DEV), "the new table is dropped");
	return NULL;
}

static const char *after_ctr(int r, int injected)
{
	const char *wrong = loaded(r);

	if (!wrong)
		wrong = leaks();
	/* one left anywhere on the way would still be there */
	return wrong || injected ? wrong : key_left();
}

static const char *after_reload(int r, int injected)
{
	const char *wrong = loaded(r);

	(void)injected;
	if (!wrong)
		wrong = leaks();
	return wrong ? wrong : reads_as(old_data);
}

/* A table that was loaded in spite of a fault has all that it needs. */
static const char *after_reload_used(int r, int injected)
{
	if (r || !injected)
		return after_reload(r, injected);
	must(dm_resume(DEV), "the new table is resumed");
	if (dm_message(DEV, "key set :64:logon:" DESC))
		return "key set fails with the new table";
	if (dm_message(DEV, "lease 60"))
		return "lease fails with the new table";
	if (!dm_word(DEV, "errors")[0])
		return "the new table has no status";
	if (transfer(1, old_data) != (ssize_t)io.size)
		return "a write afterwards fails";
	if (leaks())
		return leaks();
	return reads_as(old_data);
}

static void load_if_none(void)
{
	if (!dm_has_inactive(DEV))
		must(load(), "a table is loaded");
}

static int resume(void)
{
	return dm_resume(DEV);
}

static int suspend(void)
{
	return dm_suspend(DEV);
}

static const char *after_resume(int r, int injected)
{
	(void)r;
	(void)injected;
	if (dm_resume(DEV))
		return "a second resume fails";
	if (dm_is_suspended(DEV))
		return "it is suspended after a resume";
	return reads_as(old_data);
}

static const char *after_swap(int r, int injected)
{
	const char *wrong = after_resume(r, injected);

	return wrong ? wrong : leaks();
}

static const char *after_suspend(int r, int injected)
{
	if (!r && !dm_is_suspended(DEV))
		return "it is not suspended";
	return after_resume(r, injected);
}

static void fresh_device(void)
{
	must(dm_create(DEV), "a device is made");
	must(load(), "a table is loaded");
}

static const char *after_first_resume(int r, int injected)
{
	(void)injected;
	/* device-mapper drops a table that it could not bring to life */
	if (r)
		load_if_none();
	if (dm_resume(DEV))
		return "a second resume fails";
	open_io(4096);
	close(io.fd);
	must(dm_remove(DEV), "it is removed");
	return leaks();
}

static void fresh_live(void)
{
	fresh_device();
	must(dm_resume(DEV), "it is resumed");
}

static int remove_device(void)
{
	return dm_remove(DEV);
}

static const char *after_remove(int r, int injected)
{
	(void)injected;
	if (r && r != -EFAULT && dm_remove(DEV))
		return "it cannot be removed afterwards";
	if (r == -EFAULT)
		dm_remove(DEV);
	return leaks();
}

static void walk_tables(void)
{
	take_base();
	walk(&(struct walk){ "the first resume of a table", fresh_device, resume,
			     after_first_resume, plain_errors, 5 });
	walk(&(struct walk){ "removal", fresh_live, remove_device, after_remove,
			     plain_errors, 3 });

	device();
	must(dm_resume(DEV), "it is resumed");
	snprintf(driver, sizeof(driver), "driver:%s", dm_word(DEV, "driver"));
	must(dm_remove(DEV), "it is removed");
	device();
	must(dm_clear(DEV), "the table is dropped");
	take_base();
	walk(&(struct walk){ "ctr", NULL, load, after_ctr, plain_errors, 300 });
	must(dm_remove(DEV), "the device is removed");

	live_device();
	take_base();
	walk(&(struct walk){ "reload of a live device", NULL, load, after_reload_used,
			     plain_errors, 300 });
	key_hide();
	walk(&(struct walk){ "reload with the key in the cache only", NULL, load, after_reload,
			     plain_errors, 300 });
	walk(&(struct walk){ "resume with a new table", load_if_none, resume, after_swap,
			     plain_errors, 5 });
	key_show();
	walk(&(struct walk){ "suspend", NULL, suspend, after_suspend, plain_errors, 3 });
	no_device();
}

/* ---- messages ---- */

static void wiped(void)
{
	must(dm_message(DEV, "key wipe"), "the key is wiped");
}

static int key_set(void)
{
	return dm_message(DEV, "key set :64:logon:" DESC);
}

static int key_wipe(void)
{
	return dm_message(DEV, "key wipe");
}

static const char *key_is(const char *state)
{
	return strcmp(dm_word(DEV, "key"), state) ? "the key is in another state" : NULL;
}

static const char *well(void)
{
	const char *wrong;

	must(key_set(), "the key is set");
	if (strcmp(dm_word(DEV, "driver"), driver))
		return "another driver of the cipher";
	wrong = reads_as(old_data);
	return wrong ? wrong : leaks();
}

static const char *after_set_wiped(int r, int injected)
{
	const char *wrong = NULL;

	(void)injected;
	if (r != -EFAULT)
		wrong = key_is(r ? "wiped" : "valid");
	if (!wrong && r && r != -EFAULT && transfer(0, got) >= 0)
		wrong = "it reads without a key";
	if (!wrong && !r)
		wrong = reads_as(old_data);
	return wrong ? wrong : well();
}

static const char *after_set_live(int r, int injected)
{
	const char *wrong = key_is("valid");

	(void)r;
	(void)injected;
	if (!wrong)
		wrong = reads_as(old_data);
	return wrong ? wrong : well();
}

static const char *after_wipe(int r, int injected)
{
	const char *wrong = NULL;

	(void)injected;
	if (r != -EFAULT)
		wrong = key_is(r ? "valid" : "wiped");
	if (!wrong && !r && (transfer(0, got) >= 0 || errno != EIO))
		wrong = "it reads without a key";
	return wrong ? wrong : well();
}

static int lease(void)
{
	return dm_message(DEV, "lease 60");
}

static const char *after_lease(int r, int injected)
{
	long left = atol(dm_word(DEV, "lease"));

	(void)injected;
	if (r && r != -EFAULT ? left <= 60 : !r && left > 60)
		return "another lease";
	return well();
}

static int status(void)
{
	char text[512];

	return dm_status(DEV, false, text, sizeof(text));
}

static const char *after_status(int r, int injected)
{
	(void)r;
	(void)injected;
	return key_is("valid");
}

static void resume_suspended(void)
{
	must(dm_suspend(DEV), "it is suspended");
	wiped();
}

static const char *after_set_suspended(int r, int injected)
{
	const char *wrong = NULL;

	(void)injected;
	if (r && r != -EFAULT && dm_resume(DEV) != -EAGAIN)
		wrong = "it resumes without a key";
	must(key_set(), "the key is set");
	must(dm_resume(DEV), "it is resumed");
	return wrong ? wrong : well();
}

static void walk_messages(void)
{
	live_device();
	snprintf(driver, sizeof(driver), "%s", dm_word(DEV, "driver"));
	take_base();
	walk(&(struct walk){ "key set of a wiped key", wiped, key_set, after_set_wiped,
			     plain_errors, 10 });
	walk(&(struct walk){ "key set of a key in use", NULL, key_set, after_set_live,
			     plain_errors, 10 });
	walk(&(struct walk){ "key set while suspended", resume_suspended, key_set,
			     after_set_suspended, plain_errors, 10 });
	walk(&(struct walk){ "key wipe", NULL, key_wipe, after_wipe, plain_errors, 5 });
	walk(&(struct walk){ "lease", NULL, lease, after_lease, plain_errors, 5 });
	walk(&(struct walk){ "status", NULL, status, after_status, plain_errors, 3 });
	no_device();
}

/* ---- reads and writes ---- */

/* Fewer bytes than asked for are an error of their own here. */
#define SHORT ENODATA

static const int io_errors[] = { ENOMEM, EFAULT, SHORT, 0 };
static const int nowait_errors[] = { ENOMEM, EFAULT, SHORT, EAGAIN, 0 };
static const int disk_errors[] = { ENOMEM, EFAULT, SHORT, EIO, 0 };

static void point_at(unsigned char *p)
{
	size_t each = io.size / io.pieces;
	int i;

	for (i = 0; i < io.pieces; i++) {
		io.iov[i].iov_base = io.pieces == 1 ? p : apart + 2 * i * each;
		io.iov[i].iov_len = each;
		if (io.pieces > 1)
			memcpy(io.iov[i].iov_base, p + i * each, each);
	}
}

static void gather(unsigned char *p)
{
	int i;

	for (i = 0; io.pieces > 1 && i < io.pieces; i++)
		memcpy(p + i * io.iov[i].iov_len, io.iov[i].iov_base, io.iov[i].iov_len);
}

/* The module's stash of pages would hide that there are no others. */
static void drain(void)
{
	/* shrinkers */
	write_file("/proc/sys/vm/drop_caches", "2");
}

static void before_write(void)
{
	pattern(new_data, io.size);
	point_at(new_data);
	drain();
}

static void before_read(void)
{
	memset(got, 0, io.size);
	point_at(got);
}

static int result(ssize_t n)
{
	if (n < 0)
		return -errno;
	return n == (ssize_t)io.size ? 0 : -SHORT;
}

static int do_write(void)
{
	return result(pwritev2(io.fd, io.iov, io.pieces, AT, io.flags));
}

static int do_read(void)
{
	return result(preadv2(io.fd, io.iov, io.pieces, AT, io.flags));
}

static const char *counters(void)
{
	if (strcmp(dm_word(DEV, "errors"), "0"))
		return "the target counts an error of its own";
	if ((io.flags & RWF_NOWAIT) && strcmp(dm_word(DEV, "deferred"), io.deferred))
		return "what must not wait went to a worker";
	return NULL;
}

static const char *after_write(int r, int injected)
{
	const char *wrong = NULL;
	unsigned char *swap;
	size_t i;

	if (transfer(0, got) != (ssize_t)io.size)
		return "a read afterwards fails";
	for (i = 0; i < io.size; i += 512)
		if (memcmp(got + i, new_data + i, 512) &&
		    (!r || memcmp(got + i, old_data + i, 512)))
			return "a sector is neither as before nor as written";
	if (injected) {
		/* what comes next works */
		if (transfer(1, new_data) != (ssize_t)io.size)
			return "a write afterwards fails";
		wrong = reads_as(new_data);
	}
	swap = old_data;
	old_data = new_data;
	new_data = swap;
	return wrong ? wrong : counters();
}

static const char *after_read(int r, int injected)
{
	const char *wrong = NULL;

	gather(got);
	if (!r && memcmp(got, old_data, io.size))
		return "other data was read";
	if (injected)
		wrong = reads_as(old_data);
	return wrong ? wrong : counters();
}

static void walk_both(const char *how, size_t size, int pieces, int flags, const int *errors)
{
	static char deferred[32];
	char name[128], bytes[32];

	io.size = size;
	io.pieces = pieces;
	io.flags = flags;
	snprintf(deferred, sizeof(deferred), "%s", dm_word(DEV, "deferred"));
	io.deferred = deferred;
	pattern(old_data, size);
	if (transfer(1, old_data) != (ssize_t)size)
		die("a write without faults");

	snprintf(bytes, sizeof(bytes), size % 1024 ? "%zu B" : "%zu KiB",
		 size % 1024 ? size : size / 1024);
	snprintf(name, sizeof(name), "write of %s, %s", bytes, how);
	walk(&(struct walk){ name, before_write, do_write, after_write, errors, 2 });
	snprintf(name, sizeof(name), "read of %s, %s", bytes, how);
	walk(&(struct walk){ name, before_read, do_read, after_read, errors, 1 });
}

/* What lies on the disk is dm-crypt's, and as written last. */
static void compare_with_dm_crypt(const char *options)
{
	const char *other = "faults-crypt";
	char line[256];

	snprintf(line, sizeof(line), LINE("%s"), options);
	must(dm_create(other), "a device of dm-crypt");
	must(dm_load(other, "crypt", SECTORS, line), "its table");
	must(dm_resume(other), "its resume");
	close(io.fd);
	io.fd = dm_open(other);
	if (reads_as(old_data)) {
		printf("not ok - dm-crypt reads what was written last\n");
		exit(1);
	}
	printf("ok - dm-crypt reads what was written last\n");
	close(io.fd);
	must(dm_remove(other), "it goes");
}

static void walk_io(void)
{
	static const char *const units[] = { "1 sector_size:512", "1 sector_size:4096" };
	char line[256], how[64];
	unsigned int i;

	/* from here on without a word in the log */
	write_file("/proc/sys/vm/drop_caches", "4");
	for (i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), LINE("%s"), units[i]);
		must(dm_create(DEV), "a device is made");
		must(dm_load(DEV, "kcache", SECTORS, line), "a table is loaded");
		must(dm_resume(DEV), "it is resumed");
		open_io(MAX_IO);
		take_base();

		snprintf(how, sizeof(how), "%s", units[i] + 2);
		if (!i)
			walk_both(how, 512, 1, 0, io_errors);
		walk_both(how, 4096, 1, 0, io_errors);
		walk_both(how, 64 * 1024, 1, 0, io_errors);
		walk_both(how, MAX_IO, 1, 0, io_errors);

		/* as small as the device takes them */
		snprintf(how, sizeof(how), "%s, in 16 pieces", units[i] + 2);
		walk_both(how, i ? 64 * 1024 : 8 * 1024, 16, 0, io_errors);

		snprintf(how, sizeof(how), "%s, NOWAIT", units[i] + 2);
		walk_both(how, 4096, 1, RWF_NOWAIT, nowait_errors);
		walk_both(how, 64 * 1024, 1, RWF_NOWAIT, nowait_errors);

		snprintf(how, sizeof(how), "%s, the disk failing", units[i] + 2);
		write_file("/sys/block/ram0/make-it-fail", "1");
		walk_both(how, 4096, 1, 0, disk_errors);
		walk_both(how, MAX_IO, 1, 0, disk_errors);
		write_file("/sys/block/ram0/make-it-fail", "0");

		if (!atol(dm_word(DEV, "deferred"))) {
			printf("not ok - some write had to wait for its pages\n");
			exit(1);
		}
		compare_with_dm_crypt(units[i]);
		must(dm_remove(DEV), "it is removed");
	}
}

/* ---- the module ---- */

static const char *module_file;
static int module_fd;

static void open_module(void)
{
	module_fd = open(module_file, O_RDONLY | O_CLOEXEC);
	if (module_fd < 0)
		die(module_file);
}

static int load_module(void)
{
	return syscall(SYS_finit_module, module_fd, "", 0) ? -errno : 0;
}

static const char *after_module(int r, int injected)
{
	(void)injected;
	close(module_fd);
	if (!r)
		return syscall(SYS_delete_module, "dm_kcache", O_NONBLOCK) ?
		       "it cannot be unloaded" : NULL;
	return access("/sys/module/dm_kcache", F_OK) ? NULL : "it is there in spite of the error";
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	init_buffers();
	key_init();
	nth_init();
	if (argc == 2 && !strcmp(argv[1], "tables")) {
		walk_tables();
	} else if (argc == 2 && !strcmp(argv[1], "messages")) {
		walk_messages();
	} else if (argc == 2 && !strcmp(argv[1], "io")) {
		walk_io();
	} else if (argc == 3 && !strcmp(argv[1], "module")) {
		module_file = argv[2];
		/*
		 * What the module does by itself, which comes last; before it the
		 * kernel reads the file, page by page, and makes a module of it.
		 */
		walk_end(&(struct walk){ "the end of a module load", open_module, load_module,
					 after_module, plain_errors, 50 }, 150);
	} else {
		fprintf(stderr, "usage: walk tables|messages|io|module FILE\n");
		return 2;
	}
	return 0;
}
