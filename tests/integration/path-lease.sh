#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The lease: grammar, the kernel's own deadline, what extends it and what does
# not, and who is told.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"

new_session
d=$(disk 1)
add_key lse
mm=$(lsblk -dno MAJ:MIN "$d" | tr -d ' ')

# with LINE-OPTIONS: a device "m" with these options
with() { map m kcache lse 0 "$mm" 0 4096 "$@"; }
reload() { dmsetup reload m --table "$(line kcache lse 0 "$mm" 0 4096 "$@")" && dmsetup resume m; }
left() { state_of m lease; }
between() { echo "$2"; [ "$1" -le "$2" ] && [ "$2" -le "$3" ]; }
# a lease that runs out while we look, and a while after it
short=$((4 * SLOW))
over() { sleep "$(awk -v t=$short 'BEGIN { print t + 0.5 }')"; }
reads() { read_block /dev/mapper/m >/dev/null; }

# --- grammar ----------------------------------------------------------------
while read -r words; do
	dmesg_mark
	# shellcheck disable=SC2086 # words
	check "refused: $words" not with $words
	check "and it says what it wants" dmesg_has 'kcache: (Invalid (lease|on_expiry): want|on_expiry is of no use without lease)'
done <<'END'
lease:0
lease:x
lease:
lease:-1
lease:1s
lease:4294967296
on_expiry:fail
on_expiry:freeze
lease:5 on_expiry:foo
lease:5 on_expiry:
END
while read -r words; do
	# shellcheck disable=SC2086 # words
	with $words
	# shellcheck disable=SC2086
	check "the table comes back: $words" same "$(dmsetup table m)" "$(line kcache lse 0 "$mm" 0 4096 $words)"
	unmap m
done <<'END'
lease:60
lease:4294967295
sector_size:4096 lease:60 on_expiry:fail
allow_discards sector_size:2048 iv_large_sectors lease:60 on_expiry:freeze
END
with
check "without a lease the status says -" same "$(left)" -
check "and the message lease is refused" not message m lease 5
check "as EINVAL" said 'Invalid argument'
unmap m

# --- the deadline -----------------------------------------------------------
listener=()
for source in uevent audit; do
	text=KCACHE_KEY=expired
	[ $source = uevent ] || text=op=lease_expired
	python3 "$TESTDIR/listen.py" $source $text $((30 * SLOW)) >"/tmp/$source" &
	listener+=($!)
done
wait_for 20 grep -q listening /tmp/uevent
wait_for 20 grep -q listening /tmp/audit
dmesg_mark
t0=$(now)
with lease:$short on_expiry:fail
t1=$(now)
check "the lease counts down" between 1 "$(left)" $short
check "reads work meanwhile" reads
before=$(events m)
start dmsetup wait m "$before"
waiter=$!
# nobody asks the device anything now
sleep $((short + 1))
check "it is over" same "$(state_of m key) $(left)" "expired 0"
at=$(dmesg_has 'lease_expired: key logon:kcache:lse is expired' | sed 's/^\[ *\([0-9]*\)\.\([0-9]\{3\}\).*/\1\2/')
check "not before the deadline" test $((at - t0)) -ge $((short * 1000 - 100))
check "and within a second of it" test $((at - t1)) -le $(((short + SLOW) * 1000))
check "reads fail" not reads
check "as EIO" said 'Input/output error'
check "writes fail" not write_block /dev/mapper/m 0 /dev/zero
check "as EIO too" said 'Input/output error'
check "the failures are counted" test "$(state_of m errors)" -ge 2
check "a dm event came" test "$(events m)" -gt "$before"
check "and woke who waited for it" ends 0 "$waiter" 5
wait "${listener[@]}"
check "a uevent came" grep -a 'ACTION=change.*KCACHE_KEY=expired' /tmp/uevent
check "and names the device" grep -a 'DEVNAME=dm-' /tmp/uevent
check "an audit record came" grep -a 'module=kcache op=lease_expired.*dev=.*res=1' /tmp/audit
check "an expired key cannot be renewed" not message m lease 2
check "as EKEYEXPIRED" said 'Key has expired'
dmsetup suspend m
check "a resume is refused" not dmsetup resume m
check "INFO works while suspended" same "$(state_of m key)" expired

# --- key set ----------------------------------------------------------------
check "key set revives it" set_key m lse
dmsetup resume m
check "with all of its lease" between 1 "$(left)" $short
check "and it reads" reads
over
check "the new lease runs out too" same "$(state_of m key)" expired
check "key set once more" set_key m lse
check "a wiped key has no lease left" same "$(wipe m; state_of m key) $(left)" "wiped 0"
check "it cannot be renewed" not message m lease 2
check "as ENOKEY" said 'Required key not available'
over
check "its deadline does not make it expired" same "$(state_of m key)" wiped
unmap m

# --- the message lease ------------------------------------------------------
with lease:30
check "a longer lease than the table's is cut" message m lease 100
check "to the table's" between 15 "$(left)" 30
check "a shorter one is taken" message m lease 10
check "and counts" between 2 "$(left)" 10
check "it may grow again" message m lease 20
check "to what was asked" between 11 "$(left)" 20
for bad in 0 x -1 '' 1s; do
	check "lease \"$bad\" is refused" not message m lease "$bad"
done
check "none of them changed it" between 1 "$(left)" 20

# --- reloads ----------------------------------------------------------------
message m lease 25
sleep 1.5
reload lease:30
check "a reload of the same line does not extend it" between 5 "$(left)" 24
reload lease:300
check "nor does one with a longer lease" between 3 "$(left)" 24
reload
check "one without a lease does not take it away" between 1 "$(left)" 24
reload lease:$short
check "one with a shorter lease brings it nearer" between 1 "$(left)" $short
over
check "and it expires" same "$(state_of m key)" expired
forget_key lse
check "a reload does not bring it back" not reload lease:30
add_key lse "$KEYS/lse"
unmap m

with
reload lease:20
check "a lease can be added to a live device" between 5 "$(left)" 20
unmap m
# two segments, one key: the shorter lease holds for both
dmsetup create m <<END
$(line kcache lse 0 "$mm" 0 4096 lease:100)
4096 $(line kcache lse 4096 "$mm" 4096 4096 lease:20 | cut -d' ' -f2-)
END
check "of two segments' leases the shorter counts" \
	between 5 "$(dmsetup status m | sed -n '1s/.*lease:\([0-9]*\).*/\1/p')" 20
unmap m
