#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Verbs that write to the header as a whole, on block devices: erase, header backup and restore,
# repair, adopt. What each refuses while the volume is attached or the device held, what works all
# the same, and what is left of the data. Plain files are in tests/unit/test-erase.sh,
# test-header-backup.sh, test-repair.sh, test-adopt.sh.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mkdir -p /mnt/erase
on_exit umount /mnt/erase
on_exit dmsetup remove other
# head_is_zero DEVICE: the 16 MiB before the data
head_is_zero() { blockdev --flushbufs "$1" && cmp -n $((16 << 20)) "$1" /dev/zero; }
copies() { kcache dump --json "$1" | jq .damaged_copy; }
# attaches DEVICE: and its filesystem has the data
attaches() {
	kcache attach -q "$1" vol && mount -o ro /dev/mapper/vol /mnt/erase && same "$(sha256sum </mnt/erase/data)" "$sum"
	local code=$?
	umount /mnt/erase 2>/dev/null
	kcache detach vol && return $code
}
# fill NAME: a filesystem with data on a mapped device
fill() {
	mkfs.ext4 -q "/dev/mapper/$1" && mount "/dev/mapper/$1" /mnt/erase && head -c 2M /dev/urandom >/mnt/erase/data &&
		sum=$(sha256sum </mnt/erase/data) && umount /mnt/erase
}

# --- a volume that is attached -----------------------------------------------------
volume 32M
d=$LOOP uuid=$VOL
kcache attach -q "$d" vol >/dev/null 2>&1
fill vol
check "a volume that is attached is not erased" refused 5 'in use: held by dm-[0-9]+ \(vol\)' "$d" kcache erase --force -q "$d"
check "a header backup is made of it" kcache header backup -q "$d" "$STATE/header"
before=$(written "$d")
check "without a write" bash -c 'kcache header backup -q "$1" "$2/header2"' - "$d" "$STATE"
check "to the device" same "$(written "$d")" "$before"
check "both are the same" cmp "$STATE/header" "$STATE/header2"
dd if=/dev/urandom of="$d" bs=4096 seek=33 count=8 conv=fsync,notrunc status=none
check "a damaged copy is seen" same "$(copies "$d")" 2
check "and repaired while it is attached" kcache repair "$d"
check "so that both are good" same "$(copies "$d")" 0
check "nothing else of it has changed" mount -o ro /dev/mapper/vol /mnt/erase
check "its data is there" same "$(sha256sum </mnt/erase/data)" "$sum"
umount /mnt/erase
before=$(written "$d")
check "a header is not restored under it" expect_exit 5 kcache header restore --force -q "$d" "$STATE/header"
check "nor is it adopted" expect_exit 5 kcache adopt --force -q "$d" --passphrase-file /dev/null
check "nothing was written" same "$(written "$d")" "$before"
kcache detach vol

# --- the header is lost, and put back ---------------------------------------------------
dd if=/dev/zero of="$d" bs=1M count=16 conv=fsync,notrunc status=none
check "without a header nothing attaches" refused 4 'no LUKS2 header' "$d" kcache attach -q "$d" vol
check "a device that says nothing takes --force" refused 4 'use --force' "$d" kcache header restore -q "$d" "$STATE/header"
check "the header is put back" kcache header restore --force -q "$d" "$STATE/header"
check "and the data is there" attaches "$d"
check "for stock cryptsetup as well" bash -c 'cryptsetup open --token-only "$1" stock && cryptsetup close stock' - "$d"

# --- held or read-only -----------------------------------------------------------------
dmsetup create other --table "0 $(blockdev --getsz "$d") linear $d 0"
check "a device that is held is not erased" refused 5 'held by dm-[0-9]+ \(other\)' "$d" kcache erase --force -q "$d"
check "nor is a header restored to it" refused 5 'held by' "$d" kcache header restore --force -q "$d" "$STATE/header"
check "nor is it repaired" refused 5 'held by' "$d" kcache repair "$d"
dmsetup remove other
blockdev --setro "$d"
check "a read-only one is not erased" refused 4 'it is read-only' "$d" kcache erase --force -q "$d"
blockdev --setrw "$d"

