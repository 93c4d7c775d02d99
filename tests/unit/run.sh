#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs cmocka programs and counts their tests one by one. What a program wrote
# is shown where it failed. A program that dies is one failed test more. A test
# that cannot be run here (not root, no journal) is skipped, and is told.
#
#   run.sh PROGRAM...
set -u

out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0
failed=0

for prog; do
	CMOCKA_MESSAGE_OUTPUT=TAP "$prog" >"$out" 2>&1 </dev/null
	code=$?
	ok=$(grep -c '^ok ' "$out")
	skipped=$(grep -c '^not ok .*# SKIP' "$out")
	bad=$(($(grep -c '^not ok ' "$out") - skipped))
	planned=$(sed -n 's/^1\.\.//p' "$out" | awk '{ n += $1 } END { print n + 0 }')
	if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ $((ok + skipped)) -lt "$planned" ] || [ "$ok" -eq 0 ]; }; then
		echo "$(basename "$prog"): ended with exit code $code after $ok of $planned tests"
		bad=1
	fi
	[ "$bad" -eq 0 ] || sed 's/^/    /' "$out"
	printf '  %-7s %s: %d passed, %d failed\n' TEST "$(basename "$prog")" "$ok" "$bad"
	sed -n 's/^not ok [0-9]* # SKIP /          not run here: /p' "$out"
	passed=$((passed + ok))
	failed=$((failed + bad))
done

echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
