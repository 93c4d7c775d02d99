#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache check over the volumes that this host knows, and kcache doctor on what is attached:
# a device that is not here, twins, wiped keys, a missing module. The troubles of header,
# pins and KMS are in tests/unit/test-check.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

# rows: "result exit_code device", one a volume
rows() { kcache check --json 2>/dev/null | jq -r '.volumes[] | "\(.result) \(.exit_code) \(.device // "-")"' | sort; }
# step NAME [of what]: result and text of doctor's step
step() { kcache doctor "${2:-vol}" --json 2>/dev/null | jq -r --arg n "$1" '.steps[] | select(.step == $n) | "\(.result): \(.text); \(.next)"'; }

kernel=$(uname -r)
check "a host that knows no volume has nothing to complain of" expect_exit 0 kcache check
k2=$(kcache key create --alias two)
volume 17M
d1=$LOOP u1=$VOL
volume 17M --key "$k2"
d2=$LOOP u2=$VOL
before="$(written "$d1") $(written "$d2")"
check "two volumes would attach" same "$(rows)" "$(printf 'ok 0 %s\n' "$d1" "$d2" | sort)"
kcache attach "$d1" vol >/dev/null
check "one that is attached would again" same "$(rows)" "$(printf 'ok 0 %s\n' "$d1" "$d2" | sort)"
check "and check says 0" expect_exit 0 kcache check
table=$(dmsetup table vol)
check "doctor finds it by its name" matches "$(step attachment)" '^ok: its key works'
check "by its node" matches "$(step place /dev/mapper/vol)" '^ok: it is attached as /dev/mapper/vol'
check "and by its UUID" matches "$(step place "$u1")" '^ok: it is attached as /dev/mapper/vol'
check "all is well: 0" expect_exit 0 kcache doctor vol
check "no keyring has a key of ours" no_keys
check "the mapped device is as it was" same "$(dmsetup table vol)" "$table"
check "nothing was written to the devices" same "$(written "$d1") $(written "$d2")" "$before"

# --- the key of one is refused ----------------------------------------------------
kcache key disable "$k2" -q
check "a disabled key: 7" expect_exit 7 kcache check
check "with the next step in the volume's line" said "^$u2 +$d2 +failed +- +.*DisabledException.*; enable it: kcache key enable $k2"
check "the other is ok all the same" same "$(rows)" "$(printf '%s\n' "failed 7 $d2" "ok 0 $d1")"
kcache key schedule-deletion "$k2" --days 7 -q >/dev/null
kcache check >"$STATE/out" 2>&1
check "pending deletion is told with its date" grep -q "pending deletion, on $(date -u -d '+7 days' +%Y-%m-%d)T.*kcache key cancel-deletion $k2" "$STATE/out"
kcache key cancel-deletion "$k2" -q >/dev/null
kcache key enable "$k2" -q

# --- an attached volume's key ---------------------------------------------------------
dmsetup message vol 0 key wipe
check "doctor: a wiped key is 9" expect_exit 9 kcache doctor vol
check "all before it is ok, so that it can come back" said '^ok +recipient 0 '
check "and says how" said 'next: kcache resume'
kcache detach vol
kcache attach "$d1" vol >/dev/null
dmsetup suspend vol
check "doctor: a suspended one is a warning, and not waited for" matches "$(timeout 30 bash -c "$(declare -f step); step attachment")" \
	'warning: /dev/mapper/vol is suspended'
dmsetup resume vol
kcache detach vol

# --- the device ----------------------------------------------------------------------------
dmsetup create held --table "0 34816 linear $d1 0"
check "a device that something stands on is looked at from above" matches "$(rows)" "ok 0 /dev/mapper/held"
check "below it is in use" matches "$(step place "$d1")" '^failed: it is in use: held by dm-[0-9]+ \(held\)'
dmsetup remove held
d=$(disk 1)
blank "$d"
dd if="$d1" of="$d" bs=1M conv=fsync status=none
check "a copy beside it: neither would attach" same "$(rows)" "$(printf 'failed 5 %s\n' "$d1" "$d" | sort; echo "ok 0 $d2")"
check "and check ends with 5" expect_exit 5 kcache check
check "which says why" said 'carries the same UUID'
blank "$d"
losetup -d "$d2"
check "a device that is not here is told, and no failure" expect_exit 0 kcache check
check "in a line of its own" said "^$u2 +- +absent .*its device is not here"
blockdev --setro "$d1"
check "a read-only one is a warning" same "$(rows | head -n 1 | cut -d' ' -f1,2)" "absent 0"
check "with the next step" matches "$(step device "$d1")" '^warning: .* is read-only; attach it with --readonly'
blockdev --setrw "$d1"

# --- the module --------------------------------------------------------------------------------
check "the module is there for this kernel" matches "$(step kernels '' 2>/dev/null; kcache doctor | grep ' kernels ')" 'all installed kernels \(1\) have the module'
mkdir /lib/modules/9.9.9-test
echo 'kernel/drivers/md/dm-mod.ko:' >/lib/modules/9.9.9-test/modules.dep
check "a kernel without it is a warning" expect_exit 0 kcache check
check "that names it, with the next step" said 'warning: there is no module dm-kcache for kernel 9.9.9-test: booted, it attaches nothing; install it: dkms'
echo 'extra/dm-kcache.ko.xz: kernel/drivers/md/dm-mod.ko' >>/lib/modules/9.9.9-test/modules.dep
check "with it there is none" not grep -q 9.9.9 <(kcache check 2>&1)
rm -r /lib/modules/9.9.9-test
modprobe -r dm-kcache
check "the module need not be loaded" expect_exit 0 kcache check
check "and check does not load it" not grep -q '^dm_kcache ' /proc/modules
check "doctor says that attach will" matches "$(step module "$d1")" "^ok: dm-kcache is installed for ${kernel//+/[+]}"
cp /lib/modules/"$kernel"/modules.dep "$STATE/modules.dep"
grep -v '/dm-kcache.ko' "$STATE/modules.dep" >/lib/modules/"$kernel"/modules.dep
check "without it nothing attaches: 4" expect_exit 4 kcache check
check "with the next step" said "there is no module dm-kcache for the running kernel ${kernel//+/[+]}; install it: dkms"
check "doctor fails at its first step" expect_exit 4 kcache doctor "$d1"
check "and goes on all the same" said '^ok +recipient 0 '
cp "$STATE/modules.dep" /lib/modules/"$kernel"/modules.dep
modprobe dm-kcache

# --- an ephemeral volume -----------------------------------------------------------------------------
kcache create -q --force --ephemeral scratch "$d" >/dev/null
check "doctor: an ephemeral volume has no header to look at" expect_exit 0 kcache doctor scratch
check "and says so" said '^ok +place +it is ephemeral'
dmsetup message scratch 0 key wipe
check "its key does not come back" expect_exit 9 kcache doctor scratch
check "which is said too" said 'gone for good: kcache detach'
kcache detach scratch

# --- the host: a plain swap ----------------------------------------------------------------------
mkswap "$d" >/dev/null
swapon "$d"
check "plaintext swap is a warning" grep -qE "^warning +swap +$d is plaintext" <(kcache doctor)
swapoff "$d"
kcache create -q --force "$d" >/dev/null
kcache attach "$d" vol >/dev/null
mkswap /dev/mapper/vol >/dev/null
swapon /dev/mapper/vol
check "on a volume it is none" grep -qE '^ok +swap ' <(kcache doctor)
swapoff /dev/mapper/vol
kcache detach vol
blank "$d"
