#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes what a VM boots, once for a kernel and a list of packages, in the cache:
#
#   image.sh KERNELRELEASE [SUITE|kernel:FLAVOUR]      prints the folder that holds
#     vmlinux     the distribution's kernel, unpacked (saves a second a boot)
#     initrd      busybox, the disk drivers and init
#     root.img    ext4, read-only: packages "vm-root" of tests/packages
#     modules/    the kernel's modules, for depmod with ours among them
#
# Nothing is installed on this machine. Packages come from where this machine's
# own apt gets Debian's; the kernel of another suite from suite.sh, one of our own
# from tests/kernel/build.sh.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
release=$1
. /etc/os-release
named=${2:-}
suite=${named:-$VERSION_CODENAME}
ours=
if [[ $suite = kernel:* ]]; then
	ours=$("$here/../kernel/build.sh" "${suite#kernel:}")
	suite=$VERSION_CODENAME
fi
cache=${KCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-kcache}

say() { echo "vm: $*" >&2; }
die() { say "$*"; exit 1; }
. "$here/apt.sh"

packages=$("$here/../packages.sh" --list vm-root)
key=$({ echo "$release $suite $ours $packages"; cat "$here/image.sh" "$here/apt.sh" "$here/init"; } | sha256sum)
image=$cache/vm-$release-${key:0:12}

mkdir -p "$cache"
# one at a time; the second finds it made
exec 9>"$cache/.lock"
flock 9
if [ -e "$image/root.img" ]; then
	echo "$image"
	exit
fi
say "making the VM's image for $release, once (kept in $cache)"

