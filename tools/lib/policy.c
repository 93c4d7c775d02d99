// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All block devices are listed first, with what each stands on; then each is judged by
 * its own rule or by that of what is below it, and by what libblkid and the header
 * rules say of it. Whatever cannot be looked at counts as a violation: a policy that
 * an unreadable disk passes is none.
 */
#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blk-props.h"
#include "blk.h"
#include "dm.h"
#include "header.h"
#include "policy.h"
#include "sysfs.h"

/* deeper stacks do not exist; a loop in sysfs must not hang us */
#define STACK_MAX 16

/**
 * struct node - a block device, or the one file that was asked about
 * @path: its node; a file's path
 * @below, @n_below: what it stands on, by position in the list
 * @crypt: KC_DM_UUID_PREFIX or "CRYPT-" mapping: what is below it sees ciphertext
 * @has_top: something stands on it
 * @held: a read would wait
 */
struct node {
	dev_t dev;
	char path[256];
	size_t *below;
	size_t n_below;
	enum { CRYPT_NONE, CRYPT_FOREIGN, CRYPT_KCACHE } crypt;
	bool is_file;
	bool has_top;
	bool held;
};

struct nodes {
	const struct kc_conf *conf;
	struct node *all;
	size_t n;
	bool *matched;
	struct kc_error *err;
};

/* What there is. */

static int no_memory(struct nodes *l)
{
	return kc_fail(l->err, KC_NOMEM, NULL, "out of memory for a list of block devices");
}

static struct node *new_node(struct nodes *l, dev_t dev)
{
	struct node *n = reallocarray(l->all, l->n + 1, sizeof(*n));

	if (!n)
		return NULL;
	l->all = n;
	n += l->n++;
	memset(n, 0, sizeof(*n));
	n->dev = dev;
	return n;
}

static void look_at_mapped(struct node *n)
{
	char text[KC_DM_UUID_MAX + 1];

	if (kc_sysfs_attr(n->dev, "dm/suspended", text, sizeof(text)) && !strcmp(text, "1"))
		n->held = true;
	if (!kc_sysfs_attr(n->dev, "dm/uuid", text, sizeof(text)))
		return;
	if (!strncmp(text, KC_DM_UUID_PREFIX, strlen(KC_DM_UUID_PREFIX)))
		n->crypt = CRYPT_KCACHE;
	else if (!strncmp(text, "CRYPT-", 6))
		n->crypt = CRYPT_FOREIGN;
	if (n->crypt == CRYPT_KCACHE && !n->held)
		n->held = kc_dm_keyless(n->dev);
}

/* Memory, and drives and loop devices without a medium, hold nothing that would be at rest. */
static bool counts(const char *name, dev_t dev)
{
	char size[32];

	if (!strncmp(name, "ram", 3) || !strncmp(name, "zram", 4))
		return false;
	return kc_sysfs_attr(dev, "size", size, sizeof(size)) && strcmp(size, "0") != 0;
}

static int list(struct nodes *l)
{
	unsigned int ma, mi;
	struct dirent *e;
	int ret = 0;
	DIR *d;

	d = opendir("/sys/dev/block");
	if (!d)
		return kc_fail(l->err, KC_DEVICE, "mount sysfs on /sys", "cannot list the block devices");
	while (!ret && (e = readdir(d))) {
		char link[256];
		struct node *n;
		const char *name;
		ssize_t len;

		if (sscanf(e->d_name, "%u:%u", &ma, &mi) != 2)
			continue;
		len = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		name = strrchr(link, '/') ? strrchr(link, '/') + 1 : link;
		if (!counts(name, makedev(ma, mi)))
			continue;
		n = new_node(l, makedev(ma, mi));
		if (!n) {
			ret = no_memory(l);
			break;
		}
		kc_blk_name(n->dev, n->path, sizeof(n->path));
		if (!strncmp(name, "dm-", 3))
			look_at_mapped(n);
	}
	closedir(d);
	return ret;
}

/* What stands on what. */

static int put_on(struct nodes *l, struct node *n, dev_t below)
{
	size_t *more, i;

	for (i = 0; i < l->n && (l->all[i].is_file || l->all[i].dev != below); i++)
		;
	if (i == l->n || n == &l->all[i])
		return 0;
	more = reallocarray(n->below, n->n_below + 1, sizeof(*more));
	if (!more)
		return no_memory(l);
	n->below = more;
	more[n->n_below++] = i;
	l->all[i].has_top = true;
	return 0;
}

