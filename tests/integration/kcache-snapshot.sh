#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Snapshots of a volume in use: one that is taken, one that runs out of room, one that is
# killed; a chain of them. Under load, and by hand: life-snapshot.sh. The files by
# themselves: tests/unit/test-snapshot.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"
. "$(dirname "$0")/lib-snapshot.sh"

mkdir -p /mnt/vol /mnt/backup
on_exit umount /mnt/backup
on_exit umount /mnt/vol
mkfs.ext4 -q "$(disk 2)"
mount "$(disk 2)" /mnt/backup
b=/mnt/backup
slice 1 80
d=$SLICE
uuid=$(kcache create -q "$d")
kcache attach "$d" vol >/dev/null
on_exit kcache detach vol
TABLE=$(dmsetup table vol)
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/vol
mount /dev/mapper/vol /mnt/vol
head -c 30M /dev/urandom >/mnt/vol/data
sum=$(sha256sum </mnt/vol/data)

# --- one that is taken ------------------------------------------------------------
check "a snapshot is begun" begun $b/full
at=$(instant)
check "the volume stands on the origin" bash -c 'dmsetup table vol | grep -q " $(dmsetup info -c --noheadings -o major,minor --separator : vol-kcsnap-*-origin | head -n 1) "; dmsetup ls --tree | grep kcsnap'
check "kcache status names its own device all the same" same "$(kcache status vol --json | jq -r '.volumes[0].device, .volumes[0].snapshot' | paste -sd' ')" "$d true"
check "a second one at the same time is refused" expect_exit 5 kcache snapshot vol $b/other
check "and says why" said 'a snapshot of it is being taken'
check "detach is refused" expect_exit 5 kcache detach vol
check "so is a change of the header" expect_exit 5 kcache rewrap "$d" --key alias/kcache
check "the volume is written to meanwhile" dd if=/dev/urandom of=/mnt/vol/data bs=1M count=8 conv=notrunc,fsync status=none
check "what dm-snapshot shows is as it was" same "$(instant)" "$at"
check "the copy ends" ends 0
check "and says for how long the volume was frozen" said 'frozen for [0-9]+ ms'
ms=$(sed -n 's/.*frozen for \([0-9]*\) ms.*/\1/p' "$_said")
check "which is less than a second ($ms ms)" test "$ms" -lt "$(slowly 1000 | cut -d. -f1)"
check "the copy is that instant" same "$(sha256sum <$b/full)" "$at"
check "all is as it was before" stands $b
check "an audit event says so" grep -q '"event":"createSnapshot","result":"succeeded","volume":"'"$uuid"'".*"file":"'$b/full'"' "$STATE/audit.jsonl"
check "its file is nobody else's" same "$(stat -c %a $b/full $b/full.map | paste -sd' ')" "600 600"

# --- a chain ------------------------------------------------------------------------
check "an incremental" begun $b/inc --parent $b/full
at1=$(instant)
check "ends" ends 0
check "it holds what has changed, and not much more" test "$(stat -c %s $b/inc)" -lt 14000000
check "and is not empty" test "$(stat -c %s $b/inc)" -gt 8000000
loop_device 80M
check "the chain is restored" kcache restore $b/full $b/inc "$LOOP"
check "to that very instant" same "$(sha "$LOOP" | cut -d' ' -f1)" "${at1%% *}"

# --- files and places that are refused -------------------------------------------------
check "a file that is there" expect_exit 5 kcache snapshot vol $b/full
check "a file on the volume itself" expect_exit 5 kcache snapshot vol /mnt/vol/copy
check "and says so" said 'lies on the volume itself'
check "a COW store on the volume itself" expect_exit 5 kcache snapshot vol $b/other --cow /mnt/vol
check "a COW device that is not blank" expect_exit 5 kcache snapshot vol $b/other --cow "$LOOP"
check "no room for the COW store" expect_exit 4 kcache snapshot vol /dev/shm/other --cow /sys/kernel
check "a name that is not attached" expect_exit 4 kcache snapshot none $b/other
check "the device of an attached volume" expect_exit 5 kcache snapshot "$d" $b/other
check "all is as it was before" stands $b

# --- out of room: the snapshot fails, never the volume ------------------------------------
check "a snapshot with little room is begun" begun $b/small --cow-size 1
check "the volume is written to, more than that" dd if=/dev/urandom of=/mnt/vol/more bs=1M count=6 conv=fsync status=none
check "the snapshot fails" ends 4
check "and says what to do" said 'did not fit into the COW store.*--cow-size'
check "the volume holds what was written" same "$(stat -c %s /mnt/vol/more)" $((6 << 20))
check "and there is nothing of the snapshot" test ! -e $b/small -a ! -e $b/small.map
check "all is as it was before" stands $b
truncate -s 100M "$STATE/cow"
cow=$(losetup --show -f "$STATE/cow")
on_exit losetup -d "$cow"
check "a COW device does as well" kcache snapshot vol $b/device --cow "$cow"
check "and is blank again afterwards" kcache snapshot vol $b/device --cow "$cow" --force

# --- interrupted ------------------------------------------------------------------------------
check "one is begun" begun $b/killed
at=$(instant)
check "and killed" killed
dd if=/dev/urandom of=/mnt/vol/data bs=1M count=2 conv=notrunc,fsync status=none
check "the same command goes on" expect_exit 0 kcache snapshot vol $b/killed
check "and says so" said 'going on with the snapshot of'
check "it is the first instant" same "$(sha256sum <$b/killed)" "$at"
check "all is as it was before" stands $b
check "one is begun" begun $b/stopped
check "SIGINT ends it" ends 130 INT
check "all is as it was before" stands $b
check "one is begun" begun $b/kept --keep
check "with --keep SIGTERM leaves what is done" ends 143 TERM
check "another one clears it away" expect_exit 0 kcache snapshot vol $b/next
check "and says so" said 'an earlier snapshot did not end'
rm -f $b/kept*.part
check "one is begun" begun $b/killed2
check "and killed" killed
check "--cancel clears it away" kcache snapshot --cancel vol
rm -f $b/killed2*.part
check "all is as it was before" stands $b
check "one is begun" begun $b/killed3
check "and killed" killed
umount /mnt/vol
check "detach clears it away" kcache detach vol
check "nothing is left" not bash -c 'dmsetup ls | grep -v slice | grep .'
check "no keyring has a key of ours" no_keys

# --- a copy attaches -----------------------------------------------------------------------------
blockdev --flushbufs "$d"
check "beside the volume itself it is refused" expect_exit 5 kcache attach $b/full copy
check "and says what to do" said 'give the copy a UUID of its own'
dmsetup remove slice1
losetup -d "$LOOP"
check "elsewhere it attaches" kcache attach $b/full copy
check "its filesystem is clean" fsck.ext4 -fn /dev/mapper/copy
mount -o ro /dev/mapper/copy /mnt/vol
check "and its data are those of the instant" same "$(sha256sum </mnt/vol/data)" "$sum"
umount /mnt/vol
kcache detach copy
