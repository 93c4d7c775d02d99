// SPDX-License-Identifier: GPL-2.0-or-later
/* luks2-edit: the generator of malformed headers for shell tests, on files and block devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "luks2-edit.h"

static int usage(void)
{
	fputs("usage: luks2-edit FILE set POINTER JSON   /segments/0/offset '\"4096\"'\n"
	      "       luks2-edit FILE del POINTER\n"
	      "       luks2-edit FILE print [POINTER]\n"
	      "       luks2-edit FILE uuid|label|subsystem TEXT\n"
	      "       luks2-edit FILE damage 1|2         without a right checksum\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	char *text;

	if (argc == 5 && !strcmp(verb, "set"))
		return luks2_edit_json(argv[1], argv[3], argv[4]) ? 1 : 0;
	if (argc == 4 && !strcmp(verb, "del"))
		return luks2_edit_json(argv[1], argv[3], NULL) ? 1 : 0;
	if (argc == 4 && !strcmp(verb, "damage") && (!strcmp(argv[3], "1") || !strcmp(argv[3], "2")))
		return luks2_damage(argv[1], atoi(argv[3])) ? 1 : 0;
	if ((argc == 3 || argc == 4) && !strcmp(verb, "print")) {
		text = luks2_json(argv[1], argc == 4 ? argv[3] : "");
		if (!text)
			return 1;
		puts(text);
		free(text);
		return 0;
	}
	if (argc == 4 && (!strcmp(verb, "uuid") || !strcmp(verb, "label") || !strcmp(verb, "subsystem")))
		return luks2_edit_field(argv[1], verb, argv[3]) ? 1 : 0;
	return usage();
}
