// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AWS's errors in the terms of the table of all providers (fault.c): which row, and
 * a sentence with what AWS does not say or says in another place (the region that was
 * asked, the principal, the encryption context, the clock).
 *
 * A name that is not here counts as transient: only what is known to be an
 * authoritative answer about a key may look like one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws.h"

static const struct {
	const char *name;
	enum kh_error error;
} kinds[] = {
	/* about the key */
	{ "DisabledException", KH_DISABLED },
	{ "NotFoundException", KH_NOT_FOUND },
	{ "KMSInvalidStateException", KH_KEY_STATE },
	{ "KeyUnavailableException", KH_UNAVAILABLE },
	{ "AccessDeniedException", KH_DENIED },
	{ "AccessDenied", KH_DENIED },
	{ "NotAuthorized", KH_DENIED },
	{ "OptInRequired", KH_CREDENTIALS },
	{ "InvalidKeyUsageException", KH_INVALID_USAGE },
	{ "UnsupportedOperationException", KH_INVALID_USAGE },

	/* about what was wrapped */
	{ "InvalidCiphertextException", KH_INVALID_CIPHERTEXT },
	{ "IncorrectKeyException", KH_INCORRECT_KEY },

	/* about the request */
	{ "ValidationException", KH_VALIDATION },
	{ "ValidationError", KH_VALIDATION },
	{ "SerializationException", KH_VALIDATION },
	{ "InvalidArnException", KH_VALIDATION },
	{ "InvalidAliasNameException", KH_VALIDATION },
	{ "InvalidMarkerException", KH_VALIDATION },
	{ "InvalidGrantIdException", KH_INVALID_GRANT },
	{ "InvalidGrantTokenException", KH_INVALID_GRANT },
	{ "MalformedPolicyDocumentException", KH_VALIDATION },
	{ "InvalidImportTokenException", KH_VALIDATION },
	{ "ExpiredImportTokenException", KH_VALIDATION },
	{ "IncorrectKeyMaterialException", KH_VALIDATION },
	{ "DryRunOperationException", KH_VALIDATION },
	{ "TagException", KH_VALIDATION },
	{ "AlreadyExistsException", KH_ALREADY_EXISTS },
	{ "ConflictException", KH_ALREADY_EXISTS },
	{ "UnknownOperationException", KH_UNSUPPORTED },
	{ "InvalidAction", KH_UNSUPPORTED },

	/* about the credentials: nothing about the key */
	{ "UnrecognizedClientException", KH_CREDENTIALS },
	{ "InvalidClientTokenId", KH_CREDENTIALS },
	{ "InvalidAccessKeyId", KH_CREDENTIALS },
	{ "AuthFailure", KH_CREDENTIALS },
	{ "ExpiredTokenException", KH_CREDENTIALS },
	{ "ExpiredToken", KH_CREDENTIALS },
	{ "TokenRefreshRequired", KH_CREDENTIALS },
	{ "InvalidToken", KH_CREDENTIALS },
	{ "IncompleteSignature", KH_CREDENTIALS },
	{ "IncompleteSignatureException", KH_CREDENTIALS },
	{ "InvalidSignatureException", KH_CREDENTIALS },
	{ "SignatureDoesNotMatch", KH_CREDENTIALS },
	{ "MissingAuthenticationToken", KH_CREDENTIALS },
	{ "MissingAuthenticationTokenException", KH_CREDENTIALS },
	{ "RequestExpired", KH_CREDENTIALS },
	{ "RequestInTheFuture", KH_CREDENTIALS },
	{ "RequestTimeTooSkewed", KH_CREDENTIALS },

	/* too much at once */
	{ "ThrottlingException", KH_THROTTLED },
	{ "Throttling", KH_THROTTLED },
	{ "ThrottledException", KH_THROTTLED },
	{ "RequestThrottled", KH_THROTTLED },
	{ "RequestThrottledException", KH_THROTTLED },
	{ "RequestLimitExceeded", KH_THROTTLED },
	{ "TooManyRequestsException", KH_THROTTLED },
	{ "BandwidthLimitExceeded", KH_THROTTLED },
	{ "LimitExceededException", KH_THROTTLED },
	{ "SlowDown", KH_THROTTLED },
	{ "PriorRequestNotComplete", KH_THROTTLED },

	/* a custom or external key store */
	{ "CloudHsmClusterInvalidConfigurationException", KH_KEY_STORE },
	{ "CloudHsmClusterNotActiveException", KH_KEY_STORE },
	{ "CustomKeyStoreInvalidStateException", KH_KEY_STORE },
	{ "CustomKeyStoreNotFoundException", KH_KEY_STORE },
	{ "XksProxyUriUnreachableException", KH_KEY_STORE },
	{ "XksProxyInvalidResponseException", KH_KEY_STORE },

	/* AWS itself */
	{ "KMSInternalException", KH_INTERNAL },
	{ "DependencyTimeoutException", KH_INTERNAL },
	{ "InternalFailure", KH_INTERNAL },
	{ "InternalError", KH_INTERNAL },
	{ "InternalServerError", KH_INTERNAL },
	{ "InternalServerException", KH_INTERNAL },
	{ "ServiceUnavailable", KH_INTERNAL },
	{ "ServiceUnavailableException", KH_INTERNAL },
};

