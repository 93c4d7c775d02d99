/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host in a temporary directory: configuration, keystore, audit file, and the real key helper. */
#ifndef KMS_FIXTURE_H
#define KMS_FIXTURE_H

#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "canon.h"
#include "kms.h"

struct host {
	char dir[64];
	char state[112];
	char audit[112];
	char helper[PATH_MAX];
	struct kc_conf conf;
};

/* The program that was built beside this test. */
static inline void find_helper(char *out)
{
	char self[PATH_MAX] = "";

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(out, PATH_MAX, "%.3900s/../tools/kcache-keyhelper", dirname(self));
	if (access(out, X_OK))
		fail_msg("%s is not built", out);
}

static inline int host_up(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	strcpy(h->dir, "/tmp/kcache-test-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->state, sizeof(h->state), "%s/state", h->dir);
	snprintf(h->audit, sizeof(h->audit), "%s/log/audit.jsonl", h->dir);
	find_helper(h->helper);
	h->conf.default_key = (char *)"local:alias/kcache";
	h->conf.state_dir = h->state;
	h->conf.audit_file = h->audit;
	h->conf.helper = h->helper;
	h->conf.timeout = 30;
	*state = h;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int host_down(void **state)
{
	struct host *h = *state;

	nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(h);
	return 0;
}

/* Errors are shown where they are not expected. */
static inline void ok_or_show(int r, const struct kc_error *err, const char *what)
{
	if (r)
		fail_msg("%s: exit %d: %s [%s] (%s)", what, r, err->text, err->provider_error, err->next);
}

/* With the local provider's helper running, or why it does not. */
static inline int start_kms(struct host *h, struct kc_kms **kms, struct kc_error *err)
{
	int r = kc_kms_open(&h->conf, kms, err);

	if (!r)
		r = kc_kms_start(*kms, "local", err);
	if (r) {
		kc_kms_close(*kms);
		*kms = NULL;
	}
	return r;
}

static inline struct kc_kms *open_kms(struct host *h)
{
	struct kc_error err = { 0 };
	struct kc_kms *kms;

	ok_or_show(start_kms(h, &kms, &err), &err, "start_kms");
	return kms;
}

static inline void volume_context(struct kc_binding *b, const char *key)
{
	memset(b, 0, sizeof(*b));
	strcpy(b->provider, "local");
	snprintf(b->key, sizeof(b->key), "%s", key);
	b->version = 1;
	strcpy(b->context.id, "3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11");
	memset(b->context.layout, 'a', 64);
	b->context.generation = 1;
}

#endif
