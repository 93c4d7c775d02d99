// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapped devices that are in use: suspend, resume, another table, messages. None of
 * this touches the key by itself; what the target does with its key is its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <string.h>

#include "dm-private.h"
#include "kmsg.h"

static int no_memory(struct dm_task *t, struct kc_error *err)
{
	dm_task_destroy(t);
	return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
}

/* The errno as an error; ENXIO, and the kernel's own sentence where it has one. */
static int failed(struct kc_error *err, int e, const char *name, const char *doing, struct kc_kmsg *log)
{
	char why[256];

	if (e == ENXIO)
		return kc_fail(err, KC_DEVICE, "see kcache list", "there is no mapped device %s", name);
	if (log && e != EPERM && kc_kmsg_since(log, "kcache: ", why, sizeof(why)))
		return kc_fail(err, e == EBUSY ? KC_BUSY : e == ENOMEM ? KC_NOMEM : KC_DEVICE, NULL,
			       "cannot %s: %s (%s)", doing, why, strerror(e));
	return kc_dm_task_failed(err, e, doing);
}

int kc_dm_suspend(const char *name, bool flush, struct kc_error *err)
{
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_SUSPEND, name, err);
	if (ret)
		return ret;
	if (!flush && !dm_task_no_flush(t))
		return no_memory(t, err);
	e = kc_dm_run_task(t);
	dm_task_destroy(t);
	return e ? failed(err, e, name, "suspend it", NULL) : 0;
}

int kc_dm_resume(const char *name, struct kc_error *err)
{
	uint32_t cookie = 0;
	struct kc_kmsg log;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_RESUME, name, err);
	if (ret)
		return ret;
	if (!dm_task_set_cookie(t, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK))
		return no_memory(t, err);
	kc_kmsg_mark(&log);
	e = kc_dm_run_task(t);
	dm_udev_wait(cookie);
	dm_task_destroy(t);
	dm_task_update_nodes();
	if (e)
		failed(err, e, name, "resume it", &log);
	kc_kmsg_close(&log);
	return e ? (int)err->code : 0;
}

int kc_dm_load(const char *name, uint64_t bytes, const char *target, const char *params, bool read_only,
	       struct kc_error *err)
{
	struct kc_kmsg log;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_RELOAD, name, err);
	if (ret)
		return ret;
	if (!dm_task_add_target(t, 0, bytes / 512, target, params) || (read_only && !dm_task_set_ro(t)))
		return no_memory(t, err);
	kc_kmsg_mark(&log);
	e = kc_dm_run_task(t);
	dm_task_destroy(t);
	if (e)
		failed(err, e, name, "give it another table", &log);
	kc_kmsg_close(&log);
	return e ? (int)err->code : 0;
}

int kc_dm_clear(const char *name, struct kc_error *err)
{
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_CLEAR, name, err);
	if (ret)
		return ret;
	e = kc_dm_run_task(t);
	dm_task_destroy(t);
	return e ? failed(err, e, name, "drop a table that is not in force", NULL) : 0;
}

int kc_dm_message(const char *name, const char *message, int *errno_out, struct kc_error *err)
{
	struct kc_kmsg log;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_TARGET_MSG, name, err);
	if (ret)
		return ret;
	if (!dm_task_set_sector(t, 0) || !dm_task_set_message(t, message))
		return no_memory(t, err);
	kc_kmsg_mark(&log);
	e = kc_dm_run_task(t);
	dm_task_destroy(t);
	if (errno_out)
		*errno_out = e;
	if (e)
		failed(err, e, name, "send it a message", &log);
	kc_kmsg_close(&log);
	return e ? (int)err->code : 0;
}