/* A filesystem's device; btrfs and others mount under a number of their own. */
static dev_t fs_device(dev_t fs)
{
	struct libmnt_table *t;
	struct libmnt_fs *mount = NULL;
	const char *source;
	struct stat st;

	if (major(fs))
		return fs;
	t = mnt_new_table();
	if (t && mnt_table_parse_file(t, "/proc/self/mountinfo") == 0)
		mount = mnt_table_find_devno(t, fs, MNT_ITER_BACKWARD);
	source = mount ? mnt_fs_get_srcpath(mount) : NULL;
	if (source && *source == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode))
		fs = st.st_rdev;
	mnt_unref_table(t);
	return fs;
}

static int put_on_slaves(struct nodes *l, struct node *n)
{
	DIR *d = kc_sysfs_dir(n->dev, "slaves");
	struct dirent *e;
	dev_t below;
	int ret = 0;

	while (d && !ret && (e = readdir(d))) {
		if (e->d_name[0] != '.' && kc_sysfs_slave(n->dev, e->d_name, &below))
			ret = put_on(l, n, below);
	}
	if (d)
		closedir(d);
	return ret;
}

static int stack(struct nodes *l)
{
	char file[PATH_MAX];
	struct stat st;
	dev_t below;
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < l->n; i++) {
		struct node *n = &l->all[i];

		if (n->is_file) {
			if (stat(n->path, &st) == 0)
				ret = put_on(l, n, fs_device(st.st_dev));
			continue;
		}
		if (kc_sysfs_attr(n->dev, "partition", file, sizeof(file)) &&
		    kc_sysfs_attr_devno(n->dev, "../dev", &below))
			ret = put_on(l, n, below);
		if (!ret && kc_sysfs_attr(n->dev, "loop/backing_file", file, sizeof(file)) && stat(file, &st) == 0)
			ret = put_on(l, n, S_ISBLK(st.st_mode) ? st.st_rdev : fs_device(st.st_dev));
		if (!ret)
			ret = put_on_slaves(l, n);
	}
	return ret;
}

/* What applies to it. */

static bool property(const struct node *n, const char *name, char *value, size_t size)
{
	if (!n->is_file)
		return kc_blk_property(n->dev, name, value, size);
	if (strcmp(name, "DEVNAME") && strcmp(name, "DEVTYPE"))
		return false;
	snprintf(value, size, "%s", !strcmp(name, "DEVNAME") ? n->path : "file");
	return true;
}

/* Every "PROPERTY=GLOB" of a rule: its form was checked when it was read. */
static bool fits(const struct node *n, const char *match)
{
	char *copy = strdup(match), *word, *rest = copy, *glob, value[4096];
	bool yes = copy != NULL;

	while (yes && (word = strsep(&rest, " \t"))) {
		glob = strchr(word, '=');
		if (!glob)
			continue;
		*glob++ = '\0';
		yes = property(n, word, value, sizeof(value)) && fnmatch(glob, value, 0) == 0;
	}
	free(copy);
	return yes;
}

/* The first rule that matches the device itself; an exemption comes before what it exempts from. */
static const struct kc_rule *own_rule(struct nodes *l, const struct node *n)
{
	const struct kc_rule *rule = NULL;
	size_t i;

	for (i = 0; i < l->conf->n_rules; i++) {
		const struct kc_rule *r = &l->conf->rules[i];

		/* all are tried: which match nothing is told */
		if (!fits(n, r->match))
			continue;
		if (l->matched)
			l->matched[i] = true;
		if (!rule || (r->exempt && !rule->exempt))
			rule = r;
	}
	return rule;
}

/* Its own rule, or that of what it stands on: exempt if all of that is, required if any is. */
static const struct kc_rule *rule_of(struct nodes *l, const struct node *n, bool *by_below, int depth)
{
	const struct kc_rule *rule = own_rule(l, n), *exempt = NULL, *require = NULL;
	bool free_part = false, unused;
	size_t i;

	*by_below = false;
	if (rule || !depth)
		return rule;
	*by_below = true;
	/* what is under an encrypted mapping has been judged: it holds ciphertext */
	for (i = 0; n->crypt == CRYPT_NONE && i < n->n_below; i++) {
		rule = rule_of(l, &l->all[n->below[i]], &unused, depth - 1);
		if (rule && rule->exempt)
			exempt = rule;
		else if (rule)
			require = rule;
		else
			free_part = true;
	}
	return require ? require : free_part ? NULL : exempt;
}

