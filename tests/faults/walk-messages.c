// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages and status. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dm.h"
#include "nth.h"
#include "walk.h"

static void wiped(void)
{
	must(dm_message(DEV, "key wipe"), "the key is wiped");
}

static int key_set(void)
{
	return dm_message(DEV, "key set :64:logon:" DESC);
}

static int key_wipe(void)
{
	return dm_message(DEV, "key wipe");
}

static const char *key_is(const char *state)
{
	return strcmp(dm_word(DEV, "key"), state) ? "the key is in another state" : NULL;
}

static const char *well(void)
{
	const char *wrong;

	must(key_set(), "the key is set");
	if (strcmp(dm_word(DEV, "driver"), driver))
		return "another driver of the cipher";
	wrong = reads_as(old_data);
	return wrong ? wrong : leaks();
}

static const char *after_set_wiped(int r, int injected)
{
	const char *wrong = NULL;

	(void)injected;
	if (r != -EFAULT)
		wrong = key_is(r ? "wiped" : "valid");
	if (!wrong && r && r != -EFAULT && transfer(0, got) >= 0)
		wrong = "it reads without a key";
	if (!wrong && !r)
		wrong = reads_as(old_data);
	return wrong ? wrong : well();
}

static const char *after_set_live(int r, int injected)
{
	const char *wrong = key_is("valid");

	(void)r;
	(void)injected;
	if (!wrong)
		wrong = reads_as(old_data);
	return wrong ? wrong : well();
}

static const char *after_wipe(int r, int injected)
{
	const char *wrong = NULL;

	(void)injected;
	if (r != -EFAULT)
		wrong = key_is(r ? "valid" : "wiped");
	if (!wrong && !r && (transfer(0, got) >= 0 || errno != EIO))
		wrong = "it reads without a key";
	return wrong ? wrong : well();
}

static int lease(void)
{
	return dm_message(DEV, "lease 60");
}

static const char *after_lease(int r, int injected)
{
	long left = atol(dm_word(DEV, "lease"));

	(void)injected;
	if (r && r != -EFAULT ? left <= 60 : !r && left > 60)
		return "another lease";
	return well();
}

static int status(void)
{
	char text[512];

	return dm_status(DEV, false, text, sizeof(text));
}

static const char *after_status(int r, int injected)
{
	(void)r;
	(void)injected;
	return key_is("valid");
}

static void resume_suspended(void)
{
	must(dm_suspend(DEV), "it is suspended");
	wiped();
}

static const char *after_set_suspended(int r, int injected)
{
	const char *wrong = NULL;

	(void)injected;
	if (r && r != -EFAULT && dm_resume(DEV) != -EAGAIN)
		wrong = "it resumes without a key";
	must(key_set(), "the key is set");
	must(dm_resume(DEV), "it is resumed");
	return wrong ? wrong : well();
}

void walk_messages(void)
{
	live_device();
	snprintf(driver, sizeof(driver), "%s", dm_word(DEV, "driver"));
	take_base();
	walk(&(struct walk){ "key set of a wiped key", wiped, key_set, after_set_wiped,
			     plain_errors, 10 });
	walk(&(struct walk){ "key set of a key in use", NULL, key_set, after_set_live,
			     plain_errors, 10 });
	walk(&(struct walk){ "key set while suspended", resume_suspended, key_set,
			     after_set_suspended, plain_errors, 10 });
	walk(&(struct walk){ "key wipe", NULL, key_wipe, after_wipe, plain_errors, 5 });
	walk(&(struct walk){ "lease", NULL, lease, after_lease, plain_errors, 5 });
	walk(&(struct walk){ "status", NULL, status, after_status, plain_errors, 3 });
	no_device();
}
