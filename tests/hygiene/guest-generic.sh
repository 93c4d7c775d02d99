#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a VM without AES instructions: where the generic cipher has the key; then data
# is being written until the host cuts the power. Disk: life.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/guest.sh"
modprobe dm-kcache

check "attach" kcache attach "${D[0]}" life
check "the cipher is the generic one" bash -c 'dmsetup status life | grep -F "xts(ecb(aes-generic))"'
check "use it" in_use life
dumped attached
umount /mnt/data
check "detach" kcache detach life
dumped detached

check "attach again" kcache attach "${D[0]}" life
mount /dev/mapper/life /mnt/data
for i in {1..100}; do
	yes "$pattern $i" | head -c 1M >"/mnt/data/file$((i % 20))"
	[ "$i" -ne 20 ] || echo "cut the power"
	sync -f /mnt/data
done
