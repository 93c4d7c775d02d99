#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# NOWAIT and polling: io_uring on the raw device needs no workers, RWF_NOWAIT
# works, polled reads complete by polling.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path-below.sh
. "$TESTDIR/lib-path-below.sh"

new_session
add_key ctx
trace=/sys/kernel/tracing
mountpoint -q $trace || mount -t tracefs none $trace
# The kernel patches itself for an event, and for the names of processes in the scheduler,
# where the other CPU comes by all the time: a CPU of TCG may not see that a breakpoint has
# gone, and stay there. Once is enough, and without the names.
echo 0 >$trace/options/record-cmd
echo 0 >$trace/tracing_on
traced() { echo 0 >$trace/events/enable; echo 1 >$trace/tracing_on; }
on_exit traced
echo 1 >$trace/events/io_uring/io_uring_queue_async_work/enable
dev=/dev/mapper/m

# punted COMMAND...: how many requests io_uring gave to its workers
punted() {
	echo >$trace/trace
	echo 1 >$trace/tracing_on
	"$@" >/tmp/fio.out 2>&1 || { cat /tmp/fio.out; return 1; }
	echo 0 >$trace/tracing_on
	grep -c io_uring_queue_async_work: $trace/trace || true
}
uring() { run_fio --filename=$dev --size=8M --ioengine=io_uring --iodepth=16 "$@"; }

for below in virtio null; do
	case $below in
	virtio) disk=$(disk 1) hipri= ;;
	# small enough that nothing is split: a split NOWAIT bio goes to a worker
	null) null_disk n0 irqmode=1 poll_queues=1; disk=$NULL hipri=1 ;;
	esac
	map m kcache ctx 0 "$disk" 0 65536 sector_size:4096
	check "$below: written by io_uring and verified" uring --bsrange=4k-64k --rw=randwrite --verify=crc32c
	check "$below: no worker for reads of 4 KiB" same "$(punted uring --bs=4k --rw=randread)" 0
	check "$below: no worker for reads of 64 KiB" same "$(punted uring --bs=64k --rw=randread)" 0
	check "$below: no worker for writes of 4 KiB" same "$(punted uring --bs=4k --rw=randwrite)" 0
	if [ -n "$hipri" ]; then
		queue=/sys/block/$(basename "$(readlink "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor m)")")/queue
		check "$below: polling is announced" same "$(cat "$queue/io_poll")" 1
		inline=$(state_of m inline) deferred=$(state_of m deferred)
		check "$below: polled reads" uring --hipri --bs=4k --rw=randread
		check "$below: they are decrypted by who polls" test $(($(state_of m inline) - inline)) -ge 2048
		check "$below: and not handed on" test $(($(state_of m deferred) - deferred)) -lt 200
		check "$below: polled writes and reads, verified" \
			uring --hipri --bsrange=4k-64k --rw=randwrite --verify=crc32c
	fi
	check "$below: NOWAIT by a system call" python3 - $dev <<'END'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
for size in (4096, 65536):
    out, back = mmap.mmap(-1, size), mmap.mmap(-1, size)
    out[:] = os.urandom(size)
    assert os.pwritev(fd, [out], 1 << 20, os.RWF_NOWAIT) == size
    assert os.preadv(fd, [back], 1 << 20, os.RWF_NOWAIT) == size
    assert out[:] == back[:]
END
	check "$below: no error" same "$(state_of m errors)" 0
	# a key that goes: whoever asks, or polls, gets an error or data
	uring ${hipri:+--hipri} --bs=4k --rw=randread --time_based --runtime=3 --continue_on_error=all >/tmp/fio.out 2>&1 &
	fio=$!
	while running $fio; do
		wipe m
		set_key m ctx
	done
	check "$below: io_uring ends while the key comes and goes" wait_for 20 not running "$fio"
	set_key m ctx
	check "$below: the device is well" uring --bs=4k --rw=randread
	unmap m
done

# frozen and polled: what waits is not polled any more. io_uring's polled I/O is NOWAIT
# as well on older kernels, and is refused; later ones send it again from a worker that
# may wait, and then it has to end with the key
polled() {
	exec fio --name=j --filename=$dev --direct=1 --ioengine=io_uring --hipri --bs=4k --rw=write \
		--number_ios=1 --size=1M >/tmp/polled 2>&1
}
map m kcache ctx 0 "$NULL" 0 65536 sector_size:4096 lease:600 on_expiry:freeze
wipe m
polled &
fio=$!
if wait_for 20 not running $fio; then
	check "polled by io_uring: refused at once" ends bad $fio
	check "as EAGAIN" grep 'Resource temporarily unavailable' /tmp/polled
else
	check "polled by io_uring: waits" waiting $fio
	set_key m ctx
	check "and ends with the key, and no error" ends 0 $fio 20
	wipe m
fi
start run_fio --filename=$dev --ioengine=pvsync2 --hipri --bs=4k --rw=write --number_ios=16 --size=1M
fio=$!
check "polled by pwritev2: waits" waiting $fio 3
set_key m ctx
check "and ends with the key" ends 0 $fio 20
unmap m
