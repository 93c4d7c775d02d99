#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A CPU goes and comes under load: what it had to decrypt goes elsewhere, and so
# do the pages that it kept.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"

new_session
add_key dat
map data kcache dat 0 "$(disk 1)" 0 131072 sector_size:512
run_fio --filename=/dev/mapper/data --size=8M --bsrange=4k-256k --ioengine=libaio --iodepth=8 --rw=randrw \
	--verify=crc32c --verify_backlog=16 --time_based --runtime=6 >/tmp/fio.out 2>&1 &
fio=$!
cpu=/sys/devices/system/cpu/cpu1/online
turns=0
while running $fio; do
	echo 0 >$cpu
	sleep 0.3
	echo 1 >$cpu
	sleep 0.3
	turns=$((turns + 1))
done
check "fio verifies while a CPU goes and comes" ends 0 $fio
check "it went and came" test "$turns" -ge 2
check "nothing failed" same "$(state_of data errors)" 0
unmap data
