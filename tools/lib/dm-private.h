/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the device-mapper ioctls share: a task made, run, and its errno told. */
#ifndef KC_DM_PRIVATE_H
#define KC_DM_PRIVATE_H

#include "dm.h"

struct dm_task;

/** kc_dm_new_task() - a task of @type for @name, which may be NULL; dm_task_destroy() it */
int kc_dm_new_task(struct dm_task **t, int type, const char *name, struct kc_error *err);

/** kc_dm_run_task() - 0, or an errno: ENXIO is "no such device" */
int kc_dm_run_task(struct dm_task *t);

/** kc_dm_task_failed() - @err for errno @e: "cannot DOING"; returns its code */
int kc_dm_task_failed(struct kc_error *err, int e, const char *doing);

#endif
