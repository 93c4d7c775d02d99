#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The VM itself: what the other tests stand on. In a boot of its own, before anybody
# has written to its disks.
# vm: --smp 2
. "$(dirname "$0")/lib.sh"

check "it runs as root" same "$(id -u)" 0
check "it runs the kernel asked for" same "$(uname -r)" "$KERNEL"
check "the scratch disk is there" test -b "$(disk 1)"
check "a scratch disk is blank" cmp -n 1048576 "$(disk 1)" /dev/zero
check "device-mapper works" dmsetup create vmh --table "0 2048 linear $(disk 1) 0"
check "its node is made" test -b /dev/mapper/vmh
check "a device can be removed" dmsetup remove vmh
check "the kernel has AES-NI" grep -qw aes /proc/cpuinfo
echo "<6>vm-harness: hello" >/dev/kmsg
check "the kernel's log can be read" dmesg_has 'vm-harness: hello'
dmesg_mark
check "and looked at from a mark on" not dmesg_has 'vm-harness: hello'
check "/dev/stderr can be opened" bash -c 'echo hello >/dev/stderr'
check "an unprivileged user is there" setpriv --reuid=user --regid=user --clear-groups true
loop_device 1M
check "a loop device is there" test -b "$LOOP"
