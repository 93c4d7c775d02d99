#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check-crash: what a power cut leaves of a file system on a volume. Each file
# system in a VM of its own, two at a time; ends with "crash: N passed, N failed".
#
#   run.sh [--seed N] [--steps N] [ext4|xfs]...
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$here/../guests.sh"

seed=$((RANDOM * 32768 + RANDOM)) steps=24 all=(ext4 xfs)
named=()
while [ $# -gt 0 ]; do
	case $1 in
	--seed) seed=$2; shift ;;
	--steps) steps=$2; shift ;;
	ext4 | xfs) named+=("$1") ;;
	*) sed -n '3,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
[ ${#named[@]} -eq 0 ] || all=("${named[@]}")

compile crash replay-log "$here/replay-log.c"
echo "crash: seed $seed (run.sh --seed $seed)"
for fs in "${all[@]}"; do
	guest "$fs" --time 420 --scratch 4:256M --add "$built/replay-log:/usr/lib/replay-log" \
		tests/crash/fs.sh "$fs" "$seed" "$steps"
done
guests_end crash
