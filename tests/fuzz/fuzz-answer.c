// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers of a key helper that has been taken over, as the command sees them.
 * The process is played by the functions below, which stand for kms-proc.c; so is
 * the audit trail. Input: three letters, a line feed, the answer.
 *
 *	what is asked	d(escribe) g(enerate) e(ncrypt) x (decrypt) r(e-encrypt)
 *			a(dmin: list the keys) o(pen)
 *	the DEK it left	1 a good one, 2 one with equal halves, else none
 *	the audit trail	- cannot be written, else can
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <json-c/json.h>

#include "audit.h"
#include "fuzz.h"
#include "kms.h"
#include "kms-proc.h"
#include "kms-wire.h"

#define KEY "local:11111111-2222-4333-8444-555555555555"

static const char good[KC_DEK_SIZE + 1] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-!";

static struct {
	char ask, dek, audit;
	const uint8_t *answer;
	size_t len;
	uint8_t *mapping;
	int exchanges;
	int events;
	bool killed;
	bool last_failed;
} helper;

int kc_proc_start(struct kc_proc *p, int mapping, struct kc_error *err)
{
	(void)err;
	p->pid = getpid();
	helper.mapping = mmap(NULL, KC_DEK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mapping, 0);
	must(helper.mapping != MAP_FAILED);
	return 0;
}

static void leave_dek(void)
{
	if (helper.dek == '1') {
		memcpy(helper.mapping, good, KC_DEK_SIZE);
	} else if (helper.dek == '2') {
		memcpy(helper.mapping, good, KC_DEK_SIZE / 2);
		memcpy(helper.mapping + KC_DEK_SIZE / 2, good, KC_DEK_SIZE / 2);
	}
}

int kc_proc_exchange(struct kc_proc *p, const char *out, size_t out_len, char *in, size_t in_size,
		     size_t *in_len, struct kc_error *err)
{
	static const char opened[] = "{\"id\":1,\"request_id\":\"1\",\"result\":{}}";
	struct json_object *request = kc_wire_parse(out, out_len);

	/* what we ask is what a helper takes; nothing is asked after an answer that was none */
	must(request && !helper.killed);
	json_object_put(request);
	if (!helper.exchanges++ && helper.ask != 'o') {
		memcpy(in, opened, sizeof(opened) - 1);
		*in_len = sizeof(opened) - 1;
		return 0;
	}
	leave_dek();
	if (!helper.len || helper.len > in_size) {
		kc_proc_kill(p);
		return kc_fail(err, KC_KMS_RETRY, NULL, "no answer");
	}
	memcpy(in, helper.answer, helper.len);
	*in_len = helper.len;
	return 0;
}

void kc_proc_kill(struct kc_proc *p)
{
	(void)p;
	helper.killed = true;
}

void kc_proc_end(struct kc_proc *p)
{
	(void)p;
}

int kc_audit(const struct kc_conf *c, const struct kc_event *e, struct kc_error *err)
{
	(void)c;
	helper.events++;
	helper.last_failed = e->err;
	must(e->event && e->event[0] && (!e->err || e->err->code));
	return helper.audit == '-' ? kc_fail(err, KC_DEVICE, NULL, "no audit trail") : 0;
}

static void zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len--)
		must(!*b++);
}

/* The members that a valid answer has to have, looked up by json-c. */
static struct json_object *result_of(void)
{
	struct json_object *o = kc_wire_parse((const char *)helper.answer, helper.len), *result;

	must(o && json_object_get_int64(json_object_object_get(o, "id")) == 2);
	must(json_object_object_length(o) == 3);
	must(json_object_object_get_ex(o, "result", &result));
	json_object_get(result);
	json_object_put(o);
	return result;
}

static const char *text_of(struct json_object *o, const char *name)
{
	return json_object_get_string(json_object_object_get(o, name));
}

static int describe(struct kc_kms *kms, struct kc_error *err)
{
	struct kc_key_info info;
	int r = kc_kms_describe(kms, "local:alias/kcache", &info, err);

	if (r) {
		zero(&info, sizeof(info));
	} else {
		struct json_object *o = result_of();

		must(kc_key_canonical(info.provider, info.key) && info.state <= KC_KEY_UNAVAILABLE);
		must(!strcmp(kc_key_state_name(info.state), text_of(o, "state")));
		must(!strcmp(info.key, text_of(o, "key")) && !strcmp(info.description, text_of(o, "description")));
		must(json_object_get_int64(json_object_object_get(o, "version")) == info.version);
		json_object_put(o);
	}
	return r;
}