/* By the weakest of what it stands on: a mirror's plain leg has the plaintext. */
static int encryption(const struct nodes *l, const struct node *n, int depth)
{
	int weakest = CRYPT_KCACHE, e;
	size_t i;

	if (n->crypt != CRYPT_NONE || !n->n_below || !depth)
		return (int)n->crypt;
	for (i = 0; i < n->n_below; i++) {
		e = encryption(l, &l->all[n->below[i]], depth - 1);
		if (e < weakest)
			weakest = e;
	}
	return weakest;
}

static bool would_wait(const struct nodes *l, const struct node *n, int depth)
{
	size_t i;

	if (n->held || !depth)
		return n->held;
	for (i = 0; i < n->n_below; i++)
		if (would_wait(l, &l->all[n->below[i]], depth - 1))
			return true;
	return false;
}

/* What is on it. */

static int __attribute__((format(printf, 3, 4)))
found(struct kc_verdict *v, enum kc_holds holds, const char *fmt, ...)
{
	va_list ap;

	v->holds = holds;
	va_start(ap, fmt);
	vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
	return 0;
}

static int luks(int fd, struct kc_verdict *v, struct kc_error *err)
{
	struct kc_error e = { 0 };
	struct kc_header h;
	int ret = kc_header_load(fd, &h, &e);

	if (!ret && h.unfinished)
		found(v, KC_HOLDS_EMPTY, "the creation of a volume on it did not finish");
	else if (!ret || ret == KC_BUSY)
		found(v, KC_HOLDS_VOLUME, "it is kcache volume %s", h.layout.uuid);
	else if (ret == KC_DEVICE)
		found(v, KC_HOLDS_FOREIGN, "it is encrypted, but not by kcache (LUKS)");
	else if (ret == KC_TAMPERED)
		found(v, KC_HOLDS_INVALID, "it says that it is a kcache volume, but %.500s", e.text);
	kc_header_free(&h);
	if (v->text[0])
		return 0;
	*err = e;
	return ret;
}

/* Partitions, logical volumes, a mirror: what stands on it is judged. */
static void others(const struct node *n, const char *what, int parts, struct kc_verdict *v)
{
	if (n->has_top)
		found(v, KC_HOLDS_OTHERS, "it holds %s", what);
	else if (!parts)
		found(v, KC_HOLDS_EMPTY, "it holds %s without partitions", what);
	else
		found(v, KC_HOLDS_UNREADABLE, "it holds %s, and what is in there is not active, so that nobody can tell what it is",
		      what);
}

static void signature(const struct node *n, blkid_probe p, struct kc_verdict *v)
{
	const char *type = NULL, *usage = "", *table = NULL;
	blkid_partlist parts;
	char what[80];
	bool crypto;

	blkid_probe_lookup_value(p, "TYPE", &type, NULL);
	blkid_probe_lookup_value(p, "USAGE", &usage, NULL);
	blkid_probe_lookup_value(p, "PTTYPE", &table, NULL);
	crypto = type && !strcmp(usage, "crypto");
	/* dm-integrity and dm-verity are of that usage too, and hide nothing */
	if (crypto && strncmp(type, "DM_", 3)) {
		found(v, KC_HOLDS_FOREIGN, "it is encrypted, but not by kcache (%s)", type);
	} else if (crypto || (type && !strcmp(usage, "raid")) || (type && !strcmp(usage, "other") && n->has_top)) {
		snprintf(what, sizeof(what), "a part of %s", type);
		others(n, what, 1, v);
	} else if (type) {
		found(v, KC_HOLDS_PLAINTEXT, "it holds %s%s", type, !strcmp(usage, "filesystem") ? " (a filesystem)" : "");
	} else {
		parts = blkid_probe_get_partitions(p);
		snprintf(what, sizeof(what), "a partition table (%s)", table ? table : "?");
		others(n, what, parts ? blkid_partlist_numof_partitions(parts) : 1, v);
	}
}

