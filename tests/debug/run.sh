#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The integration tests and KUnit on a kernel that watches itself (KASAN, lockdep, UBSAN,
# kmemleak, atomic-sleep and object debugging; tests/kernel/debug.config), the module
# built so that it counts which of its lines run. One report of any of these tools
# fails the run. Then tables of the lines that ran: of the module, and of the tools'
# library in the unit tests. What of the module did not run has to be in
# "uncovered" beside this, with its reason.
#
# KASAN does not see a bio, or our data in it, that is used after its end: the slabs of
# bios are SLAB_TYPESAFE_BY_RCU, which it has to take for valid.
#
#   run.sh [NAME...]     tests of tests/integration instead of all that is here; no
#                        judgement of lines then
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top" || exit
data=build/coverage
# what a whole run has found stays
[ $# -eq 0 ] || data=build/coverage-some
end=tests/debug/end.sh
passed=0
failed=0

# What is left out, and why: this kernel is slow.
left_out=(
	'kcache-*'       # what the tools do, with not a line of the module that others leave out
	'vm-*'           # the VM by itself: another kernel shows nothing new
	path-memory      # 128 MiB are not enough for this kernel
	target-refusals  # a process for each wrong line: KUnit has them all
	target-limits    # figures of the queue, which nobody uses here
	path-devices     # more data along the ways of path-contexts and path-hardirq
	target-equality  # the same
	target-fs        # the same
	target-fio       # the same
)
is_left_out() { # NAME
	local pattern

	for pattern in "${left_out[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $pattern ]] || return 0
	done
	return 1
}

ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; }

# count FILE NAME: adds up what a suite has written, whose last line counts
count() {
	local line

	line=$(grep -aE '^[a-z-]+: [0-9]+ passed, [0-9]+ failed$' "$1" | tail -n 1)
	[ -n "$line" ] || { not_ok "$2 runs to its end"; return; }
	line=${line#*: }
	passed=$((passed + ${line%% *}))
	line=${line#*, }
	failed=$((failed + ${line%% *}))
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
trap 'exit 130' INT TERM

# --- what counts as a report -------------------------------------------------
unknown=0
while read -r text; do
	[[ $text != '#'* ]] || continue
	echo "[   12.345678] $text" >"$out"
	tests/qemu/complaints "$out" >/dev/null || { echo "    | $text"; unknown=$((unknown + 1)); }
done <"$here/complaints"
if [ $unknown -eq 0 ]; then ok "the VM knows each kind of report"; else not_ok "the VM knows each kind of report"; fi

# --- the tools' unit tests, which count lines too -------------------------------
rm -rf $data
mkdir -p $data/vm
if [ $# -eq 0 ]; then
	if make -s -j"$(nproc)" -C tests/unit check COV=1 >$data/unit.log 2>&1; then
		ok "the unit tests pass with lines counted"
	else
		cat $data/unit.log
		not_ok "the unit tests pass with lines counted"
	fi
fi

# --- the module, on the debug kernel -----------------------------------------
kernel=$(tests/kernel/build.sh debug) || exit
make modules KDIR="$kernel/build" KCACHE_GCOV=1 >$data/module.log 2>&1 || { cat $data/module.log; exit 1; }
integration() { # NAME...
	tests/qemu/run.sh --vm '--flavour debug' --end $end --gather $data/vm "$@" 2>&1 </dev/null
}
if [ $# -gt 0 ]; then
	integration "$@" | tee "$out"
	count "$out" "$*"
	echo "debug: $passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
fi

names=()
for f in tests/integration/[!l]*.sh; do
	name=$(basename "${f%.host.sh}" .sh)
	is_left_out "$name" || names+=("$name")
done
integration "${names[@]}" | tee "$out"
count "$out" "the integration tests"
tests/kunit/run.sh --flavour debug --end $end --gather $data/kunit aes-ni generic 2>&1 </dev/null | tee "$out"
count "$out" KUnit

# --- lines -------------------------------------------------------------------
# each boot's disk is a tar, of paths as the kernel's objects have them
for disk in "$data"/*/*.disk; do
	folder=${disk%.disk}
	mkdir -p "$folder"
	if ! tar -C "$folder" -xf "$disk" 2>/dev/null; then
		not_ok "$(basename "$folder") brought line counts out"
		continue
	fi
	rm "$disk"
	find "$folder" -name '*.gcda' | while read -r f; do
		# what they mean lies where the object was made
		f=${f#"$folder"}
		cp "${f%.gcda}.gcno" "$folder$(dirname "$f")/"
	done
done
judge() { # COVERAGE-ARGUMENT...
	local code=0

	"$here/coverage.py" "$@" >"$out" 2>&1 || code=$?
	cat "$out"
	[ $code -le 1 ] || not_ok "there are line counts of ${*: -2:1}"
	passed=$((passed + $(grep -c '^ok - ' "$out")))
	failed=$((failed + $(grep -c '^not ok - ' "$out")))
}
judge --report $data/module.txt --min 90 --known tests/debug/uncovered dm-kcache $data/vm $data/kunit
judge --report $data/tools.txt tools/lib build/cov

echo "debug: $passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
