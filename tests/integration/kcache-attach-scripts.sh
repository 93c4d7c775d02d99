#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The scripts of tools/attach: a disk by its serial number, a logical volume, a file; run
# twice and at the same time, refused by the policy and by the KMS, and that they write to
# no device but through kcache.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

scripts=/usr/libexec/kcache/attach
cloud=$scripts/kcache-attach-cloud lvm=$scripts/kcache-attach-lvm loop=$scripts/kcache-attach-loop
base=$(<"$KCACHE_CONFIG")
export KCACHE_WAIT=0
d=$(disk 1)
blank "$d"
serial=$(<"/sys/block/${d#/dev/}/serial")

# shown COMMAND...: its exit code; what it wrote goes to $STATE/{out,err}
shown() { "$@" >"$STATE/out" 2>"$STATE/err"; }
# plain COMMAND...: its exit code and what it said, without the commands it has shown
plain() {
	"$@" 2>&1 | grep -v '^\[#\]'
	return "${PIPESTATUS[0]}"
}

# --- a disk, by its serial number -----------------------------------------------
check "a disk without a volume is refused" refused 4 'there is no LUKS2 header' "$d" plain "$cloud" "$serial" cl
kcache create -q "$d" >/dev/null
check "a disk attaches by its serial number" shown "$cloud" "$serial" cl
check "the node is printed, and nothing else" same "$(<"$STATE/out")" /dev/mapper/cl
check "each command is shown before it runs" same "$(grep -F '[#]' "$STATE/err")" \
	"$(printf '[#] kcache %s\n' "policy check -q $d" "attach $d cl" "status cl")"
opened=$(grep -c '"attachVolume"' "$STATE/audit.jsonl")
check "a second time it says the same" same "$("$cloud" "$serial" cl 2>/dev/null)" /dev/mapper/cl
check "and attaches nothing" same "$(grep -c '"attachVolume"' "$STATE/audit.jsonl")" "$opened"
check "another name for it is refused as busy" expect_exit 5 "$cloud" "$serial" other
volume 17M
check "a device is no file" expect_exit 4 "$loop" "$LOOP" lo
dmsetup message cl 0 key wipe
check "attached without its key is no success: 9" expect_exit 9 "$cloud" "$serial" cl
kcache detach cl
mkdir -p /dev/disk/by-id
ln -s "$d" /dev/disk/by-id/virtio-test
on_exit rm -r /dev/disk/by-id
check "by its name in /dev/disk/by-id, with options of attach" "$cloud" virtio-test cl --readonly
check "which are obeyed" same "$(blockdev --getro /dev/mapper/cl)" 1
kcache detach cl
check "a disk that is not there" expect_exit 4 "$cloud" vol-0123456789abcdef0 cl
check "is named" said 'kcache-attach-cloud: no disk of this host is vol-0123456789abcdef0'
check "nothing at all is wrong usage" expect_exit 1 "$cloud" "$serial"

# two at once: one attaches, both succeed
"$cloud" "$serial" cl >"$STATE/one" 2>&1 &
pid=$!
"$cloud" "$serial" cl >"$STATE/two" 2>&1
two=$?
wait $pid
check "two at once both succeed" same "$? $two" "0 0"
kcache detach cl

# --- the KMS and the policy -------------------------------------------------------------
kcache key disable alias/kcache -q
check "a disabled key is 7, and nothing is mapped" refused 7 'DisabledException' "$d" plain "$cloud" "$serial" cl
kcache key enable alias/kcache -q
printf '%s\n' "$base" 'require = DEVTYPE=disk' >"$KCACHE_CONFIG"
d2=$(disk 2)
blank "$d2"
mkfs.ext4 -q "$d2"
check "a disk that must be encrypted and is not is refused by the policy: 10" expect_exit 10 "$cloud" "$(<"/sys/block/${d2#/dev/}/serial")" cl
check "nothing is handed out" not grep -q '^/dev' <("$cloud" "$(<"/sys/block/${d2#/dev/}/serial")" cl 2>/dev/null)
check "and it is not formatted" same "$(blkid -p -o value -s TYPE "$d2")" ext4
check "a volume is in order" same "$("$cloud" "$serial" cl 2>/dev/null)" /dev/mapper/cl
kcache detach cl
blank "$d2"
echo "$base" >"$KCACHE_CONFIG"

# --- a file -----------------------------------------------------------------------------------
truncate -s 17M "$STATE/file"
kcache create -q "$STATE/file" >/dev/null
check "a file attaches" same "$("$loop" "$STATE/file" lo 2>/dev/null)" /dev/mapper/lo
check "a second time too" same "$("$loop" "$STATE/file" lo 2>/dev/null)" /dev/mapper/lo
check "by one loop device" same "$(losetup -n -O NAME -j "$STATE/file" | wc -l)" 1
ln -s "$STATE/file" "$STATE/link"
check "by another path to it as well" same "$("$loop" "$STATE/link" lo 2>/dev/null)" /dev/mapper/lo
check "another file of that name is refused" expect_exit 5 "$loop" "$KCACHE_CONFIG" lo
kcache detach lo

# --- a logical volume --------------------------------------------------------------------------
cat >/etc/lvm/lvmlocal.conf <<END
global { locking_type = 1 use_lvmpolld = 0 event_activation = 0 }
activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 1 }
devices { filter = [ "a|$d2|", "r|.*|" ] use_devicesfile = 0 }
END
on_exit rm -f /etc/lvm/lvmlocal.conf
{
	pvcreate -qff "$d2"
	vgcreate -q vg-a "$d2"
	lvcreate -q -y -Wn -Zn -L 32M -n data vg-a
} >/dev/null 2>&1
blank /dev/vg-a/data
kcache create -q /dev/vg-a/data >/dev/null
check "a logical volume attaches" same "$("$lvm" vg-a/data lv 2>/dev/null)" /dev/mapper/lv
check "a second time too" same "$("$lvm" vg-a/data lv 2>/dev/null)" /dev/mapper/lv
kcache detach lv
vgchange -q -an vg-a >/dev/null 2>&1
check "one that is not active is activated" shown "$lvm" vg-a/data lv
check "which is shown" grep -qxF '[#] lvchange --activate y vg-a/data' "$STATE/err"
check "and the node alone is printed" same "$(<"$STATE/out")" /dev/mapper/lv
kcache detach lv
check "one that is not there" expect_exit 4 "$lvm" vg-a/none lv
for wrong in vg-a /dev/vg-a/data vg-a/data/x -vg/x vg-a/; do
	check "$wrong is no logical volume's name" expect_exit 1 "$lvm" "$wrong" lv
done
vgchange -q -an vg-a >/dev/null 2>&1
blank "$d2"
blank "$d"
check "no keyring has a key of ours" no_keys
