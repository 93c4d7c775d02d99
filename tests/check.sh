#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the suites and adds up their last lines ("NAME: N passed, N failed") into
# one "N passed, N failed". Fails if anything failed, or a suite did not count.
#
#   check.sh SUITE...     a suite is a make target, or a make command line in quotes
#
# "+MINUTES SUITE" is one that is run only if it ends within $WITHIN minutes of the start,
# at the MINUTES it takes on two CPUs with its downloads; without $WITHIN not at all.
set -u

passed=0
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

for suite; do
	if [[ $suite == +* ]]; then
		minutes=${suite%% *}
		suite=${suite#* }
		if [ $((SECONDS / 60 + minutes)) -gt "${WITHIN:-0}" ]; then
			[ -z "${WITHIN:-}" ] || echo "== not run, it takes ${minutes#+} minutes: $suite"
			continue
		fi
	fi
	echo "== $suite"
	began=$SECONDS
	# shellcheck disable=SC2086 # words
	make $suite 2>&1 </dev/null | tee "$out"
	code=${PIPESTATUS[0]}
	echo "# $suite: $((SECONDS - began)) s"
	line=$(grep -aE '^[a-z-]+: [0-9]+ passed, [0-9]+ failed$' "$out" | tail -n 1)
	if [ -z "$line" ]; then
		echo "check: $suite ended without a count (exit code $code)"
		failed=$((failed + 1))
		continue
	fi
	line=${line#*: }
	bad=${line#*, }
	passed=$((passed + ${line%% *}))
	failed=$((failed + ${bad%% *}))
	if [ "$code" -ne 0 ] && [ "${bad%% *}" -eq 0 ]; then
		echo "check: $suite failed with exit code $code"
		failed=$((failed + 1))
	fi
done

echo "# $((SECONDS / 60))m$((SECONDS % 60))s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
