#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every point at which the kernel can inject a failure into a system call that
# reaches the module, one after the other (walk.c): the module itself is loaded.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-faults.sh
. "$(dirname "$0")/lib-faults.sh"

modprobe dm-kcache
modprobe -r dm-kcache
walk 200 module "$(modinfo -n dm-kcache)"
# what a failed load has left with the kernel points to where the module was
check "no shrinker of it is left" shrink
off_and_on() { echo 0 >"$1/online" && echo 1 >"$1/online"; }
check "nor does it hear of a CPU" off_and_on /sys/devices/system/cpu/cpu1
check "no memory is left" no_leaks
