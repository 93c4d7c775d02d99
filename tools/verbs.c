// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of verbs, in the order of the help text. */
#include <stddef.h>

#include "kcache.h"

/* shorter rows: what a verb takes */
#define O(name) KC_OPT(OPT_##name)

/* a row: name, alias, arguments, help, min, max, options, needs_conf, handler, check */
const struct kc_verb kc_verbs[] = {
	{ "key create", NULL, "", "make a key in the local keystore; prints its id", 0, 0,
	  O(ALIAS) | O(DESCRIPTION) | O(TIMEOUT), true, cmd_key_create, NULL },
	{ "key list", NULL, "", "the keys of the local keystore", 0, 0,
	  O(NO_HEADINGS) | O(TIMEOUT), true, cmd_key_list, NULL },
	{ "key describe", NULL, "KEY", "what a key is, and whether it may be used", 1, 1,
	  O(TIMEOUT), true, cmd_key_describe, NULL },
	{ "key enable", NULL, "KEY", "let a key be used again", 1, 1,
	  O(TIMEOUT), true, cmd_key_enable, NULL },
	{ "key disable", NULL, "KEY", "refuse to unwrap with a key; what is attached goes on", 1, 1,
	  O(TIMEOUT), true, cmd_key_disable, NULL },
	{ NULL, NULL, NULL, NULL, 0, 0, 0, false, NULL, NULL },
};
