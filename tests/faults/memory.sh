#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No memory at all for whoever does not wait for it: writes go by the reserve, and
# what is under way when the key goes, or the disk fails, fails as it should.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-faults.sh
. "$(dirname "$0")/lib-faults.sh"

new_session
ram_disk
modprobe dm-delay
add_key mem
dev=/dev/mapper/m
load() { run_fio --filename=$dev --size=4M --bsrange=4k-1M --ioengine=libaio --iodepth=8 --rw=randwrite --verify=crc32c; }

for disk in /dev/ram0 "$(disk 1)"; do
	for ss in 512 4096; do
		what="$(basename "$disk"), sector_size:$ss"
		map m kcache mem 0 "$disk" 0 65536 sector_size:$ss
		starve
		check "$what: without memory all can be written and verified" load
		feed
		check "$what: writes went by the reserve" rose m deferred 0
		check "$what: no error" same "$(state_of m errors)" 0
		check "$what: with memory again too" load
		check "$what: and large ones were divided again" rose m fanned_out 0
		unmap m
	done
done

# --- NOWAIT -----------------------------------------------------------------
map m kcache mem 0 /dev/ram0 0 65536 sector_size:4096
check "a write of before" write_block $dev 1 /bin/bash
nowait() {
	python3 - "$@" <<'END'
import errno, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
wanted = {0: "done", errno.EAGAIN: "again"}
for size in (4096, 16384, 65536):
    buf = mmap.mmap(-1, size)
    try:
        assert os.pwritev(fd, [buf], 1 << 20, os.RWF_NOWAIT) == size
        got = 0
    except OSError as e:
        got = e.errno
    assert wanted.get(got) == sys.argv[2], (size, got)
END
}
starve
deferred=$(state_of m deferred)
shrink
check "a NOWAIT write without memory says EAGAIN" nowait $dev again
feed
check "and no worker was asked" same "$(state_of m deferred)" "$deferred"
check "with memory it is done" nowait $dev "done"
check "no error" same "$(state_of m errors)" 0
unmap m

# --- the key goes while a write has the reserve, or a read is below -----------
on_exit dmsetup remove -f slow
on_exit dmsetup remove -f m
# what is sent there stays until it is let go
hold() { dmsetup create slow --table "0 65536 delay /dev/ram0 0 $1 /dev/ram0 0 $2"; }
below() { awk '{ exit !($1 + $2) }' "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor m)/inflight"; }
let_go() { dmsetup suspend --nolockfs slow && dmsetup resume slow; }
goes_on() { let_go && ends 0 "$1"; }
head -c 1M /dev/urandom >/tmp/mib

hold 0 3600000
map m kcache mem 0 /dev/mapper/slow 0 65536 sector_size:4096
starve
start dd if=/tmp/mib of=$dev bs=1M oflag=direct conv=notrunc
writer=$!
check "a write of 1 MiB has the whole reserve" wait_for 10 rose m write_bytes 1048575
check "by way of a worker" rose m deferred 0
check "the key is wiped meanwhile, which does not wait for it" wipe m
check "it is still below" running $writer
check "another write fails at once" not dd if=/tmp/mib of=$dev bs=1M seek=2 oflag=direct conv=notrunc
check "the disk goes on" let_go
check "the first was encrypted before: it succeeds" ends 0 $writer
feed
set_key m mem
check "what it wrote is there" cmp -n 1048576 $dev /tmp/mib
start dd if=/tmp/mib of=$dev bs=1M seek=2 oflag=direct conv=notrunc
writer=$!
check "the other one is written again" wait_for 10 rose m write_bytes 2097151
check "and is below" goes_on $writer
check "and is there" cmp <(dd if=$dev bs=1M skip=2 count=1 iflag=direct status=none) /tmp/mib
unmap m
dmsetup remove slow

hold 3600000 0
for size in 4k 64k 1M; do
	map m kcache mem 0 /dev/mapper/slow 0 65536 sector_size:4096
	for memory in starve feed; do
		$memory
		start dd if=$dev of=/dev/null bs=$size count=1 iflag=direct
		reader=$!
		check "a read of $size is below ($memory)" wait_for 10 below
		check "the key goes, which does not wait for it" wipe m
		check "it is still below" running $reader
		check "the disk goes on" let_go
		check "it fails" ends bad $reader
		set_key m mem
	done
	dd if=$dev of=/tmp/again bs=$size count=1 iflag=direct status=none &
	reader=$!
	check "the next one is below" wait_for 10 below
	check "and comes back" goes_on $reader
	check "as it was written" cmp -n "$(stat -c %s /tmp/again)" /tmp/again /tmp/mib
	unmap m
done
dmsetup remove slow

# --- the reserve and a disk that fails ----------------------------------------
d=$(basename "$(disk 1)")
map m kcache mem 0 "/dev/$d" 0 65536 sector_size:4096
starve
inject fail_make_request probability=30
on_exit inject fail_make_request probability=0
echo 1 >"/sys/block/$d/make-it-fail"
run_fio --filename=$dev --size=16M --bsrange=4k-1M --ioengine=libaio --iodepth=8 --rw=randrw \
	--continue_on_error=all --time_based --runtime=4 >/tmp/fio.out 2>&1
echo 0 >"/sys/block/$d/make-it-fail"
inject fail_make_request probability=0
check "without memory, on a disk that fails, nothing is counted as the target's error" same "$(state_of m errors)" 0
check "and the reserve is whole afterwards: all can be written and verified" load
feed
unmap m
unload
