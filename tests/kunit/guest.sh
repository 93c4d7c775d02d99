#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: loads the KUnit module, which runs its suites, unloads it, and prints
# the kernel's log from there on. The log is read where it lies, not from the
# serial line, which loses some of it.
#
#   guest.sh [--end SCRIPT] MODULE [PARAMETER...]
#
# SCRIPT is a test that comes after it; its output stands behind a line "# the last test".
set -eu

end=
if [ "$1" = --end ]; then
	end=$2
	shift 2
fi
dmesg --clear
insmod "$@"
rmmod "$(basename "$1" .ko | tr - _)"
dmesg
if [ -n "$end" ]; then
	echo "# the last test"
	"$end"
fi
