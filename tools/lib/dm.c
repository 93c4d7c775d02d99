// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device-mapper ioctls. Every task goes through kc_dm_run_task(), so that an errno
 * becomes an exit code in one place. Works with and without a running udevd:
 * libdevmapper makes the nodes itself where there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dm-private.h"
#include "dm-snap.h"
#include "kmsg.h"

/* no links by what is on it, nobody mounts it or activates what it finds there */
#define HIDDEN (DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | \
		DM_UDEV_DISABLE_OTHER_RULES_FLAG)

static bool debug;

/* libdevmapper writes to stderr by itself: its errors come back as errno, so only debug shows them. */
static void __attribute__((format(printf, 5, 6)))
log_line(int level, const char *file, int line, int dm_errno, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	(void)file;
	(void)line;
	(void)dm_errno;
	if (!debug)
		return;
	fputs("# libdevmapper: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void kc_dm_debug(void)
{
	debug = true;
}

/* libdevmapper gives no task where it cannot reach the driver, and does not say why. */
static int unreachable(struct kc_error *err)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
	}
	if (errno == EACCES || errno == EPERM || geteuid() != 0)
		return kc_fail(err, KC_PERM, "run it as root", "not permitted to use device-mapper");
	return kc_fail(err, KC_DEVICE, "as root: modprobe dm-mod", "no device-mapper in reach: %s", strerror(errno));
}

int kc_dm_new_task(struct dm_task **t, int type, const char *name, struct kc_error *err)
{
	dm_log_with_errno_init(log_line);
	*t = dm_task_create(type);
	if (!*t)
		return unreachable(err);
	if (!name || dm_task_set_name(*t, name))
		return 0;
	dm_task_destroy(*t);
	*t = NULL;
	return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
}

int kc_dm_run_task(struct dm_task *t)
{
	int e;

	if (dm_task_run(t))
		return 0;
	e = dm_task_get_errno(t);
	return e ? e : EIO;
}

int kc_dm_task_failed(struct kc_error *err, int e, const char *doing)
{
	char version[64];

	if (e == EPERM || e == EACCES)
		return kc_fail(err, KC_PERM, "run it as root", "not permitted to %s", doing);
	if (e == ENOMEM)
		return kc_fail(err, KC_NOMEM, NULL, "the kernel is out of memory, cannot %s", doing);
	if (e == EBUSY)
		return kc_fail(err, KC_BUSY, NULL, "device-mapper says busy, cannot %s", doing);
	if (!dm_driver_version(version, sizeof(version)))
		return kc_fail(err, KC_DEVICE, "as root: modprobe dm-mod", "no device-mapper in reach, cannot %s",
			       doing);
	return kc_fail(err, KC_DEVICE, NULL, "cannot %s: %s", doing, strerror(e));
}

int kc_dm_check_name(const char *name, struct kc_error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#+-.:=@_";

	if (strlen(name) >= KC_DM_NAME_MAX)
		return kc_fail(err, KC_USAGE, NULL, "the name is longer than %d characters: `%s'", KC_DM_NAME_MAX - 1,
			       name);
	/* others would be mangled in /dev/mapper, by libdevmapper and udev alike */
	if (!*name || name[strspn(name, allowed)])
		return kc_fail(err, KC_USAGE, "use letters, digits and #+-.:=@_", "`%s' cannot be a name in /dev/mapper",
			       name);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "control") == 0)
		return kc_fail(err, KC_USAGE, "choose another", "`%s' cannot be a name in /dev/mapper", name);
	return 0;
}

void kc_dm_undash(const char *uuid, char hex[static 33])
{
	size_t n = 0;

	for (; *uuid && n < 32; uuid++)
		if (*uuid != '-')
			hex[n++] = *uuid;
	hex[n] = '\0';
}

