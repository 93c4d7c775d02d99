#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A CPU without AES instructions: the slow driver is named and warned of, and an
# asynchronous one, which only workers call, is as right as any.
# vm: --cpu max,-aes
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path-below.sh
. "$TESTDIR/lib-path-below.sh"

new_session
add_key ctx
check "this CPU has no AES instructions" not grep -qw aes /proc/cpuinfo

dmesg_mark
map m kcache ctx 0 "$(disk 1)" 0 65536 sector_size:4096
slow=$(state_of m driver)
check "the driver is the slow one: $slow" test "${slow#'xts(ecb('}" != "$slow"
check "the log warns of it" dmesg_has 'slow cipher driver xts\(ecb\('
unmap m
modprobe brd rd_nr=1 rd_size=65536
both_ways "slow driver" /dev/ram0 sector_size:4096
check "done where it is submitted and completed" same "$deferred" 0

# --- asynchronous -------------------------------------------------------------
# cryptd makes an asynchronous driver of any; asking for it by name is enough,
# and from then on it is the best there is
modprobe cryptd
python3 - "cryptd($slow)" <<'END'
import socket, sys
s = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
s.bind(("skcipher", sys.argv[1]))
END
map m kcache ctx 0 "$(disk 1)" 0 65536 sector_size:4096
check "an asynchronous driver is taken: $(state_of m driver)" same "$(state_of m driver)" "cryptd($slow)"
dev=/dev/mapper/m
check "a wipe" wipe m
check "and key set" set_key m ctx
for _ in 1 2 3; do
	run_fio --filename=$dev --size=4M --bsrange=4k-256k --ioengine=libaio --iodepth=8 --rw=randrw \
		--time_based --runtime=3 --continue_on_error=all >/tmp/fio.out 2>&1 &
	fio=$!
	while running $fio; do
		wipe m
		sleep 0.1
		set_key m ctx
		sleep 0.1
	done
	wait $fio
done
check "wipes under load fail some I/O" rose m errors 0
check "and the device is well" read_block $dev 0
unmap m
both_ways "asynchronous driver" /dev/ram0 sector_size:4096
check "all of it by workers" test "$deferred" -gt 100
check "nothing in place" same "$inline" 0
both_ways "asynchronous driver, 512-byte units" /dev/ram0
rmmod brd
