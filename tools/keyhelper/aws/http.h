/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One HTTP request and its answer, for KMS, STS, and the services that hand out
 * credentials. What a caller cannot switch: certificates and names are verified,
 * TLS is 1.2 or later, redirects are not followed, nothing but HTTP and HTTPS is
 * spoken, and everything ends with the command's deadline.
 */
#ifndef KH_AWS_HTTP_H
#define KH_AWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provider.h"

#define AWS_ANSWER_MAX 131072	/* bytes of an answer's body */
#define AWS_HEADERS_MAX 8192	/* bytes of the answer's headers that are kept */

/**
 * struct aws_signature - what a request is signed with (SigV4)
 * @access_key, @secret: as struct aws_creds; borrowed
 * @session_token: NULL or "" for none
 * @region, @service: of the credential scope: "eu-central-1", "kms"
 */
struct aws_signature {
	const char *access_key;
	const char *secret;
	const char *session_token;
	const char *region;
	const char *service;
};

/**
 * struct aws_http - a request, zeroed but for what is needed, and its answer
 *
 * @method: "GET", "POST", "PUT"
 * @url: http:// or https://; who takes one from a user has checked it
 * @headers: "Name: value", ended by NULL; may be NULL. Never Host, Expect, X-Amz-Date, Authorization
 *	of a signed request: those are ours
 * @body: NULL for none; borrowed, not copied
 * @body_len: bytes of it
 * @sign: NULL for a request without a signature
 * @direct: never through a proxy (link-local and loopback addresses)
 * @connect_ms: at most so long until connected; 0 for the deadline
 * @total_ms: at most so long in all; 0 for the deadline
 *
 * @status: the HTTP status
 * @answer: the body, never NULL after aws_http() returned 0, with a NUL behind it; in pages of
 *	kc_secret_alloc()
 * @answer_len: bytes of it
 * @answer_headers: as they came, lines ended by "\r\n"; for aws_http_header()
 * @cut: the connection ended before the body was whole, or it was longer than AWS_ANSWER_MAX
 */
struct aws_http {
	const char *method;
	const char *url;
	const char *const *headers;
	const char *body;
	size_t body_len;
	const struct aws_signature *sign;
	bool direct;
	int connect_ms;
	int total_ms;

	long status;
	char *answer;
	size_t answer_len;
	char *answer_headers;
	size_t answer_headers_len;
	bool cut;
};

/**
 * aws_http() - send a request, receive the answer, whatever its status
 *
 * Return: 0 with @h's answer, to be aws_http_free()d; -1 after kh_fail() with
 * KH_UNREACHABLE (no answer: DNS, TCP, TLS, proxy), KH_TIMEOUT, or KH_NO_MEMORY,
 * with nothing to free. A @cut answer is an answer: the caller knows what it means.
 */
int aws_http(struct kh *k, struct aws_http *h);

/**
 * aws_http_header() - a header of the answer
 * @out: receives its value, cut to @size - 1 bytes, "" if it is not there
 *
 * Return: was it there?
 */
bool aws_http_header(const struct aws_http *h, const char *name, char *out, size_t size);

/** aws_http_free() - wipe and free the answer; the request can be sent again */
void aws_http_free(struct aws_http *h);

/** aws_http_init() - load what libcurl and TLS need, before the sandbox */
int aws_http_init(void);

/** aws_http_close() - close all connections */
void aws_http_close(void);

/**
 * aws_http_loopback() - is the host of this URL this machine, by an address or by "localhost"?
 *
 * Only there is plain http:// allowed for an endpoint.
 */
bool aws_http_loopback(const char *url);

#endif
