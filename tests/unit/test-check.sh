#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache check and kcache doctor on plain files: every trouble that a header, the pins, the
# key helper and the KMS can make, what is said of it, with which exit code, and that nothing
# is written. The module is no matter here: it may be there or not. Block devices, known
# volumes and installed kernels are for tests/integration/kcache-check.sh.
. "$(dirname "$0")/lib-cli.sh"
PATH=$tools/../unit:$PATH

d=$(file vol 17M)
key=$(kcache key create --alias vol)
uuid=$(kcache -q create "$d" --key "$key") || fail "create makes a volume"
good=$work/good
head -c 1M "$d" >"$good"
cp -a "$work/state" "$work/state.good"
reset() {
	dd if="$good" of="$d" conv=notrunc status=none
	rm -rf "$work/state"
	cp -a "$work/state.good" "$work/state"
}
# state HASH of all that may not be changed
state() { (cd "$work/state" && find . -type f ! -name '*-shm' ! -name '*-wal' -print0 | sort -z | xargs -0 sha256sum; sha256sum <"$d"); }

# row FILE: what check says of it, "result exit_code key"
row() { kcache check "$1" --json 2>/dev/null | jq -r '.volumes[0] | "\(.result) \(.exit_code) \(.key)"'; }
# step NAME: result and exit code of a step of doctor
step() { kcache doctor "$d" --json 2>/dev/null | jq -r --arg n "$1" '[.steps[] | select(.step == $n) | "\(.result) \(.exit_code)"] | join(",")'; }
# text NAME: what is said there
text() { kcache doctor "$d" --json 2>/dev/null | jq -r --arg n "$1" '.steps[] | select(.step == $n) | .text + "; " + .next'; }
# check_code CODE: check's exit code, whatever the module is
exits() { [ "$(kcache check "$d" --json 2>/dev/null | jq '[.volumes[].exit_code] | max')" = "$1" ]; }

before=$(state)
check "a good volume would attach" same "$(row "$d")" "ok 0 $key"
check "by a real unwrap: there is an event of it" bash -c "tail -n 2 '$work/audit.jsonl' | grep -q '\"Decrypt\"'"
check "and one of the check" bash -c "tail -n 1 '$work/audit.jsonl' | grep -q '\"checkVolume\",\"result\":\"succeeded\",\"volume\":\"$uuid\"'"
for s in configuration device header place history helper "recipient 0"; do
	check "doctor's step \"$s\" is ok" same "$(step "$s")" "ok 0"
done
check "the table has the volume in a line" grep -qE "^$uuid +$d +ok +$key +-$" <(kcache check "$d" 2>/dev/null)
check "without headings it has that alone" same "$(kcache check "$d" -n 2>/dev/null | wc -l)" 1
check "nothing of the DEK is said" not grep -qE '[0-9a-f]{64}' <(kcache doctor "$d" -v 2>&1)
check "neither has written anything" same "$(state)" "$before"

# --- the key ------------------------------------------------------------------
kcache key disable "$key" -q
before=$(state)
check "a disabled key: it would not attach" same "$(row "$d")" "failed 7 null"
check "check ends with 7" expect_exit 7 kcache check "$d"
check "and says how many" said '1 of 1 volumes would not attach now'
check "with reason and next step" said "$key is disabled \[DisabledException\]; enable it: kcache key enable $key"
check "doctor fails at the recipient" same "$(step "recipient 0")" "failed 7"
check "with the next step" matches "$(text "recipient 0")" "enable it: kcache key enable $key"
check "neither has enabled it" same "$(state)" "$before"
kcache key schedule-deletion "$key" --days 7 -q >/dev/null
day=$(date -u -d '+7 days' +%Y-%m-%d)
check "pending deletion is told with its date" matches "$(text "recipient 0")" "pending deletion, on ${day}T"
check "and what to do" matches "$(text "recipient 0")" "kcache key cancel-deletion $key; kcache key enable $key"
reset

spare=$(kcache key create --alias spare)
kcache -q recipient add "$d" --key alias/spare
kcache key disable "$spare" -q
check "of two recipients one of no use is a warning" same "$(row "$d")" "warning 0 $key"
check "that names it" grep -q "key $spare does not open it, another one does: .* \[DisabledException\]; enable it" <(kcache check "$d" 2>/dev/null)
check "doctor too" same "$(step "recipient 1")" "warning 0"
kcache key disable "$key" -q
check "if neither works it is the first one's failure" same "$(row "$d")" "failed 7 null"
reset

