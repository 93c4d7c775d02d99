// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "size.h"

static void good(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {
		{ "1", 1 }, { "512", 512 }, { "0512", 512 }, { "18446744073709551615", UINT64_MAX },
		{ "1K", 1024 }, { "1k", 1024 }, { "1KiB", 1024 }, { "20M", 20 << 20 }, { "3g", UINT64_C(3) << 30 },
		{ "2TiB", UINT64_C(2) << 40 }, { "1P", UINT64_C(1) << 50 }, { "15E", UINT64_C(15) << 60 },
		{ "18014398509481983K", UINT64_MAX - 1023 },
	};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(kc_parse_size(sizes[i].text, &bytes));
		assert_int_equal(bytes, sizes[i].bytes);
	}
}

static void bad(void **state)
{
	static const char *const texts[] = {
		"", "0", "0K", "-1", "+1", " 1", "1 ", "1 K", "1.5G", "0x10", "K", "1KB", "1B", "1kib", "1iB", "1KiBs",
		"1Q", "1\n", "1+", "1[", "18446744073709551616", "16E", "18014398509481984K", "99999999999999999999",
	};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (kc_parse_size(texts[i], &bytes))
			fail_msg("taken: `%s'", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
