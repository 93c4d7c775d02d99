// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What all volumes of a host need, and what makes its memory or its clock a danger to
 * them. A missing module for the running kernel and what cannot be read are failures;
 * the rest are warnings.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <json-c/json.h>

#include "dm.h"
#include "examine.h"
#include "kms.h"
#include "pins.h"
#include "policy.h"
#include "sysfs.h"

#define MODULES "/lib/modules"
#define NEXT_DKMS "install it: dkms status dm-kcache, or make dkms-install in its sources (KVER=RELEASE for another kernel)"

/* Does modules.dep of a kernel name our module? -1 if there is no such file: no kernel is installed there. */
static int has_module(const char *release)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	int found = 0;
	FILE *f;

	snprintf(path, sizeof(path), MODULES "/%s/modules.dep", release);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (!found && getline(&line, &size, f) > 0) {
		line[strcspn(line, ":")] = '\0';
		found = strstr(line, "/dm-kcache.ko") != NULL;
	}
	free(line);
	fclose(f);
	return found;
}

int kc_examine_module(struct kc_steps *s)
{
	struct kc_error e = { 0 };
	char version[32], enforce[8];
	struct utsname u;

	if (kc_dm_target(version, sizeof(version))) {
		kc_step_ok(s, "module", "dm-kcache is loaded, target version %s", version);
		return 0;
	}
	if (geteuid() != 0) {
		kc_fail(&e, KC_PERM, "run it as root", "not permitted to use device-mapper");
		return kc_step_failed(s, "module", &e);
	}
	uname(&u);
	if (has_module(u.release) == 1) {
		if (kc_sysfs_line("/sys/module/module/parameters/sig_enforce", enforce, sizeof(enforce)) && enforce[0] == 'Y')
			kc_step_warn(s, "module", "modprobe dm-kcache; if its key is rejected, enrol the one DKMS signs with (mokutil)",
				     "dm-kcache is installed and not loaded, and this kernel takes signed modules only");
		else
			kc_step_ok(s, "module", "dm-kcache is installed for %s, and loaded by the first attach", u.release);
		return 0;
	}
	kc_fail(&e, KC_DEVICE, NEXT_DKMS, "there is no module dm-kcache for the running kernel %s", u.release);
	return kc_step_failed(s, "module", &e);
}

static int is_release(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

void kc_examine_kernels(struct kc_steps *s)
{
	struct dirent **names = NULL;
	unsigned int with = 0, without = 0;
	int i, n, has;

	n = scandir(MODULES, &names, is_release, versionsort);
	for (i = 0; i < n; i++) {
		has = has_module(names[i]->d_name);
		with += has == 1;
		without += has == 0;
		if (has == 0)
			kc_step_warn(s, "kernels", NEXT_DKMS, "there is no module dm-kcache for kernel %s: booted, it attaches nothing",
				     names[i]->d_name);
		free(names[i]);
	}
	free(names);
	if (!with && !without)
		kc_step_ok(s, "kernels", "there is none in " MODULES);
	else if (!without)
		kc_step_ok(s, "kernels", "all installed kernels (%u) have the module dm-kcache", with);
}

/* "/a/b/c" to the folder of it that is there. */
static void existing(char *path)
{
	char *slash;

	while (access(path, F_OK) && (slash = strrchr(path, '/')))
		slash[slash == path] = '\0';
}

static int one_more(const struct kc_known *k, void *data)
{
	(void)k;
	++*(unsigned int *)data;
	return 0;
}

static void state(struct kc_steps *s)
{
	struct kc_error e = { 0 };
	unsigned int n = 0;

	if (kc_known_each(&s->r->conf, one_more, &n, &e))
		kc_step_failed(s, "state", &e);
	else
		kc_step_ok(s, "state", "%s knows %u volume%s", s->r->conf.state_dir, n, n == 1 ? "" : "s");
}

static void helper(struct kc_steps *s)
{
	static const char *const others[] = { "aws", "pkcs11", "tpm2" };
	const char *path = s->r->conf.helper;
	char other[PATH_MAX], found[64] = "local";
	struct kc_error e = { 0 };
	size_t i;

	if (access(path, X_OK)) {
		kc_fail(&e, KC_DEVICE, "install the tools again, or correct helper in kcache.conf",
			"the key helper %s cannot be run: %s", path, strerror(errno));
		kc_step_failed(s, "helper", &e);
		return;
	}
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(other, sizeof(other), "%s-%s", path, others[i]);
		if (access(other, X_OK) == 0)
			snprintf(found + strlen(found), sizeof(found) - strlen(found), ", %s", others[i]);
	}
	kc_step_ok(s, "helper", "%s, for keys of: %s", path, found);
}

