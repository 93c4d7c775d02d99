#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install and make dkms-install into a folder (DESTDIR), as who makes a package
# has it: everything lies where it belongs, and nothing of this machine is touched.
. "$(dirname "$0")/../integration/lib.sh"

cd "$TESTDIR/../.." || exit
version=$(cat VERSION)
release=$(tests/kdir.sh --vm)
kdir=/lib/modules/$release/build
[ -e "$kdir" ] || kdir=/usr/src/linux-headers-$release
dest=build/matrix/install
rm -rf "$dest"
multiarch=$(gcc -print-multiarch)
files() { (cd "$dest" && find . -type f | sed 's,^\./,,' | sort); }

# a folder's name from here, which is not where kbuild and tools/ look
check "make install into a folder" make -s install "DESTDIR=$dest" "KDIR=$kdir"
modules=$(files | grep '^lib/modules/')
check "has the module for $release, and no list of modules" matches "$modules" \
	"^lib/modules/$release/(extra|updates)/dm-kcache\.ko$"
check "and what the tools are, each at its place" same "$(files | grep -v '^lib/modules/')" "$(sort <<END
lib/$multiarch/cryptsetup/libcryptsetup-token-kcache.so
usr/lib/udev/rules.d/65-kcache.rules
$(printf 'usr/libexec/kcache/attach/%s\n' kcache-attach-cloud kcache-attach-loop kcache-attach-lvm lib.sh)
usr/libexec/kcache/kcache-keyhelper
$(printf 'usr/libexec/kcache/kcache-keyhelper-%s\n' aws pkcs11 tpm2)
usr/libexec/kcache/udev-policy
usr/local/sbin/kcache
usr/local/share/bash-completion/completions/kcache
$(for p in Documentation/man/*.[578]; do echo "usr/local/share/man/man${p##*.}/${p##*/}"; done)
END
)"
check "the command runs from there" same "$("$dest/usr/local/sbin/kcache" --version)" "kcache $version"
rm -rf "$dest"
check "make install with a PREFIX" make -s -C tools "O=$PWD/build/tools" install "DESTDIR=$PWD/$dest" PREFIX=/usr
check "goes there" same "$(files | grep -cx 'usr/sbin/kcache\|usr/share/man/man8/kcache.8')" 2

rm -rf "$dest"
check "make dkms-install into a folder asks DKMS nothing" env PATH="$PWD/$dest/bin:$PATH" bash -c "
	mkdir -p $dest/bin && printf '#!/bin/sh\nexit 1\n' >$dest/bin/dkms && chmod 755 $dest/bin/dkms &&
	make -s dkms-install DESTDIR=$dest/root"
check "and has the source that DKMS wants" same \
	"$(cd "$dest/root" && find . -type f | sort)" \
	"$(printf "./usr/src/dm-kcache-$version/%s\n" Kbuild VERSION dkms.conf dm-kcache/*.[ch] | sort)"
rm -rf "$dest"
