/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints. Off, each costs a jump that is not taken. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kcache

#if !defined(KCACHE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KCACHE_TRACE_H

#include <linux/tracepoint.h>

#include "dm-kcache.h"

/* A bio, or a part of one, that went through the cipher. */
TRACE_EVENT(kcache_io_crypt,
	TP_PROTO(struct kcache_target *kc, struct kcache_range *range,
		 unsigned int bytes, bool worker, int error),
	TP_ARGS(kc, range, bytes, worker, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(unsigned int, bytes)
		__field(bool, encrypt)
		__field(bool, worker)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = disk_devt(dm_disk(kc->key->md));
		/* where it stopped */
		__entry->sector = kc->ti->begin +
			(range->iter.bi_sector - kc->iv_offset);
		__entry->bytes = bytes;
		__entry->encrypt = range->encrypt;
		__entry->worker = worker;
		__entry->error = error;
	),
	TP_printk("%d:%d %s up to sector %llu, %u bytes%s error %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->encrypt ? "encrypt" : "decrypt", __entry->sector,
		  __entry->bytes, __entry->worker ? " worker" : "",
		  __entry->error)
);

/* A bio that changes context, or waits. */
TRACE_EVENT(kcache_io_defer,
	TP_PROTO(struct kcache_io *io, const char *why),
	TP_ARGS(io, why),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(unsigned int, bytes)
		__array(char, why, 24)
	),
	TP_fast_assign(
		__entry->dev = disk_devt(dm_disk(io->kc->key->md));
		__entry->sector = io->kc->ti->begin +
			(io->iter.bi_sector - io->kc->iv_offset);
		__entry->bytes = io->iter.bi_size;
		strscpy(__entry->why, why, sizeof(__entry->why));
	),
	TP_printk("%d:%d sector %llu, %u bytes: %s", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->sector, __entry->bytes,
		  __entry->why)
);

/* A key that came, went or changed its state. */
TRACE_EVENT(kcache_key_state,
	TP_PROTO(struct mapped_device *md, const char *desc, const char *op,
		 const char *state),
	TP_ARGS(md, desc, op, state),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__array(char, desc, 64)
		__array(char, op, 24)
		__array(char, state, 12)
	),
	TP_fast_assign(
		__entry->dev = disk_devt(dm_disk(md));
		strscpy(__entry->desc, desc, sizeof(__entry->desc));
		strscpy(__entry->op, op, sizeof(__entry->op));
		strscpy(__entry->state, state, sizeof(__entry->state));
	),
	TP_printk("%d:%d %s: key %s is %s", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->op, __entry->desc,
		  __entry->state)
);

#endif /* KCACHE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
