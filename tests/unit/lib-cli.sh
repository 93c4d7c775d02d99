# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What tests of the built command on plain files start with. Sets $tools, $top,
# $work (a folder of the test's own, gone at its end) and a configuration of its own.
#
# shellcheck source=../integration/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../integration/lib.sh"

cd "$(dirname "${BASH_SOURCE[0]}")" || exit
top=$(cd ../.. && pwd)
tools=${KC_TOOLS:-$top/build/tools}
work=$(mktemp -d)
on_exit rm -rf "$work"
cat >"$work/kcache.conf" <<END
helper = $tools/kcache-keyhelper
state_dir = $work/state
audit_file = $work/audit.jsonl
timeout = 20
END
chmod 600 "$work/kcache.conf"
export KCACHE_CONFIG=$work/kcache.conf
# under sanitizers: a process that nobody may trace cannot look for its leaks
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
mkdir -m 700 "$work/state"

kcache() { "$tools/kcache" "$@"; }

# file NAME SIZE: an empty file
file() {
	rm -f "$work/$1"
	truncate -s "$2" "$work/$1"
	echo "$work/$1"
}
# unchanged FILE HASH
unchanged() { same "$(sha256sum <"$1")" "$2"; }
# json FILE PYTHON: an expression over j
json() {
	/usr/bin/python3 -c 'import base64,json,sys
j = json.load(open(sys.argv[1]))
sys.exit(0 if eval("(" + sys.argv[2] + ")") else str(j))' "$1" "$2"
}
# typed TEXT COMMAND...: at a terminal, TEXT as the answer to its question
typed() {
	local text=$1
	shift
	/usr/bin/python3 - "$text" "$@" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
out = b""
while b"YES to go on" not in out:
    out += os.read(fd, 4096)
os.write(fd, sys.argv[1].encode() + b"\n")
try:
    while chunk := os.read(fd, 4096):
        out += chunk
except OSError:
    pass
sys.stdout.write(out.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
}
