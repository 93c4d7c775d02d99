# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM, after lib.sh: the host's keystore, and how to have the memory dumped.
# Sets $D to the disks after the one with the keystore.
#
# shellcheck disable=SC2034 # $D is for the tests

read -ra D <<<"$DISKS"
mkdir -p /var/lib/kcache /mnt/data
mount "${D[0]}" /var/lib/kcache
chown -R 0:0 /var/lib/kcache
chmod 700 /var/lib/kcache
D=("${D[@]:1}")
pattern=$(cat /var/lib/kcache/pattern)

# what was revoked waits for the collector a moment
keys_gone() { ! grep -q kcache: /proc/keys; }

# dumped NAME: the host looks at the memory; what waits for RCU and for the key
# collector has been given time
dumped() {
	check "no keyring has a key of ours ($1)" wait_for 10 keys_gone
	sleep 3
	check "the memory is searched: $1" /kcache/tests/qemu/dump "$1"
}

# in_use NAME: ext4 on the mapped device, lines of the plaintext in it, read again past the cache
in_use() {
	mkfs.ext4 -q "/dev/mapper/$1" &&
		mount -o discard "/dev/mapper/$1" /mnt/data &&
		yes "$pattern" | head -c 8M >/mnt/data/lines &&
		sync /mnt/data/lines &&
		cp /mnt/data/lines /mnt/data/more &&
		sync -f /mnt/data &&
		dd if=/mnt/data/lines of=/dev/null bs=64k iflag=direct status=none &&
		dd if=/mnt/data/more of=/dev/null bs=4k count=64 iflag=direct status=none
}
