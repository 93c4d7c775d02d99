// SPDX-License-Identifier: GPL-2.0-only
/*
 * The world around the module, made of memory: see fake.h and seams.h.
 *
 * A bio takes the way that device-mapper gives it: .map; the device, which here
 * copies and answers at once unless it is told to hold back; .end_io, a second
 * time too where the first has said that the bio is not done.
 */
#include <crypto/skcipher.h>
#include <keys/user-type.h>
#include <linux/cred.h>
#include <linux/key.h>
#include <linux/scatterlist.h>
#include <linux/vmalloc.h>

#include "fake.h"

struct rig rig;
struct target_type *fake_target_type;

/*
 * The first 64 bytes of two vectors' worth of digits: any would do, as long as
 * the golden values of the suites were made with them.
 */
const u8 rig_dek[KCACHE_KEY_SIZE] = {
	0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45, 0x23, 0x53, 0x60, 0x28,
	0x74, 0x71, 0x35, 0x26, 0x62, 0x49, 0x77, 0x57, 0x24, 0x70, 0x93, 0x69,
	0x99, 0x59, 0x57, 0x49, 0x66, 0x96, 0x76, 0x27, 0x31, 0x41, 0x59, 0x26,
	0x53, 0x58, 0x97, 0x93, 0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95,
	0x02, 0x88, 0x41, 0x97, 0x16, 0x93, 0x99, 0x37, 0x51, 0x05, 0x82, 0x09,
	0x74, 0x94, 0x45, 0x92,
};

const u8 rig_other_dek[KCACHE_KEY_SIZE] = {
	0x14, 0x14, 0x21, 0x35, 0x62, 0x37, 0x30, 0x95, 0x04, 0x88, 0x01, 0x68,
	0x87, 0x24, 0x20, 0x96, 0x98, 0x07, 0x85, 0x69, 0x67, 0x18, 0x75, 0x37,
	0x69, 0x48, 0x07, 0x31, 0x76, 0x67, 0x97, 0x37, 0x17, 0x32, 0x05, 0x08,
	0x07, 0x56, 0x88, 0x77, 0x29, 0x35, 0x27, 0x44, 0x63, 0x41, 0x50, 0x58,
	0x72, 0x36, 0x69, 0x42, 0x80, 0x52, 0x53, 0x81, 0x03, 0x80, 0x62, 0x80,
	0x55, 0x80, 0x69, 0x79,
};

/* ---- the clock ---- */

struct fake_timer {
	struct hrtimer *timer;
	ktime_t expires;
};

/* taken by key.c under its own lock, with interrupts off */
static DEFINE_RAW_SPINLOCK(clock_lock);
static struct fake_timer clock_timer[32];
static ktime_t clock_now;

ktime_t fake_now(void)
{
	return READ_ONCE(clock_now);
}

static struct fake_timer *find_timer(struct hrtimer *timer)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(clock_timer); i++)
		if (clock_timer[i].timer == timer)
			return &clock_timer[i];
	return NULL;
}

void fake_timer_start(struct hrtimer *timer, ktime_t expires)
{
	struct fake_timer *t;
	unsigned long flags;

	raw_spin_lock_irqsave(&clock_lock, flags);
	hrtimer_set_expires(timer, expires);
	t = find_timer(timer) ?: find_timer(NULL);
	if (t) {
		t->timer = timer;
		t->expires = expires;
	}
	raw_spin_unlock_irqrestore(&clock_lock, flags);
	WARN_ON(!t);
}

int fake_timer_cancel(struct hrtimer *timer)
{
	struct fake_timer *t;
	unsigned long flags;

	raw_spin_lock_irqsave(&clock_lock, flags);
	t = find_timer(timer);
	if (t)
		t->timer = NULL;
	raw_spin_unlock_irqrestore(&clock_lock, flags);
	return !!t;
}

bool clock_armed(struct hrtimer *timer)
{
	return find_timer(timer);
}

ktime_t clock_expires(struct hrtimer *timer)
{
	struct fake_timer *t = find_timer(timer);

	return t ? t->expires : KTIME_MAX;
}

unsigned int clock_timers(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(clock_timer); i++)
		n += !!clock_timer[i].timer;
	return n;
}

