// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

#undef kc_fail	/* what clang's analyzer sees elsewhere */
int kc_fail(struct kc_error *err, enum kc_exit code, const char *next, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	if (err->code != KC_OK)
		return err->code;

	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	snprintf(err->next, sizeof(err->next), "%s", next ? next : "");
	return code;
}

void kc_error_clear(struct kc_error *err)
{
	memset(err, 0, sizeof(*err));
}
