#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Errors of the disk below reach the reader and the writer, and nobody else.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
add_key e
d=$(disk 1)

# sectors 2048 to 2055 of the disk are bad
on_exit dmsetup remove -f bad
dmsetup create bad --table "0 2048 linear $d 0
2048 8 error
2056 63480 linear $d 2056"
io() { dd bs=4k count=1 status=none "$@"; }

for ss in 512 4096; do
	map m kcache e 0 /dev/mapper/bad 0 65536 sector_size:$ss
	check "a read of the bad sector fails, sector_size:$ss" not io if=/dev/mapper/m of=/dev/null skip=256 iflag=direct
	check "as EIO" said 'Input/output error'
	check "a write to it fails, sector_size:$ss" not io if=/dev/zero of=/dev/mapper/m seek=256 oflag=direct
	check "a buffered write to it fails at fsync" not io if=/dev/zero of=/dev/mapper/m seek=256 conv=fsync
	check "a large read across it fails" not dd if=/dev/mapper/m of=/dev/null bs=4M count=1 iflag=direct status=none
	check "the sector before it is fine" io if=/dev/mapper/m of=/dev/null skip=255 iflag=direct
	check "and the one behind it" io if=/dev/zero of=/dev/mapper/m seek=257 oflag=direct
	check "the disk's errors are not counted as the target's" same "$(state_of m errors)" 0
	unmap m
done
dmsetup remove bad

# a disk that comes and goes
modprobe dm-flakey 2>/dev/null
on_exit dmsetup remove -f flaky
dmsetup create flaky --table "0 65536 flakey $d 0 0 3600"
map m kcache e 0 /dev/mapper/flaky 0 65536 sector_size:4096
check "a dead disk fails reads" not io if=/dev/mapper/m of=/dev/null iflag=direct
check "and writes" not io if=/dev/zero of=/dev/mapper/m oflag=direct
check "and flushes" not io if=/dev/zero of=/dev/mapper/m conv=fsync
dmsetup suspend flaky
dmsetup reload flaky --table "0 65536 linear $d 0"
dmsetup resume flaky
check "when it is back writes work" io if=/dev/zero of=/dev/mapper/m oflag=direct conv=fsync
check "and read as written" cmp -n 4096 /dev/mapper/m /dev/zero
unmap m
dmsetup remove flaky

# the last I/O done before the table goes: remove while reads are on their way
for _ in 1 2 3 4 5; do
	map m kcache e 0 "$d" 0 65536 sector_size:4096
	for i in 1 2 3 4; do
		dd if=/dev/mapper/m of=/dev/null bs=64k iflag=direct status=none &
	done
	wait
	unmap m || fail "the device goes after the last read"
done
check "the module can be unloaded at the end" modprobe -r dm-kcache