cat >"$work/policy.json" <<END
{ "Version": "2012-10-17", "Statement": [ { "Sid": "admin", "Effect": "Allow", "Principal": { "uid": $(id -u) }, "Action": [ "kms:Describe*", "kms:Put*", "kms:Get*" ], "Resource": "*" } ] }
END
if kcache key policy "$key" "$work/policy.json" -q 2>"$work/refused"; then
	check "a missing grant is a refusal" same "$(row "$d")" "failed 7 null"
	check "and the grant that is missing is the next step" matches "$(text "recipient 0")" \
		"kcache key grant $key --grantee HOST --operations Decrypt --volume $uuid"
else
	fail "a policy without Decrypt is taken" "$(cat "$work/refused")"
fi
reset

# --- header and history ------------------------------------------------------------
luks2-edit "$d" damage 2
check "a damaged copy is a warning" same "$(row "$d")" "warning 0 $key"
check "doctor says which" matches "$(text header)" 'the second copy of it is damaged'
hash=$(sha256sum <"$d")
check "it is not repaired" unchanged "$d" "$hash"
reset
luks2-edit "$d" set /tokens/0/created '"2020-01-01T00:00:00Z"'
check "an edited token does not hold" same "$(row "$d")" "failed 8 null"
check "and is found by the recipient's step" same "$(step "recipient 0")" "failed 8"
reset
luks2-edit "$d" set /segments/0/encryption '"cipher_null-ecb"'
check "a header that breaks the rules fails" same "$(row "$d")" "failed 8 null"
check "and no KMS is asked: no step after it" same "$(step header),$(step helper)" "failed 8,"
reset
rm "$work/state/volumes/$uuid.json"
check "an unpinned key fails" same "$(row "$d")" "failed 8 null"
check "with the next step" matches "$(text "recipient 0")" 'name it once with --key, or put allow_key into kcache.conf'
check "and is not remembered by having been looked at" test ! -e "$work/state/volumes/$uuid.json"
reset
sed -i -E 's/("generation": *)"1"/\1"7"/' "$work/state/volumes/$uuid.json"
check "an old header fails" same "$(row "$d")" "failed 8 null"
reset
chmod 666 "$work/state/volumes/$uuid.json"
check "history that others may write fails" same "$(step history)" "failed 2"
reset
cryptsetup token remove --token-id 0 "$d"
check "a create that did not finish fails" same "$(row "$d")" "failed 4 null"
check "with the next step" matches "$(text header)" 'run kcache create on it again'
reset

# --- helper, keystore, configuration ---------------------------------------------------
cp "$KCACHE_CONFIG" "$work/conf.good"
sed -i 's|^helper.*|helper = /nonexistent/helper|' "$KCACHE_CONFIG"
check "without a key helper nothing opens" not kcache doctor "$d"
check "and that is told" said '/nonexistent/helper'
check "the host is asked for it too" not kcache doctor
check "in a step of its own" said '^failed +helper +the key helper /nonexistent/helper cannot be run'
cp "$work/conf.good" "$KCACHE_CONFIG"
rm "$work/state"/keystore*
check "without its keystore it does not open" exits 7
check "and none is made by looking for it" same "$(find "$work/state" -name 'keystore*')" ""
reset
echo 'nonsense' >>"$KCACHE_CONFIG"
check "doctor tells a configuration that cannot be read" expect_exit 1 kcache doctor "$d"
check "as its first step" said '^failed +configuration +.*kcache.conf:5: "nonsense" is not "name = value"'
check "check ends with it" expect_exit 1 kcache check "$d"
cp "$work/conf.good" "$KCACHE_CONFIG"

# --- the host -------------------------------------------------------------------------------
before=$(state)
kcache doctor >"$work/host" 2>&1
for s in configuration module kernels state helper keystore audit clock keyring swap 'crash dumps'; do
	check "doctor without a name looks at $s" grep -qE "^(ok|warning|failed) +$s " "$work/host"
done
check "an unsealed keystore is a warning" grep -qE '^warning +keystore +the root key of the local keystore is not sealed' "$work/host"
check "with the next step" grep -qE 'next: set keystore_seal in kcache.conf, then kcache key seal' "$work/host"
check "it has changed nothing" same "$(state)" "$before"

# --- names ---------------------------------------------------------------------------------------
check "what is neither name, device nor UUID" not kcache doctor nothing-of-this-name
check "is told, with the next step" said 'name its device: kcache doctor DEVICE'
check "a file that is not there" not kcache doctor "$work/none"
check "fails at the device" said '^failed +device +cannot open it'
check "no volume at all" same "$(row "$(file blank 17M)")" "failed 4 null"
check "several files in one run: the first failure's code" same \
	"$(kcache check "$d" "$work/blank" --json 2>/dev/null | jq -c '[.ok, .failed]')" "[1,1]"
check "no option of another verb" expect_exit 1 kcache check --force
check "nor doctor" expect_exit 1 kcache doctor --force
