// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table line: dm-crypt's own grammar, so that one of its lines becomes
 * ours by changing one word.
 *
 * Pure functions of their arguments: nothing is allocated, looked up or
 * printed here. Each refusal has a sentence of its own in *error, which
 * device-mapper logs and which is all that an administrator gets to see.
 */
#include "dm-kcache.h"

const char *const kcache_flag_names[KCACHE_NR_FLAGS] = {
	[KCACHE_ALLOW_DISCARDS] = "allow_discards",
	[KCACHE_SAME_CPU_CRYPT] = "same_cpu_crypt",
	[KCACHE_HIGH_PRIORITY] = "high_priority",
	[KCACHE_SUBMIT_FROM_CRYPT_CPUS] = "submit_from_crypt_cpus",
	[KCACHE_NO_READ_WORKQUEUE] = "no_read_workqueue",
	[KCACHE_NO_WRITE_WORKQUEUE] = "no_write_workqueue",
	[KCACHE_IV_LARGE_SECTORS] = "iv_large_sectors",
};

/*
 * Decimal digits alone. sscanf() wraps around at 2^64 and cuts off what does not
 * fit: a sector_size of 2^32 + 512 would be 512. kstrto*() take a sign and a line
 * feed.
 */
static bool parse_u64(const char *arg, u64 *value)
{
	return !arg[strspn(arg, "0123456789")] && !kstrtou64(arg, 10, value);
}

static bool parse_uint(const char *arg, unsigned int *value)
{
	return !arg[strspn(arg, "0123456789")] && !kstrtouint(arg, 10, value);
}

/**
 * kcache_parse_key() - parse ":64:<type>:<description>"
 * @arg: the argument; split in place, and cleared where it may hold a key
 * @type: receives the key type
 * @desc: receives the description, a part of @arg
 * @error: receives the reason of a refusal
 *
 * Only a reference into a keyring is taken: a key in a table would stand in an
 * argv, in a log and in "dmsetup table --showkeys".
 *
 * Context: Any.
 * Return: 0 or -EINVAL.
 */
int kcache_parse_key(char *arg, const char **type, const char **desc,
		     char **error)
{
	static const char *const types[] = {
		"logon", "user", "encrypted", "trusted",
	};
	unsigned int i, bytes;
	char *word;

	if (*arg != ':') {
		/* Most likely a key in hex: not one byte of it is to stay. */
		memzero_explicit(arg, strlen(arg));
		*error = "Key bytes are refused: give a reference :64:<type>:<description>";
		return -EINVAL;
	}
	arg++;
	word = strsep(&arg, ":");
	if (!arg || !parse_uint(word, &bytes)) {
		*error = "Cannot parse key: want :64:<type>:<description>";
		return -EINVAL;
	}
	if (bytes == KCACHE_KEY_SIZE / 2) {
		*error = "Key of 32 bytes is refused: it would be AES-128, AES-256-XTS takes 64";
		return -EINVAL;
	}
	if (bytes != KCACHE_KEY_SIZE) {
		*error = "Invalid key size: AES-256-XTS takes 64 bytes";
		return -EINVAL;
	}
	word = strsep(&arg, ":");
	if (!arg || !*arg) {
		*error = "Key description is missing: want :64:<type>:<description>";
		return -EINVAL;
	}
	/*
	 * Device-mapper escapes nothing in a table that it prints, and would read
	 * another description back. 0xa0 is white space to the kernel.
	 */
	if (strpbrk(arg, " \t\n\v\f\r\\\xa0")) {
		*error = "White space and backslashes in a key description are refused";
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(word, types[i])) {
			*type = types[i];
			*desc = arg;
			return 0;
		}
	}
	*error = "Unknown key type: want logon, user, encrypted or trusted";
	return -EINVAL;
}

/**
 * kcache_parse_seconds() - parse a lease
 * @arg: a number of seconds, 1 or more
 * @seconds: receives it
 *
 * Context: Any.
 * Return: 0 or -EINVAL.
 */
int kcache_parse_seconds(const char *arg, unsigned int *seconds)
{
	return parse_uint(arg, seconds) && *seconds ? 0 : -EINVAL;
}

