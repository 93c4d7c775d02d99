#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# repair on plain files: either copy, from the other one; nothing else is written. A volume that is
# attached meanwhile is in tests/integration/kcache-erase.sh.
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

edit=$tools/../unit/luks2-edit
d=$(file vol 20M)
uuid=$(kcache -q create "$d")
keep whole
wanted=$("$edit" "$d" print)
repair() { kcache repair "$d" "$@"; }
# noise COPY: a header copy of noise; only its text; or its first block only
noise() { dd if=/dev/urandom of="$d" bs=4096 seek=$((($1 - 1) * 32 + $2)) count="$3" conv=notrunc status=none; }
copies() { kcache dump --json "$d" | jq .damaged_copy; }
behind() { tail -c +$((262144 + 1)) "$d" | sha256sum; }

check "where both copies are good there is nothing to do" refused 0 'nothing to do: both copies of the header are good' repair
check "as JSON" json <(repair --json 2>/dev/null) "not j['repaired'] and j['damaged_copy'] == 0 and j['uuid'] == '$uuid'"
rest=$(behind)
for copy in "1 0 32 first second" "1 1 31 first second" "1 0 1 first second" "2 0 32 second first" "2 1 31 second first" "2 0 1 second first"; do
	read -r n at count bad good <<<"$copy"
	restore whole
	noise "$n" "$at" "$count"
	check "a dry run says what is damaged ($bad, blocks $at+$count)" refused 0 "the $bad copy of the header would be written anew from the $good one; nothing was changed" repair --dry-run
	check "attach and dump only read" refused 0 . kcache dump "$d"
	check "it is repaired" expect_exit 0 repair --json -q
	check "as the JSON says" json <(grep -v '^kcache: ' "$_said") "j['repaired'] and j['damaged_copy'] == $n and not j['dry_run']"
	check "both copies are good" same "$(copies)" 0
	check "and say what they said" same "$("$edit" "$d" print)" "$wanted"
	check "behind them nothing was written" same "$(behind)" "$rest"
	check "it attaches" passes attach
	check "and it is recorded as repairHeader" grep -q "\"event\":\"repairHeader\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$work/audit.jsonl"
	rm "$work/audit.jsonl"
done
restore whole
noise 2 0 32
check "in words" expect_exit 0 repair
check "it says which from which" said 'the second copy of the header was damaged, and has been written anew from the first one'

cp "$d" "$work/older"
kcache -q recipient add "$d" --key "$(kcache key create)"
dd if="$work/older" of="$d" bs=128k seek=1 skip=1 count=1 conv=notrunc status=none
check "a copy that a power cut left older counts as damaged" same "$(copies)" 2
check "and is repaired" expect_exit 0 repair
check "from the newer one" json <(kcache dump --json "$d") "j['damaged_copy'] == 0 and len(j['recipients']) == 2"

restore whole
noise 2 0 32
# dropping COMMAND...: a device that keeps its second copy as it is
dropping() {
	env LD_PRELOAD="$tools/../unit/drop-writes.so" DROP_FILE="$d" DROP_FROM=131072 DROP_TO=262144 \
		ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$@"
}
check "a device that does not keep what is written is found out" expect_exit 4 dropping "$tools/kcache" -q repair "$d"
check "and told" said 'the second copy of the header is damaged still; the device does not keep'
check "as a failed event" audited '"event":"repairHeader","result":"failed"'

# --- what it is not for -------------------------------------------------------------
restore whole
noise 1 1 31
noise 2 1 31
check "with both damaged the next step is a backup" refused 8 'libcryptsetup refuses the LUKS2 header.*kcache header restore' repair
noise 1 0 64
check "also where nothing says that there was a header" refused 4 'no LUKS2 header.*if it is a volume whose header is lost, put it back with kcache header restore' repair
restore whole
"$edit" "$d" set /tokens/0/lease 5
"$edit" "$d" set /segments/0/encryption '"cipher_null-ecb"'
check "a header that breaks a rule is not repaired" refused 8 'cipher_null' repair
restore whole
cryptsetup token remove --token-id 0 "$d"
check "a create that did not finish neither" refused 4 'run kcache create on it again' repair
d=$(file luks 20M)
echo secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$d" -
noise 1 1 3
check "nor a LUKS2 volume of somebody else's" refused 4 'not a kcache volume; use cryptsetup' repair
check "nor a missing device" expect_exit 4 kcache repair "$work/none"
