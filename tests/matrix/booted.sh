#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM of the kernel matrix: it is the kernel and the module it should be, or
# what the other tests say would be of something else. /etc/kcache-matrix has what
# tests/matrix/run.sh expects, a word and its value a line.
. "$(dirname "$0")/../integration/lib.sh"

wants() { sed -n "s/^$1 //p" /etc/kcache-matrix; }
# a kernel that is not made for it has no such file
fips() { cat /proc/sys/crypto/fips_enabled 2>/dev/null || echo 0; }
ko=$(modinfo -n dm-kcache)

check "the kernel is $(wants release)" same "$(uname -r)" "$(wants release)"
check "the kernel's fips_enabled is $(wants fips)" same "$(fips)" "$(wants fips)"
check "the module lies where DKMS puts it" matches "$ko" '/updates/dkms/dm-kcache\.ko'
check "and is the one that DKMS has built" same "$(sha256sum <"$ko")" "$(wants module)  -"
check "it loads" modprobe dm-kcache
# a note in the module that its linker has made of all of it
check "and is what is loaded" same "$(xxd -p /sys/module/dm_kcache/notes/.note.gnu.build-id | tr -d '\n')" "$(wants build-id)"
check "the tools are of this tree" same "$(kcache --version)" "kcache $(cat /kcache/VERSION)"
