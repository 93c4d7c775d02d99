#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM, which has 64 MiB of RAM: swap on an encrypted device, and dirty pages
# of a device and of a file system on others, all of it more than there is memory.
# The dirty device is a stack of two volumes, so that a write needs bounce pages
# twice. It gets slow, but nobody is stuck, nobody is killed and the data is right.
#
#   memory.sh SEED
# shellcheck source-path=SCRIPTDIR source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/lib-path.sh
. "$TESTDIR/lib-path.sh"

seed=$1
press=/usr/lib/press
mib() { awk -v k="$1:" '$1 == k { printf "%.1f", $2 / 1024 }' /proc/meminfo; }
echo "# the kernel counts $(mib MemTotal) MiB in all, $(mib MemAvailable) MiB to be had at the start"

# how often a worker had to go to a reserve: counted, not recorded
tracing=/sys/kernel/tracing
mount -t tracefs tracefs $tracing 2>/dev/null
echo 8 >$tracing/buffer_size_kb
modprobe dm-kcache
check "the use of reserves can be counted" bash -c "echo 'p:from_reserve dm_kcache:kcache_bounce_wait' >$tracing/kprobe_events &&
	echo 1 >$tracing/events/kprobes/from_reserve/enable"
from_reserve() { awk '$1 == "from_reserve" { print $2 }' $tracing/kprobe_profile; }

new_session
add_key swp
add_key dat
add_key top
add_key fil
map swap kcache swp 0 "$(disk 1)" 0 524288 sector_size:4096
map data kcache dat 0 "$(disk 2)" 0 524288 sector_size:512
map stack kcache top 0 /dev/mapper/data 0 524288 sector_size:4096
map files kcache fil 0 "$(disk 3)" 0 524288 sector_size:4096
check "there are no more than 64 MiB" test "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)" -le 65536
check "a file system on a volume" mkfs.ext4 -q /dev/mapper/files
mkdir -p /mnt/files
check "is mounted" mount /dev/mapper/files /mnt/files
on_exit umount /mnt/files
mkswap -q /dev/mapper/swap
check "swap on a volume" swapon /dev/mapper/swap
on_exit swapoff /dev/mapper/swap

$press anon 80 2 >/tmp/anon.out 2>&1 &
anon=$!
$press write /dev/mapper/stack 72 "$seed" >/tmp/stack.out 2>&1 &
stack=$!
$press write /mnt/files/f 72 "$seed" >/tmp/file.out 2>&1 &
file=$!
# what is dirty has to go while what holds it waits
(
	while running $anon; do
		sync /dev/mapper/stack
		sleep 0.5
	done
) >/dev/null 2>&1 &
check "72 MiB of dirty pages of a volume on a volume are written" ends 0 $stack 240
check "72 MiB of dirty pages of a file too" ends 0 $file 240
check "80 MiB of anonymous memory are right, all the time" ends 0 $anon 240
cat /tmp/*.out
check "the volume holds what was written" $press check /dev/mapper/stack 72 "$seed"
check "the file too" $press check /mnt/files/f 72 "$seed"
for v in swap data stack files; do
	echo "# $v: $(dmsetup status $v | cut -d' ' -f4-)"
	check "nothing failed on $v" same "$(state_of $v errors)" 0
done
check "the memory was in swap" test "$(state_of swap write_bytes)" -gt 67108864
echo "# $(from_reserve) writes took their pages from a reserve"
check "reserves were needed, and were enough" test "$(from_reserve)" -gt 0
check "nobody was killed or stuck" not dmesg_has 'Out of memory|oom-kill|blocked for more than'
echo "# $(mib MemFree) MiB free, $(mib SwapFree) of $(mib SwapTotal) MiB of swap free at the end"
check "swap goes" swapoff /dev/mapper/swap
umount /mnt/files
unmap swap
unmap stack
unmap data
unmap files
