#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table of errors, row by row, for the provider aws: the fake KMS answers in the
# form of a row, the command's own call says what it makes of it: exit code, name, what
# the sentence must name, and whether it asked again. Then what goes wrong on the way
# (TLS, connections, time), many at once, and the rows that moto has.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/aws.sh"

# run.sh's
top=${top:?} tools=${tools:?} DIR=${DIR:?}
call=$top/build/providers/kms-call

timeout_is() { sed -i "s/^timeout = .*/timeout = $1/" "$KCACHE_CONFIG"; }
calls() { fakekms '{"stats": true}' | jq -r ".calls.$1 // 0"; }

# one EXIT NAME TEXT OPERATION ARGUMENT...: a call that fails so
one() {
	local code=$1 name=$2 text=$3

	shift 3
	expect_exit "$code" "$call" "$@" || return
	grep -qE "^$name " "$_said" || { echo "not the name $name"; return 1; }
	grep -qE -- "$text" "$_said" || { echo "not in it: $text"; return 1; }
}

# row FORM EXIT NAME TRIES [TEXT]: TRIES is a number, or "more"
row() {
	local form=$1 code=$2 name=$3 tries=$4 text=${5:-.}

	fakekms "{\"reset\": true, \"style\": \"$style\", \"message\": \"$message\", \"fail\": {\"operation\": \"Decrypt\", \"form\": \"$form\"}}"
	one "$code" "$name" "$text" decrypt "$KEY" "$DIR/blob" || return
	made=$(calls Decrypt)
	case $tries in
	more) [ "$made" -gt 1 ] ;;
	*) [ "$made" -eq "$tries" ] ;;
	esac || { echo "$made calls, not $tries"; return 1; }
}

# rows: the table; a row's text may be that of AWS, so it is looked for where there is one
rows() {
	while read -r form code name tries text; do
		[ "$form" ] || continue
		check "$style, $message: $form is exit $code, $name, asked ${tries/more/more than once}" \
			row "$form" "$code" "$name" "$tries" "$text"
	done
}

# --- the rows ---------------------------------------------------------------

on_exit fakekms_down
check "the fake KMS runs" fakekms_up || exit 1
KEY=$(aws_key first) && KEY2=$(aws_key second)
check "a data key is made" "$call" generate "$KEY" "$DIR/blob"
timeout_is 3

style=plain message=message
rows <<-EOF2
	disabled                  7 DisabledException            1    ^.*$KEY is disabled \\(enable it: kcache key enable $KEY\\)
	pending-deletion          7 KMSInvalidStateException     1    is pending deletion
	pending-deletion-disabled 7 DisabledException            1    is pending deletion
	pending-import            7 KMSInvalidStateException     1    is pending import.*kcache key import
	not-found                 7 NotFoundException            1    region eu-central-1.*check region eu-central-1 and $KEY
	denied                    7 AccessDeniedException        more kms:Decrypt on $KEY to arn:aws:iam::111122223333:user/kcache for kcache:id 3f0b7a5e
	incorrect-key             8 IncorrectKeyException        1    another key than $KEY
	invalid-ciphertext        8 InvalidCiphertextException   1    does not open under $KEY
	invalid-grant-token       1 InvalidGrantTokenException   1    .
	invalid-usage             1 InvalidKeyUsageException     1    symmetric
	validation                1 ValidationException          1    2048
	unavailable               6 KMSInvalidStateException     more connect the key's custom key store
	key-unavailable           6 KeyUnavailableException      more .
	throttle                  6 ThrottlingException          more tried [0-9]+ times
	limit                     6 LimitExceededException       more .
	internal                  6 KMSInternalException         more .
	dependency-timeout        6 DependencyTimeoutException   more .
	service-unavailable       6 ServiceUnavailableException  more .
	unknown-error             6 SomethingNewException        more .
	skew                      2 InvalidSignatureException    2    clock
	bad-signature             2 InvalidSignatureException    2    credentials from
	incomplete-signature      2 IncompleteSignatureException 2    .
	expired-token             2 ExpiredTokenException        2    .
	unrecognized-client       2 UnrecognizedClientException  2    .
	xml-403                   2 SignatureDoesNotMatch        2    .
	html-500                  6 KMSInternalException         more .
	empty                     6 InvalidResponseException     1    no KeyId
	garbage-json              6 InvalidResponseException     more proxy
	not-an-object             6 InvalidResponseException     more proxy
	huge                      6 InvalidResponseException     more no end
	redirect                  6 InvalidResponseException     more status 301
	nul                       6 InvalidResponseException     more proxy
	truncated                 6 InvalidResponseException     more no end
	slow-drip                 6 DependencyTimeoutException   1    in time
	reset                     6 ConnectionError              more cannot reach 127.0.0.1
	hang                      6 DependencyTimeoutException   1    in time
	wrong-length-dek          8 InvalidCiphertextException   1    has not 64 bytes
	wrong-key-id              8 IncorrectKeyException        1    answered for
	no-plaintext              6 InvalidResponseException     1    no Plaintext
	bad-base64                6 InvalidResponseException     1    no Plaintext that is base64
	wrong-algorithm           6 InvalidResponseException     1    another EncryptionAlgorithm
