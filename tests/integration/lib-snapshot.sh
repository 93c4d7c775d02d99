# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For tests of snapshots, after lib.sh and lib-kcache.sh: a copy that stands still where
# the test wants it to, and what must be there, and not be there, around it.

# slice N MIB: sets $SLICE to a mapped device of that size on scratch disk N
slice() {
	SLICE=/dev/mapper/slice$1
	dmsetup create "slice$1" --table "0 $(($2 * 2048)) linear $(disk "$1") 0"
	on_exit dmsetup remove -f "slice$1"
}

# begun FILE [OPTION...]: starts a snapshot of vol to FILE and holds the copy ($SNAP) as
# soon as the volume stands on the origin
begun() {
	local out=$STATE/begun

	: >"$out"
	kcache snapshot vol "$@" >"$out" 2>&1 &
	SNAP=$!
	wait_for 20 grep -q 'frozen for' "$out" && kill -STOP $SNAP && [ ! -e "$1" ] || { cat "$out"; return 1; }
}
# ends CODE [SIGNAL]: lets the copy go on, with a signal waiting for it; it exits with CODE
ends() {
	local code=0

	[ $# -lt 2 ] || kill "-$2" $SNAP
	kill -CONT $SNAP
	wait $SNAP || code=$?
	cp "$STATE/begun" "$_said"
	cat "$_said"
	[ "$code" -eq "$1" ] || { echo "exit code $code, not $1"; return 1; }
}
# killed: the copy is, in the middle
killed() {
	kill -KILL $SNAP
	wait $SNAP
	[ $? -eq 137 ]
}

# what dm-snapshot shows: the instant
instant() { dd if="/dev/mapper/$(dmsetup ls | sed -n 's/^\(vol-kcsnap-[0-9a-f]*\)\t.*/\1/p')" iflag=direct bs=512K status=none | sha256sum; }

# stands FOLDER: the volume stands on its own device again, and nothing of a snapshot is left, in FOLDER either
stands() {
	same "$(dmsetup table vol)" "$TABLE" || return 1
	! dmsetup ls | grep kcsnap || return 1
	! losetup -n | grep deleted || return 1
	[ -z "$(find "$1" -name '*.part' -o -name '.kcache*')" ] || { ls -la "$1"; return 1; }
	same "$(dmsetup info -c --noheadings -o suspended vol)" Active
}
