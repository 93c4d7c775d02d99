#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where the provider aws gets its credentials from, with the command, its key helper
# and the helper's sandbox as they are: each source is good for making a volume. What
# the sources do in detail: tests/unit/test-aws-creds.c.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/aws.sh"

# run.sh's
top=${top:?} tools=${tools:?} DIR=${DIR:?}

on_exit fakekms_down
check "the fake KMS runs" fakekms_up || exit 1
KEY=$(aws_key "of this test")
id=$AWS_ACCESS_KEY_ID secret=$AWS_SECRET_ACCESS_KEY

mkfifo "$DIR/port"
/usr/bin/python3 "$top/tests/providers/fakecreds.py" >"$DIR/port" &
on_exit kill $!
read -r port <"$DIR/port"
services=http://127.0.0.1:$port
services() { curl -sS --fail-with-body -d "$1" "$services/control"; }

unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
echo "aws_config_file = $DIR/aws" >>"$KCACHE_CONFIG"
export AWS_ENDPOINT_URL_STS=$services

# makes [EXIT CODE]: a volume, and nothing that runs on after it
makes() {
	rm -f "$DIR/volume"
	truncate -s 32M "$DIR/volume"
	expect_exit "${1:-0}" "$tools/kcache" create "$DIR/volume" --key "$KEY" -q && no_broker
}

# all helpers and brokers of this test have its configuration's folder in their environment
no_broker() { wait_for 3 none_left; }
none_left() { ! grep -lzs "^AWS_ENDPOINT_URL_STS=$services\$" /proc/[0-9]*/environ | grep -v -e "^/proc/$$/" -e /self/ |
	sed 's/environ$/comm/' | xargs -r cat 2>/dev/null | grep -e kcache; }

# answer PATH BODY: the service hands out what the KMS knows
answer() {
	python3 -c 'import json, sys
print(json.dumps({"reset": True, "fail": {"path": sys.argv[1], "status": 200, "body": sys.argv[2]}}))' "$1" "$2" >"$DIR/rule"
	services "@$DIR/rule" >/dev/null
}

check "without any there is no volume, exit 2" makes 2
check "and it says where it looked" said "no AWS credentials: .* profile \"default\" in $DIR/aws"

cat >"$DIR/aws" <<-EOF
	[default]
	aws_access_key_id = $id
	aws_secret_access_key = $secret
EOF
check "keys in aws_config_file are good" makes
chmod 666 "$DIR/aws"
check "not in a file that others may write" makes 2
check "and it says so" said "may be written by others"
chmod 600 "$DIR/aws"

cat >"$DIR/program" <<-EOF
	#!/bin/sh
	echo ran >>"$DIR/ran"
	cat /proc/self/status >"$DIR/status"
	ls /proc/self/fd >"$DIR/fds"
	echo '{"Version": 1, "AccessKeyId": "$id", "SecretAccessKey": "$secret"}'
EOF
chmod 700 "$DIR/program"
printf '[default]\ncredential_process = %s\n' "$DIR/program" >"$DIR/aws"
check "a credential_process is good" makes
check "it was run once for all requests" same "$(cat "$DIR/ran")" ran
check "it got no descriptor of the helper's" same "$(tr '\n' ' ' <"$DIR/fds")" "0 1 2 3 "
printf '#!/bin/sh\nexit 9\n' >"$DIR/program"
check "one that fails is exit 2" makes 2
check "and its exit code is told" said "ended with exit code 9"
printf '#!/bin/sh\necho $$ >"%s"\nexec sleep 600\n' "$DIR/pid" >"$DIR/program"
begin=$SECONDS
check "one that does not end is exit 6" makes 6
check "in time" test $((SECONDS - begin)) -le $((5 * ${stretch:?} + 2))
check "and is gone" not kill -0 "$(cat "$DIR/pid")"

body='{"AccessKeyId": "'$id'", "SecretAccessKey": "'$secret'", "Token": "", "SessionToken": "", "Code": "Success",
	"Expiration": "2100-01-01T00:00:00Z"}'
rm "$DIR/aws"
export AWS_CONTAINER_CREDENTIALS_FULL_URI=$services/container/open
answer /container "$body"
check "a container's are good" makes
unset AWS_CONTAINER_CREDENTIALS_FULL_URI

echo the-web-token >"$DIR/token"
export AWS_WEB_IDENTITY_TOKEN_FILE=$DIR/token AWS_ROLE_ARN=arn:aws:iam::111122223333:role/web
answer / '{"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {"Credentials": '"$body"'}}}'
check "a web identity's are good" makes
unset AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN

unset AWS_EC2_METADATA_DISABLED
export AWS_EC2_METADATA_SERVICE_ENDPOINT=$services
answer /latest/meta-data/iam/security-credentials/the-role "$body"
check "an instance's are good" makes
fakekms '{"fail": {"form": "expired-token", "count": 1, "operation": "Decrypt"}}'
check "refused ones are fetched anew, once" makes
check "three times in all" same 3 "$(services '{"stats": true}' | grep -o 'security-credentials/the-role' | wc -l)"
fakekms '{"fail": {"form": "expired-token"}}'
check "twice refused is exit 2" makes 2
fakekms '{"fail": []}'
services '{"fail": {"path": "/latest", "status": 503}}' >/dev/null
check "an instance that has none now is exit 6" makes 6
