#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache lease with the local keystore: renewed while the key is enabled; refused, with
# on_revoke fail the key is wiped and the filesystem shut down, with keep nothing happens;
# without the process the kernel's deadline holds. All three modes, a KMS that is silent,
# and the times are in life-revoke.host.sh.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mnt=/mnt/lease
mkdir -p $mnt
word() { dmsetup status vol | tr ' ' '\n' | sed -n "s/^$1://p"; }
is() { [ "$(word key)" = "$1" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
# start: kcache lease in the background, once it has asked; its pid in $lease
asked() { [ "$(events Decrypt)" -gt "$before" ]; }
start() {
	before=$(events Decrypt)
	kcache lease vol --interval 2 >"$STATE/out" 2>&1 &
	lease=$!
	wait_for 30 asked
}
events() { grep -c "\"event\":\"$1\"" "$STATE/audit.jsonl"; }

volume 24M --on-revoke fail --lease 60
d=$LOOP
key=$(kcache key list --json | jq -r '.keys[0].key')
check "attach says that the lease is to be renewed" bash -c 'kcache attach "$1" vol 2>&1 | grep -q "next: kcache lease vol$"' - "$d"
on_exit kcache detach vol
on_exit umount $mnt
check "the table has lease and on_expiry" matches "$(dmsetup table vol)" " 3 sector_size:4096 lease:60 on_expiry:fail$"
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol $mnt
echo before >$mnt/file
sync $mnt/file

# --- asked once ------------------------------------------------------------------
check "--once renews" kcache lease vol --once --json
check "an interval as long as the lease is refused" expect_exit 1 kcache lease vol --interval 60
check "and says so" said 'is no shorter than the lease of 60 seconds'

# --- kept ------------------------------------------------------------------------
"$TESTDIR/notify.py" "$STATE/notify" "$STATE/heard" &
on_exit kill $!
wait_for 5 test -S "$STATE/notify"
NOTIFY_SOCKET=$STATE/notify WATCHDOG_USEC=2000000 kcache lease vol --interval 2 >"$STATE/out" 2>&1 &
lease=$!
on_exit kill $lease
check "it is ready" wait_for 30 grep -q 'READY=1' "$STATE/heard"
check "its memory is locked" bash -c '[ "$(sed -n "s/^VmLck:[^0-9]*\([0-9]*\) .*/\1/p" /proc/$1/status)" -gt 1000 ]' - $lease
check "a second one is busy" expect_exit 5 kcache lease vol
check "and says so" said '^kcache: vol \(.*\): another kcache lease keeps its lease already; end that one first$'
dmsetup message vol 0 lease 30
renewed() { [ "$(word lease)" -gt 31 ]; }
check "its lease is renewed" wait_for 30 renewed
fed() { [ "$(grep -c WATCHDOG=1 "$STATE/heard")" -ge 5 ]; }
check "the watchdog is fed" wait_for 30 fed
check "no key of ours is in any keyring" no_keys
check "nothing was told meanwhile" test ! -s "$STATE/out"

# --- refused ----------------------------------------------------------------------
kcache key disable "$key" -q
at=$(date +%s%N)
check "with the key disabled the volume's is wiped" wait_for 30 is wiped
echo "# wiped $((($(date +%s%N) - at) / 1000000)) ms after kcache key disable, asking every 2 s"
check "the process ends" wait_for 20 ended $lease
wait $lease
check "with exit code 9" same $? 9
check "having said how long it took" grep -E 'the KMS refuses its key: .*is disabled; its key was wiped [0-9]+ ms after the answer, [0-9]+ ms after the question: reads and writes fail' "$STATE/out"
check "the filesystem is shut down" grep -q "the filesystem on $mnt is shut down" "$STATE/out"
check "for the kernel too" not touch $mnt/more
check "and a direct read fails" not dd if=/dev/mapper/vol of=/dev/null bs=4096 count=1 iflag=direct
check "there is an event revokeVolume" test "$(events revokeVolume)" -eq 1
check "the lease cannot be renewed any more" not dmsetup message vol 0 lease 5
check "nor kept" expect_exit 9 kcache lease vol
kcache key enable "$key" -q
check "nor is the key set again when the KMS grants it" expect_exit 9 kcache lease vol --once
umount $mnt
kcache detach vol

# --- the process is killed: the kernel's deadline ----------------------------------
kcache attach -q "$d" vol >/dev/null
start
kill -9 $lease
wait $lease 2>/dev/null
# nobody renews it any more
dmsetup message vol 0 lease 2
check "killed, it leaves no process" wait_for 3 bash -c "! pgrep -x kcache"
check "and no key" no_keys
check "its lease runs out in the kernel" wait_for 20 is expired
check "which is an exit code 9" expect_exit 9 kcache lease vol
check "and an event" test "$(events expireLease)" -eq 1
kcache detach vol

# --- detached, and ended -------------------------------------------------------------
kcache attach -q "$d" vol >/dev/null
start
kill $lease
wait $lease
check "SIGTERM ends it with 0" same $? 0
check "the lease runs on" same "$(word key)" valid
start
kcache suspend vol
# what was asked before is answered
sleep 2
before=$(events Decrypt)
sleep 3
check "suspended, it is left alone" kill -0 $lease
check "and nobody asks for it" same "$(events Decrypt)" "$before"
kcache resume vol
before=$(events Decrypt)
check "until it is resumed" wait_for 20 asked
check "then its lease is kept again" same "$(word key)" valid
kcache detach vol
check "detached, it ends" wait_for 20 ended $lease
wait $lease
check "with 0" same $? 0

# --- keep ----------------------------------------------------------------------------
kcache rewrap -q "$d" --on-revoke keep
kcache attach -q "$d" vol >/dev/null
check "with on_revoke keep there is no lease in the table" not grep -q lease <<<"$(dmsetup table vol)"
check "asked once it is granted" kcache lease vol --once
kcache key disable "$key" -q
check "refused it is exit code 7" expect_exit 7 kcache lease vol --once
check "and said" said 'the KMS refuses its key: .*it stays in use \(on_revoke keep\)'
check "and the key is still there" same "$(word key)" valid
kcache key enable "$key" -q
kcache detach vol
# --- freeze ---------------------------------------------------------------------------
kcache rewrap -q "$d" --on-revoke freeze --lease 60
kcache attach -q "$d" vol >/dev/null
mkswap -q /dev/mapper/vol
swapon /dev/mapper/vol
check "freezing swap is refused" expect_exit 5 kcache lease vol --once
check "and says so" said 'freezing it would bring this host to a halt: it carries swap; use --force'
check "with --force it is kept" kcache lease vol --once --force
swapoff /dev/mapper/vol
check "without swap it is" kcache lease vol --once
kcache key disable "$key" -q
check "refused it is wiped, and exit code 7" expect_exit 7 kcache lease vol --once
dd if=/dev/mapper/vol of=/dev/null bs=4096 count=1 iflag=direct status=none &
reader=$!
check "reads wait" bash -c 'sleep 1; kill -0 "$1"' - $reader
kcache key enable "$key" -q
check "granted it has its key again" kcache lease vol --once
check "and they go on" wait $reader
kcache detach vol
check "a name that nobody has is exit code 4" expect_exit 4 kcache lease vol
