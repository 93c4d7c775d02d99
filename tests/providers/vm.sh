# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What tests of providers in the VM start with: the fake KMS can run there, and the key
# helpers have their libraries, which the host has carried to /usr/lib/carried.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/../integration/lib-kcache.sh"
# shellcheck disable=SC2034 # the providers' scripts read them
top=/kcache DIR=$STATE tools=
# shellcheck source=SCRIPTDIR/aws.sh
. "$(dirname "$0")/aws.sh"

echo /usr/lib/carried >/etc/ld.so.conf.d/carried.conf
ldconfig
busybox ip link set lo up

# control JSON: as fakekms in aws.sh, without curl
control() {
	python3 - "$AWS_ENDPOINT_URL_KMS/control" "$1" <<-'EOF'
		import sys, urllib.request
		urllib.request.urlopen(sys.argv[1], sys.argv[2].encode()).read()
	EOF
}
