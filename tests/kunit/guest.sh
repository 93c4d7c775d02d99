#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: loads the KUnit module, which runs its suites, unloads it, and prints
# the kernel's log from there on. The log is read where it lies, not from the
# serial line, which loses some of it.
#
#   guest.sh MODULE [PARAMETER...]
set -eu

dmesg --clear
insmod "$@"
rmmod "$(basename "$1" .ko | tr - _)"
dmesg
