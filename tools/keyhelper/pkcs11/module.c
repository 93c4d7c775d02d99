// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module: somebody's library, loaded into this process, which has no
 * privilege left but its user's files. Loaded directly: p11-kit's proxy refuses
 * the mechanisms that we need.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "token.h"

static int no_module(struct kh *k)
{
	kh_fail(k, KH_VALIDATION, "no PKCS#11 module is configured");
	return kh_next(k, "set pkcs11_module in kcache.conf to the path of the vendor's library");
}

/* Who can write it gets the PIN and every DEK. */
static int check_file(struct kh *k, const char *path)
{
	struct stat st;

	if (path[0] != '/') {
		kh_fail(k, KH_VALIDATION, "the PKCS#11 module \"%s\" is not an absolute path", path);
		return kh_next(k, "correct pkcs11_module in kcache.conf");
	}
	if (stat(path, &st)) {
		kh_fail(k, errno == EACCES ? KH_ACCESS_DENIED : KH_VALIDATION, "cannot find the PKCS#11 module %s: %s", path,
			strerror(errno));
		return kh_next(k, "install it, or correct pkcs11_module in kcache.conf");
	}
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH))) {
		kh_fail(k, KH_ACCESS_DENIED, "the PKCS#11 module %s can be changed by others (uid %u, mode %04o)", path,
			(unsigned int)st.st_uid, (unsigned int)(st.st_mode & 07777));
		return kh_next(k, "make it root's own and writable to root alone, or install it anew");
	}
	return 0;
}

static int not_loaded(struct kh *k, const char *path, const char *why)
{
	kh_fail(k, KH_VALIDATION, "%s cannot be used as a PKCS#11 module: %s", path, why);
	return kh_next(k, "correct pkcs11_module in kcache.conf");
}

static int initialise(struct kh *k, struct kp *p, const char *path)
{
	/* NSS wants to be told where its database is; its structure has one more, empty, member for that */
	struct {
		CK_C_INITIALIZE_ARGS a;
		void *nss;
	} args = { .a = { .flags = CKF_OS_LOCKING_OK,
			  .pReserved = (void *)(uintptr_t)kh_setting(k, "pkcs11_module_args") } };
	CK_RV (*get)(CK_FUNCTION_LIST **);
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CK_RV rv;

	if (!dl)
		return not_loaded(k, path, dlerror());
	*(void **)&get = dlsym(dl, "C_GetFunctionList");
	if (!get || get(&p->f) != CKR_OK || !p->f) {
		p->f = NULL;
		return not_loaded(k, path, "it has no functions");
	}
	rv = p->f->C_Initialize(&args.a);
	if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		snprintf(p->module, sizeof(p->module), "%s", path);
		return 0;
	}
	p->f = NULL;
	kp_rv_fail(k, rv, KH_UNREACHABLE, "start the PKCS#11 module");
	return kh_next(k, "check %.200s and its own configuration", path);
}

int kp_load(struct kh *k, struct kp *p, const struct kp_name *n)
{
	const char *named = n ? p11_kit_uri_get_module_path(n->uri) : NULL;
	const char *path = kh_setting(k, "pkcs11_module");

	if (named && path && strcmp(named, path) != 0) {
		kh_fail(k, KH_VALIDATION, "the key's name has module %.200s, but kcache.conf has %.200s", named, path);
		return kh_next(k, "leave module-path out, or correct pkcs11_module in kcache.conf");
	}
	if (p->f)
		return !named || !strcmp(named, p->module) ? 0 : not_loaded(k, named, "another one is in use");
	path = path ? path : named;
	if (!path)
		return no_module(k);
	return check_file(k, path) ? -1 : initialise(k, p, path);
}

void kp_unload(struct kp *p)
{
	kp_close(p);
	if (p->f)
		p->f->C_Finalize(NULL);
	p->f = NULL;
}
