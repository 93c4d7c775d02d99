#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# resize: larger and smaller while in use, without the KMS; what would lose its end is
# refused, and after a failure the old table stays.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

MIB=1048576
mnt=/mnt/resize
mkdir -p $mnt
on_exit kcache detach vol
on_exit umount $mnt
bytes() { blockdev --getsize64 /dev/mapper/vol; }
# resized [options]: without a KMS, whose keystore is away meanwhile
resized() {
	local code=0

	mv "$STATE/state/keystore.db" "$STATE/away.db"
	kcache resize vol "$@" || code=$?
	mv "$STATE/away.db" "$STATE/state/keystore.db"
	return $code
}
# no_table_waits: none is loaded that is not in force
no_table_waits() { same "$(dmsetup info -c --noheadings -o tables_loaded vol)" Live; }

# --- a volume in a file, in use ------------------------------------------------
f=$STATE/file
truncate -s 40M "$f"
uuid=$(kcache create -q "$f")
kcache attach -q "$f" vol >/dev/null
loop=$(losetup -n -O NAME -j "$f")
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol $mnt
head -c 2M /dev/urandom >$mnt/data
sum=$(sha256sum <$mnt/data)
check "a volume that has the size of its device already is left alone" expect_exit 0 resized
check "which is said" said '^vol has this size already: 24.0 MiB$'
truncate -s 80M "$f"
(while [ ! -e "$STATE/enough" ]; do dd if=$mnt/data of=$mnt/more bs=64k conv=fsync status=none || touch "$STATE/broken"; done) &
writer=$!
events=$(wc -l <"$STATE/audit.jsonl")
check "its file has grown: it grows, mounted and written to, without the KMS" expect_exit 0 resized
check "and says so" said '^vol: 64.0 MiB, was 24.0 MiB$'
check "it has all of the file" same "$(bytes)" $((64 * MIB))
check "nobody was asked for a key" same "$(tail -n +$((events + 1)) "$STATE/audit.jsonl" | jq -r .event)" modifyVolume
check "no keyring has a key of ours" no_keys
check "the filesystem grows" resize2fs /dev/mapper/vol
check "and has the room" test "$(df --output=size -m $mnt | tail -n 1)" -gt 50
truncate -s 96M "$f"
for size in 70000K 64M 80M 64M; do
	check "to $size, while it is written to" resized --size $size -q
	check "it is" same "$(bytes)" "$(numfmt --from=iec $size)"
done
touch "$STATE/enough"
wait $writer
check "no write failed meanwhile" test ! -e "$STATE/broken"
check "what was written is what was read" cmp $mnt/data $mnt/more

# --- smaller -----------------------------------------------------------------------
check "smaller than the filesystem on it is refused" refused 5 "^kcache: vol \($loop\): what is on it \(ext4\) reaches to byte $((64 * MIB)), beyond $((63 * MIB)); make that smaller first, or use --force$" \
	"$KCACHE_CONFIG" kcache resize vol --size 63M
check "it is as it was" same "$(bytes)" $((64 * MIB))
umount $mnt
check "also if it is not mounted" refused 5 'reaches to byte' "$loop" kcache resize vol --size 63M
e2fsck -fp /dev/mapper/vol >/dev/null
resize2fs /dev/mapper/vol 32M >/dev/null 2>&1
check "with a smaller filesystem it shrinks" expect_exit 0 resized --size 32MiB
check "and says that this is not kept" said '^not kept beyond this attachment: attached again, it has all of the device, 80.0 MiB$'
check "it is smaller" same "$(bytes)" $((32 * MIB))
check "the filesystem is whole" e2fsck -fn /dev/mapper/vol
mount /dev/mapper/vol $mnt
check "and has its data" same "$(sha256sum <$mnt/data)" "$sum"
umount $mnt
check "in JSON" same "$(resized --json | jq -c '[.version, .name, .uuid, .device, .old_size, .size, .room]')" \
	"[1,\"vol\",\"$uuid\",\"$loop\",\"$((32 * MIB))\",\"$((80 * MIB))\",\"$((80 * MIB))\"]"
check "with --force it is cut off" resized --size 16M --force -q
check "nothing of it is lost" resized -q
check "the filesystem is whole" e2fsck -fn /dev/mapper/vol
kcache resize vol --size 32M -q
kcache detach vol
check "attached again" kcache attach -q "$f" vol
check "it has its full size" same "$(bytes)" $((80 * MIB))
kcache detach vol

