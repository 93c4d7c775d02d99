#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Grants of AWS KMS, from the orchestrator that makes one for a host and a volume to
# the detach that gives it back; and the rest of what can be administered there.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/aws.sh"

# run.sh's
top=${top:?} DIR=${DIR:?}
call=$top/build/providers/kms-call
HOST=arn:aws:iam::111122223333:user/host
id=3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11

# by the orchestrator, or by the host
as() {
	case $1 in
	admin) export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY ;;
	host) export AWS_ACCESS_KEY_ID=AKIAI44QH8DHBEXAMPLE AWS_SECRET_ACCESS_KEY=je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY ;;
	esac
}
admin() { "$call" admin aws "$@"; }
# grant CONTEXT: made, its answer in $grant
grant() {
	grant=$(admin CreateGrant "{\"key\": \"$KEY\", \"grantee\": \"$HOST\", \"operations\": [\"Decrypt\", \"RetireGrant\"], \"context\": $1}") &&
		token=$(jq -r .grant_token <<<"$grant") && [ "$token" ]
}
grants() { as admin; admin ListGrants "{\"key\": \"$KEY\"}" | jq '.grants | length'; }
no_grants() { [ "$(grants)" = 0 ]; }
# info WORD ARGUMENTS...: an operation whose answer is a key in that state
info() { [ "$(admin "${@:2}" | jq -r .state)" = "$1" ]; }

on_exit fakekms_down
check "the fake KMS runs" fakekms_up || exit 1
sed -i 's/^timeout = .*/timeout = 2/' "$KCACHE_CONFIG"
KEY=$(aws_key first)
check "a data key is made" "$call" generate "$KEY" "$DIR/blob"
as host
check "the host may not unwrap it" expect_exit 7 "$call" decrypt "$KEY" "$DIR/blob"
as admin
fakekms '{"propagation": 3600}'
check "a grant is made for it and this volume" grant "{\"kcache:id\": \"$id\"}"
check "it is listed with its constraint" test "$(admin ListGrants "{\"key\": \"$KEY\"}" |
	jq -r '.grants[0] | .grantee + .context["kcache:id"]')" = "$HOST$id"
check "as a constraint on a part of the context" test "$(fakekms '{"stats": true}' |
	jq -r '[.requests[] | select(.operation == "CreateGrant")][-1].params.Constraints | keys[0]')" = EncryptionContextSubset
as host
check "a new grant is not known everywhere" expect_exit 7 "$call" decrypt "$KEY" "$DIR/blob"
check "with its token it is" "$call" decrypt "$KEY" "$DIR/blob" "$token"
check "what is no token is refused before anybody is asked" expect_exit 1 "$call" remember "$KEY" 'a b'

# --- given back at detach -----------------------------------------------------

check "attach keeps the token" "$call" remember "$KEY" "$token"
check "in a file of root's alone" test "$(stat -c %a "$DIR/state/grants/$id")" = 600
check "detach" "$call" retire -
check "gives the grant back" wait_for 10 no_grants
check "and keeps nothing of it" not test -e "$DIR/state/grants/$id"
check "which is audited" wait_for 5 grep -q '"RetireGrant"' "$DIR/log/audit.jsonl"
check "a volume without a grant is detached as well" "$call" retire -

as admin
check "another grant" grant "{\"kcache:id\": \"$id\"}"
as host
"$call" remember "$KEY" "$token"
fakekms '{"fail": {"form": "hang"}}'
started=${EPOCHREALTIME/./}
check "detach does not wait for a KMS that hangs" "$call" retire -
check "not for half a second" test $((${EPOCHREALTIME/./} - started)) -lt 500000
out=$("$call" remember "$KEY" "$token" && "$call" retire - && echo "it ended")
check "nor does who reads its output" test "$out" = "it ended" -a $((${EPOCHREALTIME/./} - started)) -lt 1000000
# both have given up before the KMS is well again
given_up() { [ "$(grep -c '"RetireGrant"' "$DIR/log/audit.jsonl")" -ge 3 ]; }
check "who was left to ask gives up after the deadline" wait_for 20 given_up
fakekms '{"fail": []}'
as admin
check "what is not given back is revoked by who made it" admin RevokeGrant \
	"{\"key\": \"$KEY\", \"grant_id\": \"$(jq -r .grant_id <<<"$grant")\"}"
check "and is gone" no_grants

check "a whole context must be equal" grant "{\"kcache:id\": \"$id\", \"kcache:generation\": \"1\", \"kcache:layout\": \"$(printf 'a%.0s' {1..64})\"}"
check "as KMS is told" test "$(fakekms '{"stats": true}' |
	jq -r '[.requests[] | select(.operation == "CreateGrant")][-1].params.Constraints | keys[0]')" = EncryptionContextEquals
as host
check "it unwraps this volume's key" "$call" decrypt "$KEY" "$DIR/blob" "$token"
as admin
check "retired by key and id" admin RetireGrant "{\"key\": \"$KEY\", \"grant_id\": \"$(jq -r .grant_id <<<"$grant")\"}"
check "and is gone" no_grants