/* States by the texts of AWS's documentation ("<arn> is pending deletion."). */
static const struct {
	const char *text;
	enum kh_error error;
} states[] = {
	{ "is pending deletion", KH_PENDING_DELETION },
	{ "is pending replica deletion", KH_PENDING_DELETION },
	{ "is pending import", KH_PENDING_IMPORT },
	{ "is disabled", KH_DISABLED },
	{ "is unavailable", KH_KEY_STORE },
	{ "key store", KH_KEY_STORE },
};

enum kh_error aws_error_state(const char *message)
{
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strstr(message, states[i].text))
			return states[i].error;
	return KH_KEY_STATE;
}

enum kh_error aws_error_kind(const struct aws_error *e)
{
	enum kh_error state;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, e->name))
			continue;
		if (kinds[i].error == KH_KEY_STATE)
			return aws_error_state(e->message);
		/* AWS says "is pending deletion" under either name */
		state = kinds[i].error == KH_DISABLED ? aws_error_state(e->message) : KH_KEY_STATE;
		return state == KH_PENDING_DELETION ? state : kinds[i].error;
	}
	if (e->status == 429)
		return KH_THROTTLED;
	if (e->status >= 500)
		return KH_INTERNAL;
	return e->name[0] ? KH_INTERNAL : KH_GARBAGE;
}

/* "{ kcache:id = ..., ... }" of what was sent. */
static void shown_context(const struct kc_binding *b, char *out, size_t size)
{
	*out = '\0';
	if (b)
		snprintf(out, size, " for kcache:id %s, kcache:generation %" PRIu64, b->context.id,
			 b->context.generation);
}

/*
 * Who was refused: AWS says it itself ("User: ARN is not authorized to perform:
 * kms:Decrypt on resource: ..."), but not always.
 */
static void shown_principal(const char *message, const char *source, char *out, size_t size)
{
	const char *s = strstr(message, "User: ");
	size_t n = s ? strcspn(s + 6, " ") : 0;

	if (n && n < 256)
		snprintf(out, size, "%.*s", (int)n, s + 6);
	else
		snprintf(out, size, "the credentials from %s", source ? source : "this host");
}

static int denied(struct kh *k, const struct aws_call *c, const char *source, const struct aws_error *e)
{
	char context[160], who[300];

	shown_context(c->context, context, sizeof(context));
	shown_principal(e->message, source, who, sizeof(who));
	kh_fail(k, KH_DENIED, "AWS KMS denies kms:%s on %s to %s%s%s%.200s", c->operation,
		c->key ? c->key : "this account", who, context, e->message[0] ? ": " : "", e->message);
	return kh_next(k, "have the key's policy, the principal's policy or a grant allow kms:%s; a grant made just now needs its --grant-token",
		       c->operation);
}

