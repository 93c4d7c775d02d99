// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libcryptsetup-token-kcache.so: stock cryptsetup and systemd-cryptsetup open a
 * kcache volume with dm-crypt. It is the way out if the kcache module is
 * missing, so it asks for no more than the header, the same strict rules, the
 * same pins (nobody can name a key here) and the key helper; it has no lease.
 *
 * It runs inside other people's processes: it changes nothing of theirs, never
 * prompts, and is back within the configuration's timeout.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libcryptsetup.h>

#include "conf.h"
#include "header.h"
#include "kdf.h"
#include "kms.h"
#include "pins.h"
#include "token.h"
#include "plugin.h"

/* Everything that one open holds on to. */
struct session {
	struct kc_conf conf;
	struct kc_header header;
	struct kc_known known;
	struct kc_kms *kms;
	struct kc_error err;
};

/*
 * @several: libcryptsetup asks the next token after -EPERM, -EAGAIN and -ENOENT, and after
 * nothing else; so what is wrong with one of them must not be the end.
 */
static int to_errno(enum kc_exit code, bool several)
{
	switch (code) {
	case KC_OK: return 0;
	case KC_NOMEM: return -ENOMEM;
	case KC_DEVICE: return -ENOENT;
	case KC_KMS_RETRY: return -EAGAIN;
	case KC_BUSY: return several ? -EPERM : -EBUSY;
	case KC_USAGE: return several ? -EPERM : -EINVAL;
	default: return -EPERM;
	}
}

static void log_error(struct crypt_device *cd, const struct kc_error *err)
{
	char line[sizeof(*err) + 64];

	snprintf(line, sizeof(line), "kcache: %s%s%s%s%s%s%s\n", err->text,
		 err->provider_error[0] ? ", " : "", err->provider_error,
		 err->request_id[0] ? ", request " : "", err->request_id,
		 err->next[0] ? "; " : "", err->next);
	crypt_log(cd, CRYPT_LOG_ERROR, line);
}

static const struct kc_token *find(const struct kc_header *h, int slot)
{
	unsigned int i;

	for (i = 0; i < h->n_tokens; i++)
		if (h->tokens[i].slot == slot)
			return &h->tokens[i];
	return NULL;
}

/* What attach does up to the DEK, without a name on the command line and without a lease. */
static int unwrap(struct session *s, struct crypt_device *cd, int slot, const struct kc_token **t,
		  const uint8_t **dek)
{
	struct kc_binding b;
	int r;

	r = kc_conf_load(NULL, &s->conf, &s->err);
	if (!r)
		r = kc_header_load_cd(cd, &s->header, &s->err);
	if (r)
		return r;
	*t = find(&s->header, slot);
	if (!*t)
		return kc_fail(&s->err, KC_DEVICE, NULL, "there is no token %d", slot);
	/* one deadline for all recipients, though each comes to us by itself: equal shares */
	s->conf.timeout /= s->header.n_tokens;
	if (!s->conf.timeout)
		s->conf.timeout = 1;
	r = kc_known_load(&s->conf, s->header.layout.uuid, &s->known, &s->err);
	if (!r)
		r = kc_pin_check(&s->conf, *t, &s->known, NULL, &s->err);
	if (!r)
		r = kc_header_binding(&s->header, *t, &b, &s->err);
	if (!r)
		r = kc_kms_open(&s->conf, &s->kms, &s->err);
	if (!r)
		r = kc_kms_decrypt(s->kms, &b, (*t)->wrapped, (*t)->wrapped_len, dek, &s->err);
	return r ? r : kc_header_verify_dek(&s->header, *t, *dek, &s->err);
}

int cryptsetup_token_open(struct crypt_device *cd, int token, char **buffer, size_t *buffer_len,
			  void *usrptr)
{
	struct session *s = calloc(1, sizeof(*s));
	const struct kc_token *t = NULL;
	const uint8_t *dek = NULL;
	char *passphrase = NULL;
	bool several;
	int r;

	(void)usrptr;
	if (!s)
		return -ENOMEM;
	r = unwrap(s, cd, token, &t, &dek);
	if (!r) {
		passphrase = kc_secret_alloc(KC_PASSPHRASE_LEN + 1, &s->err);
		r = passphrase ? kc_kdf_passphrase(dek, passphrase, &s->err) : KC_NOMEM;
	}
	kc_kms_close(s->kms);
	if (r) {
		kc_secret_free(passphrase, KC_PASSPHRASE_LEN + 1);
		log_error(cd, &s->err);
	} else {
		*buffer = passphrase;
		*buffer_len = KC_PASSPHRASE_LEN;
	}
	several = s->header.n_tokens > 1;
	kc_known_free(&s->known);
	kc_header_free(&s->header);
	kc_conf_free(&s->conf);
	free(s);
	return to_errno((enum kc_exit)r, several);
}

/* libcryptsetup hands back the length it was told; the pages are the same with the NUL behind it. */
void cryptsetup_token_buffer_free(void *buffer, size_t buffer_len)
{
	kc_secret_free(buffer, buffer_len + 1);
}

int cryptsetup_token_validate(struct crypt_device *cd, const char *json)
{
	struct kc_error err = { 0 };
	struct kc_token t;
	int r = kc_token_parse(json, -1, &t, &err);

	if (r)
		log_error(cd, &err);
	return r == KC_NOMEM ? -ENOMEM : r ? -EINVAL : 0;
}

static void dump_line(struct crypt_device *cd, const char *name, const char *value)
{
	char line[KC_KEY_NAME_MAX + 64];

	snprintf(line, sizeof(line), "\t%-12s%s\n", name, value);
	crypt_log(cd, CRYPT_LOG_NORMAL, line);
}

/* luksDump's part; all of it went through the strict rules, so it may go to a terminal. */
void cryptsetup_token_dump(struct crypt_device *cd, const char *json)
{
	struct kc_token t;
	char number[24];

	if (kc_token_parse(json, -1, &t, NULL)) {
		dump_line(cd, "kcache:", "the token was edited or is damaged");
		return;
	}
	dump_line(cd, "Provider:", t.binding.provider);
	dump_line(cd, "Key:", t.binding.key);
	snprintf(number, sizeof(number), "%" PRIu64, t.binding.context.generation);
	dump_line(cd, "Generation:", number);
	dump_line(cd, "Lineage:", t.lineage);
	dump_line(cd, "Created:", t.created);
	snprintf(number, sizeof(number), "%" PRIu32, t.lease);
	dump_line(cd, "Lease:", t.lease ? number : "none");
	dump_line(cd, "On revoke:", kc_on_revoke_name(t.on_revoke));
}

const char *cryptsetup_token_version(void)
{
	return KC_VERSION;
}
