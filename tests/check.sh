#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the suites and adds up their last lines ("NAME: N passed, N failed") into
# one "N passed, N failed". Fails if anything failed, or a suite did not count.
#
#   check.sh SUITE...     a suite is a make target, or a make command line in quotes
#
# "& SUITE" runs beside those that follow: for one that waits more than it works. What it
# says comes at the end.
#
# "+MINUTES SUITE" is one that is run only if it ends within $WITHIN minutes of the start,
# at the MINUTES it takes on two CPUs with its downloads; without $WITHIN not at all.
set -u

passed=0
failed=0
dir=$(mktemp -d)
beside=()
# the suites that run, each a process group of its own, to be ended as one
declare -A groups=()
stop() { local g; for g in "${!groups[@]}"; do kill -- "-$g" 2>/dev/null; done; wait; }
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# run SUITE FILE: what it says goes to FILE, and its exit code to FILE.code
run() {
	local began=$SECONDS code

	echo "== $1"
	# shellcheck disable=SC2086 # words
	make $1 2>&1 </dev/null | tee "$2"
	code=${PIPESTATUS[0]}
	echo "# $1: $((SECONDS - began)) s"
	echo "$code" >"$2.code"
}

# start SUITE FILE: the same, and goes on; $! is its process group
start() {
	set -m
	run "$@" &
	set +m
	groups[$!]=1
}

# count SUITE FILE: adds up what run() has left
count() {
	local line bad code

	code=$(<"$2.code")
	line=$(grep -aE '^[a-z-]+: [0-9]+ passed, [0-9]+ failed$' "$2" | tail -n 1)
	if [ -z "$line" ]; then
		echo "check: $1 ended without a count (exit code $code)"
		failed=$((failed + 1))
		return
	fi
	line=${line#*: }
	bad=${line#*, }
	passed=$((passed + ${line%% *}))
	failed=$((failed + ${bad%% *}))
	if [ "$code" -ne 0 ] && [ "${bad%% *}" -eq 0 ]; then
		echo "check: $1 failed with exit code $code"
		failed=$((failed + 1))
	fi
}

for suite; do
	if [[ $suite == +* ]]; then
		minutes=${suite%% *}
		suite=${suite#* }
		if [ $((SECONDS / 60 + minutes)) -gt "${WITHIN:-0}" ]; then
			[ -z "${WITHIN:-}" ] || echo "== not run, it takes ${minutes#+} minutes: $suite"
			continue
		fi
	fi
	if [[ $suite == '& '* ]]; then
		suite=${suite#& }
		start "$suite" "$dir/beside${#beside[@]}" >"$dir/said${#beside[@]}"
		beside+=("$suite")
		continue
	fi
	# waited for, so that a signal is heard at once
	start "$suite" "$dir/out"
	wait $!
	unset "groups[$!]"
	count "$suite" "$dir/out"
done
wait
groups=()
for i in "${!beside[@]}"; do
	cat "$dir/said$i"
	count "${beside[i]}" "$dir/beside$i"
done

echo "# $((SECONDS / 60))m$((SECONDS % 60))s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
