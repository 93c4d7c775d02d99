#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clone on plain files: what changes and what stays, several recipients and providers, what it
# refuses, and a power cut at any of its writes. Original and clone side by side are in
# tests/integration/kcache-clone.sh.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

o=$(file original 20M)
original=$(kcache -q create "$o" --label mine)
k1=$(recipients "$o")
k2=$(kcache key create --alias two)
k3=$(kcache key create --alias three)
dd if=/dev/urandom of="$o" bs=1M seek=16 count=4 conv=notrunc status=none
uuid=$original
# copy: $d, a bit copy of the original
copy() { d=$work/copy && cp --sparse=always "$o" "$d"; }
clone() { kcache -q clone "$d" --force "$@"; }
# member NAME: of what dump says of $d
member() { kcache dump "$d" --json | jq -r "$1"; }
data() { tail -c 4194304 "$1" | sha256sum; }
said_at_terminal() {
	local regex=$1
	shift
	typed "$@" >"$work/typed" || true
	grep -E -- "$regex" "$work/typed"
}
copy

# --- asking -------------------------------------------------------------------------
check "nobody agrees: it is not made a clone" refused 2 'nobody has agreed.*--force' kcache clone "$d"
check "-q is no agreement" refused 2 'nobody has agreed' kcache -q clone "$d"
check "no is no" refused 2 'nobody has agreed' typed no "$tools/kcache" clone "$d"
ask_anew
check "a dry run says what would be done" refused 0 'would become a volume of its own; nothing was changed, no KMS was asked' kcache clone "$d" --dry-run
check "as JSON" json <(kcache -q clone "$d" --dry-run --json) "j['uuid'] is None and j['source_uuid'] == '$original' and j['dry_run'] and j['recipients'] == []"
check "and asks no KMS" same "$(asked)" ""
check "a typed YES is agreement" expect_exit 0 typed YES "$tools/kcache" clone "$d"
check "of what was told before" said "is to be a copy of volume $original: .* The original must not be treated so"

# --- what it is then ---------------------------------------------------------------------
copy
kcache dump "$d" --json >"$work/before.json"
ask_anew
check "clone makes a volume of its own of a copy" expect_exit 0 kcache clone "$d" --force
check "and says of which" said "is volume [0-9a-f-]* now, a clone of $original with the same data key"
check "by ReEncrypt; the one unwrap is the new copy's, and its proof" same "$(asked)" "ReEncrypt Decrypt"
uuid=$(member .uuid)
check "its UUID is what it prints" said "^$uuid\$"
check "it has another UUID" not same "$uuid" "$original"
check "recorded as createVolume" audited "\"event\":\"createVolume\",\"result\":\"succeeded\",\"kind\":\"clone\",\"volume\":\"$uuid\",.*\"key\":\"$k1\",\"source-volume\":\"$original\",\"wrapped-by\":\"ReEncrypt\",\"proven-by\":\"Decrypt\""
kcache dump "$d" --json >"$work/after.json"
check "key, date, lease, lineage and generation are the original's, context, copy and mac its own" json \
	<(jq -s . "$work/before.json" "$work/after.json") '(lambda a, b: all(a[m] == b[m] for m in
	("key", "created", "lease", "on_revoke", "lineage")) and all(a[m] != b[m] for m in ("wrapped_dek", "mac"))
	and a["context"]["kcache:generation"] == b["context"]["kcache:generation"]
	and b["context"]["kcache:id"] == j[1]["uuid"] and b["context"]["kcache:layout"] == j[1]["layout"] != j[0]["layout"])
	(j[0]["recipients"][0], j[1]["recipients"][0]) and j[0]["label"] == j[1]["label"]'
check "both copies of its header are good" same "$(member .damaged_copy)" 0
check "blkid sees the new UUID" same "$(blkid -p -o value -s UUID "$d")" "$uuid"
check "its data are the original's" same "$(data "$d")" "$(data "$o")"
check "this host knows it" same "$(known)" "$k1"
check "it attaches" passes attach
check "and so does the original" passes kcache attach -q "$o" vol-of-test
check "the context is its own: under the original's UUID its copy does not open" bash -c '
	cp --sparse=always "$1" "$2" && luks2-edit "$2" set /tokens/0 "$(luks2-edit "$3" print /tokens/0)" &&
	! "$4" attach -q "$2" vol-of-test 2>"$5" && grep "kcache:id" "$5"' - "$o" "$work/mixed" "$d" "$tools/kcache" "$work/mixed.said"
