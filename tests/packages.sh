#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian packages that a purpose of tests/packages needs.
#
#   packages.sh --list PURPOSE...   print them
#   packages.sh PURPOSE...          install what is missing, as root or by sudo
#
# Where all is there this takes no time and asks no package host.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

list() {
	for purpose; do
		sed -n "s/^$purpose://p" "$here/packages"
	done | tr -s ' \n' '\n' | sed '/^$/d' | sort -u
}

if [ "${1:-}" = --list ]; then
	shift
	list "$@"
	exit
fi

if ! command -v dpkg-query >/dev/null; then
	echo "packages: this is not Debian: install by hand: $(list "$@" | tr '\n' ' ')" >&2
	exit 0
fi

wanted=$(list "$@")
# shellcheck disable=SC2086 # one word a package
have=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $wanted 2>/dev/null |
	sed -n 's/^.i[^ ]* *//p' | sort -u)
missing=$(printf '%s\n' "$wanted" | while read -r p; do
	printf '%s\n' "$have" | grep -qxF "$p" || printf '%s ' "$p"
done)
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo=sudo
	if ! command -v sudo >/dev/null; then
		echo "packages: missing: $missing" >&2
		echo "packages: run this as root, or: apt-get install $missing" >&2
		exit 1
	fi
fi

echo "packages: installing $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if ! { $sudo apt-get -q update &&
	$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y install --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	echo "packages: apt-get failed, see above" >&2
	exit 1
fi
