// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keyhunt: looks for the keys of volumes in a dump of a machine's memory.
 *
 *	keyhunt CONFIG DUMP NAME=VOLUME... NAME=key:FILE...
 *
 * The DEK of each VOLUME is unwrapped here, as kcache would with CONFIG (a keystore
 * of this host); a FILE holds the 64 bytes of a key that is no volume's. For each
 * NAME one line says how often each form of its key is in DUMP:
 *
 *	key		16 bytes of it, as they are (round keys 0 and 1 are that, too)
 *	half, whole	32 and 64 bytes of it in one piece
 *	round		a round key of its AES-256 schedules, either direction; not 0 and 1
 *	encrypt, decrypt  a whole schedule of 15 round keys
 *	swapped		16 bytes or a round key with the bytes of each word turned round
 *	hmac		16 bytes as HMAC has them, XORed with its pads
 *	hex, base64	16 bytes (12, in base64) as text; either case, any alignment
 *	passphrase	32 digits of keyslot 0's, or the 16 bytes they stand for
 *	span		from the first byte of all that was found to the last
 *
 * and for each thing that was found a line "# NAME FORM at ADDRESS" after it. What
 * crosses the end of a page is found only if the next page lies behind it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "header.h"
#include "kdf.h"
#include "kms.h"
#include "schedule.h"

enum form { KEY, HALF, WHOLE, ROUND, ENCRYPT, DECRYPT, SWAPPED, HMAC, HEX, BASE64, PASSPHRASE, N_FORMS };

static const char *const form_names[N_FORMS] = {
	"key", "half", "whole", "round", "encrypt", "decrypt", "swapped", "hmac", "hex", "base64", "passphrase",
};

#define MAX_NAMES 32
#define MAX_LISTED 64	/* places for one name */
#define WORD 16

/* Patterns are found by a hash of their first four bytes. */
#define HASH_BITS 18

struct pattern {
	struct pattern *next;
	int name;
	enum form form;
	size_t len;
	uint8_t data[SCHEDULE_SIZE];
};

/** struct found - what there is of one name's key */
struct found {
	char name[32];
	unsigned long count[N_FORMS];
	size_t first, end;
	unsigned int listed;
	struct { enum form form; size_t at; } list[MAX_LISTED];
};

static struct found names[MAX_NAMES];
static int n_names;
static struct pattern *table[1 << HASH_BITS];
static uint64_t there[(1 << HASH_BITS) / 64];

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "keyhunt: %s: %s\n", what, why);
	exit(2);
}

static uint32_t hash(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return (x * 2654435761U) >> (32 - HASH_BITS);
}

static void look_for(enum form form, const void *data, size_t len)
{
	struct pattern *p = calloc(1, sizeof(*p));
	uint32_t h = hash(data);

	if (!p || len > sizeof(p->data))
		die("pattern", "no room");
	p->name = n_names;
	p->form = form;
	p->len = len;
	memcpy(p->data, data, len);
	p->next = table[h];
	table[h] = p;
	there[h / 64] |= 1ULL << h % 64;
}

static void look_for_swapped(const uint8_t *word)
{
	uint8_t out[WORD];
	int i;

	for (i = 0; i < WORD; i++)
		out[i] = word[i ^ 3];
	look_for(SWAPPED, out, WORD);
}

static void look_for_text(const uint8_t *word)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char lower[2 * WORD + 1], upper[2 * WORD + 1], text[16];
	unsigned int i, skip;

	for (i = 0; i < WORD; i++) {
		snprintf(lower + 2 * i, 3, "%02x", word[i]);
		snprintf(upper + 2 * i, 3, "%02X", word[i]);
	}
	look_for(HEX, lower, 2 * WORD);
	look_for(HEX, upper, 2 * WORD);
	/* twelve bytes that begin a group of three, wherever the key begins */
	for (skip = 0; skip < 3; skip++) {
		for (i = 0; i < 4; i++) {
			const uint8_t *b = word + skip + 3 * i;

			text[4 * i] = set[b[0] >> 2];
			text[4 * i + 1] = set[(b[0] & 3) << 4 | b[1] >> 4];
			text[4 * i + 2] = set[(b[1] & 15) << 2 | b[2] >> 6];
			text[4 * i + 3] = set[b[2] & 63];
		}
		look_for(BASE64, text, sizeof(text));
	}
}

static void look_for_hmac(const uint8_t *word, uint8_t pad)
{
	uint8_t out[WORD];
	int i;

	for (i = 0; i < WORD; i++)
		out[i] = word[i] ^ pad;
	look_for(HMAC, out, WORD);
}

