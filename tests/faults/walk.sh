#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every point at which the kernel can inject a failure into a system call that
# reaches the module, one after the other (walk.c).
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-faults.sh
. "$(dirname "$0")/lib-faults.sh"

# who fails to allocate says so with a stack; whoever complains of more than that
# has another word in his report
expect_kernel 'Call Trace:'
# what the module waits for on each of thousands of removals
echo 1 >/sys/kernel/rcu_expedited

modprobe brd rd_nr=1 rd_size=8192
modprobe -a dm-crypt dm-kcache
# a RAM disk without pages would have to allocate them
head -c 8M /dev/urandom >/dev/ram0
sync /dev/ram0

# a walk that ends early leaves its device; the next one wants none
walk() { take "$@"; dmsetup remove faults 2>/dev/null; }
walk 240 fault-walk tables
walk 120 fault-walk messages
walk 240 fault-walk io
check "the module can be unloaded" modprobe -r dm-kcache
take 120 fault-walk module "$(modinfo -n dm-kcache)"
check "no device is left" same "$(dmsetup ls)" "No devices found"
check "no memory of ours is left" no_leaks
