#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check-faults: failures injected into the module and below it, under the
# debug kernel (tests/kernel), in two boots at once.
#
#   run.sh [-v] [NAME...]     tables, messages, io, loading, keys, below, memory; -v: every line
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top" || exit
verbose=
[ "${1:-}" != -v ] || { verbose=1; shift; }
[ $# -gt 0 ] || set -- tables messages io loading keys below memory

work=$top/build/faults
mkdir -p "$work"
out=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null; rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

give_up() { echo "not ok - $1"; echo "faults: 0 passed, 1 failed"; exit 1; }

kernel=$(tests/kernel/build.sh debug) || give_up "the debug kernel is built"
make -s modules KDIR="$kernel/build" >"$work/modules.log" 2>&1 ||
	{ cat "$work/modules.log"; give_up "the module is built for it"; }
# each page of a file is a point in the walk of its loading
strip -g -o "$work/dm-kcache.ko" "build/module/$(cat "$kernel/release")/dm-kcache.ko" ||
	give_up "the module is stripped"
flags=(-D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -static -pthread -I"$here")
for program in walk keys; do
	sources=("$here/$program.c" "$here/dm.c")
	[ $program != walk ] || sources+=("$here/nth.c" "$here"/walk-*.c)
	cc "${flags[@]}" -o "$work/$program" "${sources[@]}" -lkeyutils || give_up "$program.c is built"
done

boot() { # OUTPUT TEST...
	local to=$1
	shift

	tests/qemu/vm --flavour debug --module "$work/dm-kcache.ko" --time 300 --scratch 1:64M \
		--add "$work/walk:/usr/local/bin/fault-walk" --add "$work/keys:/usr/local/bin/fault-keys" \
		tests/qemu/group "$@" >"$to" 2>&1 </dev/null
}

passed=0
failed=0
report() { # OUTPUT EXIT-CODE TEST...
	local log=$1 code=$2 name line bad=0
	shift 2

	if [ -n "$verbose" ]; then cat "$log"; else
		grep -avE '^(ok - .*|# .*|[a-z]+: [0-9]+ passed, [0-9]+ failed)$' "$log"
		# how many points there were is what a walk has to tell
		grep -a '^ok - .* points, ' "$log"
	fi
	for name; do
		name=$(basename "$name" .sh)
		line=$(grep -aE "^$name: [0-9]+ passed, [0-9]+ failed$" "$log" | tail -n 1)
		[ -n "$line" ] || { echo "not ok - $name runs to its end"; line="$name: 0 passed, 1 failed"; }
		printf '  %-7s %s\n' FAULTS "$line"
		line=${line#*: }
		passed=$((passed + ${line%% *}))
		line=${line#*, }
		failed=$((failed + ${line%% *}))
		bad=$((bad + ${line%% *}))
	done
	if [ "$code" -ne 0 ] && [ $bad -eq 0 ]; then
		echo "not ok - the kernel is well at the end (exit code $code)"
		failed=$((failed + 1))
	fi
}

# the image is made once, not by both
tests/qemu/vm --flavour debug --prepare >/dev/null || give_up "the VM is prepared"
# about equally long
lanes=("" "")
for name; do
	[ -e "$here/$name.sh" ] || give_up "there is a test $name"
	case $name in
	tables | loading | keys) lanes[0]+=" ./tests/faults/$name.sh" ;;
	*) lanes[1]+=" ./tests/faults/$name.sh" ;;
	esac
done
for i in 0 1; do
	# shellcheck disable=SC2086 # words
	[ -z "${lanes[i]}" ] || { boot "$out/$i" ${lanes[i]} & pids[i]=$!; }
done
for i in "${!pids[@]}"; do
	code=0
	wait "${pids[i]}" || code=$?
	unset "pids[i]"
	# shellcheck disable=SC2086 # words
	report "$out/$i" $code ${lanes[i]}
done

echo "faults: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
