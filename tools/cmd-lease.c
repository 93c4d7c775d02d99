// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache lease: renews the lease of an attached volume for as long as its KMS unwraps the
 * DEK. The deadline is the kernel's: this process can shorten it, by a wipe when the KMS
 * refuses, and put it off, when it grants. If it dies, hangs or is killed, the lease runs out.
 *
 * What is decided is in lib/lease.c, the question is asked in a process of its own (probe.c);
 * here is the clock, and what is done to the volume. Nothing here reads a disk or waits for
 * a network, and the log is written after the deed: that is a message to device-mapper.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "audit.h"
#include "blk.h"
#include "kcache.h"
#include "live.h"
#include "probe.h"
#include "stop.h"

#define RUN_DIR "/run/kcache"

#define TICK_MS 1000	/* how late the end of the volume, or of its key, may be noticed */
#define AGAIN_MS 1000	/* from a first denial, or from a first silence, to the next question */
#define PROBE_MIN 5	/* seconds that a KMS has at least: more often than it can answer is not asked */
#define KEEP_INTERVAL (KC_LEASE_DEFAULT / 3)

/**
 * struct lease - one lease that is being kept
 * @d: the volume as it was seen last
 * @seconds: of the table's lease; 0 for on_revoke keep
 * @every: milliseconds between two answers
 * @next: when the next one is due, kc_boottime()
 * @pause: milliseconds to the next question, while the KMS is silent
 * @last: the last answer; KC_ANSWER_YES before the first
 * @answered: there has been one
 * @expired: the end of the lease was told
 * @differs: that the header says something else now was told
 * @done: nothing more to do; @ret is what it ends with
 */
struct lease {
	struct kc_run *r;
	struct kc_dm d;
	char volume[KC_UUID_LEN + 1];
	uint32_t seconds;
	struct kc_lease l;
	int lock;
	int64_t every, next, pause;
	struct kc_probe p;
	struct kc_report rep;
	enum kc_answer last;
	bool answered, expired, differs, done;
	int ret;
};

int check_lease(struct kc_run *r)
{
	return kc_dm_check_name(r->arg[0], &r->err);
}

static bool valid(const struct kc_dm *d)
{
	char state[16];

	kc_dm_key_state(d, state);
	return strcmp(state, "valid") == 0;
}

/* Something else may stand in the place of our target for a while. */
static bool ours(const struct kc_dm *d)
{
	return strcmp(d->target, "kcache") == 0;
}

static void audit(struct lease *s, const char *event, const struct kc_error *err)
{
	kc_audit_event(s->r, &(struct kc_event){
		.event = event,
		.kind = kc_on_revoke_name(s->l.mode),
		.volume = s->volume,
		.device = s->r->device,
		.name = s->d.name,
		.key = s->rep.key[0] ? s->rep.key : NULL,
		.request_id = s->rep.request_id[0] ? s->rep.request_id : s->rep.err.request_id,
		.err = err,
	});
}

/* --- before the first question ----------------------------------------------- */

/* What the table says was under a mac that held when the volume was attached. */
static int read_policy(struct lease *s)
{
	const char *p = strstr(s->d.table, " lease:");
	struct kc_run *r = s->r;
	uint32_t interval = r->number[OPT_INTERVAL];

	s->l.mode = KC_REVOKE_KEEP;
	if (p) {
		s->seconds = (uint32_t)strtoul(p + strlen(" lease:"), NULL, 10);
		s->l.mode = strstr(s->d.table, " on_expiry:freeze") ? KC_REVOKE_FREEZE : KC_REVOKE_FAIL;
	}
	if (s->seconds && interval >= s->seconds)
		return kc_fail(&r->err, KC_USAGE, NULL,
			       "--interval %u is no shorter than the lease of %u seconds, which would run out in between",
			       interval, s->seconds);
	if (!interval)
		interval = s->seconds ? s->seconds / 3 : KEEP_INTERVAL;
	s->every = (int64_t)(interval ? interval : 1) * 1000;
	return 0;
}

/* One process for a volume: two would renew against one another's refusals. */
static int take_lock(struct lease *s)
{
	struct kc_error *err = &s->r->err;
	char path[sizeof(RUN_DIR) + KC_DM_NAME_MAX + 16];

	if (mkdir(RUN_DIR, 0700) && errno != EEXIST)
		return kc_fail(err, errno == EACCES || errno == EPERM ? KC_PERM : KC_DEVICE, NULL, "cannot make %s: %s",
			       RUN_DIR, strerror(errno));
	snprintf(path, sizeof(path), "%s/lease-%s.lock", RUN_DIR, s->d.name);
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return kc_fail(err, errno == EACCES ? KC_PERM : KC_DEVICE, NULL, "cannot open %s: %s", path, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB))
		return kc_fail(err, KC_BUSY, "end that one first", "another kcache lease keeps its lease already");
	return 0;
}

