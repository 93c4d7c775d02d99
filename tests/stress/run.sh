#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check-stress: loads while things happen, little memory, many volumes; each in
# a VM of its own, two at a time. Ends with "stress: N passed, N failed".
#
#   run.sh [--seed N] [--time SECONDS] [load|memory|volumes]...
#
# $VOLUMES is how many are attached at once (100).
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$here/../guests.sh"

seed=$((RANDOM * 32768 + RANDOM)) seconds=60 volumes=${VOLUMES:-100} all=(load memory volumes)
named=()
while [ $# -gt 0 ]; do
	case $1 in
	--seed) seed=$2; shift ;;
	--time) seconds=$2; shift ;;
	load | memory | volumes) named+=("$1") ;;
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

# Volumes are made here, by the same kcache create but not in TCG's time, and lie one
# after the other on one disk, 20 MiB each.
make_volumes() {
	local work=$built/volumes fast i made=1

	rm -rf "$work"
	mkdir -p "$work" && truncate -s $((20 * volumes))M "$work/disk" || return
	# in memory: create waits for the disk often
	fast=$(mktemp -d -p /dev/shm) || return
	mkdir -m 700 "$fast/state"
	printf '%s\n' "helper = $top/build/tools/kcache-keyhelper" "state_dir = $fast/state" \
		"audit_file = $fast/audit.jsonl" >"$fast/kcache.conf"
	chmod 600 "$fast/kcache.conf"
	for ((i = 0; i < volumes && made; i++)); do
		rm -f "$fast/one"
		truncate -s 20M "$fast/one"
		# the header is all that there is: the key is known before any data
		"$top/build/tools/kcache" --config "$fast/kcache.conf" create -q "$fast/one" >/dev/null &&
			dd if="$fast/one" of="$work/disk" bs=64k count=16 seek=$((i * 320)) conv=notrunc,sparse status=none ||
			made=
	done
	cp -a "$fast/state" "$work/state" || made=
	rm -rf "$fast"
	[ -n "$made" ]
}

# where memory is what is measured: audit records that nobody fetches do not pile up
bounded=(--append audit_backlog_limit=64)
for part in "${all[@]}"; do
	case $part in
	load)
		stress_ng || { echo "not ok - there is stress-ng"; exit 1; }
		guest load --time $((seconds + 400)) --add "$built/churn:/usr/lib/churn" \
			--add "$built/stress-ng:/usr/lib/stress-ng" tests/stress/load.sh "$seed" "$seconds"
		;;
	memory)
		# the kernel and what it reserves at boot take more than 32 MiB: MemTotal is
		# below 64 MiB then, while with --mem 64 Debian's kernel does not boot.
		# Without ERMS: QEMU has it, and stores byte by byte
		guest memory --lean --mem 96 "${bounded[@]}" --scratch 3:512M --cpu max,-erms,-fsrm --time 600 \
			--add "$built/press:/usr/lib/press" tests/stress/memory.sh "$seed"
		;;
	volumes)
		make_volumes || { echo "not ok - $volumes volumes are made"; exit 1; }
		guest volumes --mem $((1024 + volumes * 2)) "${bounded[@]}" --disk "$built/volumes/disk" --scratch 0:1M \
			--add "$built/volumes/state:/var/lib/kcache" \
			--time $((300 + volumes * 4)) tests/stress/volumes.sh "$volumes"
		;;
	esac
done
guests_end stress
