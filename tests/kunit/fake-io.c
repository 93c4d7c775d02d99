// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios, and the device that they go to: memory. See fake.h and seams.h.
 *
 * A bio takes the way that device-mapper gives it: .map; the device, which here
 * copies and answers at once unless it is told to hold back; .end_io, a second
 * time too where the first has said that the bio is not done.
 */
#include <linux/vmalloc.h>

#include "fake.h"

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

void fake_accept_partial(struct bio *bio, unsigned int sectors)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);

	fb->accepted = sectors;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
}

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

/* All that were sent have ended, or fail the test. */
void rig_wait_all(void)
{
	struct fake_bio *fb;

	list_for_each_entry(fb, &rig.bios, node)
		if (fb->sent && !atomic_read(&fb->ended))
			rig_wait(fb);
}

void rig_free_bios(void)
{
	struct fake_bio *fb, *next;

	list_for_each_entry_safe(fb, next, &rig.bios, node) {
		list_del(&fb->node);
		vfree(fb->buf);
		kfree(fb->bv);
		kfree(fb);
	}
}
