#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random I/O of mixed sizes at depth, every block with a checksum of its own.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
add_key fio
# fio names its state after the job: nowhere that matters
cd /tmp || exit

verified() { # DEVICE SIZE BLOCKSIZES ENGINE
	fio --name=v --filename="$1" --size="$2" --bsrange="$3" --bs_unaligned=0 --ioengine="$4" --direct=1 \
		--rw=randrw --rwmixread=30 --iodepth=16 --verify=crc32c --verify_fatal=1 --verify_backlog=64 \
		--randrepeat=0 --group_reporting
}

for ss in 512 4096; do
	map f kcache fio 0 "$(disk 1)" 0 98304 sector_size:$ss
	check "crc32c holds for 512 B to 4 KiB, sector_size:$ss" \
		verified /dev/mapper/f 8M "$ss-8k" libaio
	check "crc32c holds for 4 KiB to 512 KiB, sector_size:$ss" \
		verified /dev/mapper/f 48M 4k-512k libaio
	check "no I/O failed, sector_size:$ss" same "$(state_of f errors)" 0
	unmap f
done

# four jobs on both CPUs, each in an area of its own
map f kcache fio 0 "$(disk 1)" 0 131072 sector_size:4096
check "crc32c holds for four jobs at once" \
	fio --name=p --filename=/dev/mapper/f --size=12M --offset_increment=12M --numjobs=4 --thread \
	--bsrange=4k-128k --ioengine=psync --direct=1 --rw=randwrite --verify=crc32c --verify_fatal=1 \
	--group_reporting
check "reads were decrypted" test "$(state_of f read_bytes)" -gt 12000000
check "writes were encrypted" test "$(state_of f write_bytes)" -gt 12000000
unmap f
