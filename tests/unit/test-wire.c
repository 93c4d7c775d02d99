// SPDX-License-Identifier: GPL-2.0-or-later
/* The messages between the command and its key helper, member by member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kms-wire.h"

static struct json_object *message(const char *text)
{
	struct json_object *o = kc_wire_parse(text, strlen(text));

	assert_non_null(o);
	return o;
}

/* json-c would make the nearest number of them that it has. */
static void a_number_that_does_not_fit_is_none(void **state)
{
	static const struct {
		const char *text;
		bool fits;
	} numbers[] = {
		{ "{\"n\":9223372036854775807}", true },
		{ "{\"n\":9223372036854775808}", false },
		{ "{\"n\":18446744073709551615}", false },
		{ "{\"n\":99999999999999999999}", false },
		{ "{\"n\":0}", false },
		{ "{\"n\":-1}", false },
		{ "{\"n\":-99999999999999999999}", false },
		{ "{\"n\":1.0}", false },
		{ "{\"n\":\"1\"}", false },
		{ "{}", false },
	};
	struct json_object *o;
	int64_t n;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		o = message(numbers[i].text);
		if (kc_wire_int(o, "n", 1, INT64_MAX, &n) != numbers[i].fits)
			fail_msg("%s", numbers[i].text);
		json_object_put(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_that_does_not_fit_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