# --- on a mapped device, as a logical volume is ----------------------------------------
lv() { echo "0 $(($1 * 2048)) linear $(disk 1) 0"; }
dmsetup create lv --table "$(lv 40)"
on_exit dmsetup remove lv
kcache create -q /dev/mapper/lv >/dev/null
kcache attach -q /dev/mapper/lv vol >/dev/null
check "too large for its device is refused" refused 4 "the device below has room for $((24 * MIB)) bytes, not for $((32 * MIB)); make the device below larger first" \
	/dev/mapper/lv kcache resize vol --size 32M
dmsetup suspend lv
dmsetup reload lv --table "$(lv 48)"
dmsetup resume lv
check "when that has grown, it fits" resized --size 32M -q
check "sizes that are none of its own are refused" refused 1 'no multiple of its sectors of 4096 bytes' /dev/mapper/lv kcache resize vol --size 512
for fs in xfs swap; do
	wipefs -qa /dev/mapper/vol
	case $fs in
	xfs) mkfs.xfs -q --unsupported -f /dev/mapper/vol >/dev/null 2>&1 ;;
	swap) mkswap -q /dev/mapper/vol ;;
	esac
	check "$fs on it reaches to where it does" refused 5 "$fs\) reaches to byte $((32 * MIB)), beyond $((31 * MIB))" /dev/mapper/lv kcache resize vol --size 31M
done
wipefs -qa /dev/mapper/vol
pvcreate -qq -y /dev/mapper/vol
check "of other things it cannot be told" refused 5 'what is on it \(LVM2_member\) may reach beyond' /dev/mapper/lv kcache resize vol --size 31M
wipefs -qa /dev/mapper/vol
dmsetup create top --table "0 65536 linear /dev/mapper/vol 0"
check "nor of what stands on it" refused 5 'what is on it \(held by dm-[0-9]+ \(top\)\) may reach beyond' /dev/mapper/lv kcache resize vol --size 31M
dmsetup remove top
check "with nothing on it, it shrinks" resized --size 8M -q

# --- the kernel refuses --------------------------------------------------------------------
new_session
desc=$(dmsetup table vol | sed 's/.*:logon:\([^ ]*\) .*/\1/')
head -c 64 /dev/urandom | keyctl padd logon "$desc" @s >/dev/null
check "another key under its description: the new table is refused" expect_exit 4 kcache resize vol
check "and the kernel's reason is said" said 'cannot give it another table: .*Key is another than the volume is attached with'
keyctl clear @s
check "the old table stays" same "$(bytes)" $((8 * MIB))
check "and no other waits" no_table_waits
check "it reads" dd if=/dev/mapper/vol of=/dev/null bs=64k count=1 iflag=direct status=none
wait_for 3 keys_gone
dmsetup suspend vol
check "a suspended volume is refused" refused 5 'it is suspended; run kcache resume vol first' /dev/mapper/lv kcache resize vol
dmsetup resume vol
dmsetup message vol 0 key wipe
check "without its key it is refused" refused 9 'its key is wiped, and without it the size cannot change; run kcache resume vol first' /dev/mapper/lv kcache resize vol
check "and no table waits" no_table_waits
kcache resume vol
check "with the key back it grows" resized -q
check "to the end of its device" same "$(bytes)" $((32 * MIB))
kcache detach vol
kcache attach -q /dev/mapper/lv vol --readonly --allow-discards >/dev/null
check "a read-only one is resized" resized --size 8M -q
check "and is read-only still" same "$(blockdev --getro /dev/mapper/vol) $(bytes)" "1 $((8 * MIB))"
check "with the options it had" bash -c 'dmsetup table vol | grep -q "allow_discards.*sector_size:4096"'

# --- exit codes ------------------------------------------------------------------------------
dmsetup create foreign --table "0 2048 zero"
check "an unknown name" refused 4 '^kcache: nobody: no volume of this name is attached' "$KCACHE_CONFIG" kcache resize nobody
check "somebody else's device" refused 4 'is not a kcache volume' "$KCACHE_CONFIG" kcache resize foreign
dmsetup remove foreign
check "without privilege" refused 2 'as root' "$KCACHE_CONFIG" setpriv --reuid=user --regid=user --clear-groups --inh-caps=-all --bounding-set=-all \
	env -u KCACHE_CONFIG kcache resize vol
check "there is an audit event modifyVolume" grep -q "\"event\":\"modifyVolume\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$STATE/audit.jsonl"
check "and one of what failed" grep -q '"event":"modifyVolume","result":"failed"' "$STATE/audit.jsonl"
kcache detach vol
