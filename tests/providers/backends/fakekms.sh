#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# AWS KMS as a server of our own plays it (fakekms.py), over TLS with a private CA.

. "$top/tests/providers/aws.sh"

backend_up() {
	fakekms_up --tls good || return
	KEY=$(aws_key first) && KEY2=$(aws_key second) || return
	GONE=arn:aws:kms:$AWS_REGION:111122223333:key/11111111-2222-4333-8444-555555555555
	export CONFORMANCE_GRANTEE=arn:aws:iam::111122223333:user/host
}

backend_down() { fakekms_down; }

backend_do() {
	case $1 in
	disable) fakekms "{\"state\": {\"$2\": \"Disabled\"}}" ;;
	enable | import-material) fakekms "{\"state\": {\"$2\": \"Enabled\"}}" ;;
	schedule-deletion) fakekms "{\"state\": {\"$2\": \"PendingDeletion\"}}" ;;
	cancel-deletion) fakekms "{\"state\": {\"$2\": \"Disabled\"}}" ;;
	lose-material) fakekms "{\"state\": {\"$2\": \"PendingImport\"}}" ;;
	deny | allow) fakekms "{\"$1\": \"$2\"}" ;;
	down) fakekms '{"fail": {"form": "reset"}}' ;;
	slow) fakekms '{"fail": {"form": "hang"}}' ;;
	garbage) fakekms '{"fail": {"form": "html-500"}}' ;;
	throttled) fakekms '{"fail": {"form": "throttle"}}' ;;
	short-dek) fakekms '{"fail": {"operation": "Decrypt", "form": "wrong-length-dek"}}' ;;
	well) fakekms '{"fail": []}' ;;
	*) return 77 ;;
	esac
}
