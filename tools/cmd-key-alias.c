// SPDX-License-Identifier: GPL-2.0-or-later
/* kcache key alias, unalias: names of keys. */
#include "key.h"

static int try_alias(struct key_verb *v, const char *operation)
{
	struct json_object *args = key_args(v);

	kc_json_str(args, "alias", v->r->arg[1]);
	return key_call(v, operation, args, NULL);
}

/* A name that is there already is moved only with --force: volumes are created under it. */
static int alias(struct key_verb *v)
{
	struct kc_run *r = v->r;
	int ret = try_alias(v, "CreateAlias");

	if (ret == KC_BUSY && kc_given(r, OPT_FORCE)) {
		kc_error_clear(&r->err);
		ret = try_alias(v, "UpdateAlias");
	}
	return ret ? ret : key_done(v, "alias", r->arg[1], "%s stands for %s", r->arg[1], r->arg[0]);
}

static int unalias(struct key_verb *v)
{
	struct json_object *args = kc_json_object();
	int ret;

	kc_json_str(args, "alias", v->r->arg[0]);
	ret = key_call(v, "DeleteAlias", args, NULL);
	return ret ? ret : key_done(v, NULL, NULL, "%s is no more the name of a key", v->r->arg[0]);
}

int cmd_key_alias(struct kc_run *r)
{
	return key_run(r, alias);
}

int cmd_key_unalias(struct kc_run *r)
{
	return key_run(r, unalias);
}
