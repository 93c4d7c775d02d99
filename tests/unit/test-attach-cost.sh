#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What an attach with the local provider costs, up to where device-mapper is asked:
# system calls to the disk (device, keystore, known volumes, audit file), and time. No
# device-mapper is needed: where there is one, the volume is mapped and detached again.
# The figures are printed as lines "# ...".
# alone: it takes the time
. "$(dirname "$0")/lib-cli.sh"

most_calls=40
most_ms=100
runs=30

v=$(file vol 20M)
kcache -q create "$v" >/dev/null

# calls TRACE: those on files below $work, until device-mapper is opened after the last event of the KMS
calls() {
	/usr/bin/python3 -c '
import re, sys
lines = open(sys.argv[1], errors="replace").read().split("\n")
used = [i for i, l in enumerate(lines) if "event" in l and "Decrypt" in l]
end = next(i for i in range(used[-1], len(lines)) if "/dev/mapper/control" in lines[i])
call = re.compile(r"^\d+ +(open|openat|openat2|creat|read|readv|pread\w*|write|writev|pwrite\w*|fsync|fdatasync|"
                  r"sync_file_range|f?truncate|fallocate|unlink|unlinkat|rename\w*|copy_file_range|sendfile)\(")
n = {}
for l in lines[:end]:
    f = re.search(re.escape(sys.argv[2]) + r"/([\w.-]+(/[\w.-]+)?)", l)
    if call.match(l) and f and "kcache.conf" not in l:
        n[f.group(1)] = n.get(f.group(1), 0) + 1
print(sum(n.values()), ", ".join(f"{k} {v}" for k, v in sorted(n.items())))' "$1" "$work"
}
strace -f -y -s 200 -o "$work/trace" "$tools/kcache" -q attach "$v" unit-attach-cost >/dev/null 2>&1
kcache -q detach unit-attach-cost 2>/dev/null
read -r count what < <(calls "$work/trace")
echo "# $count system calls to the disk: $what"
check "an attach reads and writes at most $most_calls times" test "${count:-99}" -le $most_calls
check "which the count would not miss" test "${count:-0}" -ge 15

# the fastest of some: what else this machine does is no cost of ours
best=999999
for _ in $(seq $runs); do
	a=$(date +%s%N)
	kcache -q attach "$v" unit-attach-cost >/dev/null 2>&1
	ms=$((($(date +%s%N) - a) / 1000000))
	kcache -q detach unit-attach-cost 2>/dev/null
	[ $ms -ge $best ] || best=$ms
done
echo "# $best ms, the fastest of $runs; starting both processes included"
case $tools in
*/san/*) echo "# a build with sanitizers is not timed" ;;
*) check "and takes less than $most_ms ms" test "$best" -lt $most_ms ;;
esac
