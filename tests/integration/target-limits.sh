#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the mapped device promises to those above is what dm-crypt promises;
# flushes, FUA and discards arrive below.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
add_key lim

limits() { # NAME
	local dev=/dev/mapper/$1 q

	q=/sys/block/$(basename "$(readlink -f "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor "$1")")")/queue
	blockdev --getss --getpbsz --getiomin --getioopt --getalignoff --getdiscardzeroes --getsz "$dev"
	lsblk -nr -t -D -o ALIGNMENT,MIN-IO,OPT-IO,PHY-SEC,LOG-SEC,ROTA,RA,WSAME,DISC-ALN,DISC-GRAN,DISC-MAX,DISC-ZERO "$dev"
	(cd "$q" && grep . fua write_cache write_zeroes_max_bytes stable_writes max_hw_sectors_kb zoned dax)
}
same_limits() { # LINE-ARGUMENTS without the target
	local a b

	map a crypt lim "$@" && a=$(limits a) && unmap a &&
		map a kcache lim "$@" && b=$(limits a) && unmap a && echo "$b" && diff <(echo "$a") <(echo "$b")
}

loop_device 64M -b 4096
for dev in "$(disk 1)" "$LOOP"; do
	kind=$(blockdev --getss "$dev")
	for ss in 512 1024 2048 4096; do
		check "limits on $kind-byte sectors are dm-crypt's: sector_size:$ss" \
			same_limits 0 "$dev" 0 65536 sector_size:$ss
	done
	check "limits on $kind-byte sectors are dm-crypt's with allow_discards" \
		same_limits 0 "$dev" 0 65536 sector_size:4096 allow_discards
done

# flushes and FUA, counted by the disk
flushes() { awk '{ print $16 }' "/sys/block/$(basename "$(disk 1)")/stat"; }
map a kcache lim 0 "$(disk 1)" 0 65536
before=$(flushes)
dd if=/dev/zero of=/dev/mapper/a bs=4k count=1 conv=fsync oflag=direct status=none
check "fsync flushes the disk" test "$(flushes)" -gt "$before"
before=$(flushes)
dd if=/dev/zero of=/dev/mapper/a bs=4k count=1 oflag=direct,dsync status=none
check "O_DSYNC makes the write durable" test "$(flushes)" -gt "$before"

check "a discard is refused without allow_discards" not blkdiscard /dev/mapper/a
check "secure erase is refused" not blkdiscard -s /dev/mapper/a
# zeroes have to be encrypted like all else
check "zeroing works" blkdiscard -z -l 1048576 /dev/mapper/a
check "and reads as zeroes" cmp -n 1048576 /dev/mapper/a /dev/zero
check "but is not zeroes on the disk" not cmp -n 1048576 "$(disk 1)" /dev/zero
unmap a

# a discard frees the blocks of the file below
used() { stat -c %b "$(losetup -n -O BACK-FILE "$LOOP" | tr -d ' ')"; }
map a kcache lim 0 "$LOOP" 0 65536 allow_discards
head -c 16M /dev/urandom | dd of=/dev/mapper/a bs=1M iflag=fullblock oflag=direct status=none
full=$(used)
check "a discard is let through with allow_discards" blkdiscard -o 4194304 -l 8388608 /dev/mapper/a
check "and frees the space below" test "$(used)" -le $((full - 8388608 / 512 + 64))
quiet_get() { get "$1" >/dev/null; }
check "what was discarded can be read" quiet_get /dev/mapper/a
unmap a
