// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache policy: what must be encrypted on this host, and which block devices are not.
 * Nothing is changed, and no KMS is asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "kcache.h"
#include "policy.h"

static const char *where_or_default(const char *where)
{
	return where ? where : "default";
}

static void print_line(const char *setting, const char *value, const char *where)
{
	printf("%-16s %-48s %s\n", setting, value, where);
}

static int print_json(struct kc_run *r)
{
	struct json_object *o = kc_json_new(), *rules = kc_json_array();
	const struct kc_conf *c = &r->conf;
	size_t i;

	kc_json_str(o, "default_key", c->default_key);
	kc_json_str(o, "default_key_where", c->default_key_where);
	kc_json_bool(o, "forbid_plaintext", c->forbid_plaintext);
	kc_json_str(o, "forbid_plaintext_where", c->forbid_where);
	for (i = 0; i < c->n_rules; i++) {
		struct json_object *rule = kc_json_object();

		kc_json_str(rule, "rule", c->rules[i].exempt ? "exempt" : "require");
		kc_json_str(rule, "match", c->rules[i].match);
		kc_json_str(rule, "where", c->rules[i].where);
		kc_json_push(rules, rule);
	}
	kc_json_put(o, "rules", rules);
	return kc_json_print(r, o);
}

int cmd_policy(struct kc_run *r)
{
	const struct kc_conf *c = &r->conf;
	size_t i;

	if (kc_given(r, OPT_JSON))
		return print_json(r);
	if (!kc_given(r, OPT_NO_HEADINGS))
		print_line("SETTING", "VALUE", "WHERE");
	print_line("default_key", c->default_key, where_or_default(c->default_key_where));
	print_line("forbid_plaintext", c->forbid_plaintext ? "yes" : "no", where_or_default(c->forbid_where));
	for (i = 0; i < c->n_rules; i++)
		print_line(c->rules[i].exempt ? "exempt" : "require", c->rules[i].match, c->rules[i].where);
	return 0;
}

/**
 * struct check - a run of policy check
 * @list: JSON, with --json
 * @about: devices that the policy is about
 * @violating: those of them that violate it
 * @first: the first of these
 */
struct check {
	struct kc_run *r;
	struct json_object *list;
	size_t about;
	size_t violating;
	bool headed;
	struct kc_verdict first;
};

static void add_json(struct check *k, const struct kc_verdict *v)
{
	struct json_object *o = kc_json_object();

	kc_json_str(o, "device", v->node);
	kc_json_bool(o, "violates", v->violates);
	kc_json_str(o, "holds", kc_holds_name(v->holds));
	kc_json_str(o, "reason", v->text);
	kc_json_str(o, "require", v->rule ? v->rule->match : NULL);
	kc_json_str(o, "where", v->rule ? v->rule->where : k->r->conf.forbid_where);
	kc_json_bool(o, "by_what_is_below", v->by_below);
	kc_json_push(k->list, o);
}

static int add(const struct kc_verdict *v, void *data)
{
	struct check *k = data;
	struct kc_run *r = k->r;

	k->about++;
	if (v->violates && !k->violating++)
		k->first = *v;
	if (kc_given(r, OPT_JSON)) {
		add_json(k, v);
		return 0;
	}
	/* a list of what is wrong; of all that was looked at with --verbose */
	if (!v->violates && !kc_given(r, OPT_VERBOSE))
		return 0;
	if (!k->headed && !kc_given(r, OPT_NO_HEADINGS))
		printf("%-24s %-9s %-10s %s\n", "DEVICE", "RESULT", "HOLDS", "WHY");
	k->headed = true;
	printf("%-24s %-9s %-10s %s; %s%s (%s)\n", v->node, v->violates ? "violates" : "ok", kc_holds_name(v->holds),
	       v->text, v->rule ? "require = " : "forbid_plaintext = yes", v->rule ? v->rule->match : "",
	       v->rule ? v->rule->where : where_or_default(r->conf.forbid_where));
	return 0;
}

/* A rule with a typing error in it would let everything through. */
static void tell_unmatched(const struct kc_run *r, const bool *matched)
{
	size_t i;

	for (i = 0; i < r->conf.n_rules; i++)
		if (!matched[i])
			kc_warn(r, "%s = %s (%s) matches no block device of this host",
				r->conf.rules[i].exempt ? "exempt" : "require", r->conf.rules[i].match,
				r->conf.rules[i].where);
}

static int check_all(struct check *k, size_t *seen)
{
	struct kc_run *r = k->r;
	bool *matched = calloc(r->conf.n_rules + 1, sizeof(*matched));
	int ret;

	if (!matched)
		return kc_fail(&r->err, KC_NOMEM, NULL, "out of memory");
	ret = kc_policy_each(&r->conf, add, k, seen, matched, &r->err);
	if (!ret)
		tell_unmatched(r, matched);
	free(matched);
	return ret;
}

static int check_some(struct check *k)
{
	struct kc_run *r = k->r;
	struct kc_verdict v;
	bool about;
	int i, ret = 0;

	for (i = 0; !ret && i < r->n_arg; i++) {
		ret = kc_policy_one(&r->conf, r->arg[i], &v, &about, &r->err);
		if (ret)
			snprintf(r->device, sizeof(r->device), "%s", r->arg[i]);
		else if (about)
			add(&v, k);
	}
	return ret;
}

static int print_list(struct check *k, size_t seen)
{
	struct json_object *o;

	if (!kc_given(k->r, OPT_JSON))
		return 0;
	o = kc_json_new();
	kc_json_int(o, "looked_at", (int)seen);
	kc_json_int(o, "covered", (int)k->about);
	kc_json_int(o, "violating", (int)k->violating);
	kc_json_put(o, "devices", k->list);
	k->list = NULL;
	return kc_json_print(k->r, o);
}

static int verdict(struct check *k, size_t seen)
{
	static const char next[] =
		"make a volume of one (kcache create) and copy its data there, or exempt it in kcache.conf";
	struct kc_run *r = k->r;

	if (!k->violating) {
		if (!r->conf.forbid_plaintext && !r->conf.n_rules)
			kc_say(r, "kcache: this host has no policy: kcache.conf says neither require nor forbid_plaintext");
		else
			kc_say(r, "kcache: %zu of %zu block devices must be encrypted, and none violates that", k->about,
			       seen);
		return 0;
	}
	if (k->violating == 1) {
		snprintf(r->device, sizeof(r->device), "%s", k->first.node);
		kc_fail(&r->err, KC_POLICY, next, "it must be encrypted: %s", k->first.text);
	} else {
		kc_fail(&r->err, KC_POLICY, next, "%zu block devices must be encrypted and are not, %s among them",
			k->violating, k->first.node);
	}
	kc_audit_event(r, &(struct kc_event){ .event = "checkPolicy", .device = k->first.node, .err = &r->err });
	return KC_POLICY;
}

int cmd_policy_check(struct kc_run *r)
{
	struct check k = { .r = r };
	size_t seen = (size_t)r->n_arg;
	int ret;

	if (kc_given(r, OPT_JSON))
		k.list = kc_json_array();
	ret = r->n_arg ? check_some(&k) : check_all(&k, &seen);
	if (!ret)
		ret = print_list(&k, seen);
	if (!ret)
		ret = verdict(&k, seen);
	kc_json_drop(k.list);
	return ret;
}
