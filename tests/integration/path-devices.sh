#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Devices of all kinds below, and devices with unusual limits: what is written
# through kcache is read through dm-crypt and the other way round.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path-below.sh
. "$TESTDIR/lib-path-below.sh"

new_session
add_key ctx

both_ways virtio-blk "$(disk 1)"
losetup -b 4096 --direct-io=on /dev/loop7 "$(disk 2)"
on_exit losetup -d /dev/loop7
both_ways "loop, 4096-byte sectors" /dev/loop7 sector_size:4096
loop_device 64M
both_ways loop "$LOOP"

# --- unusual limits ---------------------------------------------------------
# everything larger than 16 KiB is split below us
null_disk n5 irqmode=1 max_sectors=32
both_ways "null_blk, 16 KiB at a time" "$NULL"
# no segment may begin or end in the middle of a page: dense bounce pages do not
null_disk n6 irqmode=2 completion_nsec=10000 virt_boundary=1
both_ways "null_blk, page boundaries" "$NULL"

# zones want to be written in order, which writes that go to workers may not keep
null_disk n7 zoned=1 zone_size=4
dmesg_mark
check "a zoned device is refused" not map m kcache ctx 0 "$NULL" 0 65536
check "and the log says why" dmesg_has 'kcache: Zoned devices are not supported'

# sectors of 4096 bytes, of which each is half a physical one
modprobe sd_mod
modprobe scsi_debug dev_size_mb=64 sector_size=4096 physblk_exp=1 opt_xferlen_exp=4 lbpu=1 lbpws=1 delay=1
on_exit rmmod scsi_debug
wait_for 10 test -b /dev/sda
both_ways "scsi_debug, 4096-byte sectors, late" /dev/sda sector_size:4096
both_ways "scsi_debug, units smaller than its sectors" /dev/sda sector_size:512
map m kcache ctx 0 /dev/sda 0 65536 sector_size:4096 allow_discards
check "scsi_debug takes a discard" blkdiscard -o 1M -l 4M /dev/mapper/m
unmap m
map m kcache ctx 0 /dev/sda 0 65536 sector_size:4096
check "and gets none unless allowed" not blkdiscard -o 1M -l 4M /dev/mapper/m
unmap m
