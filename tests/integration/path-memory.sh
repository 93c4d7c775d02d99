#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Little memory: swap and dirty pages on encrypted devices, larger than RAM. It
# gets slow, but nobody is stuck, nobody is killed and the data is right. Without
# ERMS, because QEMU stores byte by byte what it has: a page that held code before
# then takes seconds to clear.
# vm: --mem 128 --scratch 2:512M --cpu max,-erms,-fsrm
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"

new_session
free -m
add_key swp
add_key dat
map swap kcache swp 0 "$(disk 1)" 0 524288 sector_size:4096
map data kcache dat 0 "$(disk 2)" 0 524288 sector_size:512
mkswap -q /dev/mapper/swap
check "swap on a kcache device" swapon /dev/mapper/swap
on_exit swapoff /dev/mapper/swap
out=$(state_of swap write_bytes)

# 112 MiB of anonymous memory, of which every page says what it should hold
hog() {
	python3 - <<'END'
import mmap, struct
pages = 112 << 8
area = mmap.mmap(-1, pages << 12)
for i in range(pages):
    struct.pack_into("<Q", area, i << 12, i)
for i in range(pages):
    assert struct.unpack_from("<Q", area, i << 12) == (i,), i
END
}
hog >/tmp/hog.out 2>&1 &
hog=$!
# meanwhile: dirty pages of a block device through the page cache
head -c 1048576 /dev/urandom >/tmp/mib
written() {
	local i

	for i in $(seq 0 47); do
		dd if=/tmp/mib of=/dev/mapper/data bs=1M seek="$i" conv=notrunc status=none || return
	done
	sync /dev/mapper/data
}
right() {
	local i

	for i in $(seq 0 47); do
		cmp /tmp/mib <(dd if=/dev/mapper/data bs=1M skip="$i" count=1 iflag=direct status=none) || return
	done
}
check "48 MiB are written back meanwhile" written
check "and are right" right
check "112 MiB of anonymous memory are right" ends 0 $hog 180
cat /tmp/hog.out
check "they were in swap" test $(($(state_of swap write_bytes) - out)) -gt 16777216
check "nothing failed on swap" same "$(state_of swap errors)" 0
check "nor on data" same "$(state_of data errors)" 0
check "nobody was killed" not dmesg_has 'Out of memory|oom-kill|blocked for more than'
check "swap goes" swapoff /dev/mapper/swap
unmap swap
unmap data
