#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Snapshots of a volume in use: one that is taken, a chain, one that runs out of room, ones
# that are interrupted. Under load, and everything that is refused: life-snapshot.sh. The
# files by themselves: tests/unit/test-snapshot.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"
. "$(dirname "$0")/lib-snapshot.sh"

backup_on -t tmpfs backup
in_use 26 -E lazy_itable_init=0,lazy_journal_init=0
head -c 3M /dev/urandom >/mnt/vol/data
sum=$(sha256sum </mnt/vol/data)

# --- one that is taken ------------------------------------------------------------
check "a snapshot is begun" begun $b/full
at=$(instant)
check "kcache status names its own device all the same" same "$(kcache status vol --json | jq -r '.volumes[0].device, .volumes[0].snapshot' | paste -sd' ')" "$d true"
check "a second one at the same time is refused" expect_exit 5 kcache snapshot vol $b/other
check "and says why" said 'a snapshot of it is being taken'
check "detach is refused" expect_exit 5 kcache detach vol
check "the volume is written to meanwhile" dd if=/dev/urandom of=/mnt/vol/data bs=1M count=2 conv=notrunc,fsync status=none
check "what dm-snapshot shows is as it was" same "$(instant)" "$at"
check "the copy ends" ends 0
check "the volume was frozen for less than a second" frozen
check "the copy is that instant" same "$(sha256sum <$b/full)" "$at"
check "all is as it was before" stands $b
check "an audit event says so" grep -q '"event":"createSnapshot","result":"succeeded","volume":"'"$uuid"'".*"file":"'$b/full'"' "$STATE/audit.jsonl"

# --- a chain ------------------------------------------------------------------------
check "an incremental" begun $b/inc --parent $b/full
at1=$(instant)
check "ends" ends 0
check "it holds what has changed ($(stat -c %s $b/inc) bytes), and not much more" test "$(stat -c %s $b/inc)" -lt 6000000 -a "$(stat -c %s $b/inc)" -ge 2000000
loop_device 26M
check "the chain is restored" kcache -q restore $b/full $b/inc "$LOOP"
check "to that very instant" same "$(sha "$LOOP")" "$at1"

# --- out of room: the snapshot fails, never the volume ------------------------------------
check "a snapshot with little room is begun" begun $b/small --cow-size 1
check "the volume is written to, more than that" dd if=/dev/urandom of=/mnt/vol/more bs=1M count=2 conv=fsync status=none
check "the snapshot fails" ends 4
check "and says what to do" said 'did not fit into the COW store.*--cow-size'
check "there is nothing of it" test ! -e $b/small -a ! -e $b/small.map
check "all is as it was before" stands $b

# --- interrupted ------------------------------------------------------------------------------
check "one is begun" begun $b/killed
at=$(instant)
check "and killed" killed
dd if=/dev/urandom of=/mnt/vol/data bs=1M count=1 conv=notrunc,fsync status=none
check "the same command goes on" expect_exit 0 kcache snapshot vol $b/killed
check "and says so" said 'going on with the snapshot of'
check "it is the first instant" same "$(sha256sum <$b/killed)" "$at"
check "all is as it was before" stands $b
check "one is begun" begun $b/stopped
check "SIGTERM ends it" ends 143 TERM
check "all is as it was before" stands $b
check "one is begun" begun $b/killed2
check "and killed" killed
umount /mnt/vol
check "detach clears it away" kcache detach vol
check "nothing is left" not bash -c 'dmsetup ls | grep -v slice | grep .'
check "no keyring has a key of ours" no_keys

# --- a copy attaches -----------------------------------------------------------------------------
check "beside the volume itself it is refused" expect_exit 5 kcache attach $b/full copy
check "and says what to do" said 'make a volume of its own of the copy with kcache clone'
losetup -d "$LOOP"
dmsetup remove slice1
dd if=/dev/zero of="$(disk 1)" bs=1M count=20 conv=fsync status=none
check "without it the copy attaches" kcache attach $b/full copy
check "it was frozen: there is no journal to replay" not journal /dev/mapper/copy
check "its filesystem is clean" fsck.ext4 -fn /dev/mapper/copy
mount -o ro /dev/mapper/copy /mnt/vol
check "and its data are those of the instant" same "$(sha256sum </mnt/vol/data)" "$sum"
umount /mnt/vol
kcache detach copy
