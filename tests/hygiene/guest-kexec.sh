#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: a second kernel is started by kexec while a volume is in use. It has the
# memory as the first left it. Disks: used, a filesystem with the second kernel, other volumes.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/guest.sh"
modprobe dm-kcache

# A kernel of the same kind takes the same pages first. The keys lie elsewhere: more
# than one slab of them, and pages that are free only after a good part is taken.
head -c 200M /dev/zero >/dev/shm/taken
check "attach" kcache attach "${D[0]}" used
for n in 2 3 4 5; do
	check "attach another" kcache attach "${D[n]}" "more$n"
done
check "use it" dd if=/dev/mapper/used of=/dev/null bs=64k iflag=direct status=none
"$(dirname "$0")/plant.py" /kcache/canary.key raw >/dev/null 2>&1 &
check "a program holds a key" wait_for 10 test -e /tmp/planted.raw
mkdir -p /mnt/second
mount -o ro "${D[1]}" /mnt/second
check "a second kernel is loaded" kexec -c -l /mnt/second/vmlinux --args-linux --initrd=/mnt/second/initrd \
	--command-line="$(cat /proc/cmdline)"
umount /mnt/second
dumped attached
setsid bash -c 'while :; do dd if=/dev/mapper/used of=/dev/null bs=64k iflag=direct status=none; done' >/dev/null 2>&1 &
sleep 0.5
sync
echo "kexec: 0 failed, on to the second kernel"
sleep 0.5
busybox sync
kexec -e
