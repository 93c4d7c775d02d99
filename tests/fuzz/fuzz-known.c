// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file of a known volume: what this host remembers of it, and then decides
 * by. Input: the file of volume VOLUME.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "pins.h"

#define VOLUME "6b636163-6865-4a11-8bad-000000000001"
#define KEY "local:11111111-2222-4333-8444-555555555555"
#define OTHER_KEY "local:99999999-2222-4333-8444-555555555555"
#define LINEAGE "0123456789abcdef0123456789abcdef"
#define KEYS_MAX 32
#define BACKUPS_MAX 16

static struct kc_conf conf;
static char file[4200];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char volumes[4160];

	(void)argc;
	(void)argv;
	snprintf(volumes, sizeof(volumes), "%s/volumes", fuzz_dir());
	snprintf(file, sizeof(file), "%s/" VOLUME ".json", volumes);
	must(!mkdir(volumes, 0700));
	conf.state_dir = (char *)fuzz_dir();
	return 0;
}

static void write_file(const uint8_t *data, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void check_known(const struct kc_known *k)
{
	size_t i;

	must(!strcmp(k->uuid, VOLUME) && strlen(k->lineage) == 32 && k->generation);
	must(k->n_keys >= 1 && k->n_keys <= KEYS_MAX);
	for (i = 0; i < k->n_keys; i++)
		must(kc_key_canonical(NULL, k->keys[i]));
	must(k->n_backups <= BACKUPS_MAX);
	for (i = 0; i < k->n_backups; i++)
		must(k->backups[i][0] == '/' && strlen(k->backups[i]) <= 1000);
}

static bool knows(const struct kc_known *k, const char *key)
{
	size_t i;

	for (i = 0; i < k->n_keys && strcmp(k->keys[i], key); i++)
		;
	return i < k->n_keys;
}

static struct kc_token token(const struct kc_known *k, const char *key, uint64_t generation)
{
	struct kc_token t = { .binding.version = 1, .binding.context.generation = generation };

	strcpy(t.binding.provider, "local");
	strcpy(t.binding.key, key);
	strcpy(t.lineage, k->lineage);
	return t;
}

/* A token of an older generation, of another DEK, of a key that is not known: refused. */
static void check_pins(const struct kc_known *k)
{
	struct kc_token same = token(k, k->keys[0], k->generation);
	struct kc_token old = token(k, k->keys[0], k->generation - 1);
	struct kc_token foreign = token(k, KEY, k->generation + 1);

	must(!kc_pin_check(&conf, &same, k, NULL, NULL));
	must(kc_pin_check(&conf, &old, k, old.binding.key, NULL) == KC_TAMPERED);
	must(kc_pin_check(&conf, &foreign, k, NULL, NULL) == (knows(k, KEY) ? 0 : KC_TAMPERED));
	must(!kc_pin_check(&conf, &foreign, k, KEY, NULL));
	strcpy(same.lineage, LINEAGE);
	must(kc_pin_check(&conf, &same, k, same.binding.key, NULL) ==
	     (strcmp(k->lineage, LINEAGE) ? KC_TAMPERED : 0));
}

static void check_save(const struct kc_known *k)
{
	struct kc_token t = token(k, OTHER_KEY, k->generation), old = t;
	struct kc_header h = { .layout.uuid = VOLUME };
	struct kc_error err = { 0 };
	struct kc_known again;
	size_t i, n;

	old.binding.context.generation--;
	must(kc_known_save(&conf, &h, &old, NULL) == KC_TAMPERED);
	must(!kc_known_save(&conf, &h, &t, &err));
	must(!kc_known_load(&conf, VOLUME, &again, &err));
	check_known(&again);
	must(again.generation == k->generation && !strcmp(again.lineage, k->lineage));
	must(!strcmp(again.keys[again.n_keys - 1], OTHER_KEY));
	/* no key is forgotten but the oldest, where there is no more room */
	for (i = 0, n = 0; i < k->n_keys; i++)
		n += !knows(&again, k->keys[i]);
	must(n == 0 || (n == 1 && k->n_keys == KEYS_MAX && !knows(&again, k->keys[0])));
	must(again.n_backups == k->n_backups);
	for (i = 0; i < k->n_backups; i++)
		must(!strcmp(again.backups[i], k->backups[i]));
	kc_known_free(&again);
	/* one more of them, however many there are, and the file is read again */
	must(!kc_known_backup(&conf, VOLUME, "/one/more", &err));
	must(!kc_known_load(&conf, VOLUME, &again, &err));
	check_known(&again);
	must(!strcmp(again.backups[again.n_backups - 1], "/one/more"));
	kc_known_free(&again);
}

static int count(const struct kc_known *k, void *data)
{
	check_known(k);
	++*(int *)data;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kc_error err = { 0 };
	struct kc_known k;
	int r, n = 0;

	write_file(data, len);
	r = kc_known_load(&conf, VOLUME, &k, &err);
	must(r == (int)err.code);
	must(kc_known_each(&conf, count, &n, NULL) == r && n == !r);
	if (r) {
		must(r == KC_TAMPERED && err.text[0] && fuzz_printable(err.text) && !k.uuid[0]);
	} else {
		/* a file that is there is a volume that is known */
		check_known(&k);
		check_pins(&k);
		check_save(&k);
	}
	kc_known_free(&k);
	return 0;
}
