// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One call to a KMS as the command makes it, for the tests: by the key helper with its
 * sandbox, with $KCACHE_CONFIG.
 *
 *   kms-call describe KEY
 *   kms-call generate KEY FILE            a new data key, wrapped, into FILE
 *   kms-call encrypt KEY FILE             a fixed data key, wrapped, into FILE
 *   kms-call decrypt KEY FILE [GRANT]     of FILE, under the name KEY
 *   kms-call re-encrypt KEY FILE KEY2 FILE2
 *   kms-call remember KEY TOKEN           that a volume is attached by a grant
 *   kms-call retire -                     it is detached
 *   kms-call admin PROVIDER OPERATION [JSON]   prints the answer
 *   kms-call memory KEY FILE              decrypts FILE and wraps it again, and looks for the data
 *                                         key in the helper's memory when the helper has it no more
 *
 * Exit codes are the command's; an error is one line: NAME REQUEST-ID MILLISECONDS TEXT (NEXT).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <json-c/json.h>

#include "grant.h"
#include "kms.h"
#include "kms-wire.h"

#define CHUNK 16	/* bytes of a key that are no chance */

static const uint8_t own_dek[KC_DEK_SIZE] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-!";

struct call {
	struct kc_conf conf;
	struct kc_kms *kms;
	struct kc_error err;
	struct kc_binding b;
	uint8_t wrapped[KC_WRAPPED_MAX];
	size_t len;
	char **arg;
	int n_arg;
};

static void bind(struct kc_binding *b, const char *key)
{
	memset(b, 0, sizeof(*b));
	kc_key_provider(key, b->provider);
	snprintf(b->key, sizeof(b->key), "%s", key);
	b->version = 1;
	strcpy(b->context.id, "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11");
	memset(b->context.layout, 'a', 64);
	b->context.generation = 1;
}

static void read_blob(struct call *c, const char *path)
{
	FILE *f = fopen(path, "r");

	c->len = f ? fread(c->wrapped, 1, sizeof(c->wrapped), f) : 0;
	if (f)
		fclose(f);
}

static int write_blob(struct call *c, const char *path, int r)
{
	FILE *f = r ? NULL : fopen(path, "w");

	if (r)
		return r;
	if (!f || fwrite(c->wrapped, 1, c->len, f) != c->len || fclose(f))
		return kc_fail(&c->err, KC_USAGE, NULL, "cannot write %s", path);
	return 0;
}

static int describe(struct call *c)
{
	struct kc_key_info info;
	int r = kc_kms_describe(c->kms, c->arg[0], &info, &c->err);

	if (!r)
		printf("%s %s %s\n", info.key, kc_key_state_name(info.state), info.deletion);
	return r;
}

static int generate(struct call *c)
{
	return write_blob(c, c->arg[1], kc_kms_generate(c->kms, &c->b, c->wrapped, &c->len, &c->err));
}

static int encrypt(struct call *c)
{
	return write_blob(c, c->arg[1], kc_kms_encrypt(c->kms, &c->b, own_dek, c->wrapped, &c->len, &c->err));
}

static int decrypt(struct call *c)
{
	const uint8_t *dek;

	read_blob(c, c->arg[1]);
	if (c->n_arg > 2)
		kc_kms_use_grant(c->kms, c->arg[2]);
	return kc_kms_decrypt(c->kms, &c->b, c->wrapped, c->len, &dek, &c->err);
}

static int re_encrypt(struct call *c)
{
	struct kc_binding to;

	read_blob(c, c->arg[1]);
	bind(&to, c->arg[2]);
	return write_blob(c, c->arg[3], kc_kms_re_encrypt(c->kms, &c->b, c->wrapped, c->len, &to, c->wrapped, &c->len,
							 &c->err));
}

static int remember(struct call *c)
{
	int r = kc_grant_check(c->arg[1], &c->err);

	return r ? r : kc_grant_remember(&c->conf, c->b.context.id, c->arg[0], c->arg[1], &c->err);
}

static int retire(struct call *c)
{
	kc_grant_retire(&c->conf, c->b.context.id);
	return 0;
}

static int admin(struct call *c)
{
	struct json_object *args = c->n_arg > 2 ? json_tokener_parse(c->arg[2]) : NULL, *answer = NULL;
	int r = kc_kms_admin(c->kms, c->arg[0], c->arg[1], args, &answer, &c->err);

	if (!r)
		puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(answer);
	json_object_put(args);
	return r;
}

/* --- the helper's memory ---------------------------------------------------------------------- */

/* Forms of a key, each cut into pieces that are no chance. */
struct needle {
	const char *form;
	char bytes[64];
	size_t len;
};

static struct needle needles[64];
static size_t n_needles;

static void needle(const char *form, const char *bytes, size_t len)
{
	struct needle *n = &needles[n_needles++];

	n->form = form;
	n->len = len;
	memcpy(n->bytes, bytes, len);
}