static int prepare(struct lease *s)
{
	struct kc_run *r = s->r;
	int ret;

	ret = kc_live_get(r, &s->d);
	if (ret)
		return ret;
	if (kc_dm_ephemeral(&s->d))
		return kc_fail(&r->err, KC_DEVICE, NULL, "it is an ephemeral volume: no KMS has its key");
	snprintf(s->volume, sizeof(s->volume), "%s", s->d.volume);
	ret = read_policy(s);
	if (!ret && s->l.mode == KC_REVOKE_FREEZE)
		ret = kc_live_refuse_vital(r, &s->d, "freezing it");
	if (!ret)
		ret = take_lock(s);
	/* a page fault must not wait for swap, or for a program file on the volume that has no key */
	if (!ret && mlockall(MCL_CURRENT | MCL_FUTURE))
		ret = kc_fail(&r->err, KC_NOMEM, "raise RLIMIT_MEMLOCK (ulimit -l)", "cannot lock its memory: %s",
			      strerror(errno));
	return ret;
}

/* --- what is done to the volume ----------------------------------------------- */

static void told_shutdown(const char *mountpoint, int e, void *data)
{
	const struct lease *s = data;

	if (e)
		kc_warn(s->r, "the filesystem on %s cannot be shut down (%s): unmount it", mountpoint,
			e == ENOTTY ? "it has no such call" : e == ESTALE ? "another one is mounted over it" : strerror(e));
	else
		kc_warn(s->r, "the filesystem on %s is shut down", mountpoint);
}

/* The key of a volume that fails is away: by a wipe or by the end of the lease. */
static void end_failed(struct lease *s)
{
	char state[16];

	kc_dm_key_state(&s->d, state);
	kc_blk_shutdown(s->d.dev, told_shutdown, s);
	s->ret = kc_fail(&s->r->err, KC_KEY_GONE, "unmount and detach it, and attach it when the KMS grants its key again",
			 "its key is %s: reads and writes fail", state);
	s->done = true;
}

static void act_revoke(struct lease *s, int64_t answered)
{
	struct kc_run *r = s->r;
	struct kc_error err = { 0 };

	if (s->l.mode == KC_REVOKE_KEEP) {
		kc_warn(r, "the KMS refuses its key: %s; it stays in use (on_revoke keep), but cannot be attached again",
			s->rep.err.text);
		audit(s, "revokeVolume", &s->rep.err);
		return;
	}
	if (kc_dm_message(s->d.name, "key wipe", NULL, &err)) {
		kc_warn(r, "the KMS refuses its key, and the key could not be wiped: %s; trying again", err.text);
		s->next = kc_boottime() + AGAIN_MS;
		return;
	}
	kc_warn(r, "the KMS refuses its key: %s; its key was wiped %" PRId64 " ms after the answer, %" PRId64
		" ms after the question: reads and writes %s", s->rep.err.text, kc_boottime() - answered,
		kc_boottime() - s->p.asked, s->l.mode == KC_REVOKE_FREEZE ? "wait" : "fail");
	audit(s, "revokeVolume", NULL);
	if (s->l.mode == KC_REVOKE_FAIL) {
		snprintf(s->d.info, sizeof(s->d.info), "key:wiped");
		end_failed(s);
	}
}

/* The lease counts from the question: what the KMS said is no newer than that. */
static void renew(struct lease *s)
{
	uint32_t left = kc_lease_left(s->seconds, kc_boottime() - s->p.asked);
	struct kc_error err = { 0 };
	char message[32];

	if (!left)
		return;
	snprintf(message, sizeof(message), "lease %u", left);
	if (kc_dm_message(s->d.name, message, NULL, &err))
		kc_warn(s->r, "its key was granted, but the lease could not be renewed: %s", err.text);
}

static void resumed(struct lease *s)
{
	renew(s);
	kc_warn(s->r, "the KMS grants its key again: reads and writes go on");
	audit(s, "resumeVolume", NULL);
	s->expired = false;
}

/* --- answers ------------------------------------------------------------------- */