void kc_dm_dash(const char *hex, char uuid[static KC_UUID_LEN + 1])
{
	snprintf(uuid, KC_UUID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* "KCACHE-<32 hex digits>-<name>" to a UUID with dashes; false if it is not of this form. */
static bool volume_of(const char *dm_uuid, char volume[static KC_UUID_LEN + 1])
{
	const size_t prefix = strlen(KC_DM_UUID_PREFIX);
	const char *hex = dm_uuid + prefix;

	if (strncmp(dm_uuid, KC_DM_UUID_PREFIX, prefix) != 0 ||
	    strspn(hex, "0123456789abcdef") != 32 || hex[32] != '-')
		return false;
	kc_dm_dash(hex, volume);
	return true;
}

/* One status or table query of @d's single target; fills @text. */
static int query(struct kc_dm *d, int type, char *text, size_t size, struct kc_error *err)
{
	uint64_t start, length;
	char *target, *params;
	struct dm_info info;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, type, d->name, err);
	if (ret)
		return ret;
	e = kc_dm_run_task(t);
	if (e || !dm_task_get_info(t, &info)) {
		dm_task_destroy(t);
		return kc_dm_task_failed(err, e ? e : ENXIO, "ask for its status");
	}
	dm_get_next_target(t, NULL, &start, &length, &target, &params);
	snprintf(d->target, sizeof(d->target), "%s", target ? target : "");
	snprintf(text, size, "%s", params ? params : "");
	d->size = target ? length * 512 : 0;
	dm_task_destroy(t);
	return 0;
}

static int query_below(struct kc_dm *d, struct kc_error *err)
{
	struct dm_deps *deps;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_DEPS, d->name, err);
	if (ret)
		return ret;
	e = kc_dm_run_task(t);
	if (e) {
		dm_task_destroy(t);
		return kc_dm_task_failed(err, e, "ask what it stands on");
	}
	deps = dm_task_get_deps(t);
	if (deps && deps->count)
		d->below = (dev_t)deps->device[0];
	dm_task_destroy(t);
	if (major(d->below) == major(d->dev)) {
		const dev_t below = kc_dm_snap_below(d->below);

		d->origin = below == d->below ? 0 : d->below;
		d->below = below;
	}
	return 0;
}

/*
 * Name, numbers and flags; *found is whether it exists, *ours whether its UUID is of our form.
 * @device may be @d's own name: who looks again at a device has it from there.
 */
static int query_info(const char *device, struct kc_dm *d, bool *found, bool *ours, struct kc_error *err)
{
	char name[KC_DM_NAME_MAX];
	struct dm_info info;
	struct dm_task *t;
	const char *uuid;
	int e, ret;

	*found = *ours = false;
	snprintf(name, sizeof(name), "%s", device);
	memset(d, 0, sizeof(*d));
	ret = kc_dm_new_task(&t, DM_DEVICE_INFO, name, err);
	if (ret)
		return ret;
	e = kc_dm_run_task(t);
	if (e && e != ENXIO) {
		dm_task_destroy(t);
		return kc_dm_task_failed(err, e, "ask for it");
	}
	if (!e && dm_task_get_info(t, &info) && info.exists) {
		*found = true;
		snprintf(d->name, sizeof(d->name), "%s", name);
		uuid = dm_task_get_uuid(t);
		*ours = uuid && volume_of(uuid, d->volume);
		d->dev = makedev(info.major, info.minor);
		d->opens = info.open_count;
		d->suspended = info.suspended;
		d->read_only = info.read_only;
		d->deferred = info.deferred_remove;
	}
	dm_task_destroy(t);
	return 0;
}

int kc_dm_exists(const char *name, bool *exists, struct kc_error *err)
{
	struct kc_dm d;
	bool ours;

	return query_info(name, &d, exists, &ours, err);
}

static int query_all(struct kc_dm *d, struct kc_error *err)
{
	int ret = query(d, DM_DEVICE_STATUS, d->info, sizeof(d->info), err);

	if (!ret)
		ret = query(d, DM_DEVICE_TABLE, d->table, sizeof(d->table), err);
	if (!ret)
		ret = query_below(d, err);
	return ret;
}

int kc_dm_find(const char *name, struct kc_dm *d, bool *found, struct kc_error *err)
{
	bool ours;
	int ret;

	ret = query_info(name, d, found, &ours, err);
	if (ret || !*found)
		return ret;
	if (!ours)
		return kc_fail(err, KC_DEVICE, "see dmsetup info", "the mapped device %s is not a kcache volume", name);
	query_below(d, NULL);
	return 0;
}

int kc_dm_get(const char *name, struct kc_dm *d, bool *found, struct kc_error *err)
{
	int ret = kc_dm_find(name, d, found, err);

	return ret || !*found ? ret : query_all(d, err);
}

