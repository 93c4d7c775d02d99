// SPDX-License-Identifier: GPL-2.0-or-later
/* The constructor, reloads, suspend and resume, removal. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dm.h"
#include "nth.h"
#include "walk.h"

/* A key object that nobody holds would serve a table whose key is nowhere. */
static const char *key_left(void)
{
	int r;

	key_hide();
	r = dm_load(DEV, "kcache", SECTORS, TABLE);
	key_show();
	if (r == -ENOKEY)
		return NULL;
	return r ? "a table without a key is refused for another reason" :
		   "a key is left in the cache";
}

static int load(void)
{
	return dm_load(DEV, "kcache", SECTORS, TABLE);
}

static const char *loaded(int r)
{
	bool there = dm_has_inactive(DEV);
	char text[512], *word;

	/* where only the answer could not be copied, the table is there */
	if (r ? there && r != -EFAULT : !there)
		return there ? "a table is there in spite of the error" : "no table is there";
	if (!there)
		return NULL;
	/* a shortage of memory must not choose a slower driver */
	must(dm_status(DEV, true, text, sizeof(text)), "the new table has a status");
	word = strstr(text, "driver:");
	if (!word || strncmp(word, driver, strlen(driver)))
		return "another driver of the cipher";
	must(dm_clear(DEV), "the new table is dropped");
	return NULL;
}

static const char *after_ctr(int r, int injected)
{
	const char *wrong = loaded(r);

	if (!wrong)
		wrong = leaks();
	/* one left anywhere on the way would still be there */
	return wrong || injected ? wrong : key_left();
}

static const char *after_reload(int r, int injected)
{
	const char *wrong = loaded(r);

	(void)injected;
	if (!wrong)
		wrong = leaks();
	return wrong ? wrong : reads_as(old_data);
}

/* A table that was loaded in spite of a fault has all that it needs. */
static const char *after_reload_used(int r, int injected)
{
	if (r || !injected)
		return after_reload(r, injected);
	must(dm_resume(DEV), "the new table is resumed");
	if (dm_message(DEV, "key set :64:logon:" DESC))
		return "key set fails with the new table";
	if (dm_message(DEV, "lease 60"))
		return "lease fails with the new table";
	if (!dm_word(DEV, "errors")[0])
		return "the new table has no status";
	if (transfer(1, old_data) != (ssize_t)io.size)
		return "a write afterwards fails";
	if (leaks())
		return leaks();
	return reads_as(old_data);
}

static void load_if_none(void)
{
	if (!dm_has_inactive(DEV))
		must(load(), "a table is loaded");
}

static int resume(void)
{
	return dm_resume(DEV);
}

static int suspend(void)
{
	return dm_suspend(DEV);
}

static const char *after_resume(int r, int injected)
{
	(void)r;
	(void)injected;
	if (dm_resume(DEV))
		return "a second resume fails";
	if (dm_is_suspended(DEV))
		return "it is suspended after a resume";
	return reads_as(old_data);
}

static const char *after_swap(int r, int injected)
{
	const char *wrong = after_resume(r, injected);

	return wrong ? wrong : leaks();
}

static const char *after_suspend(int r, int injected)
{
	if (!r && !dm_is_suspended(DEV))
		return "it is not suspended";
	return after_resume(r, injected);
}

static void fresh_device(void)
{
	must(dm_create(DEV), "a device is made");
	must(load(), "a table is loaded");
}

static const char *after_first_resume(int r, int injected)
{
	(void)injected;
	/* device-mapper drops a table that it could not bring to life */
	if (r)
		load_if_none();
	if (dm_resume(DEV))
		return "a second resume fails";
	open_io(4096);
	close(io.fd);
	must(dm_remove(DEV), "it is removed");
	return leaks();
}

static void fresh_live(void)
{
	fresh_device();
	must(dm_resume(DEV), "it is resumed");
}

static int remove_device(void)
{
	return dm_remove(DEV);
}

static const char *after_remove(int r, int injected)
{
	(void)injected;
	if (r && r != -EFAULT && dm_remove(DEV))
		return "it cannot be removed afterwards";
	if (r == -EFAULT)
		dm_remove(DEV);
	return leaks();
}

void walk_tables(void)
{
	take_base();
	walk(&(struct walk){ "the first resume of a table", fresh_device, resume,
			     after_first_resume, plain_errors, 5 });
	walk(&(struct walk){ "removal", fresh_live, remove_device, after_remove,
			     plain_errors, 3 });

	device();
	must(dm_resume(DEV), "it is resumed");
	snprintf(driver, sizeof(driver), "driver:%s", dm_word(DEV, "driver"));
	must(dm_remove(DEV), "it is removed");
	device();
	must(dm_clear(DEV), "the table is dropped");
	take_base();
	walk(&(struct walk){ "ctr", NULL, load, after_ctr, plain_errors, 300 });
	must(dm_remove(DEV), "the device is removed");

	live_device();
	take_base();
	walk(&(struct walk){ "reload of a live device", NULL, load, after_reload_used,
			     plain_errors, 300 });
	key_hide();
	walk(&(struct walk){ "reload with the key in the cache only", NULL, load, after_reload,
			     plain_errors, 300 });
	walk(&(struct walk){ "resume with a new table", load_if_none, resume, after_swap,
			     plain_errors, 5 });
	key_show();
	walk(&(struct walk){ "suspend", NULL, suspend, after_suspend, plain_errors, 3 });
	no_device();
}
