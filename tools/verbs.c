// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of verbs, in the order of the help text. */
#include <stddef.h>

#include "kcache.h"

/* shorter rows: what a verb takes */
#define O(name) KC_OPT(OPT_##name)

/* a row: name, alias, arguments, help, min, max, options, needs_conf, handler, check */
const struct kc_verb kc_verbs[] = {
	{ "create", "format", "DEVICE", "make a new volume", 1, 1,
	  O(KEY) | O(FORCE) | O(DRY_RUN) | O(SECTOR_SIZE) | O(LABEL) | O(TIMEOUT), true, cmd_create, check_create },
	{ "attach", "open", "DEVICE NAME", "have its key unwrapped and map it as /dev/mapper/NAME", 2, 2,
	  O(KEY) | O(READONLY) | O(DISCARDS) | O(TIMEOUT), true, cmd_attach, check_attach },
	{ "detach", "close", "NAME", "unmap it and forget its key; asks no KMS", 1, 1,
	  O(LAZY), false, cmd_detach, check_name },
	{ "status", NULL, "[NAME]", "what is attached; 9 if the key of NAME is gone", 0, 1,
	  0, true, cmd_status, check_name },
	{ "list", "ls", "", "volumes that are attached or known to this host", 0, 0,
	  O(NO_HEADINGS), true, cmd_list, NULL },
	{ "dump", "luksDump", "DEVICE", "what the header says; nothing of it is secret", 1, 1,
	  0, false, cmd_dump, NULL },
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
