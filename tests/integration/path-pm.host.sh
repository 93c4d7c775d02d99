#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Keys and the end of a kernel's life: hibernation is refused while there is a
# key, reboot and poweroff wipe it, in use or not, and nobody is left waiting.
. "$(dirname "$0")/lib.sh"

top=$(cd "$TESTDIR/../.." && pwd)
log=$(mktemp -d)
on_exit rm -rf "$log"

cat >"$log/attached" <<'END'
cd /kcache/tests/integration
keyctl new_session >/dev/null
head -c 64 /dev/urandom | keyctl padd logon kcache:pm @s >/dev/null
set -- $SCRATCH
dmsetup create m --table "0 65536 kcache aes-xts-plain64 :64:logon:kcache:pm 0 $1 0 2 lease:600 on_expiry:freeze"
mkswap -q "$2"
swapon "$2"
grep -qw disk /sys/power/state && echo "hibernation is available"
END
cat >"$log/hibernate" <<'END'
. /kcache/attached
echo disk >/sys/power/state && echo hibernated || echo "refused: $?"
dmsetup status m
exit 0
END
cat >"$log/off" <<'END'
. /kcache/attached
dmsetup create n --table "0 65536 kcache aes-xts-plain64 :64:logon:kcache:pm 0 $3 0 2 lease:600 on_expiry:freeze"
dmsetup message n 0 key wipe
# one that waits for its key, one that is busy
setsid dd if=/dev/mapper/n of=/dev/null bs=4k count=1 iflag=direct >/dev/null 2>&1 &
setsid dd if=/dev/zero of=/dev/mapper/m bs=64k count=500 oflag=direct >/dev/null 2>&1 &
sleep 0.5
exit 0
END

boot() { # NAME
	"$top/tests/qemu/vm" --time 120 --log "$log/$1.log" --add "$log/attached:kcache/attached" \
		--add "$log/$1:kcache/run" bash /kcache/run
}

check "a VM with a volume ends" boot hibernate
check "its kernel can hibernate" grep -q 'hibernation is available' "$log/hibernate.log/output.log"
check "hibernation is refused" grep -q 'refused' "$log/hibernate.log/output.log"
check "as busy" grep -qi 'Device or resource busy' "$log/hibernate.log/output.log"
check "the log says why" grep -aq 'kcache: hibernation refused' "$log/hibernate.log/console.log"
check "the key is still there" grep -q 'key:valid' "$log/hibernate.log/output.log"

check "a VM is turned off with volumes in use" boot off
# from the end of the command on
after() { sed -n '/kcache-vm: end/,$p' "$log/off.log/console.log" | tr -d '\r'; }
check "the key is wiped" grep -aE 'key_wipe: key logon:kcache:pm is wiped' <(after)
check "before the machine goes" grep -aq 'reboot: Power down' <(after)
