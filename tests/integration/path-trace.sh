#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tracepoints: there, off by default, and they say what happens.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"

new_session
add_key trc
modprobe dm-kcache
t=/sys/kernel/tracing
mountpoint -q $t || mount -t tracefs none $t
head -c 1048576 /dev/urandom >/tmp/mib
for e in kcache_io_crypt kcache_io_defer kcache_key_state; do
	check "there: $e" test -d $t/events/kcache/$e
	check "off by default: $e" same "$(cat $t/events/kcache/$e/enable)" 0
done
echo >$t/trace
map m kcache trc 0 "$(disk 1)" 0 65536 sector_size:4096 lease:600 on_expiry:freeze
write_block /dev/mapper/m 0 /tmp/mib
check "off, nothing is traced" not grep -q kcache_ $t/trace
unmap m

# not the names of processes too: path-nowait says why
echo 0 >$t/options/record-cmd
echo 1 >$t/events/kcache/enable
on_exit tee $t/events/kcache/enable
map m kcache trc 0 "$(disk 1)" 0 65536 sector_size:4096 lease:600 on_expiry:freeze
mm=$(dmsetup info -c --noheadings -o major,minor m)
traced() { grep -E -- "$1" $t/trace; }
check "a key that is loaded" traced "kcache_key_state: $mm key_load: key kcache:trc is valid"
write_block /dev/mapper/m 3 /tmp/mib
check "a write" traced "kcache_io_crypt: $mm encrypt up to sector 32, 4096 bytes error 0"
read_block /dev/mapper/m 3 >/dev/null
check "a read" traced "kcache_io_crypt: $mm decrypt up to sector 32, 4096 bytes.* error 0"
dd if=/tmp/mib of=/dev/mapper/m bs=1M oflag=direct status=none
check "a large write" traced "kcache_io_defer: $mm sector 0, 1048576 bytes: fanned out"
check "its pieces, one of them by a worker" traced "kcache_io_crypt: $mm encrypt up to sector [0-9]*, [0-9]* bytes worker error 0"
wipe m
check "a wipe" traced "kcache_key_state: $mm key_wipe: key kcache:trc is wiped"
start read_block /dev/mapper/m 3
reader=$!
waiting $reader 0.3
check "what waits" traced "kcache_io_defer: $mm sector 24, 4096 bytes: parked"
set_key m trc
check "key set" traced "kcache_key_state: $mm key_set: key kcache:trc is valid"
ends 0 $reader >/dev/null
unmap m
check "the end" traced "kcache_key_state: $mm key_drop: key kcache:trc is wiped"
hex=$(xxd -p -c 64 "$KEYS/trc")
check "no key byte among it" not grep -qi "${hex:0:32}" $t/trace
echo 0 >$t/events/kcache/enable
