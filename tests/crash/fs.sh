#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: a file system on a kcache volume, below which log-writes records in
# which order the writes became durable; then every moment of it, one by one, as if
# the power had gone there.
#
#   fs.sh ext4|xfs SEED STEPS
# shellcheck source-path=SCRIPTDIR source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/lib-path.sh
. "$TESTDIR/lib-path.sh"

fs=$1 seed=$2 steps=$3
here=$(dirname "$0")
mnt=/mnt/crash
sectors=$((64 * 2048))
case $fs in
ext4)
	mkfs=(mkfs.ext4 -q -b 4096 -J size=4 -E "lazy_itable_init=0,lazy_journal_init=0")
	fsck=(e2fsck -fn)
	size=4096
	;;
xfs)
	# so small a one is not supported any more, which is no matter here
	mkfs=(mkfs.xfs -q --unsupported)
	fsck=(xfs_repair -n)
	size=512
	;;
esac

new_session
modprobe -a dm-log-writes dm-snapshot
add_key crash
mkdir -p $mnt
on_exit umount -l $mnt
on_exit dmsetup remove -f logged
dmsetup create logged --table "0 $sectors log-writes $(disk 1) $(disk 2)"
map vol kcache crash 0 /dev/mapper/logged 0 $sectors "sector_size:$size"
check "$fs is made on a volume above log-writes" "${mkfs[@]}" /dev/mapper/vol
check "it is marked in the log" message logged mark made
check "and mounted" mount -t "$fs" /dev/mapper/vol $mnt
mkdir $mnt/d $mnt/noise

# beside the load, so that its commits fall in the middle of others'
(cd $mnt/noise && exec fio --name=noise --size=256k --bs=16k --rw=randwrite --ioengine=psync --fsync=1 --loops=1 \
	--thinktime=100ms) >/tmp/noise 2>&1 &
noise=$!
check "$steps steps, each followed by fsync (seed $seed)" \
	"$here/load.py" $mnt/d logged /tmp/manifest.json "$seed" "$steps"
check "and fio with fsync beside it" ends 0 $noise 60
umount $mnt
check "$fs is clean" "${fsck[@]}" /dev/mapper/vol
check "nothing failed" same "$(state_of vol errors)" 0
check "the log has room for all of it" not grep -q logging_disabled <<<"$(dmsetup status logged)"
unmap vol
unmap logged

check "what lies below is ciphertext" not blkid -p "$(disk 1)"
"$here/check.py" /usr/lib/replay-log "$(disk 2)" "$(disk 3)" "$(disk 4)" \
	"$(line kcache crash 0 DEVICE 0 $sectors "sector_size:$size")" "$fs" /tmp/manifest.json >/tmp/moments
while read -r text; do
	case $text in
	'ok - '*) pass "${text#ok - }" ;;
	'not ok - '*) fail "${text#not ok - }" ;;
	*) echo "$text" ;;
	esac
done </tmp/moments
check "every moment was looked at" grep -q 'different states looked at' /tmp/moments
