#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache key: what it prints, refuses and records. No privilege is needed.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/../integration/lib.sh"

cd "$(dirname "$0")" || exit
top=$(cd ../.. && pwd)
tools=${KC_TOOLS:-$top/build/tools}
work=$(mktemp -d)
on_exit rm -rf "$work"
cat >"$work/kcache.conf" <<END
helper = $tools/kcache-keyhelper
state_dir = $work/state
audit_file = $work/log/audit.jsonl
timeout = 20
END
export KCACHE_CONFIG=$work/kcache.conf

kcache() { "$tools/kcache" "$@"; }
json() { /usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
# audited REGEX: the last event
audited() { tail -n 1 "$work/log/audit.jsonl" | grep -E -- "$1"; }
uuid='local:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

# --- nothing there yet ------------------------------------------------------
check "a list of no keys is empty, without headings" same "$(kcache key list)" ""
check "and in JSON" same "$(kcache key list --json | json 'd["version"], d["keys"]')" "(1, [])"
check "looking makes no keystore" bash -c '! test -e "$0"' "$work/state"
check "an alias that is not there is refused" expect_exit 7 kcache key describe local:alias/other
check "with KMS's name for it, and a next step" said '\[NotFoundException, request [0-9a-f-]{36}\]; kcache key list'
check "and recorded" audited '"event":"DescribeKey","result":"failed".*"error":"NotFoundException","exit-code":7,"key":"local:alias/other"'

# --- create -----------------------------------------------------------------
key=$(kcache key create --alias prod --description 'of "production"')
check "create prints the canonical id and nothing else" grep -qxE "$uuid" <<<"$key"
check "and is recorded" audited "\"event\":\"CreateKey\",\"result\":\"succeeded\",\"key\":\"$key\""
check "an alias is given once" expect_exit 5 kcache key create --alias alias/prod
check "and says for which key" said "local:alias/prod exists already, for $key"
check "a bad alias is usage" expect_exit 1 kcache key create --alias 'no spaces'
check "and says what is good" said 'letters, digits and / _ -'
check "an overlong description is usage" expect_exit 1 kcache key create --description "$(printf 'x%.0s' {1..256})"
check "create prints JSON" same "$(kcache key create --alias second --json |
	json 'd["version"], d["state"], d["material"], d["aliases"], d["provider"], d["description"]')" \
	"(1, 'Enabled', 1, ['local:alias/second'], 'local', None)"

# --- describe ---------------------------------------------------------------
for name in "$key" local:alias/prod alias/prod; do
	check "describe knows ${name%-*}" expect_exit 0 kcache key describe "$name"
	check "and resolves it" said "^Key: +$key$"
done
check "describe tells aliases, state and description" same \
	"$(kcache key describe alias/prod --json | json 'd["key"], d["aliases"], d["state"], d["description"]')" \
	"('$key', ['local:alias/prod'], 'Enabled', 'of \"production\"')"
check "the default key is made by its first use" expect_exit 0 kcache key describe local:alias/kcache
check "once" same "$(kcache key describe alias/kcache --json | json 'd["key"]')" \
	"$(kcache key describe alias/kcache --json | json 'd["key"]')"
for name in prod local: local:alias/ "${key#local:}" local:nonsense arn:aws:kms:eu-central-1:1111:alias/x kmip:x; do
	check "$name is no name of a key" expect_exit 1 kcache key describe "$name"
done

# --- list -------------------------------------------------------------------
check "list has every key once" same "$(kcache key list | tail -n +2 | cut -d' ' -f1 | sort -u | wc -l)" 3
check "with headings" grep -q '^KEY  *STATE' <<<"$(kcache key list)"
check "or without" same "$(kcache key list --no-headings | grep -c '^local:')" 3
check "and the same in JSON" same "$(kcache key list --json | json 'len(d["keys"])')" 3

# --- disable, enable --------------------------------------------------------
check "a key is disabled by its alias" expect_exit 0 kcache key disable alias/prod
check "and says what that means" said "$key is disabled; volumes that are attached stay so"
check "recorded under its id" audited "\"event\":\"DisableKey\",\"result\":\"succeeded\",\"key\":\"$key\""
check "a second time is no error" expect_exit 0 kcache -q key disable "$key"
check "and says nothing with -q" same "$(cat "$_said")" ""
check "list shows it" grep -qE "^$key +Disabled" <<<"$(kcache key list)"
check "it is enabled again, in JSON" same "$(kcache key enable "$key" --json | json 'd["key"], d["state"], d["aliases"]')" \
	"('$key', 'Enabled', ['local:alias/prod'])"
check "a key that is not there cannot be enabled" expect_exit 7 kcache key enable alias/gone
# the helpers of other providers lie beside the one of local
install -m 755 "$tools/kcache-keyhelper" "$work/alone"
sed "s|^helper = .*|helper = $work/alone|" "$work/kcache.conf" >"$work/alone.conf"
check "a provider that is not there is said" expect_exit 1 env KCACHE_CONFIG="$work/alone.conf" \
	"$tools/kcache" key disable arn:aws:kms:eu-central-1:111122223333:alias/x
check "by its name" said 'without provider "aws"'

# --- the keystore ----------------------------------------------------------
mv "$work/state/keystore.key" "$work/away"
check "a keystore without its root key is not used" expect_exit 6 kcache key list
check "and says what to restore" said 'keystore.key is missing.*; restore keystore.key from the backup'
mv "$work/away" "$work/state/keystore.key"
chmod 755 "$work/state"
check "a keystore that others may read is not used" expect_exit 2 kcache key list
check "and says what to do" said 'chmod 700'
chmod 700 "$work/state"
check "it is as it was" same "$(kcache key list --json | json 'len(d["keys"])')" 3
