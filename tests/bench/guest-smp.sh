#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM, two CPUs that run at the same time: wall time, which only compares.
# What is compared takes turns, A B A B; the medians count (report.py).
#
#   guest-smp.sh ROUNDS
#
# Prints "wall TEST WHO NANOSECONDS" for each turn, and "workers WHO COUNT": the
# most iou-wrk threads seen while io_uring read a device at depth 16.
set -eu

rounds=$1
. "$(dirname "$0")/guest-devices.sh"
echo "kernel $KERNEL"

ramdisk 64
stack /dev/ram0

# turn TEST WHO DEVICE OPTION...
turn() {
	local test=$1 who=$2 device=$3
	shift 3

	/kcache/bench/kcbench "$@" -r 1 "$device" | { read -r _ _ _ ns _; echo "wall $test $who $ns"; }
}

# large I/O: two CPUs against one, by taking the other away
cpu1=/sys/devices/system/cpu/cpu1/online
for ((i = 0; i < rounds; i++)); do
	for operation in read write; do
		turn "large-$operation" two-cpus /dev/mapper/kcache-4096 -s 1048576 -o $operation -n 20 -w 4
	done
	echo 0 >$cpu1
	for operation in read write; do
		turn "large-$operation" one-cpu /dev/mapper/kcache-4096 -s 1048576 -o $operation -n 20 -w 4
	done
	echo 1 >$cpu1
done

for ((i = 0; i < rounds; i++)); do
	for who in kcache tuned; do
		turn mix $who /dev/mapper/$who-4096 -o mix -j 16 -n 250 -w 250
	done
done
dmsetup remove_all

# a disk that takes NOWAIT, as brd of 6.1 does not
disk=${SCRATCH%% *}
dd if=/dev/zero of="$disk" bs=1M count=64 oflag=direct status=none
map kcache-nowait kcache "$disk" 4096
map tuned-nowait crypt "$disk" 4096 no_read_workqueue no_write_workqueue
for who in kcache tuned; do
	fio --name=nowait --filename=/dev/mapper/$who-nowait --direct=1 --ioengine=io_uring --rw=randread \
		--bs=4k --iodepth=16 --size=64M --time_based --runtime=4 >/tmp/fio.log 2>&1 &
	fio=$!
	most=0
	while kill -0 $fio 2>/dev/null; do
		now=$(cat /proc/[0-9]*/task/[0-9]*/comm 2>/dev/null | grep -c '^iou-wrk') || true
		[ "$now" -le "$most" ] || most=$now
		sleep 0.1
	done
	wait $fio || { cat /tmp/fio.log; exit 1; }
	echo "workers $who $most"
done
