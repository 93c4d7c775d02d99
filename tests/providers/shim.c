// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A PKCS#11 module between kcache and a real one, for tokens that do not behave:
 * "MODULE CONTROL" are its arguments (pkcs11_module_args). A line "WORD [NUMBER]" in
 * the file CONTROL makes it do, from the next call on:
 *
 *	login N		C_Login returns N
 *	flags N		tokens have these flags too
 *	final		a wrong PIN would be the last (CKF_USER_PIN_FINAL_TRY)
 *	own-nonce	C_Encrypt takes no nonce but zeros and makes its own
 *	zero-nonce	C_Encrypt takes no nonce but zeros, and uses them
 *	other-nonce	C_Encrypt takes any nonce and uses its own
 *	lost		C_DecryptInit finds its session gone, until a new one is opened
 *	decrypt N	C_Decrypt returns N
 *	hang		C_DecryptInit does not return
 *	crash		C_DecryptInit ends the process
 *
 * Each C_Login and C_OpenSession is a line of CONTROL.log.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST *real, ours;
static char module[PATH_MAX], control[PATH_MAX];
static unsigned int sessions, lost_at;

static bool told(const char *word, unsigned long *n)
{
	FILE *f = fopen(control, "r");
	char line[128], w[64];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		*n = 0;
		found = sscanf(line, "%63s %li", w, (long *)n) >= 1 && !strcmp(w, word);
	}
	if (f)
		fclose(f);
	return found;
}

static void note(const char *what)
{
	char path[PATH_MAX + 8];
	FILE *f;

	snprintf(path, sizeof(path), "%s.log", control);
	f = fopen(path, "a");
	if (f) {
		fprintf(f, "%s\n", what);
		fclose(f);
	}
}

static CK_RV initialize(void *args)
{
	CK_C_INITIALIZE_ARGS a = *(CK_C_INITIALIZE_ARGS *)args;
	CK_RV (*get)(CK_FUNCTION_LIST **);
	void *dl;

	if (!a.pReserved || sscanf(a.pReserved, "%4095s %4095s", module, control) != 2)
		return CKR_ARGUMENTS_BAD;
	a.pReserved = NULL;
	dl = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	if (!dl)
		return CKR_GENERAL_ERROR;
	*(void **)&get = dlsym(dl, "C_GetFunctionList");
	if (!get || get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	/* all that is not changed goes straight there */
	ours.C_Finalize = real->C_Finalize;
	ours.C_GetSlotList = real->C_GetSlotList;
	ours.C_CloseSession = real->C_CloseSession;
	ours.C_FindObjectsInit = real->C_FindObjectsInit;
	ours.C_FindObjects = real->C_FindObjects;
	ours.C_FindObjectsFinal = real->C_FindObjectsFinal;
	ours.C_GetAttributeValue = real->C_GetAttributeValue;
	ours.C_GetMechanismInfo = real->C_GetMechanismInfo;
	return real->C_Initialize(&a);
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = real->C_GetTokenInfo(slot, info);
	unsigned long n;

	if (told("flags", &n))
		info->flags |= n;
	if (told("final", &n))
		info->flags |= CKF_USER_PIN_FINAL_TRY;
	return rv;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY fn, CK_SESSION_HANDLE *s)
{
	note("session");
	sessions++;
	return real->C_OpenSession(slot, flags, app, fn, s);
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	unsigned long n;

	note("login");
	return told("login", &n) ? n : real->C_Login(s, user, pin, len);
}

static CK_GCM_PARAMS *gcm;

static CK_RV encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	static const unsigned char zeros[12];
	unsigned long n;

	gcm = m->pParameter;
	if ((told("own-nonce", &n) || told("zero-nonce", &n)) && memcmp(gcm->iv_ptr, zeros, sizeof(zeros)) != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	if ((told("own-nonce", &n) || told("other-nonce", &n)) && getrandom(gcm->iv_ptr, 12, 0) != 12)
		return CKR_GENERAL_ERROR;
	return real->C_EncryptInit(s, m, key);
}

static CK_RV encrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return real->C_Encrypt(s, in, len, out, out_len);
}

static CK_RV decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	unsigned long n;

	if (told("hang", &n))
		pause();
	if (told("crash", &n))
		abort();
	if (told("lost", &n)) {
		/* always, or only in the session that was there when it was told */
		if (!lost_at)
			lost_at = sessions;
		if (n || lost_at == sessions)
			return CKR_SESSION_HANDLE_INVALID;
	}
	return real->C_DecryptInit(s, m, key);
}

static CK_RV decrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	unsigned long n;

	return told("decrypt", &n) ? n : real->C_Decrypt(s, in, len, out, out_len);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	ours.version.major = 2;
	ours.version.minor = 40;
	ours.C_Initialize = initialize;
	ours.C_GetTokenInfo = token_info;
	ours.C_OpenSession = open_session;
	ours.C_Login = login;
	ours.C_EncryptInit = encrypt_init;
	ours.C_Encrypt = encrypt;
	ours.C_DecryptInit = decrypt_init;
	ours.C_Decrypt = decrypt;
	*list = &ours;
	return CKR_OK;
}
