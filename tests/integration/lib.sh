# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a test in the VM starts with:   . "$(dirname "$0")/lib.sh"
#
# A test is a list of sentences, each proven by a command that succeeds:
#
#   check "a volume attaches" kcache attach "$(disk 1)" vol
#   check "a second time is refused as busy" expect_exit 5 kcache attach "$(disk 1)" vol
#
# It ends by itself with the line "NAME: N passed, N failed", and with exit code 1
# where a sentence did not hold. A comment "# vm: OPTIONS" in a test's first ten
# lines gives it a boot of its own with these options of tests/qemu/vm; a file
# named *.host.sh runs outside and boots VMs as it likes (power cuts).
set -u

TEST=$(basename "$0" .sh)
TESTDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export TESTDIR
_passed=0 _failed=0 _cleanup=() _marks=0
_out=$(mktemp)
# a line of the kernel's log, see dmesg_mark
_mark="kcache-vm: test $TEST"

# --- sentences --------------------------------------------------------------

# check "sentence" COMMAND...: the sentence holds if the command exits with 0
check() {
	local sentence=$1 code=0
	shift

	"$@" >"$_out" 2>&1 || code=$?
	if [ "$code" -eq 0 ]; then
		pass "$sentence"
	else
		fail "$sentence" "exit code $code: $*"
		sed 's/^/    | /' "$_out"
	fi
	return "$code"
}

pass() { _passed=$((_passed + 1)); echo "ok - $1"; }

# fail "sentence" [why]
fail() {
	_failed=$((_failed + 1))
	echo "not ok - $1"
	[ -z "${2:-}" ] || echo "    | $2"
}

# output of the last check: check "it says so" said 'REGEX'
said() { grep -E -- "$1" "$_said"; }
_said=$(mktemp)

# expect_exit CODE COMMAND...: 0 if the command exits with CODE; what it wrote
# is kept for said
expect_exit() {
	local want=$1 code=0
	shift

	"$@" >"$_said" 2>&1 || code=$?
	cat "$_said"
	[ "$code" -eq "$want" ] || { echo "exit code $code, not $want"; return 1; }
}

# not COMMAND...: 0 if it fails (dies of no signal)
not() {
	local code=0

	"$@" >"$_said" 2>&1 || code=$?
	cat "$_said"
	[ "$code" -ne 0 ] && [ "$code" -lt 126 ]
}

# same A B: 0 if the two texts are equal
same() {
	[ "$1" = "$2" ] || { printf '%s\n' "this: $1" "not:  $2"; return 1; }
}

# matches TEXT REGEX
matches() { [[ $1 =~ $2 ]] || { printf '%s\n' "this: $1" "not:  $2"; return 1; }; }

# has_line TEXT LINE: 0 if a line of the text is that
has_line() {
	case $'\n'$1$'\n' in *$'\n'"$2"$'\n'*) return 0 ;; esac
	echo "no line: $2"
	return 1
}

# --- the kernel's log -------------------------------------------------------

# From here on; dmesg_has looks at nothing older, and at nothing before this test (which
# tests/qemu/group has announced). The mark is a line of its own: the log is a ring, whose
# lines have no number that stays.
dmesg_mark() {
	_mark="kcache-vm: mark $TEST $$ $((_marks++))"
	echo "<7>$_mark" >/dev/kmsg
}
dmesg_has() {
	dmesg | awk -v mark="$_mark" '
		mark != "" && substr($0, length($0) - length(mark) + 1) == mark { n = 0; next }
		{ line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i] }' | grep -E -- "$1"
}

# A complaint of the kernel (a WARNING, ...) that matches REGEX is part of this
# test; all others fail the run.
expect_kernel() { echo "<5>kcache-vm: expect $1" >/dev/kmsg; }

# --- devices ----------------------------------------------------------------

# disk N: the Nth empty scratch disk of the VM (512 MiB unless "# vm:" says else)
disk() {
	# shellcheck disable=SC2086 # one word a disk
	set -- "$1" $SCRATCH
	shift "$1"
	echo "$1"
}

# blank DEVICE: all zeroes again
blank() { blkdiscard -z -f "$1" 2>/dev/null || dd if=/dev/zero of="$1" bs=1M conv=fsync status=none; }

# loop_device SIZE [losetup options]: sets $LOOP to a loop device over a sparse
# file in memory; gone at the end
loop_device() {
	local file

	file=$(mktemp /tmp/loop.XXXXXX)
	truncate -s "$1" "$file"
	shift
	LOOP=$(losetup --show -f "$@" "$file")
	on_exit losetup -d "$LOOP"
	on_exit rm -f "$file"
}

# sha DEVICE: hash of what lies on it, past this machine's caches
sha() {
	sync "$1"
	blockdev --flushbufs "$1"
	sha256sum <"$1"
}

# How many times as long everything takes on this kernel: more than 1 where KASAN and
# lockdep look at every step (tests/qemu/vm says). Times that are about devices or
# about patience are multiplied by it.
SLOW=${SLOW:-1}
# slowly SECONDS: that many times SLOW
slowly() { awk -v t="$1" -v n="$SLOW" 'BEGIN { print t * n }'; }

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$(($(date +%s) + $1 * SLOW))
	shift

	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# --- keys -------------------------------------------------------------------

# a session keyring of this test's own, which dies with it
new_session() { keyctl new_session >/dev/null; }

# --- the end ----------------------------------------------------------------

# on_exit COMMAND...: run at the end, newest first; a failure is no matter
on_exit() { _cleanup+=("$(printf '%q ' "$@")"); }

# Sleeping holders have let go within a moment of their last close; what is
# still there then was forgotten.
_left_behind() { ! { dmsetup ls 2>/dev/null | grep -v '^No devices'; losetup -n; } | grep .; }

_finish() {
	local code=$? i

	for ((i = ${#_cleanup[@]} - 1; i >= 0; i--)); do
		eval "${_cleanup[i]}" >/dev/null 2>&1 || true
	done
	if [ "$code" -ne 0 ] && [ "$_failed" -eq 0 ]; then
		fail "$TEST runs to its end" "exit code $code"
	fi
	if [ -n "${KERNEL:-}" ] && ! wait_for 3 _left_behind; then
		fail "$TEST leaves no device behind" "$(dmsetup ls; losetup -n)"
	fi
	rm -f "$_out" "$_said"
	echo "$TEST: $_passed passed, $_failed failed"
	[ "$_failed" -eq 0 ] && [ "$_passed" -gt 0 ]
	exit $?
}
trap _finish EXIT
trap 'exit 130' INT TERM
