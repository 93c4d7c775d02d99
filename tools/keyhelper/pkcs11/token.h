/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys in PKCS#11 tokens: their names, the module, the session that reaches one. */
#ifndef KP_TOKEN_H
#define KP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "provider.h"

/** enum kp_mechanism - how a DEK is wrapped; the value is the format byte of what comes out */
enum kp_mechanism {
	KP_GCM = 1,		/* with the binding as additional data */
	KP_KEY_WRAP,		/* RFC 3394 */
	KP_KEY_WRAP_PAD,	/* each vendor's own padding */
	KP_KEY_WRAP_KWP,	/* RFC 5649 */
	KP_N_MECHANISMS
};

/** struct kp_name - a name taken apart */
struct kp_name {
	P11KitUri *uri;
	enum kp_mechanism mechanism;
};

/**
 * struct kp_key - a key that was found, with the session to use it in
 * @name: canonical
 * @extractable: the token may give it away
 */
struct kp_key {
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE object;
	CK_TOKEN_INFO token;
	enum kp_mechanism mechanism;
	char name[KC_KEY_NAME_MAX];
	char label[128];
	bool extractable;
};

/**
 * struct kp - this provider's state, in kh.private
 * @f: the module's functions, NULL until it is loaded
 * @module: its path
 * @pin_file: where the last name said that the PIN is, "" for nowhere
 * @refused: the token refused the PIN: it is not tried again
 * @key: the key of the last call
 * @open: it is usable
 */
struct kp {
	CK_FUNCTION_LIST *f;
	char module[PATH_MAX];
	char pin_file[PATH_MAX];
	bool refused;
	struct kp_key key;
	bool open;
};

/* name.c */

/** kp_name_parse() - a URI of RFC 7512 that names a key; kp_name_free() it in any case */
int kp_name_parse(struct kh *k, const char *s, struct kp_name *n);
void kp_name_free(struct kp_name *n);

/** kp_text() - a blank-padded field of PKCS#11, without its blanks; @out has room for @len and a NUL */
void kp_text(const unsigned char *field, size_t len, char *out);

/**
 * kp_name_format() - the canonical name
 * @serial: the name that was given told tokens apart by it
 *
 * Return: false if it is too long.
 */
bool kp_name_format(const CK_TOKEN_INFO *token, bool serial, const CK_ATTRIBUTE *id, const CK_ATTRIBUTE *label,
		    enum kp_mechanism mechanism, char *out, size_t size);

/* rv.c */

const char *kp_rv_name(CK_RV rv, char buf[static 32]);
bool kp_rv_lost(CK_RV rv);	/* the session is gone; a new one may work */

/** kp_rv_fail() - -1; @otherwise is what a value means that says nothing by itself */
int kp_rv_fail(struct kh *k, CK_RV rv, enum kh_error otherwise, const char *what);

/* module.c */

/** kp_load() - the module of @n (may be NULL) or of kcache.conf, initialised; once */
int kp_load(struct kh *k, struct kp *p, const struct kp_name *n);
void kp_unload(struct kp *p);

/* pin.c */

/** kp_pin() - the PIN is in @k's secrets afterwards */
int kp_pin(struct kh *k, const struct kp *p);

/* session.c */

/** kp_open() - find the key and log in; fills @p->key */
int kp_open(struct kh *k, struct kp *p, const struct kp_name *n);
void kp_close(struct kp *p);

/** kp_login() - into a token, if that is needed; @p->refused is minded */
int kp_login(struct kh *k, struct kp *p, const CK_TOKEN_INFO *token, CK_SESSION_HANDLE session);

/** kp_list() - AES keys of all tokens, as ListKeys has them */
int kp_list(struct kh *k, struct json_object *args, struct json_object *result);

/* wrap.c */

/** kp_wrap() - @p->key wraps what is in k->secrets->plain: a DEK, then the hash of its binding */
CK_RV kp_wrap(struct kh *k, struct kp *p, uint8_t *wrapped, size_t *len);

/** kp_unwrap() - the reverse; with GCM the hash has to be there before */
CK_RV kp_unwrap(struct kh *k, struct kp *p, const uint8_t *wrapped, size_t len);

CK_MECHANISM_TYPE kp_mechanism_type(enum kp_mechanism m);

/** kp_mechanism_name() - as in a name; NULL for GCM, which has none */
const char *kp_mechanism_name(enum kp_mechanism m);

#endif
