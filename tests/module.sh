#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lays out the folder that kbuild builds the module in: links to the sources, so
# that objects land beside the links and the tree stays clean, and one tree can
# be built for several kernels.
#
#   module.sh FOLDER
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p "$1/dm-kcache"
cd "$1"
for f in Kbuild VERSION dm-kcache/*.c dm-kcache/*.h; do
	# what is gone from the sources goes here too
	[ -e "$top/$f" ] || rm -f "$f"
done
for f in "$top/Kbuild" "$top/VERSION" "$top"/dm-kcache/*.[ch]; do
	to=${f#"$top/"}
	[ "$(readlink "$to")" = "$f" ] || ln -sf "$f" "$to"
done