work=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# --- the kernel -------------------------------------------------------------
kernel_package() {
	local version

	# another suite's, or a newer one of this suite than this machine has headers of
	if [ "$suite" != "$VERSION_CODENAME" ] || { [ -n "$named" ] && [ ! -e "/usr/src/linux-headers-$release" ]; }; then
		cp "$("$here/suite.sh" "$suite")"/debs/*.deb "$work/"
		return
	fi
	# the version that its headers have; the newest, where apt has that no more
	version=$(dpkg-query -W -f '${Version}' "linux-headers-$release" 2>/dev/null) || version=
	for p in ${version:+"linux-image-$release=$version"} "linux-image-$release"; do
		(cd "$work" && apt-get -qq download "$p") >"$work/apt.log" 2>&1 && return
	done
	return 1
}
if [ -n "$ours" ]; then
	cp -a "$ours/modules" "$work/kernel"
elif ! kernel_package; then
	cat "$work/apt.log" >&2
	die "apt has no linux-image-$release: run apt-get update, and apt-get install linux-headers-cloud-amd64 where that kernel is gone"
fi
for deb in "$work"/*.deb; do
	[ -e "$deb" ] || break
	dpkg -x "$deb" "$work/kernel"
done
modules=$work/kernel/lib/modules/$release
[ -d "$modules" ] || modules=$work/kernel/usr/lib/modules/$release

# A bzImage unpacks itself, under TCG in a second or more. The packed kernel in
# it starts at the first of these magics that unpacks to an ELF file.
unpack_kernel() {
	local image=$1 out=$2 magic tool at

	while read -r magic tool; do
		while read -r at; do
			tail -c +$((at + 1)) "$image" | $tool >"$out" 2>/dev/null || true
			[ "$(head -c 4 "$out" | tail -c 3)" != ELF ] || return 0
		done < <(grep -aboP "$magic" "$image" | cut -d: -f1)
	done <<-'END'
		\xfd7zXZ\x00 xz -dc --single-stream
		\x28\xb5\x2f\xfd zstd -dc
		\x02\x21\x4c\x18 lz4 -dc
		\x1f\x8b\x08 gzip -dc
	END
	return 1
}
vmlinuz=$work/kernel/boot/vmlinuz-$release
# where newer packages put it
[ -e "$vmlinuz" ] || vmlinuz=$modules/vmlinuz
if [ -n "$ours" ]; then
	cp "$ours/vmlinuz" "$work/vmlinux"
else
	unpack_kernel "$vmlinuz" "$work/vmlinux" || die "cannot unpack vmlinuz-$release"
fi

# What storage tests may want; sound, network cards and the like are left out.
mkdir -p "$work/modules/lib/modules/$release/kernel"
for d in arch block crypto lib mm fs \
	drivers/{acpi,block,cdrom,char,crypto,dax,md,nvdimm,nvme,pci,scsi,tty,virtio,watchdog}; do
	[ -d "$modules/kernel/$d" ] || continue
	mkdir -p "$work/modules/lib/modules/$release/kernel/$(dirname "$d")"
	cp -a "$modules/kernel/$d" "$work/modules/lib/modules/$release/kernel/$d"
done
cp "$modules"/modules.{builtin,builtin.modinfo,order} "$work/modules/lib/modules/$release/"
find "$work/modules" -name '*.ko.xz' -exec xz -d {} +
find "$work/modules" -name '*.ko.zst' -exec zstd -q -d --rm {} +
depmod -b "$work/modules" "$release" 2>/dev/null

# --- the root ---------------------------------------------------------------
debian_sources "$suite" >"$work/sources.list" || exit
mode=root
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	mode=unshare
	as_root=(fakeroot)
fi
if ! mmdebstrap --mode=$mode --variant=extract --format=tar "${aptopts[@]}" \
	--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
	--include="$(echo "$packages" | paste -sd,)" \
	"$suite" "$work/root.tar" "$work/sources.list" >"$work/mmdebstrap.log" 2>&1; then
	cat "$work/mmdebstrap.log" >&2
	die "mmdebstrap failed, see above"
fi

# Packages were unpacked, not configured: that is quick and runs nothing of
# theirs; the little that their scripts would have done is done here.
make_root() {
	local root=$work/root

	mkdir "$root"
	tar -C "$root" --exclude=./usr/share/doc --exclude=./usr/share/locale \
		--exclude=./usr/share/man --exclude='./usr/share/info' --exclude='./dev/*' \
		--exclude='./var/lib/apt/*' --exclude='./var/cache/apt/*' -xf "$work/root.tar"
	cp -a "$work/modules/lib/modules" "$root/usr/lib/"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/bash' 'daemon:x:1:1::/:/usr/sbin/nologin' \
		'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin' \
		'user:x:1000:1000::/tmp:/bin/bash' >"$root/etc/passwd"
	printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'disk:x:6:' 'tty:x:5:' 'nogroup:x:65534:' 'user:x:1000:' \
		>"$root/etc/group"
	echo '127.0.0.1 localhost kcache-vm' >"$root/etc/hosts"
	: >"$root/etc/fstab"
	ln -sf /proc/self/mounts "$root/etc/mtab"
	for pair in awk:gawk which:which.debianutils; do
		[ -e "$root/usr/bin/${pair%:*}" ] || ln -s "${pair#*:}" "$root/usr/bin/${pair%:*}"
	done
	# no udev runs here: LVM and libdevmapper make the nodes themselves
	sed -i 's/^[\t# ]*\(udev_sync\|udev_rules\|obtain_device_list_from_udev\) *=.*/\1 = 0/' \
		"$root/etc/lvm/lvm.conf" 2>/dev/null || true
	mkdir -p "$root/kcache" "$root/mnt"
	: >"$root/etc/machine-id"
	mke2fs -q -t ext4 -O ^has_journal -d "$root" -L kcache-vm "$work/root.img" \
		"$(($(du -sm "$root" | cut -f1) * 12 / 10 + 64))M" >/dev/null
}
export work release
"${as_root[@]}" bash -c "set -euo pipefail; $(declare -f make_root); make_root"

# --- the initrd -------------------------------------------------------------
# The drivers in the order that insmod needs, then init.
mkdir -p "$work/initrd"/{bin,dev,proc,root,rw,lib}
tar -C "$work" --wildcards -xf "$work/root.tar" './usr/bin/busybox'
cp "$work/usr/bin/busybox" "$work/initrd/bin/"
cp "$here/init" "$work/initrd/init"
chmod 755 "$work/initrd/init"
for m in virtio_pci virtio_blk virtio_console overlay; do
	modprobe -d "$work/modules" -S "$release" --show-depends "$m" 2>/dev/null |
		sed -n 's/^insmod //p'
done | awk '!seen[$1]++ { print $1 }' >"$work/drivers"
while read -r ko; do
	cp "$ko" "$work/initrd/lib/"
	basename "$ko"
done <"$work/drivers" >"$work/initrd/lib/order"
(cd "$work/initrd" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initrd.cpio"

mkdir "$work/image"
mv "$work/vmlinux" "$work/root.img" "$work/modules" "$work/image/"
mv "$work/initrd.cpio" "$work/image/initrd"
mv "$work/image" "$image"
# what older lists of packages and kernels left behind
find "$cache" -maxdepth 1 -name 'vm-*' -mtime +14 ! -path "$image" -exec rm -rf {} +
echo "$image"
