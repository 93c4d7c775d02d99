#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the fuzz targets, two at a time, each for TIME seconds (20), beginning
# with its corpus. TIME=0 only runs each file of the corpus once.
#
#   run.sh [NAME...]            all of them, or some
#   run.sh --merge [NAME...]    adds to the corpora what runs have found: of the
#                               inputs that reach new code, as few as will do
#
# What a run finds stays in build/fuzz/found/NAME, and is begun with the next
# time. An input that breaks something is kept as build/fuzz/NAME-crash-...
# (timeout, oom, leak); build/fuzz/NAME FILE does it again.
set -u
shopt -s nullglob

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
out=build/fuzz
time=${TIME:-20}
merge=
[ "${1:-}" != --merge ] || { merge=1; shift; }
if [ $# -eq 0 ]; then
	for f in "$here"/fuzz-*.c; do
		f=${f##*/fuzz-}
		set -- "$@" "${f%.c}"
	done
fi

# what the targets make in it is gone afterwards, also where one was killed
TMPDIR=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/kcache-fuzz-run-XXXXXX") || exit
export TMPDIR
results=$(mktemp)
trap 'rm -rf "$TMPDIR" "$results"' EXIT

# Larger than what is read, so that limits are met: a token has 16 KiB.
size() { case $1 in header | answer | request | wire) echo 20000 ;; token) echo 17000 ;; map) echo 6000 ;; *) echo 4096 ;; esac; }

fuzz() { # NAME
	local name=$1 log=$out/$1.log corpus=tests/fuzz/corpus/$1 opts found=$out/found/$1 runs cov crashes

	mkdir -p "$found"
	rm -f "$out/$name"-*-*
	opts=(-artifact_prefix="$out/$name-" -max_len="$(size "$name")" -timeout=10 -rss_limit_mb=1024
		-print_final_stats=1)
	[ ! -e "tests/fuzz/dict/$name" ] || opts+=(-dict="tests/fuzz/dict/$name")
	if [ "$time" -eq 0 ]; then
		opts+=(-runs=0)
	else
		opts+=(-max_total_time="$time")
	fi
	if ! "$out/$name" "${opts[@]}" "$found" "$corpus" >"$log" 2>&1 </dev/null; then
		echo "not ok - $name: $(sed -n 's/^SUMMARY: //p' "$log" | head -n 1)"
		grep -aE '^fuzz: |ERROR: |runtime error: ' "$log" | head -n 3 | sed 's/^/    /'
		crashes=("$out/$name"-*-*)
		for log in "${crashes[@]:0:1}"; do
			echo "    $out/$name $log does it again:"
			head -c 512 "$log" | od -A d -c | head -n 16 | sed 's/^/    /'
		done
		return
	fi
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	cov=$(grep -aoE ' cov: [0-9]+' "$log" | tail -n 1)
	if [ "$(find "$corpus" -type f | wc -l)" -gt "${runs:-0}" ] || [ -z "$cov" ]; then
		echo "not ok - $name: the corpus was not run"
		return
	fi
	echo "ok - $name: $runs runs, cov ${cov##* }, no crash"
}

add_to_corpus() { # NAME
	local name=$1 corpus=tests/fuzz/corpus/$1

	mkdir -p "$corpus"
	"$out/$name" -merge=1 -max_len="$(size "$name")" "$corpus" "$out/found/$name" >"$out/$name.log" 2>&1 ||
		{ tail -n 5 "$out/$name.log"; return 1; }
	echo "$name: $(find "$corpus" -type f | wc -l) files, $(du -sb "$corpus" | cut -f 1) bytes"
}

if [ -n "$merge" ]; then
	for name; do
		add_to_corpus "$name" || exit
	done
	exit
fi

for name; do
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
		wait -n
	done
	# a target's lines stay together
	{ lines=$(fuzz "$name"); echo "$lines"; } | tee -a "$results" &
done
wait
passed=$(grep -c '^ok - ' "$results")
failed=$(grep -c '^not ok - ' "$results")
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -eq $# ]