static int probe(const struct nodes *l, const struct node *n, const struct kc_blk *b, struct kc_verdict *v)
{
	blkid_probe p = blkid_new_probe();
	struct kc_error unread = { 0 };
	const char *type = NULL;
	char blank[256];
	int r, ret = 0;

	if (!p || blkid_probe_set_device(p, b->fd, 0, 0) || blkid_probe_enable_superblocks(p, 1) ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE) ||
	    blkid_probe_enable_partitions(p, 1)) {
		blkid_free_probe(p);
		return kc_fail(l->err, KC_NOMEM, NULL, "libblkid cannot look at it");
	}
	r = blkid_do_safeprobe(p);
	if (r == 0 && !blkid_probe_lookup_value(p, "TYPE", &type, NULL) && !strcmp(type, "crypto_LUKS"))
		ret = luks(b->fd, v, l->err);
	else if (r == 0)
		signature(n, p, v);
	else if (r == -2)
		found(v, KC_HOLDS_PLAINTEXT, "it holds the signatures of several things at once");
	else if (r != 1)
		found(v, KC_HOLDS_UNREADABLE, "it cannot be read");
	blkid_free_probe(p);
	if (ret || r != 1)
		return ret;
	/* no signature: the data of what stands on it, of nobody, or of somebody who left none */
	if (n->has_top)
		return found(v, KC_HOLDS_OTHERS, "other devices stand on it");
	if (kc_blk_blank(b, blank, sizeof(blank), &unread))
		return found(v, KC_HOLDS_UNREADABLE, "it cannot be read");
	return blank[0] ? found(v, KC_HOLDS_UNKNOWN, "there is something on it, and no signature says what") :
			  found(v, KC_HOLDS_EMPTY, "it is empty");
}

static bool under_crypt(const struct nodes *l, const struct node *n)
{
	size_t i, k;

	for (i = 0; i < l->n; i++)
		for (k = 0; k < l->all[i].n_below; k++)
			if (&l->all[l->all[i].below[k]] == n && l->all[i].crypt == CRYPT_FOREIGN)
				return true;
	return false;
}

static int look(const struct nodes *l, const struct node *n, struct kc_verdict *v)
{
	struct kc_error e = { 0 };
	struct kc_blk b;
	char where[256];
	size_t used;
	int ret;

	if (encryption(l, n, STACK_MAX) == CRYPT_FOREIGN)
		return found(v, KC_HOLDS_FOREIGN, "it is encrypted, but not by kcache");
	if (would_wait(l, n, STACK_MAX))
		return found(v, KC_HOLDS_UNREADABLE, "I/O to it waits, so that it cannot be looked at");
	ret = kc_blk_open(n->path, &b, &e);
	if (ret) {
		found(v, KC_HOLDS_UNREADABLE, "%s", e.text);
		if (ret == KC_PERM)
			kc_fail(l->err, KC_PERM, "run it as root", "%s: %s", n->path, e.text);
		kc_blk_close(&b);
		return ret == KC_PERM ? ret : 0;
	}
	ret = probe(l, n, &b, v);
	kc_blk_close(&b);
	if (ret)
		return ret;
	if (v->holds == KC_HOLDS_OTHERS && under_crypt(l, n))
		found(v, KC_HOLDS_FOREIGN, "it is encrypted, but not by kcache (plain dm-crypt)");
	/* a mount is plaintext whatever the first blocks say */
	if (!n->is_file && kc_blk_mountpoint(n->dev, where, sizeof(where))) {
		v->holds = KC_HOLDS_PLAINTEXT;
		used = strlen(v->text);
		snprintf(v->text + used, sizeof(v->text) - used, ", mounted on %s", where);
	}
	return 0;
}

/*
 * *@about is false for what the policy has nothing to say on: exempt, without a rule, on top of an
 * attached volume.
 */
