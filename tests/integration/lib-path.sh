# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For tests of the data path. Sourced after lib.sh; brings lib-dm.sh along.

# shellcheck source-path=SCRIPTDIR source=lib-dm.sh
. "$TESTDIR/lib-dm.sh"

message() { # NAME WORD...
	local name=$1

	shift
	dmsetup message "$name" 0 "$@"
}
wipe() { message "$1" key wipe; }
set_key() { message "$1" key set ":64:logon:kcache:$2"; }
events() { dmsetup info -c --noheadings -o events "$1"; }

# milliseconds, of this boot
now() { awk '{ print int($1 * 1000) }' /proc/uptime; }

# within MS COMMAND...: it succeeds, and takes no longer
within() {
	local ms=$(($1 * SLOW)) t0

	t0=$(now)
	shift
	"$@" || return
	t0=$(($(now) - t0))
	echo "$t0 ms"
	[ "$t0" -le "$ms" ]
}

# start COMMAND...: in the background; $! is its process
start() { "$@" >/dev/null 2>&1 & }
running() { kill -0 "$1" 2>/dev/null; }
# it is running, and still is after a while
waiting() { running "$1" && sleep "${2:-0.7}" && running "$1"; }
# ends CODE PID [SECONDS]: it ends in that time, with that exit code; "bad" is
# any but 0
ends() {
	local code=0

	wait_for "${3:-10}" not running "$2" || { echo "still running: $2"; cat "/proc/$2/stack"; return 1; }
	wait "$2" || code=$?
	echo "exit code $code"
	if [ "$1" = bad ]; then [ "$code" -ne 0 ]; else [ "$code" -eq "$1" ]; fi
}

# one direct read or write of 4 KiB at a block; what is written is a pattern
read_block() { dd if="$1" bs=4k count=1 skip="${2:-0}" iflag=direct status=none; }
write_block() { head -c 4096 "$3" | dd of="$1" bs=4k count=1 seek="$2" oflag=direct iflag=fullblock status=none; }

# fio keeps its state where it stands, and wants to say less
run_fio() { (cd /tmp && fio --name=j --direct=1 --randrepeat=0 --group_reporting --verify_fatal=1 "$@"); }

# hash of all that a device holds, past the page cache
hash_of() { dd if="$1" bs=1M iflag=direct status=none | sha256sum | cut -d' ' -f1; }

# rose NAME COUNTER BEFORE: the counter of the status is above it
rose() {
	local is

	is=$(state_of "$1" "$2")
	echo "$2: $3, now $is"
	[ "$is" -gt "$3" ]
}
