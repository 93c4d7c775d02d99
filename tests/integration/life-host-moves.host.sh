#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks move to another host, which has nothing of the first one: one volume's key is
# with a KMS that both reach, the other one's in a keystore that is carried there as a
# backup. The KMS runs outside of both VMs.
. "$(dirname "$0")/lib.sh"
top=$(cd "$TESTDIR/../.." && pwd)
DIR=$(mktemp -d)
on_exit rm -rf "$DIR"
export DIR

# shellcheck source=SCRIPTDIR/../providers/aws.sh
. "$top/tests/providers/aws.sh"

home=$HOME
on_exit fakekms_down
check "a KMS runs, outside" fakekms_up
export HOME=$home
env | grep '^AWS_' >"$DIR/aws.env"
/usr/bin/python3 "$top/tests/qemu/channel.py" host "$DIR/channel" "${AWS_ENDPOINT_URL_KMS##*:}" >"$DIR/channel.log" &
on_exit kill $!
check "and the way to it" wait_for 20 grep -q ready "$DIR/channel.log"

carried=$DIR/carried
mkdir "$carried"
# the C library and the loader are the VM's own
ldd "$top/build/tools/kcache-keyhelper-aws" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' |
	grep -vE '/(libc|libm|libdl|libpthread)\.so' | xargs -I{} cp -L {} "$carried/"
truncate -s 64M "$DIR/aws.img" "$DIR/local.img"
truncate -s 16M "$DIR/media.img"
mkfs.ext4 -q "$DIR/media.img"

# vm first|second
vm() {
	local code=0

	"$top/tests/qemu/vm" --quiet --log "$DIR/log-$1" --time 200 --scratch 0:1M --channel "$DIR/channel" \
		--disk "$DIR/aws.img" --disk "$DIR/local.img" --disk "$DIR/media.img" --add "$DIR/aws.env:/etc/aws.env" \
		--add "$carried:/usr/lib/carried" tests/integration/lib-host-moves.sh "$1" || code=$?
	sed -n "/^ok - /s//ok - the $1 host: /p; /^not ok - /s//not ok - the $1 host: /p; /^    | /p" "$DIR/log-$1/output.log"
	# counted here as well: their lines are this test's
	_passed=$((_passed + $(grep -ac '^ok - ' "$DIR/log-$1/output.log")))
	_failed=$((_failed + $(grep -ac '^not ok - ' "$DIR/log-$1/output.log")))
	check "the $1 host ran to its end" test $code -eq 0
}
vm first
vm second
