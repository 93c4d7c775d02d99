// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's table line: a whole line as "dmsetup table" shows it, divided
 * into arguments as device-mapper does, parsed by dm-kcache/table.c, printed by
 * dm-kcache/status.c, and parsed again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../dm-kcache/dm-kcache.h"
#include "fuzz.h"

#define ARGS_MAX 64

struct args {
	char *argv[ARGS_MAX];
	unsigned int argc;
};

/* State that .status prints and that a table line does not decide on. */
long kcache_key_seconds_left(struct kcache_key *key)
{
	(void)key;
	return -1;
}

/* dm_split_args() of drivers/md/dm-table.c: a backslash takes what is behind it as it is. */
static void split(char *line, struct args *a)
{
	char *end = line, *out;

	a->argc = 0;
	while (a->argc < ARGS_MAX) {
		while (isspace(*end))
			end++;
		if (!*end)
			return;
		a->argv[a->argc++] = out = end;
		while (*end && !isspace(*end)) {
			if (*end == '\\' && end[1])
				end++;
			*out++ = *end++;
		}
		if (*end)
			end++;
		*out = '\0';
	}
}

/* Does @arg, in decimal digits alone, say @value? The parser's own conversion is not asked. */
static bool says(const char *arg, u64 value)
{
	char text[24];

	if (strspn(arg, "0123456789") != strlen(arg))
		return false;
	while (arg[0] == '0' && arg[1])
		arg++;
	snprintf(text, sizeof(text), "%llu", value);
	return !strcmp(arg, text);
}

static void check_options(const struct kcache_params *p, const struct args *a)
{
	unsigned int i;

	must(a->argc == 5 || says(a->argv[5], a->argc - 6));
	for (i = 6; i < a->argc; i++) {
		const char *opt = a->argv[i];

		/* the last one of its kind counts, so earlier ones are only well formed */
		if (!strncasecmp(opt, "lease:", 6))
			must(strspn(opt + 6, "0123456789") == strlen(opt + 6));
		if (!strncasecmp(opt, "sector_size:", 12))
			must(says(opt + 12, 512) || says(opt + 12, 1024) || says(opt + 12, 2048) ||
			     says(opt + 12, 4096));
	}
	for (i = a->argc; i-- > 6;) {
		if (strncasecmp(a->argv[i], "lease:", 6))
			continue;
		must(says(a->argv[i] + 6, p->lease));
		break;
	}
	must(i > 5 || !p->lease);
}

static void check_params(const struct kcache_params *p, u64 begin, u64 len, const struct args *a)
{
	u64 mask = p->sector_size / 512 - 1;

	must(a->argc >= 5);
	must(!strcmp(p->cipher, "aes-xts-plain64") || !strcmp(p->cipher, "capi:xts(aes)-plain64"));
	must(!strcmp(p->key_type, "logon") || !strcmp(p->key_type, "user") ||
	     !strcmp(p->key_type, "encrypted") || !strcmp(p->key_type, "trusted"));
	/* the key has been split in place: what stands before its type is its size */
	must(a->argv[1][0] == ':' && says(a->argv[1] + 1, KCACHE_KEY_SIZE));
	must(p->key_desc[0]);
	must(p->device == a->argv[3]);
	must(p->sector_size == 512 || p->sector_size == 1024 || p->sector_size == 2048 ||
	     p->sector_size == 4096);
	must(!(p->flags >> KCACHE_NR_FLAGS));
	must(p->on_expiry <= KCACHE_EXPIRY_FREEZE);
	must(p->lease || p->on_expiry == KCACHE_EXPIRY_UNSET);
	must(!((begin | len | p->iv_offset | p->start) & mask));
	must(says(a->argv[2], p->iv_offset) && says(a->argv[4], p->start));
	check_options(p, a);
}

/* What kcache_ctr() makes of a line, printed. */
static void emit(const struct kcache_params *p, const char *device, status_type_t type, char *out, size_t size)
{
	static const struct target_type kcache = { "kcache", { 1, 0, 0 } };
	struct kcache_stats stats = { 0 };
	struct kcache_key key = {
		.type = (char *)p->key_type,
		.desc = (char *)p->key_desc,
		.driver = "none",
	};
	struct dm_dev dev;
	struct kcache_target kc = {
		.dev = &dev,
		.start = p->start,
		.iv_offset = p->iv_offset,
		.sector_size = p->sector_size,
		.key = &key,
		.stats = &stats,
		.flags = p->flags,
		.lease = p->lease,
		.on_expiry = p->on_expiry,
		.cipher_name = (char *)p->cipher,
	};
	struct dm_target ti = { .type = &kcache, .private = &kc };

	/* device-mapper names a device by its numbers, however it was given */
	snprintf(dev.name, sizeof(dev.name), "%s", device);
	kc.ti = &ti;
	kcache_status(&ti, type, 0, out, (unsigned int)size);
}

static void check_round_trip(const struct kcache_params *p, u64 begin, u64 len)
{
	size_t size = strlen(p->key_desc) + 1024;
	char *first = malloc(size), *line = malloc(size), *again = malloc(size), *error = NULL;
	struct kcache_params q;
	struct args a;

	must(first && line && again);
	emit(p, "254:1", STATUSTYPE_TABLE, first, size);
	memcpy(line, first, strlen(first) + 1);
	split(line, &a);
	must(!kcache_parse_table(&q, begin, len, a.argc, a.argv, &error));
	check_params(&q, begin, len, &a);
	must(!strcmp(q.cipher, p->cipher) && !strcmp(q.key_type, p->key_type) &&
	     !strcmp(q.key_desc, p->key_desc) && !strcmp(q.device, "254:1"));
	must(q.iv_offset == p->iv_offset && q.start == p->start && q.sector_size == p->sector_size &&
	     q.flags == p->flags && q.lease == p->lease && q.on_expiry == p->on_expiry);
	emit(&q, q.device, STATUSTYPE_TABLE, again, size);
	must(!strcmp(first, again));
	/* no room is no reason to write beyond it; every type is printed */
	emit(&q, q.device, STATUSTYPE_TABLE, again, 16);
	must(strlen(again) < 16);
	emit(&q, q.device, STATUSTYPE_IMA, again, size);
	emit(&q, q.device, STATUSTYPE_INFO, again, size);
	free(again);
	free(line);
	free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = fuzz_text(data, len), *error = NULL, *key = NULL;
	u64 begin = 0, sectors = 8;
	struct kcache_params p;
	unsigned int seconds;
	size_t key_len = 0;
	struct args a;
	int skip = 0, r;
	bool hex;

	if (sscanf(text, "%llu %llu kcache %n", &begin, &sectors, &skip) < 2 || !skip) {
		begin = 0;
		sectors = 8;
		skip = 0;
	}
	split(text + skip, &a);
	if (a.argc > 1) {
		key = a.argv[1];
		key_len = strlen(key);
	}
	hex = key && key[0] != ':';
	if (a.argc && !kcache_parse_seconds(a.argv[a.argc - 1], &seconds))
		must(seconds && says(a.argv[a.argc - 1], seconds));

	r = kcache_parse_table(&p, begin, sectors, a.argc, a.argv, &error);
	/* not one byte of what may be a key stays */
	if (hex)
		for (size_t i = 0; i < key_len; i++)
			must(!key[i]);
	if (r) {
		must(r == -EINVAL && error && fuzz_printable(error) && error[0]);
	} else {
		must(!error && !hex);
		check_params(&p, begin, sectors, &a);
		check_round_trip(&p, begin, sectors);
	}
	free(text);
	return 0;
}
