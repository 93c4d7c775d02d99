#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The power goes in the middle of create, on a real device: the VM is killed after a
# given write. Every other moment is in tests/unit/power-cut.py, on recorded writes;
# this is the proof that the recording is how it happens.
#
# shellcheck disable=SC2016 # for the VM's shell
. "$(dirname "$0")/lib.sh"
top=$(cd "$TESTDIR/../.." && pwd)

work=$(mktemp -d)
on_exit rm -rf "$work"
truncate -s 20M "$work/disk"
# keystore and known volumes, which outlive the cut as they would on a host's own disk
truncate -s 32M "$work/state"
mkfs.ext4 -q "$work/state"

vm() {
	"$top/tests/qemu/vm" --disk "$work/disk" --disk "$work/state" --scratch 0:1M --time 180 \
		--add "$top/build/unit/record-writes.so:/usr/lib/record-writes.so" "$@"
}
begin='set -u; modprobe dm-kcache; mkdir -p /var/lib/kcache; mount /dev/vdc /var/lib/kcache; chmod 700 /var/lib/kcache'
# after a cut: what attach and create say; the volume that is there in the end works
look='code=0; kcache attach /dev/vdb vol || code=$?
echo "attach says $code"; dmsetup ls; dmsetup remove vol 2>/dev/null
code=0; kcache create -q /dev/vdb || code=$?
echo "create says $code"
[ $code -ne 5 ] || kcache create -q --force /dev/vdb
kcache attach /dev/vdb vol && echo "then it attaches"; kcache detach vol'
# create on a blank disk, without power from write N on
next='blkdiscard -z -f /dev/vdb;
RECORD_FILE=/dev/vdb RECORD_PAUSE=N LD_PRELOAD=/usr/lib/record-writes.so kcache create -q /dev/vdb 2>&1'

# looked ATTACH CREATE: what the boot after a cut must have found
looked() {
	check "attach gives a clear answer ($1)" said "^attach says $1$"
	[ "$1" -eq 0 ] || check "and nothing is mapped" said '^No devices found$'
	check "create gives a clear answer ($2)" said "^create says $2$"
	check "and in the end there is a volume" said '^then it attaches$'
}

# 1 to 16 wipe the keyslots area, 17 to 22 are the header, 23 and 24 the keyslot, 25 to
# 30 the header with it, 31 to 36 the header with the token; half of six is one copy.
# After the token the host does not know the volume yet: attach wants its key named.
check "the power goes after write 8 of create" expect_exit 121 \
	vm --cut-at 'paused after write 8' -c "$begin; ${next//N/8}"
check "the next boot looks, and the power goes after write 24" expect_exit 121 \
	vm --cut-at 'paused after write 24' -c "$begin; $look; ${next//N/24}"
looked 4 5
check "the next boot looks, and the power goes after write 33" expect_exit 121 \
	vm --cut-at 'paused after write 33' -c "$begin; $look; ${next//N/33}"
looked 4 0
check "the next boot looks" expect_exit 0 vm -c "$begin; $look; umount /var/lib/kcache"
looked 8 5
