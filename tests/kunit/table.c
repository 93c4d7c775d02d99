// SPDX-License-Identifier: GPL-2.0-only
/*
 * table.c: every refusal with its own sentence, what is accepted, parse -> emit
 * -> parse, and random lines. The other half of the round trip is the TABLE of
 * status.c.
 */
#include "fake.h"

#define KEY ":64:logon:kc:dek"
#define GOOD "aes-xts-plain64 " KEY " 0 /dev/disk 64"

/* Every sentence that the parser has: a random line gets one of these. */
#define E_HEX "Key bytes are refused: give a reference :64:<type>:<description>"
#define E_KEY "Cannot parse key: want :64:<type>:<description>"
#define E_KEY32 \
	"Key of 32 bytes is refused: it would be AES-128, AES-256-XTS takes 64"
#define E_SIZE "Invalid key size: AES-256-XTS takes 64 bytes"
#define E_DESC "Key description is missing: want :64:<type>:<description>"
#define E_SPACE \
	"White space and backslashes in a key description are refused"
#define E_TYPE "Unknown key type: want logon, user, encrypted or trusted"
#define E_ARGS \
	"Not enough arguments: want <cipher> <key> <iv_offset> <device> <offset>"
#define E_CIPHER \
	"Unsupported cipher: want aes-xts-plain64 or capi:xts(aes)-plain64"
#define E_IV "Invalid iv_offset: want a number of 512-byte sectors"
#define E_OFFSET "Invalid device offset: want a number of 512-byte sectors"
#define E_COUNT "Number of options is not that of the options given"
#define E_SECTOR "Invalid sector_size: want 512, 1024, 2048 or 4096"
#define E_LEASE "Invalid lease: want a number of seconds, 1 or more"
#define E_EXPIRY "Invalid on_expiry: want fail or freeze"
#define E_INTEGRITY "Integrity options are not supported: AES-XTS has no tags"
#define E_OPTION "Unknown option"
#define E_NO_LEASE "on_expiry is of no use without lease"
#define E_LEN "Length is not a multiple of sector_size"
#define E_BEGIN "Start in the mapped device is not a multiple of sector_size"
#define E_IV_ALIGN "iv_offset is not a multiple of sector_size"
#define E_START_ALIGN "Device offset is not a multiple of sector_size"

static const char *const sentences[] = {
	E_HEX, E_KEY, E_KEY32, E_SIZE, E_DESC, E_SPACE, E_TYPE, E_ARGS, E_CIPHER,
	E_IV, E_OFFSET, E_COUNT, E_SECTOR, E_LEASE, E_EXPIRY, E_INTEGRITY,
	E_OPTION, E_NO_LEASE, E_LEN, E_BEGIN, E_IV_ALIGN, E_START_ALIGN,
};

/* A line, taken apart where it stands. */
struct parsed {
	struct kcache_params p;
	char line[RIG_LINE];
	char *error;
};

static int parse_at(struct parsed *out, const char *line, sector_t begin,
		    sector_t len)
{
	char *argv[24];
	int argc;

	out->error = NULL;
	strscpy(out->line, line, sizeof(out->line));
	argc = rig_split(out->line, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	return kcache_parse_table(&out->p, begin, len, argc, argv, &out->error);
}

static int parse(struct parsed *out, const char *line)
{
	return parse_at(out, line, 0, 4096);
}

struct refusal {
	const char *line;
	const char *error;
};

static void refuse(struct kunit *test, const struct refusal *list,
		   unsigned int n)
{
	struct parsed *out = kunit_kzalloc(test, sizeof(*out), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, out);
	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ_MSG(test, parse(out, list[i].line), -EINVAL,
				    "%s", list[i].line);
		KUNIT_ASSERT_NOT_NULL_MSG(test, out->error, "%s", list[i].line);
		KUNIT_EXPECT_STREQ_MSG(test, (const char *)out->error,
				       list[i].error, "%s", list[i].line);
	}
}