/* As the interrupt would: with interrupts off, and armed again if it says so. */
static void fire(struct hrtimer *timer)
{
	enum hrtimer_restart again;
	unsigned long flags;

	fake_timer_cancel(timer);
	local_irq_save(flags);
	again = timer->function(timer);
	local_irq_restore(flags);
	if (again == HRTIMER_RESTART)
		fake_timer_start(timer, hrtimer_get_expires(timer));
}

/* A timer may be on its way while the deadline is moved. */
void clock_fire_early(struct hrtimer *timer)
{
	fire(timer);
}

void clock_advance(u64 ns)
{
	unsigned int i, rounds = 0;
	bool any;

	WRITE_ONCE(clock_now, ktime_add_ns(clock_now, ns));
	do {
		any = false;
		for (i = 0; i < ARRAY_SIZE(clock_timer); i++) {
			if (!clock_timer[i].timer ||
			    ktime_after(clock_timer[i].expires, clock_now))
				continue;
			any = true;
			fire(clock_timer[i].timer);
		}
	} while (any && ++rounds < 100);
	/* a timer that arms itself in the past is an interrupt storm */
	KUNIT_EXPECT_LT(rig.test, rounds, 100U);
}

/* ---- device-mapper ---- */

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

void fake_accept_partial(struct bio *bio, unsigned int sectors)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);

	fb->accepted = sectors;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
}

/* ---- the device ---- */

static void transfer(struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bv;
	u64 at = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;

	if (at + bio->bi_iter.bi_size > (u64)RIG_SECTORS << SECTOR_SHIFT) {
		bio->bi_status = BLK_STS_IOERR;
		return;
	}
	bio_for_each_segment(bv, bio, iter) {
		if (op_is_write(bio_op(bio)))
			memcpy_from_bvec(rig.disk + at, &bv);
		else
			memcpy_to_bvec(&bv, rig.disk + at);
		at += bv.bv_len;
	}
}

static void answer(struct bio *bio)
{
	unsigned long flags = 0;

	bio->bi_status = rig.device_error;
	if (!bio->bi_status)
		transfer(bio);
	/* whoever completes a bio has used its iterator up */
	bio_advance(bio, bio->bi_iter.bi_size);
	if (rig.irqs_off)
		local_irq_save(flags);
	bio_endio(bio);
	if (rig.irqs_off)
		local_irq_restore(flags);
}

void fake_submit(struct bio *bio)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);
	bool hold;

	fb->polled = bio->bi_opf & REQ_POLLED;
	spin_lock(&rig.lock);
	rig.submitted++;
	hold = rig.hold;
	if (hold)
		bio_list_add(&rig.held, bio);
	spin_unlock(&rig.lock);
	if (!hold)
		answer(bio);
}

/* The device answers what it has held back. */
void rig_answer(void)
{
	struct bio *bio;

	for (;;) {
		spin_lock(&rig.lock);
		bio = bio_list_pop(&rig.held);
		spin_unlock(&rig.lock);
		if (!bio)
			return;
		answer(bio);
	}
}

/* As clone_endio() of device-mapper. */
static void clone_endio(struct bio *bio)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);
	blk_status_t error = bio->bi_status;

	if (fake_target_type->end_io(fb->ti, bio, &error) ==
	    DM_ENDIO_INCOMPLETE)
		return;
	fb->status = error;
	atomic_inc(&fb->ended);
	complete(&fb->done);
}

/* ---- bios ---- */

