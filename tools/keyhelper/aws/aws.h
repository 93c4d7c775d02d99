/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of the provider aws. */
#ifndef KH_AWS_H
#define KH_AWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "http.h"
#include "provider.h"

/**
 * struct aws_key - a key's name, taken apart
 * @partition: "aws", "aws-cn", ...
 * @account: 12 digits, "" for a name that is no ARN
 * @resource: "key/ID" or "alias/NAME"
 */
struct aws_key {
	char partition[16];
	char region[32];
	char account[16];
	char resource[288];
};

/** aws_claims() - does this start like a name of a key of this provider? */
bool aws_claims(const char *name);

/** aws_region_valid() - a region's name by its grammar */
bool aws_region_valid(const char *region);

/**
 * aws_key_parse() - any name of a key: a key's or alias's ARN, aws:alias/NAME, aws:KEY-ID
 *
 * The region of a name that is no ARN is the configured one.
 *
 * Return: 0, or -1 after kh_fail(KH_VALIDATION).
 */
int aws_key_parse(struct kh *k, const char *name, struct aws_key *out);

/** aws_arn_parse() - an ARN alone, by its strict grammar */
bool aws_arn_parse(const char *arn, struct aws_key *out);

bool aws_key_is_alias(const struct aws_key *key);

/** aws_key_id() - what KMS is told as KeyId: the ARN, or the bare id or alias of a name that is none */
const char *aws_key_id(const struct aws_key *key, char out[static KC_KEY_NAME_MAX]);

/** aws_key_replicas() - are these two replicas of one multi-region key, or the same key? */
bool aws_key_replicas(const struct aws_key *a, const struct aws_key *b);

/** aws_partition() - the partition that a region is in */
const char *aws_partition(const char *region);

/**
 * aws_endpoint() - where a service of a region is
 * @service: "kms", "sts": AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL or the partition's own
 * @url: https://..., or http:// on this machine
 *
 * Return: 0, or -1 after kh_fail(KH_VALIDATION).
 */
int aws_endpoint(struct kh *k, const char *service, const char *region, char *url, size_t size);

/**
 * struct aws_error - what an answer says went wrong
 * @name: AWS's name without namespace; "" where the answer has none
 * @message: "" where it has none; printable
 * @request_id: "" where it has none
 * @skew: seconds that this host's clock is ahead of the answer's Date, 0 if it has none
 */
struct aws_error {
	long status;
	char name[64];
	char message[512];
	char request_id[128];
	int64_t skew;
};

/** aws_error_parse() - from any answer that is no success: JSON, XML, HTML, empty, cut off */
void aws_error_parse(const struct aws_http *h, struct aws_error *e);

/** aws_error_kind() - which row of the table of all providers that is */
enum kh_error aws_error_kind(const struct aws_error *e);

/**
 * struct aws_call - an operation of KMS, for what calls it and for its messages
 * @operation: "Decrypt"
 * @region: where
 * @key: canonical id or any name, as it was asked for; NULL for none
 * @context: the encryption context's binding; NULL for none
 * @grants: may a grant allow it that was made a moment ago? Then a refusal is not the last word
 */
struct aws_call {
	const char *operation;
	const char *region;
	const char *key;
	const struct kc_binding *context;
	bool grants;
};

/** aws_error_fail() - kh_fail() with the table's row, a text and a next step that name what is known */
int aws_error_fail(struct kh *k, const struct aws_call *c, const char *creds_source, const struct aws_error *e);

/** aws_error_state() - a KMSInvalidStateException that says which state: KH_KEY_STATE if it does not */
enum kh_error aws_error_state(const char *message);

/**
 * struct aws_retry - when to try again
 * @now, @pause, @below: the clock, sleeping, a random number below a limit: a test brings its own
 * @deadline: by @now, milliseconds
 * @grants: as in struct aws_call
 * @tries: that failed
 * @refused_at: the first refusal
 * @refreshed: new credentials were fetched
 * @last: there is no time for another try after this one
 */
struct aws_retry {
	int64_t (*now)(void);
	void (*pause)(int64_t ms);
	int64_t (*below)(int64_t limit);
	int64_t deadline;
	bool grants;
	unsigned int tries;
	int64_t refused_at;
	bool refreshed;
	bool last;
};

/** aws_retry_start() - with the clock of this machine */
void aws_retry_start(struct aws_retry *r, int64_t deadline, bool grants);

/**
 * aws_retry() - a try failed: wait for the next one
 * @fresh: receives whether the next try needs new credentials
 *
 * Return: false if there is to be none.
 */
bool aws_retry(struct aws_retry *r, enum kh_error e, bool *fresh);

/**
 * aws_ask() - an operation of KMS with all its tries
 * @params: borrowed
 * @answer: json_object_put() it
 */
int aws_ask(struct kh *k, const struct aws_call *c, struct json_object *params, struct json_object **answer);

/** aws_string() - a string member of an answer, NULL if it is not there */
const char *aws_string(struct json_object *o, const char *name);

/** aws_time() - a time of an answer (seconds since the epoch) as RFC 3339, "" if it is not there */
void aws_time(struct json_object *o, const char *name, char out[static 32]);

/** aws_garbage() - fail: the answer has not what it must have */
int aws_garbage(struct kh *k, const struct aws_call *c, const char *what);

/**
 * aws_describe_any() - DescribeKey of a key that may be of any kind
 * @name: as it was asked for, for messages
 * @why_not: receives why it cannot wrap a volume's key, NULL if it can
 */
int aws_describe_any(struct kh *k, const struct aws_key *key, const char *name, struct kc_key_info *info,
		     const char **why_not);

int aws_describe(struct kh *k, const char *name, struct kc_key_info *info);
int aws_generate(struct kh *k, const struct kc_binding *b, uint8_t *wrapped, size_t *len);
int aws_encrypt(struct kh *k, const struct kc_binding *b, const uint8_t *dek, uint8_t *wrapped, size_t *len);
int aws_decrypt(struct kh *k, const struct kc_binding *b, const uint8_t *wrapped, size_t len, uint8_t *dek);
int aws_re_encrypt(struct kh *k, const struct kc_binding *from, const uint8_t *old, size_t old_len,
		   const struct kc_binding *to, uint8_t *wrapped, size_t *len);

/** aws_base64() - decode canonical base64 straight into @out; the bytes, or 0 if it is none or more than @max */
size_t aws_base64(const char *s, uint8_t *out, size_t max);

int aws_list_aliases(struct kh *k, struct json_object *args, struct json_object *result);
int aws_create_grant(struct kh *k, struct json_object *args, struct json_object *result);
int aws_retire_grant(struct kh *k, struct json_object *args, struct json_object *result);
extern const struct kh_admin_op aws_admin[];

#endif