static int decrypt(struct kc_kms *kms, const struct kc_binding *b, struct kc_error *err)
{
	static const uint8_t wrapped[100] = { 1, 2, 3 };
	const uint8_t *dek;
	int r = kc_kms_decrypt(kms, b, wrapped, sizeof(wrapped), &dek, err);

	if (r) {
		must(!dek);
		zero(helper.mapping, KC_DEK_SIZE);
	} else {
		struct json_object *o = result_of();

		must(helper.dek == '1' && !memcmp(dek, good, KC_DEK_SIZE));
		must(!strcmp(text_of(o, "key"), KEY));
		must(json_object_get_int64(json_object_object_get(o, "length")) == KC_DEK_SIZE);
		json_object_put(o);
	}
	return r;
}

static int wrap(struct kc_kms *kms, const struct kc_binding *b, struct kc_error *err)
{
	uint8_t wrapped[KC_WRAPPED_MAX], old[100] = { 1, 2, 3 };
	size_t len;
	int r;

	memset(wrapped, 0xaa, sizeof(wrapped));
	if (helper.ask == 'g')
		r = kc_kms_generate(kms, b, wrapped, &len, err);
	else if (helper.ask == 'e')
		r = kc_kms_encrypt(kms, b, (const uint8_t *)good, wrapped, &len, err);
	else
		r = kc_kms_re_encrypt(kms, b, old, sizeof(old), b, wrapped, &len, err);
	if (helper.ask == 'e')
		zero(helper.mapping, KC_DEK_SIZE);
	if (r) {
		must(!len);
		zero(wrapped, sizeof(wrapped));
	} else {
		struct json_object *o = result_of();

		must(len && len <= sizeof(wrapped) && !strcmp(text_of(o, "key"), KEY));
		must(strlen(text_of(o, "wrapped")) == (len + 2) / 3 * 4);
		json_object_put(o);
	}
	return r;
}

static int list(struct kc_kms *kms, struct kc_error *err)
{
	struct json_object *answer;
	int r = kc_kms_admin(kms, "local", "ListKeys", NULL, &answer, err);

	must(!r == !!answer);
	json_object_put(answer);
	return r;
}

static int ask(struct kc_kms *kms, struct kc_error *err)
{
	struct kc_binding b = { .provider = "local", .key = KEY, .version = 1, .context.generation = 1 };

	strcpy(b.context.id, "6b636163-6865-4a11-8bad-000000000001");
	memset(b.context.layout, 'a', 64);
	switch (helper.ask) {
	case 'd':
		return describe(kms, err);
	case 'x':
		return decrypt(kms, &b, err);
	case 'a':
		return list(kms, err);
	default:
		return wrap(kms, &b, err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct kc_conf conf = { .state_dir = (char *)"/none", .helper = (char *)"/none", .timeout = 60 };
	struct kc_error err = { 0 };
	struct kc_kms *kms;
	int r;

	if (len < 4 || data[3] != '\n' || !strchr("dgexrao", data[0]) || !data[0])
		return 0;
	memset(&helper, 0, sizeof(helper));
	helper.ask = (char)data[0];
	helper.dek = (char)data[1];
	helper.audit = (char)data[2];
	helper.answer = data + 4;
	helper.len = len - 4;
	r = kc_kms_open(&conf, &kms, &err);
	must(!r && kms);
	r = kc_kms_start(kms, "local", &err);
	must(helper.ask == 'o' || !r);
	if (helper.ask != 'o') {
		r = ask(kms, &err);
		/* no key is used without a trace, and the trace tells the same */
		must(helper.events == 1 && (r || !helper.last_failed));
		must(r || helper.audit != '-');
	}
	must(r == (int)err.code && (!r || err.text[0]));
	for (size_t i = 0; err.text[i]; i++)
		must((unsigned char)err.text[i] >= ' ' && err.text[i] != 0x7f);
	kc_kms_close(kms);
	/* nothing stays in the mapping, however it ended */
	zero(helper.mapping, KC_DEK_SIZE);
	munmap(helper.mapping, KC_DEK_SIZE);
	return 0;
}
