#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache key: rotation, deletion, aliases, grants, policies, own material, as an
# administrator has them on a local key. What each does to a key is in test-local-*.c.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"

# out PYTHON COMMAND...: an expression over j, what COMMAND prints as JSON
out() {
	"${@:2}" >"$work/out.json" && /usr/bin/python3 -c 'import json, sys
j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$work/out.json" "$1"
}
# audited REGEX: the last event
audited() { tail -n 1 "$work/audit.jsonl" | grep -E -- "$1"; }

key=$(kcache key create --alias prod)
volume=$(file vol 20M)
check "a volume under the key" expect_exit 0 kcache -q create "$volume" --key alias/prod
uuid=$(head -n 1 "$_said")

# --- rotation -----------------------------------------------------------------
check "rotate gives new material" expect_exit 0 kcache key rotate alias/prod
check "and says that the old goes on" said "$key has new material; what the old wrapped is still unwrapped"
check "and is recorded" audited '"event":"RotateKeyOnDemand","result":"succeeded"'
check "rotate prints JSON" same "$(out 'j["material"], j["state"]' kcache key rotate "$key" --json)" "(3, 'Enabled')"
check "yearly" expect_exit 0 kcache key rotate "$key" --yearly
check "is every 365 days" said 'gets new material every 365 days'
check "or every --days" expect_exit 0 kcache key rotate "$key" --days 90
check "which are 90 at least" expect_exit 1 kcache key rotate "$key" --days 89
check "and says so" said 'days is not a number from 90 to 2560'
check "never" expect_exit 0 kcache key rotate "$key" --never
check "not both" expect_exit 1 kcache key rotate "$key" --never --yearly

# --- deletion -----------------------------------------------------------------
check "a deletion is scheduled" expect_exit 0 kcache key schedule-deletion "$key" --days 7
check "and says when, and how to take it back" said "$key will be deleted on 2.*; until that: kcache key cancel-deletion $key"
check "describe shows the date" same "$(out 'j["state"], len(j["deletion"])' kcache key describe "$key" --json)" "('PendingDeletion', 20)"
check "also for people" grep -q '^Deletion:    2' <<<"$(kcache key describe "$key")"
check "the volume is refused with the date" expect_exit 7 kcache attach "$volume" x
check "and the way out" said 'is pending deletion, on 2.*KMSInvalidStateException.*kcache key cancel-deletion local:'
check "a second time is refused" expect_exit 7 kcache key schedule-deletion "$key"
check "the deletion is cancelled" expect_exit 0 kcache key cancel-deletion "$key"
check "the key is disabled then" said 'is disabled'
check "there is nothing to cancel any more" expect_exit 7 kcache key cancel-deletion "$key"
check "it is enabled" expect_exit 0 kcache -q key enable "$key"
check "and again there is nothing to cancel" expect_exit 1 kcache key cancel-deletion "$key"
for days in 6 31; do
	check "$days days are refused" expect_exit 1 kcache key schedule-deletion "$key" --days $days
done
kcache key describe alias/kcache >"$work/default"
check "the default key is not deleted" expect_exit 1 kcache key schedule-deletion alias/kcache
check "and says what to do first" said 'is the default key of this host.*; let another key be that first: kcache key alias KEY'

# --- aliases ------------------------------------------------------------------
check "a second alias" expect_exit 0 kcache key alias "$key" second
check "is the key's" same "$(out 'sorted(j["aliases"])' kcache key describe alias/second --json)" "['local:alias/prod', 'local:alias/second']"
other=$(kcache key create)
check "is recorded with its name" grep -q "\"event\":\"CreateAlias\",\"result\":\"succeeded\",\"key\":\"$key\",\"alias\":\"[^\"]*second\"" "$work/audit.jsonl"
check "it is not moved unasked" expect_exit 5 kcache key alias "$other" second
check "and says whose it is" said "local:alias/second exists already, for $key"
check "it is with --force" expect_exit 0 kcache key alias "$other" second --force
check "and is the other's then" same "$(out 'j["key"]' kcache key describe alias/second --json)" "$other"
check "in JSON, too" same "$(out 'j["key"], j["alias"]' kcache key alias "$other" third --json)" "('$other', 'third')"
check "an alias goes" expect_exit 0 kcache key unalias local:alias/third
check "once" expect_exit 7 kcache key unalias alias/third
check "not the default one" expect_exit 1 kcache key unalias alias/kcache
check "alias/aws/ is AWS's" expect_exit 1 kcache key alias "$key" alias/aws/ebs
check "the default one can be another key's" expect_exit 0 kcache key alias "$other" alias/kcache --force
check "which new volumes take" same "$(out 'j["key"]' kcache key describe alias/kcache --json)" "$other"

# --- policy and grants ----------------------------------------------------------
check "there is a policy" same "$(out 'j["Statement"][0]["Action"]' kcache key policy "$key")" 'kms:*'
cat >"$work/policy" <<END
{ "Version": "2012-10-17", "Statement": [
	{ "Sid": "administration", "Effect": "Allow", "Principal": { "uid": $(id -u) },
	  "Action": [ "kms:*Policy*", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:CreateGrant", "kms:ListGrants",
		      "kms:RevokeGrant", "kms:DescribeKey" ], "Resource": "*" } ] }
