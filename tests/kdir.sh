#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which kernel to build the module for.
#
#   kdir.sh         the build folder: the running kernel's, or else the newest
#                   installed headers, and says so
#   kdir.sh --vm    the release of the newest installed cloud headers: the VM's
set -eu

newest() { # PATTERN: releases with a build folder, newest last
	for d in /lib/modules/*/build /usr/src/linux-headers-*; do
		[ -e "$d/Module.symvers" ] || continue
		d=${d%/build}
		d=${d#/lib/modules/}
		echo "${d#/usr/src/linux-headers-}"
	done | grep -e "$1" | sort -uV | tail -n 1
}

folder() {
	if [ -e "/lib/modules/$1/build/Makefile" ]; then
		echo "/lib/modules/$1/build"
	else
		echo "/usr/src/linux-headers-$1"
	fi
}

if [ "${1:-}" = --vm ]; then
	release=$(newest '-cloud-')
	if [ -z "$release" ]; then
		echo "no cloud kernel's headers here: apt-get install linux-headers-cloud-amd64" >&2
		exit 1
	fi
	echo "$release"
	exit
fi

running=/lib/modules/$(uname -r)/build
if [ -e "$running/Makefile" ]; then
	echo "$running"
	exit
fi
release=$(newest '')
if [ -z "$release" ]; then
	echo "no kernel headers here: apt-get install linux-headers-amd64" >&2
	exit 1
fi
echo "the running kernel $(uname -r) has no headers here: building for $release (KDIR=... chooses)" >&2
folder "$release"
