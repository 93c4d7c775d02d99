# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the attach scripts share: a volume is attached once, by the policy of this host,
# and every command that needs root is shown before it runs, as wg-quick does. They use
# kcache, whose exit codes are theirs; nothing is ever formatted, and what is handed out
# is /dev/mapper/NAME or nothing.
set -eu

run() {
	printf '[#] %s\n' "$*" >&2
	"$@"
}

# die CODE TEXT: the codes are those of kcache(8)
die() {
	code=$1
	shift
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$code"
}

# same DEVICE NODE: is NODE, which carries a mapped volume, this device, or the loop device of this file?
same() {
	if [ -f "$1" ]; then
		backing=/sys/block/${2#/dev/}/loop/backing_file
		[ -r "$backing" ] && [ "$(readlink -f "$1")" = "$(cat "$backing")" ]
	else
		[ "$(stat -L -c %t:%T "$1")" = "$(stat -L -c %t:%T "$2" 2>/dev/null)" ]
	fi
}

# attached DEVICE NAME: 0 if it is, by this name; ends the script if something else has the name
attached() {
	[ -e "/dev/mapper/$2" ] || return 1
	list=$(kcache list --no-headings) || exit
	below=$(printf '%s\n' "$list" | awk -v name="$2" '$1 == name { print $3 }')
	[ -n "$below" ] && same "$1" "$below" && return 0
	die 5 "/dev/mapper/$2 is something else than $1: choose another name, or detach it"
}

# attach DEVICE NAME [options of kcache attach]: prints the node; again, if it is attached already
attach() {
	device=$1 name=$2
	shift 2
	case $name in */*) die 1 "\`$name' cannot be a name in /dev/mapper" ;; esac
	# of two at once the second one finds what the first has done
	exec 9>"/run/kcache-attach-$name.lock"
	flock 9
	if ! attached "$device" "$name"; then
		run kcache policy check -q "$device" >/dev/null
		run kcache attach "$device" "$name" "$@" >/dev/null
	fi
	# 9 if its key is gone
	run kcache status "$name" >/dev/null
	printf '/dev/mapper/%s\n' "$name"
}
