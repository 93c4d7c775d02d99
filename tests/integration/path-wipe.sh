#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Key wipe and key set under load: they never wait for a device, nothing hangs,
# what fails fails cleanly, and what is there afterwards is right.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"

new_session
modprobe dm-delay
d=$(disk 1)
add_key wip
dev=/dev/mapper/m
# load SECONDS FIO-OPTIONS...: in the background, whatever fails
load() {
	local seconds=$1

	shift
	(cd /tmp && exec fio --name=l --filename=$dev --direct=1 --ioengine=libaio --rw=randrw --time_based \
		--runtime="$seconds" --continue_on_error=all --group_reporting --size=32M "$@") >/tmp/load.out 2>&1 &
	fio=$!
}
# the load has got somewhere, or has ended
started() { rose m inline 0 || rose m fanned_out 0 || ! running "$fio"; }
# the load has met a wipe, or has ended
met() { rose m errors 0 || ! running "$fio"; }
# the load is asked to end, and does
ended() {
	kill -INT "$fio"
	clean
}
# the load has met nothing but I/O errors, and has ended by itself
clean() {
	local code=0

	wait_for 30 not running "$fio" || { cat "/proc/$fio/task/"*/stack; return 1; }
	wait "$fio" || code=$?
	tail -n 5 /tmp/load.out
	# fio: 0 or 1, or 128 where it was asked to end; and EIO is the only error it names
	{ [ "$code" -le 1 ] || [ "$code" -eq 128 ]; } && ! grep -o 'error=[A-Z].*' /tmp/load.out | grep -v 'Input/output error'
}
verified() {
	run_fio --filename=$dev --size=16M --bsrange=4k-1M --ioengine=libaio --iodepth=8 --rw=randwrite --verify=crc32c
}

# --- a slow device ----------------------------------------------------------
on_exit dmsetup remove -f slow
dmsetup create slow --table "0 131072 delay $d 0 $((6000 * SLOW))"
inflight() { awk '{ exit !($1 + $2) }' "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor m)/inflight"; }
for size in 4k 1M; do
	map m kcache wip 0 /dev/mapper/slow 0 131072 sector_size:4096
	load 2 --rw=randread --bs=$size --iodepth=8
	check "reads of $size are below" wait_for 20 inflight
	check "a wipe does not wait for them" within 4000 wipe m
	check "the load ends" clean
	check "what came late failed" rose m errors 0
	set_key m wip
	load 2 --rw=randwrite --bs=$size --iodepth=8
	check "writes of $size are below" wait_for 20 inflight
	check "key set does not wait for them" within 4000 set_key m wip
	check "nor does a wipe" within 4000 wipe m
	check "the load ends" clean
	unmap m
done
dmsetup remove slow

# what computes shares the CPUs with whatever else the machine does
limit=$((5 * (STRETCH > SLOW ? STRETCH : SLOW)))
# --- wipe and set again and again -------------------------------------------
rounds=(1 2 3 4 5 6 7 8)
# on a kernel whose load takes seconds to meet a wipe
[ "$SLOW" -eq 1 ] || rounds=(1 2 3)
for shape in '--bs=4k --iodepth=32' '--bsrange=512-64k --iodepth=8 --numjobs=2' '--bs=1M --iodepth=4' \
	'--bs=256k --iodepth=8 --numjobs=2'; do
	map m kcache wip 0 "$d" 0 131072 sector_size:512
	# shellcheck disable=SC2086 # words
	load "$(slowly 120)" $shape
	wait_for 20 started
	slowest=0
	for _ in "${rounds[@]}"; do
		t0=$(now)
		wipe m
		t0=$(($(now) - t0))
		[ $t0 -le $slowest ] || slowest=$t0
		# the first time until something has met it: large I/O in flight can take longer
		wait_for 10 met
		sleep 0.1
		set_key m wip
		sleep 0.1
	done
	check "under $shape no wipe took more than $limit s" test $slowest -le $((1000 * limit))
	check "the load ends" ended
	check "some of it failed" rose m errors 0
	case $shape in *256k* | *1M*) check "large I/O was divided" rose m fanned_out 0 ;; esac
	check "afterwards everything can be written and verified" verified
	unmap m
done

# --- while tables come and go -----------------------------------------------
map m kcache wip 0 "$d" 0 131072 sector_size:4096
load 6 --bs=16k --iodepth=8
(
	while running $fio; do
		dmsetup reload m --table "$(line kcache wip 0 "$d" 0 131072 sector_size:4096)" && dmsetup resume m
		dmsetup suspend --noflush m
		dmsetup resume m
	done
	true
) >/dev/null 2>&1 &
loop=$!
while running $fio; do
	wipe m
	set_key m wip
done
check "wipes while tables are loaded: the load ends" clean
check "and the loop" ends 0 $loop 20
set_key m wip
dmsetup resume m
check "the device is well" verified
wipe m
check "a wipe reaches the table that is live now" not read_block $dev
unmap m

# --- key set of the same key loses nothing ----------------------------------
map m kcache wip 0 "$d" 0 131072 sector_size:4096
run_fio --filename=$dev --size=24M --bsrange=4k-512k --ioengine=libaio --iodepth=8 --rw=randrw --verify=crc32c \
	--verify_backlog=32 --time_based --runtime=5 >/tmp/swap.out 2>&1 &
fio=$!
swaps=0
while running $fio; do
	set_key m wip && swaps=$((swaps + 1))
done
check "fio verifies while the key is set again and again" ends 0 $fio
check "it was set often" test $swaps -ge 5
check "and nothing failed" same "$(state_of m errors)" 0
unmap m
