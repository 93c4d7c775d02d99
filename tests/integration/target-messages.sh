#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Messages and status: key wipe and key set, suspended and live, under I/O;
# resume without a key; TABLE, INFO and IMA.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
d=$(disk 1)
data=$(mktemp)
on_exit rm -f "$data"
head -c 1048576 /dev/urandom >"$data"
reads() { get /dev/mapper/m | head -c 1048576 | cmp - "$data"; }
fails() { not dd if=/dev/mapper/m of=/dev/null bs=4k count=1 iflag=direct; }
message() { dmsetup message m 0 "$@"; }
set_key() { message key set ":64:logon:kcache:$1"; }

add_key m
map m kcache m 0 "$d" 0 4096 sector_size:4096
put "$data" /dev/mapper/m

# --- suspended, as cryptsetup does it ---------------------------------------
check "it suspends" dmsetup suspend m
check "INFO works while suspended" same "$(state_of m key)" valid
check "key wipe while suspended" message key wipe
check "INFO says so" same "$(state_of m key)" wiped
check "resume is refused" not dmsetup resume m
check "as EAGAIN" said 'Resource temporarily unavailable'
check "key set" set_key m
check "resume works" dmsetup resume m
check "the data is there" reads

# --- live -------------------------------------------------------------------
check "key wipe on a live device" message key wipe
check "reads fail" fails
check "as EIO" said 'Input/output error'
check "writes fail" not dd if=/dev/zero of=/dev/mapper/m bs=4k count=1 oflag=direct
check "the failures are counted" test "$(state_of m errors)" -ge 2
check "a second wipe is no error" message key wipe
check "key set on a live device" set_key m
check "reads work" reads
message key wipe
add_key wrong
check "another key is refused" not set_key wrong
check "as EKEYREJECTED" said 'Key was rejected by service'
check "a key that is not there is refused" not set_key none
check "the key stays wiped" same "$(state_of m key)" wiped
keyctl padd logon kcache:alias @s <"$KEYS/m" >/dev/null
check "the same key under another description is fine" set_key alias
check "and reads" reads

# a reload never revives a wiped key by itself
message key wipe
forget_key m
check "a reload of a wiped device needs the key" not dmsetup reload m --table "$(line kcache m 0 "$d" 0 4096 sector_size:4096)"
check "as ENOKEY" said 'Required key not available'
add_key m "$KEYS/m"
check "with the key in the keyring it loads" dmsetup reload m --table "$(line kcache m 0 "$d" 0 4096 sector_size:4096)"
check "but the live table stays wiped until the resume" fails
dmsetup resume m
check "after the resume it reads" reads

# --- bad messages -----------------------------------------------------------
before=$(state_of m key)
for bad in 'key' 'key wipe now' 'key set' 'key set :32:logon:x' 'key get' 'lease 5' 'wipe'; do
	# shellcheck disable=SC2086 # words
	check "message \"$bad\" is refused" not message $bad
done
hex=$(xxd -p -c 64 "$KEYS/m")
check "a key in a message is refused" not message key set "$hex"
check "and does not get into the log" not grep -qi "$hex" <(dmesg)
check "none of them changed the key's state" same "$(state_of m key)" "$before"
unmap m

# the file that counts a device's reads and writes on their way
inflight() { echo "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor --separator : "$1")/inflight"; }

# --- under I/O --------------------------------------------------------------
# a slow disk, so that a wipe finds I/O on its way
modprobe dm-delay 2>/dev/null
on_exit dmsetup remove -f slow
if dmsetup create slow --table "0 65536 delay $d 0 $((3000 * SLOW))"; then
	map m kcache m 0 /dev/mapper/slow 0 65536 sector_size:4096
	dd if=/dev/mapper/m of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null &
	reader=$!
	check "a read is on its way" wait_for 2 grep -qE '^ *[1-9]' "$(inflight m)"
	t0=$(date +%s%N)
	check "key wipe with a read on its way" message key wipe
	check "it does not wait for the disk" test $((($(date +%s%N) - t0) / 1000000)) -lt $((2000 * SLOW))
	wait $reader && late=0 || late=$?
	check "the read whose data came back after the wipe fails" test "$late" -ne 0
	set_key m
	unmap m
	dmsetup remove slow
