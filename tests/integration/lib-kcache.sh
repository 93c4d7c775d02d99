# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What tests of the command share, after lib.sh: a configuration of their own,
# small devices, and what must hold after every refusal.
#
# shellcheck disable=SC2154,SC2034 # _said is lib.sh's; VOL is for the test

STATE=$(mktemp -d /tmp/kcache.XXXXXX)
on_exit rm -rf "$STATE"
export KCACHE_CONFIG=$STATE/kcache.conf
cat >"$KCACHE_CONFIG" <<END
state_dir = $STATE/state
audit_file = $STATE/audit.jsonl
END
mkdir -m 700 "$STATE/state"
modprobe dm-kcache

# volume SIZE [create's options]: sets $LOOP to a loop device with a new volume, $VOL to its UUID
volume() {
	local size=$1
	shift

	loop_device "$size"
	VOL=$(kcache create -q "$LOOP" "$@")
}

# attached NAME: is it?
attached() { dmsetup info "$1" >/dev/null 2>&1; }

# no key of ours in any keyring; what was revoked may wait for the collector a moment
keys_gone() { [[ $(</proc/keys) != *kcache:* ]]; }
no_keys() {
	keys_gone || wait_for 3 keys_gone || { grep 'kcache:' /proc/keys; return 1; }
}

# Sectors the kernel has written to DEVICE so far, and discarded; a file's own hash.
# Counters, because hashing a disk a hundred times takes longer than all the rest.
written() {
	local node stat

	if [ -b "$1" ]; then
		node=$(readlink -f "$1")
		read -ra stat <"/sys/class/block/${node#/dev/}/stat"
		echo "${stat[6]} ${stat[13]}"
	else
		sha256sum <"$1"
	fi
}

# refused CODE REGEX DEVICE COMMAND...: COMMAND exits with CODE (or one of CODE|CODE)
# and says REGEX in one line; nothing is mapped, no key is left in any keyring, and
# nothing is written to DEVICE
refused() {
	local codes=$1 regex=$2 device=$3 before maps code=0 said
	shift 3

	[ ! -b "$device" ] || sync "$device"
	before=$(written "$device")
	maps=$(echo /sys/class/block/dm-*)
	"$@" >"$_said" 2>&1 || code=$?
	cat "$_said"
	# one that was not refused must not stand in the way of the next
	[ $code -ne 0 ] || kcache detach vol
	[[ "|$codes|" = *"|$code|"* ]] || { echo "exit code $code, not $codes"; return 1; }
	said=$(grep -v 'warning: ' "$_said")
	[[ $said != *$'\n'* ]] || { echo "more than one line"; return 1; }
	[[ $said =~ $regex ]] || { echo "does not say: $regex"; return 1; }
	same "$(echo /sys/class/block/dm-*)" "$maps" || return 1
	[ ! -b "$device" ] || sync "$device"
	same "$(written "$device")" "$before" || return 1
	no_keys
}