check "a clone is cloned again" expect_exit 0 clone --json
check "as the JSON says" json "$_said" "j['source_uuid'] == '$uuid' != j['uuid'] and j['generation'] == '1' and not j['dry_run'] and j['recipients'] == [{'key': '$k1', 'wrapped_by': 'ReEncrypt'}] and len(j['lineage']) == 32"
check "erase of the original lists the clones that have its key" grep -q "still opens: .*$uuid" <(kcache -q erase "$o" --dry-run)

# --- recipients ----------------------------------------------------------------------------
copy
kcache -q recipient add "$d" --key "$k2"
kcache -q recipient add "$d" --key "$eu"
mode reencrypt
cp --sparse=always "$d" "$work/three"
check "all recipients are wrapped anew" expect_exit 0 clone
uuid=$(member .uuid)
check "and are all there" same "$(sorted "$(recipients "$d")")" "$(sorted "$k1" "$k2" "$eu")"
check "known to this host" same "$(known)" "$(sorted "$k1" "$k2" "$eu")"
for k in "$k1" "$k2" "$eu"; do
	check "each opens it: ${k%%[-/]*}" passes attach --key "$k"
done
cp --sparse=always "$work/three" "$d"
mode
kcache -q key disable "$k2"
check "a recipient whose key does not work is no clone" refused 7 'DisabledException.*let the clone have one recipient only, with --key' clone
check "nothing is known of what did not come to be" same "$(cd "$work/state/volumes" && grep -l "$k2" -- *.json | wc -l)" 2
check "with --key it has one recipient" expect_exit 0 kcache clone "$d" --force --key "$k3"
uuid=$(member .uuid)
check "the one that was named" same "$(recipients "$d") $(known)" "$k3 $k3"
check "and a warning: the data key is the same" said "warning: the clone is under a key of its own, but its data key is that of volume $original: who has had the one can read the other"
check "it attaches" passes attach
kcache -q key enable "$k2"
copy
ask_anew
check "to a key of another provider" expect_exit 0 clone --key "$eu"
check "the DEK is unwrapped, wrapped there, and unwrapped there" same "$(asked)" "Decrypt Encrypt Decrypt"
check "and the clone is under it alone" same "$(recipients "$d")" "$eu"
copy
check "--key of its own recipient gives no warning" expect_exit 0 kcache clone "$d" --force --key "$k1"
check "since nothing is new about it" not said warning
copy
for _ in 2 3 4 5 6 7 8; do
	kcache -q recipient add "$d" --key "$(kcache key create)" || fail "eight recipients"
done
check "eight recipients" expect_exit 0 clone
check "are eight" same "$(recipients "$d" | wc -w)" 8
check "and attach" passes attach

# --- a damaged copy of the header: the good one goes last -------------------------------------
for at in 0 32; do
	copy
	dd if=/dev/zero of="$d" bs=4k seek=$at count=1 conv=notrunc status=none
	check "with copy $((at / 32 + 1)) of the header damaged it is cloned" expect_exit 0 clone
	check "which is told" said 'copy of its header is damaged'
	check "and both copies are written anew" same "$(member .damaged_copy)" 0
done

# --- refusals: nothing of them is written ---------------------------------------------------
d=$(file blank 17M)
check "what is no volume" refused 4 'no LUKS2 header' clone
check "a missing device" expect_exit 4 kcache clone "$work/none" --force
d=$(file luks 17M)
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$d" <<<secret
check "a LUKS volume that is not ours" refused 4 'not a kcache volume' clone
copy
luks2-edit "$d" del /tokens/0
check "a create that did not finish" refused 4 'did not finish' clone
copy
luks2-edit "$d" set /tokens/3 '{"type":"kcache-op","keyslots":[]}'
check "a volume with an operation on its way" refused 5 'operation' clone
copy
luks2-edit "$d" set /tokens/0/on_revoke '"fail"'
check "a token that was edited: it would get a good mac" refused 8 'mac does not hold' clone
copy
luks2-edit "$d" set /tokens/0/context/kcache:id '"00000000-0000-4000-8000-000000000000"'
check "a token of another volume" refused 8 'kcache:id' clone
copy
mv "$work/state/volumes/$original.json" "$work/known"
ask_anew
check "a volume under a key that this host does not pin" refused 8 'does not pin' clone
check "whose KMS is not asked" same "$(asked)" ""
check "but with that key named" expect_exit 0 clone --key "$k1"
mv "$work/known" "$work/state/volumes/$original.json"
copy
kcache -q key disable "$k1"
check "a key that is disabled" refused 7 DisabledException clone
check "is told before anything is remembered" refused 7 'Disabled' clone --key "$k1"
kcache -q key enable "$k1"
check "one that is not there" refused 7 NotFoundException clone --key local:alias/nobody
mode other
check "a KMS that gives back another key is found out before anything is written" refused 8 'LUKS2 digest does not know' clone --key "$eu"
mode "slow Encrypt"
check "a KMS that does not answer may be tried again" refused 6 'did not answer' clone --key "$eu" --timeout 2
mode
chmod 400 "$d"
[ "$(id -u)" -eq 0 ] || check "a file that may not be written" refused 2 '' clone
chmod 600 "$d"
check "a device that does not keep what is written" expect_exit 4 env LD_PRELOAD="$tools/../unit/drop-writes.so" \
	ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 DROP_FILE="$d" DROP_FROM=0 DROP_TO=262144 "$tools/kcache" -q clone "$d" --force
