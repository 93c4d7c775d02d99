#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check-matrix: for each suite of tests/matrix/kernels a root with that suite's
# kernel of today, the module there through DKMS (dkms.sh), and the tests of
# tests/integration under that kernel with the very module that DKMS has made.
#
#   run.sh [SUITE...]     these alone
set -uo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top" || exit
work=build/matrix
mkdir -p "$work"
out=$work/output
passed=0
failed=0
only=" $* "
# suites whose kernel is of another series than the table says, and what failed
declare -A unknown=() releases=()

# add NAME EXIT-CODE: counts by the last line of $out
add() {
	local line

	line=$(grep -aE '^[a-z-]+: [0-9]+ passed, [0-9]+ failed$' "$out" | tail -n 1)
	line=${line#*: }
	if [ -z "$line" ] || { [ "$2" -ne 0 ] && [[ $line = *" 0 failed" ]]; }; then
		echo "not ok - $1 runs to its end (exit code $2)"
		[ -n "$line" ] || tail -n 20 "$out"
		failed=$((failed + 1))
		[ -n "$line" ] || return
	fi
	passed=$((passed + ${line%% *}))
	line=${line#*, }
	failed=$((failed + ${line%% *}))
}

# script NAME COMMAND...: a test outside of VMs; shows what fails
script() {
	local name=$1 code=0

	shift
	"$@" >"$out" 2>&1 </dev/null || code=$?
	grep -avE '^(ok - |[a-z-]+: [0-9]+ passed, [0-9]+ failed$)' "$out"
	printf '  %-7s %s\n' TEST "$(tail -n 1 "$out")"
	add "$name" "$code"
}

# the VM's tests of a row, which say themselves what fails
tests() { # NAME OPTIONS TEST...
	local name=$1 options=$2

	shift 2
	tests/qemu/run.sh --vm "$options" tests/matrix/booted.sh "$@" 2>&1 </dev/null | tee "$out" | grep -av '^vm: '
	add "$name" "${PIPESTATUS[0]}"
}

packed() {
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac
}

# a note that the linker has made of the module, as the kernel shows it
build_id() {
	packed "$1" >"$work/ko"
	objcopy -O binary --only-section=.note.gnu.build-id --set-section-flags .note.gnu.build-id=alloc \
		"$work/ko" "$work/note" && od -An -v -tx1 "$work/note" | tr -d ' \n'
}

# Sets $release and $module: the suite's root of today, the module through DKMS.
prepare() { # SUITE
	local folder keep=$work/$1

	release='' module=''
	if ! folder=$(tests/qemu/suite.sh "$1" current); then
		echo "not ok - $1 has a root with a kernel, its headers and DKMS"
		failed=$((failed + 1))
		return 1
	fi
	release=$(cat "$folder/release")
	rm -rf "$keep"
	echo "$1: Linux $release, $(tests/qemu/suite.sh "$1" run dkms --version)"
	script "dkms of $1" tests/qemu/suite.sh "$1" run tests/matrix/dkms.sh "$release" "$keep"
	module=$(echo "$keep"/dm-kcache.ko*)
	# without one the line above is red
	[ -e "$module" ]
}

script install tests/matrix/install.sh
ready=
while read -r suite series append tests; do
	[ "$only" = "  " ] || [[ $only = *" $suite "* ]] || continue
	before=$failed
	if [ "$ready" != "$suite" ]; then
		prepare "$suite" || module=
		ready=$suite
	fi
	if [ -n "$module" ]; then
		words=
		[ "$append" = - ] || words="--append $append"
		echo "$suite: Linux $release is booted${words:+, $append}"
		cat >"$work/expect" <<-END
			release $release
			fips $([[ $append = *fips=1* ]] && echo 1 || echo 0)
			module $(sha256sum <"$module" | cut -d' ' -f1)
			build-id $(build_id "$module")
		END
		# patterns are run.sh's
		set -f
		# shellcheck disable=SC2086 # words
		tests "$suite" "--suite $suite --module $module --add $work/expect:/etc/kcache-matrix $words" $tests
		set +f
	fi
	[ -z "$release" ] || [[ $release = "$series".* ]] || unknown[$suite]=$((${unknown[$suite]:-0} + failed - before))
	releases[$suite]=$release
done < <(grep -v '^#' "$here/kernels")

# a series that no line of tests/matrix/kernels knows is not hidden among the others
for suite in "${!unknown[@]}"; do
	what="Linux ${releases[$suite]} ($suite) is of a series that is new here, and"
	if [ "${unknown[$suite]}" -eq 0 ]; then
		echo "ok - $what passes: tests/matrix/kernels may name it"
		passed=$((passed + 1))
	else
		echo "not ok - $what fails"
		failed=$((failed + 1))
	fi
done

echo "matrix: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
