#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # $DIR and $top are run.sh's
# What the tests of the provider aws share: the fake KMS as a server of this shell.

# aws_home: a home without anybody's AWS files; the AWS command line makes folders in it
aws_home() {
	export KCACHE_CACHE=${KCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-kcache}
	export HOME=$DIR
}

# fakekms_up [OPTION...]: starts it; exports what the provider takes from the environment
fakekms_up() {
	local scheme=http port=

	[ "${1:-}" != --tls ] || scheme=https
	mkfifo "$DIR/fakekms.port"
	/usr/bin/python3 "$top/tests/providers/fakekms.py" --certs "$DIR/certs" "$@" >"$DIR/fakekms.port" 2>"$DIR/fakekms.log" &
	echo $! >"$DIR/fakekms.pid"
	read -r port <"$DIR/fakekms.port"
	rm "$DIR/fakekms.port"
	[ "$port" ] || { cat "$DIR/fakekms.log"; return 1; }
	export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
	export AWS_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true
	aws_home
	export AWS_ENDPOINT_URL_KMS=$scheme://127.0.0.1:$port
	unset AWS_CA_BUNDLE AWS_SESSION_TOKEN
	[ $scheme = http ] || export AWS_CA_BUNDLE=$DIR/certs/ca.pem
}

fakekms_down() {
	[ -e "$DIR/fakekms.pid" ] || return 0
	kill "$(cat "$DIR/fakekms.pid")" 2>/dev/null
	rm -f "$DIR/fakekms.pid"
}

# fakekms JSON: what fakekms.py describes as control; prints its answer, if it has one
fakekms() {
	local answer

	answer=$(curl -sS --fail-with-body ${AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"} -d "$1" \
		"$AWS_ENDPOINT_URL_KMS/control") || { echo "$answer" >&2; return 1; }
	[ "$answer" = '{}' ] || echo "$answer"
}

# aws_key DESCRIPTION [ARGUMENT...]: the ARN of a new key
aws_key() {
	/usr/bin/aws kms create-key --endpoint-url "$AWS_ENDPOINT_URL_KMS" --region "$AWS_REGION" \
		--query KeyMetadata.Arn --output text --description "$@"
}
