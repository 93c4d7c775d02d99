#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where a snapshot may go and where not, with its COW store; a disk that gets full in the
# middle; what an interrupted one leaves, and who clears it away.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"
. "$(dirname "$0")/lib-snapshot.sh"

mkdir -p /mnt/other
on_exit umount /mnt/other
mkfs.ext4 -q "$(disk 2)"
backup_on "$(disk 2)"
in_use 26
head -c 3M /dev/urandom >/mnt/vol/data

check "one to a device" kcache -q snapshot vol "$(disk 3)" --map $b/device.map
check "has a map" test -s $b/device.map
check "and is no more than that" same "$(find $b -name 'device*')" $b/device.map
loop_device 27M
t=$LOOP
check "it is restored from there" kcache -q restore "$(disk 3)" "$t" --map $b/device.map
check "to the same bytes" cmp -n $((26 << 20)) "$(disk 3)" "$t"
check "a device that is not blank is refused" expect_exit 5 kcache -q snapshot vol "$(disk 3)"
check "all is as it was before" stands $b
check "with --force it is overwritten" kcache -q snapshot vol "$(disk 3)" --force
losetup -d "$t"
dd if=/dev/zero of="$(disk 3)" bs=1M count=27 conv=fsync status=none

check "a COW device" kcache -q snapshot vol $b/c1 --cow "$(disk 3)"
check "is blank again afterwards" kcache -q snapshot vol $b/c2 --cow "$(disk 3)"
check "one that is not blank is refused" bash -c "mkfs.ext4 -qF $(disk 4); kcache -q snapshot vol $b/c3 --cow $(disk 4); [ \$? -eq 5 ]"
check "a size for a device is refused" expect_exit 1 kcache snapshot vol $b/c3 --cow "$(disk 3)" --cow-size 9
check "a COW store on the volume itself is refused" expect_exit 5 kcache snapshot vol $b/c3 --cow /mnt/vol
check "a copy on the volume itself is refused" expect_exit 5 kcache snapshot vol /mnt/vol/copy
check "and says so" said 'lies on the volume itself'
truncate -s 2M /mnt/vol/image
mkfs.ext4 -q /mnt/vol/image
mount -o loop /mnt/vol/image /mnt/other
check "one in a file in it is refused" expect_exit 5 kcache snapshot vol /mnt/other/copy
check "and a store there" expect_exit 5 kcache snapshot vol $b/c3 --cow /mnt/other
umount /mnt/other
rm /mnt/vol/image
check "a folder that is full" bash -c "mount -t tmpfs -o size=2M full /mnt/other; kcache snapshot vol $b/c3 --cow /mnt/other 2>$STATE/said; [ \$? -eq 4 ]"
check "is said" grep -q 'no room for a COW store of .* in /mnt/other.*--cow-size' "$STATE/said"
umount /mnt/other
check "a name that is not attached" expect_exit 4 kcache snapshot none $b/c3
check "the device of an attached volume" expect_exit 5 kcache snapshot "$d" $b/c3
check "all is as it was before" stands $b

# --- a full disk, and going on -------------------------------------------------------------
mount -t tmpfs -o size=9M full /mnt/other
check "a copy to a disk that gets full fails" expect_exit 4 kcache snapshot vol /mnt/other/f --cow $b
check "and says so" said 'No space left on device; make room'
check "all is as it was before" stands /mnt/other
check "with --keep it stays" expect_exit 4 kcache snapshot vol /mnt/other/f --cow $b --keep
check "and says what to do" said 'the same command goes on with it'
at=$(instant)
dd if=/dev/urandom of=/mnt/vol/data bs=1M count=2 conv=notrunc,fsync status=none
mount -o remount,size=60M /mnt/other
check "with more room it goes on" expect_exit 0 kcache snapshot vol /mnt/other/f --cow $b --keep
check "and is the first instant" same "$(sha256sum </mnt/other/f)" "$at"
check "all is as it was before" stands /mnt/other
umount /mnt/other
check "one is begun" begun $b/kept --keep
check "with --keep SIGTERM leaves what is done" ends 143 TERM
check "the volume stands on the origin" not same "$(dmsetup table vol)" "$TABLE"
check "another one clears it away" expect_exit 0 kcache snapshot vol $b/next
check "and says so" said 'an earlier snapshot did not end'
rm -f $b/kept*
check "all is as it was before" stands $b
check "one is begun" begun $b/killed
check "and killed" killed
check "--cancel clears it away" expect_exit 0 kcache snapshot --cancel vol
check "and says so" said 'is cancelled'
rm -f $b/killed*
check "all is as it was before" stands $b
check "--cancel of nothing is no failure" expect_exit 0 kcache snapshot --cancel vol
check "one is begun" begun $b/killed
check "and killed" killed
umount /mnt/vol
dmsetup remove vol
check "what is left without the volume" bash -c 'dmsetup ls | grep -q kcsnap'
check "is cleared away by its name" kcache snapshot --cancel vol
check "and it attaches again" kcache attach "$d" vol
rm -f $b/killed*
mount /dev/mapper/vol /mnt/vol
TABLE=$(dmsetup table vol)
umount /mnt/vol
kcache detach vol
