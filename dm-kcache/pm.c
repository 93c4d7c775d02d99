// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys and the end of this kernel's life.
 *
 * Hibernation writes all memory to a disk, keys included: refused while there is
 * one. Suspend to RAM is not: memory stays where it is, and leases go on.
 *
 * Reboot, poweroff and kexec: all keys are wiped, in use or not, after everybody
 * else has been told. What comes after has no business with the data, and a
 * kernel started by kexec finds the memory as it was left.
 */
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/suspend.h>

#include "dm-kcache.h"

static int pm_event(struct notifier_block *nb, unsigned long event, void *data)
{
	if (event != PM_HIBERNATION_PREPARE || !kcache_key_any_valid())
		return NOTIFY_DONE;
	DMERR("hibernation refused, it would write keys to the disk: detach the volumes first");
	return notifier_from_errno(-EBUSY);
}

static int reboot_event(struct notifier_block *nb, unsigned long event,
			void *data)
{
	kcache_key_wipe_for_good();
	return NOTIFY_DONE;
}

static struct notifier_block kcache_pm_nb = {
	.notifier_call = pm_event,
};

static struct notifier_block kcache_reboot_nb = {
	.notifier_call = reboot_event,
	.priority = INT_MIN,
};

/**
 * kcache_pm_init() - listen
 *
 * Context: Module load.
 * Return: 0 or a negative errno.
 */
int __init kcache_pm_init(void)
{
	int r;

	r = register_pm_notifier(&kcache_pm_nb);
	if (r)
		return r;
	r = register_reboot_notifier(&kcache_reboot_nb);
	if (r)
		unregister_pm_notifier(&kcache_pm_nb);
	return r;
}

/**
 * kcache_pm_exit() - stop listening
 *
 * Context: Module unload, or a load that failed.
 */
void kcache_pm_exit(void)
{
	unregister_reboot_notifier(&kcache_reboot_nb);
	unregister_pm_notifier(&kcache_pm_nb);
}
