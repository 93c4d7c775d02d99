#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make bench: builds, boots, measures, reports. See README.md beside this.
#
#   run.sh                    the whole matrix on all kernels, the report written
#   run.sh --quick [--kernel 6.12]...   4 KiB alone, printed only (6.1 if none is named)
#   run.sh --smp [--kernel K]...  the rows of two CPUs alone, printed only
#   run.sh --kernel K...      the whole matrix on these kernels, printed only
#   run.sh --check            --quick against recorded.json, the best of three boots
#   run.sh --record           --quick, and what it says becomes recorded.json
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"
. /etc/os-release

mode=all
kernels=()
while [ $# -gt 0 ]; do
	case $1 in
	--quick | --smp | --check | --record) mode=${1#--} ;;
	--kernel) kernels+=("$2"); shift ;;
	*) sed -n '3,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
report=full
if [ ${#kernels[@]} -gt 0 ]; then
	report=print
elif [ "$mode" = all ]; then
	mapfile -t kernels < <(sed -n 's/^\([0-9.]*\) .*/\1/p' "$here/kernels")
else
	kernels=(6.1)
fi

work=$top/build/bench
mkdir -p "$work"

# quietly COMMAND...: shows what it said only where it fails
quietly() {
	local log

	log=$(mktemp "$work/log.XXXXXX")
	"$@" >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; return 1; }
	rm "$log"
}

# Sets $suite (empty: this machine's own) and $release.
locate() {
	suite=$(sed -n "s/^${1//./\\.} //p" "$here/kernels")
	[ -n "$suite" ] || { echo "run.sh: no kernel $1 in tests/bench/kernels" >&2; exit 2; }
	if [ "$suite" = "$VERSION_CODENAME" ]; then
		suite=
		release=$(tests/kdir.sh --vm)
	else
		release=$(cat "$(tests/qemu/suite.sh "$suite")/release")
	fi
}

# Our module and the floor's, with the kernel's own compiler.
build() {
	local floor=$work/floor-$release kdir

	locate "$1"
	mkdir -p "$floor"
	cp -u "$here"/floor/* "$floor/"
	if [ -n "$suite" ]; then
		tests/module.sh "build/module/$release"
		quietly tests/qemu/suite.sh "$suite" build "build/module/$release"
		quietly tests/qemu/suite.sh "$suite" build "$floor"
	else
		kdir=/lib/modules/$release/build
		[ -e "$kdir" ] || kdir=/usr/src/linux-headers-$release
		quietly make modules KDIR="$kdir"
		quietly make -C "$kdir" M="$floor" modules
	fi
}

# boot KERNEL OUTPUT VM-OPTION... -- COMMAND...
boot() {
	local kernel=$1 output=$work/$2 options=()

	locate "$kernel"
	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	# a file is there only if the boot went to its end
	rm -f "$output"
	tests/qemu/vm --quiet --time 1800 --log "$output.log" ${suite:+--suite "$suite"} \
		--add "$work/kcbench:/kcache/bench/kcbench" \
		--add "$work/floor-$release/kcfloor.ko:/kcache/bench/kcfloor.ko" \
		"${options[@]}" "$@" || return
	cp "$output.log/output.log" "$output"
}

# noautogroup: the bench and the kernel's threads are scheduled as equals
instructions() { # KERNEL OUTPUT OPERATIONS SIZES [KERNEL-OPTION]
	boot "$1" "$2" --icount --scratch 0:1M --append "noautogroup ${5:-}" -- \
		tests/bench/guest-instr.sh "$3" "$4"
}

quick() { instructions "$1" "$1-instr.txt" 'read write' 4096; }

# Two boots at a time where a boot has one CPU; each row is the same however
# busy this machine is.
matrix() {
	local kernel other sizes='512 4096 131072 1048576'

	for kernel in "${kernels[@]}"; do
		instructions "$kernel" "$kernel-noinit.txt" write "$sizes" init_on_alloc=0 &
		other=$!
		instructions "$kernel" "$kernel-instr.txt" 'read write' "$sizes"
		wait "$other"
	done
}

# Seconds of CPU that this machine used so far, and that this script's children did.
used() {
	times >"$work/times"
	awk 'FILENAME == "/proc/stat" && $1 == "cpu" { all = ($2 + $3 + $4 + $7 + $8 + $9) / 100 }
		FILENAME != "/proc/stat" { split($0, t, /[ms ]+/); own = t[1] * 60 + t[2] + t[3] * 60 + t[4] }
		END { print systime(), all, own }' /proc/stat "$work/times"
}

# Two CPUs want two of this machine's to themselves: "others CPUS OF" says how
# many were taken by something else meanwhile.
two_cpus() {
	local kernel

	for kernel in "${kernels[@]}"; do
		used >"$work/before"
		boot "$kernel" "$kernel-smp.txt" --smp 2 --scratch 1:128M -- tests/bench/guest-smp.sh 15
		used >"$work/after"
		paste -d' ' "$work/before" "$work/after" | awk -v cpus="$(nproc)" '{
			print "others", ($5 - $2 - ($6 - $3)) / ($4 - $1), cpus }' >>"$work/$kernel-smp.txt"
	done
}

[ "$work/kcbench" -nt "$here/kcbench.c" ] ||
	gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -pthread -o "$work/kcbench" "$here/kcbench.c"
for kernel in "${kernels[@]}"; do
	locate "$kernel"
	build "$kernel"
done
rm -f "$work"/*.txt

evaluate() { "$here/report.py" "$1" "$work" "${kernels[@]}"; }
case $mode in
all)
	matrix
	two_cpus
	evaluate "$report"
	;;
quick)
	for kernel in "${kernels[@]}"; do
		quick "$kernel"
	done
	evaluate print
	;;
smp)
	two_cpus
	evaluate print
	;;
record)
	quick "${kernels[0]}"
	evaluate record
	;;
check)
	for _ in 1 2 3; do
		quick "${kernels[0]}"
		! evaluate check >"$work/check.txt" || break
	done
	cat "$work/check.txt"
	tail -n 1 "$work/check.txt" | grep -q ' 0 failed'
	;;
esac