static int judge(struct nodes *l, const struct node *n, struct kc_verdict *v, bool *about)
{
	const struct kc_rule *rule;
	int ret;

	memset(v, 0, sizeof(*v));
	snprintf(v->node, sizeof(v->node), "%s", n->path);
	rule = rule_of(l, n, &v->by_below, STACK_MAX);
	*about = !(rule && rule->exempt) && (rule || l->conf->forbid_plaintext) &&
		 encryption(l, n, STACK_MAX) != CRYPT_KCACHE;
	if (!*about)
		return 0;
	v->rule = rule;
	ret = look(l, n, v);
	switch (v->holds) {
	case KC_HOLDS_EMPTY:
	case KC_HOLDS_VOLUME:
	case KC_HOLDS_OTHERS:
		break;
	case KC_HOLDS_FOREIGN:
	case KC_HOLDS_UNKNOWN:
		/* not in the clear, as far as anybody can tell */
		v->violates = rule != NULL;
		break;
	case KC_HOLDS_PLAINTEXT:
	case KC_HOLDS_INVALID:
	case KC_HOLDS_UNREADABLE:
		v->violates = true;
		break;
	}
	return ret;
}

static int by_path(const void *a, const void *b)
{
	return strverscmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

static int load(struct nodes *l)
{
	int ret = list(l);

	/* before positions are taken */
	if (!ret && l->n)
		qsort(l->all, l->n, sizeof(*l->all), by_path);
	return ret ? ret : stack(l);
}

static void unload(struct nodes *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->all[i].below);
	free(l->all);
}

int kc_policy_each(const struct kc_conf *c, int (*fn)(const struct kc_verdict *v, void *data), void *data,
		   size_t *seen, bool *matched, struct kc_error *err)
{
	struct nodes l = { .conf = c, .matched = matched, .err = err };
	struct kc_verdict v;
	bool about;
	size_t i;
	int ret;

	ret = load(&l);
	for (i = 0; !ret && i < l.n; i++) {
		ret = judge(&l, &l.all[i], &v, &about);
		if (!ret && about)
			ret = fn(&v, data);
	}
	if (seen)
		*seen = l.n;
	unload(&l);
	return ret;
}

/* The position of @path in the list, where a file is put; l->n after an error. */
static int find(struct nodes *l, const char *path, size_t *at)
{
	struct node *n;
	struct stat st;
	size_t i;

	if (stat(path, &st))
		return kc_fail(l->err, errno == EACCES ? KC_PERM : KC_DEVICE, NULL, "cannot stat it: %s", strerror(errno));
	if (S_ISREG(st.st_mode)) {
		n = new_node(l, 0);
		if (!n)
			return no_memory(l);
		n->is_file = true;
		snprintf(n->path, sizeof(n->path), "%s", path);
		*at = l->n - 1;
		return 0;
	}
	for (i = 0; S_ISBLK(st.st_mode) && i < l->n && l->all[i].dev != st.st_rdev; i++)
		;
	if (!S_ISBLK(st.st_mode) || i == l->n)
		return kc_fail(l->err, KC_DEVICE, NULL, "it is neither a file nor a block device with a medium");
	*at = i;
	return 0;
}

int kc_policy_one(const struct kc_conf *c, const char *path, struct kc_verdict *v, bool *about,
		  struct kc_error *err)
{
	struct nodes l = { .conf = c, .err = err };
	size_t at = 0;
	int ret;

	memset(v, 0, sizeof(*v));
	*about = false;
	ret = list(&l);
	if (!ret)
		ret = find(&l, path, &at);
	if (!ret)
		ret = stack(&l);
	if (!ret)
		ret = judge(&l, &l.all[at], v, about);
	unload(&l);
	return ret;
}

bool kc_policy_encrypted(dev_t dev)
{
	struct nodes l = { 0 };
	bool yes = false;
	size_t i;

	if (load(&l) == 0)
		for (i = 0; i < l.n; i++)
			if (l.all[i].dev == dev)
				yes = encryption(&l, &l.all[i], STACK_MAX) != CRYPT_NONE;
	unload(&l);
	return yes;
}

const char *kc_holds_name(enum kc_holds h)
{
	static const char *const names[] = {
		[KC_HOLDS_EMPTY] = "empty",	[KC_HOLDS_VOLUME] = "volume",
		[KC_HOLDS_FOREIGN] = "foreign", [KC_HOLDS_OTHERS] = "others",
		[KC_HOLDS_PLAINTEXT] = "plaintext", [KC_HOLDS_UNKNOWN] = "unknown",
		[KC_HOLDS_INVALID] = "invalid", [KC_HOLDS_UNREADABLE] = "unreadable",
	};

	return names[h];
}