static void keys_are_refused(struct kunit *test)
{
	static const struct refusal list[] = {
		{ "aes-xts-plain64 00112233 0 /dev/disk 64", E_HEX },
		{ "aes-xts-plain64 - 0 /dev/disk 64", E_HEX },
		{ "aes-xts-plain64 64:logon:kc:dek 0 /dev/disk 64", E_HEX },
		{ "aes-xts-plain64 : 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :64 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 ::logon:kc:dek 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :x:logon:kc:dek 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :64x:logon:kc:dek 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :-64:logon:kc:dek 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :99999999999:logon:kc 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :32:logon:kc:dek 0 /dev/disk 64", E_KEY32 },
		{ "aes-xts-plain64 :0:logon:kc:dek 0 /dev/disk 64", E_SIZE },
		{ "aes-xts-plain64 :63:logon:kc:dek 0 /dev/disk 64", E_SIZE },
		{ "aes-xts-plain64 :65:logon:kc:dek 0 /dev/disk 64", E_SIZE },
		{ "aes-xts-plain64 :128:logon:kc:dek 0 /dev/disk 64", E_SIZE },
		{ "aes-xts-plain64 :64:logon 0 /dev/disk 64", E_DESC },
		{ "aes-xts-plain64 :64:logon: 0 /dev/disk 64", E_DESC },
		{ "aes-xts-plain64 :64:logon:a\tb 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :64:logon:a\nb 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :64:logon:a\vb 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :64:logon:a\fb 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :64:logon:a\rb 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :64:logon:a\\b 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :64:logon:a\xa0z 0 /dev/disk 64", E_SPACE },
		{ "aes-xts-plain64 :+64:logon:kc:dek 0 /dev/disk 64", E_KEY },
		{ "aes-xts-plain64 :64::kc:dek 0 /dev/disk 64", E_TYPE },
		{ "aes-xts-plain64 :64:Logon:kc:dek 0 /dev/disk 64", E_TYPE },
		{ "aes-xts-plain64 :64:keyring:kc:dek 0 /dev/disk 64", E_TYPE },
		{ "aes-xts-plain64 :64:logonx:kc:dek 0 /dev/disk 64", E_TYPE },
	};

	refuse(test, list, ARRAY_SIZE(list));
}

/* device-mapper takes quoted spaces: they reach the parser in one argument. */
static void space_in_a_description_is_refused(struct kunit *test)
{
	char key[] = ":64:logon:kc:a b";
	char *argv[] = { "aes-xts-plain64", key, "0", "/dev/disk", "64" };
	struct kcache_params p;
	char *error = NULL;

	KUNIT_EXPECT_EQ(test, kcache_parse_table(&p, 0, 8, 5, argv, &error),
			-EINVAL);
	KUNIT_EXPECT_STREQ(test, (const char *)error, E_SPACE);
}

