#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Snapshots while others have their hands on the volume: a file system that is frozen
# already, another table, a wiped key. One that is read-only, one in a file.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"
. "$(dirname "$0")/lib-snapshot.sh"

mkfs.ext4 -q "$(disk 2)"
backup_on "$(disk 2)"
in_use 26
head -c 3M /dev/urandom >/mnt/vol/data

fsfreeze -f /mnt/vol
code=0
kcache snapshot vol $b/frozen 2>"$STATE/said" >/dev/null || code=$?
fsfreeze -u /mnt/vol
# newer kernels freeze what is frozen
check "a file system that somebody has frozen: $code" test $code -eq 5 -o $code -eq 0
[ $code -eq 0 ] || check "is said" grep -q 'cannot be frozen; see dmesg' "$STATE/said"
check "all is as it was before" stands $b
check "one is begun" begun $b/moved
dmsetup load vol --table "$TABLE"
dmsetup resume vol
check "a table that somebody has put in its place: the snapshot is lost" ends 5
check "and says so" said 'somebody has given the volume another table'
check "there is nothing of it" test ! -e $b/moved -a ! -e $b/moved.map
check "all is as it was before" stands $b
dmsetup suspend vol
check "a suspended volume is refused" expect_exit 5 kcache snapshot vol $b/suspended
dmsetup resume vol
check "one is begun" begun $b/wiped
dmsetup message vol 0 key wipe
check "the key is wiped meanwhile: the copy is complete all the same" ends 9
check "and says so" said 'the snapshot is complete, but the volume still stands on'
check "it is there" test -s $b/wiped.map
check "a wiped volume is refused" expect_exit 9 kcache snapshot vol $b/gone
umount -l /mnt/vol
check "detach clears all away" wait_for 10 kcache detach vol
check "nothing is left" not bash -c 'dmsetup ls | grep -v slice | grep .'

# --- read-only, and in a file -------------------------------------------------------------------
check "attached read-only" kcache attach "$d" vol --readonly
TABLE=$(dmsetup table vol)
check "it is copied too" kcache -q snapshot vol $b/ro
check "to the same bytes" cmp "$d" $b/ro
check "all is as it was before" stands $b
check "and is read-only still" same "$(blockdev --getro /dev/mapper/vol)" 1
kcache detach vol
truncate -s 24M $b/volume
kcache -q create $b/volume >/dev/null
check "a volume in a file" kcache attach $b/volume vol
TABLE=$(dmsetup table vol)
mkfs.ext4 -q /dev/mapper/vol
check "is copied beside it" kcache -q snapshot vol $b/beside
kcache detach vol
check "to the same bytes" cmp $b/volume $b/beside
check "its loop device is gone" same "$(losetup -n -j $b/volume)" ""
check "no keyring has a key of ours" no_keys
