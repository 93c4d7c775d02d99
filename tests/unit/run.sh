#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs cmocka programs and counts their tests one by one. What a program wrote
# is shown where it failed. A program that dies is one failed test more. A test
# that cannot be run here (not root, no journal) is skipped, and is told.
#
# One more at once than there are CPUs, since each waits for the disk now and then. A
# script that says "# alone:" and why in its first ten lines, since it looks at what all
# of the machine shares, is run by itself.
#
#   run.sh PROGRAM...
set -u

[ $# -gt 0 ] || { echo "run.sh: there is no such test in tests/unit" >&2; exit 2; }
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# one PROGRAM RESULT: its lines, and "PASSED FAILED" as the last
one() {
	local prog=$1 out=$2.out began=$SECONDS code ok skipped bad planned

	CMOCKA_MESSAGE_OUTPUT=TAP "$prog" >"$out" 2>&1 </dev/null
	code=$?
	{
		ok=$(grep -c '^ok ' "$out")
		skipped=$(grep -c '^not ok .*# SKIP' "$out")
		bad=$(($(grep -c '^not ok ' "$out") - skipped))
		planned=$(sed -n 's/^1\.\.//p' "$out" | awk '{ n += $1 } END { print n + 0 }')
		if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ $((ok + skipped)) -lt "$planned" ] || [ "$ok" -eq 0 ]; }; then
			echo "$(basename "$prog"): ended with exit code $code after $ok of $planned tests"
			bad=1
		fi
		[ "$bad" -eq 0 ] || sed 's/^/    /' "$out"
		printf '  %-7s %s: %d passed, %d failed (%d s)\n' TEST "$(basename "$prog")" "$ok" "$bad" \
			$((SECONDS - began))
		sed -n 's/^not ok [0-9]* # SKIP /          not run here: /p' "$out"
		echo "$ok $bad"
	} >"$2.part"
	mv "$2.part" "$2"
}

passed=0
failed=0
# report: what has come to its end since the last time
report() {
	local result counts

	for result in "$dir"/*.done; do
		[ -e "$result" ] || continue
		sed '$d' "$result"
		counts=$(tail -n 1 "$result")
		passed=$((passed + ${counts% *}))
		failed=$((failed + ${counts#* }))
		rm -f "$result"
	done
}

places=$(($(nproc) + 1))
alone=() n=0
for prog; do
	if [[ $prog == *.sh ]] && head -n 10 "$prog" | grep -q '^# alone:'; then
		alone+=("$prog")
		continue
	fi
	if [ "$(jobs -rp | wc -l)" -ge "$places" ]; then
		wait -n
		report
	fi
	n=$((n + 1))
	one "$prog" "$dir/$n.done" &
done
wait
report
for prog in "${alone[@]}"; do
	one "$prog" "$dir/alone.done"
	report
done

echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
