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
# dialogue PROMPT TEXT [PROMPT TEXT...] -- COMMAND...: at a terminal, each TEXT as it is once
# its PROMPT is there
dialogue() {
	/usr/bin/python3 - "$@" <<'END'
import os, pty, signal, sys
split = sys.argv.index("--")
turns, command = sys.argv[1:split], sys.argv[split + 1:]
pid, fd = pty.fork()
if pid == 0:
    # whoever runs the tests may ignore it
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(command[0], command)
out = b""
for prompt, text in zip(turns[::2], turns[1::2]):
    while prompt.encode() not in out:
        out += os.read(fd, 4096)
    os.write(fd, text.encode())
try:
    while chunk := os.read(fd, 4096):
        out += chunk
except OSError:
    pass
sys.stdout.write(out.decode())
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(code if code >= 0 else 128 - code)
END
}
# typed TEXT COMMAND...: TEXT as the answer to its one question
typed() { dialogue "YES to go on" "$1"$'\n' -- "${@:2}"; }