int kc_dm_each_name(int (*fn)(const char *name, void *data, struct kc_error *err), void *data, struct kc_error *err)
{
	struct dm_names *names;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_LIST, NULL, err);
	if (ret)
		return ret;
	e = kc_dm_run_task(t);
	if (e) {
		dm_task_destroy(t);
		return kc_dm_task_failed(err, e, "list mapped devices");
	}
	names = dm_task_get_names(t);
	/* no device at all is one entry without a number; entries are chained by byte offsets */
	while (!ret && names && names->dev) {
		ret = fn(names->name, data, err);
		if (!names->next)
			break;
		names = (struct dm_names *)(void *)((char *)names + names->next);
	}
	dm_task_destroy(t);
	return ret;
}

/** struct each - kc_dm_each()'s own, between it and each name */
struct each {
	int (*fn)(const struct kc_dm *d, void *data);
	void *data;
};

static int if_ours(const char *name, void *data, struct kc_error *err)
{
	const struct each *each = data;
	struct kc_error gone = { 0 };
	struct kc_dm d;
	bool found, ours;
	int ret;

	ret = query_info(name, &d, &found, &ours, err);
	/* one that goes away under our eyes is not an error */
	if (ret || !found || !ours || query_all(&d, &gone))
		return ret;
	return each->fn(&d, each->data);
}

int kc_dm_each(int (*fn)(const struct kc_dm *d, void *data), void *data, struct kc_error *err)
{
	struct each each = { fn, data };

	return kc_dm_each_name(if_ours, &each, err);
}

bool kc_dm_keyless(dev_t dev)
{
	char *target = NULL, *params = NULL, key[16];
	uint64_t start, length;
	struct dm_task *t;
	bool keyless = false;

	if (kc_dm_new_task(&t, DM_DEVICE_STATUS, NULL, NULL))
		return false;
	if (dm_task_set_major(t, (int)major(dev)) && dm_task_set_minor(t, (int)minor(dev)) && kc_dm_run_task(t) == 0) {
		dm_get_next_target(t, NULL, &start, &length, &target, &params);
		keyless = target && strcmp(target, "kcache") == 0 && params &&
			  kc_dm_word(params, "key", key, sizeof(key)) && strcmp(key, "valid") != 0;
	}
	dm_task_destroy(t);
	return keyless;
}

/* The table's parameters; at most 4 optional words. */
static void table_text(char *text, size_t size, const struct kc_layout *l, dev_t below, const char *key_desc,
		       const struct kc_dm_options *o)
{
	char sector[40] = "", lease[64] = "";
	int n = (l->sector_size != 512) + o->discards + (o->lease ? 2 : 0);

	if (l->sector_size != 512)
		snprintf(sector, sizeof(sector), " sector_size:%u", l->sector_size);
	if (o->lease)
		snprintf(lease, sizeof(lease), " lease:%u on_expiry:%s", o->lease, o->freeze ? "freeze" : "fail");
	snprintf(text, size, "%s :%u:logon:%s %" PRIu64 " %u:%u %" PRIu64, l->cipher, l->key_bits / 8, key_desc,
		 l->iv_tweak, major(below), minor(below), l->offset / 512);
	if (n)
		snprintf(text + strlen(text), size - strlen(text), " %d%s%s%s", n, o->discards ? " allow_discards" : "",
			 sector, lease);
}

static void uuid_text(char *text, size_t size, const char *uuid, const char *name)
{
	char hex[33];

	kc_dm_undash(uuid, hex);
	/* a long name is cut off here, as cryptsetup does: the UUID before it is unique */
	snprintf(text, size, "%s%s-%s", KC_DM_UUID_PREFIX, hex, name);
}

bool kc_dm_target(char *version, size_t size)
{
	struct dm_versions *v;
	struct dm_task *t;
	bool found = false;

	if (kc_dm_new_task(&t, DM_DEVICE_LIST_VERSIONS, NULL, NULL))
		return false;
	if (kc_dm_run_task(t) == 0) {
		for (v = dm_task_get_versions(t); v; v = (struct dm_versions *)(void *)((char *)v + v->next)) {
			found = strcmp(v->name, "kcache") == 0;
			if (found)
				snprintf(version, size, "%u.%u.%u", v->version[0], v->version[1], v->version[2]);
			if (found || !v->next)
				break;
		}
	}
	dm_task_destroy(t);
	return found;
}

