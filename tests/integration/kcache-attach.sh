#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# attach: what it refuses on a real machine. After each refusal nothing is mapped,
# the device is as it was, and no keyring has a key of ours. Every single edit of
# token and header, the pins and the KMS are in tests/unit/test-attach.sh.
#
# vm: --add build/unit/luks2-edit:/usr/bin/luks2-edit
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

volume 17M
d=$LOOP uuid=$VOL
good=$STATE/good
head -c 1M "$d" >"$good"
known=$STATE/state/volumes/$uuid.json
cp "$known" "$STATE/known"
# the volume as it was made, and what this host knew of it then
reset() {
	dd if="$good" of="$d" bs=1M conv=notrunc,fsync status=none
	cp "$STATE/known" "$known"
}
attach() { kcache attach -q "$d" vol "$@"; }

check "the volume attaches" attach
check "and detaches" kcache detach vol

# --- no volume ------------------------------------------------------------------
loop_device 17M
check "a blank device" refused 4 "^kcache: vol \($LOOP\): " "$LOOP" kcache attach "$LOOP" vol
check "a missing device" refused 4 'No such file' "$KCACHE_CONFIG" kcache attach /dev/none vol
cryptsetup token remove --token-id 0 "$d"
check "a create that did not finish" refused 4 'creation did not finish.*; run kcache create on it again' "$d" attach
reset

