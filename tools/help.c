// SPDX-License-Identifier: GPL-2.0-or-later
/* Help, printed from the tables of verbs and options. */
#include <stdio.h>
#include <string.h>

#include "kcache.h"

static void print_option(enum kc_opt id)
{
	const struct kc_option *o = &kc_options[id];
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	if (o->short_name)
		printf("  -%c, %-24s %s\n", o->short_name, left, o->help);
	else
		printf("      %-24s %s\n", left, o->help);
}

static void print_options(uint64_t set)
{
	int id;

	for (id = 0; id < OPT_COUNT; id++)
		if (set & KC_OPT(id))
			print_option((enum kc_opt)id);
}

static void print_verb(const struct kc_verb *v)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s", v->name, *v->args ? " " : "", v->args);
	printf("  %-28s %s\n", left, v->help);
}

/* What a verb's help ends with: a line that can be typed as it stands, or nearly. In the order of verbs.c. */
static const struct {
	const char *verb;
	const char *text;
} examples[] = {
	{ "create", "  kcache create /dev/sdb --key local:alias/kcache\n"
		"  kcache create /dev/sdc --ephemeral scratch\n" },
	{ "attach", "  kcache attach /dev/sdb data\n" },
	{ "detach", "  kcache detach data\n" },
	{ "suspend", "  kcache suspend data\n" },
	{ "resume", "  kcache resume data\n" },
	{ "lease", "  kcache lease data\n"
		"  kcache lease data --once\n" },
	{ "resize", "  kcache resize data\n"
		"  kcache resize data --size 20G\n" },
	{ "status", "  kcache status data --json\n" },
	{ "list", "  kcache list --json\n" },
	{ "dump", "  kcache dump /dev/sdb\n" },
	{ "rewrap", "  kcache rewrap /dev/sdb --key local:alias/new\n"
		"  kcache rewrap /dev/sdb --on-revoke fail --lease 300\n"
		"  kcache rewrap --all --from local:alias/old --to local:alias/new\n" },
	{ "recipient add", "  kcache recipient add /dev/sdb --key local:alias/spare\n" },
	{ "recipient remove", "  kcache recipient remove /dev/sdb --key local:alias/spare\n" },
	{ "recipient list", "  kcache recipient list /dev/sdb\n" },
	{ "adopt", "  kcache adopt /dev/sdb --key local:alias/kcache\n" },
	{ "repair", "  kcache repair /dev/sdb\n" },
	{ "header backup", "  kcache header backup /dev/sdb /media/sdb.header\n" },
	{ "header restore", "  kcache header restore /dev/sdb /media/sdb.header\n" },
	{ "clone", "  kcache clone /dev/sdc\n"
		"  kcache clone /dev/sdc --new-dek\n" },
	{ "erase", "  kcache erase /dev/sdb --dry-run\n"
		"  kcache erase /dev/sdb\n" },
	{ "audit list", "  kcache audit list --since today\n"
		"  kcache audit --volume /dev/sdb --json\n" },
	{ "audit verify", "  kcache audit verify\n"
		"  kcache audit verify /var/log/kcache/audit.jsonl.1 /var/log/kcache/audit.jsonl --anchor /mnt/heads\n" },
	{ "check", "  kcache check\n  kcache check /dev/sdb --json\n" },
	{ "doctor", "  kcache doctor data\n  kcache doctor /dev/sdb\n" },
	{ "policy", "  kcache policy --json\n" },
	{ "policy check", "  kcache policy check\n  kcache policy check /dev/sdb\n" },
	{ "snapshot", "  kcache snapshot data /backup/data.monday\n"
		"  kcache snapshot data /backup/data.tuesday --parent /backup/data.monday\n" },
	{ "restore", "  kcache restore /backup/data.monday /backup/data.tuesday /dev/sdc\n" },
	{ "key create", "  kcache key create --alias archive --description 'archived volumes'\n" },
	{ "key list", "  kcache key list --json\n" },
	{ "key describe", "  kcache key describe local:alias/kcache\n" },
	{ "key enable", "  kcache key enable local:alias/kcache\n" },
	{ "key disable", "  kcache key disable local:alias/kcache\n" },
	{ "key rotate", "  kcache key rotate local:alias/kcache\n"
		"  kcache key rotate local:alias/kcache --yearly\n" },
	{ "key schedule-deletion", "  kcache key schedule-deletion local:alias/old --days 30\n" },
	{ "key cancel-deletion", "  kcache key cancel-deletion local:alias/old\n" },
	{ "key alias", "  kcache key alias local:alias/kcache local:alias/default\n" },
	{ "key unalias", "  kcache key unalias local:alias/default\n" },
	{ "key grant", "  kcache key grant local:alias/kcache --grantee \"$(hostname)\" --operations Decrypt --volume /dev/sdb\n" },
	{ "key grants", "  kcache key grants local:alias/kcache\n" },
	{ "key revoke", "  kcache key revoke local:alias/kcache GRANT\n" },
	{ "key retire", "  kcache key retire local:alias/kcache GRANT\n" },
	{ "key policy", "  kcache key policy local:alias/kcache >policy.json\n"
		"  kcache key policy local:alias/kcache policy.json\n" },
	{ "key import", "  kcache key import local:alias/own material.bin --valid-to 2030-01-01T00:00:00Z\n" },
	{ "key import-parameters", "  kcache key import-parameters local:alias/own --json\n" },
	{ "key forget", "  kcache key forget local:alias/own\n" },
	{ "key backup", "  kcache key backup /media/keystore.backup\n" },
	{ "key restore", "  kcache key restore /media/keystore.backup\n" },
	{ "key seal", "  kcache key seal\n" },
	{ "key unseal", "  kcache key unseal\n" },
};

static void print_examples(const char *verb)
{
	size_t i;

	for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		if (!strcmp(examples[i].verb, verb))
			printf("\nExample:\n%s", examples[i].text);
}

/** kc_print_usage() - help on stdout for one verb, or for all of them */
void kc_print_usage(const struct kc_verb *v)
{
	if (v) {
		printf("Usage: kcache %s%s%s [options]\n", v->name, *v->args ? " " : "", v->args);
		printf("%s\n", v->help);
		if (v->alias)
			printf("Also spelt: %s\n", v->alias);
		if (v->opts) {
			printf("\nOptions:\n");
			print_options(v->opts);
		}
		printf("\nOptions of every verb:\n");
		print_options(KC_OPTS_GLOBAL);
		print_examples(v->name);
		return;
	}
	printf("Usage: kcache [VERB [DEVICE] [NAME] [options]]\n\nVerbs (none: status of all):\n");
	for (v = kc_verbs; v->name; v++)
		print_verb(v);
	printf("\nOptions of every verb (a verb's own: kcache VERB --help):\n");
	print_options(KC_OPTS_GLOBAL);
	printf("\nExit: 0 done, 1 usage, 2 permission, 3 memory, 4 wrong device, 5 exists or busy,\n"
	       "6 KMS unreachable, 7 KMS refuses, 8 header or key does not hold, 9 key gone, 10 policy.\n"
	       "See kcache(8).\n");
}

/** kc_print_group() - the verbs whose first word is @group */
void kc_print_group(const char *group)
{
	size_t len = strlen(group);
	const struct kc_verb *v;

	printf("Usage: kcache %s VERB [options]\n\n", group);
	for (v = kc_verbs; v->name; v++)
		if (strncmp(v->name, group, len) == 0 && v->name[len] == ' ')
			print_verb(v);
}
