# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: the devices that are compared, all over the same one below.

# ramdisk MIB: /dev/ram0, all of it written once: a first write of a page pays
# for its allocation
ramdisk() {
	modprobe brd rd_nr=1 rd_size=$(($1 * 1024))
	dd if=/dev/zero of=/dev/ram0 bs=1M oflag=direct status=none 2>/dev/null || true
}

# the key: any 64 bytes with two different halves
bench_key() {
	head -c 64 /dev/urandom | keyctl padd logon kcbench:key @u >/dev/null
}

# map NAME TARGET DEVICE SECTOR-SIZE [OPTION...]
map() {
	local name=$1 target=$2 device=$3 sector=$4 length
	shift 4

	[ "$sector" = 512 ] || set -- "sector_size:$sector" "$@"
	length=$(blockdev --getsz "$device")
	dmsetup create "$name" --table \
		"0 $length $target aes-xts-plain64 :64:logon:kcbench:key 0 $device 0 $# $*"
}

# stack DEVICE: linear, and for each sector size dm-crypt as shipped, tuned, ours
stack() {
	local s

	modprobe dm-crypt
	modprobe dm-kcache
	bench_key
	dmsetup create linear --table "0 $(blockdev --getsz "$1") linear $1 0"
	for s in 512 4096; do
		map shipped-$s crypt "$1" $s
		map tuned-$s crypt "$1" $s no_read_workqueue no_write_workqueue
		map kcache-$s kcache "$1" $s
	done
}
