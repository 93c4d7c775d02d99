#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# rewrap on plain files: one volume and many, inside a provider and between two, refusals,
# and what an interrupted run has left. A volume that is attached meanwhile is in
# tests/integration/kcache-rewrap.sh, the power cuts are in test-power-cut.sh.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

d=$(file vol 20M)
uuid=$(kcache -q create "$d" --label mine) || fail "create makes a volume"
k1=$(recipients "$d")
k2=$(kcache key create --alias two)
k3=$(kcache key create --alias three)
keep one
rewrap() { kcache -q rewrap "$d" "$@"; }

# --- usage ------------------------------------------------------------------
check "rewrap shows an example" grep -q 'kcache rewrap --all' <(kcache rewrap --help)
for args in "" "$d" "--key x" "$d $d --key x" "$d --to x" "--all" "--all --from x" "--all --to x" "--all --from x --to y --key z"; do
	# shellcheck disable=SC2086 # words
	check "rewrap $(tr -d / <<<"${args//$d/DEVICE}") is usage" expect_exit 1 kcache rewrap $args
	check "and the right ones are said" said 'it is kcache rewrap'
done
check "what is no volume is refused" expect_exit 4 kcache rewrap "$(file blank 17M)" --key alias/two
check "and a missing device" expect_exit 4 kcache rewrap "$work/none" --key alias/two

# --- inside one provider ----------------------------------------------------
kcache dump "$d" --json >"$work/before.json"
check "a dry run says what would be done" refused 0 "from key $k1 to $k2; nothing was changed, no KMS was asked" kcache rewrap "$d" --key "$k2" --dry-run
check "without asking what an alias is" refused 1 'a dry run asks no KMS what key alias/two is; name it by its canonical id' rewrap --key alias/two --dry-run
ask_anew
check "rewrap puts another key in the place of its own" expect_exit 0 kcache rewrap "$d" --key alias/two
check "and says that this revokes nothing" said "its data key is the same one: rewrapping revokes nothing.* under $k1"
check "by ReEncrypt; the one unwrap is the new copy's, and its proof" same "$(asked)" "ReEncrypt Decrypt"
check "recorded as rewrapVolume" audited "\"event\":\"rewrapVolume\",\"result\":\"succeeded\",\"volume\":\"$uuid\",.*\"key\":\"$k2\",\"source-key\":\"$k1\",\"wrapped-by\":\"ReEncrypt\",\"proven-by\":\"Decrypt\""
check "the new key is its only recipient" same "$(recipients "$d")" "$k2"
check "and the only one that this host accepts for it" same "$(known)" "$k2"
check "it attaches" passes attach
kcache key disable "$k1" -q
check "without the old key" passes attach
kcache key enable "$k1" -q
kcache dump "$d" --json >"$work/after.json"
check "date, lease, on_revoke, lineage and generation are what they were" json <(/usr/bin/python3 -c 'import json,sys
print(json.dumps([json.load(open(f)) for f in sys.argv[1:]]))' "$work/before.json" "$work/after.json") \
	'all([a[m] == b[m] for a, b in [(j[0]["recipients"][0], j[1]["recipients"][0])] for m in ("created", "lease", "on_revoke", "lineage", "context")])
	and j[0]["label"] == j[1]["label"] and j[0]["layout"] == j[1]["layout"]'
check "again under the same key it is wrapped anew" expect_exit 0 rewrap --key "$k2" --json
check "as the JSON says" json "$_said" "j['changed'] and j['from'] == j['to'] == '$k2' and j['wrapped_by'] == 'ReEncrypt' and j['generation'] == '1' and j['version'] == 1"
kcache dump "$d" --json >"$work/again.json"
check "into another copy" not same "$(jq -r '.recipients[0].wrapped_dek' "$work/again.json")" "$(jq -r '.recipients[0].wrapped_dek' "$work/after.json")"
check "and back" expect_exit 0 rewrap --key "$k1"
check "a volume that is under the key, and not under the one given with --from, is done" refused 0 'there is nothing to do' kcache rewrap "$d" --key "$k1" --from "$k2"
check "one that is under neither is refused" refused 1 "no recipient under key $k2" rewrap --key "$k3" --from "$k2"
restore one

# --- one of several -----------------------------------------------------------
kcache -q recipient add "$d" --key "$k2"
keep two
check "with two recipients one has to be chosen" refused 1 'it has 2 recipients.*; say whose with --from' rewrap --key "$k3"
check "also where one of them is under the key already, and was so before" refused 1 'it has 2 recipients' rewrap --key "$k2"
check "the one that is named goes" expect_exit 0 rewrap --key "$k3" --from "$k1"
check "and the other stays" same "$(sorted "$(recipients "$d")")" "$(sorted "$k2" "$k3")"
restore two
check "one is wrapped anew" expect_exit 0 rewrap --key "$k2" --from "$k2"
check "and both stay" same "$(sorted "$(recipients "$d")")" "$(sorted "$k1" "$k2")"
restore two
ask_anew
check "onto a key that is a recipient already: that one is proven, and is enough" expect_exit 0 rewrap --key "$k2" --from "$k1"
check "with one unwrap" same "$(asked)" "Decrypt"
check "the other one has gone" same "$(recipients "$d") $(known)" "$k2 $k2"
restore two
kcache key disable "$k1" -q
ask_anew
check "one whose key does not work any more is replaced with the help of another" expect_exit 0 rewrap --key "$k3" --from "$k1" --json
check "its reason is told" said "warning: its recipient under key $k1 is of no use, another one is asked: .*disabled"
check "and the copy was made by Encrypt" json <(grep -v '^kcache: ' "$_said") "j['wrapped_by'] == 'Encrypt' and j['proven_by'] == 'Decrypt'"
check "the new key and the helping one are there" same "$(sorted "$(recipients "$d")")" "$(sorted "$k2" "$k3")"
check "and it attaches" passes attach
kcache key enable "$k1" -q
restore two
luks2-edit "$d" set /tokens/9 "$(luks2-edit "$d" print /tokens/0)"
check "two copies under the old key are replaced by one" expect_exit 0 rewrap --key "$k3" --from "$k1"
check "under the new" same "$(sorted "$(recipients "$d")")" "$(sorted "$k2" "$k3")"
restore two
for i in 3 4 5 6 7 8; do
	kcache -q recipient add "$d" --key "$(kcache key create)" || fail "recipient $i of 8"
done
check "with eight recipients one is replaced too" expect_exit 0 rewrap --key "$k3" --from "$k1"
check "and there are eight" same "$(recipients "$d" | wc -w)" 8
check "with the new one" has_line "$(recipients "$d" | tr ' ' '\n')" "$k3"
check "without the old one" not has_line "$(recipients "$d" | tr ' ' '\n')" "$k1"
check "which attaches" passes attach --key "$k3"
restore one

# --- an earlier run that was interrupted -------------------------------------------
cp --sparse=always "$d" "$work/other"
kcache -q rewrap "$d" --key "$k2"
luks2-edit "$d" set /tokens/5 "$(luks2-edit "$work/other" print /tokens/0)"
cp "$work/one.known" "$work/state/volumes/$uuid.json"
check "new copy and old one: it attaches" passes attach
ask_anew
check "the same command completes it" expect_exit 0 rewrap --key "$k2"
check "with a proof of the new one" same "$(asked)" "Decrypt"
check "the new key alone is left" same "$(recipients "$d") $(known)" "$k2 $k2"
cp --sparse=always "$d" "$work/other"
kcache -q rewrap "$d" --key "$k2"
luks2-edit "$d" set /tokens/5 "$(luks2-edit "$work/other" print "/tokens/$(kcache recipient list "$work/other" --json | jq '.recipients[0].token')")"
check "two copies under one key: the same command completes it" expect_exit 0 rewrap --key "$k2"
check "and leaves one" same "$(recipients "$d")" "$k2"
check "which attaches" passes attach
cp --sparse=always "$work/one.img" "$d"
cp "$work/one.known" "$work/state/volumes/$uuid.json"
luks2-edit "$d" set /tokens/5 "$(luks2-edit "$work/other" print "/tokens/$(kcache recipient list "$work/other" --json | jq '.recipients[0].token')")"
luks2-edit "$d" set /tokens/5/lease 60
check "where the new copy does not hold, the old one stays" refused 8 'mac does not hold' rewrap --key "$k2"
restore one

# --- a damaged copy of the header ----------------------------------------------------
dd if=/dev/zero of="$d" bs=4k seek=32 count=1 conv=notrunc status=none
check "with one copy of the header damaged, it is rewrapped" expect_exit 0 rewrap --key "$k2"
check "which is told" said 'warning: the second copy of its header is damaged'
check "and both copies are written anew" same "$(kcache dump "$d" --json | jq .damaged_copy) $(recipients "$d")" "0 $k2"
restore one

# --- refusals: nothing of them is written -------------------------------------------
kcache key disable "$k2" -q
check "a key that is disabled" refused 7 "key $k2 is in state Disabled" rewrap --key "$k2"
kcache key enable "$k2" -q
check "one that is not there" refused 7 NotFoundException rewrap --key local:alias/nobody
kcache key disable "$k1" -q
check "an only recipient that does not work" refused 7 DisabledException rewrap --key "$k2"
kcache key enable "$k1" -q
mv "$work/state/keystore.db" "$work/keystore.db"
check "a keystore that is gone" refused 7 NotFoundException rewrap --key "$k2"
rm -f "$work/state/keystore.db"
mv "$work/keystore.db" "$work/state/keystore.db"
luks2-edit "$d" set /tokens/0/on_revoke '"fail"'
check "a token that was edited: its on_revoke would get a good mac" refused 8 'mac does not hold' rewrap --key "$k2"
restore one
luks2-edit "$d" set /tokens/0/context/kcache:layout "\"$(printf '0%.0s' {1..64})\""
check "a token of another layout" refused 8 'kcache:layout' rewrap --key "$k2"
restore one
rm "$work/state/volumes/$uuid.json"
ask_anew
check "a volume under a key that this host does not pin" refused 8 'does not pin' rewrap --key "$k2"
check "whose KMS is not asked" same "$(asked)" ""
check "but with that key named" expect_exit 0 rewrap --key "$k2" --from "$k1"
restore one
chmod 755 "$work/state"
check "a keystore that others may read" refused 2 'chmod 700' rewrap --key "$k2"
chmod 700 "$work/state"

# --- between providers, and regions ---------------------------------------------------
mode "slow Decrypt"
check "a KMS that does not answer may be tried again" refused 6 'did not answer' rewrap --key "$eu" --timeout 2
mode other
check "a KMS that gives back another key is found out before anything is written" refused 8 'LUKS2 digest does not know' rewrap --key "$eu"
mode reencrypt
ask_anew
check "to another provider" expect_exit 0 rewrap --key "$eu"
check "the DEK is unwrapped, wrapped there, and unwrapped there" same "$(asked)" "Decrypt Encrypt Decrypt"
check "recorded" audited "\"key\":\"$eu\",\"source-key\":\"$k1\",\"wrapped-by\":\"Encrypt\",\"proven-by\":\"Decrypt\""
check "it is under that key alone" same "$(recipients "$d") $(known)" "$eu $eu"
check "and attaches" passes attach
kcache key disable "$k1" -q
check "without the old provider's" passes attach
kcache key enable "$k1" -q
ask_anew
check "inside the region" expect_exit 0 rewrap --key "$eu2"
check "that KMS does it itself" same "$(asked)" "ReEncrypt Decrypt"
ask_anew
check "to another region" expect_exit 0 rewrap --key "$us"
check "it cannot" same "$(asked)" "Decrypt Encrypt Decrypt"
check "to a multi-region key" expect_exit 0 rewrap --key "$mrk_eu"
ask_anew
check "and from one replica of it to another" expect_exit 0 rewrap --key "$mrk_us"
check "it can" same "$(asked)" "ReEncrypt Decrypt"
mode
ask_anew
check "a KMS without ReEncrypt" expect_exit 0 rewrap --key "$us"
check "is asked otherwise" same "$(asked)" "ReEncrypt Decrypt Encrypt Decrypt"
mode reencrypt "refuse ReEncrypt"
check "one that refuses it has the last word" refused 7 'DisabledException' rewrap --key "$mrk_us"
check "and back to the keystore" expect_exit 0 rewrap --key "$k1"
check "where it attaches" passes attach
restore one

# --- all ------------------------------------------------------------------------------------
# four volumes under $k1, one of them with $k2 too, one under another key, one of another host
uuids=()
for n in a b c; do
	uuids+=("$(kcache -q create "$(file "$n" 17M)" --key "$k1")")
done
kcache -q recipient add "$work/b" --key "$k2"
kcache -q create "$(file other 17M)" --key "$k2" >"$work/other.uuid"
stranger=$(kcache -q create "$(file stranger 17M)" --key "$k1")
rm "$work/state/volumes/$stranger.json"
volumes=("$d" "$work/a" "$work/b" "$work/c" "$work/other" "$work/stranger" "$work/blank")
hashes() { sha256sum "${volumes[@]}" | sha256sum; }
all() { kcache -q rewrap --all --from "$k1" --to "${1:-$k3}" "${@:2}"; }
before=$(hashes)
check "all: a dry run" expect_exit 4 all "$k3" "${volumes[@]}" --dry-run --json
check "tells what would be done" json <(grep -v '^kcache: ' "$_said") 'j["dry_run"] and (j["done"], j["pending"], j["skipped"], j["failed"]) == (0, 4, 2, 1)'
check "and changes nothing" same "$(hashes)" "$before"
check "all: the first failure's exit code" expect_exit 4 all alias/three "${volumes[@]}" --json
check "in one line" said '^kcache: 1 of 7 volumes were not moved to key .*; correct what is said above'
check "the report has each of them" json <(grep -v '^kcache: ' "$_said") '(j["done"], j["skipped"], j["failed"]) == (4, 2, 1)
	and [v["result"] for v in j["volumes"]] == ["done"] * 4 + ["skipped"] * 2 + ["failed"]
	and j["volumes"][0]["wrapped_by"] == "ReEncrypt" and j["volumes"][6]["exit_code"] == 4
	and "no recipient" in j["volumes"][4]["reason"] and "neither knows it" in j["volumes"][5]["reason"]'
check "the volumes are under the new key" same "$(recipients "$d") $(recipients "$work/a") $(recipients "$work/c")" "$k3 $k3 $k3"
check "beside what else they had" same "$(sorted "$(recipients "$work/b")")" "$(sorted "$k2" "$k3")"
check "another host's volume is not touched" same "$(recipients "$work/stranger")" "$k1"
before=$(hashes)
check "run again, what is done is passed over" expect_exit 0 all "$k3" "$d" "$work/a" "$work/b" "$work/c"
check "and said" same "$(grep -c '^skipped .* it is under the new key already' "$_said")" 4
check "and nothing is changed" same "$(hashes)" "$before"
check "each is told while it runs" grep -q "^\[1/1\] $d: skipped: " <(kcache rewrap --all --from "$k1" --to "$k3" "$d" 2>&1 >/dev/null)
check "the same keys are usage" expect_exit 1 all "$k1" "$d"
check "a volume that this host knows, and that is not here" expect_exit 4 kcache -q rewrap --all --from "$k3" --to "$k2" "$d" "$work/a"
check "is a failure: it needs the old key still" same "$(grep -cE "^failed +(${uuids[1]}|${uuids[2]}) -  its device is not here" "$_said")" 2
check "and what is here is moved" same "$(recipients "$d") $(recipients "$work/a")" "$k2 $k2"
kcache -q rewrap "$work/a" --key "$eu"
mode reencrypt "slow ReEncrypt"
# the device of the second is missing: 4, but the first may be tried again: 6
kcache -q rewrap "$work/b" --key "$eu2" --from "$k3"
check "6 if any may be tried again" expect_exit 6 kcache -q rewrap --all --from "$eu" --to "$eu2" "$work/blank" "$work/a" --timeout 2
check "with the reasons of all" same "$(grep -c '^failed' "$_said")" 2
mode reencrypt
check "and when the KMS is there, it goes on where it was" expect_exit 0 kcache -q rewrap --all --from "$eu" --to "$eu2" "$work/a"
check "to its end" same "$(recipients "$work/a")" "$eu2"
interrupted() {
	local pid code=0

	mode reencrypt "slow ReEncrypt"
	env --default-signal=INT,TERM,HUP "$tools/kcache" rewrap --all --from "$eu2" --to "$eu" "$work/a" "$work/b" --timeout 60 &
	pid=$!
	wait_for 10 bash -c 'pgrep -P "$0" -f keys-aws' "$pid" && sleep 0.3
	kill -INT "$pid"
	wait "$pid" || code=$?
	mode reencrypt
	return $code
}
check "SIGINT ends it" expect_exit 130 interrupted
check "with a report of what was come to" same "$(grep -cE '^(failed|not done) ' "$_said")" 2
check "and nothing half done" same "$(recipients "$work/a")" "$eu2"
