#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clone on block devices: a bit copy and its original, attached on one host at once, and what
# is refused while something is in use. What plain files show is in tests/unit/test-clone.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mkdir -p /mnt/original /mnt/clone
on_exit kcache detach original
on_exit kcache detach clone
on_exit umount /mnt/original
on_exit umount /mnt/clone
volume 30M
o=$LOOP uuid=$VOL
kcache attach -q "$o" original >/dev/null
mkfs.ext4 -q /dev/mapper/original
mount /dev/mapper/original /mnt/original
head -c 4M /dev/urandom >/mnt/original/data
sum=$(sha256sum </mnt/original/data)
umount /mnt/original
kcache detach original
loop_device 30M
c=$LOOP
dd if="$o" of="$c" bs=1M conv=fsync status=none

check "a bit copy and its original are one volume: attach does not choose" refused 5 "$uuid" "$c" kcache attach -q "$c" clone
check "nor of the original" refused 5 "$uuid" "$o" kcache attach -q "$o" original
check "clone makes a volume of its own of the copy, with the original beside it" kcache -q clone "$c" --force
check "it has another UUID" not same "$(blkid -p -o value -s UUID "$c")" "$uuid"
check "no keyring has a key of ours" no_keys
check "the original is as it was" same "$(blkid -p -o value -s UUID "$o")" "$uuid"
check "the original attaches" kcache attach -q "$o" original
check "and the clone beside it" kcache attach -q "$c" clone
lineages=$(for d in "$o" "$c"; do kcache dump "$d" --json | jq -r '.recipients[0].lineage'; done | sort -u | wc -l)
check "both have one lineage" same "$lineages" 1
check "and the same data" cmp /dev/mapper/original /dev/mapper/clone
check "in the same ciphertext" cmp -i 16777216 "$o" "$c"
mount /dev/mapper/original /mnt/original
mount /dev/mapper/clone /mnt/clone
check "the file is in the clone" same "$(sha256sum </mnt/clone/data)" "$sum"
echo other >/mnt/clone/data
sync
check "what is written to the clone is in the clone" same "$(</mnt/clone/data)" other
check "and not in the original" same "$(sha256sum </mnt/original/data)" "$sum"
check "status knows both by their UUIDs" same "$(kcache status --json | jq -r '.volumes[].uuid' | sort -u | wc -l)" 2

# --- in use ------------------------------------------------------------------------
umount /mnt/clone
umount /mnt/original
check "one that is attached is refused" refused 5 'in use: held by dm-[0-9]+ \(clone\)' "$c" kcache -q clone "$c" --force
check "in a dry run too" refused 5 'in use' "$c" kcache -q clone "$c" --dry-run
kcache detach clone
kcache detach original
blockdev --setro "$c"
check "a read-only one is refused" refused 4 'it is read-only' "$c" kcache -q clone "$c" --force
blockdev --setrw "$c"
check "stock cryptsetup opens the clone" cryptsetup open --token-only "$c" stock
check "and reads its filesystem" same "$(blkid -p -o value -s TYPE /dev/mapper/stock)" ext4
check "meanwhile it is refused" refused 5 'in use: held by' "$c" kcache -q clone "$c" --force
cryptsetup close stock

# --- under another key ---------------------------------------------------------------
k2=$(kcache key create --alias two)
check "a clone under another key" kcache -q clone "$c" --force --key alias/two
kcache key disable "$(kcache recipient list -n "$o" | awk '{ print $5 }')" -q
check "attaches without the original's" kcache attach -q "$c" clone
check "its only key is that one" same "$(kcache recipient list -n "$c" | awk '{ print $5 }')" "$k2"
check "and its data are still the first clone's" same "$(blkid -p -o value -s TYPE /dev/mapper/clone)" ext4
