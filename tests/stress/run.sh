#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check-stress: loads while things happen, and little memory; each in a VM of its
# own, two at a time. Ends with "stress: N passed, N failed".
#
#   run.sh [--seed N] [--time SECONDS] [load|memory]...
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$here/../guests.sh"

seed=$((RANDOM * 32768 + RANDOM)) seconds=60 all=(load memory)
named=()
while [ $# -gt 0 ]; do
	case $1 in
	--seed) seed=$2; shift ;;
	--time) seconds=$2; shift ;;
	load | memory) named+=("$1") ;;
	*) sed -n '3,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
if [ ${#named[@]} -gt 0 ]; then
	all=("${named[@]}")
fi

compile stress churn "$here/churn.c"
compile stress press "$here/press.c"
echo "stress: seed $seed (run.sh --seed $seed)"

# stress-ng and what it is linked with: nothing else in a VM's root wants them
stress_ng() {
	rm -rf "$built/stress-ng"
	mkdir -p "$built/stress-ng"
	ldd "$(command -v stress-ng)" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | grep -v '/libc\.so' |
		xargs -I{} cp -L {} "$built/stress-ng/" && cp -L "$(command -v stress-ng)" "$built/stress-ng/"
}

for part in "${all[@]}"; do
	case $part in
	load)
		stress_ng || { echo "not ok - there is stress-ng"; exit 1; }
		guest load --time $((seconds + 400)) --add "$built/churn:/usr/lib/churn" \
			--add "$built/stress-ng:/usr/lib/stress-ng" tests/stress/load.sh "$seed" "$seconds"
		;;
	memory)
		# the kernel and what it reserves at boot take more than 32 MiB: MemTotal is
		# below 64 MiB then. Without ERMS: QEMU has it, and stores byte by byte
		guest memory --lean --mem 96 --scratch 3:512M --cpu max,-erms,-fsrm --time 600 \
			--add "$built/press:/usr/lib/press" tests/stress/memory.sh "$seed"
		;;
	esac
done
guests_end stress
