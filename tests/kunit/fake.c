// SPDX-License-Identifier: GPL-2.0-only
/*
 * The world around the module, made of memory: see fake.h. It is set up before each
 * test and taken apart after it; fake-clock.c, fake-dm.c, fake-io.c and fake-key.c are
 * its parts.
 */
#include <crypto/skcipher.h>
#include <linux/key.h>
#include <linux/vmalloc.h>

#include "fake.h"

struct rig rig;

int rig_init(struct kunit *test)
{
	memset(&rig, 0, sizeof(rig));
	clock_reset();
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
	rig.ring = rig_take_keyring(false);
	return PTR_ERR_OR_ZERO(rig.ring);
}

void rig_exit(struct kunit *test)
{
	/* as a suspend would: a device goes when its bios are through */
	rig.hold = false;
	rig_answer();
	rig_fail_parked();
	rig_wait_all();
	rig_drop_all();
	rig_free_bios();

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
