/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the supported kernels, force-included into
 * each file of the module (Kbuild). The .c files hold no version test.
 *
 * What can be probed is probed (KCACHE_HAVE_..., from Kbuild), because vendors
 * move features between versions; a version is named only where nothing can be
 * probed.
 */
#ifndef KCACHE_COMPAT_H
#define KCACHE_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "dm-kcache needs Linux 6.1 or later"
#endif

/* crypto_memneq() got a header of its own in 6.4; it was in algapi.h before. */
#ifdef KCACHE_HAVE_CRYPTO_UTILS_H
#include <crypto/utils.h>
#else
#include <crypto/algapi.h>
#endif

/*
 * drivers/md/dm-audit.h is private to the kernel's tree, the function behind it
 * is exported. Its prototype has not changed since it came with 5.16.
 */
#include <linux/audit.h>

struct dm_target;

#if IS_ENABLED(CONFIG_DM_AUDIT)
void dm_audit_log_ti(int audit_type, const char *dm_msg_prefix, const char *op,
		     struct dm_target *ti, int result);
#else
static inline void dm_audit_log_ti(int audit_type, const char *dm_msg_prefix,
				   const char *op, struct dm_target *ti,
				   int result)
{
}
#endif

#endif /* KCACHE_COMPAT_H */