static void tell_change(struct lease *s)
{
	const struct kc_report *rep = &s->rep;

	if (rep->answer == KC_ANSWER_YES) {
		if (s->answered && s->last != KC_ANSWER_YES && !rep->set)
			kc_warn(s->r, "the KMS grants its key again");
		if (!s->differs && (rep->on_revoke != s->l.mode || rep->lease != s->seconds)) {
			s->differs = true;
			kc_warn(s->r, "its header says on_revoke %s and lease %u now, in force when it is attached next",
				kc_on_revoke_name(rep->on_revoke), rep->lease);
		}
		return;
	}
	if (s->answered && s->last == rep->answer)
		return;
	if (rep->answer == KC_ANSWER_SILENT) {
		kc_warn(s->r, "the KMS has said neither yes nor no%s: %s%s%s%s%s%s", s->seconds ? ", its lease runs on" : "",
			rep->err.text, rep->err.provider_error[0] ? " [" : "", rep->err.provider_error,
			rep->err.provider_error[0] ? "]" : "", rep->err.next[0] ? "; " : "", rep->err.next);
		audit(s, "renewLease", &rep->err);
	} else if (!valid(&s->d)) {
		kc_warn(s->r, "the KMS refuses its key, which is away already: %s", rep->err.text);
	} else if (rep->answer == KC_ANSWER_DENIED) {
		kc_warn(s->r, "the KMS denies its key: %s; asking once more", rep->err.text);
	}
}

static void answered(struct lease *s)
{
	struct kc_report *rep = &s->rep;
	int64_t now = kc_boottime();
	enum kc_lease_act act;
	bool found;

	/* as it is now: the question took a while */
	if (kc_dm_get(s->r->arg[0], &s->d, &found, NULL) || !found || !ours(&s->d)) {
		s->next = now + TICK_MS;
		return;
	}
	tell_change(s);
	s->last = rep->answer;
	s->answered = true;
	s->next = s->p.asked + kc_lease_pause(s->every, now - s->p.asked);
	act = kc_lease_step(&s->l, rep->answer, valid(&s->d), s->d.suspended);
	if (rep->set)
		resumed(s);
	else if (rep->answer == KC_ANSWER_YES && rep->err.code)
		kc_warn(s->r, "the KMS grants its key, but %s%s%s", rep->err.text, rep->err.next[0] ? "; " : "", rep->err.next);
	switch (act) {
	case KC_LEASE_RENEW:
		if (!rep->set)
			renew(s);
		break;
	case KC_LEASE_SET:
		/* it was there when we asked; a key that the kernel does not take is not tried at once again */
		if (!rep->err.code)
			s->next = now;
		break;
	case KC_LEASE_AGAIN:
		s->next = now + AGAIN_MS;
		break;
	case KC_LEASE_REVOKE:
		act_revoke(s, now);
		break;
	case KC_LEASE_WAIT:
		if (rep->answer == KC_ANSWER_SILENT && now + s->pause < s->next)
			s->next = now + s->pause;
		break;
	case KC_LEASE_END:
		/* look() comes next, and tells why it is away */
		break;
	}
	s->pause = rep->answer == KC_ANSWER_SILENT ? s->pause * 2 : AGAIN_MS;
	if (s->pause > s->every)
		s->pause = s->every;
	if (kc_given(s->r, OPT_ONCE) && !s->done && act != KC_LEASE_AGAIN && act != KC_LEASE_END && (act != KC_LEASE_SET || rep->err.code)) {
		s->done = true;
		s->ret = (int)rep->err.code;
		s->r->err = rep->err;
	}
}

/* --- the clock ----------------------------------------------------------------- */

/* The volume as it is: gone, or its key away. */
static void look(struct lease *s)
{
	struct kc_run *r = s->r;
	struct kc_error err = { 0 };
	char state[16];
	bool found;

	if (kc_dm_get(r->arg[0], &s->d, &found, &err)) {
		kc_verbose(r, "it cannot be looked at now: %s", err.text);
		return;
	}
	if (!found || strcmp(s->d.volume, s->volume) != 0) {
		kc_say(r, "it is detached");
		s->done = true;
		return;
	}
	/* what it stands on may be another device since */
	if (s->d.below)
		kc_blk_name(s->d.below, r->device, sizeof(r->device));
	if (!ours(&s->d) || valid(&s->d) || s->d.suspended)
		return;
	kc_dm_key_state(&s->d, state);
	if (!s->expired && strcmp(state, "expired") == 0) {
		s->expired = true;
		kc_warn(r, "its lease has run out: reads and writes %s", s->l.mode == KC_REVOKE_FREEZE ? "wait" : "fail");
		audit(s, "expireLease", NULL);
	}
	if (s->l.mode == KC_REVOKE_FAIL)
		end_failed(s);
}

