#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache policy check on block devices: rules by serial, what stands on a device
# (partitions, logical volumes, loop devices, other people's encryption), what is in
# use. What plain files can show is in tests/unit/test-policy.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

base=$(<"$KCACHE_CONFIG")
policy() { printf '%s\n' "$base" "$@" >"$KCACHE_CONFIG"; }
# list [REGEX]: "device result holds" of what the policy is about and matches, one a line
list() {
	kcache policy check --json 2>/dev/null |
		jq -r '.devices[] | .device + (if .violates then " violates " else " ok " end) + .holds' | grep -E "${1:-.}"
}

d1=$(disk 1) d2=$(disk 2) d3=$(disk 3)
for d in "$d1" "$d2" "$d3"; do blank "$d"; done
serial=$(<"/sys/block/${d1#/dev/}/serial")
check "the disk has a serial number" test -n "$serial"

# --- by serial, where there is no udev -------------------------------------------
policy "require = ID_SERIAL=$serial DEVTYPE=disk"
check "nothing is on the disk: the policy holds" expect_exit 0 kcache policy check
check "which is about this disk alone" same "$(list)" "$d1 ok empty"
mkfs.ext4 -q "$d1"
check "a filesystem on it violates" expect_exit 10 kcache policy check
check "the other disks are no matter" same "$(list)" "$d1 violates plaintext"
mkdir -p /mnt/policy
on_exit umount /mnt/policy
mount "$d1" /mnt/policy
check "one that is mounted is told with its mount point" grep -q 'ext4 (a filesystem), mounted on /mnt/policy;' <(kcache policy check 2>/dev/null)
umount /mnt/policy
before=$(written "$d1")
kcache policy check >/dev/null 2>&1
check "looking has written nothing" same "$(written "$d1")" "$before"
policy "require = ID_SERIAL=$serial-of-another"
check "a rule that matches nothing is no violation" expect_exit 0 kcache policy check
check "but is told" said "warning: require = ID_SERIAL=$serial-of-another \(.*:3\) matches no block device"
policy "require = ID_SERIAL=kcache-vm-*" "exempt = DEVNAME=$d2" "exempt = DEVNAME=$d3"
mkfs.ext4 -q "$d2"
check "a glob matches, an exemption is one" same "$(list "^($d1|$d2)")" "$d1 violates plaintext"

# --- the volume itself, and what is on top ----------------------------------------------
policy "require = ID_SERIAL=$serial"
blank "$d1"
kcache create -q "$d1" >/dev/null
check "a volume does not violate" same "$(list)" "$d1 ok volume"
kcache attach "$d1" vol >/dev/null
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol /mnt/policy
check "attached and mounted neither" same "$(list)" "$d1 ok volume"
truncate -s 8M /mnt/policy/image
mke2fs -q /mnt/policy/image
loop=$(losetup --show -f /mnt/policy/image)
policy 'forbid_plaintext = yes' 'exempt = DEVNAME=/dev/[sv]d[a-z]'
check "nor what lies in a file on it" same "$(list "^$loop")" ""
check "one named by hand" expect_exit 0 kcache policy check "$loop" /dev/mapper/vol /mnt/policy/image
losetup -d "$loop"
umount /mnt/policy
dmsetup message vol 0 key wipe
check "a volume without its key is not waited for" expect_exit 0 timeout 20 kcache policy check "$d1" /dev/mapper/vol
kcache detach vol
policy "require = ID_SERIAL=$serial"
dmsetup create raw --table "0 65536 linear $d1 65536"
mkfs.ext4 -q /dev/mapper/raw
check "who goes round the volume, to its device, is caught" same "$(list)" "$(printf '%s\n' '/dev/mapper/raw violates plaintext' "$d1 ok volume")"
check "with the rule of the device below" grep -q '"by_what_is_below": true' <(kcache policy check --json 2>/dev/null)
dmsetup remove raw
dd if="$d1" of="$d3" bs=1M count=32 conv=fsync status=none
policy "require = DEVNAME=$d3"
check "a copy of a volume is one" same "$(list)" "$d3 ok volume"

