#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Snapshots under load: data of one instant, a clean file system, a chain equal to its
# instants, whatever the load does meanwhile.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"
. "$(dirname "$0")/lib-snapshot.sh"

mkdir -p /mnt/copy
mkfs.ext4 -q "$(disk 2)"
backup_on "$(disk 2)"
in_use 60
cd /tmp || exit

# --- the load: what is written is read again and compared; A is always written before B ---
fio --name=load --directory=/mnt/vol --size=16M --bsrange=4k-64k --ioengine=libaio --iodepth=4 --rate_iops=300 --direct=1 \
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
loop_device 60M
t=$LOOP
check "the chain is restored to its second link" kcache -q restore $b/s0 $b/s1 "$t"
check "which is that instant" same "$(sha "$t")" "$at1"
check "and to its third" kcache -q restore $b/s0 $b/s1 $b/s2 "$t" --force
check "which is that instant" same "$(sha "$t")" "$at2"
umount /mnt/vol
kcache detach vol
# the original away, so that its copies attach
dmsetup remove slice1
dd if=/dev/zero of="$(disk 1)" bs=1M count=1 conv=fsync status=none
losetup -d "$t"
previous=0
for copy in s0 killed; do
	check "$copy attaches" kcache attach $b/$copy copy
	check "it was frozen: there is no journal to replay" not journal /dev/mapper/copy
	check "its file system is clean" fsck.ext4 -fn /dev/mapper/copy
	mount -o ro /dev/mapper/copy /mnt/copy
	a=$(counter /mnt/copy/A) z=$(counter /mnt/copy/B)
	check "it has the counters of one instant: A $a, B $z" test "$a" -eq "$z" -o "$a" -eq $((z + 1))
	check "later than the one before, and earlier than the end" test "$a" -gt "$previous" -a "$a" -lt "$last"
	previous=$a
	umount /mnt/copy
	kcache detach copy
done
