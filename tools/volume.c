// SPDX-License-Identifier: GPL-2.0-or-later
/* What several verbs do. */
#include <time.h>

#include "audit.h"
#include "header.h"
#include "kcache.h"

void kc_audit_event(struct kc_run *r, const struct kc_event *e)
{
	struct kc_error err = { 0 };

	if (kc_audit(&r->conf, e, &err))
		kc_warn(r, "the audit event %s was not written: %s", e->event, err.text);
}

void kc_now(char text[static 32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void kc_warn_damaged(const struct kc_run *r, const struct kc_header *h)
{
	if (h->damaged_copy)
		kc_warn(r, "the %s copy of its header is damaged; the other one is good and was used; back the volume up",
			h->damaged_copy == 1 ? "first" : "second");
}
