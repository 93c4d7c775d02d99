#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# AWS KMS as moto plays it, somebody else's reading of the wire protocol, with
# signatures checked. It has no key states and no permissions on keys.

. "$top/tests/providers/aws.sh"

backend_up() {
	"$top/tests/providers/moto.sh" start "$DIR/moto" || return
	# shellcheck source=/dev/null
	. "$DIR/moto/env"
	export AWS_REGION=$AWS_DEFAULT_REGION
	aws_home
	KEY=$(aws_key first) && KEY2=$(aws_key second) || return
	GONE=arn:aws:kms:$AWS_REGION:123456789012:key/11111111-2222-4333-8444-555555555555
	# AWS itself says IncorrectKeyException
	export CONFORMANCE_WRONG_KEY=7 CONFORMANCE_GRANTEE=arn:aws:iam::123456789012:user/host
}

backend_down() {
	[ ! -e "$DIR/moto/pid" ] || kill -CONT "$(cat "$DIR/moto/pid")"
	"$top/tests/providers/moto.sh" stop "$DIR/moto"
}

backend_do() {
	case $1 in
	slow) kill -STOP "$(cat "$DIR/moto/pid")" ;;
	well) kill -CONT "$(cat "$DIR/moto/pid")" ;;
	*) return 77 ;;
	esac
}
