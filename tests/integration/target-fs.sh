#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ext4 and xfs on top: what was copied is there after a new mapping, by kcache
# and by dm-crypt, and fsck has nothing to say.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
add_key fs
sums=$(mktemp)
on_exit rm -f "$sums"
mkdir -p /mnt/fs
on_exit umount -l /mnt/fs

mkfs_ext4() { mkfs.ext4 -q -F "$1"; }
mkfs_xfs() { mkfs.xfs -q -f "$1"; }
fsck_ext4() { e2fsck -f -n "$1"; }
fsck_xfs() { xfs_repair -n "$1"; }

fill() {
	mkdir /mnt/fs/d && cp -a /usr/lib/x86_64-linux-gnu/lib[a-b]*.so* /etc/lvm /mnt/fs/d/ &&
		for i in 1 2 3 4 5 6 7 8; do head -c 100000 /dev/urandom >"/mnt/fs/d/r$i" || return; done &&
		(cd /mnt/fs && find d -type f -print0 | xargs -0 sha256sum >"$sums")
}
intact() { (cd /mnt/fs && sha256sum --quiet -c "$sums"); }

for fs in ext4 xfs; do
	for ss in 512 4096; do
		set -- fs 0 "$(disk 3)" 4096 "$((320 * 2048))" sector_size:$ss
		map m kcache "$@"
		check "$fs is made on sector_size:$ss" "mkfs_$fs" /dev/mapper/m
		check "$fs is mounted" mount /dev/mapper/m /mnt/fs
		check "$fs is filled" fill
		check "discards are refused without the option" not fstrim /mnt/fs
		umount /mnt/fs
		check "$fs is clean" "fsck_$fs" /dev/mapper/m
		unmap m
		map m crypt "$@"
		check "dm-crypt mounts the $fs" mount /dev/mapper/m /mnt/fs
		check "and finds every file" intact
		umount /mnt/fs
		unmap m
		map m kcache "$@" allow_discards
		mount /dev/mapper/m /mnt/fs
		check "kcache mounts it again" intact
		check "fstrim works with allow_discards" fstrim /mnt/fs
		check "and takes nothing that is in use" intact
		umount /mnt/fs
		check "$fs is clean after it all" "fsck_$fs" /dev/mapper/m
		unmap m
	done
done
