// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache erase: crypto-erase. The header with all tokens, both its copies and the keyslots
 * area are overwritten and read back; without them the data cannot be decrypted, whatever the
 * KMS holds. Copies of the header that lie elsewhere still open it: those that this host
 * knows of are listed. No KMS is asked.
 *
 * The first copy goes last: until then an erase that was interrupted leaves a volume, which
 * the same command finds again.
 */
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "audit.h"
#include "blk.h"
#include "grant.h"
#include "header.h"
#include "kcache.h"
#include "pins.h"
#include "stop.h"

/* where create puts the data; what is destroyed where a damaged header does not say it */
#define USUAL_OFFSET (16U << 20)
#define USUAL_COPY (128U << 10)

/**
 * struct copy - something that opens what is encrypted with this DEK still
 * @kind: "device", "volume" (known to this host, its device is not here), "header backup"
 * @path: "" where there is none
 */
struct copy {
	const char *kind;
	char uuid[KC_UUID_LEN + 1];
	char path[1024];
	bool here;
};

/**
 * struct erase - one erase on its way
 * @damaged: the header does not hold: why
 * @uuid: "" if a damaged header does not say it
 * @area: bytes of one copy of the metadata
 * @end: what is overwritten ends here
 * @twin: another device carries the UUID: the volume is known on
 */
struct erase {
	struct kc_run *r;
	struct kc_blk blk;
	struct kc_header h;
	struct kc_known known;
	struct kc_error damaged;
	char uuid[KC_UUID_LEN + 1];
	uint64_t area, end;
	struct copy *copy;
	size_t n;
	bool twin;
	bool written;
};

/* What there is of it, where it is ours but does not hold. */
static int damaged(struct erase *e)
{
	struct kc_error *err = &e->r->err;
	bool ours;

	kc_header_identity(e->blk.fd, e->uuid, &ours);
	/* a rule that does not hold, an operation of another kcache: --force says that nobody will need it */
	if (!kc_given(e->r, OPT_FORCE)) {
		*err = e->damaged;
		snprintf(err->next, sizeof(err->next), "%.250s; or destroy it all the same with --force",
			 e->damaged.next);
		return (int)err->code;
	}
	e->area = USUAL_COPY;
	e->end = USUAL_OFFSET;
	if (e->h.cd && crypt_get_type(e->h.cd)) {
		if (e->h.area)
			e->area = e->h.area;
		if (crypt_get_data_offset(e->h.cd))
			e->end = crypt_get_data_offset(e->h.cd) * 512;
	}
	return 0;
}

static int look(struct erase *e)
{
	struct kc_run *r = e->r;
	int ret;

	ret = kc_blk_open(r->device, &e->blk, &r->err);
	if (!ret)
		ret = kc_blk_refuse_leg(&e->blk, &r->err);
	if (!ret)
		ret = kc_blk_claim(&e->blk, true, &r->err);
	if (ret)
		return ret;
	ret = kc_header_load(e->blk.fd, &e->h, &e->damaged);
	if (ret == KC_TAMPERED || ret == KC_BUSY) {
		ret = damaged(e);
	} else if (ret) {
		r->err = e->damaged;
	} else {
		memcpy(e->uuid, e->h.layout.uuid, sizeof(e->uuid));
		e->area = e->h.area;
		e->end = e->h.layout.offset;
	}
	if (ret)
		return ret;
	/* behind the largest header that there can be nothing of it lies */
	if (e->end > KC_AREA_MAX)
		e->end = KC_AREA_MAX;
	if (e->end > e->blk.size)
		e->end = e->blk.size;
	snprintf(r->volume, sizeof(r->volume), "%s", e->uuid);
	return e->uuid[0] ? kc_known_load(&r->conf, e->uuid, &e->known, &r->err) : 0;
}

/* What is left of the DEK elsewhere. */

static int add(struct erase *e, const char *kind, const char *uuid, const char *path, bool here)
{
	struct copy *more = realloc(e->copy, (e->n + 1) * sizeof(*more));

	if (!more)
		return kc_fail(&e->r->err, KC_NOMEM, NULL, "out of memory");
	e->copy = more;
	more += e->n++;
	memset(more, 0, sizeof(*more));
	more->kind = kind;
	snprintf(more->uuid, sizeof(more->uuid), "%s", uuid);
	snprintf(more->path, sizeof(more->path), "%s", path);
	more->here = here;
	return 0;
}

