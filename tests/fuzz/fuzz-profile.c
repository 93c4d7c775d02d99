// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files of the AWS command line, out of a file in memory: the first byte says
 * which of the two grammars it is. What they say is whom this host is and what it
 * runs, so what was read is what stands there once, and written out and read again
 * it says the same.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "creds-private.h"
#include "fuzz.h"
#include "kms-wire.h"

static int fd = -1;
static char path[64];
static struct kh kh;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fd = memfd_create("aws", 0);
	must(fd >= 0 && !fchmod(fd, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return 0;
}

static int load(const void *text, size_t len, bool bare, struct aws_ini *ini)
{
	int r;

	must(!ftruncate(fd, 0) && pwrite(fd, text, len, 0) == (ssize_t)len);
	kh_forget(&kh);
	kh.deadline = kc_wire_now() + 10000;
	r = aws_ini_load(&kh, path, bare, ini);
	must(!r || (r == -1 && kh.error == KH_CREDENTIALS && kh.text[0] && !ini->n && !ini->text.data));
	return r;
}

static bool trimmed(const char *s)
{
	size_t len = strlen(s);

	return !strchr(s, '\n') && (!len || (!isspace((unsigned char)s[0]) && !isspace((unsigned char)s[len - 1])));
}

static void check(const struct aws_ini *ini)
{
	const struct aws_ini_entry *e;
	const char *p;
	size_t i;

	for (i = 0; i < ini->n; i++) {
		e = &ini->entries[i];
		must(e->profile[0] && trimmed(e->profile) && trimmed(e->key) && trimmed(e->value));
		must(aws_ini_get(ini, e->profile, NULL));
		/* a section's own mark may be there twice, a key may not */
		must(!e->key[0] || aws_ini_get(ini, e->profile, e->key) == e->value);
		for (p = e->key; *p; p++)
			must(*p != '=' && !(*p >= 'A' && *p <= 'Z'));
	}
}

static void check_again(const struct aws_ini *ini, bool bare)
{
	struct aws_ini again;
	size_t i, len;
	char *text;
	FILE *f = open_memstream(&text, &len);

	must(f);
	for (i = 0; i < ini->n; i++) {
		if (!ini->entries[i].key[0])
			fprintf(f, bare ? "[%s]\n" : "[profile %s]\n", ini->entries[i].profile);
		else
			fprintf(f, "%s = %s\n", ini->entries[i].key, ini->entries[i].value);
	}
	must(!fclose(f));
	if (len <= 65536) {
		must(!load(text, len, bare, &again) && again.n == ini->n);
		for (i = 0; i < ini->n; i++)
			must(!strcmp(again.entries[i].profile, ini->entries[i].profile) &&
			     !strcmp(again.entries[i].key, ini->entries[i].key) &&
			     !strcmp(again.entries[i].value, ini->entries[i].value));
		aws_ini_free(&again);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct aws_ini ini;
	bool bare;

	if (!len)
		return 0;
	bare = data[0] & 1;
	if (!load(data + 1, len - 1, bare, &ini)) {
		check(&ini);
		check_again(&ini, bare);
		aws_ini_free(&ini);
	}
	return 0;
}
