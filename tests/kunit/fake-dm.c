// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-mapper without its tables: mapped devices that are names and counters, and
 * targets made by the module's own constructor. See fake.h and seams.h.
 */
#include "fake.h"

struct target_type *fake_target_type;

struct mapped_device *fake_table_md(struct dm_table *t)
{
	return (struct mapped_device *)t;
}

static struct fake_md *fake_of(struct mapped_device *md)
{
	return (struct fake_md *)md;
}

const char *fake_device_name(struct mapped_device *md)
{
	return fake_of(md)->name;
}

struct gendisk *fake_disk(struct mapped_device *md)
{
	return &fake_of(md)->disk;
}

/* /dev/none is not there, /dev/zoned has zones, anything else is the disk. */
int fake_get_device(struct dm_target *ti, const char *path, struct dm_dev **dev)
{
	struct dm_dev *d;

	if (!strcmp(path, "/dev/none"))
		return -ENODEV;
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return -ENOMEM;
	d->bdev = rig.below;
	rig.queue->limits.zoned = !strcmp(path, "/dev/zoned") ? BLK_ZONED_HM :
								BLK_ZONED_NONE;
	strscpy(d->name, path, sizeof(d->name));
	*dev = d;
	return 0;
}

void fake_put_device(struct dm_dev *dev)
{
	kfree(dev);
}

int fake_register_target(struct target_type *type)
{
	fake_target_type = type;
	return 0;
}

int fake_noflush(struct dm_target *ti)
{
	return rig.noflush;
}

void fake_table_event(struct dm_table *t)
{
	fake_of(fake_table_md(t))->table_events++;
}

int fake_uevent(struct kobject *kobj, char *env[])
{
	struct block_device *part0 =
		container_of(kobj, struct block_device, bd_device.kobj);
	struct fake_md *md = container_of(part0, struct fake_md, part0);

	md->uevents++;
	strscpy(md->uevent, env[0], sizeof(md->uevent));
	return 0;
}

void fake_audit(const char *op, struct dm_target *ti, int result)
{
	struct fake_md *md = fake_of(fake_table_md(ti->table));

	md->audits++;
	md->audit_result = result;
	strscpy(md->audit, op, sizeof(md->audit));
}

struct fake_md *rig_md(const char *name)
{
	struct fake_md *md = kzalloc(sizeof(*md), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(rig.test, md);
	strscpy(md->name, name, sizeof(md->name));
	md->disk.major = 253;
	md->disk.part0 = &md->part0;
	list_add(&md->node, &rig.mds);
	return md;
}

struct rig_target {
	struct list_head node;
	struct dm_target ti;
	char line[RIG_LINE];
};

/* At single spaces, in place, as dm_split_args() does but for quoting. */
int rig_split(char *line, char **argv, unsigned int max)
{
	unsigned int n = 0;
	char *word;

	while ((word = strsep(&line, " "))) {
		if (!*word)
			continue;
		if (n == max)
			return -E2BIG;
		argv[n++] = word;
	}
	return n;
}

/*
 * The module's constructor over a table line, without the first three words: a
 * target of RIG_SECTORS - RIG_START sectors at the beginning of @md.
 */
int rig_try(struct fake_md *md, const char *line, struct kcache_target **kc,
	    char **error)
{
	struct rig_target *t = kzalloc(sizeof(*t), GFP_KERNEL);
	char *argv[24];
	int argc, r;

	*kc = NULL;
	*error = NULL;
	KUNIT_ASSERT_NOT_NULL(rig.test, t);
	strscpy(t->line, line, sizeof(t->line));
	t->ti.table = (struct dm_table *)md;
	t->ti.type = fake_target_type;
	t->ti.len = RIG_SECTORS - RIG_START;
	argc = rig_split(t->line, argv, ARRAY_SIZE(argv));
	r = fake_target_type->ctr(&t->ti, argc, argv);
	*error = t->ti.error;
	if (r) {
		KUNIT_EXPECT_NOT_NULL(rig.test, t->ti.error);
		KUNIT_EXPECT_PTR_EQ(rig.test, t->ti.private, NULL);
		kfree(t);
		return r;
	}
	list_add(&t->node, &rig.targets);
	*kc = t->ti.private;
	return 0;
}

struct kcache_target *rig_target(struct fake_md *md, const char *line)
{
	struct kcache_target *kc;
	char *error;
	int r;

	r = rig_try(md, line, &kc, &error);
	KUNIT_ASSERT_EQ_MSG(rig.test, r, 0, "%s: %s", line, error);
	return kc;
}

/* The usual target with the usual key, which the keyring forgets right away. */
struct kcache_target *rig_plain(const char *options)
{
	struct key *key = rig_key("logon", "kc:dek", rig_dek, sizeof(rig_dek));
	struct kcache_target *kc;
	char line[RIG_LINE];

	snprintf(line, sizeof(line), "%s %s", RIG_LINE_PLAIN, options);
	kc = rig_target(rig_md("rig"), line);
	rig_forget(key);
	return kc;
}

void rig_drop(struct kcache_target *kc)
{
	struct rig_target *t = container_of(kc->ti, struct rig_target, ti);

	fake_target_type->dtr(&t->ti);
	list_del(&t->node);
	kfree(t);
}

/* Bios that wait for a key end, as on a suspend. */
void rig_fail_parked(void)
{
	struct rig_target *t;

	list_for_each_entry(t, &rig.targets, node)
		kcache_park_fail(t->ti.private);
}

u64 rig_errors(struct kcache_target *kc)
{
	unsigned int cpu;
	u64 errors = 0;

	for_each_possible_cpu(cpu)
		errors += per_cpu_ptr(kc->stats, cpu)->errors;
	return errors;
}

void rig_drop_all(void)
{
	struct rig_target *t, *next_target;
	struct fake_md *md, *next_md;

	list_for_each_entry_safe(t, next_target, &rig.targets, node)
		rig_drop(t->ti.private);
	list_for_each_entry_safe(md, next_md, &rig.mds, node)
		kfree(md);
}
