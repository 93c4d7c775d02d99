#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM, under icount: instructions per I/O of every device of the matrix.
#
#   guest-instr.sh OPERATIONS SIZES
#
# Prints "kernel RELEASE", "driver WHOSE NAME", "floor SECTOR OPERATION COUNT"
# (one call of the bare cipher) and "io DEVICE SECTOR SIZE OPERATION COUNT
# SWITCHES".
set -eu

operations=$1
sizes=$2
. "$(dirname "$0")/guest-devices.sh"

# Counted time jumps to the next timer whenever the guest is idle, and it is idle
# while it waits for its disk: 60 seconds may pass in a moment, which is as long as
# the crypto API waits for a driver. So the CPU is kept busy until all is loaded.
chrt --idle 0 bash -c 'while :; do :; done' &
busy=$!
trap 'kill $busy 2>/dev/null || :' EXIT

echo "kernel $KERNEL"
insmod /kcache/bench/kcfloor.ko
p=/sys/module/kcfloor/parameters
echo "driver floor $(cat $p/driver)"
for s in 512 4096; do
	echo "floor $s read $(cat $p/decrypt$s)"
	echo "floor $s write $(cat $p/encrypt$s)"
done

ramdisk 64
stack /dev/ram0
echo "driver kcache $(dmsetup status kcache-4096 | grep -o 'driver:[^ ]*' | cut -d: -f2)"

kill $busy
wait $busy 2>/dev/null || true
for size in $sizes; do
	# many short rounds: the best of them has no timer tick in it
	n=$((1000000 / (3 * size + 4096) + 4))
	rounds=$((200000 / size + 3))
	[ $rounds -le 12 ] || rounds=12
	for operation in $operations; do
		for device in /dev/ram0 /dev/mapper/{linear,{kcache,tuned,shipped}-{512,4096}}; do
			sector=${device##*-}
			[ "$sector" != "$device" ] || sector=0
			[ "$size" -ge "$sector" ] || continue
			name=${device##*/}
			# a process each: with devices in turns the scheduler would see another load
			/kcache/bench/kcbench -o "$operation" -s "$size" -n $n -w $((4 * n)) -r $rounds "$device" |
				while read -r _ _ _ count switches; do
					echo "io ${name%-*} $sector $size $operation $count $switches"
				done
		done
	done
done
