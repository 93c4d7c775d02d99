# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For tests of snapshots, after lib.sh and lib-kcache.sh: a copy that stands still where
# the test wants it to, and what must be there, and not be there, around it. The volume is
# called vol.
#
# shellcheck disable=SC2154,SC2034 # _said is lib.sh's; others are for the test

# slice N MIB: sets $SLICE to a mapped device of that size on scratch disk N
slice() {
	SLICE=/dev/mapper/slice$1
	dmsetup create "slice$1" --table "0 $(($2 * 2048)) linear $(disk "$1") 0"
	on_exit dmsetup remove -f "slice$1"
}

# in_use MIB [MKFS-OPTION...]: a volume of that size on scratch disk 1 ($d, of UUID $uuid),
# attached as vol with the table $TABLE, its file system on /mnt/vol
in_use() {
	slice 1 "$1"
	shift
	d=$SLICE
	uuid=$(kcache create -q "$d")
	kcache attach "$d" vol >/dev/null
	on_exit kcache detach vol
	TABLE=$(dmsetup table vol)
	mkfs.ext4 -q "$@" /dev/mapper/vol
	mkdir -p /mnt/vol
	mount /dev/mapper/vol /mnt/vol
	on_exit umount /mnt/vol
}
# backup_on MOUNT-ARGUMENT...: where copies go, $b
backup_on() {
	b=/mnt/backup
	mkdir -p $b
	mount "$@" $b
	on_exit umount $b
}

# begun FILE [OPTION...]: starts a snapshot of vol to FILE and holds the copy ($SNAP) when
# the volume stands on the origin and the first of it is there
begun() {
	local out=$STATE/begun

	: >"$out"
	kcache snapshot vol "$@" >"$out" 2>&1 &
	SNAP=$!
	wait_for 30 test -e "$1.map.part" || { cat "$out"; return 1; }
	kill -STOP "$SNAP" || { cat "$out"; return 1; }
	[ ! -e "$1" ] || { echo "it is through already"; kill -CONT "$SNAP"; return 1; }
}
# ends CODE [SIGNAL]: lets the copy go on, with a signal waiting for it; it exits with CODE
ends() {
	local code=0

	[ $# -lt 2 ] || kill "-$2" "$SNAP"
	kill -CONT "$SNAP"
	wait "$SNAP" || code=$?
	cp "$STATE/begun" "$_said"
	cat "$_said"
	[ "$code" -eq "$1" ] || { echo "exit code $code, not $1"; return 1; }
}
# killed: the copy is, in the middle
killed() {
	kill -KILL "$SNAP"
	wait "$SNAP"
	[ $? -eq 137 ]
}

# frozen: the last one that ended has said for how long, and that was less than a second, if
# this machine has nothing else to do
frozen() {
	local ms

	ms=$(sed -n 's/.*frozen for \([0-9]*\) ms.*/\1/p' "$_said")
	echo "# frozen for $ms ms" >&3
	[ "$ms" -lt $((1000 * ${STRETCH:-1})) ]
}
exec 3>&1

# journal DEVICE: its ext4 has one that would be replayed
journal() { dumpe2fs -h "$1" 2>/dev/null | grep needs_recovery; }

# what dm-snapshot shows: the instant
instant() {
	local name

	name=$(dmsetup ls | sed -n 's/^\(vol-kcsnap-[0-9a-f]*\)[^0-9a-f-].*/\1/p')
	dd if="/dev/mapper/$name" iflag=direct bs=512K status=none | sha256sum
}

# stands FOLDER: the volume stands on its own device again, it runs, and nothing of a
# snapshot is left, in FOLDER either
stands() {
	same "$(dmsetup table vol)" "$TABLE" || return 1
	same "$(dmsetup info -c --noheadings -o suspended vol)" Active || return 1
	! dmsetup ls | grep kcsnap || return 1
	! losetup -n | grep deleted || return 1
	[ -z "$(find "$1" -name '*.part' -o -name '.kcache*')" ] || { ls -la "$1"; return 1; }
}
