#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# on_expiry:freeze: I/O without a key waits, and every way out of that.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"

new_session
modprobe dm-delay
d=$(disk 1)
add_key frz
one=/tmp/one two=/tmp/two
head -c 4096 /dev/urandom >$one
head -c 4096 /dev/urandom >$two
dev=/dev/mapper/m
freeze() { map m kcache frz 0 "$d" 0 65536 sector_size:4096 lease:600 on_expiry:freeze; }
holds() { cmp <(read_block $dev "$1") "$2"; }
inflight() { awk '{ exit !($1 + $2) }' "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor m)/inflight"; }
read_to() { read_block $dev "$1" >"$2"; }
# asks for MiB N to be read ahead, for which nobody waits
ahead() {
	timeout 20 python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, int(sys.argv[2]) << 20, 1 << 18, os.POSIX_FADV_WILLNEED)' $dev "$1"
}
# says what a NOWAIT read and write get
nowait() {
	python3 - $dev <<'END'
import errno, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
buf = mmap.mmap(-1, 4096)
for call in (os.preadv, os.pwritev):
    try:
        call(fd, [buf], 0, os.RWF_NOWAIT)
        print("done")
    except OSError as e:
        print(errno.errorcode[e.errno])
END
}

# --- after the lease --------------------------------------------------------
freeze
write_block $dev 1 $one
# short this time; the next key set starts all of it
message m lease 1
sleep 1.5
check "the lease is over" same "$(state_of m key)" expired
start write_block $dev 2 $two
writer=$!
read_to 1 /tmp/got &
reader=$!
check "a write waits" waiting $writer
check "a read waits" running $reader
check "NOWAIT I/O does not: EAGAIN" same "$(timeout 20 bash -c "$(declare -f nowait); dev=$dev nowait")" $'EAGAIN\nEAGAIN'
errors=$(state_of m errors) bytes=$(state_of m read_bytes)
ahead 1
check "that readahead fails is no error" same "$(state_of m errors)" "$errors"
check "the others still wait" waiting $reader
check "key set" set_key m frz
check "lets the write go" ends 0 $writer
check "and the read" ends 0 $reader
check "the read got what was there" cmp /tmp/got $one
check "the readahead had not waited" same "$(state_of m read_bytes)" $((bytes + 4096))
ahead 2
check "with the key it comes back" wait_for 3 rose m read_bytes $((bytes + 4096 + (1 << 18) - 1))
check "the write arrived" holds 2 $two
unmap m

# --- after a wipe -----------------------------------------------------------
freeze
wipe m
start write_block $dev 3 $one
writer=$!
check "I/O waits after key wipe too" waiting $writer
add_key wrong
check "another key is refused" not set_key m wrong
check "and lets nothing go" waiting $writer 0.3
check "a second wipe is fine" wipe m
set_key m frz
check "key set ends it" ends 0 $writer
check "the data is right" holds 3 $one

# large: divided among the CPUs, and 64 of them at a time
head -c 4194304 /dev/urandom >/tmp/big
wipe m
dd if=/tmp/big of=$dev bs=1M oflag=direct conv=fsync status=none &
writer=$!
run_fio --filename=$dev --offset=8M --size=8M --bs=64k --ioengine=libaio --iodepth=64 --rw=write \
	--verify=crc32c >/tmp/fio.out 2>&1 &
fio=$!
check "large writes wait" waiting $writer 3
check "and many" running $fio
set_key m frz
check "large writes get through" ends 0 $writer 20
check "and many" ends 0 $fio 30
check "with the right data" cmp -n 4194304 $dev /tmp/big

write_block $dev 1 $one

# --- fail_frozen ------------------------------------------------------------
wipe m
start read_block $dev 1
reader=$!
check "a read waits" waiting $reader
check "fail_frozen" within 1500 message m fail_frozen
check "fails it" ends 1 $reader
check "what comes later fails at once" within 2000 not read_block $dev 1
set_key m frz
check "until key set" holds 1 $one
wipe m
start read_block $dev 1
reader=$!
check "the next time without a key it waits again" waiting $reader
set_key m frz
check "and ends well" ends 0 $reader

# --- flushing suspend -------------------------------------------------------
wipe m
start write_block $dev 4 $one
writer=$!
check "a write waits" waiting $writer
check "a flushing suspend does not wait for it" within 3000 dmsetup suspend m
check "but fails it" ends 1 $writer
check "resume without a key is refused" not dmsetup resume m
set_key m frz
check "with one it works" dmsetup resume m
wipe m
start write_block $dev 4 $two
writer=$!
check "and writes wait as before" waiting $writer

