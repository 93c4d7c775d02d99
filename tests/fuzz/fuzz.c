// SPDX-License-Identifier: GPL-2.0-or-later
/* What the fuzz targets share, see fuzz.h. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static char dir[4096];

void fuzz_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "fuzz: %s:%d: this does not hold: %s\n", file, line, what);
	abort();
}

char *fuzz_text(const uint8_t *data, size_t len)
{
	char *s = malloc(len + 1);

	must(s);
	if (len)
		memcpy(s, data, len);
	s[len] = '\0';
	return s;
}

bool fuzz_printable(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_dir(void)
{
	const char *above = getenv("TMPDIR");

	if (dir[0])
		return dir;
	if (!above)
		above = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	must(snprintf(dir, sizeof(dir), "%s/kcache-fuzz-XXXXXX", above) < (int)sizeof(dir));
	must(mkdtemp(dir));
	atexit(remove_dir);
	return dir;
}
