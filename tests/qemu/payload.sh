#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lays out what a VM gets of this tree: its tests in /kcache, the tools where
# they are installed, and our module beside the kernel's, known to modprobe.
# What is not built is left out: the caller builds (make vm-test does).
#
#   payload.sh KERNELRELEASE IMAGEFOLDER DESTINATION [MODULE]
#
# MODULE is the file to take for our module, packed or not, in place of the one that
# this tree has built; it goes where DKMS would have put it.
set -euo pipefail

release=$1
image=$2
dest=$3
top=$(cd "$(dirname "$0")/../.." && pwd)
# another build of them: with lines counted, say
tools=${KCACHE_TOOLS:-$top/build/tools}

mkdir -p "$dest/kcache"
cp -a "$top/tests" "$dest/kcache/tests"
cp "$top/VERSION" "$dest/kcache/"
[ ! -d "$top/Documentation" ] || cp -a "$top/Documentation" "$dest/kcache/"

if [ -e "$tools/kcache" ] && [ -e "$tools/kcache-keyhelper" ] &&
	[ -e "$tools/libcryptsetup-token-kcache.so" ]; then
	make -s -C "$top/tools" install O="$tools" DESTDIR="$dest" >/dev/null
	# the root has /lib as a link to /usr/lib; this must not take its place
	if [ -d "$dest/lib" ]; then
		mkdir -p "$dest/usr/lib"
		cp -a "$dest/lib/." "$dest/usr/lib/"
		rm -rf "${dest:?}/lib"
	fi
fi

ko=$top/build/module/$release/dm-kcache.ko
place=extra
if [ -n "${4:-}" ]; then
	ko=$4
	place=updates/dkms
fi
if [ -e "$ko" ]; then
	tree=$dest/../depmod
	lib=lib/modules/$release
	mkdir -p "$tree"
	cp -as "$image/modules/lib" "$tree/"
	rm -f "$tree/$lib"/modules.*
	cp "$image/modules/$lib"/modules.{builtin,builtin.modinfo,order} "$tree/$lib/"
	mkdir -p "$tree/$lib/$place" "$dest/usr/$lib/$place"
	cp "$ko" "$tree/$lib/$place/"
	cp "$ko" "$dest/usr/$lib/$place/"
	depmod -b "$tree" "$release" 2>/dev/null
	cp "$tree/$lib"/modules.* "$dest/usr/$lib/"
fi
