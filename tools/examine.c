// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps of an attach, in its order, by its own functions; but nothing is claimed,
 * so that an attach that comes meanwhile finds the device free.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blk.h"
#include "dm.h"
#include "examine.h"
#include "stop.h"
#include "unwrap.h"

void kc_step_ok(struct kc_steps *s, const char *name, const char *fmt, ...)
{
	struct kc_error e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	s->tell(KC_STEP_OK, name, &e, s->data);
}

void kc_step_warn(struct kc_steps *s, const char *name, const char *next, const char *fmt, ...)
{
	struct kc_error e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	snprintf(e.next, sizeof(e.next), "%s", next ? next : "");
	s->tell(KC_STEP_WARNING, name, &e, s->data);
}

int kc_step_failed(struct kc_steps *s, const char *name, const struct kc_error *e)
{
	if (!s->code || (e->code == KC_KMS_RETRY && s->code != KC_KMS_RETRY)) {
		s->code = (int)e->code;
		s->first = *e;
	}
	s->tell(KC_STEP_FAILED, name, e, s->data);
	return (int)e->code;
}

/* One volume. */
struct exam {
	struct kc_steps *s;
	struct kc_run *r;
	struct kc_examined *x;
	struct kc_blk blk;
	struct kc_header h;
	struct kc_known known;
	struct kc_kms *kms;
};

static int device(struct exam *e, const char *path)
{
	struct kc_error err = { 0 };
	char size[24];
	int ret;

	ret = kc_blk_open(path, &e->blk, &err);
	if (!ret)
		ret = kc_blk_refuse_leg(&e->blk, &err);
	if (!ret && e->blk.zoned)
		ret = kc_fail(&err, KC_DEVICE, NULL, "zoned devices are not supported");
	if (ret)
		return kc_step_failed(e->s, "device", &err);
	if (e->blk.read_only)
		kc_step_warn(e->s, "device", "attach it with --readonly", "%s is read-only", path);
	else
		kc_step_ok(e->s, "device", "%s, %s", path, kc_size_text(e->blk.size, size));
	return 0;
}

static int header(struct exam *e)
{
	struct kc_error err = { 0 };
	int ret = kc_header_load(e->blk.fd, &e->h, &err);

	snprintf(e->x->uuid, sizeof(e->x->uuid), "%s", e->h.layout.uuid);
	if (!ret && e->h.unfinished)
		ret = kc_fail(&err, KC_DEVICE, "run kcache create on it again: it will be completed",
			      "its creation did not finish, there is no key on it yet");
	if (ret)
		return kc_step_failed(e->s, "header", &err);
	if (e->h.damaged_copy)
		kc_step_warn(e->s, "header", "back the volume up, and its header: kcache header backup",
			     "the %s copy of it is damaged; the other one is good",
			     e->h.damaged_copy == 1 ? "first" : "second");
	else
		kc_step_ok(e->s, "header", "both copies are good and break no rule; volume %s, %u recipient%s", e->x->uuid,
			   e->h.n_tokens, e->h.n_tokens == 1 ? "" : "s");
	return 0;
}

static int on_mapped(const struct kc_dm *d, void *data)
{
	struct exam *e = data;

	if (!strcmp(d->volume, e->x->uuid))
		snprintf(e->x->attached, sizeof(e->x->attached), "%s", d->name);
	return 0;
}

/* Free for an attach, or attached already; and no other device has the same UUID. */
static int place(struct exam *e)
{
	struct kc_error err = { 0 };
	char users[512];
	int ret;

	/* where there is no device-mapper nothing is attached */
	kc_dm_each(on_mapped, e, NULL);
	ret = kc_blk_refuse_twins(&e->blk, e->x->uuid, e->h.area, &err);
	if (!ret && !e->x->attached[0] && !e->blk.is_file && kc_blk_held(e->blk.dev, users, sizeof(users)))
		ret = kc_fail(&err, KC_BUSY, "release it first", "it is in use: %s", users);
	if (ret)
		return kc_step_failed(e->s, "place", &err);
	if (e->x->attached[0])
		kc_step_ok(e->s, "place", "it is attached as /dev/mapper/%s", e->x->attached);
	else
		kc_step_ok(e->s, "place", "nobody uses it, and no other device has its UUID");
	return 0;
}

static int history(struct exam *e)
{
	struct kc_error err = { 0 };

	if (kc_known_load(&e->r->conf, e->x->uuid, &e->known, &err))
		return kc_step_failed(e->s, "history", &err);
	if (e->known.uuid[0])
		kc_step_ok(e->s, "history", "this host knows it, generation %llu",
			   (unsigned long long)e->known.generation);
	else
		kc_step_ok(e->s, "history", "this host has not seen it before: allow_key in kcache.conf decides");
	return 0;
}

