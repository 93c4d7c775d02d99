#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# create --ephemeral: scratch space whose key is in the kernel and nowhere else, without a
# header and without a KMS; with detach it is gone. Arguments and refusals on plain files
# are in tests/unit/test-live.sh.
#
# shellcheck disable=SC2016 # for jq, and for a shell in the shell
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mnt=/mnt/scratch
mkdir -p $mnt
on_exit kcache detach scratch
on_exit umount $mnt
on_exit swapoff /dev/mapper/scratch
d=$(disk 1)
blank "$d"
sync "$d"
create() { kcache create -q "$d" --ephemeral scratch "$@"; }
gone() { kcache detach scratch && sync "$d"; }
j() { jq -e "$@" >/dev/null; }

# --- made -----------------------------------------------------------------------
before=$(written "$d")
check "create prints the node" same "$(create)" /dev/mapper/scratch
sync "$d"
check "and has written nothing to the device" same "$(written "$d")" "$before"
check "it has all of it" same "$(blockdev --getsz /dev/mapper/scratch)" "$(blockdev --getsz "$d")"
check "with sectors of 4096 bytes" same "$(blockdev --getss /dev/mapper/scratch)" 4096
check "no keyring has a key of ours" no_keys
check "and the table no key byte" not bash -c 'dmsetup table --showkeys scratch | grep -E "[0-9a-f]{64}"'
check "no KMS was asked: the only event is createVolume" same "$(jq -r '.event + " " + .result + " " + .kind + " " + .name + " " + (.key // "no key")' "$STATE/audit.jsonl")" \
	"createVolume succeeded ephemeral scratch no key"
check "and this host remembers nothing of it" test -z "$(ls -A "$STATE/state")"
check "status says what it is" expect_exit 0 kcache status scratch
check "in words" said 'state: +attached, ephemeral$'
check "in JSON" j '.volumes[0] | .ephemeral and .key == null and .state == "attached" and .key_state == "valid"' <(kcache status scratch --json)
check "and list" bash -c 'kcache list -n | grep -qE "^scratch .* none: ephemeral$"'
check "in JSON too" j '.volumes[0] | .ephemeral and .attached and (.known | not)' <(kcache list --json)
check "mkfs" mkfs.ext4 -q /dev/mapper/scratch
check "mount" mount /dev/mapper/scratch $mnt
check "write" bash -c "yes 'the quick brown fox jumps over the lazy dog' | head -c 4M >$mnt/fox"
check "detached while mounted is refused" expect_exit 5 kcache detach scratch
umount $mnt
check "detach" gone
check "is an event of this kind" same "$(jq -r '.event + " " + .kind' "$STATE/audit.jsonl" | tail -n 1)" "detachVolume ephemeral"
check "no plaintext is on the disk" not grep -qa 'the quick brown fox' "$d"
check "nor anything that blkid knows" not blkid -p "$d"
check "nor a LUKS header" not cryptsetup isLuks "$d"
check "it cannot be attached again" refused 4 'there is no LUKS2 header' "$d" kcache attach "$d" scratch

# --- over something ----------------------------------------------------------------
check "a device that was one is not blank" refused 5 'it is not blank: data in the first MiB' "$d" create
check "with --force it is one again" create --force
check "it begins with zeros" cmp -n 5M /dev/zero /dev/mapper/scratch
gone
head -c 4096 "$d" >"$STATE/first"
create --force >/dev/null
gone
check "under another key each time" not cmp -n 4096 "$STATE/first" "$d"
kcache create -q "$d" --force >/dev/null
kcache attach -q "$d" vol >/dev/null && kcache detach vol
check "over a volume it is refused" refused 5 'it is not blank: a signature of crypto_LUKS' "$d" create
ko=$(modinfo -n dm-kcache)
rmmod dm-kcache
mv "$ko" "$STATE/away"
check "where it cannot be mapped" refused 4 "no device-mapper target .kcache'; install the module" "$d" create --force
mv "$STATE/away" "$ko"
check "the volume is still there" kcache attach "$d" vol
check "and is not to be had while it is attached" refused 5 'it is in use: held by dm-[0-9]+ \(vol\)' "$d" create --force
kcache detach vol
check "with --force over a volume" create --force
gone
check "which is not there any more" refused 4 'there is no LUKS2 header' "$d" kcache attach "$d" vol
check "neither copy of its header" not grep -qaE 'LUKS|SKUL' <(head -c 8M "$d")

# --- its key ------------------------------------------------------------------------
create --force >/dev/null
check "it is not suspended: its key could not come back" refused 4 'it is an ephemeral volume: its key is nowhere else and could not come back; detach it' "$d" kcache suspend scratch
check "nor with --force" expect_exit 4 kcache suspend scratch --force
dmsetup suspend scratch
check "suspended by somebody else it is resumed with the key it has" kcache resume scratch
dmsetup message scratch 0 key wipe
check "its key wiped, status is 9" expect_exit 9 kcache status scratch
check "and says that there is no other" said '; detach it: no KMS has its key$'
check "so does resume" refused 9 'its key was nowhere else and is gone for good; detach it' "$d" kcache resume scratch
check "and resize" refused 9 'its key is wiped, .*; detach it' "$d" kcache resize scratch --size 8M
check "it can be detached" gone

# --- what it is for -------------------------------------------------------------------
create --force --allow-discards --sector-size 512 >/dev/null
check "with discards, and sectors of 512 bytes" bash -c 'dmsetup table scratch | grep -q " 0 1 allow_discards$"'
check "mkswap" mkswap -q /dev/mapper/scratch
check "swapon" swapon /dev/mapper/scratch
check "swap in use is not detached" expect_exit 5 kcache detach scratch
check "and it is said" said 'used as swap'
swapoff /dev/mapper/scratch
check "swapped off it is" gone
truncate -s 16M "$STATE/file"
check "a file" kcache create -q "$STATE/file" --ephemeral scratch
truncate -s 24M "$STATE/file"
check "which grows" kcache resize -q scratch
check "to all of the file" same "$(blockdev --getsize64 /dev/mapper/scratch)" $((24 * 1048576))
check "detach" kcache detach scratch
check "takes its loop device away" test -z "$(losetup -j "$STATE/file")"

# --- exit codes ---------------------------------------------------------------------------
dmsetup create taken --table '0 2048 zero'
check "a name that is taken" refused 5 'of this name exists already' "$d" kcache create "$d" --force --ephemeral taken
dmsetup remove taken
check "a missing device" refused 4 'No such file' "$d" kcache create /dev/none --ephemeral scratch
blockdev --setro "$d"
check "a read-only device" refused 4 'it is read-only' "$d" create --force
blockdev --setrw "$d"
check "without privilege" refused 2 . "$d" setpriv --reuid=user --regid=user --clear-groups --inh-caps=-all --bounding-set=-all \
	env -u KCACHE_CONFIG kcache create -q "$d" --force --ephemeral scratch
check "after all this there is no key in any keyring" no_keys
blank "$d"