static int parse_option(struct kcache_params *p, const char *opt, char **error)
{
	unsigned int i;

	for (i = 0; i < KCACHE_NR_FLAGS; i++) {
		if (!strcasecmp(opt, kcache_flag_names[i])) {
			__set_bit(i, &p->flags);
			return 0;
		}
	}
	if (!strncasecmp(opt, "sector_size:", 12)) {
		if (parse_uint(opt + 12, &p->sector_size) &&
		    is_power_of_2(p->sector_size) &&
		    p->sector_size >= 512 && p->sector_size <= 4096)
			return 0;
		*error = "Invalid sector_size: want 512, 1024, 2048 or 4096";
		return -EINVAL;
	}
	if (!strncasecmp(opt, "lease:", 6)) {
		if (!kcache_parse_seconds(opt + 6, &p->lease))
			return 0;
		*error = "Invalid lease: want a number of seconds, 1 or more";
		return -EINVAL;
	}
	if (!strncasecmp(opt, "on_expiry:", 10)) {
		if (!strcasecmp(opt + 10, "fail")) {
			p->on_expiry = KCACHE_EXPIRY_FAIL;
			return 0;
		}
		if (!strcasecmp(opt + 10, "freeze")) {
			p->on_expiry = KCACHE_EXPIRY_FREEZE;
			return 0;
		}
		*error = "Invalid on_expiry: want fail or freeze";
		return -EINVAL;
	}
	if (!strncasecmp(opt, "integrity", 9)) {
		*error = "Integrity options are not supported: AES-XTS has no tags";
		return -EINVAL;
	}
	*error = "Unknown option";
	return -EINVAL;
}

/**
 * kcache_parse_table() - parse and check a table line
 * @p: receives what the line says
 * @begin: first sector of the target in the mapped device
 * @len: sectors of the target
 * @argc: number of arguments
 * @argv: <cipher> <key> <iv_offset> <device> <offset> [<#opts> <opt>...];
 *	the key is split in place
 * @error: receives the reason of a refusal
 *
 * Context: Any.
 * Return: 0 or -EINVAL.
 */
int kcache_parse_table(struct kcache_params *p, sector_t begin, sector_t len,
		       unsigned int argc, char **argv, char **error)
{
	unsigned int i, nr_opts = 0;
	u64 start, mask;
	int r;

	memset(p, 0, sizeof(*p));
	p->sector_size = 512;

	/* <key>, first: whatever else is wrong, key bytes must be cleared */
	if (argc > 1) {
		r = kcache_parse_key(argv[1], &p->key_type, &p->key_desc,
				     error);
		if (r)
			return r;
	}
	if (argc < 5) {
		*error = "Not enough arguments: want <cipher> <key> <iv_offset> <device> <offset>";
		return -EINVAL;
	}

	/* <cipher> */
	p->cipher = argv[0];
	if (strcmp(p->cipher, "aes-xts-plain64") &&
	    strcmp(p->cipher, "capi:xts(aes)-plain64")) {
		*error = "Unsupported cipher: want aes-xts-plain64 or capi:xts(aes)-plain64";
		return -EINVAL;
	}

	/* <iv_offset> */
	if (!parse_u64(argv[2], &p->iv_offset)) {
		*error = "Invalid iv_offset: want a number of 512-byte sectors";
		return -EINVAL;
	}

	/* <device> */
	p->device = argv[3];

	/* <offset> */
	if (!parse_u64(argv[4], &start) || start != (sector_t)start) {
		*error = "Invalid device offset: want a number of 512-byte sectors";
		return -EINVAL;
	}
	p->start = start;

	/* [<#opts> <opt>...] */
	if (argc > 5 &&
	    (!parse_uint(argv[5], &nr_opts) || nr_opts != argc - 6)) {
		*error = "Number of options is not that of the options given";
		return -EINVAL;
	}
	for (i = 0; i < nr_opts; i++) {
		r = parse_option(p, argv[6 + i], error);
		if (r)
			return r;
	}

	if (p->on_expiry != KCACHE_EXPIRY_UNSET && !p->lease) {
		*error = "on_expiry is of no use without lease";
		return -EINVAL;
	}

	/*
	 * dm-crypt does not check begin and start, and fails each I/O of such a
	 * device instead.
	 */
	mask = (p->sector_size >> SECTOR_SHIFT) - 1;
	if (len & mask) {
		*error = "Length is not a multiple of sector_size";
		return -EINVAL;
	}
	if (begin & mask) {
		*error = "Start in the mapped device is not a multiple of sector_size";
		return -EINVAL;
	}
	if (p->iv_offset & mask) {
		*error = "iv_offset is not a multiple of sector_size";
		return -EINVAL;
	}
	if (p->start & mask) {
		*error = "Device offset is not a multiple of sector_size";
		return -EINVAL;
	}
	return 0;
}
