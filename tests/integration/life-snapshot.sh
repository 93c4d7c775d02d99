#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Snapshots under load: data of one instant, a clean file system, a chain equal to its
# instants, whatever the load does meanwhile; and what goes wrong around them, which never
# is the volume's harm.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"
. "$(dirname "$0")/lib-snapshot.sh"

mkdir -p /mnt/vol /mnt/backup /mnt/copy /mnt/other
on_exit umount /mnt/backup
on_exit umount /mnt/vol
mkfs.ext4 -q "$(disk 2)"
mount "$(disk 2)" /mnt/backup
b=/mnt/backup
slice 1 150
d=$SLICE
kcache create -q "$d" >/dev/null
kcache attach "$d" vol >/dev/null
on_exit kcache detach vol
TABLE=$(dmsetup table vol)
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol /mnt/vol
cd /tmp || exit

# --- the load: what is written is read again and compared; A is always written before B ---
fio --name=load --directory=/mnt/vol --size=40M --bsrange=4k-64k --ioengine=libaio --iodepth=8 --direct=1 \
	--rw=randwrite --verify=crc32c --verify_fatal=1 --verify_backlog=64 --time_based --runtime=600 \
	--output="$STATE/fio" &
fio=$!
on_exit kill $fio
cat >"$STATE/counters.py" <<'END'
import mmap, os, sys
block = mmap.mmap(-1, 4096)
f = [os.open(os.path.join(sys.argv[1], n), os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_SYNC) for n in "AB"]
n = 0
while not os.path.exists(sys.argv[2]):
    n += 1
    block[:8] = n.to_bytes(8, "big")
    for fd in f:
        os.pwrite(fd, block, 0)
END
/usr/bin/python3 "$STATE/counters.py" /mnt/vol "$STATE/enough" &
counters=$!
on_exit kill $counters
wait_for 20 test -s /mnt/vol/B
# counter FILE: its value
counter() { od -An -N8 -tu8 --endian=big "$1" | tr -d ' '; }
# loaded: the load runs, and nothing that it has read was wrong
loaded() { kill -0 $fio && kill -0 $counters; }
# frozen: the last one said for how long, and that was less than a second
frozen() {
	local ms

	ms=$(sed -n 's/.*frozen for \([0-9]*\) ms.*/\1/p' "$_said")
	echo "# frozen for $ms ms" >&3
	[ "$ms" -lt "$(slowly 1000 | cut -d. -f1)" ]
}
exec 3>&1

check "a snapshot under load" expect_exit 0 kcache snapshot vol $b/s0
check "froze the volume for less than a second" frozen
check "the load goes on" loaded
check "an incremental" begun $b/s1 --parent $b/s0
at1=$(instant)
check "is made under load" ends 0
check "froze the volume for less than a second" frozen
check "a second one" begun $b/s2 --parent $b/s1
at2=$(instant)
check "is made under load" ends 0
check "froze the volume for less than a second" frozen
check "all is as it was before" stands $b
check "one with too little room" expect_exit 4 kcache snapshot vol $b/small --cow-size 1
check "says what to do" said 'did not fit into the COW store.*--cow-size'
check "the load goes on" loaded
check "all is as it was before" stands $b
check "one is begun" begun $b/killed
check "and killed" killed
sleep 1
check "the load goes on, on the origin" loaded
at3=$(instant)
check "the same command goes on" expect_exit 0 kcache snapshot vol $b/killed
check "and says so" said 'going on with the snapshot of'
check "it is the instant of the first" same "$(sha256sum <$b/killed)" "$at3"
check "all is as it was before" stands $b
check "the load goes on" loaded
touch "$STATE/enough"
wait $counters
kill -INT $fio
wait $fio
check "and never read anything but what was written" bash -c "! grep -E 'verify:|err= *[1-9]' '$STATE/fio'"
last=$(counter /mnt/vol/A)
sync -f /mnt/vol

# --- what was copied ---------------------------------------------------------------------
loop_device 150M
t=$LOOP
check "the chain is restored to its second link" kcache -q restore $b/s0 $b/s1 "$t"
check "which is that instant" same "$(sha "$t")" "$at1"
check "and to its third" kcache -q restore $b/s0 $b/s1 $b/s2 "$t" --force
check "which is that instant" same "$(sha "$t")" "$at2"
umount /mnt/vol
kcache detach vol
# the original away, so that its copies attach
dmsetup remove slice1
dd if="$(disk 1)" of="$STATE/start" bs=1M count=1 status=none
dd if=/dev/zero of="$(disk 1)" bs=1M count=1 conv=fsync status=none
losetup -d "$t"
previous=0
for copy in s0 killed; do
	check "$copy attaches" kcache attach $b/$copy copy
	check "its journal is replayed" mount /dev/mapper/copy /mnt/copy
	a=$(counter /mnt/copy/A) z=$(counter /mnt/copy/B)
	check "it has the counters of one instant: A $a, B $z" test "$a" -eq "$z" -o "$a" -eq $((z + 1))
	check "later than the one before, and earlier than the end" test "$a" -gt "$previous" -a "$a" -lt "$last"
	previous=$a
	umount /mnt/copy
	check "its file system is clean" fsck.ext4 -fn /dev/mapper/copy
	kcache detach copy
done
dd if="$STATE/start" of="$(disk 1)" bs=1M conv=notrunc,fsync status=none
rm -f $b/s* $b/killed*

# --- around it ---------------------------------------------------------------------------
slice 1 40
d=$SLICE
blank "$d"
kcache create -q "$d" >/dev/null
kcache attach "$d" vol >/dev/null
TABLE=$(dmsetup table vol)
mkfs.xfs -q --unsupported /dev/mapper/vol 2>/dev/null || mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol /mnt/vol
head -c 4M /dev/urandom >/mnt/vol/data
check "one to a device" kcache -q snapshot vol "$(disk 3)" --map $b/device.map
check "has a map" test -s $b/device.map
check "and is no more than that" same "$(find $b -name 'device*')" $b/device.map
loop_device 41M
t=$LOOP
check "it is restored from there" kcache -q restore "$(disk 3)" "$t" --map $b/device.map
check "to the same bytes" cmp -n $((40 << 20)) "$(disk 3)" "$t"
check "a device that is not blank is refused" expect_exit 5 kcache -q snapshot vol "$(disk 3)"
check "all is as it was before" stands $b
check "with --force it is overwritten" kcache -q snapshot vol "$(disk 3)" --force
losetup -d "$t"
dd if=/dev/zero of="$(disk 3)" bs=1M count=41 conv=fsync status=none

check "a COW device" kcache -q snapshot vol $b/c1 --cow "$(disk 3)"
check "is blank again afterwards" kcache -q snapshot vol $b/c2 --cow "$(disk 3)"
check "one that is not blank is refused" bash -c "mkfs.ext4 -qF $(disk 4); kcache -q snapshot vol $b/c3 --cow $(disk 4); [ \$? -eq 5 ]"
check "a size for a device is refused" expect_exit 1 kcache snapshot vol $b/c3 --cow "$(disk 3)" --cow-size 9
check "a COW store on the volume itself is refused" expect_exit 5 kcache snapshot vol $b/c3 --cow /mnt/vol
check "a copy on the volume itself is refused" expect_exit 5 kcache snapshot vol /mnt/vol/copy
check "and says so" said 'lies on the volume itself'
truncate -s 8M /mnt/vol/image
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

# --- others' hands -----------------------------------------------------------------------------
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
