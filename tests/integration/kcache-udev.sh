#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The udev rule: a device that violates the policy is marked, from the properties that udev
# has found and has not written down yet. The VM runs no udevd: udevadm test goes through
# the same rules.
#
# vm: --scratch 2:64M --add /usr/bin/udevadm:/usr/bin/udevadm
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

# properties DEVICE: as the rules leave them; nothing of it is in a database, before or after
properties() {
	rm -rf /run/udev/data
	udevadm test --action=add "/sys/class/block/${1#/dev/}" 2>&1
	rm -rf /run/udev/data
}

d=$(disk 1)
# as a disk would have it whose serial number only udev's own rules find
mkdir -p /run/udev/rules.d
cat >/run/udev/rules.d/60-test.rules <<'END'
SUBSYSTEM=="block", IMPORT{builtin}="blkid"
SUBSYSTEM=="block", ENV{ID_SERIAL}="of-udev-alone"
END
# udev's programs have no environment but udev's: the configuration where it is looked for
base=$(<"$KCACHE_CONFIG")
unset KCACHE_CONFIG
mkdir -p /etc/kcache
on_exit rm -r /etc/kcache /run/udev
policy() { printf '%s\n' "$base" "$@" >/etc/kcache/kcache.conf; }
policy

check "the rule is where udev looks for it" test -e /usr/lib/udev/rules.d/65-kcache.rules
mkfs.ext4 -q "$d"
properties "$d" >"$STATE/out"
check "udev finds a filesystem" grep -q '^ID_FS_TYPE=ext4' "$STATE/out"
check "without a policy it is not marked" not grep -q '^KCACHE_POLICY' "$STATE/out"
policy 'require = ID_SERIAL=of-udev-alone'
properties "$d" >"$STATE/out"
check "one that must be encrypted and is not is marked" grep -qx 'KCACHE_POLICY=violated' "$STATE/out"
check "and left alone by udisks" grep -qx 'UDISKS_IGNORE=1' "$STATE/out"
check "outside of udev this disk has another serial number" expect_exit 0 kcache policy check "$d"
policy 'require = ID_SERIAL=of-udev-alone' 'exempt = ID_FS_TYPE=ext4'
check "an exemption holds here too" not grep -q '^KCACHE_POLICY' <(properties "$d")
policy 'require = ID_SERIAL=of-udev-alone' 'nonsense'
check "a configuration with an error marks nothing" not grep -q '^KCACHE_POLICY' <(properties "$d")
policy 'require = ID_SERIAL=of-udev-alone'
blank "$d"
check "an empty disk is not marked" not grep -q '^KCACHE_POLICY' <(properties "$d")
kcache create -q "$d" >/dev/null
properties "$d" >"$STATE/out"
check "a volume is a LUKS volume to udev" grep -q '^ID_FS_TYPE=crypto_LUKS' "$STATE/out"
check "and is not marked" not grep -q '^KCACHE_POLICY' "$STATE/out"