EOF2

# the other forms
for form in "plain none" "namespace Message" "mixed mixed"; do
	read -r style message <<<"$form"
	rows <<-EOF2
		disabled            7 DisabledException          1    .
		not-found           7 NotFoundException          1    $KEY
		incorrect-key       8 IncorrectKeyException      1    .
		invalid-ciphertext  8 InvalidCiphertextException 1    .
		denied              7 AccessDeniedException      more kms:Decrypt on $KEY
		throttle            6 ThrottlingException        more .
		expired-token       2 ExpiredTokenException      2    .
	EOF2
done
style=namespace message=Message
rows <<-EOF2
	pending-deletion    7 KMSInvalidStateException 1 is pending deletion
	pending-import      7 KMSInvalidStateException 1 is pending import
EOF2

# --- a state that nobody says --------------------------------------------------

# state_without_text STATE EXIT TEXT
state_without_text() {
	fakekms "{\"reset\": true, \"state\": {\"$KEY\": \"$1\"}, \"fail\": {\"operation\": \"Decrypt\", \"form\": \"state-without-text\"}}"
	one "$2" KMSInvalidStateException "$3" decrypt "$KEY" "$DIR/blob"
}
check "without a text DescribeKey says: pending deletion, when, and what to do" \
	state_without_text PendingDeletion 7 "will be lost on 20[0-9-]+T.*before then: kcache key cancel-deletion $KEY"
check "pending import" state_without_text PendingImport 7 "pending import"
check "unavailable, which may pass" state_without_text Unavailable 6 "key store is not connected"
check "enabled: nobody knows, which may pass" state_without_text Enabled 6 "."
fakekms "{\"reset\": true, \"state\": {\"$KEY\": \"Enabled\"}, \"fail\": [{\"operation\": \"Decrypt\", \"form\": \"state-without-text\"}, {\"operation\": \"DescribeKey\", \"form\": \"denied\"}]}"
check "nor if DescribeKey is denied" one 6 KMSInvalidStateException . decrypt "$KEY" "$DIR/blob"
fakekms "{\"reset\": true, \"state\": {\"$KEY\": {\"state\": \"PendingDeletion\", \"deletion\": 864000}}}"
check "the date of a deletion is told with KMS's own words, too" \
	one 7 KMSInvalidStateException "will be lost on 20" decrypt "$KEY" "$DIR/blob"
fakekms "{\"reset\": true, \"state\": {\"$KEY\": \"Enabled\"}}"

# --- what may pass -----------------------------------------------------------------

timeout_is 10
# after FORM COUNT [EXIT]: so often, then as it should be
after() {
	fakekms "{\"reset\": true, \"fail\": {\"operation\": \"Decrypt\", \"form\": \"$1\", \"count\": $2}}"
	expect_exit "${3:-0}" "$call" decrypt "$KEY" "$DIR/blob"
}
for form in throttle internal html-500 truncated reset garbage-json denied expired-token unavailable; do
	check "after one $form it opens" after $form 1
done
check "after five throttled calls it opens" after throttle 5
check "after two refusals of the credentials it does not" after expired-token 2 2
check "an error has KMS's request id" one 7 NotFoundException '^NotFoundException [0-9a-f-]{36} ' \
	describe "${KEY%????????????}000000000000"

