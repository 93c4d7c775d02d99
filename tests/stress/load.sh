#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: volumes with file systems and without under loads that know what must
# be there, while at random keys are wiped and set, tables loaded, devices suspended,
# grown, made to fail, attached and detached beside them, and a CPU goes and comes
# (events.py). In the end every byte is right, and right for dm-crypt too.
#
#   load.sh SEED SECONDS
# shellcheck source-path=SCRIPTDIR source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/lib-kcache.sh
. "$TESTDIR/lib-kcache.sh"

seed=$1 seconds=$2
here=$(dirname "$0")
churn=/usr/lib/churn
mib=2048	# sectors

new_session
for v in raw ext xfs err; do
	add_key $v
done
linear() { # NAME SECTORS DEVICE OFFSET
	on_exit dmsetup remove -f "$1"
	dmsetup create "$1" --table "0 $2 linear $3 $4"
}
linear below $((64 * mib)) "$(disk 4)" 0
linear slice $((40 * mib)) "$(disk 4)" $((64 * mib))
frozen="lease:3600 on_expiry:freeze"
# shellcheck disable=SC2086 # words
{
	map raw kcache raw 0 "$(disk 1)" 0 $((64 * mib)) sector_size:512 $frozen
	map ext kcache ext 0 "$(disk 2)" 0 $((160 * mib)) sector_size:4096 $frozen
	map xfs kcache xfs 0 "$(disk 3)" 0 $((320 * mib)) sector_size:512 $frozen
}
map err kcache err 0 /dev/mapper/below 0 $((64 * mib)) sector_size:4096
mkdir -p /mnt/ext /mnt/xfs
check "ext4 on a volume" mkfs.ext4 -q /dev/mapper/ext
# the smallest that is supported: in a smaller one XFS may run out of log reservation
check "xfs on another" mkfs.xfs -q /dev/mapper/xfs
on_exit umount -l /mnt/ext
on_exit umount -l /mnt/xfs
check "ext4 is mounted" mount /dev/mapper/ext /mnt/ext
check "xfs is mounted" mount /dev/mapper/xfs /mnt/xfs
check "a volume beside them" kcache create -q /dev/mapper/slice

# --- the loads ----------------------------------------------------------------
names=() pids=()
load() { # NAME COMMAND...
	local name=$1

	shift
	"$@" >"/tmp/load.$name" 2>&1 &
	pids+=($!)
	names+=("$name")
}
load "raw, direct" $churn -S "$seed" -m d /dev/mapper/raw $((12 << 20))
load "raw, direct and synchronous" $churn -S $((seed + 1)) -m dy -o $((12 << 20)) /dev/mapper/raw $((4 << 20))
load "raw, every way" $churn -S $((seed + 2)) -m dybmbmf -o $((16 << 20)) /dev/mapper/raw $((8 << 20))
load "raw, with errors" $churn -S $((seed + 3)) -m ddy -e -u 4096 /dev/mapper/err $((16 << 20))
load "a file on ext4" $churn -u 4096 -S $((seed + 4)) -m dybmbmft /mnt/ext/churn $((6 << 20))
load "a file on xfs" $churn -S $((seed + 5)) -m dybmbmft /mnt/xfs/churn $((6 << 20))
fio_job() { # NAME FIO-OPTION...
	local name=$1

	shift
	(cd /tmp && exec fio --name=j --directory=/mnt/xfs --filename="$name" --size=6M --randseed="$seed" --rw=randrw \
		--bsrange=512-128k --blockalign=512 --verify=crc32c --verify_backlog=64 --verify_fatal=1 --time_based \
		--runtime="$seconds" "$@")
}
load "fio, direct" fio_job direct --direct=1 --ioengine=libaio --iodepth=8
load "fio, mapped" fio_job mapped --ioengine=mmap --bsrange=4k-64k --blockalign=4k
stress_ng() {
	cd /mnt/ext && LD_LIBRARY_PATH=/usr/lib/stress-ng exec /usr/lib/stress-ng/stress-ng --seed "$seed" \
		--timeout "$seconds" --temp-path /mnt/ext --verify --oomable \
		--hdd 1 --hdd-bytes 4m --hdd-opts wr-rnd,rd-rnd,fsync --iomix 1 --iomix-bytes 4m --dir 1 --rename 1
}
load "stress-ng" stress_ng
begun() { [ "$(grep -l '^churn: begun' /tmp/load.* | wc -l)" -eq 6 ]; }
check "the loads have begun" wait_for 60 begun

# --- what happens to them -----------------------------------------------------
timeout $((seconds + 120)) "$here/events.py" "$seed" "$seconds" /dev/mapper/slice \
	"raw,raw,$(disk 1),$((64 * mib)),$((256 * mib)),512,z" \
	"ext,ext,$(disk 2),$((160 * mib)),$((400 * mib)),4096,z4" \
	"xfs,xfs,$(disk 3),$((320 * mib)),$((480 * mib)),512,zx" \
	"err,err,/dev/mapper/below,$((64 * mib)),$((64 * mib)),4096,eb" >/tmp/events 2>&1 &
events=$!
# what was not there in the beginning
grown() { [ "$(blockdev --getsz /dev/mapper/raw)" -ge $((72 * mib)) ]; }
if check "the raw volume grows" wait_for "$((seconds + 60))" grown; then
	load "raw, where it has grown" $churn -S $((seed + 6)) -m dyb -o $((64 << 20)) /dev/mapper/raw $((8 << 20))
fi
check "all that happened was as it should be" ends 0 $events $((seconds + 100))
sed 's/^/# /' /tmp/events

# --- the end ------------------------------------------------------------------
for i in "${!pids[@]}"; do
	[[ ${names[i]} = fio* ]] || [ "${names[i]}" = stress-ng ] || kill "${pids[i]}" 2>/dev/null
done
for i in "${!pids[@]}"; do
	check "${names[i]}: the load ends, and all is right" ends 0 "${pids[i]}" 90 || tail -n 20 "/tmp/load.${names[i]}"
	grep -h '^churn /' "/tmp/load.${names[i]}" | sed 's/^/# /'
done
for v in raw ext xfs err; do
	echo "# $v: $(dmsetup status $v | head -n 1 | cut -d' ' -f4-), $(dmsetup table $v | wc -l) segments, $(events $v) events"
done
# a table that is loaded anew counts from 0: what is there at the end is since then
segment_errors() { dmsetup status "$1" | grep -o 'errors:[0-9]*' | awk -F: '{ n += $2 } END { print n + 0 }'; }
for v in raw ext xfs; do
	check "no I/O failed on $v" same "$(segment_errors $v)" 0
done
check "some failed where they may" grep -qE '[1-9][0-9]* errors' '/tmp/load.raw, with errors'
umount /mnt/ext
umount /mnt/xfs
check "ext4 is clean" e2fsck -fn /dev/mapper/ext
check "xfs is clean" xfs_repair -n /dev/mapper/xfs
for v in raw ext xfs err; do
	ours=$(hash_of /dev/mapper/$v)
	dmsetup table $v | awk '{ $3 = "crypt"; n = match($0, /sector_size:[0-9]+/) ? 1 " " substr($0, RSTART, RLENGTH) : ""
		print $1, $2, $3, $4, $5, $6, $7, $8, n }' >/tmp/table
	unmap $v
	dmsetup create crypt </tmp/table
	check "dm-crypt reads the same on $v" same "$(hash_of /dev/mapper/crypt)" "$ours"
	unmap crypt
done
unmap below
unmap slice
check "no key is left but the test's own" same "$(grep -c 'kcache:' /proc/keys)" 4
