// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache list: a line for each volume that is attached, or that this host remembers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "dm.h"
#include "kcache.h"
#include "pins.h"

/**
 * struct line - a volume as it is listed
 * @name: empty if it is not attached
 * @key: the KMS key this host opened it with last
 */
struct line {
	char uuid[KC_UUID_LEN + 1];
	char name[KC_DM_NAME_MAX];
	char device[256];
	char key[KC_KEY_NAME_MAX];
	char lineage[33];
	char key_state[16];
	uint64_t size;
	uint64_t generation;
	bool known;
	bool ephemeral;
};

struct lines {
	struct kc_run *r;
	struct line *line;
	size_t n;
};

static struct line *new_line(struct lines *l, const char *uuid)
{
	struct line *more = realloc(l->line, (l->n + 1) * sizeof(*more));

	if (!more) {
		kc_fail(&l->r->err, KC_NOMEM, NULL, "out of memory");
		return NULL;
	}
	l->line = more;
	more += l->n++;
	memset(more, 0, sizeof(*more));
	snprintf(more->uuid, sizeof(more->uuid), "%s", uuid);
	return more;
}

static int add_attached(const struct kc_dm *d, void *data)
{
	struct line *line = new_line(data, d->volume);

	if (!line)
		return KC_NOMEM;
	snprintf(line->name, sizeof(line->name), "%s", d->name);
	if (d->below)
		kc_blk_name(d->below, line->device, sizeof(line->device));
	kc_dm_key_state(d, line->key_state);
	line->ephemeral = kc_dm_ephemeral(d);
	line->size = d->size;
	return 0;
}

static void fill_known(struct line *line, const struct kc_known *k)
{
	line->known = true;
	line->generation = k->generation;
	snprintf(line->lineage, sizeof(line->lineage), "%s", k->lineage);
	if (k->n_keys)
		snprintf(line->key, sizeof(line->key), "%s", k->keys[k->n_keys - 1]);
}

static int add_known(const struct kc_known *k, void *data)
{
	struct lines *l = data;
	struct line *line;
	bool attached = false;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (strcmp(l->line[i].uuid, k->uuid) != 0)
			continue;
		fill_known(&l->line[i], k);
		attached = true;
	}
	if (attached)
		return 0;
	line = new_line(l, k->uuid);
	if (!line)
		return KC_NOMEM;
	fill_known(line, k);
	return 0;
}

/* attached ones first, each group by what people call them */
static int by_name(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (!x->name[0] != !y->name[0])
		return x->name[0] ? -1 : 1;
	return strcmp(x->name[0] ? x->name : x->uuid, y->name[0] ? y->name : y->uuid);
}

static int print_json(struct lines *l)
{
	struct json_object *o = kc_json_new(), *array = kc_json_array();
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct line *line = &l->line[i];
		struct json_object *v = kc_json_object();

		kc_json_str(v, "uuid", line->uuid);
		kc_json_bool(v, "attached", line->name[0] != '\0');
		kc_json_bool(v, "known", line->known);
		kc_json_bool(v, "ephemeral", line->ephemeral);
		kc_json_str(v, "name", line->name);
		kc_json_str(v, "device", line->device);
		kc_json_str(v, "key_state", line->key_state);
		kc_json_str(v, "key", line->key);
		kc_json_str(v, "lineage", line->lineage);
		if (line->name[0])
			kc_json_u64(v, "size", line->size);
		if (line->known)
			kc_json_u64(v, "generation", line->generation);
		kc_json_push(array, v);
	}
	kc_json_put(o, "volumes", array);
	return kc_json_print(l->r, o);
}

static const char *or_dash(const char *s)
{
	return *s ? s : "-";
}

static void print_text(const struct lines *l)
{
	char size[24];
	size_t i;

	if (!kc_given(l->r, OPT_NO_HEADINGS) && l->n)
		printf("%-16s %-36s %-20s %10s %-8s %s\n", "NAME", "VOLUME", "DEVICE", "SIZE", "KEY", "KMS KEY");
	for (i = 0; i < l->n; i++) {
		const struct line *line = &l->line[i];

		printf("%-16s %-36s %-20s %10s %-8s %s\n", or_dash(line->name), line->uuid, or_dash(line->device),
		       line->name[0] ? kc_size_text(line->size, size) : "-", or_dash(line->key_state),
		       line->ephemeral ? "none: ephemeral" : or_dash(line->key));
	}
}

int cmd_list(struct kc_run *r)
{
	struct lines l = { .r = r };
	int ret;

	ret = kc_dm_each(add_attached, &l, &r->err);
	if (!ret)
		ret = kc_known_each(&r->conf, add_known, &l, &r->err);
	if (!ret && l.n)
		qsort(l.line, l.n, sizeof(*l.line), by_name);
	if (!ret && kc_given(r, OPT_JSON))
		ret = print_json(&l);
	else if (!ret)
		print_text(&l);
	free(l.line);
	return ret;
}
