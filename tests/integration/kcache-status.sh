#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# detach, status and list: what they say, in words, JSON and exit codes.
#
# shellcheck disable=SC2016 # for jq, and for a shell in the shell
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mkdir -p /mnt/status
on_exit umount /mnt/status
j() { jq -e "$@" >/dev/null; }

check "status of nothing is fine" expect_exit 0 kcache
check "and says so" said '^no volume is attached$'
check "status of nothing is an empty list" same "$(kcache status --json | jq -c .)" '{"version":1,"volumes":[]}'
check "status of an unknown name is a wrong device" expect_exit 4 kcache status nobody
check "and says so" said '^kcache: nobody: no volume of this name is attached; see kcache list$'
check "detach of an absent name is success" expect_exit 0 kcache detach nobody
check "and in JSON" same "$(kcache detach nobody --json | jq -c .)" \
	'{"version":1,"name":"nobody","uuid":null,"was_attached":false,"pending":false}'
dmsetup create foreign --table "0 2048 zero"
on_exit dmsetup remove foreign
check "status of somebody else's device is a wrong device" expect_exit 4 kcache status foreign
check "detach of somebody else's device is a wrong device" expect_exit 4 kcache detach foreign
check "which stays" attached foreign

volume 24M
d=$LOOP uuid=$VOL
check "attach in JSON" same "$(kcache attach "$d" vol --json | jq -r '[.version, .name, .path, .uuid, .device, .generation, .read_only, .damaged_copy] | join(" ")')" \
	"1 vol /dev/mapper/vol $uuid $d 1 false 0"
check "status of the name" expect_exit 0 kcache status vol
check "shows its key state" said 'key: +valid'
check "and its device" said "device: +$d$"
check "status by the node" expect_exit 0 kcache status /dev/mapper/vol
check "status in JSON" expect_exit 0 kcache status vol --json
check "has the promised members" j --arg d "$d" --arg u "$uuid" '.version == 1 and (.volumes | length) == 1 and (.volumes[0] |
	.name == "vol" and .uuid == $u and .device == $d and .state == "attached" and .key_state == "valid" and
	.size == "8388608" and .read_only == false and .allow_discards == false and .open_count == 0 and
	.target == "kcache" and (.key | startswith("local:")) and (.driver | length) > 0 and
	(.counters.read_bytes | test("^[0-9]+$")))' "$_said"
before=$(kcache status vol --json | jq -r '.volumes[0].counters.write_bytes')
dd if=/dev/zero of=/dev/mapper/vol bs=4096 count=256 oflag=direct status=none
check "written bytes are counted" same "$(kcache status vol --json | jq -r '.volumes[0].counters.write_bytes')" $((before + 1048576))
check "list has a line for it" expect_exit 0 kcache list
check "with a heading" said '^NAME +VOLUME'
check "and its name first" said "^vol +$uuid +$d +8.0 MiB +valid +local:"
check "list without headings" bash -c 'test $(kcache list -n | wc -l) -eq 1'
check "list in JSON" same "$(kcache list --json | jq -c '.volumes[] | [.name, .uuid, .attached, .known, .generation]')" \
	"[\"vol\",\"$uuid\",true,true,\"1\"]"

# --- in use ----------------------------------------------------------------------
mkfs.ext4 -q /dev/mapper/vol
mount /dev/mapper/vol /mnt/status
check "detach while mounted is refused as busy" refused 5 '^kcache: vol \(/dev/loop.*mounted on /mnt/status; unmount' "$STATE/kcache.conf" kcache detach vol
check "it is still attached" attached vol
check "status says where it is mounted" same "$(kcache status vol --json | jq -r '.volumes[0].mountpoint')" /mnt/status
check "create on its device is refused as busy" expect_exit 5 kcache create "$d" --force
umount /mnt/status
sleep 300 3</dev/mapper/vol &
holder=$!
on_exit kill "$holder"
check "detach while a process has it open is refused as busy" expect_exit 5 kcache detach vol
check "and names the process" said "open in process $holder \(sleep\)"
dmsetup create onto --table "0 2048 linear /dev/mapper/vol 0"
check "detach while a device stands on it is refused as busy" expect_exit 5 kcache detach vol
check "and names the device" said 'held by dm-[0-9]+ \(onto\)'
dmsetup remove onto
check "detach --lazy is success" expect_exit 0 kcache detach vol --lazy
check "and says that it waits" said 'will be detached when its last user goes'
check "status says that it is going" same "$(kcache status vol --json | jq -r '.volumes[0].state')" detaching
check "it is still there" attached vol
kill "$holder"
check "it goes with its last user" wait_for 5 not attached vol
check "detach --lazy of what nobody uses" bash -c "kcache attach '$d' vol && kcache detach vol --lazy"
check "is at once" not attached vol
check "list remembers it" same "$(kcache list --json | jq -c '.volumes[] | [.name, .attached, .known]')" '[null,false,true]'
check "detach while it is swap is refused as busy" bash -c "kcache attach '$d' vol && mkswap -q /dev/mapper/vol &&
	swapon /dev/mapper/vol && { kcache detach vol; test \$? -eq 5; }"
check "and says so" bash -c 'kcache detach vol 2>&1 | grep -q "used as swap"; code=$?; swapoff /dev/mapper/vol; exit $code'

# --- the key is gone -----------------------------------------------------------------
dmsetup message vol 0 key wipe
check "status of a wiped key is 9" expect_exit 9 kcache status vol
check "and shows the volume all the same" said 'key: +wiped'
check "and the next step" said '^kcache: vol: its key is wiped: reads and writes fail; run kcache resume vol, or detach it$'
check "in JSON too" expect_exit 9 kcache status vol --json
check "status of all is not an error" expect_exit 0 kcache status
check "a wiped volume detaches" kcache detach vol
check "and attaches again" kcache attach "$d" vol
check "with a valid key" expect_exit 0 kcache status vol

# --- what detach needs ------------------------------------------------------------------
chmod 666 "$KCACHE_CONFIG"
check "detach works with a configuration that is refused" expect_exit 0 kcache detach vol
check "and warns that it was not audited" said 'warning: the audit event detachVolume was not written'
check "it is detached" not attached vol
chmod 600 "$KCACHE_CONFIG"
check "attach" kcache attach "$d" vol
mv "$STATE/state" "$STATE/away"
check "detach needs no keystore" expect_exit 0 kcache detach vol
mv "$STATE/away" "$STATE/state"

# --- without privilege ----------------------------------------------------------------------
check "attach" kcache attach "$d" vol
as_user() { setpriv --reuid=user --regid=user --clear-groups --inh-caps=-all --bounding-set=-all "$@"; }
check "detach without privilege is a matter of permission" expect_exit 2 as_user kcache detach vol
check "it is still attached" attached vol
check "attach without privilege is a matter of permission" expect_exit 2 as_user kcache attach "$d" two
check "detach" kcache detach vol