fi

# wipe and set again and again while fio writes and verifies: I/O fails or is
# right, never wrong, and nothing crashes
map m kcache m 0 "$d" 0 65536 sector_size:4096
(cd /tmp && exec fio --name=w --filename=/dev/mapper/m --size=16M --bsrange=4k-64k --ioengine=libaio --direct=1 \
	--rw=randrw --iodepth=8 --time_based --runtime=8 --continue_on_error=all --group_reporting) >/tmp/fio.out 2>&1 &
fio=$!
wait_for 5 grep -qE '[1-9]' "$(inflight m)"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	message key wipe
	set_key m
	dmsetup suspend m && dmsetup resume m
done
wait $fio
check "some I/O failed while there was no key" test "$(state_of m errors)" -gt 0
check "the device works after it all" dd if=/dev/mapper/m of=/dev/null bs=1M iflag=direct
check "everything on it can be written and verified" sh -c \
	'cd /tmp && fio --name=v --filename=/dev/mapper/m --size=16M --bs=64k --direct=1 --rw=write --verify=crc32c'
unmap m

# --- what is printed --------------------------------------------------------
mm=$(lsblk -dno MAJ:MIN "$d" | tr -d ' ')
while read -r opts; do
	# shellcheck disable=SC2086 # words
	map m kcache m 16 "$mm" 2048 4096 $opts
	# shellcheck disable=SC2086
	check "the table comes back as it was: $opts" same "$(dmsetup table m)" "$(line kcache m 16 "$mm" 2048 4096 $opts)"
	unmap m
	# shellcheck disable=SC2086
	map m crypt m 16 "$mm" 2048 4096 $opts
	# shellcheck disable=SC2086
	check "and as dm-crypt prints it: $opts" same "$(dmsetup table m)" "$(line crypt m 16 "$mm" 2048 4096 $opts)"
	unmap m
done <<'END'

allow_discards
sector_size:4096
sector_size:4096 iv_large_sectors
allow_discards same_cpu_crypt submit_from_crypt_cpus no_read_workqueue no_write_workqueue sector_size:2048 iv_large_sectors
END
map m kcache m 0 "$d" 0 4096 high_priority
check "high_priority comes back" grep -q ' 1 high_priority' <(dmsetup table m)
check "INFO is words of name:value" not grep -vE '^(key|lease|driver|[a-z_]+):[^ ]+$' \
	<(dmsetup status m | cut -d' ' -f4- | tr ' ' '\n')
for word in key lease driver read_bytes write_bytes inline deferred errors; do
	check "INFO has $word" test -n "$(state_of m $word)"
done
unmap m

# IMA measures what device-mapper loads where its policy asks for it
ima=/sys/kernel/security/ima
mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
if [ -w $ima/policy ] && echo 'measure func=CRITICAL_DATA label=device-mapper template=ima-buf' >$ima/policy 2>/dev/null; then
	measured() { # TARGET
		map m "$1" m 0 "$d" 0 4096 sector_size:4096 allow_discards && unmap m
		grep dm_table_load $ima/ascii_runtime_measurements | tail -n 1 | awk '{ print $NF }' | xxd -r -p |
			grep -oE "target_name=$1,.*"
	}
	check "IMA gets the target" measured kcache
	fields() { measured "$1" | tr ',;' '\n' | grep '=' | grep -v target_version | sed "s/=$1$/=target/"; }
	# ours first: it is in the list, and the same once more is not added behind dm-crypt's
	ours=$(fields kcache)
	theirs=$(fields crypt)
	# dm-crypt has that option, and says so, since 6.10
	grep -q high_priority <<<"$theirs" || ours=$(grep -v high_priority <<<"$ours")
	check "with dm-crypt's fields" same "$ours" "$theirs"
	check "and no key byte" not grep -qi "$hex" <(measured kcache)
fi
