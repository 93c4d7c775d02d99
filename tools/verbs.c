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
	  O(ALIAS) | O(DESCRIPTION) | O(EXTERNAL) | O(PROVIDER) | O(TIMEOUT), true, cmd_key_create, NULL },
	{ "key list", NULL, "", "the keys of the local keystore", 0, 0,
	  O(NO_HEADINGS) | O(PROVIDER) | O(TIMEOUT), true, cmd_key_list, NULL },
	{ "key describe", NULL, "KEY", "what a key is, and whether it may be used", 1, 1,
	  O(TIMEOUT), true, cmd_key_describe, NULL },
	{ "key enable", NULL, "KEY", "let a key be used again", 1, 1,
	  O(TIMEOUT), true, cmd_key_enable, NULL },
	{ "key disable", NULL, "KEY", "refuse to unwrap with a key; what is attached goes on", 1, 1,
	  O(TIMEOUT), true, cmd_key_disable, NULL },
	{ "key rotate", NULL, "KEY", "give a key new material, now or by itself", 1, 1,
	  O(YEARLY) | O(DAYS) | O(NEVER) | O(TIMEOUT), true, cmd_key_rotate, check_key_rotate },
	{ "key schedule-deletion", NULL, "KEY", "destroy a key after 7 to 30 days (30)", 1, 1,
	  O(DAYS) | O(TIMEOUT), true, cmd_key_schedule_deletion, check_key_days },
	{ "key cancel-deletion", NULL, "KEY", "do not; the key stays, disabled", 1, 1,
	  O(TIMEOUT), true, cmd_key_cancel_deletion, NULL },
	{ "key alias", NULL, "KEY ALIAS", "let a name stand for a key", 2, 2,
	  O(FORCE) | O(TIMEOUT), true, cmd_key_alias, NULL },
	{ "key unalias", NULL, "ALIAS", "remove a name; the key stays", 1, 1,
	  O(TIMEOUT), true, cmd_key_unalias, NULL },
	{ "key grant", NULL, "KEY", "let a host use a key; prints the grant and its token", 1, 1,
	  O(GRANTEE) | O(OPERATIONS) | O(VOLUME) | O(TIMEOUT), true, cmd_key_grant, check_key_grant },
	{ "key grants", NULL, "KEY", "the grants of a key", 1, 1,
	  O(NO_HEADINGS) | O(TIMEOUT), true, cmd_key_grants, NULL },
	{ "key revoke", NULL, "KEY GRANT", "take a grant back", 2, 2,
	  O(TIMEOUT), true, cmd_key_revoke, NULL },
	{ "key retire", NULL, "KEY GRANT", "give a grant back, as its grantee", 2, 2,
	  O(TIMEOUT), true, cmd_key_retire, NULL },
	{ "key policy", NULL, "KEY [FILE]", "who may use a key; with FILE (- is stdin): from now on", 1, 2,
	  O(TIMEOUT), true, cmd_key_policy, NULL },
	{ "key import", NULL, "KEY FILE", "own material, 32 bytes, for a key made with --external", 2, 2,
	  O(VALID_TO) | O(IMPORT_TOKEN) | O(TIMEOUT), true, cmd_key_import, NULL },
	{ "key import-parameters", NULL, "KEY", "a public key and a token, to wrap material elsewhere", 1, 1,
	  O(TIMEOUT), true, cmd_key_import_parameters, NULL },
	{ "key forget", NULL, "KEY", "remove imported material; the key waits for it again", 1, 1,
	  O(TIMEOUT), true, cmd_key_forget, NULL },
	{ NULL, NULL, NULL, NULL, 0, 0, 0, false, NULL, NULL },
};
