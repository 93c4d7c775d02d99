#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A volume under a key of each provider, in the VM: attached, written, detached, opened
# by stock cryptsetup; and many attaches at once while the KMS is throttled. What the
# providers need is carried there with its libraries: the token and the TPM are made here.
. "$(dirname "$0")/lib.sh"
top=$(cd "$TESTDIR/../.." && pwd)
DIR=$(mktemp -d)
on_exit rm -rf "$DIR"
export DIR

# shellcheck source=SCRIPTDIR/../providers/softhsm.sh
. "$top/tests/providers/softhsm.sh"
# shellcheck source=SCRIPTDIR/../providers/swtpm.sh
. "$top/tests/providers/swtpm.sh"

carried=$DIR/carried
mkdir "$carried"
: >"$DIR/kcache.conf"
check "a token is made" softhsm_up
check "and a TPM" tpm_make tpm
for f in "$top"/build/tools/kcache-keyhelper-* "$(command -v swtpm)" "$SOFTHSM"; do
	# the C library and the loader are the VM's own
	ldd "$f" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | grep -vE '/(libc|libm|libdl|libpthread)\.so'
done | sort -u | xargs -I{} cp -L {} "$carried/"
cp -L "$(command -v swtpm)" "$SOFTHSM" "$carried/"

"$top/tests/qemu/vm" --quiet --log "$DIR/log" --time 400 --scratch 0:1M --add "$carried:/usr/lib/carried" \
	--add "$DIR/tokens:/var/lib/tokens" --add "$DIR/tpm:/var/lib/tpm" tests/providers/in-vm.sh
code=$?
grep -aE '^(ok|not ok) - |^    \| ' "$DIR/log/output.log"
# counted here as well: their lines are this test's
_passed=$((_passed + $(grep -ac '^ok - ' "$DIR/log/output.log")))
_failed=$((_failed + $(grep -ac '^not ok - ' "$DIR/log/output.log")))
check "the VM ran it to its end" test $code -eq 0