END
check "an action that is none is refused" expect_exit 1 kcache key policy "$key" "$work/policy"
check "by the name that KMS has for it" said 'MalformedPolicyDocumentException'
sed -i 's/"kms:\*Policy\*", //' "$work/policy"
check "a policy is put, over several lines" expect_exit 0 kcache key policy "$key" "$work/policy"
check "and read back" same "$(out 'j["policy"]["Statement"][0]["Sid"]' kcache key policy "$key" --json)" administration
check "also from standard input" bash -c '"$0" key policy "$1" - <"$2"' "$tools/kcache" "$key" "$work/policy"
check "what is no JSON is refused" expect_exit 1 kcache key policy "$key" "$tools/kcache"
check "the volume is not ours then" expect_exit 7 kcache attach "$volume" x
check "and the reason is said" said "may not Decrypt with $key: neither its policy nor a grant allows it .AccessDeniedException"
check "a grant needs a grantee" expect_exit 1 kcache key grant "$key"
check "a grant for this host and volume" expect_exit 0 kcache key grant "$key" --grantee "$(uname -n)" --volume "$volume"
grant=$(sed -n 's/^Grant: //p' "$_said")
check "prints its token" said '^Token: [0-9a-f]{64}$'
check "with it the volume gets as far as the kernel" bash -c '"$0" attach "$1" unit-key-admin; [ $? -ne 7 ]' "$tools/kcache" "$volume"
kcache -q detach unit-key-admin
check "grants lists it with its volume" grep -qE "^$grant .* $(uname -n) .* $uuid Decrypt,DescribeKey,RetireGrant\$" <<<"$(kcache key grants "$key")"
check "and in JSON" same "$(out '[g["context"] for g in j["grants"]]' kcache key grants "$key" --json)" "[{'kcache:id': '$uuid'}]"
check "its making is recorded" grep -q "\"event\":\"CreateGrant\",\"result\":\"succeeded\",\"volume\":\"$uuid\",\"key\":\"$key\",\"grant\":\"$grant\",\"grantee\":\"$(uname -n)\"" "$work/audit.jsonl"
check "it is revoked" expect_exit 0 kcache key revoke "$key" "$grant"
check "and that is recorded" audited "\"event\":\"RevokeGrant\",\"result\":\"succeeded\",\"key\":\"$key\",\"grant\":\"$grant\""
check "once" expect_exit 7 kcache key revoke "$key" "$grant"
check "and the volume is not ours any more" expect_exit 7 kcache attach "$volume" x
check "a grant by UUID, in JSON" same "$(out 'len(j["grant_id"]), len(j["grant_token"])' kcache key grant "$key" \
	--grantee "$(uname -n)" --volume "$uuid" --operations Decrypt,RetireGrant --json)" "(64, 64)"
grant=$(/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["grant_id"])' "$work/out.json")
check "is retired by its grantee" expect_exit 0 kcache key retire "$key" "$grant"
check "an operation that no grant has is refused" expect_exit 1 kcache key grant "$key" --grantee x --operations DisableKey
check "a device without a volume is wrong" expect_exit 4 kcache key grant "$key" --grantee x --volume /dev/null

# --- own material -----------------------------------------------------------------
head -c 32 /dev/urandom >"$work/material"
head -c 31 /dev/urandom >"$work/short"
byok=$(kcache -q key create --external --alias byok)
check "an external key waits" same "$(out 'j["state"]' kcache key describe "$byok" --json)" PendingImport
check "no volume is made under it" expect_exit 7 kcache -q create "$(file none 20M)" --key "$byok"
check "and the next step is said" said 'is in state PendingImport; import its material with kcache key import'
check "31 bytes are no material" expect_exit 1 kcache key import "$byok" "$work/short"
check "its material is imported" expect_exit 0 kcache key import "$byok" "$work/material"
check "and the key enabled" said "$byok is enabled"
f=$(file byok 20M)
check "a volume is made under it" expect_exit 0 kcache -q create "$f" --key "$byok"
check "the material is removed" expect_exit 0 kcache key forget "$byok"
check "the volume is refused" expect_exit 7 kcache attach "$f" x
check "other material is not taken" bash -c 'head -c 32 /dev/urandom | "$0" key import "$1" - 2>&1 | grep IncorrectKeyMaterial' "$tools/kcache" "$byok"
check "the same is, from standard input" bash -c '"$0" key import "$1" - <"$2"' "$tools/kcache" "$byok" "$work/material"
check "a public key and a token to wrap it elsewhere" expect_exit 0 kcache key import-parameters "$byok" --json
kcache key import-parameters "$byok" --json >"$work/parameters"
member() { /usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/parameters" "$1"; }
member public_key | base64 -d >"$work/public.der"
check "what OpenSSL wraps" openssl pkeyutl -encrypt -pubin -keyform DER -inkey "$work/public.der" -in "$work/material" \
	-out "$work/wrapped" -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256
check "is imported, for a year" expect_exit 0 kcache key import "$byok" "$work/wrapped" --import-token "$(member import_token)" \
	--valid-to "$(date -u -d '+364 days' +%Y-%m-%dT%H:%M:%SZ)"
check "not with another token" expect_exit 1 kcache key import "$byok" "$work/wrapped" --import-token AAAA
check "a date that has passed is refused" expect_exit 1 kcache key import "$byok" "$work/material" --valid-to 2001-01-01T00:00:00Z
check "a key of the keystore's own takes none" expect_exit 1 kcache key import "$other" "$work/material"
check "and says which does" said 'UnsupportedOperationException.*; make a key for imported material: kcache key create --external'
in_files() { /usr/bin/python3 -c 'import sys
want = open(sys.argv[1], "rb").read()
sys.exit(0 if any(want in open(f, "rb").read() for f in sys.argv[2:]) else 1)' "$work/material" "$@"; }
check "the material is in no file" not in_files "$work"/state/keystore.* "$work/audit.jsonl"
check "although it would be found" in_files "$work/material"

check "another provider's keys are asked of it" expect_exit 1 kcache key list --provider nowhere
check "which has to be there" said 'there is no provider "nowhere"'
