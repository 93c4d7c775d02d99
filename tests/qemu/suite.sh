#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Another Debian suite with its kernel's headers, its compiler and its DKMS: a
# root file system in the cache, made once.
#
#   suite.sh SUITE                 prints the folder that holds
#     root/      the file system
#     release    its cloud kernel's release
#     debs/      that kernel's packages, for image.sh
#   suite.sh SUITE build FOLDER    runs kbuild in FOLDER (in this tree) with them
#   suite.sh SUITE refresh         forgets the root: the next use makes a new one
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
suite=$1
cache=${KCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-kcache}

say() { echo "suite: $*" >&2; }
die() { say "$*"; exit 1; }

packages=$("$here/../packages.sh" --list suite-root)
key=$({ echo "$suite $packages"; cat "$here/suite.sh"; } | sha256sum)
folder=$cache/suite-$suite-${key:0:12}
mkdir -p "$cache"
exec 9>"$cache/.suite-$suite.lock"
flock 9

if [ "${2:-}" = refresh ]; then
	rm -rf "$cache/suite-$suite-"*
	exit
fi

# In the root: which cloud kernel the headers are for, and its packages. Newer
# kernels come in several.
# shellcheck disable=SC2016 # expanded in there
fetch_kernel='
	cd /debs
	for d in /usr/src/linux-headers-*-cloud-amd64; do release=${d#/usr/src/linux-headers-}; done
	parts=$(apt-cache depends "linux-image-$release" |
		sed -n "s/^ *Depends: \(linux-\(base\|binary\|modules\)-$release\)$/\1/p")
	apt-get -qq -o APT::Sandbox::User=root download "linux-image-$release" $parts
	echo "$release" >release'

if [ ! -e "$folder/release" ]; then
	[ "$(id -u)" -eq 0 ] || die "making and using a root of $suite needs root"
	say "making a root of $suite, once (kept in $cache)"
	. "$here/apt.sh"
	work=$(mktemp -d "$cache/.new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work"
	debian_sources "$suite" >"$work/sources.list"
	# shellcheck disable=SC2016 # mmdebstrap's $1
	mmdebstrap --mode=root --variant=minbase --format=directory "${aptopts[@]}" \
		--include="$(echo "$packages" | paste -sd,)" \
		--customize-hook='mkdir "$1/debs"' \
		--customize-hook="chroot \"\$1\" sh -euc '$fetch_kernel'" \
		"$suite" "$work/root" "$work/sources.list" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; die "mmdebstrap failed, see above"; }
	mv "$work/root/debs" "$work/debs"
	mv "$work/debs/release" "$work/release"
	rm -rf "$cache/suite-$suite-"*
	mv "$work" "$folder"
fi

if [ $# -eq 1 ]; then
	echo "$folder"
	exit
fi
[ "$2" = build ] || die "unknown word $2"
release=$(cat "$folder/release")
root=$folder/root
# this tree at its own place in the root, and /proc, which objtool reads: both
# mounts end with the command
mkdir -p "$root$top"
# shellcheck disable=SC2016 # expanded in there
unshare --mount --pid --fork sh -euc '
	root=$1 top=$2
	shift 2
	mount --bind "$top" "$root$top"
	mount -t proc proc "$root/proc"
	exec chroot "$root" "$@"' sh "$root" "$top" \
	make -C "/usr/src/linux-headers-$release" "M=$(realpath "$3")" modules