static void other_arguments_are_refused(struct kunit *test)
{
	static const struct refusal list[] = {
		{ "", E_ARGS },
		{ "aes-xts-plain64", E_ARGS },
		{ "aes-xts-plain64 " KEY, E_ARGS },
		{ "aes-xts-plain64 " KEY " 0", E_ARGS },
		{ "aes-xts-plain64 " KEY " 0 /dev/disk", E_ARGS },
		{ "aes-cbc-plain64 " KEY " 0 /dev/disk 64", E_CIPHER },
		{ "aes-xts-plain " KEY " 0 /dev/disk 64", E_CIPHER },
		{ "aes-xts-plain64be " KEY " 0 /dev/disk 64", E_CIPHER },
		{ "AES-xts-plain64 " KEY " 0 /dev/disk 64", E_CIPHER },
		{ "serpent-xts-plain64 " KEY " 0 /dev/disk 64", E_CIPHER },
		{ "capi:xts(aes)-essiv:sha256 " KEY " 0 /dev/disk 64", E_CIPHER },
		{ "capi:xts(ecb(aes-generic))-plain64 " KEY " 0 /dev/disk 64",
		  E_CIPHER },
		{ "aes-xts-plain64 " KEY " -1 /dev/disk 64", E_IV },
		{ "aes-xts-plain64 " KEY " x /dev/disk 64", E_IV },
		{ "aes-xts-plain64 " KEY " 8k /dev/disk 64", E_IV },
		{ "aes-xts-plain64 " KEY " +8 /dev/disk 64", E_IV },
		{ "aes-xts-plain64 " KEY " 8\n /dev/disk 64", E_IV },
		{ "aes-xts-plain64 " KEY " 18446744073709551616 /dev/disk 64",
		  E_IV },
		{ "aes-xts-plain64 " KEY " 0 /dev/disk -8", E_OFFSET },
		{ "aes-xts-plain64 " KEY " 0 /dev/disk 18446744073709551680",
		  E_OFFSET },
		{ "aes-xts-plain64 " KEY " 0 /dev/disk ten", E_OFFSET },
		{ "aes-xts-plain64 " KEY " 0 /dev/disk 64s", E_OFFSET },
		{ GOOD " 1", E_COUNT },
		{ GOOD " x", E_COUNT },
		{ GOOD " 0 allow_discards", E_COUNT },
		{ GOOD " 1 allow_discards same_cpu_crypt", E_COUNT },
		{ GOOD " 3 allow_discards same_cpu_crypt", E_COUNT },
		{ GOOD " 1x allow_discards", E_COUNT },
		{ GOOD " -1 allow_discards", E_COUNT },
		{ GOOD " 4294967297 allow_discards", E_COUNT },
	};

	refuse(test, list, ARRAY_SIZE(list));
}

static void options_are_refused(struct kunit *test)
{
	static const struct refusal list[] = {
		{ GOOD " 1 sector_size:", E_SECTOR },
		{ GOOD " 1 sector_size:0", E_SECTOR },
		{ GOOD " 1 sector_size:256", E_SECTOR },
		{ GOOD " 1 sector_size:513", E_SECTOR },
		{ GOOD " 1 sector_size:3072", E_SECTOR },
		{ GOOD " 1 sector_size:8192", E_SECTOR },
		{ GOOD " 1 sector_size:4096x", E_SECTOR },
		{ GOOD " 1 sector_size:-512", E_SECTOR },
		{ GOOD " 1 sector_size:4294967808", E_SECTOR },
		{ GOOD " 1 lease:", E_LEASE },
		{ GOOD " 1 lease:0", E_LEASE },
		{ GOOD " 1 lease:-1", E_LEASE },
		{ GOOD " 1 lease:1s", E_LEASE },
		{ GOOD " 1 lease:4294967296", E_LEASE },
		{ GOOD " 2 lease:5 on_expiry:", E_EXPIRY },
		{ GOOD " 2 lease:5 on_expiry:panic", E_EXPIRY },
		{ GOOD " 3 lease:5 on_expiry:fail on_expiry:panic", E_EXPIRY },
		{ GOOD " 1 integrity:32:aead", E_INTEGRITY },
		{ GOOD " 1 integrity_key_size:32", E_INTEGRITY },
		{ GOOD " 1 allow_discard", E_OPTION },
		{ GOOD " 1 allow_discardss", E_OPTION },
		{ GOOD " 1 sector_size", E_OPTION },
		{ GOOD " 1 lease", E_OPTION },
		{ GOOD " 1 on_expiry", E_OPTION },
		{ GOOD " 1 on_expiry:fail", E_NO_LEASE },
		{ GOOD " 1 on_expiry:freeze", E_NO_LEASE },
	};

	refuse(test, list, ARRAY_SIZE(list));
}

