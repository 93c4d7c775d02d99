/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KMS as the command sees it: calls to a key helper process, in which the
 * provider libraries run without any privilege of ours. JSON over a socketpair,
 * except for the DEK, which comes in a shared locked mapping.
 *
 * Every call below leaves its own audit event (kc_audit()), named like the
 * operation ("DescribeKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", ...),
 * so a verb reports only what it did itself ("createVolume", "attachVolume").
 * A call that succeeded but can be recorded nowhere fails, and its DEK is wiped.
 */
#ifndef KC_KMS_H
#define KC_KMS_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "secret.h"
#include "token.h"

struct json_object;
struct kc_kms;

enum kc_key_state { KC_KEY_ENABLED, KC_KEY_DISABLED, KC_KEY_PENDING_DELETION, KC_KEY_PENDING_IMPORT,
		    KC_KEY_UNAVAILABLE };

/** struct kc_key_info - DescribeKey's answer; strings are empty where the provider says nothing */
struct kc_key_info {
	char provider[16];
	char key[KC_KEY_NAME_MAX];	/* canonical */
	enum kc_key_state state;
	unsigned int version;		/* current key material, from 1 */
	char created[32];
	char deletion[32];	/* when it goes, while it is pending deletion */
	char description[256];
};

/**
 * kc_kms_open() - prepare to ask a KMS
 *
 * The key helper of a provider is started with the first call that is for it:
 * fork() and exec() with nothing inherited but its socket and a mapping of its
 * own. One deadline of @c->timeout seconds from here covers all calls. @c must
 * live as long as *@kms.
 *
 * Return: 0 or an exit code; *@kms is NULL on error.
 */
int kc_kms_open(const struct kc_conf *c, struct kc_kms **kms, struct kc_error *err);

/**
 * kc_kms_start() - start a provider's key helper now
 * @provider: "local", "aws", "pkcs11", "tpm2"
 *
 * The calls below do this by themselves; this is for who wants to know early.
 */
int kc_kms_start(struct kc_kms *kms, const char *provider, struct kc_error *err);

/**
 * kc_kms_share() - what is asked from here on may take one part in @parts of the time left
 *
 * For several recipients under the one deadline: a slow one must not eat the time of
 * those after it, and what it did not need is theirs. A key helper that has not survived
 * an earlier part is started anew. 1 gives all that is left. An unwrapped DEK stays.
 */
void kc_kms_share(struct kc_kms *kms, unsigned int parts);

/** kc_kms_use_grant() - send a grant token with every Decrypt from here on; borrowed, NULL for none */
void kc_kms_use_grant(struct kc_kms *kms, const char *token);

/** kc_key_provider() - whose is a key of this name? What has no prefix is the local keystore's. */
void kc_key_provider(const char *name, char out[static 16]);

/** kc_kms_close() - wipe the mapping, end the helper, reap it; @kms may be NULL */
void kc_kms_close(struct kc_kms *kms);

/**
 * kc_kms_describe() - resolve a key name (alias or canonical) and describe it
 *
 * Makes the managed default key (local:alias/kcache) if it is named and is not
 * there yet, as DescribeKey of AWS does with alias/aws/ebs.
 */
int kc_kms_describe(struct kc_kms *kms, const char *name, struct kc_key_info *info, struct kc_error *err);

/**
 * kc_kms_generate() - GenerateDataKeyWithoutPlaintext, 64 bytes
 * @b: key is canonical
 * @wrapped: KC_WRAPPED_MAX bytes
 */
int kc_kms_generate(struct kc_kms *kms, const struct kc_binding *b, uint8_t *wrapped, size_t *wrapped_len,
		    struct kc_error *err);

/**
 * kc_kms_encrypt() - wrap a DEK that exists already
 * @b: key is canonical
 * @wrapped: KC_WRAPPED_MAX bytes
 *
 * The DEK in the mapping is wiped.
 */
int kc_kms_encrypt(struct kc_kms *kms, const struct kc_binding *b, const uint8_t dek[static KC_DEK_SIZE],
		   uint8_t *wrapped, size_t *wrapped_len, struct kc_error *err);

/**
 * kc_kms_re_encrypt() - wrap a DEK anew, for another key or context, without showing it to us
 * @from, @old, @old_len: what it is wrapped for now
 * @to: what it is to be wrapped for; the same provider
 * @wrapped: KC_WRAPPED_MAX bytes, may be @old
 */