/* The header says it, and what this host saw when it was attached last. */
static bool same_lineage(const struct erase *e, const char *lineage)
{
	unsigned int i;

	if (e->known.uuid[0] && !strcmp(e->known.lineage, lineage))
		return true;
	for (i = 0; i < e->h.n_tokens; i++)
		if (!strcmp(e->h.tokens[i].lineage, lineage))
			return true;
	return false;
}

static bool related_device(const struct erase *e, const char *node)
{
	struct kc_header h = { .copy_fd = -1 };
	struct kc_error err = { 0 };
	bool related = false;
	unsigned int i;
	int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (!kc_header_load(fd, &h, &err))
		for (i = 0; i < h.n_tokens && !related; i++)
			related = same_lineage(e, h.tokens[i].lineage);
	kc_header_free(&h);
	close(fd);
	return related;
}

static int on_device(const char *node, const char *uuid, void *data)
{
	struct erase *e = data;
	struct stat st;
	bool twin = e->uuid[0] && !strcmp(uuid, e->uuid);

	if (!e->blk.is_file && !stat(node, &st) && S_ISBLK(st.st_mode) && st.st_rdev == e->blk.dev)
		return 0;
	if (!twin && !related_device(e, node))
		return 0;
	e->twin |= twin;
	return add(e, "device", uuid, node, true);
}

static int on_known(const struct kc_known *k, void *data)
{
	struct erase *e = data;
	size_t i;
	int ret = 0;

	if (strcmp(k->uuid, e->uuid) != 0) {
		if (!same_lineage(e, k->lineage))
			return 0;
		for (i = 0; i < e->n && strcmp(e->copy[i].uuid, k->uuid); i++)
			;
		if (i == e->n)
			ret = add(e, "volume", k->uuid, "", false);
	}
	for (i = 0; !ret && i < k->n_backups; i++)
		ret = add(e, "header backup", k->uuid, k->backups[i], !access(k->backups[i], F_OK));
	return ret;
}

static int find_copies(struct erase *e)
{
	struct kc_error err = { 0 };

	if (kc_blk_scan(on_device, e, &err))
		kc_warn(e->r, "devices with the same key were not looked for: %s", err.text);
	kc_error_clear(&err);
	if (!e->r->err.code && kc_known_each(&e->r->conf, on_known, e, &err))
		kc_warn(e->r, "a known volume may have the same key, its file cannot be read: %s", err.text);
	return (int)e->r->err.code;
}

static void list_copies(const struct erase *e)
{
	size_t i;

	if (kc_given(e->r, OPT_JSON))
		return;
	for (i = 0; i < e->n; i++)
		printf("still opens: %-13s  %s  %s%s\n", e->copy[i].kind, e->copy[i].uuid,
		       e->copy[i].path[0] ? e->copy[i].path : "(its device is not here)",
		       e->copy[i].path[0] && !e->copy[i].here ? " (not there now)" : "");
}

static int ask(struct erase *e)
{
	struct kc_run *r = e->r;
	char question[512], size[24];

	if (kc_given(r, OPT_DRY_RUN) || kc_given(r, OPT_FORCE))
		return 0;
	snprintf(question, sizeof(question),
		 "The header, the first %s of the device, will be destroyed: nobody can read what is on it any more, with no key.",
		 kc_size_text(e->end, size));
	if (kc_ask_yes(r, question))
		return 0;
	return kc_fail(&r->err, KC_PERM, "type YES at the question, or use --force in a script",
		       "it was not erased, as nobody has agreed to that");
}