/* What a refusal leaves out: who could grant it; when a key goes that is pending deletion, which AWS does not say. */
static void describe(struct exam *e, const struct kc_token *t, struct kc_error *err)
{
	struct kc_error none = { 0 };
	struct kc_key_info info;
	size_t used = strlen(err->text);

	if (err->code != KC_KMS_REFUSED)
		return;
	if (!strcmp(err->provider_error, "AccessDeniedException"))
		snprintf(err->next, sizeof(err->next),
			 "let this host use it: kcache key grant %.120s --grantee HOST --operations Decrypt --volume %s",
			 t->binding.key, e->x->uuid);
	if (kc_kms_describe(e->kms, t->binding.key, &info, &none) == 0 && info.deletion[0] &&
	    !strstr(err->text, info.deletion))
		snprintf(err->text + used, sizeof(err->text) - used, "; it will be deleted on %s", info.deletion);
}

/* One recipient, by a real unwrap; the DEK is wiped at once. */
static int open_by(struct exam *e, const struct kc_token *t, unsigned int after, struct kc_error *err)
{
	struct kc_unwrap u = { .kms = e->kms, .h = &e->h, .known = &e->known, .tokens = { t }, .n = 1,
			       .reserve = after };
	struct kc_run *r = e->r;
	int ret;

	ret = kc_unwrap(r, &u);
	kc_kms_wipe(e->kms);
	if (ret) {
		*err = r->err;
		kc_error_clear(&r->err);
	}
	return ret;
}

static int recipients(struct exam *e)
{
	struct kc_error errs[KC_RECIPIENTS_MAX] = { 0 };
	unsigned int i, n = e->h.n_tokens, good = 0;
	char name[32];

	for (i = 0; i < n && !kc_stopped(); i++) {
		const struct kc_token *t = &e->h.tokens[i];

		if (open_by(e, t, n - i - 1, &errs[i])) {
			if (!kc_stopped())
				describe(e, t, &errs[i]);
			continue;
		}
		if (!good++)
			snprintf(e->x->key, sizeof(e->x->key), "%s", t->binding.key);
	}
	if (kc_stop_check(&e->s->first)) {
		e->s->code = (int)e->s->first.code;
		return e->s->code;
	}
	/* what does not open it is a failure only where nothing else does */
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "recipient %d", e->h.tokens[i].slot);
		if (!errs[i].code)
			kc_step_ok(e->s, name, "key %s opens it; wiped again", e->h.tokens[i].binding.key);
		else if (good)
			kc_step_warn(e->s, name, errs[i].next, "key %s does not open it, another one does: %s%s%s%s",
				     e->h.tokens[i].binding.key, errs[i].text, errs[i].provider_error[0] ? " [" : "",
				     errs[i].provider_error, errs[i].provider_error[0] ? "]" : "");
		else
			kc_step_failed(e->s, name, &errs[i]);
	}
	return good ? 0 : e->s->code;
}

static int helpers(struct exam *e)
{
	struct kc_error err = { 0 };
	unsigned int i, good = 0;

	if (kc_kms_open(&e->r->conf, &e->kms, &err))
		return kc_step_failed(e->s, "helper", &err);
	for (i = 0; i < e->h.n_tokens; i++)
		good += kc_kms_start(e->kms, e->h.tokens[i].binding.provider, good ? NULL : &err) == 0;
	if (!good)
		return kc_step_failed(e->s, "helper", &err);
	kc_step_ok(e->s, "helper", "the key helper of %s starts", e->h.tokens[0].binding.provider);
	return 0;
}

int kc_examine_volume(struct kc_steps *s, const char *path, struct kc_examined *x)
{
	struct exam e = { .s = s, .r = s->r, .x = x, .blk = { .fd = -1, .claim_fd = -1 } };
	int ret;

	memset(x, 0, sizeof(*x));
	ret = device(&e, path);
	if (!ret)
		ret = header(&e);
	if (!ret) {
		/* one of these does not make the others meaningless */
		place(&e);
		ret = history(&e);
	}
	if (!ret)
		ret = helpers(&e);
	if (!ret)
		recipients(&e);
	kc_kms_close(e.kms);
	kc_known_free(&e.known);
	kc_header_free(&e.h);
	kc_blk_close(&e.blk);
	return s->code;
}
