#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# moto as moto.sh starts it: a client with the right secret is served, one with
# another is not, and it is gone when it is stopped.
. "$(dirname "$0")/../integration/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
on_exit rm -rf "$work"

for tls in "" tls; do
	on_exit "$here/moto.sh" stop "$work/moto$tls"
	# shellcheck disable=SC2086 # a word or none
	check "moto starts ${tls:-without TLS}" "$here/moto.sh" start "$work/moto$tls" $tls
	# shellcheck source=/dev/null
	. "$work/moto$tls/env"
	kms() { env -u AWS_CONFIG_FILE HOME="$work" /usr/bin/aws kms --endpoint-url "$AWS_ENDPOINT_URL_KMS" "$@"; }
	check "its user makes a key" kms create-key
	export AWS_SECRET_ACCESS_KEY=another
	check "a wrong secret is refused" expect_exit 254 kms create-key
	check "as a signature that does not match" said SignatureDoesNotMatch
	pid=$(cat "$work/moto$tls/pid")
	check "it stops" "$here/moto.sh" stop "$work/moto$tls"
	check "and is gone" not kill -0 "$pid"
done
