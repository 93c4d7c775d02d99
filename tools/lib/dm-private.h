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

/** kc_dm_each_name() - call @fn for every mapped device, anybody's, until it returns non-zero */
int kc_dm_each_name(int (*fn)(const char *name, void *data, struct kc_error *err), void *data, struct kc_error *err);

/** kc_dm_undash() - a UUID without its dashes, as it stands in ours of device-mapper */
void kc_dm_undash(const char *uuid, char hex[static 33]);

/** kc_dm_dash() - the first 32 digits of @hex as a UUID */
void kc_dm_dash(const char *hex, char uuid[static KC_UUID_LEN + 1]);

#endif
