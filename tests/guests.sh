# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For suites whose tests each want a VM of their own (tests/SUITE/run.sh). Sourced
# with $top set to the top of the tree:
#
#   compile SUITE NAME SOURCE...   a program for the VM; sets $built to its folder
#   guest NAME VM-OPTION... COMMAND...   boots a VM in the background, two at a time
#   guests_end SUITE               waits for all, counts, prints the last line; ends the script
#
# COMMAND is a test that begins with lib.sh and prints its lines; lines that are no
# sentence that holds are shown, with V=1 all of them.
: "${top:?}"
_guests=$(mktemp -d)
_names=()
declare -A _pids=()
_end() {
	local pid

	for pid in "${_pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$_guests"
}
trap _end EXIT
trap 'exit 130' INT TERM

compile() { # SUITE NAME SOURCE...
	built=$top/build/$1
	mkdir -p "$built"
	# static: it must run where there is no memory to read a library into
	gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -static -pthread -o "$built/$2" "${@:3}" || exit
}

_running() {
	local pid n=0

	for pid in "${_pids[@]}"; do
		! kill -0 "$pid" 2>/dev/null || n=$((n + 1))
	done
	echo $n
}

guest() { # NAME VM-OPTION... COMMAND...
	local name=$1
	shift

	# the image is made once, not by both
	[ ${#_names[@]} -gt 0 ] || "$top/tests/qemu/image.sh" "$("$top/tests/kdir.sh" --vm)" >/dev/null || exit
	while [ "$(_running)" -ge 2 ]; do
		sleep 0.3
	done
	_names+=("$name")
	"$top/tests/qemu/vm" "$@" >"$_guests/$name.out" 2>&1 </dev/null &
	_pids[$name]=$!
}

guests_end() { # SUITE
	local name line code passed=0 failed=0 p f

	for name in "${_names[@]}"; do
		code=0
		wait "${_pids[$name]}" || code=$?
		unset "_pids[$name]"
		if [ "${V:-0}" != 0 ]; then
			cat "$_guests/$name.out"
		else
			grep -avE '^(ok - |[a-z0-9.-]+: [0-9]+ passed, [0-9]+ failed$)' "$_guests/$name.out"
		fi
		line=$(grep -aE '^[a-z0-9.-]+: [0-9]+ passed, [0-9]+ failed$' "$_guests/$name.out" | tail -n 1)
		if [ -z "$line" ]; then
			echo "not ok - $name runs to its end (exit code $code)"
			p=$(grep -ac '^ok - ' "$_guests/$name.out") f=1
		else
			line=${line#*: }
			p=${line%% *} line=${line#*, } f=${line%% *}
			if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then
				echo "not ok - the VM of $name is well at the end (exit code $code)"
				f=1
			fi
		fi
		printf '  %-7s %s: %d passed, %d failed\n' TEST "$name" "$p" "$f"
		passed=$((passed + p)) failed=$((failed + f))
	done
	echo "$1: $passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}