# --- edits: one of each kind ------------------------------------------------------
t=/tokens/0
segment=$(luks2-edit "$d" print /segments/0)
edits=(
	"$t/mac|\"0000000000000000000000000000000000000000000000000000000000000000\""
	"$t/lease|3600"
	"$t/context/kcache:generation|\"2\""
	"/segments/0/encryption|\"cipher_null-ecb\""
	"/segments/0/offset|\"1048576\""
	"/segments/1|$segment"
	"/digests/0/iterations|2000000000"
)
for e in "${edits[@]}"; do
	luks2-edit "$d" set "${e%%|*}" "${e#*|}"
	check "${e%%|*} set to $(tr -d '\n' <<<"${e#*|}" | head -c 40)" refused 8 . "$d" attach
	reset
done
luks2-edit "$d" uuid 00000000-0000-4000-8000-000000000000
check "another UUID" refused 8 . "$d" attach
reset

check "after all this the device is, byte for byte, as it was" cmp -n 1M "$good" "$d"

# --- other volumes ------------------------------------------------------------------
volume 17M
d2=$LOOP
luks2-edit "$d" set $t "$(luks2-edit "$d2" print $t)"
check "the token of another volume" refused 8 . "$d" attach
head -c 1M "$d2" | dd of="$d" conv=notrunc,fsync status=none
check "the whole header of another volume that is here too" refused 5 "$d2 carries the same UUID" "$d" attach
reset
head -c 1M "$d" | dd of="$d2" conv=notrunc,fsync status=none
check "one UUID on two devices" refused 5 "$d2 carries the same UUID $uuid: which one is meant cannot be told; " "$d" attach
check "the other way round" refused 5 "$d carries the same UUID" "$d2" kcache attach "$d2" vol
dd if=/dev/zero of="$d2" bs=4096 count=1 conv=notrunc,fsync status=none
check "also a device of which only the second header copy is left" refused 5 "$d2 carries the same UUID" "$d" attach
blank "$d2"
check "the copy gone: it attaches" attach
kcache detach vol

# --- devices on one another -----------------------------------------------------------
dmsetup create top --table "0 $(blockdev --getsz "$d") linear $d 0"
check "a device on top has the same UUID and counts once" kcache attach /dev/mapper/top vol
kcache detach vol
check "the one below is held" refused 5 'held by dm-[0-9]+ \(top\)' "$d" attach
dmsetup create side --table "0 $(blockdev --getsz "$d") linear $d 0"
check "two devices side by side on one are two" refused 5 '/dev/mapper/side carries the same UUID' "$d" kcache attach /dev/mapper/top vol
dmsetup remove side
dmsetup remove top

# --- devices that cannot be read now --------------------------------------------------
# in_time COMMAND...: a read that waits ends with the process, if that is killed
in_time() { timeout --signal=KILL $((20 * STRETCH)) "$@"; }
dmsetup create held --table "0 2048 linear $d2 0"
dmsetup suspend held
check "a suspended device is not waited for" in_time kcache attach -q "$d" vol
kcache detach vol
dmsetup resume held
dmsetup remove held
keyctl new_session >/dev/null
head -c 64 /dev/urandom | keyctl padd logon kcache:frozen @s >/dev/null
dmsetup create frozen --uuid KCACHE-00000000000040008000000000000000-frozen --table "0 2048 kcache aes-xts-plain64 :64:logon:kcache:frozen 0 $d2 0 2 lease:3600 on_expiry:freeze"
keyctl unlink %logon:kcache:frozen @s
dmsetup create above --table "0 2048 linear /dev/mapper/frozen 0"
dmsetup message frozen 0 key wipe
check "nor a volume that waits for its key, nor what stands on it" in_time kcache attach -q "$d" vol
kcache detach vol
dmsetup message frozen 0 fail_frozen
dmsetup remove above
dmsetup remove frozen

modprobe dm-multipath
modprobe dm-service-time
dmsetup create mpatha --uuid mpath-test --table "0 $(blockdev --getsz "$d") multipath 0 0 1 1 service-time 0 1 2 $d 1 1"
check "a path of a multipath device" refused 5 'one path of the multipath device /dev/mapper/mpatha; use' "$d" attach
check "the multipath device itself attaches" kcache attach /dev/mapper/mpatha vol
kcache detach vol
dmsetup remove mpatha
mkdir -p /run/udev/data
node=$(stat -c '%Hr:%Lr' "$d")
printf 'I:1\nE:DM_MULTIPATH_DEVICE_PATH=1\n' >"/run/udev/data/b$node"
check "a path that multipathd has claimed" refused 5 'udev says that it is one path' "$d" attach
rm -f "/run/udev/data/b$node"

# --- pins and the KMS ---------------------------------------------------------------
rm "$known"
key=$(jq -r '.keys[0]' "$STATE/known")
check "a key that this host does not pin" refused 8 "$key" "$d" attach
check "a key that is named attaches" attach --key "$key"
kcache detach vol
check "and is remembered" attach
kcache detach vol
kcache key disable "$key" -q
check "a disabled key" refused 7 '(DisabledException|disabled)' "$d" attach
kcache key enable "$key" -q

# --- names -----------------------------------------------------------------------------------------
dmsetup create taken --table '0 2048 zero'
check "a name that is taken" refused 5 'of this name exists already' "$d" kcache attach "$d" taken
dmsetup remove taken
check "a name that cannot be" refused 1 'cannot be a name' "$d" kcache attach "$d" a/b

# --- one copy damaged: attaches, says so, does not write --------------------------------------------------
for copy in 1 2; do
	luks2-edit "$d" damage $copy
	head -c 1M "$d" >"$STATE/damaged"
	check "header copy $copy damaged: it attaches" expect_exit 0 attach
	check "and warns" said "^kcache: vol \($d\): warning: the $([ $copy = 1 ] && echo first || echo second) copy of its header is damaged"
	check "and writes nothing" cmp -n 1048576 "$STATE/damaged" "$d"
	kcache detach vol
	reset
done
luks2-edit "$d" damage 1
luks2-edit "$d" damage 2
check "both copies damaged" refused '4|8' . "$d" attach
reset

# --- the kernel says no -----------------------------------------------------------------------------------
ko=$(modinfo -n dm-kcache)
rmmod dm-kcache
mv "$ko" "$STATE/away"
check "no module" refused 4 "no device-mapper target .kcache'; install the module" "$d" attach
mv "$STATE/away" "$ko"
check "at the end the volume attaches as at the start" attach
kcache detach vol