# --- the rest ---------------------------------------------------------------------

check "a key is made, with an alias" info Enabled CreateKey '{"alias": "kcache-test", "description": "made by a test"}'
check "which names it" expect_exit 0 "$call" describe aws:alias/kcache-test
made=$(cut -d' ' -f1 "$_said")
check "an alias that is taken is exit 5" expect_exit 5 "$call" admin aws CreateAlias "{\"alias\": \"kcache-test\", \"key\": \"$KEY\"}"
check "names of AWS's own are refused" expect_exit 1 "$call" admin aws CreateAlias "{\"alias\": \"aws/x\", \"key\": \"$KEY\"}"
check "it is listed" grep -q "\"alias\":\"aws:alias/kcache-test\",\"key\":\"$made\"" <<<"$(admin ListAliases)"
check "for its key, too" test "$(admin ListAliases "{\"key\": \"$made\"}" | jq '.aliases | length')" = 1
check "keys are listed with their states" grep -q "\"key\":\"$made\",\"state\":\"Enabled\"" <<<"$(admin ListKeys)"
check "disabled, by its alias" info Disabled DisableKey '{"key": "aws:alias/kcache-test"}'
check "enabled" info Enabled EnableKey "{\"key\": \"$made\"}"
check "rotated" info Enabled RotateKeyOnDemand "{\"key\": \"$made\"}"
check "rotation every 90 days" admin EnableKeyRotation "{\"key\": \"$made\", \"days\": 90}"
check "is what it says" test "$(admin GetKeyRotationStatus "{\"key\": \"$made\"}" | jq -c '[.rotation, .days]')" = '[true,90]'
check "89 days are refused" expect_exit 1 "$call" admin aws EnableKeyRotation "{\"key\": \"$made\", \"days\": 89}"
check "no rotation" admin DisableKeyRotation "{\"key\": \"$made\"}"
check "is what it says, too" test "$(admin GetKeyRotationStatus "{\"key\": \"$made\"}" | jq .rotation)" = false
check "deletion in 7 days" info PendingDeletion ScheduleKeyDeletion "{\"key\": \"$made\", \"days\": 7}"
check "6 are refused" expect_exit 1 "$call" admin aws ScheduleKeyDeletion "{\"key\": \"$made\", \"days\": 6}"
check "cancelled it is disabled" info Disabled CancelKeyDeletion "{\"key\": \"$made\"}"
admin EnableKey "{\"key\": \"$made\"}" >/dev/null
policy=$(admin GetKeyPolicy "{\"key\": \"$made\"}" | jq -r .policy)
check "its policy is a JSON document" jq -e .Statement <<<"$policy"
check "which can be put" admin PutKeyPolicy "$(jq -n --arg p "$policy" --arg k "$made" '{key: $k, policy: $p}')"
check "what is none is refused" expect_exit 1 "$call" admin aws PutKeyPolicy "{\"key\": \"$made\", \"policy\": \"x\"}"
check "another key gets the alias" admin UpdateAlias "{\"alias\": \"alias/kcache-test\", \"key\": \"$KEY\"}"
check "and loses it" admin DeleteAlias '{"alias": "aws:alias/kcache-test"}'
check "which is gone then" expect_exit 7 "$call" describe aws:alias/kcache-test

# own material; the fake KMS has to make an RSA key of 4096 bits for it
sed -i 's/^timeout = .*/timeout = 60/' "$KCACHE_CONFIG"
key=$(admin CreateKey '{"origin": "EXTERNAL"}' | jq -r .key)
check "a key for own material waits for it" grep -q PendingImport <<<"$("$call" describe "$key")"
parameters=$(admin GetParametersForImport "{\"key\": \"$key\"}")
jq -r .public_key <<<"$parameters" | base64 -d >"$DIR/public"
check "its public key is one" openssl pkey -pubin -inform DER -in "$DIR/public" -noout
head -c 32 /dev/urandom | openssl pkeyutl -encrypt -pubin -keyform DER -inkey "$DIR/public" -pkeyopt rsa_padding_mode:oaep \
	-pkeyopt rsa_oaep_md:sha256 | base64 -w 0 >"$DIR/material"
check "material wrapped for it is imported" info Enabled ImportKeyMaterial "$(jq -n --arg k "$key" \
	--arg t "$(jq -r .import_token <<<"$parameters")" --rawfile m "$DIR/material" '{key: $k, import_token: $t, material: $m}')"
check "a data key is made under it" "$call" generate "$key" "$DIR/blob2"
check "the material is deleted" info PendingImport DeleteImportedKeyMaterial "{\"key\": \"$key\"}"
check "without it nothing opens" expect_exit 7 "$call" decrypt "$key" "$DIR/blob2"

check "an operation that KMS has not is exit 1" expect_exit 1 "$call" admin aws BackupKeyStore
