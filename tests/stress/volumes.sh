#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: N volumes on the first disk, attached at once (volumes.py). They were
# made outside, by the same kcache create, with the keystore in /var/lib/kcache.
#
#   volumes.sh N
# shellcheck source-path=SCRIPTDIR source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"

n=$1
here=$(dirname "$0")
disk=${DISKS%% *}
slice=$((20 * 2048))
mapfile -t slices < <(seq -f slice%g 1 "$n")
modprobe dm-kcache
on_exit dmsetup remove --retry "${slices[@]}"
for ((i = 1; i <= n; i++)); do
	echo "slice$i,,,rw,0 $slice linear $disk $(((i - 1) * slice))"
done >/tmp/slices
if ! dmsetup create --concise "$(paste -sd';' /tmp/slices)" >/tmp/slices.out 2>&1; then
	cat /tmp/slices.out
fi
check "there are $n devices with a volume" same "$(dmsetup ls --target linear | grep -c slice)" "$n"
"$here/volumes.py" "$n" slice >/tmp/volumes || echo "not ok - volumes.py ends well" >>/tmp/volumes
while IFS= read -r text; do
	case $text in
	'ok - '*) pass "${text#ok - }" ;;
	'not ok - '*) fail "${text#not ok - }" ;;
	*) echo "$text" ;;
	esac
done </tmp/volumes