# --- noflush suspend --------------------------------------------------------
check "a noflush suspend does not wait either" within 3000 dmsetup suspend --noflush m
check "and fails nothing" waiting $writer
start read_block $dev 4
reader=$!
check "new I/O waits in device-mapper" waiting $reader 0.3
set_key m frz
check "key set alone changes nothing while suspended" waiting $writer 0.3
check "resume" dmsetup resume m
check "lets the write go" ends 0 $writer
check "and the read" ends 0 $reader
check "without an error: the data is there" holds 4 $two
# the table is changed meanwhile: what went back to device-mapper meets the new one
wipe m
start write_block $dev 5 $one
writer=$!
waiting $writer 0.3
dmsetup suspend --noflush m
check "a new table under what waits" dmsetup reload m --table "$(line kcache frz 0 "$d" 0 65536 sector_size:4096 lease:600)"
dmsetup resume m
check "takes it over" ends 0 $writer
check "with the right data" holds 5 $one
unmap m

# --- on its way when the key goes -------------------------------------------
on_exit dmsetup remove -f slow
dmsetup create slow --table "0 65536 delay $d 0 $((1500 * SLOW))"
map m kcache frz 0 /dev/mapper/slow 0 65536 sector_size:4096 lease:600 on_expiry:freeze
read_to 5 /tmp/got &
reader=$!
wait_for 5 inflight
check "a wipe does not wait for a read on its way" within 900 wipe m
sleep "$(slowly 1.8)"
check "the read's data is there, and it waits" running $reader
set_key m frz
check "it starts over" ends 0 $reader
check "and is right" cmp /tmp/got $one
# the same with a suspend in between
read_to 5 /tmp/got &
reader=$!
wait_for 5 inflight
wipe m
check "a noflush suspend with a read below" within 4000 dmsetup suspend --noflush m
check "the read waits" running $reader
set_key m frz
dmsetup resume m
check "it is read again" ends 0 $reader
check "and is right" cmp /tmp/got $one
read_to 5 /tmp/got &
reader=$!
wait_for 5 inflight
wipe m
check "a flushing suspend with a read below" within 4000 dmsetup suspend m
check "fails it" ends 1 $reader
set_key m frz
dmsetup resume m

# --- removal ----------------------------------------------------------------
wipe m
start read_block $dev 1
reader=$!
start write_block $dev 6 $one
writer=$!
check "two wait" waiting $reader
timeout 20 dmsetup remove --force m >/tmp/remove 2>&1
check "remove --force frees the reader" ends bad $reader
check "and the writer" ends bad $writer
gone() { ! dmsetup info m >/dev/null 2>&1 || dmsetup remove --retry m; }
check "and the device can go" gone
dmsetup remove slow

# --- a filesystem -----------------------------------------------------------
mkdir -p /tmp/mnt
map m kcache frz 0 "$d" 0 65536 sector_size:4096 lease:600 on_expiry:freeze
mke2fs -q -t ext4 $dev
mount $dev /tmp/mnt
on_exit umount /tmp/mnt
cp /tmp/big /tmp/mnt/before
sync -f /tmp/mnt
wipe m
# the copy may wait itself: ext4lazyinit, whose I/O waits too, holds a lock that it wants
copy() { cp /tmp/big "/tmp/mnt/$1" && sync -f /tmp/mnt; }
start copy meanwhile
syncer=$!
check "a copy to ext4 and its sync wait" waiting $syncer "$(slowly 1)"
set_key m frz
check "and end well" ends 0 $syncer 20
wipe m
start copy suspended
syncer=$!
waiting $syncer "$(slowly 1)"
check "so it does with a noflush, nolockfs suspend" dmsetup suspend --noflush --nolockfs m
set_key m frz
dmsetup resume m
check "and a resume" ends 0 $syncer 20
umount /tmp/mnt
check "e2fsck finds nothing" e2fsck -fn $dev
mount -o ro $dev /tmp/mnt
for f in before meanwhile suspended; do
	check "the file is right: $f" cmp /tmp/big /tmp/mnt/$f
done
check "ext4 met no error" not dmesg_has 'EXT4-fs error|Aborting journal|Remounting filesystem'
umount /tmp/mnt
unmap m
