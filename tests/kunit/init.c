// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * First and only process of User Mode Linux: loads the KUnit module, which runs
 * its suites, unloads it, and turns the machine off. Linked statically, alone in
 * its initramfs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	int fd = open("/dm-kcache-kunit.ko", O_RDONLY);
	static char params[256];
	FILE *f;

	f = fopen("/params", "r");
	if (!f || !fgets(params, sizeof(params), f))
		params[0] = 0;
	if (syscall(SYS_finit_module, fd, params, 0))
		perror("init: loading the module");
	else if (syscall(SYS_delete_module, "dm_kcache_kunit", 0))
		perror("init: unloading the module");
	reboot(RB_POWER_OFF);
	return 1;
}