static void misaligned_targets_are_refused(struct kunit *test)
{
	static const unsigned int sizes[] = { 1024, 2048, 4096 };
	struct parsed *out = kunit_kzalloc(test, sizeof(*out), GFP_KERNEL);
	unsigned int i, sectors, odd;
	char line[RIG_LINE];

	KUNIT_ASSERT_NOT_NULL(test, out);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		sectors = sizes[i] / SECTOR_SIZE;
		for (odd = 1; odd < sectors; odd++) {
			snprintf(line, sizeof(line), GOOD " 1 sector_size:%u",
				 sizes[i]);
			KUNIT_EXPECT_EQ(test, parse_at(out, line, 0, 64 + odd),
					-EINVAL);
			KUNIT_EXPECT_STREQ(test, (const char *)out->error,
					   E_LEN);
			KUNIT_EXPECT_EQ(test, parse_at(out, line, odd, 64),
					-EINVAL);
			KUNIT_EXPECT_STREQ(test, (const char *)out->error,
					   E_BEGIN);
			snprintf(line, sizeof(line), "aes-xts-plain64 " KEY
				 " %u /dev/disk 64 1 sector_size:%u", odd,
				 sizes[i]);
			KUNIT_EXPECT_EQ(test, parse(out, line), -EINVAL);
			KUNIT_EXPECT_STREQ(test, (const char *)out->error,
					   E_IV_ALIGN);
			snprintf(line, sizeof(line), "aes-xts-plain64 " KEY
				 " 0 /dev/disk %u 1 sector_size:%u", odd,
				 sizes[i]);
			KUNIT_EXPECT_EQ(test, parse(out, line), -EINVAL);
			KUNIT_EXPECT_STREQ(test, (const char *)out->error,
					   E_START_ALIGN);
		}
	}
}

/* Whatever else is wrong with the line. */
static void key_bytes_in_a_line_are_cleared(struct kunit *test)
{
	static const char hex[] = "00112233445566778899aabbccddeeff";
	static const unsigned int argcs[] = { 2, 3, 4, 5, 6 };
	char key[sizeof(hex)];
	char *argv[] = {
		"no-such-cipher", key, "x", "/dev/disk", "x", "x",
	};
	struct kcache_params p;
	char *error = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(argcs); i++) {
		memcpy(key, hex, sizeof(hex));
		KUNIT_EXPECT_EQ(test, kcache_parse_table(&p, 0, 8, argcs[i],
							 argv, &error),
				-EINVAL);
		KUNIT_EXPECT_STREQ(test, (const char *)error, E_HEX);
		KUNIT_EXPECT_PTR_EQ(test, memchr_inv(key, 0, sizeof(key)), NULL);
	}
}

static void a_plain_line_means_what_it_says(struct kunit *test)
{
	struct parsed *out = kunit_kzalloc(test, sizeof(*out), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, out);
	KUNIT_ASSERT_EQ(test, parse(out, "capi:xts(aes)-plain64 "
				    ":64:user:a:b:c 4294967296 7:1 72"), 0);
	KUNIT_EXPECT_STREQ(test, out->p.cipher, "capi:xts(aes)-plain64");
	KUNIT_EXPECT_STREQ(test, out->p.key_type, "user");
	/* colons belong to the description */
	KUNIT_EXPECT_STREQ(test, out->p.key_desc, "a:b:c");
	KUNIT_EXPECT_EQ(test, out->p.iv_offset, 4294967296ULL);
	KUNIT_EXPECT_STREQ(test, out->p.device, "7:1");
	KUNIT_EXPECT_EQ(test, out->p.start, 72ULL);
	KUNIT_EXPECT_EQ(test, out->p.sector_size, 512U);
	KUNIT_EXPECT_EQ(test, out->p.flags, 0UL);
	KUNIT_EXPECT_EQ(test, out->p.lease, 0U);
	KUNIT_EXPECT_EQ(test, out->p.on_expiry, KCACHE_EXPIRY_UNSET);
}