static int destroy(struct erase *e)
{
	const uint64_t range[][2] = {
		{ 2 * e->area, e->end }, { e->area, 2 * e->area }, { 4096, e->area }, { 0, 4096 },
	};
	struct kc_error *err = &e->r->err, gone = { 0 };
	struct kc_header h = { .copy_fd = -1 };
	size_t i;
	int ret = 0, failed;

	/* the last point at which nothing has been written; from here on it goes to its end */
	if (kc_stop_check(err))
		return (int)err->code;
	e->written = true;
	for (i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		failed = kc_area_erase(&e->blk, range[i][0] < e->end ? range[i][0] : e->end,
				       range[i][1] < e->end ? range[i][1] : e->end, err);
		if (!ret)
			ret = failed;
	}
	/* as others will see it */
	if (!ret && kc_header_load(e->blk.fd, &h, &gone) != KC_DEVICE)
		ret = kc_fail(err, KC_DEVICE, "report this as a bug", "there still is a header: %s",
			      gone.code ? gone.text : "it loads");
	kc_header_free(&h);
	return ret;
}

/* A twin is the same volume: it can be attached on, and no older header of it. */
static void forget(struct erase *e)
{
	struct kc_error err = { 0 };

	if (!e->uuid[0] || e->twin)
		return;
	if (kc_known_remove(&e->r->conf, e->uuid, &err))
		kc_warn(e->r, "it is erased, but this host could not forget it: %s", err.text);
	kc_error_clear(&err);
	kc_grant_remember(&e->r->conf, e->uuid, "", NULL, &err);
}

static int print_result(struct erase *e)
{
	bool dry = kc_given(e->r, OPT_DRY_RUN);
	struct json_object *o, *list;
	size_t i;

	if (!kc_given(e->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	list = kc_json_array();
	kc_json_str(o, "uuid", e->uuid);
	kc_json_str(o, "device", e->r->device);
	kc_json_bool(o, "erased", !dry);
	kc_json_bool(o, "dry_run", dry);
	kc_json_u64(o, "bytes", e->end);
	for (i = 0; i < e->n; i++) {
		struct json_object *copy = kc_json_object();

		kc_json_str(copy, "kind", e->copy[i].kind);
		kc_json_str(copy, "uuid", e->copy[i].uuid);
		kc_json_str(copy, "path", e->copy[i].path);
		kc_json_bool(copy, "there", e->copy[i].here);
		kc_json_push(list, copy);
	}
	kc_json_put(o, "still_open", list);
	return kc_json_print(e->r, o);
}

static void tell(struct erase *e)
{
	char size[24];

	kc_size_text(e->end, size);
	if (kc_given(e->r, OPT_DRY_RUN)) {
		kc_say(e->r, "the header of %s, %s, would be destroyed; nothing was changed", e->r->device, size);
		return;
	}
	kc_say(e->r, "the header of %s is destroyed: its first %s read back as zeros, and without it the data is noise",
	       e->r->device, size);
	if (e->n)
		kc_say(e->r, "what is listed as still opening has the same key; erase that too, or have the KMS key deleted");
	kc_say(e->r, "copies of the header that this host does not know of still open the data as long as the KMS key lives");
}

static int erase(struct erase *e)
{
	int ret;

	ret = look(e);
	if (!ret)
		ret = find_copies(e);
	if (ret)
		return ret;
	list_copies(e);
	ret = ask(e);
	if (!ret && !kc_given(e->r, OPT_DRY_RUN))
		ret = destroy(e);
	return ret;
}

int cmd_erase(struct kc_run *r)
{
	struct erase e = { .r = r, .blk = { .fd = -1, .claim_fd = -1 }, .h = { .copy_fd = -1 } };
	int ret;

	snprintf(r->device, sizeof(r->device), "%s", r->arg[0]);
	kc_stop_install();
	ret = erase(&e);
	if (ret && e.written && !r->err.next[0])
		snprintf(r->err.next, sizeof(r->err.next), "run the same command again");
	if (e.written)
		kc_audit_event(r, &(struct kc_event){
			.event = "deleteVolume",
			.volume = e.uuid[0] ? e.uuid : NULL,
			.device = r->device,
			.err = ret ? &r->err : NULL,
		});
	if (!ret && e.written)
		forget(&e);
	if (!ret)
		ret = print_result(&e);
	if (!ret)
		tell(&e);
	free(e.copy);
	kc_known_free(&e.known);
	kc_header_free(&e.h);
	kc_blk_close(&e.blk);
	return ret;
}
