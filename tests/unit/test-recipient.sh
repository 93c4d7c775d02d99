#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# recipient add, remove, list on plain files: what they do, refuse and record. A volume that
# is attached meanwhile is in tests/integration/kcache-rewrap.sh.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

d=$(file vol 20M)
uuid=$(kcache -q create "$d") || fail "create makes a volume"
k1=$(recipients "$d")
k2=$(kcache key create --alias two)
k3=$(kcache key create --alias three)
keep one

# --- usage ------------------------------------------------------------------
for v in add remove; do
	check "recipient $v wants --key" expect_exit 1 kcache recipient $v "$d"
	check "and says so" said "kcache recipient $v needs --key"
	check "recipient $v shows an example" grep -q "kcache recipient $v /dev" <(kcache recipient $v --help)
done
check "recipient alone is no verb" expect_exit 1 kcache recipient
check "its help has all three" same "$(kcache recipient --help | grep -c '^  recipient ')" 3
check "list refuses what is no volume" expect_exit 4 kcache recipient list "$(file blank 17M)"
check "add refuses what is no volume" expect_exit 4 kcache recipient add "$work/blank" --key alias/two
check "and a missing device" expect_exit 4 kcache recipient add "$work/none" --key alias/two

# --- list -------------------------------------------------------------------
check "list has a line for its recipient" same "$(kcache recipient list "$d" | wc -l)" 2
kcache recipient list "$d" --json >"$work/list.json"
check "and the same in JSON" json "$work/list.json" "j['version'] == 1 and j['uuid'] == '$uuid' and
	[(r['token'], r['provider'], r['key'], r['generation'], r['pinned']) for r in j['recipients']] == [(0, 'local', '$k1', '1', True)]"

# --- add --------------------------------------------------------------------
ask_anew
check "add makes another key a recipient" expect_exit 0 kcache recipient add "$d" --key alias/two
check "and says that it was tried" said "key $k2 opens the volume too"
check "with one unwrap, one wrap, and one unwrap to prove it" same "$(asked)" "Decrypt Encrypt Decrypt"
check "recorded as addRecipient" audited "\"event\":\"addRecipient\",\"result\":\"succeeded\",\"volume\":\"$uuid\",.*\"key\":\"$k2\",\"wrapped-by\":\"Encrypt\",\"proven-by\":\"Decrypt\""
check "list has both, in order" same "$(recipients "$d")" "$k1 $k2"
check "this host accepts both" same "$(known)" "$(sorted "$k1" "$k2")"
check "each of them opens it" passes attach --key "$k1"
check "each of them opens it" passes attach --key "$k2"
kcache dump "$d" --json >"$work/dump.json"
check "both copies agree but for key, date and wrapped DEK" json "$work/dump.json" \
	'all([r[0][m] == r[1][m] for r in [j["recipients"]] for m in ("context", "lineage", "lease", "on_revoke", "keyslot")])
	and j["recipients"][0]["created"] != j["recipients"][1]["created"]'
kcache key disable "$k1" -q
check "with the first disabled, the second opens it" passes attach
check "and the first's reason is told" said "warning: recipient 1 of 2 \\(token 0, key $k1\\) is of no use: .*DisabledException"
check "a third is added by the one that works" expect_exit 0 kcache -q recipient add "$d" --key alias/three --json
check "and JSON says how" json <(grep -v '^kcache: ' "$_said") "j['key'] == '$k3' and j['wrapped_by'] == 'Encrypt' and j['proven_by'] == 'Decrypt' and j['recipients'] == 3"
kcache key enable "$k1" -q
check "a recipient is added once" refused 5 "key $k2 is a recipient already; kcache rewrap" kcache recipient add "$d" --key "$k2"
keep three

