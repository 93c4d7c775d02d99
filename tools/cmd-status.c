// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache status: what is attached, and whether its key is still there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "dm.h"
#include "kcache.h"
#include "pins.h"

/* counters that the target's INFO status has, in the order they are shown in */
static const char *const counters[] = { "read_bytes", "write_bytes", "inline", "deferred", "fanned_out", "errors" };

#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

/**
 * struct shown - one volume as it is shown
 * @key_state: "valid", "wiped" or "expired"; "unknown" if the target in place is not ours
 * @key: the KMS key this host opened it with last, empty if it is not known
 */
struct shown {
	struct kc_dm dm;
	const char *state;
	char device[256];
	char mountpoint[256];
	char key_state[16];
	char lease[32];
	char driver[128];
	char key[KC_KEY_NAME_MAX];
};

static void collect(const struct kc_run *r, const struct kc_dm *d, struct shown *s)
{
	struct kc_known known = { 0 };

	memset(s, 0, sizeof(*s));
	s->dm = *d;
	s->state = d->deferred ? "detaching" : d->suspended ? "suspended" : "attached";
	if (d->below)
		kc_blk_name(d->below, s->device, sizeof(s->device));
	kc_blk_mountpoint(d->dev, s->mountpoint, sizeof(s->mountpoint));
	kc_dm_key_state(d, s->key_state);
	if (!kc_dm_word(d->info, "lease", s->lease, sizeof(s->lease)) || strcmp(s->lease, "-") == 0)
		s->lease[0] = '\0';
	kc_dm_word(d->info, "driver", s->driver, sizeof(s->driver));
	if (kc_known_load(&r->conf, d->volume, &known, NULL) == 0 && known.n_keys)
		snprintf(s->key, sizeof(s->key), "%s", known.keys[known.n_keys - 1]);
	kc_known_free(&known);
}

static bool has_option(const struct kc_dm *d, const char *option)
{
	const char *p = strstr(d->table, option);
	size_t len = strlen(option);

	return p && p > d->table && p[-1] == ' ' && (p[len] == '\0' || p[len] == ' ');
}

static struct json_object *to_json(const struct shown *s)
{
	struct json_object *o = kc_json_object(), *io = kc_json_object();
	char value[32];
	size_t i;

	kc_json_str(o, "name", s->dm.name);
	kc_json_str(o, "uuid", s->dm.volume);
	kc_json_str(o, "state", s->state);
	kc_json_str(o, "key_state", s->key_state);
	kc_json_str(o, "lease", s->lease);
	kc_json_str(o, "device", s->device);
	kc_json_str(o, "mountpoint", s->mountpoint);
	kc_json_u64(o, "size", s->dm.size);
	kc_json_bool(o, "snapshot", s->dm.origin != 0);
	kc_json_bool(o, "read_only", s->dm.read_only);
	kc_json_bool(o, "allow_discards", has_option(&s->dm, "allow_discards"));
	kc_json_int(o, "open_count", s->dm.opens);
	kc_json_str(o, "target", s->dm.target);
	kc_json_bool(o, "ephemeral", kc_dm_ephemeral(&s->dm));
	kc_json_str(o, "driver", s->driver);
	kc_json_str(o, "key", s->key);
	for (i = 0; i < N_COUNTERS; i++)
		if (kc_dm_word(s->dm.info, counters[i], value, sizeof(value)))
			kc_json_str(io, counters[i], value);
	kc_json_put(o, "counters", io);
	return o;
}

static void to_text(const struct shown *s)
{
	char size[24], value[32];
	size_t i;

	printf("%s\n", s->dm.name);
	printf("  state:      %s%s%s%s%s\n", s->state, kc_dm_ephemeral(&s->dm) ? ", ephemeral" : "",
	       s->dm.read_only ? ", read-only" : "", s->dm.origin ? ", on what a snapshot needs" : "",
	       has_option(&s->dm, "allow_discards") ? ", discards allowed" : "");
	printf("  key:        %s%s%s\n", s->key_state, s->lease[0] ? ", lease ends in s: " : "", s->lease);
	printf("  volume:     %s\n", s->dm.volume);
	printf("  device:     %s\n", s->device[0] ? s->device : "-");
	printf("  size:       %s (%" PRIu64 " bytes)\n", kc_size_text(s->dm.size, size), s->dm.size);
	if (s->mountpoint[0])
		printf("  mounted on: %s\n", s->mountpoint);
	printf("  opens:      %d\n", s->dm.opens);
	printf("  KMS key:    %s\n", s->key[0] ? s->key : "-");
	printf("  cipher:     %s\n", s->driver[0] ? s->driver : "-");
	for (i = 0; i < N_COUNTERS; i++)
		if (kc_dm_word(s->dm.info, counters[i], value, sizeof(value)))
			printf("  %-11s %s\n", counters[i], value);
}

struct all {
	struct kc_run *r;
	struct json_object *array;	/* NULL for text */
	unsigned int n;
};

static int show(const struct kc_dm *d, void *data)
{
	struct all *all = data;
	struct shown *s = malloc(sizeof(*s));

	if (!s)
		return kc_fail(&all->r->err, KC_NOMEM, NULL, "out of memory");
	collect(all->r, d, s);
	if (all->array) {
		kc_json_push(all->array, to_json(s));
	} else {
		if (all->n)
			putchar('\n');
		to_text(s);
	}
	all->n++;
	free(s);
	return 0;
}

/* The volume was found and shown; does its key still work? */
static int judge(struct kc_run *r, const struct kc_dm *d)
{
	char state[16], next[KC_DM_NAME_MAX + 64];

	kc_dm_key_state(d, state);
	if (strcmp(state, "wiped") != 0 && strcmp(state, "expired") != 0)
		return 0;
	if (kc_dm_ephemeral(d))
		snprintf(next, sizeof(next), "detach it: no KMS has its key");
	else
		snprintf(next, sizeof(next), "run kcache resume %s, or detach it", d->name);
	return kc_fail(&r->err, KC_KEY_GONE, next, "its key is %s: reads and writes %s", state,
		       kc_dm_waits(d) ? "wait" : "fail");
}

int cmd_status(struct kc_run *r)
{
	struct all all = { .r = r };
	struct kc_dm d = { 0 };
	bool found;
	int ret;

	if (kc_given(r, OPT_JSON))
		all.array = kc_json_array();
	if (r->n_arg) {
		snprintf(r->volume, sizeof(r->volume), "%s", r->arg[0]);
		ret = kc_dm_get(r->arg[0], &d, &found, &r->err);
		if (!ret && !found)
			ret = kc_fail(&r->err, KC_DEVICE, "see kcache list", "no volume of this name is attached");
		if (!ret)
			ret = show(&d, &all);
	} else {
		ret = kc_dm_each(show, &all, &r->err);
		if (!ret && !all.n && !all.array)
			kc_say(r, "no volume is attached");
	}
	if (all.array) {
		struct json_object *o = kc_json_new();

		kc_json_put(o, "volumes", all.array);
		if (ret)
			kc_json_drop(o);
		else
			ret = kc_json_print(r, o);
	}
	return ret || !r->n_arg ? ret : judge(r, &d);
}