static int create_failed(struct kc_error *err, int e, struct kc_kmsg *log)
{
	char why[256];

	if (e == EPERM)
		return kc_dm_task_failed(err, e, "map it");
	if (!kc_dm_target(why, sizeof(why)))
		return kc_fail(err, KC_DEVICE, "install the module dm-kcache (see dkms status) and modprobe dm-kcache",
			       "the kernel has no device-mapper target `kcache'");
	if (kc_kmsg_since(log, "kcache: ", why, sizeof(why)))
		return kc_fail(err, e == EBUSY ? KC_BUSY : e == ENOMEM ? KC_NOMEM : KC_DEVICE, NULL,
			       "the kernel refuses to map it: %s (%s)", why, strerror(e));
	return kc_dm_task_failed(err, e, "map it");
}

int kc_dm_create(const char *name, const struct kc_layout *l, dev_t below, uint64_t size, const char *key_desc,
		 const struct kc_dm_options *o, struct kc_error *err)
{
	uint64_t sectors = (size - l->offset) / l->sector_size * (l->sector_size / 512);
	char table[512], uuid[KC_DM_UUID_MAX];
	struct kc_kmsg log;
	struct dm_task *t;
	uint32_t cookie = 0;
	int e;

	if (size <= l->offset || !sectors)
		return kc_fail(err, KC_DEVICE, NULL, "it has no room behind its header");
	table_text(table, sizeof(table), l, below, key_desc, o);
	uuid_text(uuid, sizeof(uuid), l->uuid, name);
	e = kc_dm_new_task(&t, DM_DEVICE_CREATE, name, err);
	if (e)
		return e;
	if (!dm_task_set_uuid(t, uuid) || !dm_task_add_target(t, 0, sectors, "kcache", table) ||
	    (o->read_only && !dm_task_set_ro(t)) ||
	    !dm_task_set_cookie(t, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK | (o->hidden ? HIDDEN : 0))) {
		dm_task_destroy(t);
		return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
	}
	kc_kmsg_mark(&log);
	/* create, load, resume; libdevmapper removes the device if one of these fails */
	e = kc_dm_run_task(t);
	dm_udev_wait(cookie);
	dm_task_destroy(t);
	dm_task_update_nodes();
	if (e)
		create_failed(err, e, &log);
	kc_kmsg_close(&log);
	return e ? (int)err->code : 0;
}

int kc_dm_remove(const char *name, bool deferred, struct kc_error *err)
{
	uint32_t cookie = 0;
	struct dm_task *t;
	int e, ret;

	ret = kc_dm_new_task(&t, DM_DEVICE_REMOVE, name, err);
	if (ret)
		return ret;
	if ((deferred && !dm_task_deferred_remove(t)) || (!deferred && !dm_task_retry_remove(t)) ||
	    !dm_task_set_cookie(t, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK)) {
		dm_task_destroy(t);
		return kc_fail(err, KC_NOMEM, NULL, "libdevmapper is out of memory");
	}
	e = kc_dm_run_task(t);
	dm_udev_wait(cookie);
	dm_task_destroy(t);
	dm_task_update_nodes();
	if (e && e != ENXIO)
		return kc_dm_task_failed(err, e, "remove it");
	return 0;
}

bool kc_dm_word(const char *info, const char *name, char *value, size_t size)
{
	size_t len = strlen(name);

	while (*info) {
		size_t word = strcspn(info, " ");

		if (word > len && strncmp(info, name, len) == 0 && info[len] == ':') {
			snprintf(value, size, "%.*s", (int)(word - len - 1), info + len + 1);
			return true;
		}
		info += word + strspn(info + word, " ");
	}
	return false;
}

void kc_dm_key_state(const struct kc_dm *d, char state[static 16])
{
	if (strcmp(d->target, "kcache") != 0 || !kc_dm_word(d->info, "key", state, 16))
		snprintf(state, 16, "unknown");
}

bool kc_dm_waits(const struct kc_dm *d)
{
	return d->suspended || strstr(d->table, " on_expiry:freeze");
}

bool kc_dm_ephemeral(const struct kc_dm *d)
{
	uint64_t start;

	/* <cipher> <key> <iv_offset> <device> <offset> */
	return strcmp(d->target, "kcache") == 0 &&
	       sscanf(d->table, "%*s %*s %*s %*s %" SCNu64, &start) == 1 && start == 0;
}