# --- DescribeKey ----------------------------------------------------------------------

check "a key that signs is refused, with the reason" one 1 InvalidKeyUsageException "it is not symmetric" \
	describe "$(aws_key signing --key-spec RSA_2048 --key-usage SIGN_VERIFY)"
check "so is a key of an AWS service" one 1 InvalidKeyUsageException "key of an AWS service" describe aws:alias/aws/ebs
check "an alias that is not there is exit 7" one 7 NotFoundException "aws:alias/nobody" describe aws:alias/nobody
check "a key of another region is asked for there" one 7 NotFoundException "region eu-west-1" \
	describe "${KEY/eu-central-1/eu-west-1}"
check "ReEncrypt to another region is unsupported" one 1 UnsupportedOperationException "unwrap and wrap" \
	re-encrypt "$KEY" "$DIR/blob" "${KEY/eu-central-1/eu-west-1}" "$DIR/blob2"

# --- everything is sent -------------------------------------------------------------------

fakekms '{"reset": true}'
"$call" decrypt "$KEY" "$DIR/blob" grant-token-that-is-none >/dev/null
last=$(fakekms '{"stats": true}' | jq -c '.requests[-1]')
sent() { jq -e "$1" <<<"$last"; }
check "KeyId, context and algorithm go with Decrypt" sent ".params | .KeyId == \"$KEY\" and
	.EncryptionAlgorithm == \"SYMMETRIC_DEFAULT\" and .EncryptionContext == {
	\"kcache:id\": \"3f0b7a5e-61f5-4a3f-9c39-6f0d7f1c2a11\", \"kcache:generation\": \"1\",
	\"kcache:layout\": (\"a\" * 64)}"
check "and the grant token" sent '.params.GrantTokens == ["grant-token-that-is-none"]'
check "User-Agent is kcache and its version" sent ".user_agent == \"kcache/$(cat "$top/VERSION")\""
check "the request is signed for the key's region" sent '.region == "eu-central-1"'

# --- the helper's memory ---------------------------------------------------------------------

check "after Decrypt and Encrypt nothing of the data key is left in the helper" "$call" memory "$KEY" "$DIR/blob"

# --- many at once, and time ----------------------------------------------------------------------

timeout_is 60
many() {
	local -a pids=()
	local pid i failed=0

	for ((i = 0; i < $1; i++)); do
		"$call" decrypt "$KEY" "$DIR/blob" >"$DIR/many.$i" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || failed=$((failed + 1)); done
	[ "$failed" -eq 0 ] || { cat "$DIR"/many.*; echo "$failed of $1 failed"; return 1; }
}
fakekms '{"reset": true, "throttle": 0.5}'
check "200 at once with half of all calls throttled all open" many 200
check "that were more than 250 calls" test "$(calls Decrypt)" -gt 250
fakekms '{"reset": true}'

timeout_is 3
# late MILLISECONDS: the last call took no more
late() { [ "$(awk '{ print $3 }' "$_said")" -le "$1" ]; }
good=$AWS_ENDPOINT_URL_KMS
export AWS_ENDPOINT_URL_KMS=http://127.0.0.1:1
check "nobody listens: exit 6" one 6 ConnectionError "cannot reach 127.0.0.1:1" decrypt "$KEY" "$DIR/blob"
check "within a second of the deadline" late 4000
export AWS_ENDPOINT_URL_KMS=https://no-such-host.invalid
check "no such name: exit 6" one 6 ConnectionError "cannot reach no-such-host.invalid" decrypt "$KEY" "$DIR/blob"
check "within a second of the deadline" late 4000
export AWS_ENDPOINT_URL_KMS=http://192.0.2.1
check "http:// to another host is refused" one 1 ValidationException "without TLS" decrypt "$KEY" "$DIR/blob"
export AWS_ENDPOINT_URL_KMS=$good
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
check "without credentials: exit 2" one 2 UnrecognizedClientException "no AWS credentials" decrypt "$KEY" "$DIR/blob"
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
fakekms '{"skew": 3600}'
check "a clock that is wrong: exit 2, and that is told" one 2 InvalidSignatureException "clock" decrypt "$KEY" "$DIR/blob"
fakekms_down

