// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Credentials as JSON, which come from a program, a container's service, an
 * instance's or STS. What is accepted has all that was asked for; a date that
 * nobody can read is never one that never comes.
 */
#include <stdlib.h>
#include <string.h>

#include "creds-private.h"
#include "fuzz.h"

static int accepted;
static int64_t ends;

/* creds.c's: what would be kept. */
int aws_creds_set(struct kh *k, struct aws_creds *c, const char *id, const char *secret, const char *token,
		  int64_t expires, const char *source, ...)
{
	must(k && c && id && secret && source);
	(void)token;
	accepted++;
	ends = expires;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "Token", "Expiration" };
	struct aws_creds c = { 0 };
	struct json_object *o;
	static struct kh kh;
	char text[64], *copy;
	int r;

	/* it is always followed by a NUL, and by nothing else that may be read */
	copy = malloc(len + 1);
	must(copy);
	memcpy(copy, data, len);
	copy[len] = '\0';
	o = aws_json_parse(copy, len);
	must(!o || json_object_is_type(o, json_type_object));
	aws_json_text(o, "Code", text, sizeof(text));
	must(strlen(text) < sizeof(text));
	kh_forget(&kh);
	accepted = 0;
	r = aws_creds_json(&kh, o, &names, true, "a test", &c);
	must(r ? !accepted && kh.error == KH_GARBAGE : accepted == 1 && ends != 0);
	kh_forget(&kh);
	accepted = 0;
	r = aws_creds_json(&kh, o, &names, false, "a test", &c);
	must(r ? !accepted && kh.error == KH_GARBAGE : accepted == 1);
	must(r || ends || !json_object_object_get_ex(o, "Expiration", NULL));
	aws_iso_time(copy);
	json_object_put(o);
	free(copy);
	return 0;
}
