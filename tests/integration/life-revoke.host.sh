#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Revocation, in the VM (tests/providers/revoke-in-vm.sh): local keystore and fake KMS, all
# three on_revoke modes, with the time from the key's disabling to the first write that
# fails. Outside, because the key helper for AWS needs libraries that are carried there.
. "$(dirname "$0")/lib.sh"
top=$(cd "$TESTDIR/../.." && pwd)
DIR=$(mktemp -d)
on_exit rm -rf "$DIR"

carried=$DIR/carried
mkdir "$carried"
# the C library and the loader are the VM's own
ldd "$top/build/tools/kcache-keyhelper-aws" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' |
	grep -vE '/(libc|libm|libdl|libpthread)\.so' | xargs -I{} cp -L {} "$carried/"

"$top/tests/qemu/vm" --quiet --log "$DIR/log" --time 400 --scratch 0:1M --add "$carried:/usr/lib/carried" \
	tests/providers/revoke-in-vm.sh >"$DIR/out" 2>&1
code=$?
grep -aE '^(ok|not ok) - |^    \| |^# ' "$DIR/log/output.log"
# counted here as well: their lines are this test's
_passed=$((_passed + $(grep -ac '^ok - ' "$DIR/log/output.log")))
_failed=$((_failed + $(grep -ac '^not ok - ' "$DIR/log/output.log")))
[ $code -eq 0 ] || cat "$DIR/out"
check "the VM ran it to its end" test $code -eq 0
