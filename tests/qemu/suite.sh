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
#   suite.sh SUITE run COMMAND...  runs COMMAND as root in the root, in this tree at
#                                  its own place, with debs/ at /debs. What it changes
#                                  outside of this tree is gone when it ends
#   suite.sh SUITE current         as with the suite alone, but makes a new root where the
#                                  suite has another kernel by now (asked once a day)
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

# enter build|run COMMAND...: COMMAND as root in the root, this tree at its own place.
# /proc is for objtool, which reads it; all mounts end with the command. "run" has
# an overlay in memory, for which the folder is made.
enter() {
	local over=

	[ "$1" = build ] || over=$(mktemp -d)
	shift
	# shellcheck disable=SC2016 # expanded in there
	unshare --mount --pid --fork sh -euc '
		root=$1 top=$2 debs=$3 over=$4
		shift 4
		if [ -n "$over" ]; then
			mount -t tmpfs -o mode=755 over "$over"
			mkdir "$over/upper" "$over/work" "$over/root"
			mount -t overlay -o "lowerdir=$root,upperdir=$over/upper,workdir=$over/work" over "$over/root"
			root=$over/root
			mkdir "$root/debs"
			mount --bind "$debs" "$root/debs"
		fi
		mkdir -p "$root$top"
		mount --bind "$top" "$root$top"
		mount -t proc proc "$root/proc"
		exec chroot "$root" sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$top" "$@"' \
		sh "$folder/root" "$top" "$folder/debs" "$over" "$@" && code=0 || code=$?
	[ -z "$over" ] || rmdir "$over"
	return "$code"
}

# Which kernel the suite has now. Nothing stays of the question, and the answer is
# the one that we have where nobody can be asked.
if [ "${2:-}" = current ] && [ -e "$folder/release" ] && [ -z "$(find "$folder/asked" -mmin -1440 2>/dev/null)" ]; then
	# shellcheck disable=SC2016 # expanded in there
	if now=$(enter run sh -euc '
		apt-get -qq -o APT::Sandbox::User=root update
		apt-cache depends linux-headers-cloud-amd64 |
			sed -n "s/^ *Depends: linux-headers-\(.*-cloud-amd64\)$/\1/p" | head -n 1') && [ -n "$now" ]; then
		touch "$folder/asked"
		if [ "$now" != "$(cat "$folder/release")" ]; then
			say "$suite has Linux $now now"
			rm -rf "$cache/suite-$suite-"*
		fi
	else
		say "cannot ask which kernel $suite has now; it had Linux $(cat "$folder/release")"
	fi
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
	touch "$work/asked"
	rm -rf "$cache/suite-$suite-"*
	mv "$work" "$folder"
fi

if [ $# -eq 1 ] || [ "$2" = current ]; then
	echo "$folder"
	exit
fi
case $2 in
build) enter build make -C "/usr/src/linux-headers-$(cat "$folder/release")" "M=$(realpath "$3")" modules ;;
run) enter "${@:2}" ;;
*) die "unknown word $2" ;;
esac