/* All forms of one AES-256 key. */
static void look_for_half(const uint8_t half[static 32])
{
	uint8_t enc[SCHEDULE_SIZE], dec[SCHEDULE_SIZE];
	int i;

	look_for(HALF, half, 32);
	schedule_encrypt(half, enc);
	schedule_decrypt(enc, dec);
	look_for(ENCRYPT, enc, sizeof(enc));
	look_for(DECRYPT, dec, sizeof(dec));
	for (i = 0; i < 2; i++) {
		look_for(KEY, half + i * WORD, WORD);
		look_for_swapped(half + i * WORD);
		look_for_text(half + i * WORD);
		look_for_hmac(half + i * WORD, 0x36);
		look_for_hmac(half + i * WORD, 0x5c);
	}
	/* the first and the last of one direction are the last and the first of the other */
	for (i = 2; i < 15; i++) {
		look_for(ROUND, enc + i * WORD, WORD);
		look_for_swapped(enc + i * WORD);
	}
	for (i = 1; i < 14; i++) {
		look_for(ROUND, dec + i * WORD, WORD);
		look_for_swapped(dec + i * WORD);
	}
}

static void look_for_key(const uint8_t dek[static KC_DEK_SIZE])
{
	char passphrase[KC_PASSPHRASE_LEN + 1];
	struct kc_error err = { 0 };
	uint8_t raw[WORD];
	unsigned int i, j, byte;

	look_for(WHOLE, dek, KC_DEK_SIZE);
	look_for_half(dek);
	look_for_half(dek + KC_DEK_SIZE / 2);
	if (kc_kdf_passphrase(dek, passphrase, &err))
		die("passphrase", err.text);
	for (i = 0; i < KC_PASSPHRASE_LEN; i += 2 * WORD) {
		look_for(PASSPHRASE, passphrase + i, 2 * WORD);
		for (j = 0; j < WORD; j++) {
			sscanf(passphrase + i + 2 * j, "%2x", &byte);
			raw[j] = (uint8_t)byte;
		}
		look_for(PASSPHRASE, raw, WORD);
	}
	n_names++;
}

/* The DEK by the first token; whether the header was edited since is no matter here. */
static void volume(const struct kc_conf *conf, const char *path)
{
	struct kc_error err = { 0 };
	struct kc_kms *kms = NULL;
	struct kc_header h;
	struct kc_binding b;
	const uint8_t *dek;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path, "cannot be opened");
	if (kc_header_load(fd, &h, &err) || !h.n_tokens || kc_header_binding(&h, &h.tokens[0], &b, &err) ||
	    kc_kms_open(conf, &kms, &err) ||
	    kc_kms_decrypt(kms, &b, h.tokens[0].wrapped, h.tokens[0].wrapped_len, &dek, &err))
		die(path, err.text);
	look_for_key(dek);
	kc_kms_close(kms);
	kc_header_free(&h);
	close(fd);
}

static void key_file(const char *path)
{
	uint8_t key[KC_DEK_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, key, sizeof(key)) != (ssize_t)sizeof(key))
		die(path, "is no key of 64 bytes");
	close(fd);
	look_for_key(key);
}

static void hit(const struct pattern *p, size_t at)
{
	struct found *f = &names[p->name];

	if (!f->end)
		f->first = at;
	if (at + p->len > f->end)
		f->end = at + p->len;
	f->count[p->form]++;
	if (f->listed < MAX_LISTED) {
		f->list[f->listed].form = p->form;
		f->list[f->listed++].at = at;
	}
}

static void search(const uint8_t *m, size_t size)
{
	const struct pattern *p;
	size_t i;

	for (i = 0; i + WORD <= size; i++) {
		uint32_t h = hash(m + i);

		if (!(there[h / 64] >> h % 64 & 1))
			continue;
		for (p = table[h]; p; p = p->next)
			if (p->len <= size - i && !memcmp(m + i, p->data, p->len))
				hit(p, i);
	}
}

int main(int argc, char **argv)
{
	struct kc_error err = { 0 };
	struct kc_conf conf;
	const uint8_t *m;
	struct stat st;
	unsigned int j;
	int fd, i;

	kc_harden_process();
	if (argc < 4 || argc - 3 > MAX_NAMES) {
		fputs("usage: keyhunt CONFIG DUMP NAME=VOLUME|NAME=key:FILE...\n", stderr);
		return 2;
	}
	if (kc_conf_load(argv[1], &conf, &err))
		die(argv[1], err.text);
	for (i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			die(argv[i], "is no NAME=VOLUME");
		snprintf(names[i - 3].name, sizeof(names[0].name), "%.*s", (int)(value - argv[i]), argv[i]);
		if (strncmp(++value, "key:", 4) == 0)
			key_file(value + 4);
		else
			volume(&conf, value);
	}

	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		die(argv[2], "no dump");
	m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m == MAP_FAILED)
		die(argv[2], "cannot be mapped");
	search(m, (size_t)st.st_size);

	for (i = 0; i < n_names; i++) {
		const struct found *f = &names[i];

		printf("%s:", f->name);
		for (j = 0; j < N_FORMS; j++)
			printf(" %s %lu", form_names[j], f->count[j]);
		printf(" span %zu\n", f->end - f->first);
		for (j = 0; j < f->listed; j++)
			printf("# %s %s at 0x%zx\n", f->name, form_names[f->list[j].form], f->list[j].at);
	}
	kc_conf_free(&conf);
	return 0;
}
