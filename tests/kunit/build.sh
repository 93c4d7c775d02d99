#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds dm-kcache-kunit.ko for a kernel that has KUnit, and prints where it is:
#
#   build.sh KDIR [make arguments]
#
# KDIR is a build folder as tests/kernel/build.sh makes it (FOLDER/build).
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
kdir=$1
shift
release=$(cat "$kdir/include/config/kernel.release")
dir=$top/build/kunit/$release

# links to the sources, so that objects land beside the links (tests/module.sh)
"$top/tests/module.sh" "$dir"
mkdir -p "$dir/tests/kunit"
ln -sf "$top/Kbuild" "$dir/Kbuild.module"
ln -sf "$top/tests/kunit/Kbuild" "$dir/Kbuild"
for f in "$dir"/tests/kunit/*.[ch]; do
	# what is gone from the sources goes here too; links first, then what kbuild made
	[ ! -L "$f" ] || [ -e "$f" ] || rm -f "$f"
done
for f in "$top"/tests/kunit/*.[ch]; do
	ln -sf "$f" "$dir/tests/kunit/"
done
make -s -j"$(nproc)" -C "$kdir" M="$dir" "$@" modules >"$dir/log" 2>&1 || {
	cat "$dir/log" >&2
	exit 1
}
# a warning is a mistake in the tests
if grep -E 'warning:|WARNING:' "$dir/log" >&2; then
	exit 1
fi
echo "$dir/dm-kcache-kunit.ko"
