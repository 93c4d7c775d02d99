# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For tests of the target by itself, with dmsetup. Sourced after lib.sh.

# a key of this test under a description: add_key DESC [FILE]; without a FILE a
# random one, kept in $KEYS/DESC
KEYS=$(mktemp -d)
on_exit rm -rf "$KEYS"
add_key() {
	[ $# -gt 1 ] || head -c 64 /dev/urandom >"$KEYS/$1"
	keyctl padd logon "kcache:$1" @s <"${2:-$KEYS/$1}" >/dev/null
}
forget_key() { keyctl purge logon "kcache:$1" >/dev/null; }

# line TARGET KEY IV_OFFSET DEVICE OFFSET SECTORS [OPTION...]: a table line.
# TARGET is crypt or kcache: the rest is the same, which is the point
line() {
	local target=$1 key=$2 iv=$3 dev=$4 offset=$5 sectors=$6

	shift 6
	echo "0 $sectors $target aes-xts-plain64 :64:logon:kcache:$key $iv $dev $offset${*:+ $# $*}"
}

# map NAME LINE-ARGUMENTS...: makes the device, which goes at the end
map() {
	local name=$1

	shift
	on_exit dmsetup remove -f "$name"
	dmsetup create "$name" --table "$(line "$@")"
}
unmap() { dmsetup remove --retry "$1"; }

# words of "dmsetup status"
state_of() { dmsetup status "$1" | tr ' ' '\n' | sed -n "s/^$2://p"; }

# past the page cache, both ways
put() { dd if="$1" of="$2" bs=256K oflag=direct conv=fsync status=none; }
get() { dd if="$1" bs=256K iflag=direct status=none; }