struct fake_bio *rig_bio(struct kcache_target *kc, blk_opf_t opf,
			 sector_t sector, unsigned int bytes)
{
	unsigned int i, n = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct bio_vec *bv = NULL;
	struct fake_bio *fb;

	fb = kzalloc(sizeof(*fb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(rig.test, fb);
	list_add(&fb->node, &rig.bios);
	fb->ti = kc->ti;
	init_completion(&fb->done);
	/* device-mapper does not clear our data: neither is it cleared here */
	memset(&fb->io, 0xa5, sizeof(fb->io));
	bio_init(&fb->bio, NULL, NULL, 0, opf);
	fb->bio.bi_end_io = clone_endio;
	fb->bio.bi_iter.bi_sector = kc->ti->begin + sector;
	if (bytes) {
		fb->buf = vmalloc(n * PAGE_SIZE);
		bv = kcalloc(n, sizeof(*bv), GFP_KERNEL);
		fb->bv = bv;
		KUNIT_ASSERT_NOT_NULL(rig.test, fb->buf);
		KUNIT_ASSERT_NOT_NULL(rig.test, bv);
	}
	for (i = 0; i < n; i++) {
		bv[i].bv_page = vmalloc_to_page(fb->buf + i * PAGE_SIZE);
		bv[i].bv_len = min_t(unsigned int, bytes - i * PAGE_SIZE,
				     PAGE_SIZE);
	}
	if (bytes)
		rig_set_segments(fb, bv, n);
	return fb;
}

void rig_set_segments(struct fake_bio *fb, struct bio_vec *bv, unsigned int n)
{
	unsigned int i;

	/* a clone has no table of its own: bi_max_vecs is 0 */
	fb->bio.bi_io_vec = bv;
	fb->bio.bi_iter.bi_size = 0;
	for (i = 0; i < n; i++)
		fb->bio.bi_iter.bi_size += bv[i].bv_len;
}

static void end_here(struct fake_bio *fb, blk_status_t status)
{
	fb->status = status;
	atomic_inc(&fb->ended);
	complete(&fb->done);
}

/* As __map_bio() of device-mapper. */
void rig_map(struct fake_bio *fb)
{
	fb->sent = true;
	fb->mapped = fake_target_type->map(fb->ti, &fb->bio);
	switch (fb->mapped) {
	case DM_MAPIO_REMAPPED:
		fake_submit(&fb->bio);
		break;
	case DM_MAPIO_KILL:
		end_here(fb, BLK_STS_IOERR);
		break;
	case DM_MAPIO_REQUEUE:
		end_here(fb, BLK_STS_DM_REQUEUE);
		break;
	default:
		break;
	}
}

blk_status_t rig_wait(struct fake_bio *fb)
{
	if (!wait_for_completion_timeout(&fb->done, 10 * HZ)) {
		KUNIT_FAIL(rig.test, "a bio does not end");
		return BLK_STS_TIMEOUT;
	}
	KUNIT_EXPECT_EQ(rig.test, atomic_read(&fb->ended), 1);
	return fb->status;
}

blk_status_t rig_do(struct fake_bio *fb)
{
	rig_map(fb);
	return rig_wait(fb);
}

static void free_bio(struct fake_bio *fb)
{
	list_del(&fb->node);
	vfree(fb->buf);
	kfree(fb->bv);
	kfree(fb);
}

/* ---- mapped devices and targets ---- */

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

/* ---- keys ---- */

/* Linked to this thread's keyring only: forgetting it is unlinking it. */
struct key *rig_key(const char *type, const char *desc, const void *payload,
		    size_t len)
{
	key_ref_t ref;

	ref = key_create_or_update(make_key_ref(rig.ring, true), type, desc,
				   payload, len, KEY_POS_ALL,
				   KEY_ALLOC_NOT_IN_QUOTA);
	KUNIT_ASSERT_FALSE_MSG(rig.test, IS_ERR(ref), "%s:%s: %ld", type, desc,
			       PTR_ERR(ref));
	/* the keyring's own reference is enough */
	key_ref_put(ref);
	return key_ref_to_ptr(ref);
}

void rig_forget(struct key *key)
{
	KUNIT_EXPECT_EQ(rig.test, key_unlink(rig.ring, key), 0);
}

/*
 * The thread that runs a test ends with it, and its credentials with it. @process:
 * as its process keyring, or its thread keyring.
 */
static struct key *take_keyring(bool process)
{
	struct key *ring, **place;
	struct cred *cred;

	ring = keyring_alloc("kcache-kunit", GLOBAL_ROOT_UID, GLOBAL_ROOT_GID,
			     current_cred(), KEY_POS_ALL,
			     KEY_ALLOC_NOT_IN_QUOTA, NULL, NULL);
	if (IS_ERR(ring))
		return ring;
	cred = prepare_creds();
	if (!cred) {
		key_put(ring);
		return ERR_PTR(-ENOMEM);
	}
	place = process ? &cred->process_keyring : &cred->thread_keyring;
	key_put(*place);
	*place = key_get(ring);
	commit_creds(cred);
	return ring;
}

/* One that is searched after the first, and is empty. */
void rig_second_keyring(void)
{
	struct key *ring = take_keyring(true);

	KUNIT_ASSERT_FALSE(rig.test, IS_ERR(ring));
	key_put(ring);
}

/* ---- the reference ---- */

void rig_random(void *buf, size_t bytes)
{
	prandom_bytes_state(&rig.rnd, buf, bytes);
}

u32 rig_below(u32 limit)
{
	return prandom_u32_state(&rig.rnd) % limit;
}

/*
 * One data unit, the number of its IV, one request on one linear buffer: nothing
 * of the module is in it, and of AES the generic code.
 */
void reference_crypt(const u8 *key, u64 iv, u8 *unit, unsigned int bytes,
		     bool encrypt)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct skcipher_request *req;
	struct scatterlist sg;
	__le64 ivs[2] = { cpu_to_le64(iv), 0 };
	u8 *linear;
	int r;

	linear = kmemdup(unit, bytes, GFP_KERNEL);
	req = skcipher_request_alloc(rig.reference, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(rig.test, linear);
	KUNIT_ASSERT_NOT_NULL(rig.test, req);
	if (rig.reference_key != key) {
		r = crypto_skcipher_setkey(rig.reference, key, KCACHE_KEY_SIZE);
		KUNIT_ASSERT_EQ(rig.test, r, 0);
		rig.reference_key = key;
	}
	sg_init_one(&sg, linear, bytes);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG,
				      crypto_req_done, &wait);
	skcipher_request_set_crypt(req, &sg, &sg, bytes, ivs);
	r = encrypt ? crypto_skcipher_encrypt(req) :
		      crypto_skcipher_decrypt(req);
	r = crypto_wait_req(r, &wait);
	KUNIT_EXPECT_EQ(rig.test, r, 0);
	memcpy(unit, linear, bytes);
	skcipher_request_free(req);
	kfree(linear);
}

/* ---- .init and .exit ---- */

int rig_init(struct kunit *test)
{
	memset(&rig, 0, sizeof(rig));
	memset(clock_timer, 0, sizeof(clock_timer));
	/* not 0, and not a round number */
	clock_now = ms_to_ktime(1000123);
	rig.test = test;
	INIT_LIST_HEAD(&rig.mds);
	INIT_LIST_HEAD(&rig.targets);
	INIT_LIST_HEAD(&rig.bios);
	spin_lock_init(&rig.lock);
	bio_list_init(&rig.held);
	prandom_seed_state(&rig.rnd, 0x6b636163);

	rig.below = kzalloc(sizeof(*rig.below), GFP_KERNEL);
	rig.queue = kzalloc(sizeof(*rig.queue), GFP_KERNEL);
	rig.disk = vzalloc(RIG_SECTORS << SECTOR_SHIFT);
	if (!rig.below || !rig.queue || !rig.disk)
		return -ENOMEM;
	rig.below->bd_queue = rig.queue;
	rig.queue->limits.max_sectors = 2560;
	rig.queue->limits.max_segments = 128;

	rig.reference = crypto_alloc_skcipher("xts(ecb(aes-generic))", 0, 0);
	if (IS_ERR(rig.reference))
		return PTR_ERR(rig.reference);
	rig.ring = take_keyring(false);
	return PTR_ERR_OR_ZERO(rig.ring);
}

void rig_exit(struct kunit *test)
{
	struct rig_target *t, *next_target;
	struct fake_bio *fb, *next_bio;
	struct fake_md *md, *next_md;

	/* as a suspend would: a device goes when its bios are through */
	rig.hold = false;
	rig_answer();
	list_for_each_entry(t, &rig.targets, node)
		kcache_park_fail(t->ti.private);
	list_for_each_entry(fb, &rig.bios, node)
		if (fb->sent && !atomic_read(&fb->ended))
			rig_wait(fb);
	list_for_each_entry_safe(t, next_target, &rig.targets, node)
		rig_drop(t->ti.private);
	list_for_each_entry_safe(fb, next_bio, &rig.bios, node)
		free_bio(fb);
	list_for_each_entry_safe(md, next_md, &rig.mds, node)
		kfree(md);

	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&rig.ciphers), 0,
			    "key schedules are left behind");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&rig.objects), 0,
			    "key objects are left behind");
	KUNIT_EXPECT_EQ_MSG(test, kunit_key_objects(), 0U,
			    "key objects are left in the cache");
	KUNIT_EXPECT_EQ_MSG(test, clock_timers(), 0U,
			    "timers are left armed");

	if (!IS_ERR_OR_NULL(rig.reference))
		crypto_free_skcipher(rig.reference);
	if (!IS_ERR(rig.ring))
		key_put(rig.ring);
	vfree(rig.disk);
	kfree(rig.queue);
	kfree(rig.below);
}
