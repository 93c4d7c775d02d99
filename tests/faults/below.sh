#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks that fail some requests, lose writes or return other bytes: the target
# hands on exactly that, no more and no less.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-faults.sh
. "$(dirname "$0")/lib-faults.sh"

new_session
ram_disk
modprobe dm-flakey
add_key low
dev=/dev/mapper/m
load() { run_fio --filename=$dev --size=4M --bsrange=4k-1M --ioengine=libaio --iodepth=8 --rw=randwrite --verify=crc32c; }

# --- requests that fail now and then --------------------------------------------
on_exit inject fail_make_request probability=0
for disk in /dev/ram0 "$(disk 1)"; do
	name=$(basename "$disk")
	map m kcache low 0 "$disk" 0 65536 sector_size:4096
	inject fail_make_request probability=20
	echo 1 >"/sys/block/$name/make-it-fail"
	run_fio --filename=$dev --size=16M --bsrange=4k-1M --ioengine=libaio --iodepth=8 --rw=randrw \
		--continue_on_error=all --time_based --runtime=4 >/tmp/fio.out 2>&1
	check "$name: a load meets I/O errors" grep -q 'Input/output error' /tmp/fio.out
	check "$name: and no others" not grep -E 'error=[A-Z]' <(grep -v 'Input/output error' /tmp/fio.out)
	inject fail_make_request probability=100
	check "$name: all requests failing, a read fails" not dd if=$dev of=/dev/null bs=4k count=1 iflag=direct
	check "$name: as EIO" said 'Input/output error'
	check "$name: a write fails" not write_block $dev 1 /bin/bash
	check "$name: a flush fails" not dd if=/dev/zero of=$dev bs=4k count=1 conv=fsync status=none
	inject fail_make_request probability=0
	echo 0 >"/sys/block/$name/make-it-fail"
	check "$name: none of it is the target's error" same "$(state_of m errors)" 0
	check "$name: afterwards all can be written and verified" load
	unmap m
done

# --- dm-flakey --------------------------------------------------------------------
on_exit dmsetup remove -f flaky
on_exit dmsetup remove -f m
now_is() { # FEATURE...: what the disk does from here on; without any, it is well
	local line="0 65536 flakey /dev/ram0 0"

	if [ $# -eq 0 ]; then line+=" 3600 0"; else line+=" 0 3600 ${*#dead}"; fi
	dmsetup reload flaky --table "$line" && dmsetup suspend flaky && dmsetup resume flaky
}
dmsetup create flaky --table "0 65536 flakey /dev/ram0 0 3600 0"
head -c 1M /dev/urandom >/tmp/old
head -c 1M /dev/urandom >/tmp/new
write_mib() { dd if="$1" of=$dev bs=1M oflag=direct conv=notrunc status=none; }
read_mib() { dd if=$dev bs=1M count=1 iflag=direct status=none; }
# changed FILE FIRST LAST: these bytes of it (from 0) read otherwise, or some of
# them, and no others
changed() {
	local at first='' last=''

	while read -r at _; do
		first=${first:-$at}
		last=$at
	done < <(cmp -l "$1" <(read_mib))
	echo "changed: ${first:-none} to ${last:-none}, counted from 1"
	[ -n "$first" ] && [ "$first" -gt "$2" ] && [ "$last" -le $(($3 + 1)) ]
}

for ss in 512 4096; do
	map m kcache low 0 /dev/mapper/flaky 0 65536 sector_size:$ss
	what="sector_size:$ss"
	check "$what: written" write_mib /tmp/old

	now_is dead
	check "$what: a dead disk fails a read" not dd if=$dev of=/dev/null bs=1M count=1 iflag=direct status=none
	check "$what: and a write" not write_mib /tmp/new
	now_is
	check "$what: and when it is back it has what it had" cmp /tmp/old <(read_mib)

	now_is 1 error_writes
	check "$what: a disk that fails writes fails a write" not write_mib /tmp/new
	check "$what: as EIO" said 'Input/output error'
	check "$what: reads go on" cmp /tmp/old <(read_mib)

	now_is 1 drop_writes
	check "$what: a disk that drops writes says nothing" write_mib /tmp/new
	check "$what: and has what it had" cmp /tmp/old <(read_mib)

	# XTS spreads a byte over its block of 16 and no further
	now_is 5 corrupt_bio_byte 1000 r 170 0
	check "$what: a byte that reads otherwise changes its block of the cipher alone" changed /tmp/old 992 1007
	now_is
	check "$what: and only as long as it does" cmp /tmp/old <(read_mib)

	now_is 5 corrupt_bio_byte 2000 w 170 0
	check "$what: a write that is corrupted succeeds" write_mib /tmp/new
	now_is
	check "$what: and has one block of the cipher other than written" changed /tmp/new 1984 1999
	check "$what: what was to be written is as it was" write_mib /tmp/new
	check "$what: and written again it is right" cmp /tmp/new <(read_mib)
	check "$what: none of it is the target's error" same "$(state_of m errors)" 0
	unmap m
done
dmsetup remove flaky
unload
