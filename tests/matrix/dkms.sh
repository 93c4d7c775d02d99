#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a suite's root (tests/qemu/suite.sh SUITE run): the module through DKMS, as a
# user of that suite has it. Installed by make dkms-install, by a new kernel's own
# package, and over an older version; removed; and skipped, not failed, for a kernel
# that it is not for.
#
#   dkms.sh RELEASE FOLDER    the module that DKMS has installed goes to FOLDER
. "$(dirname "$0")/../integration/lib.sh"

release=$1 keep=$2
version=$(cat VERSION)
arch=$(uname -m)
hook=/etc/kernel/postinst.d/dkms

# The kernel's modules, which the root has not: DKMS packs ours as those are.
mkdir /tmp/kernel
for deb in /debs/*.deb; do
	dpkg -x "$deb" /tmp/kernel
done
for lib in /tmp/kernel/lib/modules /tmp/kernel/usr/lib/modules; do
	[ ! -d "$lib/$release" ] || cp -a "$lib/$release" /usr/lib/modules/
done
cp /tmp/kernel/boot/*-"$release" /boot/ 2>/dev/null
depmod "$release"

# what there is of ours where DKMS and depmod keep things
ours() {
	find /var/lib/dkms /usr/lib/modules -name '*kcache*'
	grep -l kcache /usr/lib/modules/*/modules.* 2>/dev/null
	dkms status dm-kcache
}
status_is() { same "$(dkms status dm-kcache)" "$1"; }
# it succeeds, and DKMS has nothing to complain of
quietly() {
	expect_exit 0 "$@" || return
	! grep -iE 'warning|error|deprecated|bad exit' "$_said"
}
installed() { find "/usr/lib/modules/$release" -name '*kcache*'; }
field() { modinfo -k "$release" -F "$1" dm-kcache; }

check "there is nothing of ours before" same "$(ours)" ""
check "dkms.conf has the version of VERSION" grep -qx "PACKAGE_VERSION=\"$version\"" dkms.conf

# an older version's source, as it was left
mkdir -p /usr/src/dm-kcache-0.0.1
sed 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="0.0.1"/' dkms.conf >/usr/src/dm-kcache-0.0.1/dkms.conf
dkms add dm-kcache/0.0.1 >/dev/null

check "make dkms-install" quietly make dkms-install "KVER=$release"
check "dkms status says installed, and of this version alone" \
	status_is "dm-kcache/$version, $release, $arch: installed"
check "the module lies in updates/dkms and nowhere else" matches "$(installed)" \
	"^/usr/lib/modules/${release//+/\\+}/updates/dkms/dm-kcache\.ko(\.xz|\.zst|\.gz)?$"
check "packed as the kernel's own" same "$(installed | sed 's/.*\.ko//')" \
	"$(find "/usr/lib/modules/$release/kernel" -name 'dm-mod.ko*' | sed 's/.*\.ko//')"
check "modprobe would take it" same "$(field filename)" "$(installed | sed 's,^/usr,,')"
check "it is for this kernel" matches "$(field vermagic)" "^${release//+/\\+} SMP "
check "and under the kernel's licence" same "$(field license)" GPL
check "its source is the one of this tree" diff -r dm-kcache "/usr/src/dm-kcache-$version/dm-kcache"
mkdir -p "$keep"
rm -f "$keep"/dm-kcache.ko*
cp "$(installed)" "$keep/"

check "dkms remove" quietly dkms remove "dm-kcache/$version" --all
check "leaves nothing" same "$(ours)" ""

# --- kernels that come later --------------------------------------------------
check "dkms add" quietly dkms add "dm-kcache/$version"
check "dkms status says added" status_is "dm-kcache/$version: added"

# other_kernel RELEASE CONFIG...: headers of a kernel that nobody will build for
other_kernel() {
	local build=/usr/lib/modules/$1/build

	mkdir -p "$build/include/config"
	printf '%s\n' "${@:2}" | tee "$build/.config" >"$build/include/config/auto.conf"
	cp -a "/usr/src/linux-headers-$release/Makefile" "$build/"
}
config=(CONFIG_BLK_DEV_DM=m CONFIG_KEYS=y CONFIG_CRYPTO=y CONFIG_MODULES=y)
skipped() { # RELEASE
	expect_exit 77 dkms build "dm-kcache/$version" -k "$1" || return
	said 'BUILD_EXCLUSIVE directive' && said 'does not match this kernel' && status_is "dm-kcache/$version: added"
}
# by the hook of the kernel's package, which must not fail with it
package_skipped() { # RELEASE
	expect_exit 0 "$hook" "$1" && said 'does not match this kernel' && status_is "dm-kcache/$version: added"
}
for old in 5.10.0-99-cloud-amd64 5.19.17 6.0.19-amd64; do
	other_kernel "$old" "${config[@]}"
	check "Linux $old is skipped with a clear word" skipped "$old"
	check "and its package does not fail" package_skipped "$old"
done
for without in BLK_DEV_DM KEYS CRYPTO; do
	other_kernel "6.12.0-without-$without" "${config[@]/#CONFIG_$without=*/# CONFIG_$without is not set}"
	check "so is one without CONFIG_$without" skipped "6.12.0-without-$without"
done
# the same of releases, asked of the expression itself
exclusive=$(set +u; . ./dkms.conf && echo "$BUILD_EXCLUSIVE_KERNEL")
for new in 6.1.0-56-cloud-amd64 6.9.1 6.10.0 6.19-rc1 7.0.1 7.2.13+deb14-cloud-amd64 10.1.0 "$release"; do
	check "Linux $new is not" matches "$new" "$exclusive"
done

check "a kernel's package has it built" expect_exit 0 "$hook" "$release"
check "and installed" status_is "dm-kcache/$version, $release, $arch: installed"
check "the same module" cmp <(modinfo -k "$release" dm-kcache) <(modinfo "$keep"/dm-kcache.ko* | sed "1s,/.*,$(field filename),")
check "make dkms-install once more replaces it" quietly make dkms-install "KVER=$release"
check "and is installed" status_is "dm-kcache/$version, $release, $arch: installed"
check "dkms remove" quietly dkms remove "dm-kcache/$version" --all
check "leaves nothing this time too" same "$(ours)" ""