int kc_kms_re_encrypt(struct kc_kms *kms, const struct kc_binding *from, const uint8_t *old, size_t old_len,
		      const struct kc_binding *to, uint8_t *wrapped, size_t *wrapped_len, struct kc_error *err);

/**
 * kc_kms_decrypt() - unwrap a DEK
 * @dek: receives a pointer into the shared mapping, KC_DEK_SIZE bytes, valid until
 *	kc_kms_wipe(), the next decrypt or kc_kms_close()
 *
 * The answer is a DEK of exactly 64 bytes, or an error.
 */
int kc_kms_decrypt(struct kc_kms *kms, const struct kc_binding *b, const uint8_t *wrapped, size_t wrapped_len,
		   const uint8_t **dek, struct kc_error *err);

/** kc_kms_wipe() - wipe the DEK in the mapping now */
void kc_kms_wipe(struct kc_kms *kms);

/** kc_kms_request_id() - request id of the last answer, "" if it had none */
const char *kc_kms_request_id(const struct kc_kms *kms);

/**
 * kc_kms_admin() - an administrative call
 * @params: its arguments, borrowed; may be NULL where all are optional
 * @answer: receives the answer's members, json_object_put() it
 *
 *	CreateKey		{ "alias"?, "description"?, "origin"?: "EXTERNAL" } -> { key info, "alias"? }
 *	EnableKey, DisableKey	{ "key" } -> key info
 *	RotateKeyOnDemand	{ "key" } -> key info
 *	EnableKeyRotation	{ "key", "days"? } -> {}
 *	DisableKeyRotation	{ "key" } -> {}
 *	GetKeyRotationStatus	{ "key" } -> { "rotation": bool, "days"?, "next"? }
 *	ScheduleKeyDeletion	{ "key", "days"? } -> key info
 *	CancelKeyDeletion	{ "key" } -> key info
 *	CreateAlias, UpdateAlias { "alias", "key" } -> {}
 *	DeleteAlias		{ "alias" } -> {}
 *	CreateGrant		{ "key", "grantee", "operations": [...], "context"?: {...} } -> { "grant_id", "grant_token" }
 *	RetireGrant		{ "key", "grant_id" } or { "grant_token" } -> {}
 *	RevokeGrant		{ "key", "grant_id" } -> {}
 *	ListGrants		{ "key", "marker"? } -> { "grants": [ { "grant_id", "grantee", "operations", "context", "created" } ], "next"? }
 *	GetKeyPolicy		{ "key" } -> { "policy" }: the text of a JSON document
 *	PutKeyPolicy		{ "key", "policy" } -> {}
 *	GetParametersForImport	{ "key" } -> { "public_key", "import_token", "valid_to" }: base64 and a date
 *	ImportKeyMaterial	{ "key", "import_token", "material", "valid_to"? } -> key info: base64
 *	DeleteImportedKeyMaterial { "key" } -> key info
 *	ListKeys		{ "marker"? } -> { "keys": [ key info ], "next"? }
 *	ListAliases		{ "key"?, "marker"? } -> { "aliases": [ { "alias", "key" } ], "next"? }
 *
 * A provider has those that its API has; another is UnsupportedOperationException.
 * key info is { "provider", "key", "state", "version", "created", "deletion", "description" };
 * "key" may be an alias in a request and is canonical in an answer. A list goes
 * on with "marker" = "next" as long as there is one.
 */
int kc_kms_admin(struct kc_kms *kms, const char *provider, const char *operation, struct json_object *params,
		 struct json_object **answer, struct kc_error *err);

/**
 * kc_kms_admin_secret() - the same, with a secret of at most KC_DEK_SIZE bytes in the mapping
 *
 *	DescribeKeyStore	{} -> { "sealed"? }: "none", "file" or "credential"; nothing if there is none
 *	SealKeyStore, UnsealKeyStore {} -> { "sealed" }: as kcache.conf says, or not
 *	BackupKeyStore		{ "file", "header" } -> {}: to a new file, under a key that is the secret
 *	RestoreKeyStore		{ "file" } -> {}: where there is no keystore, under that key
 *
 * Only local has these; the last two take a secret.
 */
int kc_kms_admin_secret(struct kc_kms *kms, const char *provider, const char *operation, struct json_object *params,
			const uint8_t *secret, size_t len, struct json_object **answer, struct kc_error *err);

const char *kc_key_state_name(enum kc_key_state s);	/* AWS's words: "Enabled", "PendingDeletion" */

#endif
