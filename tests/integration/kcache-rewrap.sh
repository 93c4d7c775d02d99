#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Recipients and rewrap on block devices: while the volume is attached and in use, found by
# a scan, and with stock cryptsetup. What plain files show is in tests/unit/test-recipient.sh
# and test-rewrap.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

# keys DEVICE: its recipients
keys() { kcache recipient list -n "$1" | awk '{ print $5 }' | paste -sd' '; }

mkdir -p /mnt/rewrap
on_exit umount /mnt/rewrap
volume 32M
d=$LOOP uuid=$VOL
k1=$(keys "$d")
k2=$(kcache key create --alias two)
k3=$(kcache key create --alias three)

# --- attached and in use ------------------------------------------------------
kcache attach "$d" vol >/dev/null
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol /mnt/rewrap
head -c 4M /dev/urandom >/mnt/rewrap/data
sum=$(sha256sum </mnt/rewrap/data)
table=$(dmsetup table vol)
dd if=/mnt/rewrap/data of=/mnt/rewrap/more conv=fsync bs=64k status=none &
check "a recipient is added while the volume is in use" kcache recipient add "$d" --key alias/two
check "it is rewrapped while it is in use" kcache rewrap "$d" --key alias/three --from "$k1"
wait
check "what is written meanwhile is what was read" cmp /mnt/rewrap/data /mnt/rewrap/more
check "the mapped device is as it was" same "$(dmsetup table vol)" "$table"
check "and its key" same "$(kcache status vol --json | jq -r '.volumes[0].key_state')" valid
check "no keyring has a key of ours" no_keys
umount /mnt/rewrap
kcache detach vol

check "the recipients are the new ones" same "$(keys "$d")" "$k2 $k3"
kcache key disable "$k1" -q
check "it attaches without the old key" kcache attach "$d" vol
mount /dev/mapper/vol /mnt/rewrap
check "the data is there" same "$(sha256sum </mnt/rewrap/data)" "$sum"
umount /mnt/rewrap
kcache detach vol
kcache key disable "$k2" -q
check "and by its second recipient where the first is of no use" expect_exit 0 kcache attach "$d" vol
check "which is told" said "warning: recipient 1 of 2 .*$k2.* is of no use: .*DisabledException"
kcache detach vol
check "stock cryptsetup opens the rewrapped volume" cryptsetup open --token-only "$d" stock
check "and reads its filesystem" same "$(blkid -p -o value -s TYPE /dev/mapper/stock)" ext4

# --- opened by stock cryptsetup: the header may change all the same ----------------
check "a recipient is removed while stock cryptsetup has it open" kcache recipient remove "$d" --key "$k2"
check "the other one stays" same "$(keys "$d")" "$k3"
cryptsetup close stock
kcache key enable "$k2" -q
kcache key disable "$k3" -q
check "a removed recipient's key opens nothing" refused 7 DisabledException "$d" kcache attach "$d" vol
check "nor for stock cryptsetup" not cryptsetup open --token-only "$d" stock
kcache key enable "$k3" -q
kcache key enable "$k1" -q
check "with the one that is left it attaches" kcache attach "$d" vol
kcache detach vol

# --- in use by something else ---------------------------------------------------------
dmsetup create other --table "0 $(blockdev --getsz "$d") linear $d 0"
check "a device that is held by something else is refused" refused 5 'in use: held by dm-[0-9]+ \(other\)' "$d" kcache rewrap "$d" --key "$k1"
check "the device on top of it is not" kcache rewrap /dev/mapper/other --key "$k1"
blockdev --flushbufs "$d"
dmsetup remove other
check "and the volume is under the new key" same "$(keys "$d")" "$k1"
blockdev --setro "$d"
check "a read-only device is refused" refused 4 'it is read-only' "$d" kcache rewrap "$d" --key "$k2"
blockdev --setrw "$d"

# --- all of this host --------------------------------------------------------------------
volume 17M --key "$k1"
d2=$LOOP
kcache attach "$d2" vol2 >/dev/null
volume 17M --key "$k1"
d3=$LOOP
rm "$STATE/state/volumes/$VOL.json"
dmsetup create leg --table "0 $(blockdev --getsz "$d3") linear $d3 0"
check "all volumes of this host are found and moved, one of them attached" kcache -q rewrap --all --from alias/kcache --to alias/two --json
kcache -q rewrap --all --from "$k1" --to "$k2" --json >"$STATE/again.json"
check "the first" same "$(keys "$d")" "$k2"
check "the second" same "$(keys "$d2")" "$k2"
check "one that this host does not know is not touched" same "$(keys /dev/mapper/leg)" "$k1"
check "run again, all are passed over" same "$(jq -c '[.done, .skipped, .failed]' "$STATE/again.json")" "[0,3,0]"
check "a device that something stands on is looked at once, from above" same \
	"$(jq -r '.volumes[].device' "$STATE/again.json" | sort | paste -sd' ')" "$(printf '%s\n' "$d" "$d2" /dev/mapper/leg | sort | paste -sd' ')"
dmsetup remove leg
kcache detach vol2
check "the second attaches" kcache attach "$d2" vol2
kcache detach vol2
check "after all this the first has its data" kcache attach "$d" vol
mount -o ro /dev/mapper/vol /mnt/rewrap
check "as it was written" same "$(sha256sum </mnt/rewrap/data)" "$sum"
umount /mnt/rewrap
kcache detach vol
for e in addRecipient removeRecipient rewrapVolume ReEncrypt; do
	check "there is an audit event $e for it" grep -q "\"event\":\"$e\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$STATE/audit.jsonl"
done
