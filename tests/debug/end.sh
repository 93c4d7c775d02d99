#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The last test of a boot of the debug kernel: nothing has leaked, the module goes,
# and what watched it was awake to the end. Then the module's line counts are written
# to the disk that --gather (tests/qemu/run.sh, tests/kunit/run.sh) gave to this boot.
#
# Any leak counts, not only one with the module on its stack: what we hold, and
# forget, may have been allocated by the crypto API, by device-mapper or by a
# workqueue on our behalf, and the debug kernel by itself leaks nothing.
. "$(dirname "$0")/../integration/lib.sh"

leaks=/sys/kernel/debug/kmemleak

# Objects younger than 5 s are no suspects, and one is reported only if it has not
# changed since the scan before. RCU and the key collector are through by then. Only
# once the module has gone: what its own variables have held is a leak as well then.
no_leaks() {
	sleep 6
	echo scan >$leaks && echo scan >$leaks || return
	! grep . $leaks || { echo "the module was at $text"; return 1; }
}
loaded() { grep -q '^dm_kcache ' /proc/modules; }

check "kmemleak is on" test -w $leaks
modprobe dm-kcache
# its functions have no names in what kmemleak writes
text=$(cat /sys/module/dm_kcache/sections/.text)
check "the module can be unloaded" modprobe -r dm-kcache
check "and is gone" not loaded
check "nothing has leaked" no_leaks
check "lockdep is still on" grep -qE '^ *debug_locks: +1$' /proc/lockdep_stats
check "so is object debugging" grep -qE '^pool_used' /sys/kernel/debug/debug_objects/stats

gcov=/sys/kernel/debug/gcov
counts=$(mktemp -d)
on_exit rm -rf "$counts"
# these files have no size before they are read: tar would take nothing
save_counts() {
	local f

	(cd $gcov && find . -name '*.gcda') | while read -r f; do
		mkdir -p "$counts/$(dirname "$f")" && cat "$gcov/$f" >"$counts/$f" || return
	done
	find "$counts" -name '*.gcda' -size +0 | grep . && tar -C "$counts" -cf "${DISKS%% *}" . && sync "${DISKS%% *}"
}
if [ -n "$DISKS" ]; then
	check "the line counts are brought out" save_counts
fi
