#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A volume's life: made, attached, filled, detached, attached again; ciphertext on
# the disk, and the key nowhere but in the target.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mkdir -p /mnt/life
on_exit umount /mnt/life

for fs in ext4 xfs; do
	d=$(disk 1)
	blank "$d"
	check "create on a blank disk ($fs)" kcache create "$d"
	check "attach prints the node" same "$(kcache attach "$d" life)" /dev/mapper/life
	check "which is a block device" test -b /dev/mapper/life
	mkfs=("mkfs.$fs" -q) fsck=("fsck.$fs" -n)
	# small ones are not supported any more, which is no matter here
	[ $fs != xfs ] || { mkfs+=(--unsupported) fsck=(xfs_repair -n); }
	check "mkfs.$fs" "${mkfs[@]}" /dev/mapper/life
	check "mount" mount /dev/mapper/life /mnt/life
	check "fill" bash -c 'yes "the quick brown fox jumps over the lazy dog" | head -c 12M >/mnt/life/fox; cp -a /usr/sbin/e* /mnt/life/'
	sum=$(cd /mnt/life && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
	check "umount" umount /mnt/life
	check "detach" kcache detach life
	check "the node is gone" test ! -e /dev/mapper/life
	check "no plaintext is on the disk" not grep -qa 'the quick brown fox' "$d"
	check "blkid sees a LUKS volume and no $fs" same "$(blkid -p -o value -s TYPE "$d")" crypto_LUKS
	check "attach again" kcache attach "$d" life
	check "mount again" mount -o ro /dev/mapper/life /mnt/life
	check "every file is as it was" same "$(cd /mnt/life && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)" "$sum"
	check "umount again" umount /mnt/life
	check "fsck is content" "${fsck[@]}" /dev/mapper/life
	head -c 8M /dev/mapper/life >"$STATE/ours"
	check "detach again" kcache detach life
done

check "stock cryptsetup opens it with the token" cryptsetup open --token-only "$d" stock
check "with dm-crypt" bash -c 'dmsetup table stock | grep -q " crypt aes-xts-plain64 "'
check "and reads the same bytes" cmp -n 8M "$STATE/ours" /dev/mapper/stock
check "and is as large" same "$(blockdev --getsz /dev/mapper/stock)" "$(($(blockdev --getsz "$d") - 32768))"
check "stock cryptsetup closes it" cryptsetup close stock

# --- the key is in the target and nowhere else --------------------------------
check "attach" kcache attach "$d" life
check "no keyring holds a key of ours" no_keys
check "keyctl shows none: session" not bash -c 'keyctl show @s | grep kcache:'
check "keyctl shows none: user" not bash -c 'keyctl show @u | grep kcache:'
check "keyctl shows none: user session" not bash -c 'keyctl show @us | grep kcache:'
check "keyctl shows none: process" not bash -c 'keyctl show @p | grep kcache:'
table=$(dmsetup table --showkeys life)
check "the table has the key's description" grep -qE ":64:logon:kcache:[0-9a-f-]{36}:[0-9a-f]{16} " <<<"$table"
check "and no key byte" not grep -qE '[0-9a-f]{64}' <<<"$table"
check "a second attach of the name is refused as busy" expect_exit 5 kcache attach "$(disk 2)" life
check "a second attach of the device is refused as busy" expect_exit 5 kcache attach "$d" other
check "and says who holds it" said 'held by dm-[0-9]+ \(life\)'
check "the dm UUID carries the volume's" same "$(dmsetup info -c --noheadings -o uuid life | cut -d- -f1,2)" \
	"KCACHE-$(cryptsetup luksUUID "$d" | tr -d -)"

# --- options of attach ----------------------------------------------------------
check "detach" kcache detach life
check "attach --readonly" kcache attach "$d" life --readonly
check "maps it read-only" same "$(blockdev --getro /dev/mapper/life)" 1
check "detach" kcache detach life
check "attach --allow-discards" kcache attach "$d" life --allow-discards
check "is in the table" bash -c 'dmsetup table life | grep -qw allow_discards'
check "detach" kcache detach life
check "attach has no discards by itself" kcache attach "$d" life
check "they are not in the table" not bash -c 'dmsetup table life | grep -qw allow_discards'
check "detach" kcache detach life
blockdev --setro "$d"
check "a read-only device is refused without --readonly" expect_exit 4 kcache attach "$d" life
check "and the next step is said" said 'attach it with --readonly'
check "with --readonly it attaches" kcache attach "$d" life --readonly
check "detach" kcache detach life
blockdev --setrw "$d"

# --- a volume in a file -----------------------------------------------------------
truncate -s 24M "$STATE/file"
check "create on a file" kcache create -q "$STATE/file"
check "attach a file" kcache attach "$STATE/file" filed
check "it has a loop device" bash -c "test -n \"\$(losetup -j '$STATE/file')\""
check "which detach takes away" bash -c "kcache detach filed && test -z \"\$(losetup -j '$STATE/file')\""
check "attach a file read-only" kcache attach "$STATE/file" filed --readonly
check "its loop device is read-only too" same "$(losetup -n -O RO -j "$STATE/file" | tr -d ' ')" 1
check "detach" kcache detach filed

# --- sector sizes -------------------------------------------------------------------
size=512
volume 17M --sector-size $size
check "a volume with $size-byte sectors attaches" kcache attach "$LOOP" sec
check "and says so to those who ask" same "$(blockdev --getss /dev/mapper/sec)" "$size"
check "it takes data" dd if=/usr/bin/bash of=/dev/mapper/sec bs=64k count=16 conv=fsync status=none
check "detach" kcache detach sec
check "cryptsetup opens it" cryptsetup open --token-only "$LOOP" sec
check "and reads the same" cmp -n 1048576 /usr/bin/bash /dev/mapper/sec
check "cryptsetup closes it" cryptsetup close sec

# --- audit ----------------------------------------------------------------------------
for e in createVolume GenerateDataKeyWithoutPlaintext Decrypt attachVolume detachVolume; do
	check "there is an audit event $e" grep -q "\"$e\"" "$STATE/audit.jsonl"
done
check "no audit event has anything like a key in it" not grep -qE '[0-9a-f]{128}' "$STATE/audit.jsonl"
