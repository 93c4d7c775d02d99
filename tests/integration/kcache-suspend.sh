#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# suspend and resume: I/O waits, the key is gone meanwhile and comes back by way of the
# KMS with all that attach checks; also after a wipe and after the end of a lease.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mnt=/mnt/suspend
mkdir -p $mnt
state() { kcache status vol --json 2>/dev/null | jq -r '.volumes[0] | .state + " " + .key_state'; }
word() { dmsetup status vol | tr ' ' '\n' | sed -n "s/^$1://p"; }
expired() { [ "$(word key)" = expired ]; }
# refused is given the configuration for a device that its filesystem may write to meanwhile
# in the background, with its pid in $waiter; a read that waits can be killed
reader() { dd if=/dev/mapper/vol of=/dev/null bs=4096 count=1 iflag=direct status=none & waiter=$!; }
waits() { grep -q '^State:.[DS]' "/proc/$1/status" && grep -qE 'io_schedule|blk|bio|dio|sb_start|percpu_rwsem|rwsem|kcache' "/proc/$1/stack"; }
reads() { dd if=/dev/mapper/vol of=/dev/null bs=4096 count=1 iflag=direct status=none; }

volume 17M
other=$LOOP
volume 24M
d=$LOOP uuid=$VOL
key=$(kcache key list --json | jq -r '.keys[0].key')
kcache attach -q "$d" vol >/dev/null
on_exit kcache detach vol
on_exit umount $mnt
on_exit kcache resume vol
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol $mnt
head -c 2M /dev/urandom >$mnt/data
sum=$(sha256sum <$mnt/data)

# --- suspended ------------------------------------------------------------------
check "a volume in use is suspended" kcache suspend vol
check "it is suspended and its key wiped" same "$(state)" "suspended wiped"
check "status says so with exit code 9" expect_exit 9 kcache status vol
check "and that reads and writes wait" said '^kcache: vol: its key is wiped: reads and writes wait; run kcache resume vol, or detach it$'
check "no keyring has a key of ours" no_keys
reader
check "a read waits" wait_for 10 waits $waiter
touch $mnt/more &
toucher=$!
check "a change to the filesystem waits" wait_for 10 waits $toucher
check "suspending it again is refused" refused 5 "^kcache: vol \($d\): it is suspended already, and its key is wiped$" "$d" kcache suspend vol
check "dmsetup cannot resume it" not dmsetup resume vol
dd if="$d" of="$STATE/copy" bs=1M status=none
check "what was written before is on the device" cryptsetup open --readonly --token-only "$STATE/copy" copy
mkdir -p /mnt/copy
mount -o ro /dev/mapper/copy /mnt/copy
check "and the filesystem there is whole" same "$(sha256sum </mnt/copy/data)" "$sum"
umount /mnt/copy
cryptsetup close copy
check "a suspended volume that is mounted is not detached" expect_exit 5 kcache detach vol

# --- resume that is refused: the volume stays as it is ---------------------------
kcache key disable "$key" -q
check "resume with a disabled key is refused" refused 7 'DisabledException' "$d" kcache resume vol
kcache key enable "$key" -q
known=$STATE/state/volumes/$uuid.json
mv "$known" "$STATE/known"
check "resume with a key that this host does not pin is refused" refused 8 "$key" "$d" kcache resume vol
mv "$STATE/known" "$known"
head -c 1M "$d" >"$STATE/good"
head -c 1M "$other" | dd of="$d" conv=notrunc,fsync status=none
check "with another volume's header below too" refused 8 "the device below carries another volume now, [0-9a-f-]+ instead of $uuid; put" "$d" kcache resume vol
dd if=/dev/zero of="$d" bs=1M count=1 conv=notrunc,fsync status=none
check "and without a header" refused 4 'there is no LUKS2 header' "$d" kcache resume vol
dd if="$STATE/good" of="$d" conv=notrunc,fsync status=none
check "it is suspended still" same "$(state)" "suspended wiped"
check "the read waits still" waits $waiter

# --- resumed ----------------------------------------------------------------------
check "with the key enabled and the header back it goes on" same "$(kcache resume vol --json | jq -r '.name + " " + .uuid + " " + .state + " " + .key_state')" "vol $uuid attached valid"
check "the read has its data" wait $waiter
check "the change is made" wait $toucher
check "no keyring has a key of ours" no_keys
check "the data is as it was" same "$(sha256sum <$mnt/data)" "$sum"
check "also past the cache" bash -c "echo 3 >/proc/sys/vm/drop_caches; sha256sum <$mnt/data | grep -q '${sum%% *}'"
# not by refused(): the filesystem is at work again, and writes when it likes
check "resuming it again is refused" expect_exit 5 kcache resume vol
check "with the reason" said 'it is not suspended, and its key is valid$'
dmsetup suspend vol
check "suspended by somebody else it has its key" same "$(state)" "suspended valid"
check "and suspend takes that" kcache suspend vol
check "it is gone" same "$(state)" "suspended wiped"
check "resume, with a key that is named" kcache resume vol --key alias/kcache
dmsetup suspend vol
kcache key disable "$key" -q
check "with its key at hand it is resumed without the KMS" kcache resume vol
kcache key enable "$key" -q

