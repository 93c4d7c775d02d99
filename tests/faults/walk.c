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
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dm.h"
#include "nth.h"
#include "walk.h"

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