# --- remove -----------------------------------------------------------------
ask_anew
check "remove takes one out" expect_exit 0 kcache recipient remove "$d" --key alias/two
check "and says that this revokes nothing" said 'this revokes nothing'
check "one that stays was asked first" same "$(asked)" "Decrypt"
check "recorded as removeRecipient" audited "\"event\":\"removeRecipient\",\"result\":\"succeeded\",\"volume\":\"$uuid\",.*\"key\":\"$k2\",\"proven-by\":\"Decrypt\""
check "the others are there" same "$(recipients "$d")" "$k1 $k3"
check "its key is not accepted for this volume any more" same "$(known)" "$(sorted "$k1" "$k3")"
check "the volume attaches" passes attach
luks2-edit "$d" set /tokens/1 "$(luks2-edit "$work/three.img" print /tokens/1)"
luks2-edit "$d" del /tokens/0
luks2-edit "$d" del /tokens/2
check "a token that was removed and is put back is not pinned" refused 8 "key $k2, which this host does not pin" attach
restore three
check "one that is no recipient cannot be removed" refused 1 'no recipient under key' kcache recipient remove "$d" --key "$(kcache key create)"
kcache -q recipient remove "$d" --key "$k2" && kcache -q recipient remove "$d" --key "$k3"
check "the last one cannot be removed" refused 5 "key $k1 is its only recipient.*; add another one first" kcache recipient remove "$d" --key "$k1"
check "also not with --force" refused 5 'its only recipient' kcache recipient remove "$d" --key "$k1" --force
restore three
kcache key disable "$k2" -q
kcache key disable "$k3" -q
check "none is removed where no other opens the volume" refused 7 'DisabledException.*or take it out unproven with --force' kcache recipient remove "$d" --key "$k1"
ask_anew
check "but with --force" expect_exit 0 kcache recipient remove "$d" --key "$k1" --force
check "no KMS is asked" same "$(asked)" ""
check "recorded without a proof" bash -c 'tail -n 1 "$0" | grep -v proven-by | grep -q "\"key\":\"$1\""' "$work/audit.jsonl" "$k1"
kcache key enable "$k2" -q
kcache key enable "$k3" -q
check "which leaves a volume that attaches" passes attach
restore three
check "of several, --from names the one to be asked" expect_exit 0 kcache -q recipient remove "$d" --key "$k1" --from "$k3"
check "which is not the one to go" refused 1 '--key and --from are the same key' kcache recipient remove "$d" --key "$k3" --from "$k3"
restore three
luks2-edit "$d" set /tokens/7 "$(luks2-edit "$d" print /tokens/1)"
check "two copies under one key go together" expect_exit 0 kcache -q recipient remove "$d" --key "$k2"
check "and the others stay" same "$(recipients "$d")" "$k1 $k3"
restore one

# --- refusals: nothing of them is written -------------------------------------------
add() { kcache -q recipient add "$d" --key "${1:-$k2}" "${@:2}"; }
kcache key disable "$k2" -q
check "add refuses a key that is disabled" refused 7 "key $k2 is in state Disabled; enable it" add
kcache key enable "$k2" -q
check "and one that is not there" refused 7 NotFoundException add local:alias/nobody
kcache key disable "$k1" -q
check "and a volume that nobody opens" refused 7 DisabledException add
kcache key enable "$k1" -q
chmod 755 "$work/state"
check "and a keystore that others may read" refused 2 'chmod 700' add
chmod 700 "$work/state"
luks2-edit "$d" set /tokens/0/lease 3600
check "and a token that was edited: its lease would get a good mac" refused 8 'mac does not hold' add
restore one
luks2-edit "$d" set /config/flags '["allow-discards"]'
check "and flags that were edited" refused 8 'mac does not hold' add
restore one
rm "$work/state/volumes/$uuid.json"
check "and a volume under a key that this host does not pin" refused 8 'does not pin' add
check "but with its key named" expect_exit 0 add "$k2" --from "$k1"
restore one
sed -i 's/"generation":"1"/"generation":"2"/' "$work/state/volumes/$uuid.json"
check "and an old header" refused 8 'generation 1, this host has seen 2' add "$k2" --from "$k1"
restore one
cryptsetup token remove --token-id 0 "$d"
check "and a create that did not finish" refused 4 'creation did not finish' add
restore one
mode "slow Encrypt"
check "a KMS that does not answer may be tried again" refused 6 'did not answer' add "$eu" --timeout 2
mode other
check "a KMS that gives back another key is found out before anything is written" refused 8 'LUKS2 digest does not know' add "$eu"
mode disabled
check "a key of another provider that is disabled" refused 7 'in state Disabled' add "$eu"
rm -f "$work/keys-aws.mode"
mv "$work/keys-aws" "$work/away"
check "a provider that is not here" refused 1 'built without provider "aws"' add "$eu"
mv "$work/away" "$work/keys-aws"

# --- another provider -----------------------------------------------------------------
ask_anew
check "a key of another provider becomes a recipient" expect_exit 0 add "$eu"
check "by one unwrap, one wrap there, one unwrap there" same "$(asked)" "Decrypt Encrypt Decrypt"
check "and opens it alone" passes attach --key "$eu"
mv "$work/state/keystore.db" "$work/keystore.db"
check "also where the keystore is gone" passes attach
mv "$work/keystore.db" "$work/state/keystore.db"

# --- as many as there can be --------------------------------------------------------------
restore one
for i in 2 3 4 5 6 7 8; do
	check "recipient $i of 8" add "$(kcache key create)"
done
check "the ninth is refused" refused 1 'has 8 recipients already, the most there can be; remove a recipient first' add
check "the volume attaches" passes attach
kcache recipient list "$d" --json >"$work/list.json"
check "no two have one date" json "$work/list.json" 'len(set(r["created"] for r in j["recipients"])) == 8'
