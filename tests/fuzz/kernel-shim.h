/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel as dm-kcache/table.c and status.c see it, for user space. It is
 * included before them; the kernel headers that they and dm-kcache.h name are
 * empty files, made by the Makefile.
 *
 * Functions they call are defined, with the kernel's meaning where that is not
 * the C library's: kstrtouint() and isspace() below, from lib/kstrtox.c and
 * lib/ctype.c. What only dm-kcache.h's inline functions and structures need is
 * there in name: nothing here does I/O.
 */
#ifndef KC_KERNEL_SHIM_H
#define KC_KERNEL_SHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef uint8_t u8;
typedef unsigned long long u64;
typedef u64 sector_t;
typedef int64_t ktime_t;
typedef unsigned char blk_status_t;

#define __rcu
#define __percpu
#define unlikely(x) (x)
#define READ_ONCE(x) (x)
#define rcu_access_pointer(p) (p)
#define this_cpu_add(lvalue, n) ((void)((lvalue) += (n)))
#define per_cpu_ptr(p, cpu) (p)
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < 1; (cpu)++)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SECTOR_SHIFT 9
#define SECTOR_SIZE (1 << SECTOR_SHIFT)
#define PAGE_SHIFT 12
#define BIO_MAX_VECS 256U
#define BLK_STS_OK 0
#define CRYPTO_MAX_ALG_NAME 128

/* ---- what table.c and status.c call ---- */

int kstrtouint(const char *s, unsigned int base, unsigned int *res);
int kstrtou64(const char *s, unsigned int base, u64 *res);
int scnprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* In the kernel's Latin-1 a no-break space is white space, too. */
static inline int isspace(int c)
{
	c &= 0xff;
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

static inline void memzero_explicit(void *p, size_t n)
{
	explicit_bzero(p, n);
}

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline void __set_bit(unsigned int nr, unsigned long *bits)
{
	*bits |= 1UL << nr;
}

static inline bool test_bit(unsigned int nr, const unsigned long *bits)
{
	return *bits >> nr & 1;
}

static inline unsigned int hweight_long(unsigned long bits)
{
	return (unsigned int)__builtin_popcountl(bits);
}

/* ---- device-mapper, as far as .status goes ---- */

typedef enum { STATUSTYPE_INFO, STATUSTYPE_TABLE, STATUSTYPE_IMA } status_type_t;

struct target_type {
	const char *name;
	unsigned int version[3];
};

struct dm_target {
	const struct target_type *type;
	void *private;
};

struct dm_dev {
	char name[16];
};

#define DMEMIT(x...) (sz += ((sz >= maxlen) ? 0 : (unsigned int)scnprintf(result + sz, maxlen - sz, x)))
#define DMEMIT_TARGET_NAME_VERSION(y) \
	DMEMIT("target_name=%s,target_version=%u.%u.%u", (y)->name, (y)->version[0], (y)->version[1], \
	       (y)->version[2])

/* ---- in name only ---- */

struct list_head { void *next; };
struct llist_node { void *next; };
struct work_struct { void *func; };
struct workqueue_struct;
struct mapped_device;
struct bio;
struct bio_vec { void *page; };
struct bio_list { struct bio *head; };
struct bvec_iter { sector_t bi_sector; unsigned int bi_size; };
struct completion { int done; };
struct hrtimer { int state; };
struct mutex { int owner; };
typedef struct { int slock; } spinlock_t;
typedef struct { int refs; } refcount_t;
typedef struct { int min_nr; } mempool_t;
typedef void (*work_func_t)(struct work_struct *work);

void *dm_per_bio_data(struct bio *bio, size_t size);
struct bio *dm_bio_from_per_bio_data(void *data, size_t size);
unsigned int bio_op(const struct bio *bio);
bool op_is_write(unsigned int op);
bool in_hardirq(void);
bool irqs_disabled(void);
bool in_serving_softirq(void);
bool crypto_simd_usable(void);
unsigned int num_online_cpus(void);

#endif