static void options_mean_what_they_say(struct kunit *test)
{
	struct parsed *out = kunit_kzalloc(test, sizeof(*out), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, out);
	KUNIT_ASSERT_EQ(test, parse(out, GOOD " 0"), 0);
	KUNIT_EXPECT_EQ(test, out->p.flags, 0UL);

	KUNIT_ASSERT_EQ(test, parse(out, GOOD " 4 SECTOR_SIZE:2048 lease:60 "
				    "On_Expiry:Freeze iv_large_sectors"), 0);
	KUNIT_EXPECT_EQ(test, out->p.sector_size, 2048U);
	KUNIT_EXPECT_EQ(test, out->p.lease, 60U);
	KUNIT_EXPECT_EQ(test, out->p.on_expiry, KCACHE_EXPIRY_FREEZE);
	KUNIT_EXPECT_EQ(test, out->p.flags, BIT(KCACHE_IV_LARGE_SECTORS));

	KUNIT_ASSERT_EQ(test, parse(out, GOOD " 8 allow_discards same_cpu_crypt "
				    "high_priority submit_from_crypt_cpus "
				    "no_read_workqueue no_write_workqueue "
				    "lease:4294967295 on_expiry:fail"), 0);
	KUNIT_EXPECT_EQ(test, out->p.flags, BIT(KCACHE_NR_FLAGS) - 1 -
			BIT(KCACHE_IV_LARGE_SECTORS));
	KUNIT_EXPECT_EQ(test, out->p.lease, UINT_MAX);
	KUNIT_EXPECT_EQ(test, out->p.on_expiry, KCACHE_EXPIRY_FAIL);
}

/* ---- round trip ---- */

struct round_trip {
	struct parsed first;
	struct parsed second;
	struct kcache_key key;
	struct kcache_target kc;
	struct dm_target ti;
	struct dm_dev *dev;
	char text[RIG_LINE];
};