# --- a key that went by itself -------------------------------------------------------
dmsetup message vol 0 key wipe
check "a wiped volume that is not suspended fails" not reads
check "resume brings its key back" kcache resume vol
check "it reads" reads
[[ $(dmsetup table vol) =~ ^(.*)\ 1\ (sector_size:.*)$ ]]
dmsetup reload vol --table "${BASH_REMATCH[1]} 3 ${BASH_REMATCH[2]} lease:3600 on_expiry:freeze"
dmsetup resume vol
dmsetup message vol 0 lease 1
check "a lease runs out" wait_for 10 expired
check "status says that reads and writes wait" bash -c 'kcache status vol 2>&1 | grep -q "its key is expired: reads and writes wait; run kcache resume vol"'
reader
check "a read waits" wait_for 10 waits $waiter
check "resume brings the key back" kcache resume vol
check "the read has its data" wait $waiter
check "and the lease begins anew" test "$(word lease)" -gt 3500
dmsetup message vol 0 lease 1
wait_for 10 expired
reader
check "a read waits again" wait_for 10 waits $waiter
check "an expired volume can be suspended" kcache suspend vol
check "the read waits through that" waits $waiter
check "it is resumed" kcache resume vol
check "and the read has its data" wait $waiter
dmsetup message vol 0 lease 1
wait_for 10 expired
dmsetup message vol 0 fail_frozen
check "after fail_frozen reads fail" not reads
check "until it is resumed" kcache resume vol
check "then they do not" reads

# --- what must not wait -----------------------------------------------------------------
check "under the root filesystem it is refused" refused 5 'suspending it would bring this host to a halt: it carries the root filesystem; use --force' "$KCACHE_CONFIG" \
	unshare -m bash -c "mount --bind $mnt / && kcache suspend vol"
mkdir $mnt/state
sed "s,^state_dir.*,state_dir = $mnt/state/kcache," "$KCACHE_CONFIG" >"$STATE/there.conf"
check "and under what resume needs" refused 5 "it carries $mnt, where $mnt/state/kcache is" "$KCACHE_CONFIG" kcache suspend vol --config "$STATE/there.conf"
check "with --force it is suspended" kcache suspend vol --config "$STATE/there.conf" --force
check "and something outside resumes it" kcache resume vol

# --- a key that does not come back ------------------------------------------------------
kcache suspend vol
check "its table wiped, what waits fails" dmsetup wipe_table vol
check "no verb takes it for a volume whose key could come back" expect_exit 4 kcache resume vol
check "and says why" said "its table has target .error', not kcache"
check "its filesystem can be unmounted" umount $mnt
check "and the volume detached" kcache detach vol
check "the filesystem is as it was when it was frozen" bash -c "kcache attach -q '$d' vol && e2fsck -fn /dev/mapper/vol"

# --- under swap -------------------------------------------------------------------------
dmsetup create top --table "0 16384 linear /dev/mapper/vol 0"
mkswap -q /dev/mapper/top
swapon /dev/mapper/top
check "under swap, also one that stands on it, it is refused" refused 5 'it carries swap' "$d" kcache suspend vol
swapoff /dev/mapper/top
dmsetup remove top
check "then it is suspended" kcache suspend vol
check "and can be detached without the KMS" kcache detach vol
check "and attached again" kcache attach -q "$d" vol

# --- interrupted ----------------------------------------------------------------------------
kcache detach vol
dmsetup create under --table "0 $(blockdev --getsz "$d") linear $d 0"
kcache attach -q /dev/mapper/under vol >/dev/null
dmsetup suspend under
dd if=/dev/zero of=/dev/mapper/vol bs=4096 count=1 oflag=direct status=none &
waiter=$!
wait_for 10 waits $waiter
interrupted() {
	local pid code=0

	# what a script starts in the background ignores SIGINT
	env --default-signal=INT kcache suspend vol &
	pid=$!
	wait_for 20 grep -qs dm_wait "/proc/$pid/stack" && kill -INT $pid
	wait $pid || code=$?
	return $code
}
check "interrupted while it waits for a device that does not answer, it ends" expect_exit 130 interrupted
check "and says so" said 'interrupted by signal 2'
check "the volume is as it was" same "$(state)" "attached valid"
dmsetup resume under
check "and what was written arrives" wait $waiter
kcache detach vol
dmsetup remove under
kcache attach -q "$d" vol >/dev/null

# --- exit codes -----------------------------------------------------------------------------
dmsetup create foreign --table "0 2048 zero"
for v in suspend resume; do
	check "$v of an unknown name" refused 4 '^kcache: nobody: no volume of this name is attached; see kcache list$' "$d" kcache $v nobody
	check "$v of somebody else's device" refused 4 'is not a kcache volume' "$d" kcache $v foreign
	check "$v without privilege" refused 2 'as root' "$d" setpriv --reuid=user --regid=user --clear-groups --inh-caps=-all --bounding-set=-all \
		env -u KCACHE_CONFIG kcache $v vol
	check "there is an audit event ${v}Volume" grep -q "\"event\":\"${v}Volume\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$STATE/audit.jsonl"
	check "it takes no options of others" expect_exit 1 kcache $v vol --lazy
done
dmsetup remove foreign
check "a refusal is an event too" grep -q '"event":"resumeVolume","result":"failed".*"exit-code":7' "$STATE/audit.jsonl"
kcache detach vol
