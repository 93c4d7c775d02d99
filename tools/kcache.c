// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache: volumes whose key a KMS holds, as Amazon EBS has them, on any block device. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "dm.h"
#include "kcache.h"
#include "pin.h"
#include "secret.h"
#include "stop.h"

static void audit_warning(const struct kc_error *e, void *data)
{
	kc_warn(data, "the audit log's head was not anchored: %s; %s", e->text, e->next);
}

static int run(int argc, char **argv, struct kc_run *r)
{
	int ret;

	ret = kc_parse(argc, argv, r);
	if (ret)
		return ret;
	if (!r->verb) {
		if (kc_given(r, OPT_VERSION))
			puts("kcache " KC_VERSION);
		return 0;
	}
	if (kc_given(r, OPT_DEBUG))
		kc_dm_debug();
	if (r->verb->needs_conf) {
		ret = kc_conf_load(r->opt[OPT_CONFIG], &r->conf, &r->err);
		if (ret)
			return ret;
		if (kc_given(r, OPT_TIMEOUT))
			r->conf.timeout = r->number[OPT_TIMEOUT];
	}
	kc_audit_on_warning(audit_warning, r);
	if (!kc_given(r, OPT_BATCH))
		kc_pin_allow();
	ret = r->verb->run(r);
	kc_conf_free(&r->conf);
	return ret;
}

int main(int argc, char **argv)
{
	struct kc_run r = { 0 };
	int ret;

	kc_harden_process();
	ret = run(argc, argv, &r);
	if (ret)
		kc_print_error(&r);

	/* a full disk or a closed pipe must not look like success */
	if (fflush(stdout) != 0 && ret == 0) {
		fprintf(stderr, "kcache: cannot write to standard output: %s\n", strerror(errno));
		ret = KC_USAGE;
	}
	if (ret)
		kc_stop_raise();
	return ret;
}
