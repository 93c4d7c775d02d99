#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the tests of tests/integration in VMs: all that ask for nothing special
# in a few boots, the others in a boot each (tests/integration/lib.sh says how they
# ask). Prints what fails, and a line for each test.
#
#   run.sh [OPTION...] [NAME...]     NAME as in NAME.sh, patterns allowed, !NAME: but
#                                    not that one; or a test's path from the top
#     -v                every line
#     --vm OPTIONS      for every VM (tests/qemu/vm): another kernel, another module
#     --end SCRIPT      a test that comes last in each boot, wherever it lies
#     --gather FOLDER   gives each boot a disk, the first of $DISKS, and keeps it
#                       there: what --end wants to bring out of the VM
set -u
shopt -s nullglob

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
verbose='' end='' gather=''
while [ $# -gt 0 ]; do
	case $1 in
	-v) verbose=1 ;;
	--vm) export VM_OPTIONS="${VM_OPTIONS:-} $2"; shift ;;
	--end) end=$(realpath -e "$2") || exit 2; shift ;;
	--gather) gather=$2; mkdir -p "$gather"; shift ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || set -- '*'

tests=() but=()
for pattern; do
	found=()
	case $pattern in
	!*) but+=("${pattern#!}"); continue ;;
	esac
	case $pattern in
	*/*) [ ! -e "$top/$pattern" ] || found=("$top/$pattern") ;;
	esac
	for f in "$top"/tests/integration/$pattern.sh "$top"/tests/integration/$pattern.host.sh; do
		case $f in */lib.sh | */lib-*.sh) ;; *) [ ! -e "$f" ] || found+=("$f") ;; esac
	done
	[ ${#found[@]} -gt 0 ] || { echo "run.sh: no test $pattern in tests/integration" >&2; exit 2; }
	tests+=("${found[@]}")
done
for name in "${but[@]}"; do
	for i in "${!tests[@]}"; do
		case ${tests[i]} in */"$name".sh | */"$name".host.sh) unset "tests[i]" ;; esac
	done
done
mapfile -t tests < <(printf '%s\n' "${tests[@]}" | sort -u)

dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
passed=0
failed=0

# report OUTPUT EXIT-CODE TEST...: counts, shows what failed, names tests that
# did not get to their end
report() {
	local code=$2 test name line took guilty=''
	local log=$1
	shift 2

	if [ -n "$verbose" ]; then
		cat "$log"
	else
		grep -avE '^(ok - |# |[a-z0-9.-]+: [0-9]+ passed, [0-9]+ failed$)' "$log"
	fi
	for test; do
		name=$(basename "$test" .sh)
		line=$(grep -aE "^$name: [0-9]+ passed, [0-9]+ failed$" "$log" | tail -n 1)
		if [ -z "$line" ]; then
			echo "not ok - $name runs to its end"
			line="$name: $(awk -v n="# $name" '$0 == n { on = 1; next } /^# /{ on = 0 } on && /^ok - /{ c++ } END { print c + 0 }' "$log") passed, 1 failed"
			guilty=1
		fi
		case $line in *" 0 failed") ;; *) guilty=1 ;; esac
		line=${line#*: }
		took=$(sed -n "s/^# $name: \([0-9]* s\)$/ (\1)/p" "$log")
		printf '  %-7s %s: %s%s\n' TEST "$name" "$line" "$took"
		passed=$((passed + ${line%% *}))
		line=${line#*, }
		failed=$((failed + ${line%% *}))
	done
	if [ "$code" -ne 0 ] && [ -z "$guilty" ]; then
		echo "not ok - the VM is well at the end of the tests (exit code $code)"
		failed=$((failed + 1))
	fi
}

# Boots run side by side, one for each CPU up to two: more only take time from each
# other's. The order they are started in is that of the calls.
places=$(($(nproc) < 2 ? 1 : 2))
n_run=0
run() { # COMMAND... -- TEST...
	local command=()

	while [ "$1" != -- ]; do
		command+=("$1")
		shift
	done
	shift
	if [ "$(jobs -rp | wc -l)" -ge $places ]; then
		wait -n
		harvest
	fi
	n_run=$((n_run + 1))
	printf '%s\n' "$@" >"$dir/$n_run.tests"
	{
		"${command[@]}" >"$dir/$n_run.out" 2>&1 </dev/null &
		child=$!
		trap 'kill $child; exit' TERM
		began=$SECONDS
		wait $child
		echo $? >"$dir/$n_run.part"
		# a test of the host, whose boots are its own
		[[ $1 != *.host.sh ]] || echo "# $(basename "$1" .sh): $((SECONDS - began)) s" >>"$dir/$n_run.out"
		mv "$dir/$n_run.part" "$dir/$n_run.done"
	} &
}

# harvest: counts the boots that have ended since the last time
harvest() {
	local code log its

	for code in "$dir"/*.done; do
		log=${code%.done}
		mapfile -t its <"$log.tests"
		report "$log.out" "$(<"$code")" "${its[@]}"
		rm -f "$code" "$log.out" "$log.tests"
	done
}

# What is about the tools has one CPU: two that a VM's threads only pretend to have wait
# for each other most of the time, and there is nothing in it that the second one shows.
cpus() { case $(basename "$1") in kcache-* | life-*) echo 1 ;; *) echo 2 ;; esac; }

# Tests that ask for nothing special share a boot with those of as many CPUs. More than a
# dozen are divided in two, about equally long by the tests' sizes.
mapfile -t sizes < <(
	for test in "${tests[@]}"; do
		! head -n 10 "$test" | grep -q '^# vm:' && [[ $test != *.host.sh ]] &&
			echo "$(wc -c <"$test") $(cpus "$test") $test"
	done | sort -rn
)
lanes=("" "" "" "")
sums=(0 0 0 0)
for line in "${sizes[@]}"; do
	read -r size n test <<<"$line"
	lane=$((2 * (2 - n)))
	if [ "$(printf '%s\n' "${sizes[@]}" | grep -c " $n /")" -gt 12 ] && [ "${sums[lane]}" -gt "${sums[lane + 1]}" ]; then
		lane=$((lane + 1))
	fi
	lanes[lane]+="$test "
	sums[lane]=$((sums[lane] + size))
done

# boot NAME "VM-OPTION..." TEST...: these tests in one boot, --end after them; ends the shell
boot() {
	local words=() name=$1

	read -ra words <<<"$2"
	shift 2
	if [ -n "$gather" ]; then
		rm -f "$gather/$name.disk"
		truncate -s 64M "$gather/$name.disk"
		words+=(--disk "$gather/$name.disk")
	fi
	exec "$here/vm" "${words[@]}" tests/qemu/group "${@/#"$top/"/./}"
}
boot_group() { boot "$1" "--time $((60 + 120 * ($# - 1)))" "${@:2}"; }

last=()
[ -z "$end" ] || last=("$end")
# the image is made once, not by several
"$here/vm" --prepare >/dev/null || exit 1
base=${VM_OPTIONS:-}
export VM_OPTIONS
for i in 0 2 1 3; do
	read -ra group <<<"${lanes[i]}"
	[ ${#group[@]} -gt 0 ] || continue
	VM_OPTIONS="--smp $((2 - i / 2)) $base"
	run boot_group "lane$i" "${group[@]}" "${last[@]}" -- "${group[@]}" "${last[@]}"
done
for test in "${tests[@]}"; do
	VM_OPTIONS="--smp $(cpus "$test") $base"
	if [[ $test = *.host.sh ]]; then
		run timeout -k 5 900 "$test" -- "$test"
	elif options=$(head -n 10 "$test" | sed -n 's/^# vm: *//p') && [ -n "$options" ]; then
		run boot "$(basename "$test" .sh)" "$options" "$test" "${last[@]}" -- "$test" "${last[@]}"
	fi
done
wait
harvest

echo "vm: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
