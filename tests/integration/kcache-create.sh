#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# create on a block device: everything it refuses, and that it then writes nothing.
# What a plain file shows as well is in tests/unit/test-cli.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mkdir -p /mnt/create
on_exit umount /mnt/create
create() { kcache create -q "$@"; }

loop_device 24M
d=$LOOP
mkfs.ext4 -q "$d"
check "create refuses a filesystem" refused 5 "^kcache: $d: it is not blank: a signature of ext4 \(UUID " "$d" create "$d"
mount -o ro "$d" /mnt/create
check "create refuses a mounted device, also with --force" refused 5 'in use: mounted on /mnt/create' "$d" create "$d" --force
umount /mnt/create
mkswap -q "$d"
swapon "$d"
check "create refuses swap, also with --force" refused 5 'in use: used as swap' "$d" create "$d" --force
swapoff "$d"
dmsetup create held --table "0 2048 linear $d 0"
check "create refuses a held device, also with --force" refused 5 'in use: held by dm-[0-9]+ \(held\)' "$d" create "$d" --force
dmsetup remove held
blockdev --setro "$d"
check "create refuses a read-only device, also with --force" refused 4 'it is read-only' "$d" create "$d" --force
blockdev --setrw "$d"
exec 8<"$d"
check "a reader is no obstacle" create "$d" --force
exec 8<&-
check "create refuses a volume" refused 5 'a signature of crypto_LUKS' "$d" create "$d"
kcache attach "$d" vol >/dev/null
check "create refuses an attached volume, also with --force" refused 5 'in use: held by dm-[0-9]+ \(vol\)' "$d" create "$d" --force
kcache detach vol

loop_device 1M
check "create refuses a device that is too small" refused 4 . "$LOOP" create "$LOOP"
loop_device 24M
printf x | dd of="$LOOP" bs=1 seek=$((24 * 1024 * 1024 - 1)) conv=notrunc status=none
check "create refuses data at the very end" refused 5 'data in the last MiB' "$LOOP" create "$LOOP"
blank "$LOOP"
# an MBR with one Linux partition, 4 MiB at 1 MiB: type, first sector and length at byte 450
printf '\x83\0\0\0\0\x08\0\0\0\x20\0\0' | dd of="$LOOP" bs=1 seek=450 conv=notrunc status=none
printf '\x55\xaa' | dd of="$LOOP" bs=1 seek=510 conv=notrunc,fsync status=none
check "create refuses a partition table" refused 5 'a partition table of type dos' "$LOOP" create "$LOOP"
partx -a "$LOOP"
mkfs.ext4 -q "${LOOP}p1"
mount -o ro "${LOOP}p1" /mnt/create
sync
check "create refuses a disk with a partition in use" refused 5 "its partition ${LOOP#/dev/}p1 is in use" "$LOOP" create "$LOOP" --force
umount /mnt/create
partx -d "$LOOP"
check "create --force takes it" create "$LOOP" --force
check "and leaves no partition table" same "$(blkid -p -o value -s PTTYPE "$LOOP")" ""

truncate -s 24M "$STATE/behind"
loop_device 24M
behind=$(losetup --show -f "$STATE/behind")
check "create refuses a file that is behind a loop device" refused 5 "in use: $behind stands on it" "$STATE/behind" create "$STATE/behind"
losetup -d "$behind"

# a mirror and a leg of it
modprobe dm-multipath
modprobe dm-service-time
loop_device 24M
leg=$LOOP
dmsetup create mpatha --uuid mpath-test --table "0 $(blockdev --getsz "$leg") multipath 0 0 1 1 service-time 0 1 2 $leg 1 1"
check "create refuses a path of a multipath device" refused 5 'one path of the multipath device /dev/mapper/mpatha; use' "$leg" create "$leg"
check "create takes the multipath device" create /dev/mapper/mpatha
dmsetup remove mpatha

check "an unprivileged user cannot create" expect_exit 2 setpriv --reuid=user --regid=user --clear-groups \
	--inh-caps=-all --bounding-set=-all kcache create -q "$leg"

# sectors: what the device can do better than 512
loop_device 17M -b 4096
check "create on a device with 4096-byte sectors" create "$LOOP"
check "it attaches" kcache attach "$LOOP" vol
check "and has such sectors" same "$(blockdev --getss /dev/mapper/vol)" 4096
kcache detach vol
loop_device $((17 * 1024 * 1024 + 512))
check "create where the size is no multiple of 4096" create "$LOOP"
check "takes 512-byte sectors" same "$(kcache dump "$LOOP" --json | jq .sector_size)" 512
check "and cryptsetup opens it" cryptsetup open --token-only "$LOOP" vol
cryptsetup close vol