static int not_found(struct kh *k, const struct aws_call *c, const struct aws_error *e)
{
	kh_fail(k, KH_NOT_FOUND, "AWS KMS in region %s has no %s%s%.200s", c->region, c->key ? c->key : "such thing",
		e->message[0] ? ": " : "", e->message);
	return kh_next(k, "check region %s and %.200s; a deleted key does not come back", c->region,
		       c->key ? c->key : "the name");
}

static int bad_credentials(struct kh *k, const char *source, const struct aws_error *e)
{
	kh_fail(k, KH_CREDENTIALS, "AWS does not accept the credentials from %s%s%.300s", source ? source : "this host",
		e->message[0] ? ": " : "", e->message);
	/* AWS takes requests that are up to 5 minutes old */
	if (llabs((long long)e->skew) > 240)
		return kh_next(k, "set this host's clock: it is %lld seconds %s", llabs((long long)e->skew),
			       e->skew > 0 ? "ahead" : "behind");
	return kh_next(k, "give this host valid credentials, and check its clock");
}

/* What of the table's next steps is about another provider. */
static const struct {
	enum kh_error error;
	const char *next;
} nexts[] = {
	{ KH_VALIDATION, "check the key's name and what was asked of it" },
	{ KH_UNSUPPORTED, "check that what answers there is AWS KMS" },
	{ KH_UNAVAILABLE, "try again; AWS KMS says that the key is unavailable for a moment" },
	{ KH_GARBAGE, "check that what answers there is AWS KMS, and no proxy" },
	{ KH_INTERNAL, "try again; look at AWS's health dashboard if it stays" },
	{ KH_UNREACHABLE, "check network, DNS, proxy and AWS_ENDPOINT_URL_KMS, then try again" },
};

static void sentence(struct kh *k, const struct aws_call *c, const char *source, const struct aws_error *e,
		     enum kh_error kind)
{
	const char *key = c->key ? c->key : "this account";

	switch (kind) {
	case KH_DENIED:
		denied(k, c, source, e);
		break;
	case KH_NOT_FOUND:
		not_found(k, c, e);
		break;
	case KH_CREDENTIALS:
		bad_credentials(k, source, e);
		break;
	case KH_GARBAGE:
		kh_fail(k, kind, "what answers for AWS KMS in %s sent status %ld and nothing that AWS would say",
			c->region, e->status);
		break;
	case KH_INVALID_CIPHERTEXT:
		kh_fail(k, kind, "the wrapped key does not open under %s for this volume%s%.200s", key,
			e->message[0] ? ": " : "", e->message);
		break;
	case KH_INCORRECT_KEY:
		kh_fail(k, kind, "the wrapped key was made by another key than %s%s%.200s", key,
			e->message[0] ? ": " : "", e->message);
		break;
	case KH_DISABLED:
		kh_fail(k, kind, "%s is disabled", key);
		kh_next(k, "enable it: kcache key enable %s", key);
		break;
	case KH_PENDING_DELETION:
		kh_fail(k, kind, "%s is pending deletion", key);
		break;
	case KH_PENDING_IMPORT:
		kh_fail(k, kind, "%s is pending import: its key material is missing or expired", key);
		break;
	default:
		kh_fail(k, kind, "AWS KMS in %s could not do %s for %s (status %ld)%s%.300s", c->region, c->operation,
			key, e->status, e->message[0] ? ": " : "", e->message);
	}
}

int aws_error_fail(struct kh *k, const struct aws_call *c, const char *creds_source, const struct aws_error *e)
{
	enum kh_error kind = aws_error_kind(e);
	size_t i;

	if (e->request_id[0])
		snprintf(k->request_id, sizeof(k->request_id), "%s", e->request_id);
	if (k->error != KH_OK)
		return -1;
	sentence(k, c, creds_source, e, kind);
	for (i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++)
		if (nexts[i].error == kind)
			kh_next(k, "%s", nexts[i].next);
	if (e->name[0])
		kh_name(k, "%s", e->name);
	return -1;
}