# --- partitions -----------------------------------------------------------------------------
policy "require = ID_SERIAL=$serial"
blank "$d1"
# an MBR with two partitions of 32 MiB
python3 -c 'import struct, sys
d = open(sys.argv[1], "r+b")
d.seek(446)
d.write(b"".join(struct.pack("<B3xB3xII", 0, 0x83, 2048 + i * 65536, 65536) for i in (0, 1)) + bytes(32) + b"\x55\xaa")' "$d1"
blockdev --rereadpt "$d1"
wait_for 5 test -b "${d1}2"
check "empty partitions do not violate" same "$(list)" "$(printf '%s\n' "$d1 ok others" "${d1}1 ok empty" "${d1}2 ok empty")"
kcache create -q "${d1}1" >/dev/null
mkfs.ext4 -q "${d1}2"
check "of two the plain one violates" same "$(list)" "$(printf '%s\n' "$d1 ok others" "${d1}1 ok volume" "${d1}2 violates plaintext")"
policy "require = ID_SERIAL=$serial DEVTYPE=disk"
check "also where the rule matches the disk alone" same "$(list "${d1}2")" "${d1}2 violates plaintext"
policy "require = ID_SERIAL=$serial DEVTYPE=disk" "exempt = DEVNAME=${d1}2"
check "unless it is exempt itself" expect_exit 0 kcache policy check
wipefs -qa "${d1}1" "${d1}2" "$d1" >/dev/null
blockdev --rereadpt "$d1"

# --- logical volumes --------------------------------------------------------------------------
lvm() { command lvm "$@" --config "global{locking_type=1 use_lvmpolld=0 event_activation=0} activation{udev_sync=0 udev_rules=0 verify_udev_operations=1} devices{filter=[\"a|$d1|\",\"r|.*|\"] use_devicesfile=0}" >/dev/null 2>&1; }
policy "require = ID_SERIAL=$serial"
blank "$d1"
lvm pvcreate -qff "$d1"
check "a physical volume that nobody can look into violates" same "$(list)" "$d1 violates unreadable"
lvm vgcreate -q vgp "$d1"
lvm lvcreate -q -y -Wn -Zn -L 32M -n one vgp
lvm lvcreate -q -y -Wn -Zn -L 32M -n two vgp
on_exit dmsetup remove -f vgp-one vgp-two
blank /dev/mapper/vgp-one
blank /dev/mapper/vgp-two
kcache create -q /dev/mapper/vgp-one >/dev/null
mkswap /dev/mapper/vgp-two >/dev/null
check "a logical volume has to be what its disk has to be" same "$(list | sort)" \
	"$(printf '%s\n' "$d1 ok others" '/dev/mapper/vgp-one ok volume' '/dev/mapper/vgp-two violates plaintext' | sort)"
lvm vgchange -q -an vgp

# --- other people's encryption -------------------------------------------------------------------
blank "$d1"
echo secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$d1" --key-file -
echo secret | cryptsetup open "$d1" other --key-file -
mkfs.ext4 -q /dev/mapper/other
check "LUKS that is not ours violates require, and is told once" same "$(list)" "$d1 violates foreign"
policy 'forbid_plaintext = yes' "exempt = DEVNAME=$d2" "exempt = DEVNAME=/dev/loop*"
check "and is good enough for forbid_plaintext" same "$(list "^($d1|/dev/mapper)")" \
	"$(printf '%s\n' "/dev/mapper/other ok foreign" "$d1 ok foreign")"
check "which sees plaintext everywhere else" same "$(kcache policy check "$d2" "$d3" --json 2>/dev/null | jq .covered)" 1
cryptsetup close other
blank "$d1"
echo secret | cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --hash sha512 "$d1" other --key-file -
mkfs.ext4 -q /dev/mapper/other
check "plain dm-crypt too" same "$(list "^($d1|/dev/mapper)")" "$(printf '%s\n' "/dev/mapper/other ok foreign" "$d1 ok foreign")"

# --- what cannot be looked at ------------------------------------------------------------------------
policy "require = DM_NAME=other"
check "by the name of a mapped device" same "$(list)" "/dev/mapper/other violates foreign"
cryptsetup close other
policy "require = DM_NAME=stuck"
dmsetup create stuck --table "0 65536 linear $d1 0"
dmsetup suspend stuck
check "a suspended device is not waited for, and violates" same "$(timeout 20 bash -c "$(declare -f list); list")" \
	"/dev/mapper/stuck violates unreadable"
dmsetup resume stuck
check "once it can be read it is judged" same "$(list)" "/dev/mapper/stuck violates unknown"
dmsetup remove stuck
policy "require = DM_NAME=broken"
dmsetup create broken --table "0 65536 error"
check "one that gives read errors violates" same "$(list)" "/dev/mapper/broken violates unreadable"
dmsetup remove broken
for d in "$d1" "$d2" "$d3"; do blank "$d"; done
