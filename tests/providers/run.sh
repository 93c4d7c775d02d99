#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every provider of keys: what all of them promise (conformance.c), then what only
# one has (test-*.sh). Each runs against services that are started here, on
# 127.0.0.1, in a folder of their own, and stopped again.
#
#   run.sh [-v] [BACKEND|test-NAME.sh...]
#
# A test-*.sh is run with $DIR, $top, $tools and $KCACHE_CONFIG as a backend has them;
# it sources what it needs, and prints "ok - " and "not ok - " lines.
#
# A backend is a file backends/NAME.sh that is sourced and sets or defines
#
#   backend_up        start what there is to start; writes "$DIR/kcache.conf" further
#                     (state_dir, audit_file and helper stand in it), sets KEY, KEY2 and GONE, exports
#                     what the provider takes from the environment. Everything below $DIR.
#   backend_down      stop it, by its pid
#   backend_do ACTION KEY
#                     return 77 where the provider has no such thing:
#     disable enable schedule-deletion cancel-deletion lose-material import-material
#     deny allow      permission to use the key
#     down slow garbage throttled short-dek
#                     no answer; one after the deadline; one that is none; half of all calls
#                     are told to come later for longer than the deadline; a DEK of 32 bytes
#     well            as it was
#
# and may export CONFORMANCE_WRONG_KEY, CONFORMANCE_GRANTEE (conformance.c). backend_do
# runs in a process of its own: what it has to remember lies in $DIR.
set -uo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$top/build
tools=${KC_TOOLS:-$build/tools}
export top tools

# run.sh --do BACKEND DIR ACTION KEY: what a control program runs
if [ "${1:-}" = --do ]; then
	DIR=$3
	# shellcheck source=/dev/null
	. "$here/backends/$2.sh"
	backend_do "$4" "${5:-}"
	exit
fi

verbose=
[ "${1:-}" = -v ] && { verbose=1; shift; }
[ $# -gt 0 ] || {
	cd "$here/backends" || exit
	for f in *.sh; do set -- "$@" "${f%.sh}"; done
	cd "$here" || exit
	for f in test-*.sh; do [ ! -e "$f" ] || set -- "$@" "$f"; done
}
cd "$top" || exit

# where n tasks want each CPU, all takes n times as long
export stretch
stretch=$(awk -v n="$(nproc)" '{ f = int($1 / n + 0.5); print (f < 1 ? 1 : (f > 8 ? 8 : f)) }' /proc/loadavg)
all=$(mktemp -d)
passed=0
failed=0
trap 'rm -rf "$all"' EXIT

# count NAME LOG CODE: adds up what a test printed
count() {
	local ok bad

	ok=$(grep -c '^ok ' "$2")
	bad=$(grep -c '^not ok ' "$2")
	if [ "$bad" -eq 0 ] && { [ "$3" -ne 0 ] || [ "$ok" -eq 0 ]; }; then
		echo "    $1 ended with exit code $3 after $ok tests"
		bad=1
	fi
	if [ "$bad" -ne 0 ] || [ "$verbose" ]; then sed 's/^/    /' "$2"; fi
	printf '  %-7s %s: %d passed, %d failed\n' TEST "$1" "$ok" "$bad"
	passed=$((passed + ok))
	failed=$((failed + bad))
}

# one BACKEND: with its service running
one() (
	DIR=$all/$1
	export DIR
	mkdir -m 700 "$DIR" "$DIR/state" "$DIR/log"
	cat >"$DIR/kcache.conf" <<-EOF
		state_dir = $DIR/state
		audit_file = $DIR/log/audit.jsonl
		helper = $tools/kcache-keyhelper
		timeout = $((5 * stretch))
	EOF
	chmod 600 "$DIR/kcache.conf"
	export KCACHE_CONFIG=$DIR/kcache.conf
	case $1 in *.sh) "$here/$1"; exit ;; esac
	# shellcheck source=/dev/null
	. "$here/backends/$1.sh"
	trap backend_down EXIT
	backend_up || { echo "not ok - $1 cannot be started"; exit 1; }
	printf '#!/bin/sh\nexec %s --do %s %s "$@"\n' "$here/run.sh" "$1" "$DIR" >"$DIR/control"
	chmod +x "$DIR/control"
	"$build/providers/conformance" "$KEY" "$KEY2" "$GONE" "$DIR/control"
)

# Most of the time they wait, for deadlines and for one another's services: six at
# once, told in their order.
n=0
for b; do
	mkdir "$all/$((n += 1)).run"
	{
		one "$b" >"$all/$n.run/log" 2>&1 </dev/null
		echo $? >"$all/$n.run/code"
	} &
	[ "$(jobs -rp | wc -l)" -lt 6 ] || wait -n
done
wait
n=0
for b; do
	n=$((n + 1))
	count "$b" "$all/$n.run/log" "$(cat "$all/$n.run/code")"
done

echo "providers: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