check "is told" said 'read back differently'

# --- a DEK of its own, as far as it goes without device-mapper ---------------------------------
copy
check "a dry run with --new-dek asks no KMS either" refused 0 'nothing was changed' kcache clone "$d" --new-dek --dry-run
check "it is asked for too" refused 2 'nobody has agreed' kcache -q clone "$d" --new-dek
check "and says what it means" said_at_terminal 'and all data on it are encrypted anew' no "$tools/kcache" clone "$d" --new-dek
before=$(sha256sum <"$d")
if code=0; kcache -q clone "$d" --new-dek --force >"$work/said" 2>&1 || code=$?; [ "$code" -eq 0 ]; then
	check "it has another lineage" not same "$(member '.recipients[0].lineage')" "$(kcache dump "$o" --json | jq -r '.recipients[0].lineage')"
else
	check "where it cannot be mapped it is refused" grep -qE 'loop device|device-mapper' "$work/said"
	check "and nothing of it is written" unchanged "$d" "$before"
	check "nothing is known of what did not come to be" same "$(find "$work/state/volumes" -newer "$work/said" | wc -l)" 0
fi
copy
kcache -q key disable "$k1"
check "a key that is disabled is told before that" refused 7 DisabledException kcache -q clone "$d" --new-dek --force
kcache -q key enable "$k1"
# what a run that was interrupted leaves, as far as its header goes
clone --key "$k1"
operation=$(luks2-edit "$d" print /tokens/0 | jq -c --arg g 2 '.context["kcache:generation"] = $g | {type: "kcache-op", keyslots: [], version: 1, operation: "clone", tokens: [.]}')
copy
kcache -q header backup "$d" "$work/before.header"
luks2-edit "$d" del /keyslots/0
luks2-edit "$d" set /digests/0/keyslots '[]'
luks2-edit "$d" set /tokens/0/keyslots '[]'
luks2-edit "$d" set /tokens/1 "$operation"
check "one that was interrupted is refused by clone" refused 5 'being cloned with a new data key, and that did not finish; run kcache clone --new-dek' clone
check "and by attach" refused 5 'kcache clone --new-dek' kcache -q attach "$d" vol-of-test
check "rewrap" refused 5 'kcache clone --new-dek' kcache -q rewrap "$d" --key "$k2"
check "a header from before is not put back there" refused 5 'kcache clone --new-dek' kcache -q header restore "$d" "$work/before.header"
check "and create" refused 5 'not blank' kcache -q create "$d"
check "dump shows it" has_line "$(member .operation)" clone
check "with its state" grep -q '^State: .*did not finish: run kcache clone --new-dek again' <(kcache dump "$d")

# --- a power cut at any of its writes ------------------------------------------------------
copy
kcache -q recipient add "$d" --key "$k2"
# cut KEYS VERB...: FILE in it is the volume
cut() {
	local line

	cp --sparse=always "$d" "$work/before"
	check "the writes of $2 are recorded" env RECORD_FILE="$d" RECORD_LOG="$work/writes" LD_PRELOAD="$tools/../unit/record-writes.so" \
		ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" -q "${@:2}"
	set -- "${@//$d/FILE}"
	./power-cut.py clone "$tools/kcache" "$KCACHE_CONFIG" "$work/writes" "$work/before" "$work" "$1" "${@:2}" >"$work/cuts"
	while read -r line; do
		case $line in
		'ok - '*) pass "${line#ok - }" ;;
		'not ok - '*) fail "${line#not ok - }" ;;
		*) echo "$line" ;;
		esac
	done <"$work/cuts"
	check "the power cuts of $2 were all tried" grep -q '^# .* states' "$work/cuts"
	rm "$work/writes"
}
cut "$k1,$k2" clone "$d" --force
# with a copy that was damaged before, the other one is all there is
for at in 0 32; do
	cp --sparse=always "$work/before" "$d"
	dd if=/dev/zero of="$d" bs=4k seek=$at count=1 conv=notrunc status=none
	cut "$k1,$k2" clone "$d" --force
	copy
	kcache -q recipient add "$d" --key "$k2"
	cp --sparse=always "$d" "$work/before"
done