/* The local keystore, if there is one: that it opens, and what its root key is sealed with. */
static void keystore(struct kc_steps *s)
{
	struct json_object *answer = NULL, *sealed;
	struct kc_error e = { 0 };
	struct kc_kms *kms = NULL;
	char path[PATH_MAX];
	const char *how;
	int ret;

	snprintf(path, sizeof(path), "%s/keystore.db", s->r->conf.state_dir);
	if (access(path, F_OK)) {
		kc_step_ok(s, "keystore", "there is no local keystore");
		return;
	}
	ret = kc_kms_open(&s->r->conf, &kms, &e);
	if (!ret)
		ret = kc_kms_admin_secret(kms, "local", "DescribeKeyStore", NULL, NULL, 0, &answer, &e);
	if (ret) {
		kc_step_failed(s, "keystore", &e);
	} else {
		how = json_object_object_get_ex(answer, "sealed", &sealed) ? json_object_get_string(sealed) : "none";
		if (!strcmp(how, "none"))
			kc_step_warn(s, "keystore", "set keystore_seal in kcache.conf, then kcache key seal",
				     "the root key of the local keystore is not sealed: who copies %s can use its keys",
				     s->r->conf.state_dir);
		else
			kc_step_ok(s, "keystore", "it opens, its root key is sealed (%s)", how);
	}
	json_object_put(answer);
	kc_kms_close(kms);
}

static void audit(struct kc_steps *s)
{
	const char *file = s->r->conf.audit_file;
	char path[PATH_MAX];

	if (!strcmp(file, "none")) {
		kc_step_ok(s, "audit", "events go to the journal alone");
		return;
	}
	snprintf(path, sizeof(path), "%s", file);
	existing(path);
	if (access(path, W_OK))
		kc_step_warn(s, "audit", "correct audit_file in kcache.conf, or what keeps it from being written",
			     "events cannot be written to %s: %s", file, strerror(errno));
	else
		kc_step_ok(s, "audit", "events are written to %s", file);
}

static void clock_of(struct kc_steps *s)
{
	struct timex t = { 0 };

	if (adjtimex(&t) == TIME_ERROR && t.status & STA_UNSYNC)
		kc_step_warn(s, "clock", "run an NTP client", "the clock is not synchronised: AWS refuses requests whose time is 5 minutes off");
	else
		kc_step_ok(s, "clock", "it is synchronised");
}

/* add_key() of attach takes some of root's quota for a moment. */
static void keyring(struct kc_steps *s)
{
	unsigned int uid, keys, max, bytes, max_bytes;
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/key-users", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%u: %*d %*d/%*d %u/%u %u/%u", &uid, &keys, &max, &bytes, &max_bytes) == 5 &&
			uid == geteuid();
	if (f)
		fclose(f);
	if (!found)
		kc_step_ok(s, "keyring", "no key of this user counts");
	else if (keys + 2 > max || bytes + 1024 > max_bytes)
		kc_step_warn(s, "keyring", uid ? "raise kernel.keys.maxkeys and maxbytes (sysctl)" :
						  "raise kernel.keys.root_maxkeys and root_maxbytes (sysctl)",
			     "there is no room for a key: %u of %u keys, %u of %u bytes", keys, max, bytes, max_bytes);
	else
		kc_step_ok(s, "keyring", "%u of %u keys, %u of %u bytes", keys, max, bytes, max_bytes);
}

static void swap(struct kc_steps *s)
{
	char line[512], path[400], plain[400] = "";
	unsigned int n = 0;
	struct stat st;
	FILE *f = fopen("/proc/swaps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%399s", path) != 1 || path[0] != '/')
			continue;
		n++;
		if (strncmp(path, "/dev/zram", 9) && stat(path, &st) == 0 &&
		    !kc_policy_encrypted(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev))
			snprintf(plain, sizeof(plain), "%s", path);
	}
	if (f)
		fclose(f);
	if (plain[0])
		kc_step_warn(s, "swap", "put swap on an encrypted device", "%s is plaintext: what programs read from volumes can end there",
			     plain);
	else
		kc_step_ok(s, "swap", n ? "all of it is encrypted, or in memory" : "there is none");
}

static void dumps(struct kc_steps *s)
{
	char loaded[8];

	if (kc_sysfs_line("/sys/kernel/kexec_crash_loaded", loaded, sizeof(loaded)) && loaded[0] == '1')
		kc_step_warn(s, "crash dumps", "keep dumps on an encrypted device, and leave out what makedumpfile can (-d 31)",
			     "a kernel for crash dumps is loaded: a dump has the keys of attached volumes in it");
	else
		kc_step_ok(s, "crash dumps", "no kernel for crash dumps is loaded");
}

void kc_examine_host(struct kc_steps *s)
{
	state(s);
	helper(s);
	keystore(s);
	audit(s);
	clock_of(s);
	keyring(s);
	swap(s);
	dumps(s);
}
