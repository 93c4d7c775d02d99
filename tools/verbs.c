// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of verbs, in the order of the help text. */
#include <stddef.h>

#include "kcache.h"

/* a row: name, alias, arguments, help, min, max, options, needs_conf, handler, check */
const struct kc_verb kc_verbs[] = {
	{ NULL, NULL, NULL, NULL, 0, 0, 0, false, NULL, NULL },
};
