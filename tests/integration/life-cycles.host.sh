#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A volume made, attached, detached and erased again and again leaves nothing behind:
# no slab object, key, mapped device, loop device, file or thread (cycles.py). Outside,
# because it takes longer than a test in a boot of many may.
#
#   CYCLES=1000 tests/integration/life-cycles.host.sh     instead of 100
. "$(dirname "$0")/lib.sh"
top=$(cd "$TESTDIR/../.." && pwd)
n=${CYCLES:-100}
log=$(mktemp -d)
on_exit rm -rf "$log"

# without the audit subsystem, whose records nobody fetches: they would pile up
"$top/tests/qemu/vm" --quiet --log "$log" --time $((300 + n * 20)) --scratch 0:1M \
	--append audit=0 tests/integration/cycles.py "$n" >"$log/out" 2>&1
code=$?
grep -aE '^(ok|not ok) - |^    \| |^# ' "$log/output.log"
# counted here as well: their lines are this test's
_passed=$((_passed + $(grep -ac '^ok - ' "$log/output.log")))
_failed=$((_failed + $(grep -ac '^not ok - ' "$log/output.log")))
[ $code -eq 0 ] || cat "$log/out"
check "the VM ran $n cycles to their end" test $code -eq 0
