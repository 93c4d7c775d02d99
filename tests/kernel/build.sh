#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Kernels that no distribution has, from Debian's linux-source: for KUnit, under
# KASAN and lockdep, and User Mode Linux. Built once, with ccache, in the cache.
#
#   build.sh FLAVOUR              prints the folder that holds
#     release     its release
#     build/      its build folder, for modules (KDIR)
#     vmlinuz     the kernel (um: a program)
#     modules/    its modules, under lib/modules/RELEASE
#   build.sh FLAVOUR --have       the same, and fails where it is not built yet
#
# base    x86, KUnit; what tests/qemu/vm needs and little more
# debug   base and all that the integration tests stack on, under KASAN, lockdep,
#         UBSAN, kmemleak, atomic-sleep and object debugging, with fault injection
# um      User Mode Linux, KUnit
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
flavour=$1
cache=${KCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-kcache}

say() { echo "kernel: $*" >&2; }
die() { say "$*"; exit 1; }

case $flavour in
base) fragments=(base harness) arch=x86_64 ;;
debug) fragments=(base harness storage debug) arch=x86_64 ;;
um) fragments=(um) arch=um ;;
*) die "no flavour $flavour: want base, debug or um" ;;
esac
fragments=("${fragments[@]/%/.config}")

tar=$(printf '%s\n' /usr/src/linux-source-6.1.tar.xz)
[ -e "$tar" ] || die "no linux-source package here: apt-get install linux-source-6.1"
version=$(dpkg-query -W -f '${Version}' linux-source-6.1 2>/dev/null || stat -c %Y "$tar")
key=$(cd "$here" && { echo "$version $(gcc -dumpfullversion)"; cat build.sh "${fragments[@]}"; } | sha256sum)
folder=$cache/kernel-$flavour-${key:0:12}
if [ -e "$folder/release" ]; then
	echo "$folder"
	exit
fi
[ "${2:-}" != --have ] || exit 1

mkdir -p "$cache"
# one at a time: a kernel takes all of the machine
exec 9>"$cache/.kernel.lock"
flock 9
[ ! -e "$folder/release" ] || { echo "$folder"; exit; }
say "building the $flavour kernel, once (kept in $cache): some minutes"
# what older fragments left behind; another worktree may be using a newer one
find "$cache" -maxdepth 1 -name "kernel-$flavour-*" -mtime +14 -exec rm -rf {} +
rm -rf "$folder"
mkdir -p "$folder/build"

source=$cache/linux-source-$version
if [ ! -e "$source/Makefile" ]; then
	rm -rf "$cache"/linux-source-*.new "$source"
	mkdir "$source.new"
	tar -C "$source.new" --strip-components=1 -xf "$tar"
	mv "$source.new" "$source"
fi

# the same bytes for the same input, so that the compiler cache knows them
export KBUILD_BUILD_TIMESTAMP='2026-01-01' KBUILD_BUILD_USER=kcache KBUILD_BUILD_HOST=kcache
export CCACHE_DIR=$cache/ccache CCACHE_BASEDIR=$folder CCACHE_MAXSIZE=3G CCACHE_NOHASHDIR=1
kmake() {
	# QEMU enters the kernel by its PVH entry, whose code, and the memcmp() that it
	# calls, run before KASAN has a shadow to look at
	make -C "$source" O="$folder/build" ARCH=$arch CC="ccache gcc" HOSTCC="ccache gcc" \
		KASAN_SANITIZE_enlighten.o=n KASAN_SANITIZE_string.o=n "$@"
}
log=$folder/log
{
	kmake tinyconfig
	(cd "$here" && KCONFIG_CONFIG=$folder/build/.config "$source/scripts/kconfig/merge_config.sh" \
		-O "$folder/build" -m "$folder/build/.config" "${fragments[@]}")
	"$source/scripts/config" --file "$folder/build/.config" --set-str LOCALVERSION "-kcache-$flavour"
	kmake olddefconfig
	if [ $arch = um ]; then
		kmake -j"$(nproc)" all
	else
		kmake -j"$(nproc)" vmlinux modules
	fi
	kmake modules_install INSTALL_MOD_PATH="$folder/modules" INSTALL_MOD_STRIP=1 DEPMOD=true
} >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "the build failed: $log"; }

# what was asked for and is not there: options that this source does not have, or
# whose conditions are not met, would be missed only when a test needs them
(cd "$here" && grep -hE '^CONFIG_[A-Z0-9_]+=[ym]' "${fragments[@]}") | while IFS='=' read -r option value; do
	grep -qE "^$option=[ym]" "$folder/build/.config" || echo "$option=$value"
done >"$folder/config.missing"

release=$(cat "$folder/build/include/config/kernel.release")
if [ $arch = um ]; then
	cp "$folder/build/linux" "$folder/vmlinuz"
else
	strip -g -o "$folder/vmlinuz" "$folder/build/vmlinux"
fi
rm -f "$folder/modules/lib/modules/$release/"{build,source}
# objects are in ccache; a module wants headers, scripts and the list of symbols
find "$folder/build" -name '*.o' ! -path '*/scripts/*' ! -path '*/tools/*' ! -name 'module.lds*' -delete
echo "$release" >"$folder/release"
echo "$folder"