static void make_needles(const uint8_t *dek)
{
	static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char lower[2 * KC_DEK_SIZE + 1], upper[2 * KC_DEK_SIZE + 1], text[KC_DEK_SIZE * 4 / 3];
	size_t i, n = 0;

	for (i = 0; i < KC_DEK_SIZE; i++) {
		sprintf(lower + 2 * i, "%02x", dek[i]);
		sprintf(upper + 2 * i, "%02X", dek[i]);
	}
	for (i = 0; i + 3 <= KC_DEK_SIZE; i += 3) {
		text[n++] = b64[dek[i] >> 2];
		text[n++] = b64[(dek[i] & 3) << 4 | dek[i + 1] >> 4];
		text[n++] = b64[(dek[i + 1] & 15) << 2 | dek[i + 2] >> 6];
		text[n++] = b64[dek[i + 2] & 63];
	}
	for (i = 0; i + CHUNK <= KC_DEK_SIZE; i += CHUNK) {
		needle("raw", (const char *)dek + i, CHUNK);
		needle("hex", lower + 2 * i, 2 * CHUNK);
		needle("HEX", upper + 2 * i, 2 * CHUNK);
	}
	for (i = 0; i + CHUNK <= n; i += CHUNK)
		needle("base64", text + i, CHUNK);
}

/* This process's one child. */
static pid_t helper(void)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	if (!f || !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	return atoi(text);
}

/* How often what is looked for stands in the memory of @pid; says where. */
static int search(pid_t pid, const struct needle *what, size_t n_what, size_t *seen)
{
	unsigned long start, end;
	char path[64], line[4400], perm[5];
	struct iovec local, remote;
	int found = 0;
	const char *p;
	char *buf;
	size_t i;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, perm) != 3 || perm[0] != 'r' || strstr(line, "[v"))
			continue;
		buf = malloc(end - start);
		local = (struct iovec){ buf, end - start };
		remote = (struct iovec){ (void *)start, end - start };
		n = buf ? process_vm_readv(pid, &local, 1, &remote, 1, 0) : -1;
		*seen += n > 0 ? (size_t)n : 0;
		for (i = 0; n > 0 && i < n_what; i++) {
			p = memmem(buf, (size_t)n, what[i].bytes, what[i].len);
			if (!p)
				continue;
			printf("%s at %lx in %s", what[i].form, start + (unsigned long)(p - buf), line);
			found++;
		}
		free(buf);
	}
	if (f)
		fclose(f);
	return found;
}

static int memory(struct call *c)
{
	static const char known_text[] = "AWS_ENDPOINT_URL_KMS=";
	struct needle known = { .form = "its environment", .len = strlen(known_text) };
	uint8_t again[KC_WRAPPED_MAX];
	size_t seen = 0, again_len;
	const uint8_t *dek;
	pid_t pid;
	int r, found;

	read_blob(c, c->arg[1]);
	r = kc_kms_decrypt(c->kms, &c->b, c->wrapped, c->len, &dek, &c->err);
	if (r)
		return r;
	make_needles(dek);
	pid = helper();
	r = kc_kms_encrypt(c->kms, &c->b, dek, again, &again_len, &c->err);
	kc_kms_wipe(c->kms);
	if (r)
		return r;
	/* something that must be there: this can find what it looks for */
	memcpy(known.bytes, known_text, known.len);
	if (!search(pid, &known, 1, &seen))
		return kc_fail(&c->err, KC_PERM, NULL, "the memory of the helper, process %d, cannot be searched: %s", pid,
			       strerror(errno));
	seen = 0;
	found = search(pid, needles, n_needles, &seen);
	printf("%zu KiB of the helper searched for %zu pieces of the data key: %d found\n", seen / 1024, n_needles, found);
	return found ? kc_fail(&c->err, KC_TAMPERED, NULL, "the data key is left in the helper") : 0;
}

static const struct {
	const char *name;
	int n_arg;
	bool binds;
	int (*fn)(struct call *c);
} verbs[] = {
	{ "describe", 1, false, describe },
	{ "generate", 2, true, generate },
	{ "encrypt", 2, true, encrypt },
	{ "decrypt", 2, true, decrypt },
	{ "re-encrypt", 4, true, re_encrypt },
	{ "remember", 2, true, remember },
	{ "retire", 1, true, retire },
	{ "admin", 2, false, admin },
	{ "memory", 2, true, memory },
};

int main(int argc, char **argv)
{
	static struct call c;
	int64_t started = kc_wire_now();
	size_t i;
	int r;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (argc > 1 && !strcmp(argv[1], verbs[i].name) && argc - 2 >= verbs[i].n_arg)
			break;
	if (i == sizeof(verbs) / sizeof(verbs[0])) {
		fprintf(stderr, "usage: kms-call VERB ARGUMENT..., see its source\n");
		return 127;
	}
	c.arg = argv + 2;
	c.n_arg = argc - 2;
	if (verbs[i].binds)
		bind(&c.b, c.arg[0]);
	r = kc_conf_load(NULL, &c.conf, &c.err);
	if (!r)
		r = kc_kms_open(&c.conf, &c.kms, &c.err);
	if (!r)
		r = verbs[i].fn(&c);
	kc_kms_close(c.kms);
	if (r)
		printf("%s %s %" PRId64 " %s (%s)\n", c.err.provider_error[0] ? c.err.provider_error : "-",
		       c.err.request_id[0] ? c.err.request_id : "-", kc_wire_now() - started, c.err.text, c.err.next);
	kc_conf_free(&c.conf);
	return r;
}
