// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The provider aws: AWS KMS, over the network, with the host's credentials.
 *
 *	arn.c       names of keys
 *	endpoint.c  which host
 *	http.c      HTTP by libcurl
 *	creds*.c    credentials and region (creds.h)
 *	request.c   a request and what its answer says
 *	errors.c    AWS's errors in the terms of the table of all providers
 *	retry.c     when to try again
 *	ops.c       the use of keys
 *	admin.c     their administration
 */
#include <seccomp.h>

#include "aws.h"
#include "creds.h"

/* What a client of the network needs: sockets, and a thread that resolves names. */
static const int syscalls[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(socketpair), SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(select),
	SCMP_SYS(pselect6), SCMP_SYS(sched_yield),
	-1
};

static int aws_prepare(struct kh *k)
{
	(void)k;
	/* before there is anything that it could inherit */
	return aws_creds_prepare() || aws_http_init() ? -1 : 0;
}

static void aws_close(struct kh *k)
{
	(void)k;
	aws_creds_close();
	aws_http_close();
}

static const struct kh_provider aws = {
	.name = "aws",
	.prepare = aws_prepare,
	.syscalls = syscalls,
	.threads = true,
	.claims = aws_claims,
	.describe = aws_describe,
	.generate = aws_generate,
	.encrypt = aws_encrypt,
	.decrypt = aws_decrypt,
	.re_encrypt = aws_re_encrypt,
	.list_aliases = aws_list_aliases,
	.create_grant = aws_create_grant,
	.retire_grant = aws_retire_grant,
	.admin = aws_admin,
	.close = aws_close,
};

const struct kh_provider *const kh_provider = &aws;
