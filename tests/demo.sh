#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The whole of it, once, for a reader: a volume is made, attached, filled, shown to
# be ciphertext on the disk, detached, attached again and compared. Each command is
# printed as it is run; what must not be true ends the demo with exit code 1.
#
# Runs in the VM (make demo). On a machine of your own: demo.sh DEVICE, as root;
# everything on DEVICE is lost.
set -euo pipefail
shopt -s inherit_errexit

disk=${1:-${SCRATCH:?name a device: demo.sh DEVICE}}
disk=${disk%% *}
mnt=$(mktemp -d)
sums=$(mktemp)
secret='the quick brown fox jumps over the lazy dog'
trap 'set +e; mountpoint -q "$mnt" && umount "$mnt"; kcache detach -q demo; rm -rf "$sums"; rmdir "$mnt"' EXIT

title() { printf '\n=== %s\n' "$1"; }
# run 'shell text': prints it, then runs it
run() {
	echo "# $1"
	eval "$1"
}
# must_not 'what' 'shell text that succeeds if it is so'
must_not() {
	if eval "$2" >/dev/null 2>&1; then
		echo "demo: $1"
		exit 1
	fi
}
# keys 'where': everything that could hold a key, and that none is ours
keys() {
	run "grep -c . /proc/keys"
	run "grep kcache: /proc/keys || echo 'none is of kcache'"
	for ring in @s @u @us @p; do
		run "keyctl show $ring 2>&1 | grep kcache: || echo 'none of kcache in $ring'"
	done
	must_not "a keyring holds a key of kcache" "grep kcache: /proc/keys"
}

# the module is loaded by the first attach where udev and modprobe are set up
modprobe dm-kcache

title "a volume: create, attach, use"
run "kcache create $disk"
run "kcache attach $disk demo"
run "mkfs.ext4 -q /dev/mapper/demo"
run "mount /dev/mapper/demo $mnt"
run "yes '$secret' | head -c 4M >$mnt/fox || true"
run "cp /usr/bin/[a-b]* $mnt/"
run "(cd $mnt && find . -type f -print0 | sort -z | xargs -0 sha256sum) >$sums"
run "wc -l <$sums"

title "attached: what there is to see"
run "kcache status demo"
run "kcache list"
run "dmsetup table --showkeys demo"
must_not "the table shows a key" "dmsetup table --showkeys demo | grep -E '[0-9a-f]{64}'"
keys

title "on the disk: a LUKS2 header with the wrapped key, then ciphertext"
run "umount $mnt"
run "kcache dump $disk"
run "cryptsetup token export --token-id 0 $disk"
echo
start=$(kcache dump --json "$disk" | sed -n 's/.*"offset": *"\([0-9]*\)".*/\1/p')
run "hexdump -C -s $((start + 1024)) -n 128 $disk      # ext4's superblock is here"
run "hexdump -C -s 1024 -n 128 /dev/mapper/demo       # through the key it reads"
run "grep -c -a '$secret' $disk || echo 'the text is nowhere on the disk'"
must_not "plaintext is on the disk" "grep -q -a '$secret' $disk"

title "detached: the key is gone"
run "kcache detach demo"
run "dmsetup ls"
run "dmsetup table"
must_not "the mapped device is still there" "dmsetup info demo"
must_not "a table names a key of kcache" "dmsetup table --showkeys | grep kcache:"
keys

title "attached again: the data is there"
run "kcache attach $disk demo"
run "mount -o ro /dev/mapper/demo $mnt"
run "(cd $mnt && sha256sum --quiet -c $sums) && echo 'every file is as it was'"
run "umount $mnt"
run "kcache detach demo"

title "the way out: stock cryptsetup opens it too, with the token plugin"
run "cryptsetup open --token-only $disk demo"
run "dmsetup table demo"
run "mount -o ro /dev/mapper/demo $mnt"
run "(cd $mnt && sha256sum --quiet -c $sums) && echo 'every file is as it was'"
run "umount $mnt"
run "cryptsetup close demo"

title "and what was recorded"
run "tail -n 4 /var/log/kcache/audit.jsonl"
printf '\ndemo: done, everything held\n'
