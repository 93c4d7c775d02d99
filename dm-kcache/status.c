// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "dmsetup status" and "dmsetup table" print, and what IMA measures.
 *
 * INFO is words of the form name:value, to which more may be added behind:
 *   key:<valid|wiped|expired> lease:<seconds left|-> driver:<name> and counters.
 * TABLE is the line that was loaded; IMA is dm-crypt's list of fields. None of
 * them holds key bytes: there are none to print in struct kcache_target.
 *
 * Context: called with the device live or suspended, never from I/O.
 */
#include "dm-kcache.h"

/**
 * kcache_key_state_name() - the state of a key as it is printed
 * @state: the state
 *
 * Context: Any.
 * Return: a word.
 */
const char *kcache_key_state_name(enum kcache_key_state state)
{
	static const char *const names[] = {
		[KCACHE_KEY_VALID] = "valid",
		[KCACHE_KEY_WIPED] = "wiped",
		[KCACHE_KEY_EXPIRED] = "expired",
	};

	return names[state];
}

static const char *const expiry_names[] = {
	[KCACHE_EXPIRY_UNSET] = NULL,
	[KCACHE_EXPIRY_FAIL] = "fail",
	[KCACHE_EXPIRY_FREEZE] = "freeze",
};

static void sum_stats(struct kcache_target *kc, struct kcache_stats *sum)
{
	const struct kcache_stats *s;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		s = per_cpu_ptr(kc->stats, cpu);
		sum->read_bytes += s->read_bytes;
		sum->write_bytes += s->write_bytes;
		sum->inline_ios += s->inline_ios;
		sum->deferred_ios += s->deferred_ios;
		sum->fanned_ios += s->fanned_ios;
		sum->errors += s->errors;
	}
}

static unsigned int emit_info(struct kcache_target *kc, char *result,
			      unsigned int maxlen)
{
	struct kcache_stats sum;
	unsigned int sz = 0;
	long left;

	sum_stats(kc, &sum);
	DMEMIT("key:%s", kcache_key_state_name(READ_ONCE(kc->key->state)));
	left = kcache_key_seconds_left(kc->key);
	if (left < 0)
		DMEMIT(" lease:-");
	else
		DMEMIT(" lease:%ld", left);
	DMEMIT(" driver:%s", kc->key->driver);
	DMEMIT(" read_bytes:%llu write_bytes:%llu", sum.read_bytes,
	       sum.write_bytes);
	DMEMIT(" inline:%llu deferred:%llu fanned_out:%llu errors:%llu",
	       sum.inline_ios, sum.deferred_ios, sum.fanned_ios, sum.errors);
	return sz;
}

static unsigned int emit_table(struct kcache_target *kc, char *result,
			       unsigned int maxlen)
{
	const char *expiry = expiry_names[kc->on_expiry];
	unsigned int sz = 0, i, n;

	DMEMIT("%s :%u:%s:%s %llu %s %llu", kc->cipher_name, KCACHE_KEY_SIZE,
	       kc->key->type, kc->key->desc, kc->iv_offset, kc->dev->name,
	       (unsigned long long)kc->start);

	n = hweight_long(kc->flags) + (kc->sector_size != SECTOR_SIZE) +
	    !!kc->lease + !!expiry;
	if (!n)
		return sz;
	DMEMIT(" %u", n);
	/* sector_size stands before iv_large_sectors in a line of dm-crypt */
	for (i = 0; i < KCACHE_NR_FLAGS; i++) {
		if (i == KCACHE_IV_LARGE_SECTORS &&
		    kc->sector_size != SECTOR_SIZE)
			DMEMIT(" sector_size:%u", kc->sector_size);
		if (test_bit(i, &kc->flags))
			DMEMIT(" %s", kcache_flag_names[i]);
	}
	if (kc->lease)
		DMEMIT(" lease:%u", kc->lease);
	if (expiry)
		DMEMIT(" on_expiry:%s", expiry);
	return sz;
}

static unsigned int emit_ima(struct kcache_target *kc, char *result,
			     unsigned int maxlen)
{
	unsigned int sz = 0, i;

	DMEMIT_TARGET_NAME_VERSION(kc->ti->type);
	for (i = 0; i < KCACHE_NR_FLAGS; i++)
		DMEMIT(",%s=%c", kcache_flag_names[i],
		       test_bit(i, &kc->flags) ? 'y' : 'n');
	if (kc->sector_size != SECTOR_SIZE)
		DMEMIT(",sector_size=%u", kc->sector_size);
	DMEMIT(",cipher_string=%s", kc->cipher_name);
	DMEMIT(",key_size=%u,key_parts=1,key_extra_size=0,key_mac_size=0;",
	       KCACHE_KEY_SIZE);
	return sz;
}

/**
 * kcache_status() - the target's .status
 * @ti: the target
 * @type: which of the three
 * @status_flags: unused
 * @result: buffer
 * @maxlen: its size
 *
 * Context: Process context.
 */
void kcache_status(struct dm_target *ti, status_type_t type,
		   unsigned int status_flags, char *result, unsigned int maxlen)
{
	struct kcache_target *kc = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		emit_info(kc, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		emit_table(kc, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		emit_ima(kc, result, maxlen);
		break;
	}
}
