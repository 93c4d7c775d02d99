#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A power cut in the VM: what was synced is there after the next boot, and the
# VM says that it was cut. Also how a run that fails looks to its caller.
. "$(dirname "$0")/lib.sh"
vm=$TESTDIR/../qemu/vm

image=$(mktemp)
on_exit rm -f "$image"
truncate -s 64M "$image"
check "a cut at a line of output ends the VM with 121" expect_exit 121 "$vm" --disk "$image" --time 120 \
	--cut-at 'cut me' -c 'mkfs.ext4 -q /dev/vdb; mount /dev/vdb /mnt; echo 42 >/mnt/synced; sync; echo cut me; sleep 60'
check "the next boot finds what was synced" expect_exit 0 "$vm" --disk "$image" --time 120 \
	-c 'e2fsck -fy /dev/vdb; mount /dev/vdb /mnt && grep -x 42 /mnt/synced'
check "a kernel WARNING fails a run that succeeded" expect_exit 122 "$vm" --time 120 \
	-c 'echo "<4>WARNING: CPU: 0 PID: 1 at test" >/dev/kmsg'
check "and is shown" said 'WARNING: CPU: 0'
check "a kernel that dies ends the run with 123" expect_exit 123 "$vm" --time 120 \
	-c 'echo c >/proc/sysrq-trigger; sleep 60'
check "and its last words are shown" said 'sysrq triggered crash'
check "a run over its time ends with 124" expect_exit 124 "$vm" --time 12 -c 'sleep 600'
check "the command's own exit code comes back" expect_exit 7 "$vm" --time 120 -c 'exit 7'