static struct round_trip *round_trip_new(struct kunit *test)
{
	struct round_trip *rt = kunit_kzalloc(test, sizeof(*rt), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rt);
	rt->dev = kunit_kzalloc(test, sizeof(*rt->dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rt->dev);
	return rt;
}

/* TABLE of a target that was made of rt->first. */
static void emit(struct round_trip *rt)
{
	const struct kcache_params *p = &rt->first.p;

	rt->ti.private = &rt->kc;
	rt->key.type = (char *)p->key_type;
	rt->key.desc = (char *)p->key_desc;
	strscpy(rt->dev->name, p->device, sizeof(rt->dev->name));
	rt->kc.ti = &rt->ti;
	rt->kc.key = &rt->key;
	rt->kc.dev = rt->dev;
	rt->kc.cipher_name = (char *)p->cipher;
	rt->kc.iv_offset = p->iv_offset;
	rt->kc.start = p->start;
	rt->kc.sector_size = p->sector_size;
	rt->kc.flags = p->flags;
	rt->kc.lease = p->lease;
	rt->kc.on_expiry = p->on_expiry;
	kcache_status(&rt->ti, STATUSTYPE_TABLE, 0, rt->text, sizeof(rt->text));
}

static void expect_same(struct kunit *test, struct round_trip *rt)
{
	const struct kcache_params *a = &rt->first.p, *b = &rt->second.p;

	KUNIT_ASSERT_EQ_MSG(test, parse(&rt->second, rt->text), 0, "%s: %s",
			    rt->text, rt->second.error);
	KUNIT_EXPECT_STREQ(test, a->cipher, b->cipher);
	KUNIT_EXPECT_STREQ(test, a->key_type, b->key_type);
	KUNIT_EXPECT_STREQ(test, a->key_desc, b->key_desc);
	KUNIT_EXPECT_EQ(test, a->iv_offset, b->iv_offset);
	KUNIT_EXPECT_STREQ(test, a->device, b->device);
	KUNIT_EXPECT_EQ(test, a->start, b->start);
	KUNIT_EXPECT_EQ(test, a->sector_size, b->sector_size);
	KUNIT_EXPECT_EQ(test, a->flags, b->flags);
	KUNIT_EXPECT_EQ(test, a->lease, b->lease);
	KUNIT_EXPECT_EQ(test, a->on_expiry, b->on_expiry);
}

/* Every option and none, in every combination, with each cipher spelling. */
static void round_trip_of_every_combination(struct kunit *test)
{
	static const char *const ciphers[] = {
		"aes-xts-plain64", "capi:xts(aes)-plain64",
	};
	static const char *const expiry[] = {
		"", " lease:30", " lease:30 on_expiry:fail",
		" lease:30 on_expiry:freeze",
	};
	static const unsigned int expiry_words[] = { 0, 1, 2, 2 };
	struct round_trip *rt = round_trip_new(test);
	unsigned int flags, size, e, i, words;
	char line[RIG_LINE];
	size_t n;

	for (flags = 0; flags < BIT(KCACHE_NR_FLAGS); flags++) {
		size = 512 << (flags % 4);
		e = flags / 4 % ARRAY_SIZE(expiry);
		words = hweight32(flags) + 1 + expiry_words[e];
		n = snprintf(line, sizeof(line), "%s " KEY " %u /dev/disk %u %u sector_size:%u%s",
			     ciphers[flags % 2], flags * 8, flags * 16, words,
			     size, expiry[e]);
		for (i = 0; i < KCACHE_NR_FLAGS; i++)
			if (flags & BIT(i))
				n += snprintf(line + n, sizeof(line) - n, " %s",
					      kcache_flag_names[i]);
		KUNIT_ASSERT_LT(test, n, sizeof(line));
		KUNIT_ASSERT_EQ_MSG(test, parse(&rt->first, line), 0, "%s: %s",
				    line, rt->first.error);
		emit(rt);
		expect_same(test, rt);
	}
}

/* ---- random lines ---- */

static const char *const words[] = {
	"aes-xts-plain64", "capi:xts(aes)-plain64", "aes-cbc-plain64", KEY,
	":64:user:x", ":32:logon:kc:dek", ":64:trusted:", ":64", "deadbeef",
	"0", "8", "-1", "64", "18446744073709551615", "18446744073709551616",
	"/dev/disk", "8:0", "1", "2", "3", "4", "allow_discards",
	"iv_large_sectors", "same_cpu_crypt", "sector_size:512",
	"sector_size:4096", "sector_size:1", "lease:1", "lease:0",
	"lease:4294967295", "on_expiry:fail", "on_expiry:freeze",
	"on_expiry:", "integrity:16:none", "no_read_workqueue", "%s%n", ":",
};

/* A good line, spoilt in one place or two; or words at random. */
static void random_line(char *line, size_t size)
{
	static const char *const options[] = {
		"", " 0", " 1 allow_discards",
		" 2 sector_size:4096 iv_large_sectors",
		" 3 lease:60 on_expiry:freeze same_cpu_crypt",
	};
	unsigned int i, n;
	size_t len = 0;

	if (rig_below(2)) {
		n = rig_below(10);
		for (i = 0; i < n; i++)
			len += scnprintf(line + len, size - len, "%s%s",
					 i ? " " : "",
					 words[rig_below(ARRAY_SIZE(words))]);
		line[len] = 0;
		return;
	}
	len = scnprintf(line, size, GOOD "%s",
			options[rig_below(ARRAY_SIZE(options))]);
	for (n = rig_below(3); n; n--) {
		i = rig_below(len);
		switch (rig_below(3)) {
		case 0: /* another byte, of any value but 0 */
			line[i] = 1 + rig_below(255);
			break;
		case 1: /* a byte less */
			memmove(line + i, line + i + 1, len - i);
			len--;
			break;
		default: /* a byte twice */
			memmove(line + i + 1, line + i, len - i + 1);
			len++;
		}
	}
}

static bool known(const char *error)
{
	unsigned int i;

	for (i = 0; error && i < ARRAY_SIZE(sentences); i++)
		if (!strcmp(error, sentences[i]))
			return true;
	return false;
}

static bool within(const struct parsed *out, const char *s)
{
	return s >= out->line && s < out->line + sizeof(out->line);
}

static void random_lines(struct kunit *test)
{
	struct round_trip *rt = round_trip_new(test);
	const struct kcache_params *p = &rt->first.p;
	unsigned int i, mask, good = 0, bad = 0;
	sector_t begin, len;
	char line[RIG_LINE];
	int r;

	for (i = 0; i < 20000; i++) {
		random_line(line, sizeof(line) - 4);
		begin = rig_below(4) ? 0 : rig_below(64);
		len = rig_below(4) ? 4096 : rig_below(64);
		r = parse_at(&rt->first, line, begin, len);
		if (r == -E2BIG)
			continue;
		if (r) {
			bad++;
			KUNIT_ASSERT_EQ_MSG(test, r, -EINVAL, "%s", line);
			KUNIT_ASSERT_TRUE_MSG(test, known(rt->first.error),
					      "%s", line);
			continue;
		}
		good++;
		mask = p->sector_size / SECTOR_SIZE - 1;
		KUNIT_ASSERT_TRUE_MSG(test, is_power_of_2(p->sector_size) &&
				      p->sector_size >= 512 &&
				      p->sector_size <= 4096, "%s", line);
		KUNIT_ASSERT_EQ_MSG(test, (begin | len | p->start |
					   p->iv_offset) & mask, 0ULL, "%s",
				    line);
		KUNIT_ASSERT_TRUE_MSG(test, p->lease || !p->on_expiry, "%s",
				      line);
		KUNIT_ASSERT_TRUE_MSG(test, within(&rt->first, p->cipher) &&
				      within(&rt->first, p->device) &&
				      within(&rt->first, p->key_desc), "%s",
				      line);
		emit(rt);
		/* dev->name is short; a real one is a number */
		if (strlen(p->device) < sizeof(rt->dev->name))
			expect_same(test, rt);
	}
	kunit_info(test, "%u accepted, %u refused", good, bad);
	KUNIT_EXPECT_GT(test, good, 1000U);
	KUNIT_EXPECT_GT(test, bad, 1000U);
}

static void seconds(struct kunit *test)
{
	static const char *const wrong[] = {
		"", "0", "-1", "+1", "1.5", "1 ", "1\n", "0x", "4294967296", "ten",
	};
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, kcache_parse_seconds(wrong[i], &n),
				    -EINVAL, "%s", wrong[i]);
	KUNIT_EXPECT_EQ(test, kcache_parse_seconds("1", &n), 0);
	KUNIT_EXPECT_EQ(test, n, 1U);
	KUNIT_EXPECT_EQ(test, kcache_parse_seconds("4294967295", &n), 0);
	KUNIT_EXPECT_EQ(test, n, UINT_MAX);
}

static struct kunit_case table_cases[] = {
	KUNIT_CASE(keys_are_refused),
	KUNIT_CASE(space_in_a_description_is_refused),
	KUNIT_CASE(other_arguments_are_refused),
	KUNIT_CASE(options_are_refused),
	KUNIT_CASE(misaligned_targets_are_refused),
	KUNIT_CASE(key_bytes_in_a_line_are_cleared),
	KUNIT_CASE(a_plain_line_means_what_it_says),
	KUNIT_CASE(options_mean_what_they_say),
	KUNIT_CASE(round_trip_of_every_combination),
	KUNIT_CASE(random_lines),
	KUNIT_CASE(seconds),
	{ }
};

struct kunit_suite kcache_table_suite = {
	.name = "kcache-table",
	.suite_init = rig_begin,
	.init = rig_init,
	.exit = rig_exit,
	.test_cases = table_cases,
};