# --- TLS -------------------------------------------------------------------------------------------

# tls KIND: a server with this certificate; KEY is not in it, so what answers is NotFoundException
tls() { fakekms_down; fakekms_up --tls "$1" --certs "$DIR/certs"; }
export SSLKEYLOGFILE=$DIR/keylog
check "over TLS with a private CA it answers" tls good
check "which is asked" one 7 NotFoundException . decrypt "$KEY" "$DIR/blob"
ca=$AWS_CA_BUNDLE
unset AWS_CA_BUNDLE
check "without that CA it is not" one 6 ConnectionError "not who it says it is" decrypt "$KEY" "$DIR/blob"
echo "aws_ca_file = $ca" >>"$KCACHE_CONFIG"
check "aws_ca_file names it as well" one 7 NotFoundException . decrypt "$KEY" "$DIR/blob"
sed -i '/^aws_ca_file/d' "$KCACHE_CONFIG"
export AWS_CA_BUNDLE=$DIR/none.pem
check "a CA file that is not there is exit 1" one 1 ValidationException "aws_ca_file in kcache.conf" decrypt "$KEY" "$DIR/blob"
tls wrong-name
check "a certificate for another name: exit 6" one 6 ConnectionError "not who it says it is" decrypt "$KEY" "$DIR/blob"
check "within a second of the deadline" late 4000
tls expired
check "an expired certificate: exit 6" one 6 ConnectionError "expired" decrypt "$KEY" "$DIR/blob"
check "the secrets of TLS were written nowhere" not test -e "$DIR/keylog"
unset SSLKEYLOGFILE

# TLS 1.1 at most, by somebody else's server
openssl s_server -www -accept 127.0.0.1:0 -cert "$DIR/certs/good.crt" -key "$DIR/certs/good.key" -tls1_1 \
	-cipher DEFAULT@SECLEVEL=0 </dev/null >"$DIR/s_server" 2>&1 &
server=$!
on_exit kill $server
wait_for 5 grep -q ACCEPT "$DIR/s_server"
port=$(sed -n 's/^ACCEPT.*://p' "$DIR/s_server")
export AWS_ENDPOINT_URL_KMS=https://127.0.0.1:${port:-1}
check "TLS 1.1 is refused" one 6 ConnectionError "127.0.0.1:.*(version|protocol|alert)" decrypt "$KEY" "$DIR/blob"

# --- what moto says -----------------------------------------------------------------------------------

timeout_is 5
unset AWS_CA_BUNDLE
on_exit "$top/tests/providers/moto.sh" stop "$DIR/moto"
check "moto runs" "$top/tests/providers/moto.sh" start "$DIR/moto"
# shellcheck source=/dev/null
. "$DIR/moto/env"
KEY=$(aws_key first) && KEY2=$(aws_key second)
check "moto: a data key is made" "$call" generate "$KEY" "$DIR/blob"
check "moto: and unwrapped" "$call" decrypt "$KEY" "$DIR/blob"
check "moto: another key is exit 7" one 7 AccessDeniedException "$KEY2" decrypt "$KEY2" "$DIR/blob"
# the last byte belongs to the tag
printf '%b' "\\x$(tail -c 1 "$DIR/blob" | od -An -tx1 | tr -d ' ' | tr 0-9a-f 1-9a-f0)" >"$DIR/byte"
{ head -c -1 "$DIR/blob"; cat "$DIR/byte"; } >"$DIR/altered"
check "moto: an altered blob is exit 8, without a message" one 8 InvalidCiphertextException "$KEY" decrypt "$KEY" "$DIR/altered"
check "moto: no such key is exit 7" one 7 NotFoundException . describe "${KEY%????????????}000000000000"
export AWS_SECRET_ACCESS_KEY=another
check "moto: a wrong secret is exit 2, from XML" one 2 SignatureDoesNotMatch . decrypt "$KEY" "$DIR/blob"
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
check "moto: an unknown access key is exit 2" one 2 "[A-Za-z]+" . decrypt "$KEY" "$DIR/blob"