# --- erased, while a copy is there ---------------------------------------------------------
loop_device 32M
copy=$LOOP
dd if="$d" of="$copy" bs=1M conv=fsync status=none
kcache erase --dry-run -q "$d" >"$STATE/listed"
check "a copy on another device is listed" grep -E "^still opens: device +$uuid  $copy" "$STATE/listed"
check "and the backups" same "$(grep -c "^still opens: header backup  $uuid  $STATE/header" "$STATE/listed")" 2
check "it is erased" kcache erase --force -q --json "$d"
check "all before the data is zeros" head_is_zero "$d"
check "blkid sees nothing" expect_exit 2 blkid -p "$d"
check "nothing attaches" refused 4 'no LUKS2 header' "$d" kcache attach -q "$d" vol
check "the copy does" attaches "$copy"
check "as a volume that this host knows still" test -e "$STATE/state/volumes/$uuid.json"
check "the copy is erased as well" kcache erase --force -q "$copy"
check "and then the volume is forgotten" test ! -e "$STATE/state/volumes/$uuid.json"
check "a backup still opens the data, as was said" kcache header restore --force -q "$copy" "$STATE/header"
named() { kcache attach -q "$1" vol --key "$(kcache recipient list -n "$1" | awk '{ print $5 }')" && kcache detach vol; }
check "with the key named" named "$copy"
kcache erase --force -q "$copy"
check "a new volume is made where the old one was" kcache create -q --force "$copy"
check "there is an audit event for it" grep -q "\"event\":\"deleteVolume\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$STATE/audit.jsonl"

# a disk, with caches of its own
disk=$(disk 1)
kcache create -q --force "$disk" >/dev/null
check "a disk is erased" kcache erase --force -q "$disk"
check "and is zeros before the data" head_is_zero "$disk"

# --- adopted ----------------------------------------------------------------------------------
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$STATE/pass"
head -c 64 /dev/urandom >"$STATE/mk"
luks() { cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --volume-key-file "$STATE/mk" --key-size 512 "$@" "$STATE/pass"; }
adopt() { kcache adopt -q --force --passphrase-file "$STATE/pass" "$@"; }
loop_device 32M
a=$LOOP
luks --sector-size 4096 "$a"
cryptsetup open --key-file "$STATE/pass" "$a" plain
fill plain
check "what stock cryptsetup has open is not adopted" refused 5 'held by dm-[0-9]+ \(plain\)' "$a" adopt "$a"
cryptsetup close plain
check "it is adopted" adopt "$a"
check "the filesystem is there" attaches "$a"
check "no keyring has a key of ours" no_keys
check "the passphrase opens it no more" not cryptsetup open --disable-external-tokens --key-file "$STATE/pass" "$a" plain
# json_has TEXT FILTER: does jq find something?
json_has() { jq -e "$2" <<<"$1"; }
stock() {
	cryptsetup open --token-only "$1" stock && mount -o ro /dev/mapper/stock /mnt/erase && same "$(sha256sum </mnt/erase/data)" "$sum"
	local code=$?
	umount /mnt/erase 2>/dev/null
	cryptsetup close stock && return $code
}
check "stock cryptsetup opens it by its token, with the data" stock "$a"
loop_device 32M
b=$LOOP
luks --sector-size 512 "$b"
check "another one with the same volume key is adopted" adopt "$b"
check "it attaches beside the first" bash -c 'kcache attach -q "$1" vol1 && kcache attach -q "$2" vol2' - "$a" "$b"
kcache detach vol1
kcache detach vol2
check "erase lists it: it is of one lineage" json_has "$(kcache erase --dry-run --json -q "$a")" ".still_open[] | select(.kind == \"device\" and .path == \"$b\")"
check "it can be erased like any other" kcache erase --force -q "$a"
check "and is not there" refused 4 'no LUKS2 header' "$a" kcache attach -q "$a" vol
for e in adoptVolume repairHeader createHeaderBackup restoreHeaderBackup; do
	check "there is an audit event $e" grep -q "\"event\":\"$e\",\"result\":\"succeeded\"" "$STATE/audit.jsonl"
done