static void start(struct lease *s)
{
	uint32_t timeout = (uint32_t)(s->every / 1000);
	bool away = !valid(&s->d);
	struct kc_error err = { 0 };

	/* away while it is suspended: kcache resume's to bring back */
	if (!ours(&s->d) || (away && s->d.suspended)) {
		s->next = kc_boottime() + TICK_MS;
		return;
	}
	if (timeout < PROBE_MIN)
		timeout = PROBE_MIN;
	if (!kc_probe_start(s->r, &s->d, away && s->l.mode == KC_REVOKE_FREEZE, timeout, s->lock, &s->p, &err))
		return;
	kc_warn(s->r, "the KMS was not asked: %s", err.text);
	s->next = kc_boottime() + AGAIN_MS;
}

static void notify(struct lease *s, bool *ready, int64_t *fed, int64_t watchdog)
{
	int64_t now = kc_boottime();

	if (watchdog && now - *fed >= watchdog / 2) {
		sd_notify(0, "WATCHDOG=1");
		*fed = now;
	}
	if (*ready || !s->answered || s->done)
		return;
	*ready = true;
	sd_notifyf(0, "READY=1\nSTATUS=on_revoke %s, lease %u s, asking every %" PRId64 " s", kc_on_revoke_name(s->l.mode),
		   s->seconds, s->every / 1000);
}

static void keep(struct lease *s)
{
	uint64_t usec = 0;
	int64_t watchdog = sd_watchdog_enabled(0, &usec) > 0 ? (int64_t)(usec / 1000) : 0;
	int64_t fed = 0, limit = (s->every / 1000 > PROBE_MIN ? s->every : PROBE_MIN * 1000) + 5000, now, wait;
	enum kc_answer shown = KC_ANSWER_YES;
	bool ready = false;

	s->next = kc_boottime();
	s->pause = AGAIN_MS;
	while (!s->done && !kc_stopped()) {
		struct pollfd pfd[] = {
			{ .fd = s->p.fd, .events = POLLIN },
			{ .fd = kc_stop_fd(), .events = POLLIN },
		};

		now = kc_boottime();
		wait = s->p.pid || s->next - now > TICK_MS ? TICK_MS : s->next > now ? s->next - now : 0;
		if (watchdog && wait > watchdog / 4)
			wait = watchdog / 4;
		poll(pfd, 2, (int)wait);
		now = kc_boottime();
		if (s->p.pid && pfd[0].revents) {
			kc_probe_end(&s->p, &s->rep);
			answered(s);
		} else if (s->p.pid && now - s->p.asked > limit) {
			kc_probe_kill(&s->p);
			memset(&s->rep, 0, sizeof(s->rep));
			s->rep.answer = KC_ANSWER_SILENT;
			kc_fail(&s->rep.err, KC_KMS_RETRY, "look at the kernel log", "asking took longer than it may");
			answered(s);
		}
		if (!s->done)
			look(s);
		if (!s->done && !s->p.pid && kc_boottime() >= s->next)
			start(s);
		notify(s, &ready, &fed, watchdog);
		if (ready && shown != s->last)
			sd_notifyf(0, "STATUS=on_revoke %s, lease %u s, last answer: %s", kc_on_revoke_name(s->l.mode),
				   s->seconds, kc_answer_name(s->last));
		shown = s->last;
	}
	sd_notify(0, "STOPPING=1");
	kc_probe_kill(&s->p);
}

static int print_result(struct lease *s)
{
	struct json_object *o;
	char state[16];

	if (!kc_given(s->r, OPT_JSON))
		return 0;
	kc_dm_key_state(&s->d, state);
	o = kc_json_new();
	kc_json_str(o, "name", s->r->arg[0]);
	kc_json_str(o, "uuid", s->volume);
	kc_json_str(o, "device", s->r->device);
	kc_json_str(o, "on_revoke", kc_on_revoke_name(s->l.mode));
	kc_json_u64(o, "lease", s->seconds);
	kc_json_str(o, "answer", s->answered ? kc_answer_name(s->last) : NULL);
	kc_json_str(o, "key_state", state);
	return kc_json_print(s->r, o);
}

int cmd_lease(struct kc_run *r)
{
	struct lease s = { .r = r, .lock = -1, .p = KC_PROBE_INIT };
	int ret, printed;

	ret = prepare(&s);
	if (!ret) {
		kc_stop_install();
		keep(&s);
		ret = s.ret;
		/* asked once and stopped before the answer is not what was wanted; else it is the way to end this */
		if (!ret && kc_stopped() && kc_given(r, OPT_ONCE))
			ret = kc_stop_check(&r->err);
		printed = print_result(&s);
		ret = ret ? ret : printed;
	}
	if (s.lock >= 0)
		close(s.lock);
	return ret;
}
